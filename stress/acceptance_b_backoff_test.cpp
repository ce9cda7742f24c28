// Acceptance B1 to B3, B9 and B11: back-off, crowds, and effects of bodies that ran more than once. Real threads: waits are only
// ever checked from below.

#include <gtest/gtest.h>

#include <algorithm>
#include <climits>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "engine/store.h"
#include "harness/seed.h"
#include "stress/acceptance.h"
#include "stress/crowd.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;
using Native = NativePlatform;
using std::chrono::milliseconds;

std::uint64_t seed() {
  return harness::Seed::of_process().value();
}

EngineRig make(StoreOptions options) {
  return EngineRig(std::move(options));
}

void increment(Context<Native>& ctx, std::string_view path) {
  const auto n = ctx.read(path);
  ctx.set(path, n ? n->integer() + 1 : 1);
}

// Danger: the wait is off by one exponent, its jitter reaches into the next band, or the shift overflows once a retry count is
// large. Pure: ten thousand draws a retry must lie in [2^n, 1.5 * 2^n) ms and, being uniform, come near both ends.
TEST(AcceptanceB1, WaitsOfRetriesOneToFiveLieInTheirBandsAndAreCappedLater) {
  const Backoff backoff{milliseconds(1), 5};
  Native::random random(seed(), 1);
  for (const int retry : {1, 2, 3, 4, 5, 6, 7, 31, 32, 63, 64, 65, INT_MAX}) {
    const Duration least = milliseconds(1 << std::min(retry, 5)), most = least + least / 2;
    Duration low = Duration::max(), high{0};
    for (int draw = 0; draw < 10'000; ++draw) {
      const Duration wait = backoff.draw(retry, random);
      low = std::min(low, wait);
      high = std::max(high, wait);
    }
    EXPECT_GE(low, least) << "retry " << retry;
    EXPECT_LT(high, most) << "retry " << retry;
    EXPECT_LT(low, least + least / 20) << "retry " << retry << ": the jitter is not uniform";
    EXPECT_GT(high, most - least / 20) << "retry " << retry << ": the jitter is not uniform";
  }
  for (int cap = 0; cap <= 100; ++cap) {
    for (int retry = 1; retry <= 100; ++retry) {
      EXPECT_GT((Backoff{milliseconds(1), cap}.wait(retry)), Duration(0))
          << "cap " << cap << ", retry " << retry;
    }
  }
}

TEST(AcceptanceB1, AnExecuteWaitsLongerBeforeEachRetry) {
  an_execute_waits_longer_before_each_retry(make, seed());
}

TEST(AcceptanceB2, FiftyWorkersIncrementOneCounterAndEachIsCommitted) {
  fifty_workers_increment_one_counter(make, seed());
}

// Danger: fifty workers retry in lockstep. The streams of their jitter must differ, so that their first retries spread over the band.
TEST(AcceptanceB2, FiftyWorkersDrawFiftyWaits) {
  constexpr int kWorkers = 50;
  std::set<Duration> waits;
  for (std::uint64_t stream = 1; stream <= kWorkers; ++stream) {
    Native::random jitter(seed(), stream);
    waits.insert(Backoff{milliseconds(1), 5}.draw(1, jitter));
  }
  EXPECT_EQ(waits.size(), static_cast<std::size_t>(kWorkers)) << "two workers wait for the same time";
  EXPECT_GT(*waits.rbegin() - *waits.begin(), std::chrono::microseconds(500));
}

TEST(AcceptanceB3, ASlowWorkerCommitsThreeOfThreeAmongFiveFastOnes) {
  a_slow_worker_commits_among_fast_ones(make, seed());
}

// The same danger without an end: the fast workers go on until the slow one has its three commits, so that nothing but the ticket
// can give it a turn. The fast ones give up after twenty thousand rounds, so that a broken ticket fails here instead of hanging.
TEST(AcceptanceB3, ASlowWorkerCommitsWhileTheFastOnesNeverStop) {
  Store<> store({.seed = seed()});
  std::atomic<bool> slow_is_done{false};
  std::atomic<int> commits{0};
  together(4, [&](int i) {
    auto worker = store.worker();
    auto process = store.process("work", {.outputs = {"counter"}}, [i](Context<Native>& ctx) {
      increment(ctx, "counter");
      Native::sleep_until(Native::now() +
                          (i == 0 ? Duration(milliseconds(10)) : Duration(std::chrono::microseconds(50))));
    });
    for (int round = 0; i == 0 ? round < 3 : round < 20'000 && !slow_is_done.load(); ++round) {
      const auto result = store.execute(worker, process);
      EXPECT_TRUE(result.committed());
      EXPECT_LE(result.effort.conflicts, 5 + result.effort.expiries);
      EXPECT_LE(result.effort.attempts, 6 + result.effort.expiries);
      commits.fetch_add(1);
    }
    if (i == 0) slow_is_done.store(true);
  });
  EXPECT_EQ(store.read("counter"), Value(commits.load()));
  EXPECT_GE(store.statistics().grants, 1u);
}

