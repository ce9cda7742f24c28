// C5, C6, C10, C11: who is alive, who may remove what, and what happens when several look at once.

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "harness/counted.h"
#include "stress/chaos/namespaces.h"
#include "stress/chaos/process_scheduler.h"
#include "stress/chaos/refusal.h"
#include "stress/claims/ayes.h"
#include "stress/claims/claims.h"
#include "stress/claims/segment_scene.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;  // the claims are about it
using chaos::Child;
using chaos::Gate;
using chaos::ProcessScheduler;
using chaos::ScheduledProcess;
using chaos::why;
using harness::ClaimRun;
using harness::ClaimViolated;
using harness::ReplayClass;
using harness::Seed;

constexpr const char* kNoPid = "not tried: this environment lets nobody choose a pid";
constexpr const char* kNoNamespace = "not tried: this environment gives no pid namespace";

/// Owns one segment until it is killed.
Child::Body owner_until_killed(const Directory& directory, Gate& ready) {
  return [&directory, &ready]() -> std::string {
    become_main();
    auto owner = SegmentOwner::open(directory.options());
    if (!owner) return why(owner);
    if (auto made = owner->allocate("frame", bytes("x")); !made) return why(made);
    ready.open();
    chaos::wait_for_ever();
  };
}

void require_live(const ClaimRun& run, const Directory& directory, std::string_view who) {
  run.require(directory.reap().count(ReapVerdict::live) == 1 && directory.names() == 2,
              "{} was taken for dead", who);
}

void require_removed(const ClaimRun& run, const Directory& directory, std::string_view who) {
  run.require(directory.reap().count(ReapVerdict::removed) == 1 && directory.names() == 0,
              "{}: {} names are left", who, directory.names());
}

// C5. A stopped owner would be declared dead by heartbeats. The pid of a killed one's orphans then belongs to a living process
// that has nothing to do with them, and at last to a new owner of the same session.
void stopped_killed_and_reused(ClaimRun& run) {
  run.once([&](Seed) {
    Directory directory(run);
    Gate ready;
    Child owner = Child::start(owner_until_killed(directory, ready));
    run.require(ready.wait(), "the owner died");
    owner.stop();
    require_live(run, directory, "a stopped owner");
    owner.resume();
    const pid_t pid = owner.pid();
    owner.kill();
    ++run.tried().kills;
    run.tried().operations += 2;
    auto stranger =
        Child::start_by([&] { return chaos::fork_as(pid); }, []() -> std::string { chaos::wait_for_ever(); });
    if (!stranger) {
      run.note(std::string("a reused pid: ") + kNoPid);
      require_removed(run, directory, "a killed owner");
      return;
    }
    require_removed(run, directory, "orphans whose pid was reused by a stranger");
    stranger->kill();
    std::ofstream(directory.file(fmt::format("theus:s:{}:frame", pid))) << "orphan";
    std::ofstream(directory.file(control_name("s", pid))) << "";
    Gate again;
    auto heir = Child::start_by([&] { return chaos::fork_as(pid); }, owner_until_killed(directory, again));
    run.require(heir && again.wait(), "nobody could start with a dead one's session and pid");
    require_live(run, directory, "an owner whose pid was an orphan's");
    heir->kill();
    ++run.tried().kills;
    require_removed(run, directory, "the heir");
    run.tried().operations += 3;
  });
}

