#include "harness/explore/script.h"

#include <gtest/gtest.h>

#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"

namespace touchstone::harness::explore {
namespace {

using P = ControlledPlatform;
using std::chrono::milliseconds;

/// A store under a lock, and a lease that a sleeper lets expire.
struct Leased {
  P::mutex lock;
  P::atomic<int> owner{0};
  std::string order;

  void hold(const char* name, int self, engine::Duration work) {
    lock.lock();
    P::fault_point("locked");
    owner.store(self);
    order += name;
    lock.unlock();
    P::fault_point("unlocked");
    if (work != engine::Duration::zero()) P::sleep_until(P::now() + work);
    order += owner.load() == self ? "+" : "-";
  }
};

Body two_holders(std::string expected) {
  return [expected] {
    Leased leased;
    P::thread a = P::thread::named("A", [&] { leased.hold("a", 1, milliseconds(60)); });
    P::thread b = P::thread::named("B", [&] { leased.hold("b", 2, milliseconds(0)); });
    a.join();
    b.join();
    require(leased.order == expected, "the order is " + leased.order);
  };
}

TEST(Script, RunsThreadsExactlyAsWritten) {
  Script late;
  late.run("A")
      .until("unlocked")
      .run("B")
      .to_end()
      .run("A")
      .until_blocked()
      .advance(milliseconds(60))
      .run("A")
      .to_end();
  EXPECT_TRUE(passes(scripted(two_holders("ab+-"), late)));
  Script early;
  early.run("A").until_blocked().advance(milliseconds(60)).run("A").to_end().run("B").to_end();
  EXPECT_TRUE(passes(scripted(two_holders("a+b+"), early)));
  Script other_way;
  other_way.run("B")
      .until("locked")
      .run("A")
      .until_blocked()
      .run("B")
      .until("unlocked")
      .run("A")
      .until("locked");
  EXPECT_TRUE(passes(scripted(two_holders("ba-+"), other_way)));
}

TEST(Script, SaysWhyAStepIsImpossible) {
  Script blocked;
  blocked.run("A").until("locked").run("B").until("locked");
  const Report report = scripted(two_holders(""), blocked);
  ASSERT_TRUE(report.failure);
  EXPECT_EQ(report.failure->failure.kind, FailureKind::misuse);
  EXPECT_NE(report.failure->failure.message.find("B cannot reach locked: it is blocked at lock of x0"),
            std::string::npos)
      << report;
  Script unknown;
  unknown.run("C").to_end();
  const Report nobody = scripted(two_holders(""), unknown);
  ASSERT_TRUE(nobody.failure);
  EXPECT_NE(nobody.failure->failure.message.find("a thread C"), std::string::npos) << nobody;
}

TEST(Script, PassesAFaultPointWhenToldToReachItAgain) {
  const Body body = [] {
    P::atomic<int> rounds{0};
    P::thread a = P::thread::named("A", [&] {
      for (int i = 0; i < 3; ++i) {
        P::fault_point("round");
        rounds.fetch_add(1);
      }
    });
    P::thread b = P::thread::named("B", [&] { require(rounds.load() == 2, "two rounds had passed"); });
    a.join();
    b.join();
  };
  Script script;
  script.run("A").until("round").run("A").until("round").run("A").until("round").run("B").to_end();
  EXPECT_TRUE(passes(scripted(body, script)));
}

}  // namespace
}  // namespace touchstone::harness::explore
