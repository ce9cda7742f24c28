// Acceptance B1, B6, B7 and B10 under control: a virtual clock, threads that stop where they are told, and sampled schedules. Time moves
// only when nothing can run, so here, and only here, waits are checked from above too.

#include <string>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"
#include "harness/explore/script.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;
using namespace touchstone::harness::explore;
using namespace std::chrono_literals;
using P = ControlledPlatform;

void increment(Context<P>& ctx) {
  const auto n = ctx.read("n");
  ctx.set("n", n ? n->integer() + 1 : 1);
}

std::string ms(Duration d) {
  return std::to_string(d.count()) + " ns";
}

// The bands of B1 from both sides: in virtual time a wait is exactly what was slept. A rival commits under each of seven attempts.
TEST(AcceptanceB1, VirtualWaitsLieStrictlyInTheirBands) {
  const Body body = [] {
    Store<P> store({.ticket = false});
    auto worker = store.worker();
    std::vector<Time> begun;
    auto process = store.process("unlucky", {.outputs = {"n"}}, [&](Context<P>& ctx) {
      begun.push_back(P::now());
      P::thread rival([&] { store.compare_and_swap(store.version(), WriteSet{}.set("n", 0)); });
      rival.join();
      ctx.set("n", 1);
    });
    store.execute(worker, process, {.attempts = 8});
    require(begun.size() == 8, "eight attempts began");
    Duration jitter{0};
    for (int retry = 1; retry <= 7; ++retry) {
      const auto n = static_cast<std::size_t>(retry);
      const Duration least = 1ms * (1 << std::min(retry, 5)), waited = begun[n] - begun[n - 1];
      require(waited >= least && waited < least + least / 2,
              "retry " + std::to_string(retry) + " waited " + ms(waited));
      jitter += waited - least;
    }
    require(jitter != Duration(0), "no wait had any jitter");
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 50})));
}

// Danger: a worker sleeps out its back-off with its cells locked. The script stops the victim in its back-off; a commit and a read of
// the same path must then go through at once, in no time.
TEST(AcceptanceB1, ABackoffHoldsNothing) {
  const Body body = [] {
    Store<P> store;
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    P::thread victim = P::thread::named("victim", [&] {
      auto worker = store.worker();
      auto process = store.process("add", {.outputs = {"n"}}, [](Context<P>& ctx) { increment(ctx); });
      require(store.execute(worker, process).effort.attempts == 2, "one conflict, one retry");
    });
    P::thread rival = P::thread::named("rival", [&] {
      store.compare_and_swap(1, WriteSet{}.set("n", 10));
      P::fault_point("first");
      const Time begin = P::now();
      require(std::holds_alternative<Committed>(store.compare_and_swap(2, WriteSet{}.set("n", 20))),
              "nobody is in its way");
      require(store.read("n")->integer() == 20 && P::now() == begin, "it had to wait");
    });
    victim.join(), rival.join();
  };
  Script script;
  script.run("victim")
      .until("execute:body_done")
      .run("rival")
      .until("first")
      .run("victim")
      .until_blocked()
      .run("rival")
      .to_end();
  EXPECT_TRUE(passes(scripted(body, script)));
}

