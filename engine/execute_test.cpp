// What one execute() goes through, told exactly: how long it waits and for what, what it counts, and what ends it. The clock is the
// test's, so each number has one right value.

#include "engine/execute.h"

#include <gtest/gtest.h>

#include "engine/store.h"
#include "engine/test_platform.h"

namespace touchstone::engine {
namespace {

using P = StagedPlatform;
using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;

StoreOptions patient(StoreOptions options = {}) {
  options.lease_least = hours(1);
  return options;
}

/// A store with n = 0 at version 1, and rivals who come between.
struct Scene {
  explicit Scene(StoreOptions options = patient()) : store(std::move(options)) { write("n", 0); }

  CommitResult write(const char* path, int value, Worker<P>* by = nullptr) {
    return store.compare_and_swap(store.version(), WriteSet{}.set(path, value), by);
  }

  /// A conflict of a loop by hand.
  void fail(Worker<P>& worker) { store.compare_and_swap(0, WriteSet{}.set("n", 0), &worker); }

  /// Writes n; `times` times somebody else does so between its body and its commit.
  Process<P> contended(int times) {
    return store.process("contended", {.outputs = {"n"}}, [this, left = times](Context<P>& context) mutable {
      context.set("n", 1);
      if (left-- > 0) stage.elsewhere([this] { write("n", 2); });
    });
  }
  Process<P> writing(const char* path) {
    return store.process("writing", {.outputs = {path}},
                         [path](Context<P>& context) { context.set(path, 1); });
  }

  Stage stage;
  Store<P> store;
};

/// A worker that holds the gate until it commits, in a store whose ticket comes with the first conflict.
struct Holder {
  explicit Holder(Scene& of) : scene(of), worker(of.store.worker()) { scene.fail(worker); }
  void commit() { scene.write("held", 1, &worker); }

