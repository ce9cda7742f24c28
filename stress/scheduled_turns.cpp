// B6 and B7: in which order the ticket goes round, and how a turn ends.

#include <array>
#include <memory>
#include <stdexcept>

#include "stress/candidates.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;            // the promises are about it
using namespace touchstone::harness::explore;  // and its schedules
using namespace std::chrono_literals;
using P = ControlledPlatform;
using Search = Scheduled::Search;

void increment(Context<P>& ctx) {
  const auto n = ctx.read("n");
  ctx.set("n", n ? n->integer() + 1 : 1);
}

bool committed(const CommitResult& result) {
  return std::holds_alternative<Committed>(result);
}

CommitResult write(Store<P>& store, Version expected, const char* path, Worker<P>* worker = nullptr) {
  return store.compare_and_swap(expected, WriteSet{}.set(path, 1), worker);
}

void require_open(Store<P>& store) {
  require(committed(write(store, store.version(), "n")), "the gate stayed closed");
}

// B6. Danger: two workers earn the ticket at the same moment, both conflicts being decided before either has closed the gate;
// then both hold it, or one is lost. The script lets A and B read, a third commit under both, both fail, and only then queue.
// The oracle: each commits in its own turn with no further conflict, and the bodies of the two turns never overlap.
void two_earn_it_together(Policy policy, Reached& reached) {
  Candidates all({.policy = policy}, 2);
  P::thread a = P::thread::named("A", [&] { all.run(1); });
  P::thread b = P::thread::named("B", [&] { all.run(1); });
  P::thread c = P::thread::named("C", [&] { all.store.compare_and_swap(1, WriteSet{}.set("n", 10)); });
  a.join(), b.join(), c.join();
  require(all.store.statistics().grants == 2, "not two grants");
  all.conclude(12, reached);
}

Script both_fail_before_either_queues() {
  Script script;
  script.run("A").until("execute:body_done").run("B").until("execute:body_done").run("C").to_end();
  script.run("A").until("commit:begin").run("B").until("commit:begin");
  return script;
}

// B6. Any schedule: there is one holder at a time, nobody is left out, and nothing is lost.
void many_candidates(Policy policy, Reached& reached, int candidates) {
  Candidates all({.backoff_base = 1ms, .policy = policy}, candidates);
  std::vector<P::thread> threads;
  for (int i = 0; i < candidates; ++i) threads.emplace_back([&] { all.run(1); });
  for (auto& thread : threads) thread.join();
  all.conclude(candidates, reached);
}

constexpr std::array<const char*, 4> kQueue = {"q0", "q1", "q2", "q3"};

// B6. Danger: the queue is served last come first, or by some other order than of arrival. A holder keeps the gate closed; four
// executions find it so and queue at once (busy_limit is 0), in the order that the script gives them; then the holder commits.
// The oracle: their bodies run again, in their turns, in just the order in which they came, one at a time.
void turns_come_in_this_order(Policy policy, Reached& reached, const std::array<std::size_t, 4>& order) {
  Store<P> store({.backoff = false, .policy = policy, .busy_limit = 0, .lease_least = std::chrono::hours(1)});
  write(store, 0, "n");
  auto holder = store.worker({.failures = 4});
  write(store, 0, "n", &holder);
  require(holder.ticket() == TicketStatus::holding, "its fifth conflict earned no ticket");
  P::atomic<int> holders{0};
  std::vector<std::size_t> turns;
  std::vector<P::thread> threads;
  for (std::size_t i = 0; i < kQueue.size(); ++i) {
    threads.push_back(P::thread::named(kQueue[i], [&, i] {
      auto worker = store.worker();
      int runs = 0;
      auto process = store.process("queued", {.inputs = {}, .outputs = {"n"}}, [&](Context<P>& ctx) {
        if (++runs > 1) {
          require(holders.fetch_add(1) == 0, "two holders at once");
          turns.push_back(i);
          holders.fetch_sub(1);
        }
        ctx.set("n", static_cast<std::int64_t>(i));
      });
      require(store.execute(worker, process).committed(), "a candidate did not commit");
    }));
  }
  threads.push_back(P::thread::named("holder", [&] {
    require(committed(write(store, store.version(), "n", &holder)), "the holder conflicted");
  }));
  for (auto& thread : threads) thread.join();
  for (std::size_t i = 0; i < order.size(); ++i)
    require(turns.at(i) == order[i],
            "turn " + std::to_string(i + 1) + " was not of the one whose turn it was");
  reached.take(store.statistics());
}