// C5. An owner in another pid namespace shares the directory: nobody here has its pid, so who asks for the pid would remove a live
// segment. And two owners of one session, each the first process of its namespace, both have the pid 1.
void other_pid_namespaces(ClaimRun& run) {
  run.once([&](Seed) {
    Directory directory(run);
    ++run.tried().operations;
    Gate ready;
    const pid_t pid = chaos::unused_pid();
    const auto owner = owner_until_killed(directory, ready);
    auto init = Child::start_by(&chaos::fork_into_pid_namespace, [&]() -> std::string {
      auto inner = Child::start_by([&] { return chaos::fork_as(pid); }, owner);
      return inner ? inner->join() : "no pid could be chosen";
    });
    if (!init || !ready.wait()) {
      run.note(std::string("an owner in another pid namespace: ") + kNoNamespace);
      return;
    }
    run.require(::kill(pid, 0) != 0, "a process here has the owner's pid: this would show nothing");
    require_live(run, directory, "an owner in another pid namespace");
    init->kill();  // the first process of a namespace takes the rest with it
    require_removed(run, directory, "a dead owner of another pid namespace");
    Gate first_ready;
    auto first = Child::start_by(&chaos::fork_into_pid_namespace, owner_until_killed(directory, first_ready));
    run.require(first && first_ready.wait(), "no second pid namespace");
    auto second = Child::start_by(&chaos::fork_into_pid_namespace, [&] {
      become_main();
      return chaos::expect_refusal(
          SegmentOwner::open({.session = "s", .directory = directory.path(), .lock_attempts = 3}),
          SegmentErrc::busy);
    });
    run.require(second.has_value(), "no third pid namespace");
    require_joined(run, *second, "a second owner with session and pid of a live one");
    run.require(directory.names() == 2, "two owners with one pid mixed");
    first->kill();
    run.tried().kills += 2;
    run.tried().operations += 2;
    require_removed(run, directory, "the first of two owners with the pid 1");
  });
}

/// Processes of which one runs at a time, from one visible system call to the next, and the account after each interleaving.
class Interleavings {
 public:
  Interleavings(ClaimRun& run, std::string cast, std::vector<ScheduledProcess> processes,
                const Directory& directory)
      : run_(run),
        cast_(std::move(cast)),
        directory_(directory),
        scheduler_(std::move(processes), {[this](const chaos::Schedule& schedule) { announce(schedule); },
                                          [this](const std::string& what) { violated(what); }}) {}

  /// Asked after each interleaving, when all is accounted for.
  void after_each(std::function<void()> ask) { ask_ = std::move(ask); }

  /// All of at most `bound` preemptions.
  void every(unsigned bound) {
    if (replayed()) return;
    const unsigned count = scheduler_.explore(bound, before_, after_);
    run_.tried().schedules += count;
    run_.note(fmt::format("exhausted {}: {}, at most {}", cast_, harness::counted(count, "interleaving"),
                          harness::counted(bound, "preemption")));
  }

  void some(unsigned count, harness::Stream stream) {
    if (replayed()) return;
    run_.tried().schedules += scheduler_.sample(count, stream, before_, after_);
  }

 private:
  /// In a replay: plays the line's schedule, if it is of this cast.
  bool replayed() {
    const auto cast = run_.replayed("cast"), text = run_.replayed("schedule");
    if (!cast || !text) return false;
    const auto schedule = chaos::Schedule::parse(*text);
    if (!schedule) throw harness::ClaimInconclusive("not a schedule: " + *text);
    if (*cast == cast_ && !std::exchange(has_played_, true)) {
      scheduler_.run(*schedule, before_, after_);
      ++run_.tried().schedules;
    }
    return true;
  }

  void announce(const chaos::Schedule& schedule) {
    run_.on_failure_replay("cast", cast_);
    run_.on_failure_replay("schedule", schedule.text());
  }

  void violated(const std::string& what) {
    throw ClaimViolated(fmt::format("{}: {}\n{}", cast_, what, scheduler_.drawn_trace()));
  }

  /// Every visible name is a whole segment; dead and alive are decided, so the next start leaves nothing.
  void account() {
    for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
      const std::string name = entry.path().filename();
      const auto parts = parse_name(name);
      if (!parts) violated(name + " is no name of ours");
      if (parts->is_reserved()) continue;
      const auto seen = Attachment::attach(name, directory_.path());
      if (!seen || !seen->verify()) violated(name + " is visible and not whole");
    }
    directory_.reap();
    if (directory_.names() != 0) violated(fmt::format("{} names leaked", directory_.names()));
    if (ask_) ask_();
  }

  ClaimRun& run_;
  std::string cast_;
  const Directory& directory_;
  std::function<void()> ask_;
  ProcessScheduler::Check before_ = [] {};
  ProcessScheduler::Check after_ = [this] { account(); };
  ProcessScheduler scheduler_;
  bool has_played_ = false;
};

