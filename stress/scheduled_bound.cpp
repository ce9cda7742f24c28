// B10 and B11: how much one execute() can be made to go through, and what it publishes.

#include "stress/candidates.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;            // the promises are about it
using namespace touchstone::harness::explore;  // and its schedules
using P = ControlledPlatform;
using Search = Scheduled::Search;

// B10. A low threshold and limit bring every worker to the gate soon.
void every_execute_keeps_the_bound(Policy policy, Reached& reached, int workers, int times) {
  Candidates all({.backoff = false, .policy = policy, .ticket_threshold = 2, .busy_limit = 2}, workers);
  std::vector<P::thread> threads;
  for (int i = 0; i < workers; ++i) {
    threads.emplace_back([&all, times] {
      for (int round = 0; round < times; ++round) all.run(2);
    });
  }
  for (auto& thread : threads) thread.join();
  all.conclude(workers * times, reached);
}

// B10. The source's own numbers: threshold 5, limit 8.
void every_execute_keeps_the_sources_bound(Policy policy, Reached& reached) {
  Candidates all({.backoff = false, .policy = policy}, 4);
  std::vector<P::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&all] {
      for (int round = 0; round < 4; ++round) all.run(5);
    });
  }
  for (auto& thread : threads) thread.join();
  all.conclude(16, reached);
}

// B10. Danger: the bound counts turns that pass while a waiter is not given the processor, of which there may be any number. The
// victim waits at the gate; thirty turns come and go before it runs again. That was one closing waited out, and the gate is open.
void turns_while_a_waiter_does_not_run(Policy policy, Reached& reached) {
  Store<P> store({.policy = policy});
  store.compare_and_swap(0, WriteSet{}.set("n", 0));
  P::thread others = P::thread::named("others", [&] {
    for (int turn = 0; turn < 30; ++turn) {
      auto worker = store.worker({.failures = 4});
      store.compare_and_swap(0, WriteSet{}.set("n", 0), &worker, {"hall"});
      require(worker.ticket() == TicketStatus::holding, "a turn begins");
      P::fault_point("turn");
      store.compare_and_swap(store.version(), WriteSet{}.set("n", turn), &worker);
    }
  });
  P::thread victim = P::thread::named("victim", [&] {
    auto worker = store.worker();
    auto process = store.process("quiet", {.inputs = {}, .outputs = {"hall.quiet"}},
                                 [](Context<P>& ctx) { ctx.set("hall.quiet", 1); });
    const auto result = store.execute(worker, process);
    require(result.committed() && result.effort.conflicts == 0, "nobody else writes what it writes");
    require(result.effort.closings_waited == 1, std::to_string(result.effort.closings_waited) + " closings");
  });
  others.join(), victim.join();
  reached.take(store.statistics());
}

Script thirty_turns_pass() {
  Script script;
  script.run("others").until("turn").run("victim").until_blocked().run("others").to_end();
  return script;
}

// B10. Without the ticket there is a schedule that starves a worker for any number asked for: this one, repeated. It is the
// witness that the bound is the ticket's doing.
void starved_without_the_ticket(Reached& reached, int asked_for) {
  Store<P> store({.backoff = false, .ticket = false});
  P::thread victim = P::thread::named("victim", [&] {
    auto worker = store.worker();
    auto process = store.process("add", {.inputs = {}, .outputs = {"n"}}, [](Context<P>& ctx) {
      const auto n = ctx.read("n");
      ctx.set("n", n ? n->integer() + 1 : 1);
    });
    const auto result = store.execute(worker, process, {.attempts = asked_for});
    require(std::holds_alternative<AttemptsExhausted>(result.outcome), "the schedule starves it");
    require(result.effort.conflicts == asked_for, "every attempt conflicted");
  });
  P::thread rival = P::thread::named("rival", [&] {
    for (int i = 0; i < asked_for; ++i) {
      P::fault_point("rival");
      store.compare_and_swap(store.version(), WriteSet{}.set("n", i));
    }
  });
  victim.join(), rival.join();
  reached.take(store.statistics());
}