Script arrive_in_this_order(const std::array<std::size_t, 4>& order) {
  Script script;
  for (const std::size_t i : order) script.run(kQueue[i]).until_blocked();
  script.run("holder").to_end();
  return script;
}

// B7. Danger: a lease of a fixed 50 ms starves a worker whose body takes 100 ms: each of its turns runs out before it commits.
// Here a rival commits under each attempt that is not in a turn, and the gate's waiters end leases the moment they may. The
// oracle: the lease is sized from the attempts that the worker has already made, so the first turn is enough.
void a_slow_holders_lease_is_long_enough(Policy policy, Reached& reached) {
  Store<P> store({.policy = policy});
  P::thread slow = P::thread::named("slow", [&] {
    auto worker = store.worker();
    auto process = store.process("slow", {.inputs = {}, .outputs = {"n"}}, [&](Context<P>& ctx) {
      increment(ctx);
      P::sleep_until(P::now() + 100ms);
    });
    const auto result = store.execute(worker, process);
    require(result.committed() && result.effort.conflicts == 5, "five conflicts, then its turn");
    require(result.effort.expiries == 0 && result.effort.attempts == 6, "its first turn was long enough");
  });
  P::thread fast = P::thread::named("fast", [&] {
    auto worker = store.worker();
    auto process = store.process("fast", {.inputs = {}, .outputs = {"n"}}, increment);
    for (int round = 0; round < 40; ++round) {
      require(store.execute(worker, process).committed(), "the fast one commits too");
      P::sleep_until(P::now() + 20ms);
    }
  });
  slow.join(), fast.join();
  require(store.read("n")->integer() == 41, "an update was lost");
  reached.take(store.statistics());
}

// B7. Danger: a holder that never comes back (its thread died or hangs) blocks everybody for ever. Its lease is 50 ms: the
// waiter must go on then and not before, and its wait is exactly the lease and the jitter of its waking, below one base.
void a_dead_holder_blocks_for_its_lease(Policy policy, Reached& reached) {
  Store<P> store({.policy = policy});
  write(store, 0, "n");
  auto dead = store.worker({.failures = 4});
  write(store, 0, "n", &dead);
  require(dead.ticket() == TicketStatus::holding, "the dead one holds the ticket");
  P::thread waiter = P::thread::named("waiter", [&] {
    auto worker = store.worker();
    auto process =
        store.process("add", {.inputs = {}, .outputs = {"n"}}, [](Context<P>& ctx) { ctx.set("n", 1); });
    const auto result = store.execute(worker, process);
    require(result.committed() && result.effort.attempts == 1, "the same attempt went through");
    require(result.effort.waited >= 50ms && result.effort.waited < 51ms,
            "it waited " + std::to_string(result.effort.waited.count()) + " ns");
  });
  waiter.join();
  require(dead.ticket() == TicketStatus::none, "its turn is over");
  reached.take(store.statistics());
}