/// What the processes of a cast do. Each scheduled process has a copy of its own of the owner.
class Cast {
 public:
  explicit Cast(const Directory& directory) : directory_(directory) {}

  /// The owners that ended unharmed since the last look.
  unsigned take_unharmed() { return unharmed_.take(); }

  ScheduledProcess reaper(const std::string& name) const {
    return {.name = name, .act = [this] { directory_.reap(); }};
  }

  /// The orphan has session, pid and key of the owner that starts: pid reuse in its sharpest form.
  ScheduledProcess restarting_owner() {
    return {.name = "restarting owner",
            .prepare =
                [this] {
                  become_main();
                  std::ofstream(directory_.file(control_name("s", ::getpid()))) << "";
                  std::ofstream(directory_.file(fmt::format("theus:s:{}:frame", ::getpid()))) << "orphan";
                },
            .act = [this] { open_and_allocate("frame", SegmentOwner::StartCheck::none); },
            .conclude = [this] { return conclude(); }};
  }

  /// The lock's inode changes while a reaper holds the old one.
  ScheduledProcess reopening_owner() {
    return {.name = "owner",
            .prepare =
                [this] {
                  become_main();
                  open_and_allocate("first", SegmentOwner::StartCheck::none);
                },
            .act =
                [this] {
                  if (!owner_->shutdown()) ::_exit(7);
                  owner_.reset();
                  open_and_allocate("second", SegmentOwner::StartCheck::none);
                },
            .conclude = [this] { return conclude(); }};
  }

  /// A main as it starts: a reaper of all sessions, then a creator. The other's reaper may hold its lock at each of its attempts,
  /// which here are few: then it is told so, and owns nothing.
  ScheduledProcess starting_main(const std::string& name) {
    return {.name = name,
            .prepare = [] { become_main(); },
            .act = [this] { open_and_allocate("frame", SegmentOwner::StartCheck::all_sessions); },
            .conclude = [this] { return conclude(); }};
  }

  ScheduledProcess with_orphan(ScheduledProcess process) const {
    process.prepare = [this] { std::ofstream(directory_.file("theus:s:7:orphan")) << "orphan"; };
    return process;
  }

 private:
  void open_and_allocate(const char* key, SegmentOwner::StartCheck check) {
    auto opened = SegmentOwner::open(
        {.session = "s", .directory = directory_.path(), .start_check = check, .lock_attempts = 2});
    if (!opened) return;  // the lock was busy: it has nothing that could be harmed
    owner_.emplace(std::move(*opened));
    if (!owner_->allocate(key, bytes("x"))) ::_exit(8);
  }

  /// 0 when everything that a live owner published is still its own; then it shuts down.
  int conclude() {
    if (!owner_) return 0;
    if (!owner_->audit()) return 9;
    if (!owner_->shutdown()) return 10;
    unharmed_.say();
    return 0;
  }

  const Directory& directory_;
  Ayes unharmed_;
  std::optional<SegmentOwner> owner_;
};

/// A part that needs ptrace: without it a note, and free-running processes are what is left.
bool can_interleave(ClaimRun& run) {
  const std::string no = chaos::why_no_ptrace();
  if (!no.empty()) {
    run.note("interleavings: not tried: " + no);
    ++run.tried().operations;
  }
  return no.empty();
}

