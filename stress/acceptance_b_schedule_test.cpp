// Acceptance B1 and B4 to B11 under control: a virtual clock, threads that stop where they are told, every schedule or many. What is
// promised, and why the oracle is right, is said beside the bodies in stress/scheduled_*.cpp; `touchstone verify` looks at the same
// ones. Time moves only when nothing can run, so here, and only here, waits are checked from above too.

#include "harness/explore/expect.h"
#include "stress/scheduled.h"

namespace touchstone::stress {
namespace {

using harness::explore::Options;
using harness::explore::passes;

testing::AssertionResult holds(const Scheduled& promise, const Options& options) {
  const auto result = passes(look(promise, options));
  if (!result || promise.reached->covers(promise.wanted)) return result;
  return testing::AssertionFailure() << promise.name << ": no schedule reached what this is about";
}

/// Under the ticket, and under the queue per key if it is promised there too.
testing::AssertionResult holds(const char* claim, const std::string& name, const Options& options = {}) {
  auto result = holds(scheduled(claim, name), options);
  for (const Scheduled* promise : all_scheduled_for(claim)) {
    if (result && promise->name == name + "-by-key") result = holds(*promise, options);
  }
  return result;
}

TEST(AcceptanceB1, VirtualWaitsLieStrictlyInTheirBands) {
  EXPECT_TRUE(holds("B1", "bands"));
}

TEST(AcceptanceB1, ABackoffHoldsNothing) {
  EXPECT_TRUE(holds("B1", "in-the-backoff"));
}

TEST(AcceptanceB4, NobodyElsesCommitOrConflictMovesTheFifthOnAnySchedule) {
  EXPECT_TRUE(holds("B4", "last-two-conflicts"));
  EXPECT_TRUE(holds("B4", "five-conflicts"));
}

TEST(AcceptanceB5, TheHoldersNextCommitNeverConflictsOnAnyScheduleWithOneRival) {
  EXPECT_TRUE(holds("B5", "one-rival"));
}

TEST(AcceptanceB5, TheHoldersNextCommitNeverConflictsOnAnySampledSchedule) {
  EXPECT_TRUE(holds("B5", "two-rivals", {.executions = 5'000}));
}

TEST(AcceptanceB5, AReaderNeitherWaitsForTheGateNorSeesHalfOfTheHoldersCommit) {
  EXPECT_TRUE(holds("B5", "reader"));
}

TEST(AcceptanceB6, TwoWorkersThatEarnTheTicketTogetherTakeTurns) {
  EXPECT_TRUE(holds("B6", "together"));
  EXPECT_TRUE(holds("B6", "two-candidates"));
}

TEST(AcceptanceB6, TurnsComeInTheOrderOfArrivalForEveryOrderOfFour) {
  int orders = 0;
  for (const Scheduled* promise : all_scheduled_for("B6")) {
    if (!promise->name.starts_with("order-") || promise->name.ends_with("-by-key")) continue;
    EXPECT_TRUE(holds("B6", promise->name)) << promise->name;
    ++orders;
  }
  EXPECT_EQ(orders, 24);
}

// First come, first served cannot be seen from outside on a sampled schedule, but that there is one holder at a time, that nobody is
// left out, and that nothing is lost can.
TEST(AcceptanceB6, ManyCandidatesNeverMakeTwoHoldersOnAnySampledSchedule) {
  EXPECT_TRUE(holds("B6", "four-candidates", {.executions = 1'500}));
}

TEST(AcceptanceB7, ASlowHoldersLeaseIsSizedFromItsOwnAttempts) {
  EXPECT_TRUE(holds("B7", "slow"));
}

TEST(AcceptanceB7, AHolderThatNeverComesBackBlocksForItsLeaseOnly) {
  EXPECT_TRUE(holds("B7", "dead"));
}

TEST(AcceptanceB7, AnOverstayingHolderCommitsInItsNextTurn) {
  EXPECT_TRUE(holds("B7", "overstays", {.executions = 1'000}));
}

TEST(AcceptanceB7, AHolderThatThrowsOrIsCancelledReopensTheGateOnEverySchedule) {
  EXPECT_TRUE(holds("B7", "throws"));
  EXPECT_TRUE(holds("B7", "cancelled"));
}

TEST(AcceptanceB7, ALateHolderIsFencedOnEverySchedule) {
  EXPECT_TRUE(holds("B7", "late"));
}

TEST(AcceptanceB8, WorkersOfOneProcessShareNothingOnAnySchedule) {
  EXPECT_TRUE(holds("B8", "one-name"));
}

TEST(AcceptanceB9, WaitersGoOnWhenTheGateOpensAndNotWhenALeaseEnds) {
  EXPECT_TRUE(holds("B9", "gate-opens", {.executions = 1'000}));
}

TEST(AcceptanceB9, ADozenWaitersWakeApart) {
  EXPECT_TRUE(holds("B9", "spread"));
}

TEST(AcceptanceB10, TheBoundHoldsOnEveryScheduleOfTwoWorkers) {
  EXPECT_TRUE(holds("B10", "two-workers"));
}

TEST(AcceptanceB10, TheBoundHoldsOnEverySampledSchedule) {
  EXPECT_TRUE(holds("B10", "three-workers", {.executions = 5'000}));
  EXPECT_TRUE(holds("B10", "source-numbers"));
}

TEST(AcceptanceB10, TurnsThatPassWhileAWaiterDoesNotRunAreOneClosing) {
  EXPECT_TRUE(holds("B10", "descheduled"));
}

TEST(AcceptanceB10, WithoutTheTicketThisScheduleStarvesForAnyNumber) {
  for (const char* name : {"starved-10", "starved-40", "starved-160"}) EXPECT_TRUE(holds("B10", name));
}

TEST(AcceptanceB11, EffectsComeOnceAndAfterTheCommitOnEverySchedule) {
  EXPECT_TRUE(holds("B11", "two-workers"));
  EXPECT_TRUE(holds("B11", "three-workers"));
}

}  // namespace
}  // namespace touchstone::stress
