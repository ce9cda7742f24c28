// What a worker's failures, its claim and its effects are to it and to others: what its turn reserves, how long its lease is, and that
// whatever it holds goes with it.

#include "engine/worker.h"

#include <gtest/gtest.h>

#include <memory>

#include "engine/store.h"
#include "engine/test_interruption.h"

namespace touchstone::engine {
namespace {

using P = StagedPlatform;
using std::chrono::hours;
using std::chrono::milliseconds;

StoreOptions first_conflict_wins(StoreOptions options = {}) {
  options.backoff = false;
  options.ticket_threshold = 1;
  return options;
}

/// A store with n, m and o = 0 at version 1. A conflict is a write of n from version 0.
struct Shop {
  explicit Shop(StoreOptions options = first_conflict_wins()) : store(std::move(options)) {
    store.compare_and_swap(0, WriteSet{}.set("n", 0).set("m", 0).set("o", 0));
  }

  CommitResult write(const char* path, Worker<P>* by = nullptr) {
    return store.compare_and_swap(store.version(), WriteSet{}.set(path, 1), by);
  }
  Conflict fail(Worker<P>& worker) {
    return std::get<Conflict>(store.compare_and_swap(0, WriteSet{}.set("n", 7), &worker));
  }
  std::unique_ptr<Worker<P>> hire() { return std::unique_ptr<Worker<P>>(new Worker<P>(store.worker())); }

  /// What is left of the turn that bars a commit of this path; nothing if none does.
  std::optional<Duration> barred(const char* path) {
    const CommitResult result = write(path);
    if (const auto* busy = std::get_if<Busy>(&result)) return busy->retry_after;
    return std::nullopt;
  }

  /// Runs `body` with n as output, and `meanwhile` by somebody else in each run.
  ExecuteResult execute(Worker<P>& worker, const Contract& contract, const Stage::Action& meanwhile,
                        const Limits<P>& limits = {}) {
    return store.execute(worker,
                         store.process("p", contract,
                                       [&](Context<P>& context) {
                                         context.set(contract.outputs.front(), 5);
                                         stage.elsewhere(meanwhile);
                                       }),
                         limits);
  }

