// C1 to C12: shared memory, with real processes, in a directory of its own in /dev/shm. The exhaustive halves (every
// system call of every operation, all interleavings to a bound) are tests in stress/chaos; here is what fits a report.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <span>
#include <vector>

#include "engine/segments/attachment.h"
#include "engine/segments/owner.h"
#include "engine/segments/reaper.h"
#include "engine/segments/worker_pool.h"
#include "stress/chaos/child.h"
#include "stress/chaos/tracee.h"
#include "stress/claims/claims.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;  // the claims are about it
using chaos::Child;
using chaos::Tracee;
using harness::ClaimRun;
using harness::ReplayClass;
using harness::Seed;

class Directory {
 public:
  Directory() {
    std::string pattern = "/dev/shm/touchstone-verify-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr)
      throw harness::ClaimInconclusive("no directory in /dev/shm can be made");
    path_ = pattern;
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  bool has(std::string_view name) const { return std::filesystem::exists(file(std::string(name))); }

  std::size_t names() const {
    const std::filesystem::directory_iterator all(path_);
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

  /// What a start would do here.
  ReapReport reap() const {
    ReapOptions options;
    options.directory = path_;
    return engine::reap(options);
  }

  SegmentOwner::Options options(const std::string& session = "s") const {
    return {.session = session, .directory = path_};
  }

 private:
  std::string path_;
};

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

template <class T>
T need(SegmentResult<T> result) {
  if (!result) throw harness::ClaimViolated(describe(result.error()));
  return std::move(*result);
}

void require_joined(const ClaimRun& run, Child& child, std::string_view who) {
  const std::string report = child.join();
  run.require(report.empty(), "{}: {}", who, report);
}

void names_carry_the_allocating_pid(ClaimRun& run) {
  run.once([&](Seed) {
    Directory directory;
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
    Directory directory;
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

void childrens_ends_touch_nothing(ClaimRun& run) {
  run.once([&](Seed) {
    Directory directory;
    auto owner = need(SegmentOwner::open(directory.options()));
    const auto handle = need(owner.allocate("key", bytes("content")));
    auto returns = Child::start([&]() -> std::string { return need(owner.audit()), ""; });
    returns.join();
    auto throws = Child::start([&]() -> std::string { throw std::runtime_error("a child's exception"); });
    throws.join();
    auto destroys = Child::start([&]() -> std::string {
      const SegmentOwner stolen = std::move(owner);
      return "";
    });
    require_joined(run, destroys, "a child that destroys its copy of the owner");
    auto killed = Child::start([]() -> std::string { chaos::wait_for_ever(); });
    killed.kill();
    ++run.tried().kills;
    need(need(Attachment::attach(handle, directory.path())).verify());
    need(owner.audit());
    run.tried().operations += 4;
  });
}

void no_kill_of_an_allocation_leaks(ClaimRun& run) {
  const std::string why = chaos::why_no_ptrace();
  if (!why.empty()) throw harness::ClaimInconclusive(why);
  run.once([&](Seed) {
    const auto only = run.replayed("crash-point");
    for (unsigned point = only ? static_cast<unsigned>(std::stoul(*only)) : 1;; ++point) {
      run.on_failure_replay("crash-point", std::to_string(point));
      Directory directory;
      Tracee victim = Tracee::start({.prepare = [] { become_main(); },
                                     .act =
                                         [&] {
                                           auto owner = SegmentOwner::open(directory.options());
                                           return owner && owner->allocate("key", bytes("content")) ? 0 : 1;
                                         }});
      unsigned steps = 0;
      bool stopped = true;
      while (steps < point && (stopped = victim.step())) ++steps;
      if (!stopped) {
        run.require(victim.exit_code() == 0, "the victim that nobody killed ended with {}",
                    victim.exit_code().value_or(-1));
        return;
      }
      const std::string where = victim.where();
      victim.kill();
      ++run.tried().kills;
      for (const auto& entry : std::filesystem::directory_iterator(directory.path())) {
        const auto name = parse_name(entry.path().filename().string());
        run.require(name.has_value(), "killed at {}: {} is no name of ours", where,
                    entry.path().filename().string());
        if (name->is_reserved()) continue;
        const auto seen = Attachment::attach(entry.path().filename().string(), directory.path());
        run.require(seen && seen->verify(), "killed at {}: a half-made segment is visible", where);
      }
      const auto report = directory.reap();
      run.require(directory.names() == 0, "killed at {}: {} names are left after the reaper", where,
                  directory.names());
      run.require(report.count(ReapVerdict::failed) == 0, "killed at {}: the reaper failed", where);
      if (only) return;
    }
  });
}

void liveness_is_the_lock(ClaimRun& run) {
  run.once([&](Seed) {
    Directory directory;
    chaos::Gate ready;
    auto live = Child::start([&]() -> std::string {
      become_main();
      auto owner = SegmentOwner::open(directory.options());
      if (!owner || !owner->allocate("key", bytes("live"))) return "could not allocate";
      ready.open();
      chaos::wait_for_ever();
    });
    run.require(ready.wait(), "the owner died");
    live.stop();
    // A dead group whose pid was reused: the pid is our own, alive; the lock is nobody's.
    std::ofstream(directory.file(fmt::format("theus:dead:{}:key", ::getpid()))) << "orphan";
    directory.reap();
    run.require(directory.has(fmt::format("theus:s:{}:key", live.pid())),
                "a stopped owner's segment was reaped");
    run.require(!directory.has(fmt::format("theus:dead:{}:key", ::getpid())),
                "an orphan whose pid was reused was kept");
    live.resume();
    live.kill();
    ++run.tried().kills;
    directory.reap();
    run.require(directory.names() == 0, "a killed owner's names are left");
    run.tried().operations += 2;
  });
}

void reapers_and_a_restarting_owner(ClaimRun& run) {
  run.rounds([&](Seed) {
    Directory directory;
    auto dead = Child::start([&]() -> std::string {
      become_main();
      auto owner = SegmentOwner::open(directory.options());
      if (owner) static_cast<void>(owner->allocate("old", bytes("old")));
      chaos::wait_for_ever();
    });
    for (int spins = 0; directory.names() < 2 && spins < 10'000; ++spins) ::usleep(100);
    dead.kill();
    ++run.tried().kills;
    const auto reaper = [&]() -> std::string { return directory.reap(), ""; };
    auto one = Child::start(reaper);
    auto two = Child::start(reaper);
    auto owner = Child::start([&]() -> std::string {
      become_main();
      auto mine = SegmentOwner::open(directory.options());
      if (!mine) return describe(mine.error());
      const auto handle = mine->allocate("new", bytes("new"));
      if (!handle) return describe(handle.error());
      ::usleep(200);
      const auto whole = mine->audit();
      return whole ? "" : describe(whole.error());
    });
    require_joined(run, one, "reaper");
    require_joined(run, two, "reaper");
    require_joined(run, owner, "owner beside two reapers");
    directory.reap();
    run.require(directory.names() == 0, "{} names are left", directory.names());
    run.tried().operations += 3;
  });
}

void only_the_creator_unlinks(ClaimRun& run) {
  run.once([&](Seed) {
    Directory directory;
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

void workers_cannot_write(ClaimRun& run) {
  run.once([&](Seed) {
    Directory directory;
    auto owner = need(SegmentOwner::open(directory.options()));
    const auto handle = need(owner.allocate("key", bytes("content")));
    auto writer = Child::start([&]() -> std::string {
      chaos::forget_signal_handlers();
      const auto seen = Attachment::attach(handle, directory.path());
      if (!seen) return describe(seen.error());
      *const_cast<volatile std::byte*>(seen->bytes().data()) = std::byte{1};
      return "the write went through";
    });
    const std::string report = writer.join();
    run.require(report.find("signal 11") != std::string::npos, "a worker's write: {}", report);
    need(need(Attachment::attach(handle, directory.path())).verify());
    ++run.tried().operations;
  });
}

void hostile_names_are_refused(ClaimRun& run) {
  run.rounds([&](Seed seed) {
    Directory directory;
    auto stream = seed.stream("C9");
    auto owner = need(SegmentOwner::open(directory.options()));
    for (int i = 0; i < 20; ++i) {
      std::string key(1 + stream.below(12), 'k');
      for (char& c : key)
        if (stream.chance(1, 2)) c = static_cast<char>(stream.below(256));
      const auto handle = need(owner.allocate(key, bytes("x")));
      const auto parts = parse_name(handle.name());
      run.require(parts && decode_key(parts->encoded_key) == key,
                  "a key of {} bytes does not come back from its name", key.size());
      need(owner.free(handle));
      ++run.tried().operations;
    }
    const auto long_key = owner.allocate(std::string(256, 'k'), bytes("x"));
    run.require(!long_key && long_key.error().code == SegmentErrc::name_too_long,
                "a name over 255 bytes was taken");
    const auto bad_session = SegmentOwner::open(directory.options("a:b"));
    run.require(!bad_session && bad_session.error().code == SegmentErrc::bad_session,
                "':' in a session was taken");
    const std::string name = fmt::format("theus:s:{}:link", ::getpid());
    std::filesystem::create_symlink("/nonexistent", directory.file(name));
    const auto taken = owner.allocate("link", bytes("x"));
    run.require(!taken && taken.error().code == SegmentErrc::name_taken, "a symlink at the name was adopted");
    std::filesystem::remove(directory.file(name));
  });
}

void ten_thousand_orphans_go_in_one_start(ClaimRun& run) {
  run.once([&](Seed) {
    for (const int sessions : {1, 1000}) {
      Directory directory;
      for (int i = 0; i < 10'000; ++i)
        std::ofstream(directory.file(fmt::format("theus:s{}:99999999:k{}", i % sessions, i))) << "orphan";
      const auto report = directory.reap();
      run.require(directory.names() == 0, "{} names of {} sessions are left", directory.names(), sessions);
      run.tried().operations += report.removed_names;
    }
  });
}

void two_mains_of_one_session(ClaimRun& run) {
  run.rounds([&](Seed) {
    Directory directory;
    const auto main = [&]() -> std::string {
      become_main();
      auto owner = SegmentOwner::open(directory.options("same"));
      if (!owner) return describe(owner.error());
      for (int i = 0; i < 20; ++i) {
        const auto made = owner->allocate("key" + std::to_string(i), bytes("x"));
        if (!made) return describe(made.error());
      }
      const auto whole = owner->audit();
      return whole ? "" : describe(whole.error());
    };
    auto one = Child::start(main);
    auto two = Child::start(main);
    require_joined(run, one, "one main");
    require_joined(run, two, "the other");
    run.require(directory.names() == 0, "{} names are left", directory.names());
    run.tried().operations += 40;
  });
}

/// In a process of its own, which has one thread: there the pool can be opened early.
void killed_workers_lose_no_job(ClaimRun& run) {
  run.once([&](Seed) {
    constexpr int kJobs = 5;
    constexpr unsigned kAttempts = 2;
    auto main = Child::start([&]() -> std::string {
      become_main();
      const Job job = [](const JobRequest& request) {
        if (request.inputs == "die") ::raise(SIGKILL);
        return request.inputs;
      };
      auto pool = WorkerPool::open(job, {.workers = 2, .attempts = kAttempts});
      if (!pool) return describe(pool.error());
      for (int i = 0; i < kJobs; ++i) {
        const auto killed = pool->run({.inputs = "die"});
        if (killed) return "a job whose workers are killed answered " + *killed;
        if (killed.error().code != SegmentErrc::worker_died) return describe(killed.error());
        if (pool->idle_workers().size() != 2) return "the pool was not refilled";
        const auto done = pool->run({.inputs = "work"});
        if (!done || *done != "work") return "the next job was lost";
      }
      return "";
    });
    require_joined(run, main, "main");
    run.tried().kills += kJobs * kAttempts;
    run.tried().operations += 2 * kJobs;
  });
}

}  // namespace

void add_segment_claims(harness::ClaimRegistry& registry) {
  const auto add = [&](const char* name, const char* promise, const char* technique, ReplayClass replay_class,
                       unsigned weight, void (*check)(ClaimRun&)) {
    registry.add({name, promise, technique, replay_class, weight, check});
  };
  constexpr auto kWorkload = ReplayClass::workload;
  add("C1", "names carry the allocating pid; workers and plain fork children may not", "processes", kWorkload,
      0, names_carry_the_allocating_pid);
  add("C2", "80 MB, four workers: equal sums, a handle below 1 KiB", "processes", kWorkload, 0,
      workers_read_without_copying);
  add("C3", "a child's end, however it comes, touches nothing of its parent's", "processes", kWorkload, 0,
      childrens_ends_touch_nothing);
  add("C4", "kill -9 at every system call of an allocation: no leak, nothing half-made", "kill enumeration",
      ReplayClass::crash_point, 0, no_kill_of_an_allocation_leaks);
  add("C5", "a reused pid does not save an orphan; a stopped owner stays", "processes", kWorkload, 0,
      liveness_is_the_lock);
  add("C6", "two reapers and a restarting owner: no live removal, no leak", "processes, sampled", kWorkload,
      3, reapers_and_a_restarting_owner);
  add("C7", "only the creator unlinks", "processes", kWorkload, 0, only_the_creator_unlinks);
  add("C8", "a worker's write to a segment is refused by the kernel", "processes", kWorkload, 0,
      workers_cannot_write);
  add("C9", "hostile keys round-trip or are refused; foreign files stay", "random keys", ReplayClass::exact,
      1, hostile_names_are_refused);
  add("C10", "10,000 orphans, of one session and of 1,000, go in one start", "scenario", kWorkload, 0,
      ten_thousand_orphans_go_in_one_start);
  add("C11", "two mains of one session do not touch each other", "processes", kWorkload, 2,
      two_mains_of_one_session);
  add("C12", "a worker killed in the middle of its job is a typed error, and the pool refills", "processes",
      kWorkload, 0, killed_workers_lose_no_job);
}

}  // namespace touchstone::stress