// B7. Danger: an expired holder has no better chance the next time. Its body is quick until it has its turn, which then takes
// longer than four such attempts and the 50 ms; its next lease is doubled and knows the long attempt. The oracle: one expiry, and
// the commit in the second turn; the waiter meanwhile gets its own commit in.
void an_overstaying_holder_commits_next_time(Policy policy, Reached& reached) {
  Store<P> store({.policy = policy});
  write(store, 0, "n");
  P::thread slow = P::thread::named("slow", [&] {
    auto worker = store.worker({.failures = 4});
    int runs = 0;
    auto process = store.process("slow", {.inputs = {}, .outputs = {"n"}}, [&](Context<P>& ctx) {
      increment(ctx);
      if (++runs == 1) {
        P::thread rival([&] { store.compare_and_swap(store.version(), WriteSet{}.set("n", 10)); });
        rival.join();
      } else {
        P::sleep_until(P::now() + 90ms);
      }
    });
    const auto result = store.execute(worker, process);
    require(result.committed(), "the slow one commits in the end");
    require(result.effort.expiries <= 1, std::to_string(result.effort.expiries) + " leases ran out");
    require(result.effort.attempts <= 3 && result.effort.conflicts <= 2, "one more attempt for its expiry");
  });
  P::thread fast = P::thread::named("fast", [&] {
    auto worker = store.worker();
    auto process = store.process("fast", {.inputs = {}, .outputs = {"n"}}, increment);
    require(store.execute(worker, process).committed(), "the fast one commits");
  });
  slow.join(), fast.join();
  reached.take(store.statistics());
}

// B7. Danger: a body that throws in its turn leaves the gate shut. Its first attempt may conflict with the rival's commit, and
// then it holds the ticket when it throws; the lease is an hour.
void a_throwing_holder_reopens_the_gate(Policy policy, Reached& reached) {
  Store<P> store({.backoff = false, .policy = policy, .lease_least = std::chrono::hours(1)});
  write(store, 0, "n");
  P::thread thrower([&] {
    auto worker = store.worker({.failures = 4});
    int runs = 0;
    auto process = store.process("throws", {.inputs = {}, .outputs = {"n"}}, [&](Context<P>& ctx) {
      if (++runs > 1) throw std::runtime_error("in its turn");  // also the first may have been cut short
      increment(ctx);
    });
    try {
      require(store.execute(worker, process).effort.attempts == 1,
              "it committed in a turn in which it threw");
    } catch (const std::runtime_error& error) {
      require(std::string(error.what()) == "in its turn", error.what());
    }
    require(worker.ticket() == TicketStatus::none, "the ticket was kept");
  });
  P::thread rival([&] {
    auto worker = store.worker();
    auto process = store.process("rival", {.inputs = {}, .outputs = {"n"}}, increment);
    require(store.execute(worker, process).committed(), "the rival did not commit");
  });
  thrower.join(), rival.join();
  require_open(store);
  reached.take(store.statistics());
}

// B7. Danger: a stop that comes at the wrong moment leaves the gate shut, or commits after it said that it did not. The stop
// comes at any moment of an execution that earns the ticket; the lease is an hour.
void a_cancelled_holder_reopens_the_gate(Policy policy, Reached& reached) {
  Store<P> store({.backoff = false, .policy = policy, .lease_least = std::chrono::hours(1)});
  write(store, 0, "n");
  StopFlag<P> stop;
  P::thread stopped([&] {
    auto worker = store.worker({.failures = 4});
    auto process = store.process("stopped", {.inputs = {}, .outputs = {"n"}},
                                 [](Context<P>& ctx) { ctx.set("n", ctx.read("n")->integer() + 100); });
    const auto result = store.execute(worker, process, {.stop = &stop});
    const bool cancelled = std::holds_alternative<Cancelled>(result.outcome);
    require(cancelled || result.committed(), "neither cancelled nor committed");
    require((store.read("n")->integer() >= 100) == !cancelled, "the result does not say what happened");
    require(worker.ticket() == TicketStatus::none, "the ticket was kept");
  });
  P::thread stopper([&] {
    store.compare_and_swap(1, WriteSet{}.set("n", 2));
    stop.request();
  });
  stopped.join(), stopper.join();
  require_open(store);
  reached.take(store.statistics());
}