  Stage stage;
  Store<P> store;
};

TEST(Lease, IsFourTimesTheLongestAttemptAfterTheFirst) {
  struct Case {
    int threshold;
    std::vector<int> milliseconds_of_runs;
    int lease;
  };
  for (const Case& c : {Case{2, {500, 30}, 120}, Case{3, {500, 30, 20}, 120}, Case{3, {500, 20, 30}, 120},
                        Case{2, {500, 12}, 50}, Case{2, {500, 13}, 52}, Case{1, {500}, 50}}) {
    StoreOptions options;
    options.backoff = false;
    options.ticket_threshold = c.threshold;
    Shop it(options);
    auto worker = it.store.worker();
    std::size_t run = 0;
    std::optional<Duration> lease;
    const auto result = it.execute(worker, {.outputs = {"n"}}, [&] {
      if (run < c.milliseconds_of_runs.size()) {
        it.stage.now += milliseconds(c.milliseconds_of_runs[run++]);
        it.write("n");
      } else {
        lease = it.barred("n");
      }
    });
    EXPECT_TRUE(result.committed());
    EXPECT_EQ(lease, milliseconds(c.lease)) << c.threshold;
  }
}

// Also of a worker that never had a conflict: it earned its turn by waiting.
TEST(Lease, CoversTheAttemptThatOutlastedIt) {
  StoreOptions options = first_conflict_wins();
  options.busy_limit = 0;
  Shop it(options);
  auto holder = it.hire();
  it.fail(*holder);
  it.stage.at(milliseconds(1), [&] { it.write("m", holder.get()); });
  auto worker = it.store.worker();
  std::vector<std::optional<Duration>> leases;
  std::unique_ptr<Worker<P>> rival;
  const auto result = it.execute(worker, {.outputs = {"n"}}, [&] {
    leases.push_back(it.barred("n"));
    if (leases.size() != 2) return;
    it.stage.now += milliseconds(80);
    it.write("m");  // and ends its turn
    rival = it.hire();
    it.fail(*rival);
    it.stage.at(milliseconds(1), [&] { it.write("m", rival.get()); });
  });
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(leases, (std::vector<std::optional<Duration>>{milliseconds(50), milliseconds(50),
                                                          2 * 4 * milliseconds(80)}));
  EXPECT_EQ(result.effort.expiries, 1);
  EXPECT_EQ(result.effort.closings_waited, 2);
}

TEST(Lease, OfNothingIsOverAtOnce) {
  StoreOptions options = first_conflict_wins();
  options.lease_least = Duration(0);
  Shop it(options);
  auto worker = it.store.worker();
  EXPECT_EQ(it.fail(worker).ticket, TicketStatus::holding);
  EXPECT_EQ(it.barred("m"), std::nullopt);
}

// E1: a conflict counts only against a worker that holds no claim; one that has it gets its lease once more, so many times.
TEST(Conflicts, OfAWorkerThatHasItsTurnRenewTheLeaseAndDoNotCount) {
  Shop it;
  auto worker = it.store.worker();
  EXPECT_EQ(it.fail(worker).ticket, TicketStatus::holding);
  EXPECT_EQ(worker.failures(), 1);
  for (int renewal = 1; renewal <= 4; ++renewal) {
    it.stage.now += milliseconds(30);
    EXPECT_EQ(it.barred("m"), renewal == 4 ? milliseconds(-10) + milliseconds(30) : milliseconds(20))
        << renewal;
    EXPECT_EQ(it.fail(worker).ticket, TicketStatus::holding);
    EXPECT_EQ(it.barred("m"), renewal == 4 ? milliseconds(20) : milliseconds(50)) << renewal;
  }
  EXPECT_EQ(worker.failures(), 1);
  EXPECT_EQ(it.store.statistics().conflicts, 5u);
  EXPECT_EQ(it.store.statistics().grants, 1u);
}

TEST(Conflicts, OfAWorkerWhoseTurnRanOutBringItBackIntoTheQueue) {
  Shop it;
  auto worker = it.store.worker({.failures = 7});
  it.fail(worker);
  EXPECT_EQ(worker.failures(), 8);
  it.stage.now += milliseconds(60);
  EXPECT_EQ(it.barred("m"), std::nullopt) << "its turn is over";
  EXPECT_EQ(worker.ticket(), TicketStatus::none);
  EXPECT_EQ(it.fail(worker).ticket, TicketStatus::holding);
  EXPECT_EQ(worker.failures(), 8);
  EXPECT_EQ(it.store.statistics().grants, 2u);
}

TEST(Conflicts, InStrictModeAreOfNoPath) {
  StoreOptions options;
  options.mode = Mode::strict;
  Shop it(options);
  auto worker = it.store.worker();
  EXPECT_EQ(it.fail(worker).path, "");
  EXPECT_EQ(worker.failures(), 1);
  EXPECT_TRUE(it.store.conflicts_by_path().empty());
}

TEST(Expiries, AreToldAlsoOfAnExecutionThatGivesUp) {
  Shop it;
  auto worker = it.store.worker();
  std::unique_ptr<Worker<P>> rival;
  int runs = 0;
  const auto interfere = [&] {
    if (++runs == 1) it.write("n");
    if (runs != 2) return;
    it.stage.now += milliseconds(60);
    it.write("m");
    rival = it.hire();
    it.fail(*rival);
  };
  const auto result = it.execute(worker, {.outputs = {"n"}}, interfere, {.attempts = 2});
  EXPECT_TRUE(std::holds_alternative<AttemptsExhausted>(result.outcome));
  EXPECT_EQ(result.effort.expiries, 1);
  EXPECT_EQ(result.effort.conflicts, 1);
  rival.reset();
  const auto next = it.execute(worker, {.outputs = {"n"}}, [] {}, {.attempts = 0});
  EXPECT_EQ(next.effort.expiries, 0) << "those were another one's";
}

// Turns of others are told when its own has come: they were before it then.
TEST(Effort, OfAWorkerThatLeavesTheQueueCountsNoTurnsBeforeItsOwn) {
  StoreOptions options = first_conflict_wins();
  options.busy_limit = 0;
  Shop it(options);
  auto elder = it.hire(), holder = it.hire();
  it.fail(*elder);
  it.stage.now += milliseconds(60);
  it.write("m");  // and ends its turn
  it.fail(*holder);
  it.write("m", elder.get());  // Busy, so it is the next one
  StopFlag<P> stop;
  it.stage.at(milliseconds(15), [&] {
    it.write("m", holder.get());
    EXPECT_EQ(elder->ticket(), TicketStatus::holding);
  });
  it.stage.at(milliseconds(16), [&] { stop.request(); });
  auto worker = it.store.worker();
  const auto result = it.execute(worker, {.outputs = {"n"}}, [] {}, {.stop = &stop});
  EXPECT_TRUE(std::holds_alternative<Cancelled>(result.outcome));
  EXPECT_EQ(result.effort.waited, milliseconds(20));
  EXPECT_EQ(result.effort.closings_waited, 0);
}

// What a turn keeps out under the queue per key is what its commit may have to validate.
class Reserved : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(WithValidatedReads, Reserved, testing::Bool());

StoreOptions by_key(bool validate_reads = false) {
  StoreOptions options = first_conflict_wins();
  options.policy = Policy::key_queue;
  options.validate_reads = validate_reads;
  options.lease_least = hours(1);
  return options;
}

TEST_P(Reserved, AreItsOutputsAndWithValidatedReadsItsInputs) {
  const bool validate = GetParam();
  Shop it(by_key(validate));
  auto worker = it.store.worker();
  int runs = 0;
  const auto result = it.execute(worker, {.inputs = {"m"}, .outputs = {"n"}}, [&] {
    if (++runs == 1) {
      it.write("n");
    } else {
      EXPECT_TRUE(it.barred("n"));
      EXPECT_EQ(it.barred("m").has_value(), validate);
      EXPECT_FALSE(it.barred("o"));
    }
  });
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(runs, 2);
}

TEST_P(Reserved, AreThoseOfTheProcessThoughTheTurnWasEarnedForOthers) {
  Shop it(by_key(GetParam()));
  auto worker = it.store.worker();
  it.fail(worker);
  EXPECT_TRUE(it.barred("n"));
  const auto result = it.execute(worker, {.outputs = {"m"}}, [&] {
    EXPECT_FALSE(it.barred("n"));
    EXPECT_TRUE(it.barred("m"));
  });
  EXPECT_TRUE(result.committed());
}

// A turn that was earned by hand for just these paths goes on, whichever of them is read and which is written: nobody comes between.
TEST(Reserved, StayReservedWhenAProcessWantsTheSame) {
  Shop it(by_key(true));
  auto worker = it.store.worker(), rival = it.store.worker();
  const auto fail = [&](Worker<P>& by) {
    it.store.compare_and_swap(0, WriteSet{}.set("n", 7), &by, {"m", "o"});
  };
  fail(worker);
  ASSERT_EQ(worker.ticket(), TicketStatus::holding);
  const auto result = it.execute(worker, {.inputs = {"n", "m"}, .outputs = {"o"}}, [&] {
    EXPECT_EQ(it.store.statistics().grants, 1u) << "it is still the same turn";
    EXPECT_TRUE(it.barred("n") && it.barred("m") && it.barred("o"));
  });
  EXPECT_TRUE(result.committed());
  fail(rival);
  EXPECT_EQ(rival.ticket(), TicketStatus::holding);
}

TEST(Worker, TakesItsClaimWithIt) {
  Shop it;
  auto holder = it.hire();
  it.fail(*holder);
  EXPECT_TRUE(it.barred("m"));
  holder.reset();
  EXPECT_FALSE(it.barred("m"));
}

// Whoever sees the count of those who joined by waiting comes behind them (B6).
TEST(Worker, IsCountedAsJoiningWhenItStandsInTheQueue) {
  Interruption::at_each_step([](Interruption& interruption) {
    StoreOptions options = first_conflict_wins();
    options.busy_limit = 0;
    options.lease_least = hours(1);
    Shop it(options);
    auto holder = it.hire();
    it.fail(*holder);
    it.stage.at(milliseconds(1), [&] { it.write("m", holder.get()); });
    auto worker = it.store.worker();
    const auto process =
        it.store.process("p", {.outputs = {"n"}}, [](Context<P>& context) { context.set("n", 1); });
    interruption.between(
        [&] { EXPECT_TRUE(it.store.execute(worker, process).committed()); },
        [&] {
          if (it.store.statistics().limit_joins == 0) return;
          EXPECT_TRUE(worker.ticket() != TicketStatus::none || it.store.read("n") == Value(1));
        });
    EXPECT_EQ(it.store.statistics().limit_joins, 1u);
  });
}

// E6: effects come after the commit and after the claim is given back, in order, each once; what the sink throws changes nothing.
TEST(Effects, ComeAfterTheCommitAndTheClaimAndWhatTheSinkThrowsIsKept) {
  Shop* shop = nullptr;
  std::vector<std::string> topics;
  StoreOptions options = first_conflict_wins();
  options.sink = [&](const Effect& effect) {
    topics.push_back(effect.topic);
    EXPECT_EQ(effect.version, 3u);
    EXPECT_EQ(shop->store.read("n"), Value(5)) << "it is installed";
    EXPECT_FALSE(shop->barred("m")) << "the gate is open";
    if (effect.topic != "second") throw std::runtime_error(effect.topic);
  };
  Shop it(options);
  shop = &it;
  auto worker = it.store.worker();
  int runs = 0;
  const auto process = it.store.process("p", {.outputs = {"n"}}, [&](Context<P>& context) {
    for (const char* topic : {"first", "second", "third"}) context.emit(topic, ++runs);
    context.set("n", 5);
    if (runs == 3) it.stage.elsewhere([&] { it.write("n"); });
  });
  const auto result = it.store.execute(worker, process);
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(std::get<Committed>(result.outcome).version, 3u);
  EXPECT_EQ(topics, (std::vector<std::string>{"first", "second", "third"}));
  EXPECT_EQ(it.store.statistics().effect_errors, 2u);
  ASSERT_TRUE(result.effect_error);
  try {
    std::rethrow_exception(result.effect_error);
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "first") << "of several the first";
  }
}

TEST(Effects, MayRunAnotherProcessOfTheSameWorker) {
  Shop* shop = nullptr;
  Worker<P>* worker = nullptr;
  std::vector<std::string> topics;
  StoreOptions options = first_conflict_wins();
  options.sink = [&](const Effect& effect) {
    topics.push_back(effect.topic);
    if (effect.topic != "a" || topics.size() > 1) return;
    const auto inner = shop->store.process("inner", {.outputs = {"m"}}, [](Context<P>& context) {
      context.emit("inner", 1);
      context.set("m", 1);
    });
    EXPECT_TRUE(shop->store.execute(*worker, inner).committed());
  };
  Shop it(options);
  auto the_worker = it.store.worker();
  shop = &it;
  worker = &the_worker;
  const auto outer = it.store.process("outer", {.outputs = {"n"}}, [](Context<P>& context) {
    context.emit("a", 1);
    context.emit("b", 2);
    context.set("n", 1);
  });
  EXPECT_TRUE(it.store.execute(the_worker, outer).committed());
  EXPECT_EQ(topics, (std::vector<std::string>{"a", "inner", "b"}));
}

// Only the store whose body runs refuses: a body may commit to another one, and through it not to its own.
TEST(Nesting, IsOfOneStore) {
  Shop it, other;
  auto worker = it.store.worker(), stranger = other.store.worker();
  const auto process = it.store.process("outer", {.outputs = {"n"}}, [&](Context<P>& context) {
    const auto inner = other.store.process("inner", {.outputs = {"n"}}, [&](Context<P>& inside) {
      EXPECT_TRUE(std::holds_alternative<Rejected>(it.write("m")));
      EXPECT_TRUE(std::holds_alternative<Rejected>(other.write("m")));
      inside.set("n", 1);
    });
    EXPECT_TRUE(std::holds_alternative<Committed>(other.write("o")));
    EXPECT_TRUE(other.store.execute(stranger, inner).committed());
    EXPECT_TRUE(std::holds_alternative<Rejected>(it.write("m")));
    context.set("n", 1);
  });
  EXPECT_TRUE(it.store.execute(worker, process).committed());
  EXPECT_TRUE(std::holds_alternative<Committed>(it.write("m"))) << "after the body";
}

}  // namespace
}  // namespace touchstone::engine
