// Acceptance B1 to B11 on sampled schedules, where a worker's count, its turn or its effects could be taken for another's: who earns
// the ticket, whom it keeps out, in which order it goes round, and what a failed attempt leaves behind. As small as the promise allows,
// and under the queue per key as under the ticket: nearly everybody here wants the path `n`.

#include <string>
#include <vector>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;
using namespace touchstone::harness::explore;
using namespace std::chrono_literals;
using P = ControlledPlatform;

class UnderAPolicy : public testing::TestWithParam<Policy> {
 protected:
  static StoreOptions with_policy(StoreOptions options = {}) {
    options.policy = GetParam();
    return options;
  }
};

class AcceptanceB4 : public UnderAPolicy {};
class AcceptanceB5 : public UnderAPolicy {};
class AcceptanceB6 : public UnderAPolicy {};
class AcceptanceB7 : public UnderAPolicy {};
class AcceptanceB8 : public UnderAPolicy {};
class AcceptanceB11 : public UnderAPolicy {};

std::string name_of_policy(const testing::TestParamInfo<Policy>& info) {
  return info.param == Policy::ticket ? "Ticket" : "KeyQueue";
}

const auto kBothPolicies = testing::Values(Policy::ticket, Policy::key_queue);
INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB4, kBothPolicies, name_of_policy);
INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB5, kBothPolicies, name_of_policy);
INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB6, kBothPolicies, name_of_policy);
INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB7, kBothPolicies, name_of_policy);
INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB8, kBothPolicies, name_of_policy);
INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB11, kBothPolicies, name_of_policy);

template <class Outcome>
bool is(const CommitResult& result) {
  return std::holds_alternative<Outcome>(result);
}

CommitResult write(Store<P>& store, Version expected, const std::string& path, Worker<P>* worker = nullptr) {
  return store.compare_and_swap(expected, WriteSet{}.set(path, 1), worker);
}

/// One conflict of `worker`: version 0 is stale for `n` in every store of this file.
TicketStatus fail_once(Store<P>& store, Worker<P>& worker) {
  const auto result = write(store, 0, "n", &worker);
  require(is<Conflict>(result), "a stale version at an open gate is a conflict");
  return std::get<Conflict>(result).ticket;
}

// Danger: the wait of a late retry overflows. Both ends of its band are exact in virtual time, twelve days long or not.
TEST(AcceptanceB1, TheSixtyFourthRetryWaitsAsLongAsTheLongest) {
  const Body body = [] {
    Store<P> store({.backoff_cap = 64, .ticket = false});
    auto worker = store.worker({.failures = 63});
    auto process = store.process("unlucky", {.outputs = {"n"}}, [&, first = true](Context<P>& ctx) mutable {
      P::thread rival([&] {
        if (first) write(store, store.version(), "n");
      });
      rival.join();
      first = false;
      ctx.set("n", 2);
    });
    const auto result = store.execute(worker, process);
    const Duration longest = 1ms * (1 << 30);
    require(result.effort.attempts == 2, "one conflict, one retry");
    require(result.effort.waited >= longest && result.effort.waited < longest + longest / 2,
            "it waited " + std::to_string(result.effort.waited.count()) + " ns");
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 50})));
}

// Danger: a worker that has lost sleeps with its cells locked. In virtual time, which moves only when nobody can run, a commit beside
// it takes no time at all.
TEST(AcceptanceB1, NobodyWaitsForALosersSleepOnAnySampledSchedule) {
  const Body body = [] {
    Store<P> store;
    P::thread victim([&] {
      auto worker = store.worker();
      auto process = store.process("set", {.outputs = {"n"}}, [](Context<P>& ctx) { ctx.set("n", 1); });
      require(store.execute(worker, process).committed(), "it commits in the end");
    });
    P::thread rival([&] {
      const Time begin = P::now();
      for (int i = 0; i < 2; ++i) write(store, store.version(), "n");
      require(P::now() == begin, "its commits had to wait");
    });
    victim.join(), rival.join();
  };
  EXPECT_TRUE(passes(portfolio(body)));
}

// Danger: the ticket comes one conflict early or late, or a conflict is called something else and counts for nothing. A reader and a
// writer of something else are under way meanwhile; the oracle is the number of conflicts so far.
TEST_P(AcceptanceB4, TheFifthConflictEarnsTheTicketOnAnySampledSchedule) {
  const Body body = [] {
    Store<P> store(with_policy());
    write(store, 0, "n");
    P::thread other(
        [&] { require(!is<Conflict>(write(store, store.version(), "m")), "nobody else writes m"); });
    auto worker = store.worker();
    for (int conflict = 1; conflict <= 5; ++conflict) {
      const auto expected = conflict < 5 ? TicketStatus::none : TicketStatus::holding;
      require(fail_once(store, worker) == expected, "conflict " + std::to_string(conflict));
    }
    require(is<Committed>(write(store, store.version(), "n", &worker)), "the holder commits");
    other.join();
  };
  EXPECT_TRUE(passes(portfolio(body)));
}

