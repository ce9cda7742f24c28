// Reapers, owners and attachers at every interleaving of their system calls up to a bound: acceptance C6. Kills alone
// find none of these races, because every process here lives and does what it should.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <optional>
#include <string>

#include "stress/chaos/process_scheduler.h"
#include "stress/chaos/segment_test.h"

namespace touchstone::chaos {
namespace {

class AcceptanceC6 : public ChaosTest {
 protected:
  void SetUp() override {
    ChaosTest::SetUp();
    if (const std::string skip = why_no_ptrace(); !skip.empty()) GTEST_SKIP() << "expected skip: " << skip;
  }

  SegmentOwner::Options quick_options() const {
    auto quick = options();
    quick.start_check = SegmentOwner::StartCheck::none;
    quick.lock_attempts = 2;
    return quick;
  }

  ScheduledProcess reaper(const std::string& name) const {
    return {.name = name, .act = [this] { reap_all(); }};
  }

  /// The name of a segment that a process of this pid would have.
  std::string own_name(const std::string& key) const {
    return *engine::encode_name(session(), ::getpid(), key);
  }

  /// Opens an owner and allocates. An owner that found the lock busy has nothing that could be harmed.
  void open_and_allocate(std::optional<SegmentOwner>& owner, const char* key,
                         SegmentOwner::StartCheck check = SegmentOwner::StartCheck::none) const {
    auto options = quick_options();
    options.start_check = check;
    auto opened = SegmentOwner::open(options);
    if (!opened) return;
    owner.emplace(std::move(*opened));
    if (!owner->allocate(key, engine::bytes_of("x"))) ::_exit(8);
  }

  /// 0 when everything that a live owner published is still its own; then it shuts down.
  static int conclude(std::optional<SegmentOwner>& owner) {
    if (!owner) return 0;
    if (!owner->audit()) return 9;
    return owner->shutdown() ? 0 : 10;
  }

  /// Dead and alive are decided: what is left now must go at the next start.
  void expect_no_leak() const {
    expect_only_whole_segments();
    reap_all();
    EXPECT_EQ(names(), std::vector<std::string>{});
  }

  void explore(std::vector<ScheduledProcess> processes, unsigned bound, unsigned samples) {
    ProcessScheduler scheduler(std::move(processes));
    const auto after = [&] { expect_no_leak(); };
    const unsigned count = scheduler.explore(
        bound, [] {}, after);
    std::printf("%u schedules of at most %u preemptions\n", count, bound);
    const auto stream = harness::Seed::of_process().stream("interleaving");
    std::printf("%u at random\n", scheduler.sample(
                                      samples, stream, [] {}, after));
  }

  std::optional<SegmentOwner> owner_;  ///< of a scheduled process; empty in the test itself
};

/// Session, pid and key of the orphan are those of the owner that starts: pid reuse, in its sharpest form. The reaper
/// may have listed and judged the orphan before the owner took the lock, swept it and published its own.
TEST_F(AcceptanceC6, AReaperAndARestartingOwner) {
  const ScheduledProcess owner{.name = "restarting owner",
                               .prepare =
                                   [&] {
                                     engine::become_main();
                                     put(engine::control_name(session(), ::getpid()));
                                     put(own_name("frame"));
                                   },
                               .act = [&] { open_and_allocate(owner_, "frame"); },
                               .conclude = [&] { return conclude(owner_); }};
  explore({owner, reaper("reaper")}, 2, 20);
}

/// The same, and the owner reaps as it starts: one listing, taken under its own lock, serves its own group and all others,
/// an orphan of another pid among them that both may find.
TEST_F(AcceptanceC6, AReaperAndARestartingOwnerThatReaps) {
  const ScheduledProcess owner{
      .name = "restarting owner",
      .prepare =
          [&] {
            engine::become_main();
            put(own_name("frame"));
            put("theus:" + session() + ":7:orphan");
          },
      .act = [&] { open_and_allocate(owner_, "frame", SegmentOwner::StartCheck::this_session); },
      .conclude = [&] { return conclude(owner_); }};
  explore({owner, reaper("reaper")}, kSanitizer ? 1 : 2, 20);
}

/// The lock's inode changes while the reaper holds the old one: shut down and opened again under the same name.
TEST_F(AcceptanceC6, AReaperAndAnOwnerThatShutsDownAndOpensAgain) {
  const ScheduledProcess owner{.name = "owner",
                               .prepare =
                                   [&] {
                                     engine::become_main();
                                     open_and_allocate(owner_, "first");
                                   },
                               .act =
                                   [&] {
                                     if (!owner_->shutdown()) ::_exit(7);
                                     owner_.reset();
                                     open_and_allocate(owner_, "second");
                                   },
                               .conclude = [&] { return conclude(owner_); }};
  explore({owner, reaper("reaper")}, 2, 20);
}

TEST_F(AcceptanceC6, TwoReapersOfOneOrphan) {
  explore({{.name = "reaper 1",
            .prepare = [&] { put("theus:" + session() + ":7:orphan"); },
            .act = [&] { reap_all(); }},
           reaper("reaper 2")},
          2, 20);
}

/// A name must never be seen half-built, whatever the owner is doing with it: attached and whole, or a typed reason.
TEST_F(AcceptanceC6, AnAttacherAndAnOwnerThatReplacesAndFrees) {
  const ScheduledProcess owner{.name = "owner",
                               .prepare = [&] { engine::become_main(); },
                               .act =
                                   [&] {
                                     open_and_allocate(owner_, "frame");
                                     if (!owner_->replace("frame", engine::bytes_of("yy"))) ::_exit(6);
                                     if (!owner_->free("frame")) ::_exit(7);
                                   },
                               .conclude = [&] { return conclude(owner_); }};
  const auto attach_until_gone = [&] {
    for (int i = 0; i < 3; ++i) {
      for (const std::string& name : names()) {
        if (engine::parse_name(name)->is_reserved()) continue;
        const auto seen = Attachment::attach(name, directory());
        if (!seen && seen.error().code != SegmentErrc::not_found) ::_exit(11);
        if (seen && !seen->verify()) ::_exit(12);
      }
    }
  };
  explore({owner, {.name = "attacher", .act = attach_until_gone}}, 2, 20);
}

/// Three processes: some three thousand schedules. A sanitizer's forks are slow: there one preemption, and the rest at
/// random.
TEST_F(AcceptanceC6, TwoReapersAndARestartingOwner) {
  const ScheduledProcess owner{.name = "restarting owner",
                               .prepare =
                                   [&] {
                                     engine::become_main();
                                     put(own_name("frame"));
                                   },
                               .act = [&] { open_and_allocate(owner_, "frame"); },
                               .conclude = [&] { return conclude(owner_); }};
  explore({owner, reaper("reaper 1"), reaper("reaper 2")}, kSanitizer ? 1 : 2, 200);
}

}  // namespace
}  // namespace touchstone::chaos