// Danger: a commit passes the gate just before it closes and installs after the holder has read its version. The holder earns its
// ticket while two commits of the same path are under way. The oracle: its next commit from a version read later is Committed.
TEST(AcceptanceB5, TheHoldersNextCommitNeverConflictsOnAnySampledSchedule) {
  const Body body = [] {
    Store<P> store;
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    P::thread holder = P::thread::named("holder", [&] {
      auto worker = store.worker({.failures = 4});
      store.compare_and_swap(0, WriteSet{}.set("n", 1), &worker);
      require(worker.ticket() == TicketStatus::holding, "its fifth conflict");
      const auto result = store.compare_and_swap(store.version(), WriteSet{}.set("n", 2), &worker);
      require(std::holds_alternative<Committed>(result), "the holder conflicted");
    });
    std::vector<P::thread> rivals;
    for (int i = 0; i < 2; ++i) {
      rivals.emplace_back([&] {
        store.compare_and_swap(store.version(), WriteSet{}.set("n", 3));
        store.compare_and_swap(store.version(), WriteSet{}.set("n.below", 4));
      });
    }
    holder.join();
    for (auto& rival : rivals) rival.join();
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 5'000})));
}

// Danger: the gate opens and nobody is told, so that those who wait sleep until some time-out. The holder commits after a millisecond
// of a lease of 50; the waiters go on then, each after its own jitter, which is below one base of a millisecond.
TEST(AcceptanceB9, WaitersGoOnWhenTheGateOpensAndNotWhenALeaseEnds) {
  const Body body = [] {
    Store<P> store;
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    P::thread holder = P::thread::named("holder", [&] {
      auto worker = store.worker({.failures = 4});
      store.compare_and_swap(0, WriteSet{}.set("n", 1), &worker);
      P::sleep_until(P::now() + 1ms);
      require(std::holds_alternative<Committed>(
                  store.compare_and_swap(store.version(), WriteSet{}.set("n", 2), &worker)),
              "the holder commits");
    });
    std::vector<P::thread> waiters;
    for (const char* path : {"a", "b"}) {
      waiters.emplace_back([&store, path] {
        auto worker = store.worker();
        auto process =
            store.process("set", {.outputs = {path}}, [path](Context<P>& ctx) { ctx.set(path, 1); });
        const auto result = store.execute(worker, process);
        require(result.committed() && result.effort.waited < 2ms, "it waited " + ms(result.effort.waited));
      });
    }
    holder.join();
    for (auto& waiter : waiters) waiter.join();
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 1'000})));
}

/// Workers that are one conflict short of the ticket, all adding to one counter.
struct Candidates {
  explicit Candidates(StoreOptions options) : store(std::move(options)) {
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
  }

  void run(int short_of_ticket) {
    auto worker = store.worker({.failures = store.options().ticket_threshold - short_of_ticket});
    auto process = store.process("add", {.outputs = {"n"}}, [&](Context<P>& ctx) {
      const bool holds = worker.ticket() == TicketStatus::holding;
      if (holds) require(++holders == 1, "two holders at once");
      increment(ctx);
      P::yield();
      if (holds) --holders;
    });
    const ExecuteResult result = store.execute(worker, process);
    const Effort& e = result.effort;
    require(result.committed(), "execute() returned without a commit");
    require(e.conflicts <= short_of_ticket + e.expiries, std::to_string(e.conflicts) + " conflicts");
    require(e.attempts <= short_of_ticket + 1 + e.expiries, std::to_string(e.attempts) + " body runs");
    most_closings = std::max(most_closings, e.closings_waited);
  }

  Store<P> store;
  int holders = 0;
  int most_closings = 0;
};

// Danger: two workers earn the ticket at the same moment, both conflicts being decided before either has closed the gate; then both
// hold it, or one is lost. The script lets A and B read, a third commit under both, both fail, and only then queue. The oracle: each
// commits in its own turn with no further conflict, and the bodies of the two turns never overlap.
TEST(AcceptanceB6, TwoWorkersThatEarnTheTicketTogetherTakeTurns) {
  const Body body = [] {
    Candidates all({});
    P::thread a = P::thread::named("A", [&] { all.run(1); });
    P::thread b = P::thread::named("B", [&] { all.run(1); });
    P::thread c = P::thread::named("C", [&] { all.store.compare_and_swap(1, WriteSet{}.set("n", 10)); });
    a.join(), b.join(), c.join();
    require(all.store.read("n")->integer() == 12, "an update was lost");
    require(all.store.statistics().grants == 2, "not two grants");
  };
  Script script;
  script.run("A").until("execute:body_done").run("B").until("execute:body_done").run("C").to_end();
  script.run("A").until("commit:begin").run("B").until("commit:begin");
  EXPECT_TRUE(passes(scripted(body, script)));
}

// The same on sampled schedules, with more candidates than the machine has processors: first come, first served cannot be seen from
// outside, but that there is one holder at a time, that nobody is left out, and that nothing is lost can.
TEST(AcceptanceB6, ManyCandidatesNeverMakeTwoHoldersOnAnySampledSchedule) {
  const Body body = [] {
    Candidates all({.backoff_base = 1ms});
    std::vector<P::thread> threads;
    for (int i = 0; i < 4; ++i) threads.emplace_back([&] { all.run(1); });
    for (auto& thread : threads) thread.join();
    require(all.store.read("n")->integer() == 4, "an update was lost");
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 1'500})));
}

// Danger: a lease of a fixed 50 ms starves a worker whose body takes 100 ms: each of its turns runs out before it commits. Here a
// rival commits under each attempt that is not in a turn, and the gate's waiters end leases the moment they may. The oracle: the
// lease is sized from the attempts that the worker has already made, so the first turn is enough.
TEST(AcceptanceB7, ASlowHoldersLeaseIsSizedFromItsOwnAttempts) {
  const Body body = [] {
    Store<P> store;
    P::thread slow = P::thread::named("slow", [&] {
      auto worker = store.worker();
      auto process = store.process("slow", {.outputs = {"n"}}, [&](Context<P>& ctx) {
        increment(ctx);
        P::sleep_until(P::now() + 100ms);
      });
      const auto result = store.execute(worker, process);
      require(result.committed() && result.effort.conflicts == 5, "five conflicts, then its turn");
      require(result.effort.expiries == 0 && result.effort.attempts == 6, "its first turn was long enough");
    });
    P::thread fast = P::thread::named("fast", [&] {
      auto worker = store.worker();
      auto process = store.process("fast", {.outputs = {"n"}}, [&](Context<P>& ctx) { increment(ctx); });
      for (int round = 0; round < 40; ++round) {
        require(store.execute(worker, process).committed(), "the fast one commits too");
        P::sleep_until(P::now() + 20ms);
      }
    });
    slow.join(), fast.join();
    require(store.read("n")->integer() == 41, "an update was lost");
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 200})));
}

