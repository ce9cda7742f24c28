// Acceptance scenarios B on the etcd store: back-off, the ticket, its lease and its fencing, with real workers and real leases.

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "harness/start_together.h"
#include "stress/chaos/child.h"
#include "stress/etcd/etcd_test.h"

namespace touchstone::stress {
namespace {

using namespace std::chrono_literals;
using engine::Busy;
using engine::CommitResult;
using engine::Committed;
using engine::Conflict;
using engine::ExecuteResult;
using engine::NativePlatform;
using engine::TicketStatus;

class EtcdTicket : public EtcdTest {
 protected:
  /// Makes the worker's commit conflict once: another one changes the path after it has looked.
  static CommitResult conflict_once(EtcdWorker& worker, EtcdWorker& rival, const std::string& path) {
    const auto seen = worker.version();
    const auto won = rival.compare_and_swap(rival.version(), WriteSet{}.set(path, 1));
    EXPECT_TRUE(std::holds_alternative<Committed>(won));
    return worker.compare_and_swap(seen, WriteSet{}.set(path, 2));
  }

  /// The fifth one earns the ticket, which is its turn at once.
  static void earn_ticket(EtcdWorker& worker, EtcdWorker& rival) {
    for (int i = 1; i <= 5; ++i) {
      const auto result = conflict_once(worker, rival, "hot");
      ASSERT_TRUE(std::holds_alternative<Conflict>(result));
      EXPECT_EQ(std::get<Conflict>(result).ticket, i < 5 ? TicketStatus::none : TicketStatus::holding) << i;
    }
  }
};

// B2, B10.
TEST_F(EtcdTicket, EveryIncrementOfAHotCounterCommitsWithinTheBound) {
  constexpr int kWorkers = 6, kEach = 5;
  const EtcdStore store = this->store();
  std::vector<ExecuteResult> results(kWorkers * kEach);
  harness::start_together(kWorkers, [&](int id) {
    EtcdWorker worker = store.worker();
    for (int i = 0; i < kEach; ++i) {
      results[static_cast<std::size_t>(id * kEach + i)] = worker.execute(increment(store, "counter"));
    }
  });
  for (const ExecuteResult& result : results) {
    EXPECT_TRUE(result.committed());
    EXPECT_LE(result.effort.conflicts, 5 + result.effort.expiries);
    EXPECT_LE(result.effort.attempts, 6 + result.effort.expiries);
  }
  EXPECT_EQ(store.worker().read("counter")->integer(), kWorkers * kEach);
}

// B3. Between two of its attempts the fast ones commit many times: without the ticket it would never win.
TEST_F(EtcdTicket, ASlowWorkerAmongFastOnesCommits) {
  const EtcdStore store = this->store();
  std::atomic<bool> done{false};
  std::atomic<int> fast{0};
  ExecuteResult slow;
  harness::start_together(4, [&](int id) {
    EtcdWorker worker = store.worker();
    if (id != 0) {
      while (!done) fast += worker.execute(increment(store, "counter")).committed() ? 1 : 0;
      return;
    }
    const auto process = store.process("slow", {.outputs = {"counter"}}, [](EtcdContext& context) {
      add_one(context, "counter");
      std::this_thread::sleep_for(150ms);
    });
    slow = worker.execute(process);
    done = true;
  });
  EXPECT_TRUE(slow.committed());
  EXPECT_LE(slow.effort.conflicts, 5 + slow.effort.expiries);
  EXPECT_EQ(store.worker().read("counter")->integer(), fast + 1);
}

// B4, B8.
TEST_F(EtcdTicket, IsEarnedByTheFifthConsecutiveConflictOfAWorkerAndASuccessStartsOver) {
  const EtcdStore store = this->store();
  EtcdWorker worker = store.worker(), rival = store.worker(), other = store.worker();
  for (int i = 0; i < 4; ++i) conflict_once(worker, rival, "hot");
  EXPECT_EQ(worker.failures(), 4);
  EXPECT_EQ(other.failures(), 0);
  EXPECT_TRUE(std::holds_alternative<Committed>(
      worker.compare_and_swap(worker.version(), WriteSet{}.set("cold", 1))));
  EXPECT_EQ(worker.failures(), 0);
  earn_ticket(worker, rival);
}

// B5, also in another process than the holder's: everything is etcd's.
TEST_F(EtcdTicket, KeepsEverybodyElseOutWhileReadersGoOn) {
  const EtcdStore store = this->store();
  EtcdWorker holder = store.worker(), rival = store.worker();
  earn_ticket(holder, rival);
  const auto version = holder.version();
  const auto kept_out = rival.compare_and_swap(version, WriteSet{}.set("elsewhere", 1));
  ASSERT_TRUE(std::holds_alternative<Busy>(kept_out));
  EXPECT_GT(std::get<Busy>(kept_out).retry_after, 0ms);
  EXPECT_EQ(rival.version(), version);
  EXPECT_EQ(rival.read("elsewhere"), std::nullopt);
  EXPECT_EQ(rival.failures(), 0) << "busy is no conflict";
  EXPECT_TRUE(std::holds_alternative<Committed>(holder.compare_and_swap(version, WriteSet{}.set("hot", 3))));
  EXPECT_EQ(holder.ticket(), TicketStatus::none);
  EXPECT_TRUE(
      std::holds_alternative<Committed>(rival.compare_and_swap(version, WriteSet{}.set("elsewhere", 1))));
}

// B5, between two turns: the one is over, and the next worker has not looked yet. Whoever slipped in there could keep it from ever
// winning. Its entry is put by hand, so that it does not look.
TEST_F(EtcdTicket, NobodyPassesWhileSomebodyIsQueuedAndHasNoTurnYet) {
  const EtcdStore store = this->store();
  EtcdWorker rival = store.worker();
  engine::EtcdGateway gateway(place());
  const engine::EtcdKeys keys{place().root};
  gateway.run({.success = {engine::put(keys.queued(1), "another worker")}});
  EXPECT_TRUE(std::holds_alternative<Busy>(rival.compare_and_swap(0, WriteSet{}.set("x", 1))));
  gateway.run({.success = {engine::erase({keys.queued(1)})}});
  EXPECT_TRUE(std::holds_alternative<Committed>(rival.compare_and_swap(0, WriteSet{}.set("x", 1))));
}

// B6: never two turns, and none before its time. What is in the way is put by hand: an older entry, then a turn.
TEST_F(EtcdTicket, ATurnWaitsForOlderEntriesAndForTheTurnThatIs) {
  engine::StoreOptions options;
  options.busy_limit = 0;  // queues as soon as it finds the gate closed
  const EtcdStore store = this->store(options);
  engine::EtcdGateway gateway(place());
  const engine::EtcdKeys keys{place().root};
  int commits = 0;
  for (const std::string& in_the_way : {keys.queued(0), keys.turn()}) {
    gateway.run({.success = {engine::put(in_the_way, "another worker")}});
    std::atomic<bool> committed{false};
    std::thread waits([&] {
      EtcdWorker worker = store.worker();
      committed = worker.execute(increment(store, "x")).committed();
    });
    const engine::EtcdRange younger{keys.queued(1), keys.queue().end};
    while (gateway.read({engine::get(younger)}).answers.at(0).empty() && !committed)
      std::this_thread::sleep_for(2ms);
    std::this_thread::sleep_for(200ms);  // it looks a few times meanwhile
    EXPECT_FALSE(committed) << in_the_way;
    gateway.run({.success = {engine::erase({in_the_way})}});
    waits.join();
    EXPECT_TRUE(committed);
    EXPECT_EQ(store.worker().version(), static_cast<engine::Version>(++commits));
  }
}

// B6.
TEST_F(EtcdTicket, TurnsComeInTheOrderOfTheTickets) {
  const EtcdStore store = this->store();
  EtcdWorker first = store.worker(), second = store.worker(), third = store.worker(), rival = store.worker();
  for (EtcdWorker* worker : {&first, &second, &third}) {
    for (int i = 0; i < 4; ++i) conflict_once(*worker, rival, "hot");
  }
  const auto stale = rival.version();
  ASSERT_TRUE(std::holds_alternative<Committed>(rival.compare_and_swap(stale, WriteSet{}.set("hot", 9))));
  EXPECT_EQ(std::get<Conflict>(first.compare_and_swap(stale, WriteSet{}.set("hot", 1))).ticket,
            TicketStatus::holding);
  // The gate is closed now: these two earn theirs by waiting out closings, as execute() does; here by hand.
  std::atomic<int> order{0};
  int second_was = 0, third_was = 0;
  std::thread others([&] {
    second_was = second.execute(store.process("second", {.outputs = {"hot"}},
                                              [](EtcdContext& ctx) { add_one(ctx, "hot"); }))
                         .committed()
                     ? ++order
                     : -1;
    third_was = third.execute(store.process("third", {.outputs = {"hot"}},
                                            [](EtcdContext& ctx) { add_one(ctx, "hot"); }))
                        .committed()
                    ? ++order
                    : -1;
  });
  EXPECT_TRUE(
      std::holds_alternative<Committed>(first.compare_and_swap(first.version(), WriteSet{}.set("hot", 2))));
  others.join();
  EXPECT_EQ(second_was, 1);
  EXPECT_EQ(third_was, 2);
}

// B7. The holder overstays its lease: the gate opens by itself, the late commit is judged like anybody's, and cannot end the turn
// of its successor.
TEST_F(EtcdTicket, ALateHolderHasNoPowerOverItsSuccessorsTurn) {
  const EtcdStore store = this->store();
  EtcdWorker late = store.worker(), next = store.worker(), rival = store.worker();
  earn_ticket(late, rival);
  while (
      !std::holds_alternative<Committed>(rival.compare_and_swap(rival.version(), WriteSet{}.set("hot", 7)))) {
    std::this_thread::sleep_for(20ms);  // until etcd's own clock has ended the lease
  }
  earn_ticket(next, rival);
  // Nothing that it validates has changed: only its number tells.
  const auto answer = late.compare_and_swap(late.version(), WriteSet{}.set("untouched", 8));
  EXPECT_TRUE(std::holds_alternative<Busy>(answer)) << "kept out like anybody";
  late.give_back();
  EXPECT_EQ(next.ticket(), TicketStatus::holding);
  EXPECT_TRUE(
      std::holds_alternative<Committed>(next.compare_and_swap(next.version(), WriteSet{}.set("hot", 9))));
}

// B7. What a process that holds a ticket leaves behind when it dies is a lease.
TEST_F(EtcdTicket, ADeadHolderBlocksNobodyForLongerThanItsLease) {
  const EtcdStore store = this->store();
  chaos::Gate holds;
  chaos::Child main = chaos::Child::start([&]() -> std::string {
    EtcdWorker worker = store.worker(), rival = store.worker();
    earn_ticket(worker, rival);
    holds.open();
    chaos::wait_for_ever();
  });
  ASSERT_TRUE(holds.wait());
  main.kill();
  EtcdWorker survivor = store.worker();
  EXPECT_TRUE(
      std::holds_alternative<Busy>(survivor.compare_and_swap(survivor.version(), WriteSet{}.set("x", 1))));
  EXPECT_TRUE(survivor.execute(increment(store, "counter")).committed());
}

// B7: exception, cancel, deadline, attempt limit, a body that writes nothing: the gate is open afterwards.
TEST_F(EtcdTicket, IsGivenBackHoweverAnExecutionEnds) {
  const EtcdStore store = this->store();
  EtcdWorker worker = store.worker(), rival = store.worker();
  const auto gate_is_open = [&] {
    return std::holds_alternative<Committed>(
        rival.compare_and_swap(rival.version(), WriteSet{}.set("probe", 1)));
  };
  const auto nothing = store.process("nothing", {.outputs = {"hot"}}, [](EtcdContext&) {});
  const auto throws =
      store.process("throws", {.outputs = {"hot"}}, [](EtcdContext&) { throw std::runtime_error("no"); });
  earn_ticket(worker, rival);
  EXPECT_TRUE(worker.execute(nothing).committed());
  EXPECT_TRUE(gate_is_open());
  earn_ticket(worker, rival);
  EXPECT_THROW(worker.execute(throws), std::runtime_error);
  EXPECT_TRUE(gate_is_open());
  earn_ticket(worker, rival);
  engine::StopFlag<NativePlatform> stop;
  stop.request();
  EXPECT_TRUE(std::holds_alternative<engine::Cancelled>(worker.execute(nothing, {.stop = &stop}).outcome));
  EXPECT_TRUE(gate_is_open());
  earn_ticket(worker, rival);
  EXPECT_TRUE(std::holds_alternative<engine::DeadlineExceeded>(
      worker.execute(nothing, {.deadline = NativePlatform::now()}).outcome));
  EXPECT_TRUE(gate_is_open());
  earn_ticket(worker, rival);
  EXPECT_TRUE(
      std::holds_alternative<engine::AttemptsExhausted>(worker.execute(nothing, {.attempts = 0}).outcome));
  EXPECT_TRUE(gate_is_open());
}

// B11, A9, A13.
TEST_F(EtcdTicket, ContractsAndEffectsAreThoseOfTheStore) {
  std::vector<std::string> published;
  engine::StoreOptions options;
  options.sink = [&](const engine::Effect& effect) {
    published.push_back(effect.topic + "@" + std::to_string(effect.version));
  };
  const EtcdStore store = this->store(options);
  EtcdWorker worker = store.worker(), rival = store.worker();
  int runs = 0;
  const auto process = store.process("emits", {.outputs = {"a"}}, [&](EtcdContext& context) {
    add_one(context, "a");
    if (++runs == 1) rival.execute(increment(store, "b"));
    context.emit("done", runs);
  });
  const auto nested = worker.execute(process);
  EXPECT_TRUE(nested.committed());
  EXPECT_EQ(rival.read("b"), std::nullopt) << "a commit from inside a body is refused, whoever's the worker";
  EXPECT_EQ(published, std::vector<std::string>{"done@1"});
  const auto undeclared =
      store.process("undeclared", {.outputs = {"a"}}, [](EtcdContext& context) { context.set("b", 1); });
  const auto refused = worker.execute(undeclared);
  ASSERT_TRUE(std::holds_alternative<engine::Rejected>(refused.outcome));
  EXPECT_EQ(std::get<engine::Rejected>(refused.outcome).code, engine::ErrorCode::undeclared_write);
  EXPECT_EQ(worker.version(), 1u);
}

}  // namespace
}  // namespace touchstone::stress