  Scene& scene;
  Worker<P> worker;
};

template <class Outcome>
bool ended_as(const ExecuteResult& result) {
  return std::holds_alternative<Outcome>(result.outcome);
}

std::array<int, 4> counts(const Effort& effort) {
  return {effort.attempts, effort.conflicts, effort.expiries, effort.closings_waited};
}

/// The buckets that count something.
template <std::size_t n>
std::map<std::size_t, std::uint64_t> filled(const std::array<std::uint64_t, n>& buckets) {
  std::map<std::size_t, std::uint64_t> found;
  for (std::size_t i = 0; i < n; ++i) {
    if (buckets[i] != 0) found.emplace(i, buckets[i]);
  }
  return found;
}

using Buckets = std::map<std::size_t, std::uint64_t>;
using Durations = std::vector<Duration>;

TEST(Effort, OfAnAttemptThatCommitsIsOneRunThatNeverSleepsNorLooksAtTheClock) {
  Scene it;
  auto worker = it.store.worker();
  const ExecuteResult result = it.store.execute(worker, it.writing("m"));
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(counts(result.effort), (std::array{1, 0, 0, 0}));
  EXPECT_EQ(result.effort.waited, Duration(0));
  EXPECT_EQ(it.stage.looks_at_clock, 0);
  EXPECT_TRUE(it.stage.sleeps.empty() && it.stage.waits.empty());
  const Statistics statistics = it.store.statistics();
  EXPECT_EQ(statistics.attempts, 1u);
  EXPECT_EQ(filled(statistics.retries), (Buckets{{0, 1}}));
  EXPECT_EQ(filled(statistics.waits), (Buckets{{0, 1}}));
}

TEST(Effort, ABackOffLastsItsDrawAndIsCountedToTheMicrosecond) {
  Scene it;
  it.stage.draw = [](std::uint64_t) { return 1'234; };
  auto worker = it.store.worker();
  const ExecuteResult result = it.store.execute(worker, it.contended(3));
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(counts(result.effort), (std::array{4, 3, 0, 0}));
  const Duration jitter(1'234);
  EXPECT_EQ(it.stage.sleeps,
            (Durations{milliseconds(2) + jitter, milliseconds(4) + jitter, milliseconds(8) + jitter}));
  EXPECT_EQ(it.stage.bounds, (std::vector<std::uint64_t>{1'000'000, 2'000'000, 4'000'000}));
  EXPECT_EQ(result.effort.waited, milliseconds(14) + 3 * jitter);
  const Statistics statistics = it.store.statistics();
  EXPECT_EQ(statistics.backoff_us, 2'001u + 4'001u + 8'001u);
  EXPECT_EQ(statistics.gate_us, 0u);
  EXPECT_EQ(statistics.attempts, 4u);
  EXPECT_EQ(statistics.conflicts, 3u);
  EXPECT_EQ(filled(statistics.retries), (Buckets{{3, 1}}));
  EXPECT_EQ(filled(statistics.waits), (Buckets{{14, 1}})) << "from 8192 to 16383 microseconds";
  EXPECT_EQ(worker.failures(), 0);
}

TEST(Effort, TheConflictThatEarnsTheTicketIsFollowedByItsTurnAndNoBackOff) {
  Scene it(patient({.ticket_threshold = 2}));
  auto worker = it.store.worker();
  const ExecuteResult result = it.store.execute(worker, it.contended(9));
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(counts(result.effort), (std::array{3, 2, 0, 0})) << "in its turn nobody else commits";
  EXPECT_EQ(it.stage.sleeps, Durations{milliseconds(2)});
  EXPECT_EQ(it.store.statistics().grants, 1u);
  EXPECT_EQ(it.store.statistics().gate_us, 0u);
}

TEST(Effort, ConflictsWithoutBackOffWaitForNothing) {
  Scene it(patient({.backoff = false}));
  auto worker = it.store.worker();
  const ExecuteResult result = it.store.execute(worker, it.contended(1));
  EXPECT_EQ(counts(result.effort), (std::array{2, 1, 0, 0}));
  EXPECT_EQ(result.effort.waited, Duration(0));
  EXPECT_TRUE(it.stage.sleeps.empty() && it.stage.bounds.empty());
  EXPECT_EQ(filled(it.store.statistics().retries), (Buckets{{1, 1}}));
  EXPECT_EQ(filled(it.store.statistics().waits), (Buckets{{0, 1}}));
}

TEST(Effort, TheLastBucketOfConflictsIsAllBeyond) {
  for (const int attempts : {14, 15, 16, 20}) {
    Scene it({.backoff = false, .ticket = false});
    auto worker = it.store.worker();
    const auto result = it.store.execute(worker, it.contended(99), {.attempts = attempts});
    EXPECT_TRUE(ended_as<AttemptsExhausted>(result));
    EXPECT_EQ(counts(result.effort), (std::array{attempts, attempts, 0, 0}));
    EXPECT_EQ(filled(it.store.statistics().retries),
              (Buckets{{static_cast<std::size_t>(std::min(attempts, 15)), 1}}));
    EXPECT_EQ(worker.failures(), attempts);
  }
}

// Busy is no conflict: the same attempt is submitted again, after the gate has opened and a draw below one base has passed.
TEST(Effort, AWaitAtTheGateIsOneClosingAndSpreadsTheWakeUps) {
  Scene it(patient({.ticket_threshold = 1}));
  Holder holder(it);
  it.stage.at(microseconds(300), [&] { holder.commit(); });
  it.stage.draw = [](std::uint64_t) { return 700'900; };
  auto worker = it.store.worker();
  const ExecuteResult result = it.store.execute(worker, it.writing("m"));
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(counts(result.effort), (std::array{1, 0, 0, 1}));
  EXPECT_EQ(it.stage.bounds, std::vector<std::uint64_t>{1'000'000});
  EXPECT_EQ(it.stage.sleeps, Durations{Duration(700'900)});
  EXPECT_EQ(result.effort.waited, Duration(1'000'900));
  const Statistics statistics = it.store.statistics();
  EXPECT_EQ(statistics.busy, 1u);
  EXPECT_EQ(statistics.attempts, 1u);
  EXPECT_EQ(statistics.gate_us, 1'000u);
  EXPECT_EQ(statistics.backoff_us, 0u);
  EXPECT_EQ(filled(statistics.retries), (Buckets{{0, 1}}));
  EXPECT_EQ(filled(statistics.waits), (Buckets{{10, 1}})) << "from 512 to 1023 microseconds";
}

TEST(Effort, WithoutABaseNothingIsSpread) {
  Scene it(patient({.backoff_base = Duration(0), .ticket_threshold = 1}));
  Holder holder(it);
  it.stage.at(microseconds(300), [&] { holder.commit(); });
  auto worker = it.store.worker();
  EXPECT_TRUE(it.store.execute(worker, it.writing("m")).committed());
  EXPECT_TRUE(it.stage.bounds.empty() && it.stage.sleeps.empty());
}

/// Three turns end and a fourth begins while the one who waits does not run.
void four_turns(Scene& it, std::vector<std::unique_ptr<Holder>>& holders) {
  for (int turn = 0; turn < 3; ++turn) {
    holders.back()->commit();
    holders.push_back(std::make_unique<Holder>(it));
  }
}

TEST(Effort, TurnsThatPassInOneWaitCountTowardsTheBusyLimit) {
  for (const int limit : {3, 4}) {
    Scene it(patient({.ticket_threshold = 1, .busy_limit = limit}));
    std::vector<std::unique_ptr<Holder>> holders;
    holders.push_back(std::make_unique<Holder>(it));
    it.stage.at(milliseconds(1), [&] { four_turns(it, holders); });
    it.stage.at(milliseconds(2), [&] { holders.back()->commit(); });
    auto worker = it.store.worker();
    const ExecuteResult result = it.store.execute(worker, it.writing("m"));
    EXPECT_TRUE(result.committed());
    const bool joins = limit == 3;
    EXPECT_EQ(counts(result.effort), (std::array{joins ? 2 : 1, 0, 0, 2})) << limit;
    const Statistics statistics = it.store.statistics();
    EXPECT_EQ(statistics.limit_joins, joins ? 1u : 0u);
    EXPECT_EQ(statistics.grants, joins ? 5u : 4u);
    EXPECT_EQ(statistics.gate_us, 2'000u);
    EXPECT_EQ(statistics.busy, 1u);
  }
}

TEST(Effort, EachWaitThatEndsAtAClosedGateCountsOnce) {
  Scene it(patient({.ticket_threshold = 1, .busy_limit = 3}));
  std::vector<std::unique_ptr<Holder>> holders;
  holders.push_back(std::make_unique<Holder>(it));
  for (int turn = 1; turn <= 3; ++turn) {
    it.stage.at(milliseconds(turn), [&] {
      holders.back()->commit();
      holders.push_back(std::make_unique<Holder>(it));
    });
  }
  it.stage.at(milliseconds(7), [&] { holders.back()->commit(); });
  auto worker = it.store.worker();
  const ExecuteResult result = it.store.execute(worker, it.writing("m"));
  EXPECT_EQ(counts(result.effort), (std::array{2, 0, 0, 4})) << "three, and one more in the queue";
  EXPECT_EQ(it.store.statistics().limit_joins, 1u);
  EXPECT_EQ(it.store.statistics().gate_us, 7'000u);
  EXPECT_EQ(result.effort.waited, milliseconds(7));
}

// E2, B7: what its own slowness cost it is the doubled lease of the next turn, which covers its longest attempt so often.
TEST(Effort, ATurnThatRanOutUnderWayIsTakenAgainWithALongerLease) {
  Scene it({.backoff = false, .ticket_threshold = 1});
  std::unique_ptr<Holder> rival;
  std::vector<Duration> left;
  int runs = 0;
  const auto slow = it.store.process("slow", {.outputs = {"n"}}, [&](Context<P>& context) {
    context.set("n", 1);
    it.stage.elsewhere([&] {
      switch (++runs) {
        case 1:  // nobody knows how long it takes
          it.stage.now += milliseconds(500);
          it.write("n", 2);
          return;
        case 2:  // in its turn, of 50 ms
          left.push_back(std::get<Busy>(it.write("n", 3)).retry_after);
          it.stage.now += milliseconds(60);
          it.write("n", 4);
          rival = std::make_unique<Holder>(it);
          return;
        default:
          left.push_back(std::get<Busy>(it.write("n", 5)).retry_after);
          it.stage.now += milliseconds(20);
      }
    });
  });
  it.stage.at(milliseconds(600), [&] { rival->commit(); });
  auto worker = it.store.worker();
  const ExecuteResult result = it.store.execute(worker, slow);
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(counts(result.effort), (std::array{3, 1, 1, 1}));
  EXPECT_EQ(left, (Durations{milliseconds(50), 2 * 4 * milliseconds(60)}));
  EXPECT_EQ(result.effort.waited, milliseconds(40)) << "in the queue, from 560 to 600 ms";
  EXPECT_EQ(it.store.statistics().gate_us, 40'000u);
  EXPECT_EQ(it.store.statistics().expiries, 1u);
  const ExecuteResult again = it.store.execute(worker, it.writing("m"));
  EXPECT_EQ(counts(again.effort), (std::array{1, 0, 0, 0})) << "no expiry of another execution";
}

TEST(Effort, ATurnThatRanOutBeforeItWasSeenIsTakenAgain) {
  Scene it({.backoff = false, .ticket_threshold = 1, .busy_limit = 0});
  Holder holder(it);
  it.stage.at(milliseconds(1), [&] {
    holder.commit();
    it.stage.now += milliseconds(60);
    EXPECT_TRUE(std::holds_alternative<Committed>(it.write("m", 1))) << "it ends the turn that ran out";
  });
  std::vector<Duration> left;
  const auto process = it.store.process("p", {.outputs = {"n"}}, [&](Context<P>& context) {
    context.set("n", 1);
    it.stage.elsewhere([&] { left.push_back(std::get<Busy>(it.write("n", 5)).retry_after); });
  });
  auto worker = it.store.worker();
  const ExecuteResult result = it.store.execute(worker, process);
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(left, (Durations{milliseconds(50), milliseconds(100)}))
      << "the holder's, and its own twice as long";
  EXPECT_EQ(counts(result.effort), (std::array{2, 0, 1, 0}));
  EXPECT_EQ(result.effort.waited, milliseconds(61));
  EXPECT_EQ(it.store.statistics().gate_us, 61'000u);
}

TEST(ByHand, ATurnThatRanOutIsTakenAgainWithALongerLease) {
  Scene it({.backoff = false, .ticket_threshold = 1});
  Holder holder(it);
  it.stage.now += milliseconds(60);
  EXPECT_TRUE(std::holds_alternative<Committed>(it.write("m", 1))) << "it ends the turn that ran out";
  EXPECT_EQ(it.store.await_turn(holder.worker), TicketStatus::holding);
  EXPECT_EQ(std::get<Busy>(it.write("m", 2)).retry_after, milliseconds(100));
  holder.commit();
  EXPECT_EQ(it.store.await_turn(holder.worker), TicketStatus::none) << "it has none to wait for";
}

// Limits are looked at before each attempt, and while it waits.
TEST(Limits, AreLookedAtBeforeTheFirstAttempt) {
  Scene it;
  auto worker = it.store.worker();
  const auto process = it.writing("m");
  EXPECT_TRUE(ended_as<AttemptsExhausted>(it.store.execute(worker, process, {.attempts = 0})));
  EXPECT_TRUE(ended_as<DeadlineExceeded>(it.store.execute(worker, process, {.deadline = it.stage.now})));
  StopFlag<P> stop;
  stop.request();
  EXPECT_TRUE(ended_as<Cancelled>(
      it.store.execute(worker, process, {.stop = &stop, .deadline = it.stage.now, .attempts = 0})));
  EXPECT_EQ(it.store.statistics().attempts, 0u);
  EXPECT_TRUE(
      it.store.execute(worker, process, {.deadline = it.stage.now + Duration(1), .attempts = 1}).committed());
  EXPECT_EQ(it.store.statistics().attempts, 1u);
}

TEST(Limits, ADeadlineEndsABackOffAtItsTime) {
  Scene it;
  auto worker = it.store.worker();
  const auto result =
      it.store.execute(worker, it.contended(1), {.deadline = it.stage.now + microseconds(500)});
  EXPECT_TRUE(ended_as<DeadlineExceeded>(result));
  EXPECT_EQ(it.stage.sleeps, Durations{microseconds(500)});
  EXPECT_EQ(counts(result.effort), (std::array{1, 1, 0, 0}));
  EXPECT_EQ(result.effort.waited, microseconds(500));
  EXPECT_EQ(it.store.statistics().backoff_us, 500u);
}

TEST(Limits, AStopEndsABackOffAtOnce) {
  Scene it;
  StopFlag<P> stop;
  it.stage.at(microseconds(1'500), [&] { stop.request(); });
  auto worker = it.store.worker();
  const auto result = it.store.execute(worker, it.contended(1), {.stop = &stop});
  EXPECT_TRUE(ended_as<Cancelled>(result));
  EXPECT_EQ(it.stage.waits, Durations{milliseconds(2)});
  EXPECT_TRUE(it.stage.sleeps.empty());
  EXPECT_EQ(result.effort.waited, microseconds(1'500));
  EXPECT_EQ(counts(result.effort), (std::array{1, 1, 0, 0}));
}

TEST(Limits, AStopThatNobodyRequestsChangesNoBackOff) {
  Scene it;
  StopFlag<P> stop;
  auto worker = it.store.worker();
  const auto result = it.store.execute(
      worker, it.contended(2), {.stop = &stop, .deadline = it.stage.now + milliseconds(7), .attempts = 3});
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(it.stage.waits, (Durations{milliseconds(2), milliseconds(4)}));
  EXPECT_EQ(result.effort.waited, milliseconds(6));
}

TEST(Limits, AtTheGateAStopIsSeenWithinTenMilliseconds) {
  Scene it(patient({.ticket_threshold = 1}));
  Holder holder(it);
  auto worker = it.store.worker();
  StopFlag<P> stop;
  it.stage.at(milliseconds(25), [&] { stop.request(); });
  const auto result = it.store.execute(worker, it.writing("m"), {.stop = &stop});
  EXPECT_TRUE(ended_as<Cancelled>(result));
  EXPECT_EQ(it.stage.waits, Durations(3, milliseconds(10)));
  EXPECT_EQ(counts(result.effort), (std::array{1, 0, 0, 0}));
  EXPECT_EQ(result.effort.waited, milliseconds(30));
  EXPECT_EQ(it.store.statistics().gate_us, 30'000u);
}

TEST(Limits, AtTheGateADeadlineIsMetToTheNanosecond) {
  for (const bool stoppable : {false, true}) {
    Scene it(patient({.ticket_threshold = 1}));
    Holder holder(it);
    auto worker = it.store.worker();
    StopFlag<P> stop;
    const auto result = it.store.execute(
        worker, it.writing("m"),
        {.stop = stoppable ? &stop : nullptr, .deadline = it.stage.now + milliseconds(15) + Duration(1)});
    EXPECT_TRUE(ended_as<DeadlineExceeded>(result));
    EXPECT_EQ(it.stage.waits, (stoppable ? Durations{milliseconds(10), milliseconds(5) + Duration(1)}
                                         : Durations{milliseconds(15) + Duration(1)}));
    EXPECT_EQ(result.effort.waited, milliseconds(15) + Duration(1));
    EXPECT_EQ(counts(result.effort), (std::array{1, 0, 0, 0}));
    holder.commit();
    EXPECT_FALSE(it.store.read("m")) << "it has not been submitted again";
  }
}

TEST(Limits, AStopWhileTheWakeUpsAreSpreadEndsIt) {
  Scene it(patient({.ticket_threshold = 1}));
  Holder holder(it);
  auto worker = it.store.worker();
  StopFlag<P> stop;
  it.stage.at(milliseconds(3), [&] { holder.commit(); });
  it.stage.at(microseconds(3'200), [&] { stop.request(); });
  it.stage.draw = [](std::uint64_t bound) { return bound - 1; };
  const auto result = it.store.execute(worker, it.writing("m"), {.stop = &stop});
  EXPECT_TRUE(ended_as<Cancelled>(result));
  EXPECT_EQ(it.stage.waits, (Durations{milliseconds(10), milliseconds(1) - Duration(1)}));
  EXPECT_EQ(result.effort.waited, microseconds(3'200));
  EXPECT_FALSE(it.store.read("m"));
}

TEST(Limits, EndAWaitInTheQueue) {
  Scene it(patient({.ticket_threshold = 1, .busy_limit = 0}));
  Holder holder(it);
  auto worker = it.store.worker();
  StopFlag<P> stop;
  it.stage.at(milliseconds(12), [&] { stop.request(); });
  auto result = it.store.execute(worker, it.writing("m"), {.stop = &stop});
  EXPECT_TRUE(ended_as<Cancelled>(result));
  EXPECT_EQ(it.store.statistics().limit_joins, 1u);
  EXPECT_EQ(it.stage.waits, Durations(2, milliseconds(10)));
  EXPECT_EQ(result.effort.waited, milliseconds(20));
  EXPECT_EQ(it.store.statistics().gate_us, 20'000u);
  EXPECT_EQ(worker.ticket(), TicketStatus::none) << "it has left the queue";
  result = it.store.execute(worker, it.writing("m"), {.deadline = it.stage.now + milliseconds(4)});
  EXPECT_TRUE(ended_as<DeadlineExceeded>(result));
  EXPECT_EQ(it.stage.waits.back(), milliseconds(4));
  EXPECT_EQ(counts(result.effort), (std::array{1, 0, 0, 0}));
}

}  // namespace
}  // namespace touchstone::engine