Script always_first(int asked_for) {
  Script script;
  for (int i = 0; i < asked_for; ++i) {
    script.run("victim").until("execute:body_done");
    i + 1 < asked_for ? script.run("rival").until("rival") : script.run("rival").to_end();
    if (i == 0) script.run("rival").until("rival");
  }
  return script;
}

// B11. Danger: effects of a failed attempt, effects twice, effects before the install or of another commit's version. Each
// body emits what it is about to write. The oracle: every value from 1 on is told once by `begin` and then once by `end`, with
// the version that wrote it, and by then that version is there to be read. (A sink that `reads` makes too many schedules to
// exhaust.)
void effects_come_once_after_the_commit(Policy policy, Reached& reached, int workers, bool reads) {
  struct Told {
    std::string topic;
    std::int64_t value;
    Version version;
  };
  std::vector<Told> told;
  Store<P>* self = nullptr;
  StoreOptions options{.backoff = false, .policy = policy};
  options.sink = [&](const Effect& effect) {
    require(self->version() >= effect.version, "an effect came before its commit");
    if (reads)
      require(self->read("n")->integer() >= effect.payload.integer(), "an effect came before its value");
    told.push_back({effect.topic, effect.payload.integer(), effect.version});
  };
  Store<P> store(std::move(options));
  self = &store;
  store.compare_and_swap(0, WriteSet{}.set("n", 0));
  std::vector<P::thread> threads;
  for (int i = 0; i < workers; ++i) {
    threads.emplace_back([&store] {
      auto worker = store.worker({.failures = 4});
      auto process = store.process("count", {.inputs = {}, .outputs = {"n"}}, [](Context<P>& ctx) {
        const auto next = ctx.read("n")->integer() + 1;
        ctx.emit("begin", next);
        ctx.set("n", next);
        ctx.emit("end", next);
      });
      require(store.execute(worker, process).committed(), "a worker did not commit");
    });
  }
  for (auto& thread : threads) thread.join();
  require(told.size() == 2u * static_cast<unsigned>(workers), std::to_string(told.size()) + " effects");
  for (std::int64_t value = 1; value <= workers; ++value) {
    std::string topics;
    for (const Told& one : told) {
      if (one.value != value) continue;
      topics += one.topic + " ";
      require(one.version == static_cast<Version>(value) + 1, "an effect names another commit");
    }
    require(topics == "begin end ", "value " + std::to_string(value) + " was told by: " + topics);
  }
  reached.take(store.statistics());
}

}  // namespace

std::vector<Scheduled> scheduled_bound(Policy policy) {
  ScheduledList list(policy);
  list.add("B10", "two-workers", Search::exhausted, 400'000, {.conflicts = 1},
           [policy](Reached& reached) { every_execute_keeps_the_bound(policy, reached, 2, 1); });
  list.add("B10", "descheduled", Search::scripted, 1, {.grants = 30, .busy = 1},
           [policy](Reached& reached) { turns_while_a_waiter_does_not_run(policy, reached); })
      .script = thirty_turns_pass();
  for (const int asked_for : {10, 40, 160}) {
    if (policy != Policy::ticket) break;  // they have none
    list.add("B10", "starved-" + std::to_string(asked_for), Search::scripted, 1,
             {.conflicts = static_cast<std::uint64_t>(asked_for)},
             [asked_for](Reached& reached) { starved_without_the_ticket(reached, asked_for); })
        .script = always_first(asked_for);
  }
  list.add("B10", "three-workers", Search::sampled, 1'000, {.grants = 1, .busy = 1},
           [policy](Reached& reached) { every_execute_keeps_the_bound(policy, reached, 3, 3); });
  list.add("B10", "source-numbers", Search::sampled, 300, {.conflicts = 1},
           [policy](Reached& reached) { every_execute_keeps_the_sources_bound(policy, reached); });
  list.add("B11", "two-workers", Search::exhausted, 200'000, {.conflicts = 1},
           [policy](Reached& reached) { effects_come_once_after_the_commit(policy, reached, 2, false); });
  list.add("B11", "three-workers", Search::sampled, 500, {.grants = 1, .conflicts = 1},
           [policy](Reached& reached) { effects_come_once_after_the_commit(policy, reached, 3, true); });
  return list.take();
}

}  // namespace touchstone::stress