// C6. Nobody is killed here: every process lives and does what it should, and still the wrong order would remove a live name or
// leave a dead one.
void every_interleaving_of_reapers_and_owner(ClaimRun& run) {
  if (!can_interleave(run)) return;
  bool first = run.owns("every interleaving");
  run.rounds([&](Seed seed) {
    Directory directory(run);
    const auto look = [&](const char* name, auto make, unsigned bound, unsigned samples) {
      Cast cast(directory);
      Interleavings all(run, name, make(cast), directory);
      if (first) all.every(bound);
      all.some(samples, seed.stream(name));
    };
    using All = std::vector<ScheduledProcess>;
    look(
        "reaper-and-restarting-owner",
        [](Cast& c) {
          return All{c.restarting_owner(), c.reaper("reaper")};
        },
        2, 5);
    look(
        "reaper-and-reopening-owner",
        [](Cast& c) {
          return All{c.reopening_owner(), c.reaper("reaper")};
        },
        2, 5);
    look(
        "two-reapers-of-one-orphan",
        [](Cast& c) {
          return All{c.with_orphan(c.reaper("reaper 1")), c.reaper("reaper 2")};
        },
        2, 5);
    look(
        "two-reapers-and-restarting-owner",
        [](Cast& c) {
          return All{c.restarting_owner(), c.reaper("reaper 1"), c.reaper("reaper 2")};
        },
        1, 10);
    first = false;
  });
}

// C6. The same on free-running processes, after a kill.
void reapers_and_a_restarting_owner(ClaimRun& run) {
  run.rounds([&](Seed) {
    Directory directory(run);
    Gate ready;
    auto dead = Child::start(owner_until_killed(directory, ready));
    run.require(ready.wait(), "the owner died");
    dead.kill();
    ++run.tried().kills;
    const auto reaper = [&]() -> std::string { return directory.reap(), ""; };
    auto one = Child::start(reaper);
    auto two = Child::start(reaper);
    auto owner = Child::start([&]() -> std::string {
      become_main();
      auto mine = SegmentOwner::open(directory.options());
      if (!mine) return why(mine);
      if (const auto handle = mine->allocate("new", bytes("new")); !handle) return why(handle);
      ::usleep(200);
      return why(mine->audit());
    });
    require_joined(run, one, "reaper");
    require_joined(run, two, "reaper");
    require_joined(run, owner, "owner beside two reapers");
    directory.reap();
    run.require(directory.names() == 0, "{} names are left", directory.names());
    run.tried().operations += 3;
  });
}

