// Acceptance A8 to A11 and A13: contracts, pinned readers, isolation, and the ways in which an execute() ends. Real threads.

#include <gtest/gtest.h>

#include <latch>
#include <string>
#include <utility>
#include <vector>

#include "engine/store.h"
#include "stress/crowd.h"
#include "stress/observed.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;
using Native = NativePlatform;
using Body = Process<Native>::Body;

constexpr Duration kShort = std::chrono::microseconds(1);

void put(Store<>& store, const std::string& path, Value value) {
  by_somebody_else([&] {
    EXPECT_TRUE(std::holds_alternative<Committed>(
        store.compare_and_swap(store.version(), WriteSet{}.set(path, std::move(value)))));
  });
}

/// What a process with this output goes through when somebody writes domain.lidar under its body's feet.
struct Told {
  Effort effort;
  Statistics statistics;
};

Told camera_beside_a_lidar(const char* output) {
  Store<> store({.backoff_base = kShort});
  put(store, "domain", Composite{{"camera_data", 0}, {"lidar", 0}});
  auto worker = store.worker();
  int runs = 0;
  auto camera = store.process("camera", {.outputs = {output}}, [&](Context<Native>& ctx) {
    if (++runs <= 3) put(store, "domain.lidar", runs);
    ctx.set("domain.camera_data", runs);
  });
  const auto result = store.execute(worker, camera);
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(to_text(*store.read("domain")),
            "{camera_data: " + std::to_string(runs) + ", lidar: " + std::to_string(std::min(runs, 3)) + "}");
  return {result.effort, store.statistics()};
}

