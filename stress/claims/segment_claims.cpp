// C1 to C4 and C7: shared memory, with real processes, in a directory of its own in /dev/shm. The other C claims are in
// segment_liveness_claims.cpp, segment_hostile_claims.cpp and worker_pool_claims.cpp.

#include <signal.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <vector>

#include "stress/chaos/refusal.h"
#include "stress/chaos/tracee.h"
#include "stress/claims/claims.h"
#include "stress/claims/segment_scene.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;  // the claims are about it
using chaos::Child;
using chaos::Tracee;
using harness::ClaimRun;
using harness::ReplayClass;
using harness::Seed;

void names_carry_the_allocating_pid(ClaimRun& run) {
  run.once([&](Seed) {
    Directory directory(run);
    auto owner = need(SegmentOwner::open(directory.options()));
    const auto handle = need(owner.allocate("key", bytes("x")));
    run.require(handle.name() == fmt::format("theus:s:{}:key", ::getpid()), "main's segment is named {}",
                handle.name());
    auto worker = Child::start([&]() -> std::string {
      const auto refused = owner.allocate("mine", bytes("x"));
      return refused || refused.error().code != SegmentErrc::worker_role ? "a fork child allocated" : "";
    });
    require_joined(run, worker, "fork child");
    auto main = Child::start([&]() -> std::string {
      become_main();
      auto own = SegmentOwner::open(directory.options());
      if (!own) return describe(own.error());
      const auto made = own->allocate("key", bytes("y"));
      if (!made) return describe(made.error());
      return made->name() == fmt::format("theus:s:{}:key", ::getpid()) ? ""
                                                                       : "named " + std::string(made->name());
    });
    require_joined(run, main, "fork child after become_main()");
    run.tried().operations += 3;
  });
}

void workers_read_without_copying(ClaimRun& run) {
  run.once([&](Seed seed) {
    constexpr std::size_t kCount = 10'000'000;  // doubles: 80 MB
    Directory directory(run);
    auto owner = need(SegmentOwner::open(directory.options()));
    auto stream = seed.stream("C2");
    double sum = 0;
    const auto handle =
        need(owner.allocate("array", kCount * sizeof(double), [&](std::span<std::byte> memory) {
          auto* numbers = reinterpret_cast<double*>(memory.data());
          for (std::size_t i = 0; i < kCount; ++i) numbers[i] = static_cast<double>(stream.below(1000)) / 8;
          sum = std::accumulate(numbers, numbers + kCount, 0.0);
        }));
    static_assert(sizeof handle < 1024);
    std::vector<Child> workers;
    for (int i = 0; i < 4; ++i) {
      workers.push_back(Child::start([&]() -> std::string {
        const auto seen = Attachment::attach(handle, directory.path());
        if (!seen) return describe(seen.error());
        const auto* numbers = reinterpret_cast<const double*>(seen->bytes().data());
        const double own = std::accumulate(numbers, numbers + kCount, 0.0);
        return std::abs(own - sum) <= 1e-9 * std::abs(sum) ? ""
                                                           : fmt::format("the sum is {}, not {}", own, sum);
      }));
    }
    for (auto& worker : workers) require_joined(run, worker, "worker");
    run.tried().operations += 4;
  });
}

/// The owner that a child destroys by exit(): a static, as many programs have it.
std::unique_ptr<SegmentOwner>& static_owner() {
  static std::unique_ptr<SegmentOwner> owner;
  return owner;
}