// Danger: some way into the store leads past the gate: a merge, a commit without a worker, a validation that failed and is counted. Or
// the gate is closed for its own holder too. All ways are tried at once while the holder waits.
TEST_P(AcceptanceB5, EveryWayPastAClosedGateIsBusyOnAnySampledSchedule) {
  const bool all = GetParam() == Policy::ticket;  // by key only who wants the same is kept out
  const Body body = [all] {
    Store<P> store(with_policy());
    write(store, 0, "n");
    auto holder = store.worker({.failures = 4});
    require(fail_once(store, holder) == TicketStatus::holding, "its fifth conflict");
    std::vector<P::thread> others;
    for (const char* path : {all ? "m" : "n", "n"}) {
      for (const Version expected : {Version{0}, store.version()}) {
        others.emplace_back([&store, path, expected] {
          require(is<Busy>(write(store, expected, path)), "it got in without a worker");
          auto worker = store.worker();
          require(is<Busy>(write(store, expected, path, &worker)), "it got in with a worker");
          require(worker.failures() == 0, "Busy counted as a conflict");
        });
      }
    }
    for (auto& other : others) other.join();
    require(is<Committed>(write(store, store.version(), "n", &holder)), "the holder commits");
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 200})));
}

// Danger: the last to come is served first, or is let in beside the holder. Each candidate is queued before the next one starts: a
// sleep ends only when everybody else has come to rest. The oracle: nobody's body runs before the holder's commit, and then they run
// one at a time in the order in which they came.
TEST_P(AcceptanceB6, TurnsComeInTheOrderOfTheQueueOnAnySampledSchedule) {
  const Body body = [] {
    Store<P> store(with_policy({.busy_limit = 0, .lease_least = 1h}));
    write(store, 0, "n");
    auto holder = store.worker({.failures = 4});
    require(fail_once(store, holder) == TicketStatus::holding, "its fifth conflict");
    std::vector<int> order;
    bool inside = false;
    std::vector<P::thread> candidates;
    for (int name = 0; name < 3; ++name) {
      candidates.emplace_back([&, name] {
        auto worker = store.worker();
        auto process = store.process("add", {.outputs = {"n"}}, [&](Context<P>& ctx) {
          ctx.set("n", name);
          if (worker.ticket() == TicketStatus::none) return;  // not in its turn yet: sent back by the gate
          require(!std::exchange(inside, true), "two holders at once");
          order.push_back(name);
          P::yield();
          inside = false;
        });
        store.execute(worker, process);
      });
      P::sleep_until(P::now() + 1ms);
    }
    require(order.empty(), "a turn began beside the holder's");
    require(is<Committed>(write(store, store.version(), "n", &holder)), "the holder commits");
    for (auto& candidate : candidates) candidate.join();
    require(order == std::vector{0, 1, 2}, "first come, first served");
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 500})));
}

// Danger: a holder whose body throws keeps the gate shut until its lease ends. The waiter's own wait shows how long that was.
TEST_P(AcceptanceB7, AnExceptionReopensTheGateAtOnceOnAnySampledSchedule) {
  const Body body = [] {
    Store<P> store(with_policy());
    write(store, 0, "n");
    P::thread thrower([&] {
      auto worker = store.worker({.failures = 4});
      fail_once(store, worker);
      auto process = store.process("throws", {.outputs = {"n"}}, [](Context<P>&) {
        P::yield();
        throw std::runtime_error("mine");
      });
      try {
        store.execute(worker, process);
      } catch (const std::runtime_error&) {
        P::sleep_until(P::now() + 100ms);  // the handle lives on: only execute() gives its ticket back
      }
    });
    P::thread waiter([&] {
      auto worker = store.worker();
      auto process = store.process("set", {.outputs = {"n"}}, [](Context<P>& ctx) { ctx.set("n", 1); });
      const auto result = store.execute(worker, process);
      require(result.committed() && result.effort.waited < 2ms, "the gate stayed shut");
    });
    thrower.join(), waiter.join();
  };
  EXPECT_TRUE(passes(portfolio(body)));
}

/// Lets `late` earn the ticket and overstay its lease, which somebody else's commit then ends.
void overstay(Store<P>& store, Worker<P>& late) {
  require(fail_once(store, late) == TicketStatus::holding, "its fifth conflict");
  P::sleep_until(P::now() + 51ms);
  require(is<Committed>(write(store, store.version(), "n")), "the gate opens for whoever looks");
}