// Danger: a root output is validated as if only the leaf it wrote counted (a write below it goes unseen), or a granular one as if
// its neighbours counted (merges lost). The rival commits inside the body, so every attempt certainly overlaps one. The oracle:
// the declared outputs are the footprint: domain.lidar lies inside "domain" and outside "domain.camera_data".
TEST(AcceptanceA8, ARootOutputLosesTheMergesThatAGranularOneKeeps) {
  const Told granular = camera_beside_a_lidar("domain.camera_data");
  EXPECT_EQ(granular.effort.attempts, 1);
  EXPECT_EQ(granular.statistics.conflicts, 0u);
  EXPECT_EQ(granular.statistics.commits_merged, 1u);
  const Told root = camera_beside_a_lidar("domain");
  EXPECT_EQ(root.effort.attempts, 4) << "three rivals, three lost merges";
  EXPECT_EQ(root.statistics.conflicts, 3u);
  EXPECT_EQ(root.statistics.commits_merged, 0u);
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

// Danger: a write outside the contract reaches the state, alone or beside declared ones, or is told from a declared one only by
// its spelling ("domain.cam" is a prefix of "domain.camera", not its ancestor). No threads: a contract is checked before any
// commit, so nothing at all may change, and the error must name the path.
TEST(AcceptanceA9, AWriteOutsideTheDeclaredOutputsIsATypedErrorBeforeTheCommit) {
  int effects = 0;
  Store<> store({.sink = [&](const Effect&) { ++effects; }});
  auto worker = store.worker();
  for (const char* stray : {"other", "domain", "domain.cam", "domain.camera2", "domain.camer.a"}) {
    for (const bool erases : {false, true}) {
      auto process = store.process("stray", {.inputs = {stray}, .outputs = {"domain.camera"}},
                                   [&](Context<Native>& ctx) {
                                     ctx.emit("event", 1);
                                     ctx.set("domain.camera.frame", 1);
                                     erases ? ctx.erase(stray) : ctx.set(stray, 1);
                                   });
      const auto result = store.execute(worker, process);
      const auto& rejected = std::get<Rejected>(result.outcome);
      EXPECT_EQ(rejected.code, ErrorCode::undeclared_write);
      EXPECT_NE(rejected.what.find(stray), std::string::npos) << rejected.what;
      EXPECT_EQ(result.effort.attempts, 1) << "a broken contract is not retried";
    }
  }
  EXPECT_EQ(store.version(), 0u);
  EXPECT_FALSE(store.read("domain"));
  EXPECT_EQ(effects, 0);
  auto inside = store.process("inside", {.outputs = {"domain.camera"}}, [](Context<Native>& ctx) {
    ctx.set("domain.camera", Composite{{"frame", 1}});
    ctx.erase("domain.camera.frame");
    ctx.set("domain.camera.frame.pixels", 2);
  });
  EXPECT_TRUE(store.execute(worker, inside).committed());
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

// Write skew: both bodies read {a, b}, see that one of the two may be taken, and take one each. Both bodies have read before
// either commits (the latch), so no schedule can hide it. The source validates written keys only, so by default both commit, and
// the rule "at least one stays" is broken; a store that validates reads refuses the second one, whose retry then sees the first.
TEST(AcceptanceA11, WriteSkewIsAllowedByDefaultAndRefusedWhenReadsAreValidated) {
  for (const bool validate : {false, true}) {
    Store<> store({.validate_reads = validate, .backoff_base = kShort});
    store.compare_and_swap(0, WriteSet{}.set("on_call.a", 1).set("on_call.b", 1));
    std::latch both_have_read(2);
    std::atomic<int> conflicts{0};
    together(2, [&](int i) {
      const std::string mine = i == 0 ? "on_call.a" : "on_call.b";
      auto worker = store.worker();
      bool first = true;
      auto process =
          store.process("leave", {.inputs = {"on_call"}, .outputs = {mine}}, [&](Context<Native>& ctx) {
            const auto a = ctx.read("on_call.a")->integer(), b = ctx.read("on_call.b")->integer();
            if (std::exchange(first, false)) both_have_read.arrive_and_wait();
            ctx.set(mine, a + b == 2 ? 0 : 1);
          });
      const auto result = store.execute(worker, process);
      EXPECT_TRUE(result.committed());
      conflicts.fetch_add(result.effort.conflicts);
    });
    const auto left = store.read("on_call.a")->integer() + store.read("on_call.b")->integer();
    EXPECT_EQ(left, validate ? 1 : 0);
    EXPECT_EQ(conflicts.load(), validate ? 1 : 0);
  }
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

/// An execute() that can never commit: somebody changes its output under each of its attempts, while the gate lets them.
ExecuteResult hopeless(Store<>& store, Worker<Native>& worker, const Limits<Native>& limits,
                       const Body& extra = {}) {
  auto process = store.process("hopeless", {.outputs = {"n"}}, [&](Context<Native>& ctx) {
    by_somebody_else([&] { store.compare_and_swap(store.version(), WriteSet{}.set("n", 0)); });
    if (extra) extra(ctx);
    ctx.set("n", 1);
    ctx.emit("event", 1);
  });
  return store.execute(worker, process, limits);
}

// Danger: a stop token, deadline or attempt limit ends an execute() with its ticket still held (everybody is Busy until the lease
// runs out), with an effect published, or after a commit. The worker starts one failure short of the ticket, so that each of
// the three ends meets it with the ticket in its hands, or waiting for one; the store has no back-off to hide behind.
TEST(AcceptanceA13, StopDeadlineAndAttemptLimitAreTypedResultsAndGiveTheTicketBack) {
  int effects = 0;
  Store<> store(
      {.backoff = false, .lease_least = std::chrono::hours(1), .sink = [&](const Effect&) { ++effects; }});
  const auto gate_is_open = [&] {
    return std::holds_alternative<Committed>(
        store.compare_and_swap(store.version(), WriteSet{}.set("probe", 1)));
  };
  {
    auto worker = store.worker({.failures = 4});
    const auto result = hopeless(store, worker, {.attempts = 1});
    EXPECT_TRUE(std::holds_alternative<AttemptsExhausted>(result.outcome));
    EXPECT_EQ(result.effort.conflicts, 1);
    EXPECT_EQ(store.statistics().grants, 1u) << "it ended with the ticket in its hands";
    EXPECT_EQ(worker.ticket(), TicketStatus::none);
    EXPECT_TRUE(gate_is_open());
  }
  {
    auto worker = store.worker({.failures = 4});
    StopFlag<Native> stop;
    const auto result = hopeless(store, worker, {.stop = &stop}, [&](Context<Native>&) { stop.request(); });
    EXPECT_TRUE(std::holds_alternative<Cancelled>(result.outcome));
    EXPECT_EQ(store.statistics().grants, 2u);
    EXPECT_EQ(worker.ticket(), TicketStatus::none);
    EXPECT_TRUE(gate_is_open());
  }
  {
    auto worker = store.worker({.failures = 4});
    const Time deadline = Native::now() + std::chrono::milliseconds(1);
    const auto result = hopeless(store, worker, {.deadline = deadline},
                                 [&](Context<Native>&) { Native::sleep_until(deadline); });
    EXPECT_TRUE(std::holds_alternative<DeadlineExceeded>(result.outcome));
    EXPECT_EQ(store.statistics().grants, 3u);
    EXPECT_EQ(worker.ticket(), TicketStatus::none);
    EXPECT_TRUE(gate_is_open());
  }
  EXPECT_EQ(effects, 0);
  EXPECT_EQ(store.read("n"), Value(0)) << "a 1 would be a hopeless one's commit";
}

// Danger: the three ends are looked at only between attempts, so a worker that waits at a gate which nobody opens waits for ever.
// The holder never commits and its lease is an hour: only the limits can end these, and the watchdog fails the test if not.
TEST(AcceptanceA13, AWaitAtAClosedGateEndsByStopAndByDeadline) {
  Store<> store({.lease_least = std::chrono::hours(1)});
  store.compare_and_swap(0, WriteSet{}.set("n", 0));
  auto holder = store.worker({.failures = 4});
  store.compare_and_swap(0, WriteSet{}.set("n", 1), &holder);
  ASSERT_EQ(holder.ticket(), TicketStatus::holding);
  StopFlag<Native> stop;
  together(3, [&](int i) {
    if (i == 2) {
      while (store.statistics().busy < 2) std::this_thread::yield();
      stop.request();
      return;
    }
    auto worker = store.worker();
    auto process = store.process("p", {.outputs = {"m"}}, [](Context<Native>& ctx) { ctx.set("m", 1); });
    if (i == 0) {
      EXPECT_TRUE(std::holds_alternative<Cancelled>(store.execute(worker, process, {.stop = &stop}).outcome));
    } else {
      const Time deadline = Native::now() + std::chrono::milliseconds(20);
      EXPECT_TRUE(std::holds_alternative<DeadlineExceeded>(
          store.execute(worker, process, {.deadline = deadline}).outcome));
      EXPECT_GE(Native::now(), deadline);
    }
  });
  EXPECT_EQ(store.version(), 1u);
}

}  // namespace
}  // namespace touchstone::stress
