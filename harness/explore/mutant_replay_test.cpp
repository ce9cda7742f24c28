// Replay, proven on a bug: an engine that looks at a path's version before it has locked it (harness/mutants/08). This file alone is
// compiled against that engine. (That the engine without it passes: store_schedule_test.cpp.)

#include <gtest/gtest.h>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"
#include "harness/seed.h"

namespace touchstone::harness::explore {
namespace {

using namespace touchstone::engine;
using P = ControlledPlatform;

constexpr int kFailures = 1'000;

/// Two additions to a counter, with as many attempts by hand as it takes.
void additions() {
  Store<P> store({.backoff = false, .ticket = false});
  store.compare_and_swap(0, WriteSet{}.set("n", 0));
  const auto add = [&] {
    auto worker = store.worker();
    const auto process = store.process("add", {.inputs = {"n"}, .outputs = {"n"}}, [](Context<P>& context) {
      context.set("n", context.read("n")->integer() + 1);
    });
    store.execute(worker, process);
  };
  P::thread a(add);
  P::thread b(add);
  a.join();
  b.join();
  require(store.read("n")->integer() == 2, "an addition was lost");
}

// A schedule goes through its text, as it does by way of a person, and comes back as the same failure, drawn the same to the last
// line, twice. Half of the schedules are shrunk; the other half are as long as they were found.
TEST(MutantReplay, AThousandRandomFailingSeedsOfAPlantedBugComeBackExactly) {
  Stream seeds = Seed::of_process().stream("mutant replay");
  int failures = 0;
  for (int tries = 0; failures < kFailures && tries < 100 * kFailures; ++tries) {
    const Report found = portfolio(
        additions,
        {.seed = seeds.next(), .executions = 50, .shrink = tries % 2 == 0, .determinism_checks = 0});
    if (!found.failure) continue;
    ++failures;
    const std::optional<Schedule> schedule = Schedule::parse(found.failure->schedule.text());
    ASSERT_TRUE(schedule);
    const Report first = replay(additions, *schedule);
    const Report second = replay(additions, *schedule);
    ASSERT_TRUE(first.failure && second.failure) << found;
    ASSERT_EQ(first.failure->failure.message, "an addition was lost");
    ASSERT_EQ(first.failure->columns, second.failure->columns);
    if (tries % 2 == 0) {
      ASSERT_EQ(first.failure->columns, found.failure->columns);
    }
  }
  EXPECT_EQ(failures, kFailures);
}

}  // namespace
}  // namespace touchstone::harness::explore