// Danger: a holder whose lease has run out comes back late and ends the turn of its successor.
TEST_P(AcceptanceB7, ALateHolderEndsNobodyElsesTurnOnAnySampledSchedule) {
  const Body body = [] {
    Store<P> store(with_policy());
    write(store, 0, "n");
    auto late = store.worker({.failures = 4});
    overstay(store, late);
    P::thread successor([&] {
      auto worker = store.worker({.failures = 4});
      require(fail_once(store, worker) == TicketStatus::holding, "the gate is open");
      P::yield();
      require(worker.ticket() == TicketStatus::holding, "its turn was ended");
      require(is<Committed>(write(store, store.version(), "n", &worker)), "its next commit cannot conflict");
    });
    late.give_back();
    write(store, store.version(), "n");
    successor.join();
  };
  EXPECT_TRUE(passes(portfolio(body)));
}

// Danger: a worker whose lease ran out queues again behind everybody who came after it. Two overstay, one after the other, and come
// back at the same time while a third holds the gate. The oracle: whichever is first at the gate, the elder has the next turn.
TEST_P(AcceptanceB7, AnExpiredWorkerKeepsItsAgeOnAnySampledSchedule) {
  const Body body = [] {
    Store<P> store(with_policy());
    write(store, 0, "n");
    auto elder = store.worker({.failures = 4}), younger = store.worker({.failures = 4});
    auto holder = store.worker({.failures = 4});
    overstay(store, elder);
    overstay(store, younger);
    require(fail_once(store, holder) == TicketStatus::holding, "the gate is open");
    const auto come_back = [&](Worker<P>& late) {
      require(is<Busy>(write(store, store.version(), "n", &late)), "the gate is closed");
      require(late.ticket() == TicketStatus::queued, "it is in the queue again");
    };
    P::thread one([&] { come_back(elder); }), other([&] { come_back(younger); });
    one.join(), other.join();
    require(is<Committed>(write(store, store.version(), "n", &holder)), "the holder commits");
    require(elder.ticket() == TicketStatus::holding, "the elder has the next turn");
  };
  EXPECT_TRUE(passes(portfolio(body)));
}

// Danger: conflicts are counted by the name of the process. Two workers run the same one and lose once each, which is two conflicts
// of that name; with a threshold of two nobody has earned anything.
TEST_P(AcceptanceB8, ConflictsOfTwoWorkersDoNotAddUpOnAnySampledSchedule) {
  const Body body = [] {
    Store<P> store(with_policy({.ticket_threshold = 2}));
    write(store, 0, "n");
    const auto lose_once = [&] {
      auto worker = store.worker();
      auto process = store.process("same", {.outputs = {"n"}}, [](Context<P>& ctx) { ctx.set("n", 1); });
      require(fail_once(store, worker) == TicketStatus::none, "one conflict is not two");
      require(worker.failures() == 1, "it counts its own");
    };
    P::thread a(lose_once), b(lose_once);
    a.join(), b.join();
    require(store.statistics().grants == 0, "nobody has earned the ticket");
  };
  EXPECT_TRUE(passes(portfolio(body)));
}

// Danger: what a failed attempt wrote is committed by the retry, or its effects are published too. Every run of a body writes a path of
// its own and emits its number; one rival that commits once means two runs at most. The oracle: the path of the last run is as it left
// it, the other one as it was, and one effect came.
TEST_P(AcceptanceB11, AFailedAttemptLeavesNeitherWritesNorEffectsOnAnySampledSchedule) {
  const Body body = [] {
    std::vector<std::int64_t> published;
    Store<P> store(
        with_policy({.sink = [&](const Effect& effect) { published.push_back(effect.payload.integer()); }}));
    for (const char* name : {"a", "b"})
      store.compare_and_swap(store.version(), WriteSet{}.set(name, Composite{{"1", 0}, {"2", 0}}));
    const auto run = [&](const char* name) {
      auto worker = store.worker();
      int runs = 0;
      auto process = store.process(name, {.outputs = {"n", name}}, [&](Context<P>& ctx) {
        ++runs;
        ctx.set(name + ("." + std::to_string(runs)), runs);
        ctx.set("n", runs);
        ctx.emit("ran", runs);
      });
      require(store.execute(worker, process).committed(), "it commits");
      const Composite left{{"1", runs == 1 ? 1 : 0}, {"2", runs == 2 ? 2 : 0}};
      require(*store.read(name) == Value(left), "a failed run left writes");
    };
    P::thread a([&] { run("a"); }), b([&] { run("b"); });
    a.join(), b.join();
    require(published.size() == 2, std::to_string(published.size()) + " effects of two commits");
  };
  EXPECT_TRUE(passes(portfolio(body)));
}

}  // namespace
}  // namespace touchstone::stress