// C3. Every way in which a child can end runs other code: destructors of the copied owner, atexit, a handler, nothing at all. None
// may touch the parent's names, because the lock that gives the right to unlink them is the parent's.
void childrens_ends_touch_nothing(ClaimRun& run) {
  run.once([&](Seed) {
    Directory directory(run);
    static_owner() = std::make_unique<SegmentOwner>(need(SegmentOwner::open(directory.options())));
    SegmentOwner& owner = *static_owner();
    const auto handle = need(owner.allocate("key", bytes("content")));
    const auto ends = [&](const char* how, const std::string& wanted, const Child::Body& body) {
      auto child = Child::start(body);
      const std::string report = child.join();
      run.require(report == wanted, "a child that should end by {} reported \"{}\"", how, report);
      need(need(Attachment::attach(handle, directory.path())).verify());
      need(owner.audit());
      run.require(directory.names() == 2 && directory.reap().count(ReapVerdict::live) == 1,
                  "after a child's end by {} the parent counts as dead", how);
      ++run.tried().operations;
    };
    ends("return", "", [&]() -> std::string { return chaos::why(owner.audit()), ""; });
    ends("exit", "", []() -> std::string { std::exit(0); });
    ends("exit with an error", "exited with 3", []() -> std::string { std::exit(3); });
    ends("_exit", "", []() -> std::string { ::_exit(0); });
    ends("exception", "threw: on purpose", []() -> std::string {
      const std::unique_ptr<SegmentOwner> unwound = std::move(static_owner());
      throw std::runtime_error("on purpose");
    });
    ends("abort", "ended by signal 6", []() -> std::string { std::abort(); });
    ends("crash", "ended by signal 11", []() -> std::string {
      ::raise(SIGSEGV);
      return "";
    });
    ends("destruction of its copy", "", []() -> std::string { return static_owner().reset(), ""; });
    ends("shutdown of its copy", "", [&] { return chaos::why(owner.shutdown()); });
    auto killed = Child::start([]() -> std::string { chaos::wait_for_ever(); });
    killed.kill();
    ++run.tried().kills;
    need(owner.audit());
    need(owner.allocate("another", bytes("the parent's lock is its own")));
    static_owner().reset();
    run.require(directory.names() == 0, "{} names are left by the parent itself", directory.names());
  });
}

/// One operation of an owner, which is killed before and after each of its system calls.
struct Operation {
  const char* name;
  std::function<void(std::optional<SegmentOwner>&)> prepare;
  std::function<bool(std::optional<SegmentOwner>&)> act;
};

std::vector<Operation> operations_of(const Directory& directory) {
  const auto open = [&directory](std::optional<SegmentOwner>& owner) {
    become_main();
    auto opened = SegmentOwner::open(directory.options());
    if (opened) owner.emplace(std::move(*opened));
    if (!opened || !owner->allocate("frame", bytes("content"))) ::_exit(9);
  };
  const auto orphans = [&directory](std::optional<SegmentOwner>&) {
    std::ofstream(directory.file("theus:dead:99999999:one")) << "orphan";
    std::ofstream(directory.file("theus:dead:99999999:two")) << "orphan";
  };
  return {
      {"allocate", [](auto&) { become_main(); },
       [open](auto& owner) { return open(owner), owner->segments().size() == 1; }},
      {"fill", open,
       [](auto& owner) {
         return owner->allocate("filled", 100'000, [](auto payload) { payload[0] = std::byte{1}; })
             .has_value();
       }},
      {"replace", open, [](auto& owner) { return owner->replace("frame", bytes("new")).has_value(); }},
      {"free", open, [](auto& owner) { return owner->free("frame").has_value(); }},
      {"shutdown", open, [](auto& owner) { return owner->shutdown().has_value(); }},
      {"reap", orphans, [&directory](auto&) { return directory.reap().count(ReapVerdict::failed) == 0; }}};
}

/// What every kill leaves: names of ours only, each of them whole; and after the next start the bystander's alone.
void account_after_a_kill(const ClaimRun& run, const Directory& directory, const SegmentOwner& bystander,
                          const std::string& where) {
  for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
    const std::string file = entry.path().filename();
    const auto name = parse_name(file);
    run.require(name.has_value(), "{}: {} is no name of ours", where, file);
    if (name->is_reserved() || name->session == "dead") continue;
    const auto seen = Attachment::attach(file, directory.path());
    run.require(seen && seen->verify(), "{}: a half-made segment is visible", where);
  }
  const auto report = directory.reap();
  run.require(directory.names() == 2, "{}: {} names are left, not the bystander's two", where,
              directory.names());
  run.require(report.count(ReapVerdict::failed) == 0, "{}: the reaper failed", where);
  need(bystander.audit());
}

