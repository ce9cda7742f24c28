// Acceptance A8 to A11 and A13: contracts, pinned readers, isolation, and the ways in which an execute() ends. Real threads.

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "engine/store.h"
#include "stress/acceptance.h"
#include "stress/crowd.h"
#include "stress/observed.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;
using Native = NativePlatform;

constexpr Duration kShort = std::chrono::microseconds(1);

EngineRig make(StoreOptions options) {
  return EngineRig(std::move(options));
}

TEST(AcceptanceA8, ARootOutputLosesTheMergesThatAGranularOneKeeps) {
  a_root_output_loses_merges(make);
}

// The same on a crowd: eight workers, a leaf each. With granular outputs nobody can conflict whatever the interleaving; with root
// outputs the rounds still all commit.
TEST(AcceptanceA8, EightWorkersOnTheirOwnLeavesNeverConflictWithGranularOutputs) {
  constexpr int kWorkers = 8, kRounds = 100;
  for (const bool granular : {true, false}) {
    Store<> store({.backoff_base = kShort});
    together(kWorkers, [&](int i) {
      const std::string leaf = "domain.sensor" + std::to_string(i);
      auto worker = store.worker();
      auto process =
          store.process("sense", {.outputs = {granular ? leaf : "domain"}}, [&](Context<Native>& ctx) {
            const auto seen = ctx.read(leaf);
            std::this_thread::yield();
            ctx.set(leaf, seen ? seen->integer() + 1 : 1);
          });
      for (int round = 0; round < kRounds; ++round) EXPECT_TRUE(store.execute(worker, process).committed());
    });
    for (int i = 0; i < kWorkers; ++i)
      EXPECT_EQ(store.read("domain.sensor" + std::to_string(i)), Value(kRounds));
    if (granular) {
      EXPECT_EQ(store.statistics().conflicts, 0u);
    }
  }
}

TEST(AcceptanceA9, AWriteOutsideTheDeclaredOutputsIsATypedErrorBeforeTheCommit) {
  a_write_outside_the_contract_is_refused(make);
}

// Danger: a value is changed or freed under a reader's feet, or kept for ever. Interleaving: two writers pass a thousand commits
// over ten keys, with erases among them, while pinned readers read all keys again and again. The oracle: each reader compares
// with what it read first; and of the values only a store's own count says what is left: ten more with the pins than without.
TEST(AcceptanceA10, APinnedReaderReadsItsVersionWhileAThousandCommitsPass) {
  constexpr int kKeys = 10, kCommits = 1'000;
  Store<> store;
  const Pinned seen = pass_by_a_pinned_reader(store, kKeys, kCommits);
  EXPECT_FALSE(seen.torn);
  EXPECT_EQ(seen.commits, static_cast<std::uint64_t>(kCommits));
  EXPECT_EQ(seen.values_for_it, static_cast<std::uint64_t>(kKeys))
      << "one old value of each key was for the pinned reader";
  EXPECT_EQ(seen.snapshots_open, 0u);
}

TEST(AcceptanceA11, WriteSkewIsAllowedByDefaultAndRefusedWhenReadsAreValidated) {
  write_skew_is_what_the_mode_says(make);
}

// Danger: a body commits to the store that is running it, under its own or another handle: it would see and produce a state that
// no single attempt has, and a holder would wait for itself. The oracle: each form is a typed error, the body can go on, and the
// commit that it then makes is the only one.
TEST(AcceptanceA13, ACommitOrExecuteInsideABodyIsATypedError) {
  Store<> store, neighbour;
  auto worker = store.worker({.failures = 4});
  auto other = store.worker();
  store.compare_and_swap(0, WriteSet{}.set("a", 0));
  auto inner = store.process("inner", {.outputs = {"b"}}, [](Context<Native>& ctx) { ctx.set("b", 1); });
  auto outer = store.process("outer", {.outputs = {"a"}}, [&](Context<Native>& ctx) {
    for (auto* handle : {static_cast<Worker<Native>*>(nullptr), &worker, &other}) {
      const auto result = store.compare_and_swap(store.version(), WriteSet{}.set("b", 1), handle);
      EXPECT_EQ(std::get<Rejected>(result).code, ErrorCode::nested_commit);
    }
    for (auto* handle : {&worker, &other}) {
      EXPECT_EQ(std::get<Rejected>(store.execute(*handle, inner).outcome).code, ErrorCode::nested_commit);
    }
    EXPECT_TRUE(std::holds_alternative<Committed>(neighbour.compare_and_swap(0, WriteSet{}.set("b", 1))));
    ctx.set("a", 1);
  });
  EXPECT_TRUE(store.execute(worker, outer).committed());
  EXPECT_EQ(store.version(), 2u);
  EXPECT_FALSE(store.read("b"));
  EXPECT_TRUE(store.execute(other, inner).committed()) << "after the body everything is as before";
}

TEST(AcceptanceA13, StopDeadlineAndAttemptLimitAreTypedResultsAndGiveTheTicketBack) {
  limits_are_typed_results_and_give_the_ticket_back(make);
}

TEST(AcceptanceA13, AWaitAtAClosedGateEndsByStopAndByDeadline) {
  a_wait_at_a_closed_gate_ends_by_stop_and_by_deadline(make);
}

}  // namespace
}  // namespace touchstone::stress
