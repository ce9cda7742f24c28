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
#include "stress/crowd.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;
using Native = NativePlatform;
using std::chrono::milliseconds;

std::uint64_t seed() {
  return harness::Seed::of_process().value();
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

// Danger: execute() computes the right wait and does not wait it, or starts the series anew. A rival changes the output under
// every attempt, so the retries are certain; the ticket is off, as it would end the series. Each attempt notes when it began.
TEST(AcceptanceB1, AnExecuteWaitsLongerBeforeEachRetry) {
  Store<> store({.ticket = false, .seed = seed()});
  auto worker = store.worker();
  std::vector<Time> begun;
  auto process = store.process("unlucky", {.outputs = {"n"}}, [&](Context<Native>& ctx) {
    begun.push_back(Native::now());
    by_somebody_else([&] { store.compare_and_swap(store.version(), WriteSet{}.set("n", 0)); });
    ctx.set("n", 1);
  });
  const auto result = store.execute(worker, process, {.attempts = 7});
  EXPECT_TRUE(std::holds_alternative<AttemptsExhausted>(result.outcome));
  ASSERT_EQ(begun.size(), 7u);
  for (int retry = 1; retry <= 6; ++retry) {
    const auto n = static_cast<std::size_t>(retry);
    EXPECT_GE(begun[n] - begun[n - 1], milliseconds(1 << std::min(retry, 5))) << "before retry " << retry;
  }
  EXPECT_GE(result.effort.waited, milliseconds(2 + 4 + 8 + 16 + 32 + 32));
  EXPECT_GE(store.statistics().backoff_us, 94'000u);
}

// Danger: fifty workers that read the same counter overwrite one another, give up, or retry in lockstep. The body sleeps between
// its read and its write, so that attempts overlap. The oracle: a lost update would leave the counter short; the bound of attempts
// holds for each of them; and the streams of the workers' jitter must differ, so that their first retries spread over the band.
TEST(AcceptanceB2, FiftyWorkersIncrementOneCounterAndEachIsCommitted) {
  constexpr int kWorkers = 50;
  Store<> store({.seed = seed()});
  store.compare_and_swap(0, WriteSet{}.set("counter", 0));
  std::mutex mutex;
  std::vector<Effort> efforts;
  together(kWorkers, [&](int) {
    auto worker = store.worker();
    auto process = store.process("increment", {.outputs = {"counter"}}, [](Context<Native>& ctx) {
      const auto n = ctx.read("counter")->integer();
      Native::sleep_until(Native::now() + std::chrono::microseconds(200));
      ctx.set("counter", n + 1);
    });
    const auto result = store.execute(worker, process);
    EXPECT_TRUE(result.committed());
    const std::lock_guard lock(mutex);
    efforts.push_back(result.effort);
  });
  EXPECT_EQ(store.read("counter"), Value(kWorkers));
  EXPECT_EQ(store.version(), 1u + kWorkers);
  int conflicts = 0;
  for (const Effort& effort : efforts) {
    EXPECT_LE(effort.conflicts, 5 + effort.expiries);
    EXPECT_LE(effort.attempts, 6 + effort.expiries);
    conflicts += effort.conflicts;
  }
  EXPECT_GT(conflicts, 0) << "fifty sleeping bodies never met: this run has shown nothing";
  std::set<Duration> waits;
  for (std::uint64_t stream = 1; stream <= kWorkers; ++stream) {
    Native::random jitter(seed(), stream);
    waits.insert(Backoff{milliseconds(1), 5}.draw(1, jitter));
  }
  EXPECT_EQ(waits.size(), static_cast<std::size_t>(kWorkers)) << "two workers wait for the same time";
  EXPECT_GT(*waits.rbegin() - *waits.begin(), std::chrono::microseconds(500));
}

// Danger: fast workers change the counter within every attempt of a slow one, which then never commits. The oracle is the bound
// of attempts, and the counter: no update of anybody is lost on the way.
TEST(AcceptanceB3, ASlowWorkerCommitsThreeOfThreeAmongFiveFastOnes) {
  Store<> store({.seed = seed()});
  together(6, [&](int i) {
    auto worker = store.worker();
    const Duration work = i == 0 ? milliseconds(20) : milliseconds(1);
    auto process = store.process("work", {.outputs = {"counter"}}, [work](Context<Native>& ctx) {
      increment(ctx, "counter");
      Native::sleep_until(Native::now() + work);
    });
    for (int round = 0; round < (i == 0 ? 3 : 10); ++round) {
      const auto result = store.execute(worker, process);
      EXPECT_TRUE(result.committed());
      EXPECT_LE(result.effort.conflicts, 5 + result.effort.expiries);
      EXPECT_LE(result.effort.attempts, 6 + result.effort.expiries);
    }
  });
  EXPECT_EQ(store.read("counter"), Value(53));
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

// Danger: a body that failed k times publishes k times; one that ends without a commit publishes at all; a sink that throws makes
// a commit look failed, or is called again. The attempts are made to fail by a rival inside the body: no chance is involved.
TEST(AcceptanceB11, ABodyThatRanFourTimesPublishesOnceAndASinksExceptionLeavesTheCommitStanding) {
  std::vector<std::int64_t> published;
  Store<> store({.backoff_base = Duration(1000), .sink = [&](const Effect& effect) {
                   published.push_back(effect.payload.integer());
                   if (effect.topic == "poison") throw std::runtime_error("the sink is full");
                 }});
  auto worker = store.worker();
  int runs = 0;
  auto process = store.process("p", {.outputs = {"n", "leftover"}}, [&](Context<Native>& ctx) {
    ctx.emit("poison", ++runs);
    ctx.emit("after", 100 + runs);
    if (runs < 4) by_somebody_else([&] { store.compare_and_swap(store.version(), WriteSet{}.set("n", 0)); });
    if (runs < 4) ctx.set("leftover", runs);
    ctx.set("n", runs);
  });
  const auto result = store.execute(worker, process);
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(result.effort.attempts, 4);
  EXPECT_EQ(published, (std::vector<std::int64_t>{4, 104}));
  ASSERT_TRUE(result.effect_error);
  EXPECT_THROW(std::rethrow_exception(result.effect_error), std::runtime_error);
  EXPECT_EQ(store.read("n"), Value(4));
  EXPECT_FALSE(store.read("leftover")) << "a write of a failed attempt was committed with the retry";
  EXPECT_EQ(store.statistics().effect_errors, 1u);

  auto throws = store.process("throws", {.outputs = {"n"}}, [&](Context<Native>& ctx) {
    ctx.emit("never", 1);
    throw std::runtime_error("the body gave up");
  });
  EXPECT_THROW(store.execute(worker, throws), std::runtime_error);
  EXPECT_EQ(published.size(), 2u);
}

}  // namespace
}  // namespace touchstone::stress