// C4. Each operation from the beginning for each of its stops; beside it lives an owner that no kill and no start may touch.
void no_kill_of_an_operation_leaks(ClaimRun& run) {
  const std::string why = chaos::why_no_ptrace();
  if (!why.empty()) throw harness::ClaimInconclusive(why);
  run.once([&](Seed) {
    const chaos::OneProcessor processor;
    const auto only_operation = run.replayed("operation"), only_point = run.replayed("crash-point");
    Directory directory(run);
    auto bystander = need(SegmentOwner::open(directory.options("bystander")));
    need(bystander.allocate("live", bytes("x")));
    for (const Operation& operation : operations_of(directory)) {
      if (only_operation && *only_operation != operation.name) continue;
      for (unsigned point = only_point ? static_cast<unsigned>(std::stoul(*only_point)) : 1;; ++point) {
        run.on_failure_replay("operation", operation.name);
        run.on_failure_replay("crash-point", std::to_string(point));
        std::optional<SegmentOwner> owner;  // the victim's; empty here
        Tracee victim = Tracee::start({.prepare = [&] { operation.prepare(owner); },
                                       .act = [&] { return operation.act(owner) ? 0 : 1; }});
        unsigned steps = 0;
        while (steps < point && victim.step()) ++steps;
        const bool reached = steps == point;
        const std::string where =
            fmt::format("{} {}", operation.name, reached ? "killed " + victim.where() : "not killed");
        victim.kill();
        run.require(reached || victim.exit_code() == 0, "{}: it ended with {}", where,
                    victim.exit_code().value_or(-1));
        account_after_a_kill(run, directory, bystander, where);
        run.tried().kills += reached ? 1 : 0;
        if (!reached || only_point) break;
      }
      ++run.tried().operations;
    }
  });
}

void only_the_creator_unlinks(ClaimRun& run) {
  run.once([&](Seed) {
    Directory directory(run);
    auto owner = need(SegmentOwner::open(directory.options()));
    const auto handle = need(owner.allocate("key", bytes("x")));
    auto other = Child::start([&]() -> std::string {
      become_main();
      auto own = SegmentOwner::open(directory.options());
      if (!own) return describe(own.error());
      const auto freed = own->free(handle);
      return !freed && freed.error().code == SegmentErrc::not_creator ? "" : "freed another's segment";
    });
    require_joined(run, other, "another main");
    run.require(directory.has(handle.name()), "the segment is gone");
    ++run.tried().operations;
  });
}

}  // namespace

void add_segment_claims(harness::ClaimRegistry& registry) {
  constexpr auto kWorkload = ReplayClass::workload;
  registry.add({"C1", "names carry the allocating pid; workers and plain fork children may not", "processes",
                kWorkload, 0, names_carry_the_allocating_pid});
  registry.add({"C2", "80 MB, four workers: equal sums, a handle below 1 KiB", "processes", kWorkload, 0,
                workers_read_without_copying});
  registry.add({"C3", "a child's end, however it comes, touches nothing of its parent's", "processes",
                kWorkload, 0, childrens_ends_touch_nothing});
  registry.add({"C4",
                "kill -9 at every system call of every operation: no leak, nothing half-made",
                "kill enumeration",
                ReplayClass::crash_point,
                0,
                no_kill_of_an_operation_leaks,
                {},
                {"operation", "crash-point"}});
  registry.add({"C7", "only the creator unlinks", "processes", kWorkload, 0, only_the_creator_unlinks});
  add_segment_liveness_claims(registry);
  add_segment_hostile_claims(registry);
  add_worker_pool_claims(registry);
}

}  // namespace touchstone::stress