// C10. Beside the orphans a live owner has a segment, which no count may touch.
void ten_thousand_orphans_go_in_one_start(ClaimRun& run) {
  run.once([&](Seed) {
    for (const int sessions : {1, 1000}) {
      Directory directory(run);
      auto bystander = need(SegmentOwner::open(directory.options("alive")));
      need(bystander.allocate("frame", bytes("x")));
      for (int i = 0; i < 10'000; ++i)
        std::ofstream(directory.file(fmt::format("theus:s{}:99999999:k{}", i % sessions, i))) << "orphan";
      const auto begin = std::chrono::steady_clock::now();
      auto starting = need(SegmentOwner::open(directory.options("starting")));
      const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
      const ReapReport& report = starting.start_report();
      const auto groups = static_cast<std::size_t>(sessions);
      run.require(report.count(ReapVerdict::removed) == groups && report.count(ReapVerdict::failed) == 0,
                  "of {} dead sessions {} were removed, {} failed", sessions,
                  report.count(ReapVerdict::removed), report.count(ReapVerdict::failed));
      run.require(report.removed_names == 10'000 + groups,
                  "{} names were removed, not 10,000 and the {} locks that it took", report.removed_names,
                  sessions);
      run.require(report.count(ReapVerdict::live) == 1, "the live session was not seen alive");
      need(bystander.audit());
      need(starting.shutdown());
      need(bystander.shutdown());
      run.require(directory.names() == 0, "{} names of {} sessions are left", directory.names(), sessions);
      run.note(fmt::format("10,000 orphans in {}: {:.0f} ms", harness::counted(sessions, "session"),
                           took.count()));
      run.tried().operations += report.removed_names;
    }
  });
}

// C11. Both mains are alive at the same time for certain: each shuts down only after the other has looked, and each reaps while
// both live.
void two_mains_of_one_session(ClaimRun& run) {
  run.rounds([&](Seed) {
    Directory directory(run);
    Gate allocated[2];
    Gate looked[2];
    const auto main_number = [&](int self) {
      return [&, self]() -> std::string {
        become_main();
        auto owner = SegmentOwner::open(directory.options("same"));
        if (!owner) return why(owner);
        for (int i = 0; i < 20; ++i)
          if (const auto made = owner->allocate("key" + std::to_string(i), bytes("x")); !made)
            return why(made);
        allocated[self].open();
        if (!allocated[1 - self].wait()) return "the other died";
        std::string wrong;
        if (directory.names() != 42) wrong += fmt::format("{} names, not 42; ", directory.names());
        if (directory.reap().count(ReapVerdict::live) != 2) wrong += "not two live groups; ";
        looked[self].open();
        if (!looked[1 - self].wait()) return "the other died";
        wrong += why(owner->audit());
        return wrong + why(owner->shutdown());
      };
    };
    auto one = Child::start(main_number(0));
    auto two = Child::start(main_number(1));
    require_joined(run, one, "one main");
    require_joined(run, two, "the other");
    run.require(directory.names() == 0, "{} names are left", directory.names());
    run.tried().operations += 80;
  });
}

// C11. The starts overlap: each is a reaper of all sessions and then a creator, so creator meets reaper and reaper meets reaper at
// every interleaving to the bound, with a dead session's orphan between them. A main that finds its lock busy may give up, which is
// no harm; so that the claim is not held by mains that all give up, some interleavings must have both start and end
// unharmed.
void every_interleaving_of_two_starts(ClaimRun& run) {
  if (!can_interleave(run)) return;
  bool first = run.owns("every interleaving");
  run.rounds([&](Seed seed) {
    Directory directory(run);
    Cast cast(directory);
    auto one = cast.starting_main("main 1");
    const auto prepare = one.prepare;
    one.prepare = [&directory, prepare] {
      prepare();
      std::ofstream(directory.file("theus:s:99999999:orphan")) << "orphan";
    };
    Interleavings all(run, "two-starts", {one, cast.starting_main("main 2")}, directory);
    unsigned both = 0, fewer = 0;
    all.after_each([&] { ++(cast.take_unharmed() == 2 ? both : fewer); });
    if (first) all.every(1);
    if (first && both + fewer > 1) {
      if (both == 0) throw harness::ClaimInconclusive("in no interleaving did both mains start");
      run.note(
          fmt::format("both mains started in {} of these interleavings, one gave up in {}", both, fewer));
    }
    first = false;
    all.some(10, seed.stream("two-starts"));
  });
}

}  // namespace

void add_segment_liveness_claims(harness::ClaimRegistry& registry) {
  constexpr auto kWorkload = ReplayClass::workload;
  constexpr auto kExact = ReplayClass::exact;
  registry.add({"C5", "a reused pid, a pid of another namespace, a stopped owner: the lock decides",
                "processes", kWorkload, 0, stopped_killed_and_reused});
  registry.add_part("C5", {"namespaces", "pid namespaces", kWorkload, 0, other_pid_namespaces});
  registry.add({"C6", "two reapers and a restarting owner: no live removal, no leak", "processes", kWorkload,
                1, reapers_and_a_restarting_owner});
  registry.add_part("C6", {"interleavings",
                           "interleavings (exhausted, sampled)",
                           kExact,
                           3,
                           every_interleaving_of_reapers_and_owner,
                           {"cast", "schedule"}});
  registry.add({"C10", "10,000 orphans, of one session and of 1,000, go in one start", "scenario, counts",
                kWorkload, 0, ten_thousand_orphans_go_in_one_start});
  registry.add({"C11", "two mains of one session at once do not touch each other", "processes", kWorkload, 1,
                two_mains_of_one_session});
  registry.add_part("C11", {"interleavings",
                            "interleavings (exhausted, sampled)",
                            kExact,
                            1,
                            every_interleaving_of_two_starts,
                            {"cast", "schedule"}});
}

}  // namespace touchstone::stress
