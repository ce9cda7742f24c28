// Who is alive: acceptance C5. A pid says nothing: it is reused, it means another process in another pid namespace,
// and a stopped process still owns what it owns. Each of these is made, not simulated.

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <string>

#include "stress/chaos/child.h"
#include "stress/chaos/namespaces.h"
#include "stress/chaos/segment_test.h"

namespace touchstone::chaos {
namespace {

using engine::bytes_of;
using engine::ReapVerdict;

class AcceptanceC5 : public ChaosTest {
 protected:
  /// Owns one segment until it is killed.
  Child::Body owner_until_killed(Gate& ready) const {
    return [this, &ready]() -> std::string {
      engine::become_main();
      auto owner = SegmentOwner::open(options());
      if (!owner) return why(owner);
      if (auto made = owner->allocate("frame", bytes_of("x")); !made) return why(made);
      ready.open();
      wait_for_ever();
    };
  }
};

/// The pid of the orphans belongs to a living process, which has nothing to do with them.
TEST_F(AcceptanceC5, OrphansGoAlthoughTheirPidWasReused) {
  Gate ready;
  Child owner = Child::start(owner_until_killed(ready));
  ASSERT_TRUE(ready.wait());
  const pid_t pid = owner.pid();
  owner.kill();
  auto stranger = Child::start_by([&] { return fork_as(pid); }, []() -> std::string { wait_for_ever(); });
  if (!stranger) GTEST_SKIP() << "expected skip: this environment does not let a test choose a pid";
  ASSERT_EQ(stranger->pid(), pid);
  EXPECT_EQ(names().size(), 2u);
  EXPECT_EQ(reap_all().count(ReapVerdict::removed), 1u);
  EXPECT_EQ(names().size(), 0u);
}

/// A new owner has the session and pid of a dead one: the orphans are its to sweep, and its own segments are live.
TEST_F(AcceptanceC5, AnOwnerWhosePidWasAnOrphansStaysAlive) {
  Gate first_ready;
  Child first = Child::start(owner_until_killed(first_ready));
  ASSERT_TRUE(first_ready.wait());
  const pid_t pid = first.pid();
  first.kill();
  Gate second_ready;
  auto second = Child::start_by([&] { return fork_as(pid); }, owner_until_killed(second_ready));
  if (!second) {
    reap_all();
    GTEST_SKIP() << "expected skip: this environment does not let a test choose a pid";
  }
  ASSERT_TRUE(second_ready.wait());
  EXPECT_EQ(reap_all().count(ReapVerdict::live), 1u);
  EXPECT_EQ(names().size(), 2u);
  expect_only_whole_segments();
  second->kill();
  EXPECT_EQ(reap_all().count(ReapVerdict::removed), 1u);
}

/// An owner in another pid namespace shares the directory. No process here has its pid; a reaper that asked for the pid
/// would remove a live segment.
TEST_F(AcceptanceC5, AnOwnerInAnotherPidNamespaceStaysAlive) {
  Gate ready;
  const pid_t pid = unused_pid();
  const auto owner = owner_until_killed(ready);
  auto init = Child::start_by(&fork_into_pid_namespace, [&]() -> std::string {
    auto inner = Child::start_by([&] { return fork_as(pid); }, owner);
    return inner ? inner->join() : "no pid could be chosen";
  });
  if (!init || !ready.wait()) GTEST_SKIP() << "expected skip: this environment gives no pid namespace";
  ASSERT_NE(::kill(pid, 0), 0) << "a process here has the owner's pid: the test would show nothing";
  EXPECT_TRUE(exists("theus:" + session() + ":" + std::to_string(pid) + ":frame"));
  EXPECT_EQ(reap_all().count(ReapVerdict::live), 1u);
  EXPECT_EQ(names().size(), 2u);
  init->kill();  // the first process of a namespace takes the rest with it
  EXPECT_EQ(reap_all().count(ReapVerdict::removed), 1u);
}

/// Two namespaces, one session, and both owners have the pid 1: the second must neither get the first one's names nor
/// remove them.
TEST_F(AcceptanceC5, TwoOwnersWithOnePidInTwoNamespacesCannotMix) {
  Gate ready;
  auto first = Child::start_by(&fork_into_pid_namespace, owner_until_killed(ready));
  if (!first || !ready.wait()) GTEST_SKIP() << "expected skip: this environment gives no pid namespace";
  auto second = Child::start_by(&fork_into_pid_namespace, [&] {
    engine::become_main();
    return expect_refusal(SegmentOwner::open(options()), SegmentErrc::busy);
  });
  ASSERT_TRUE(second);
  EXPECT_EQ(second->join(), "");
  EXPECT_EQ(names().size(), 2u);
  first->kill();
  EXPECT_EQ(reap_all().count(ReapVerdict::removed), 1u);
}

/// Heartbeats would declare it dead.
TEST_F(AcceptanceC5, AStoppedOwnerStaysAlive) {
  Gate ready;
  Child owner = Child::start(owner_until_killed(ready));
  ASSERT_TRUE(ready.wait());
  owner.stop();
  EXPECT_EQ(reap_all().count(ReapVerdict::live), 1u);
  EXPECT_EQ(names().size(), 2u);
  owner.resume();
  owner.kill();
  EXPECT_EQ(reap_all().count(ReapVerdict::removed), 1u);
}

}  // namespace
}  // namespace touchstone::chaos