// B7. Danger: a holder that overstayed comes back when its successor holds the gate, and its commit is taken for the
// successor's, or spoils it. Both come at the moment the lease ends. The oracle: while the successor's turn lasts the late one
// is Busy like anybody, giving back what it has ends nothing, and the successor's commit cannot conflict.
void a_late_holder_is_fenced(Policy policy, Reached& reached) {
  Store<P> store({.backoff = false, .policy = policy, .lease_least = 1ms});
  write(store, 0, "n");
  auto late = store.worker({.failures = 4});
  write(store, 0, "n", &late);
  require(late.ticket() == TicketStatus::holding, "its fifth conflict earned no ticket");
  P::atomic<int> successors_turn{0};
  P::thread comes_back([&] {
    P::sleep_until(P::now() + 1ms);
    const bool before = successors_turn.load() == 1;
    const auto result = write(store, store.version(), "n", &late);
    const bool during = before && successors_turn.load() == 1;
    require(!during || std::holds_alternative<Busy>(result), "a late holder used its successor's turn");
    late.give_back();
  });
  P::thread successor([&] {
    P::sleep_until(P::now() + 1ms);
    auto worker = store.worker({.failures = 4});
    const auto failed = write(store, 0, "n", &worker);
    if (const auto* conflict = std::get_if<Conflict>(&failed);
        conflict == nullptr || conflict->ticket != TicketStatus::holding)
      return;  // the late one was not late yet
    successors_turn.store(1);
    successors_turn.store(2);  // whatever lies between these two lies within the turn
    const auto result = write(store, store.version(), "n", &worker);
    require(committed(result), "the late holder spoilt its successor's turn");
  });
  comes_back.join(), successor.join();
  require_open(store);
  reached.take(store.statistics());
}

}  // namespace

std::vector<Scheduled> scheduled_turns(Policy policy) {
  ScheduledList list(policy);
  list.add("B6", "together", Search::scripted, 1, {.grants = 2},
           [policy](Reached& reached) { two_earn_it_together(policy, reached); })
      .script = both_fail_before_either_queues();
  std::array<std::size_t, 4> order = {0, 1, 2, 3};
  do {
    std::string name = "order-";
    for (const std::size_t i : order) name += std::to_string(i);
    list.add("B6", name, Search::scripted, 1, {.grants = 5, .busy = 4},
             [policy, order](Reached& reached) { turns_come_in_this_order(policy, reached, order); })
        .script = arrive_in_this_order(order);
  } while (std::next_permutation(order.begin(), order.end()));
  list.add("B6", "two-candidates", Search::exhausted, 200'000, {.grants = 1},
           [policy](Reached& reached) { many_candidates(policy, reached, 2); });
  list.add("B6", "four-candidates", Search::sampled, 500, {.grants = 2},
           [policy](Reached& reached) { many_candidates(policy, reached, 4); });
  list.add("B7", "throws", Search::exhausted, 200'000, {.grants = 1},
           [policy](Reached& reached) { a_throwing_holder_reopens_the_gate(policy, reached); });
  list.add("B7", "cancelled", Search::exhausted, 200'000, {.grants = 1},
           [policy](Reached& reached) { a_cancelled_holder_reopens_the_gate(policy, reached); });
  list.add("B7", "late", Search::exhausted, 200'000, {.grants = 2, .expiries = 1},
           [policy](Reached& reached) { a_late_holder_is_fenced(policy, reached); });
  list.add("B7", "dead", Search::exhausted, 200'000, {.grants = 1, .expiries = 1},
           [policy](Reached& reached) { a_dead_holder_blocks_for_its_lease(policy, reached); });
  list.add("B7", "slow", Search::sampled, 200, {.grants = 1},
           [policy](Reached& reached) { a_slow_holders_lease_is_long_enough(policy, reached); });
  list.add("B7", "overstays", Search::sampled, 500, {.grants = 2, .expiries = 1},
           [policy](Reached& reached) { an_overstaying_holder_commits_next_time(policy, reached); });
  return list.take();
}

}  // namespace touchstone::stress