// Danger: a holder that never comes back (its thread died or hangs) blocks everybody for ever. Its lease is 50 ms: the waiter must go
// on then and not before, and its wait is exactly the lease and the jitter of its waking, which is below one base.
TEST(AcceptanceB7, AHolderThatNeverComesBackBlocksForItsLeaseOnly) {
  const Body body = [] {
    Store<P> store;
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    auto dead = store.worker({.failures = 4});
    store.compare_and_swap(0, WriteSet{}.set("n", 1), &dead);
    require(dead.ticket() == TicketStatus::holding, "the dead one holds the ticket");
    P::thread waiter = P::thread::named("waiter", [&] {
      auto worker = store.worker();
      auto process = store.process("add", {.outputs = {"m"}}, [](Context<P>& ctx) { ctx.set("m", 1); });
      const auto result = store.execute(worker, process);
      require(result.committed() && result.effort.attempts == 1, "the same attempt went through");
      require(result.effort.waited >= 50ms && result.effort.waited < 51ms,
              "it waited " + ms(result.effort.waited));
    });
    waiter.join();
    require(dead.ticket() == TicketStatus::none, "its turn is over");
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 200})));
}

// Danger: an expired holder has no better chance the next time. Its body is quick until it has its turn, which then takes longer than
// four such attempts and the 50 ms; its next lease is doubled and knows the long attempt. The oracle: one expiry, and the commit in
// the second turn; the waiter meanwhile gets its own commit in.
TEST(AcceptanceB7, AnOverstayingHolderCommitsInItsNextTurn) {
  const Body body = [] {
    Store<P> store;
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    P::thread slow = P::thread::named("slow", [&] {
      auto worker = store.worker({.failures = 4});
      int runs = 0;
      auto process = store.process("slow", {.outputs = {"n"}}, [&](Context<P>& ctx) {
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
      auto process = store.process("fast", {.outputs = {"n"}}, [&](Context<P>& ctx) { increment(ctx); });
      require(store.execute(worker, process).committed(), "the fast one commits");
    });
    slow.join(), fast.join();
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 1'000})));
}

// The bound of B10 on sampled schedules. A low threshold and limit bring every worker to the gate soon; three workers execute twice.
TEST(AcceptanceB10, TheBoundHoldsOnEverySampledSchedule) {
  constexpr int kWorkers = 3;
  const Body body = [] {
    Candidates all({.backoff = false, .ticket_threshold = 2, .busy_limit = 2});
    std::vector<P::thread> threads;
    for (int i = 0; i < kWorkers; ++i) {
      threads.emplace_back([&] {
        for (int round = 0; round < 3; ++round) all.run(2);
      });
    }
    for (auto& thread : threads) thread.join();
    require(all.store.read("n")->integer() == 3 * kWorkers, "an update was lost");
    require(all.most_closings <= 2 + kWorkers - 1,
            std::to_string(all.most_closings) + " closings waited out");
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 5'000})));
}

// Danger: the bound counts turns that pass while a waiter is not given the processor, of which there may be any number. The victim
// waits at the gate; thirty turns come and go before it runs again. That was one closing waited out, and the gate is open now.
TEST(AcceptanceB10, TurnsThatPassWhileAWaiterDoesNotRunAreOneClosing) {
  const Body body = [] {
    Store<P> store;
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    P::thread others = P::thread::named("others", [&] {
      for (int turn = 0; turn < 30; ++turn) {
        auto worker = store.worker({.failures = 4});
        store.compare_and_swap(0, WriteSet{}.set("n", 0), &worker);
        require(worker.ticket() == TicketStatus::holding, "a turn begins");
        P::fault_point("turn");
        store.compare_and_swap(store.version(), WriteSet{}.set("n", turn), &worker);
      }
    });
    P::thread victim = P::thread::named("victim", [&] {
      auto worker = store.worker();
      auto process =
          store.process("quiet", {.outputs = {"quiet"}}, [](Context<P>& ctx) { ctx.set("quiet", 1); });
      const auto result = store.execute(worker, process);
      require(result.committed() && result.effort.conflicts == 0, "nobody else writes what it writes");
      require(result.effort.closings_waited == 1,
              std::to_string(result.effort.closings_waited) + " closings");
    });
    others.join(), victim.join();
  };
  Script script;
  script.run("others").until("turn").run("victim").until_blocked().run("others").to_end();
  EXPECT_TRUE(passes(scripted(body, script)));
}

// Without the ticket there is a schedule that starves a worker for any number asked for: this one, repeated. (The half of B10 that says
// "any schedule" is the explorer's; this is the witness that the ticket is needed.)
TEST(AcceptanceB10, WithoutTheTicketThisScheduleStarvesForAnyNumber) {
  for (const int asked_for : {10, 40}) {
    const Body body = [asked_for] {
      Store<P> store({.backoff = false, .ticket = false});
      P::thread victim = P::thread::named("victim", [&] {
        auto worker = store.worker();
        auto process = store.process("add", {.outputs = {"n"}}, [](Context<P>& ctx) { increment(ctx); });
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
    };
    Script script;
    for (int i = 0; i < asked_for; ++i) {
      script.run("victim").until("execute:body_done");
      i + 1 < asked_for ? script.run("rival").until("rival") : script.run("rival").to_end();
      if (i == 0) script.run("rival").until("rival");
    }
    EXPECT_TRUE(passes(scripted(body, script)));
  }
}

}  // namespace
}  // namespace touchstone::stress