// Danger: all who wait at the gate wake at the same moment, submit together, and most of them conflict. Sixteen executions wait
// until the holder commits; their keys differ, so each commits on its next try and its commit says when it woke. The oracle: each
// must wait for the draw of its own stream, which the test repeats; and sixteen uniform draws do not lie within a quarter.
TEST(AcceptanceB9, WaitersWakeSpreadOutAfterBusy) {
  constexpr int kWaiters = 16;
  constexpr Duration kBase = milliseconds(20);
  Store<> store({.backoff_base = kBase, .lease_least = std::chrono::hours(1), .seed = seed()});
  store.compare_and_swap(0, WriteSet{}.set("n", 0));
  auto holder = store.worker({.failures = 4});
  store.compare_and_swap(0, WriteSet{}.set("n", 1), &holder);
  ASSERT_EQ(holder.ticket(), TicketStatus::holding);
  std::vector<Duration> draws;
  for (std::uint64_t stream = 101; stream <= 100 + kWaiters; ++stream) {
    Native::random jitter(seed(), stream);
    draws.push_back(
        Duration(static_cast<std::int64_t>(jitter.below(static_cast<std::uint64_t>(kBase.count())))));
  }
  const auto [soonest, latest] = std::minmax_element(draws.begin(), draws.end());
  EXPECT_GT(*latest - *soonest, kBase / 4);
  Time released{};
  together(kWaiters + 1, [&](int i) {
    if (i == kWaiters) {
      while (store.statistics().busy < kWaiters) std::this_thread::yield();
      released = Native::now();
      EXPECT_TRUE(
          std::holds_alternative<Committed>(store.compare_and_swap(1, WriteSet{}.set("n", 1), &holder)));
      return;
    }
    auto worker = store.worker({.stream = 101 + static_cast<std::uint64_t>(i)});
    const std::string key = "key" + std::to_string(i);
    auto process = store.process("p", {.outputs = {key}}, [&](Context<Native>& ctx) { ctx.set(key, 1); });
    const auto result = store.execute(worker, process);
    const Time woken = Native::now();
    EXPECT_TRUE(result.committed());
    EXPECT_EQ(result.effort.attempts, 1) << "Busy resubmits the same attempt";
    EXPECT_EQ(result.effort.closings_waited, 1);
    EXPECT_GE(woken, released + draws[static_cast<std::size_t>(i)])
        << "waiter " << i << " woke before its time";
  });
}

// Danger: effects of failed attempts are published, or a committed body's twice, out of order, or before its commit. Interleaving:
// the counter of B2, with a body that emits what it is about to write. The oracle: effects are published on the committing thread
// after the install, so a snapshot taken in the sink already shows the value, each value from 1 to the last occurs once for
// each of the two topics, and of one commit `begin` comes before `end`.
TEST(AcceptanceB11, EffectsArePublishedOnceAfterTheCommitAndNeverForAFailedAttempt) {
  constexpr int kWorkers = 8, kRounds = 25;
  std::mutex mutex;
  std::map<std::int64_t, std::vector<std::string>> published;
  Store<>* the_store = nullptr;
  const auto sink = [&](const Effect& effect) {
    const auto snapshot = the_store->snapshot();
    EXPECT_GE(snapshot.version(), effect.version);
    EXPECT_GE(snapshot.read("counter")->integer(), effect.payload.integer());
    const std::lock_guard lock(mutex);
    EXPECT_EQ(effect.version, static_cast<Version>(effect.payload.integer()) + 1);
    published[effect.payload.integer()].push_back(effect.topic);
  };
  Store<> store({.backoff_base = std::chrono::microseconds(50), .seed = seed(), .sink = sink});
  the_store = &store;
  store.compare_and_swap(0, WriteSet{}.set("counter", 0));
  together(kWorkers, [&](int) {
    auto worker = store.worker();
    auto process = store.process("count", {.outputs = {"counter"}}, [](Context<Native>& ctx) {
      const auto next = ctx.read("counter")->integer() + 1;
      ctx.emit("begin", next);
      std::this_thread::yield();
      ctx.set("counter", next);
      ctx.emit("end", next);
    });
    for (int round = 0; round < kRounds; ++round) EXPECT_TRUE(store.execute(worker, process).committed());
  });
  ASSERT_EQ(published.size(), static_cast<std::size_t>(kWorkers * kRounds));
  for (const auto& [value, topics] : published) {
    EXPECT_EQ(topics, (std::vector<std::string>{"begin", "end"}))
        << "effects of the commit that wrote " << value;
  }
}

TEST(AcceptanceB11, ABodyThatRanFourTimesPublishesOnceAndASinksExceptionLeavesTheCommitStanding) {
  a_body_that_ran_four_times_publishes_once(make);
}

}  // namespace
}  // namespace touchstone::stress
