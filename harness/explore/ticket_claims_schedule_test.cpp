// Acceptance B4, B7, B8, B10 and B11 on every schedule of two workers, under the ticket and under the queue per key. (B5, B6 and B9, and B10 for more of them, on sampled schedules:
// stress/acceptance_b_schedule_test.cpp; B5 exhausted: ticket_schedule_test.cpp.)

#include <gtest/gtest.h>

#include <map>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"

namespace touchstone::harness::explore {
namespace {

using namespace touchstone::engine;
using P = ControlledPlatform;

StoreOptions without_pauses(Policy policy, int threshold = 5) {
  StoreOptions options;
  options.policy = policy;
  options.backoff = false;
  options.backoff_base = Duration(0);
  options.ticket_threshold = threshold;
  return options;
}

const auto kBothPolicies = testing::Values(Policy::ticket, Policy::key_queue);

const char* to_text(Policy policy) {
  return policy == Policy::ticket ? "Ticket" : "KeyQueue";
}

std::string name_of_policy(const testing::TestParamInfo<Policy>& info) {
  return to_text(info.param);
}

class AcceptanceB4 : public testing::TestWithParam<Policy> {};
class AcceptanceB6 : public testing::TestWithParam<Policy> {};
class AcceptanceB7 : public testing::TestWithParam<Policy> {};
class AcceptanceB8 : public testing::TestWithParam<Policy> {};
class AcceptanceB10 : public testing::TestWithParam<Policy> {};
class AcceptanceB11 : public testing::TestWithParam<Policy> {};

INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB4, kBothPolicies, name_of_policy);
INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB6, kBothPolicies, name_of_policy);
INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB7, kBothPolicies, name_of_policy);
INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB8, kBothPolicies, name_of_policy);
INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB10, kBothPolicies, name_of_policy);
INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB11, kBothPolicies, name_of_policy);

Process<P> addition(Store<P>& store) {
  return store.process("add", {.inputs = {"n"}, .outputs = {"n"}},
                       [](Context<P>& context) { context.set("n", context.read("n")->integer() + 1); });
}

/// One more conflict of `worker`: n was written at version 1.
void conflict(Store<P>& store, Worker<P>& worker) {
  const CommitResult result = store.compare_and_swap(0, WriteSet{}.set("n", 7), &worker);
  require(std::holds_alternative<Conflict>(result), "a stale version conflicts");
}

// Danger: the count is off by one, or lives on through a success. A rival commits another path at any moment; the oracle is the
// number of conflicts, which are forced by a stale version and so do not depend on the schedule.
TEST_P(AcceptanceB4, TheFifthConflictInARowEarnsTheTicketOnEverySchedule) {
  const Body body = [] {
    Store<P> store(without_pauses(GetParam()));
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    P::thread candidate([&] {
      auto worker = store.worker({.failures = 3});
      conflict(store, worker);
      require(worker.ticket() == TicketStatus::none, "the fourth is not enough");
      conflict(store, worker);
      require(store.await_turn(worker) == TicketStatus::holding, "the fifth is");
      const CommitResult result = store.compare_and_swap(store.version(), WriteSet{}.set("n", 1), &worker);
      require(std::holds_alternative<Committed>(result), "the holder commits");
      for (int i = 0; i < 4; ++i) conflict(store, worker);
      require(worker.ticket() == TicketStatus::none, "a success in between resets the count");
    });
    P::thread rival([&] { store.compare_and_swap(store.version(), WriteSet{}.set("m", 1)); });
    candidate.join();
    rival.join();
    require(store.statistics().grants == 1, "one ticket");
  };
  EXPECT_TRUE(passes(exhaust(body)));
}

// Danger: an execution is counted in the queue before it stands there, so who came later by the statistics goes first. That was so, and
// `verify` saw it on native threads (B6, its turns in the order 0, 1, 3, ..., 7, 2).
TEST_P(AcceptanceB6, WhoIsCountedInTheQueueStandsInIt) {
  int behind = 0;
  const Body body = [&behind] {
    StoreOptions options = without_pauses(GetParam());
    options.busy_limit = 0;
    Store<P> store(options);
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    auto holder = store.worker({.failures = 4});
    conflict(store, holder);
    std::vector<int> turns;
    const auto queue_up = [&](int name) {
      auto worker = store.worker();
      const auto process = store.process("n", {.inputs = {}, .outputs = {"n"}}, [&](Context<P>& context) {
        if (worker.ticket() == TicketStatus::holding) turns.push_back(name);
        context.set("n", name);
      });
      store.execute(worker, process);
    };
    P::thread first([&] { queue_up(1); });
    P::thread second([&] {
      if (store.statistics().limit_joins == 1) queue_up(2);
    });
    store.compare_and_swap(store.version(), WriteSet{}.set("n", 3), &holder);
    first.join();
    second.join();
    if (turns.size() == 2) ++behind;
    require(turns.size() < 2 || turns.front() == 1, "first come is first served");
  };
  EXPECT_TRUE(passes(portfolio(
      body, {.executions = 20'000})));  // a look at a count is no step that the exhaustive search would order
  EXPECT_GT(behind, 0);
}

/// How a holder's turn ends without a commit of its own.
struct Ending {
  const char* name;
  void (*end)(Store<P>& store, Worker<P>& worker);

  friend void PrintTo(const Ending& ending, std::ostream* out) { *out << ending.name; }
};

const Ending kEndings[] = {
    {"Throws",
     [](Store<P>& store, Worker<P>& worker) {
       const auto process = store.process("throws", {.outputs = {"n"}},
                                          [](Context<P>&) { throw std::runtime_error("the body fails"); });
       try {
         store.execute(worker, process);
         require(false, "what a body throws passes through");
       } catch (const std::runtime_error&) {
       }
     }},
    {"IsCancelled",
     [](Store<P>& store, Worker<P>& worker) {
       StopFlag<P> stop;
       stop.request();
       const ExecuteResult result = store.execute(worker, addition(store), {.stop = &stop});
       require(std::holds_alternative<Cancelled>(result.outcome), "it is told so");
     }},
    {"MeetsItsDeadline",
     [](Store<P>& store, Worker<P>& worker) {
       const ExecuteResult result = store.execute(worker, addition(store), {.deadline = P::now()});
       require(std::holds_alternative<DeadlineExceeded>(result.outcome), "it is told so");
     }},
    {"MayNotTryAgain",
     [](Store<P>& store, Worker<P>& worker) {
       const ExecuteResult result = store.execute(worker, addition(store), {.attempts = 0});
       require(std::holds_alternative<AttemptsExhausted>(result.outcome), "it is told so");
     }},
    {"WritesNothing",
     [](Store<P>& store, Worker<P>& worker) {
       const auto process = store.process("idle", {.outputs = {"n"}}, [](Context<P>&) {});
       require(store.execute(worker, process).committed(), "an empty write set is committed");
     }},
    {"GivesBack", [](Store<P>&, Worker<P>& worker) { worker.give_back(); }},
    {"IsDestroyed", [](Store<P>&, Worker<P>&) {}},
};

class EndingOfATurn : public testing::TestWithParam<std::tuple<Ending, Policy>> {};

// Danger: a turn that ends otherwise than by a commit leaves the gate closed until the lease runs out, or for ever. The oracle: the
// other one commits, and no lease ran out.
TEST_P(EndingOfATurn, TheGateReopensOnEverySchedule) {
  const Ending ending = std::get<Ending>(GetParam());
  const Body body = [&ending] {
    Store<P> store(without_pauses(std::get<Policy>(GetParam())));
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    P::thread holder([&] {
      auto worker = store.worker({.failures = 4});
      conflict(store, worker);
      require(worker.ticket() == TicketStatus::holding, "its fifth conflict");
      ending.end(store, worker);
    });
    P::thread other([&] {
      auto worker = store.worker();
      require(store.execute(worker, addition(store)).committed(), "the other one goes on");
    });
    holder.join();
    other.join();
    require(store.statistics().expiries == 0, "and waits for no lease");
    require(store.read("n")->integer() == 1 && store.version() == 2, "nothing else is committed");
  };
  EXPECT_TRUE(passes(exhaust(body)));
}

INSTANTIATE_TEST_SUITE_P(AcceptanceB7, EndingOfATurn,
                         testing::Combine(testing::ValuesIn(kEndings), kBothPolicies), [](const auto& info) {
                           return std::string(std::get<Ending>(info.param).name) +
                                  to_text(std::get<Policy>(info.param));
                         });

// Danger: a holder that has overstayed its lease commits, or opens the gate, in its successor's turn. Two workers meet their fifth
// conflict; on many schedules both do before the gate is closed. The first comes back after 7 ms of a lease of 5; the second has
// waited that out, holds the ticket by then and takes 3 ms in its turn.
TEST_P(AcceptanceB7, ALateHolderCannotTouchItsSuccessorsTurnOnAnySchedule) {
  int successors = 0;
  const Body body = [&successors] {
    StoreOptions options = without_pauses(GetParam());
    options.lease_least = std::chrono::milliseconds(5);
    Store<P> store(options);
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    bool succeeded = false;
    const auto work = [&] {
      auto worker = store.worker({.failures = 4});
      const CommitResult fifth = store.compare_and_swap(0, WriteSet{}.set("n", 7), &worker);
      if (std::holds_alternative<Busy>(fifth)) return;
      const bool first = worker.ticket() == TicketStatus::holding;
      if (!first) {
        succeeded = true;
        require(store.await_turn(worker) == TicketStatus::holding, "everybody in the queue gets a turn");
      }
      P::sleep_until(P::now() + std::chrono::milliseconds(first ? 7 : 3));
      const CommitResult result = store.compare_and_swap(store.version(), WriteSet{}.set("n", 8), &worker);
      const bool late = first && succeeded;
      require(std::holds_alternative<Busy>(result) == late, "a late commit finds the gate another's");
      require(std::holds_alternative<Committed>(result) == !late, "the holder commits");
      require(!late || worker.ticket() != TicketStatus::holding, "and the ticket another's");
    };
    P::thread a(work);
    P::thread b(work);
    a.join();
    b.join();
    require(store.version() == 2, "one commit");
    successors += succeeded ? 1 : 0;
  };
  EXPECT_TRUE(passes(exhaust(body)));
  EXPECT_GT(successors, 0);
}

// Danger: failures belong to a process's name. Two workers run the same one; each meets one conflict, one of them its fifth.
TEST_P(AcceptanceB8, WorkersOfOneProcessShareNoCountAndNoTicketOnAnySchedule) {
  const Body body = [] {
    Store<P> store(without_pauses(GetParam()));
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    auto tired = store.worker({.failures = 4});
    auto fresh = store.worker();
    P::thread a([&] {
      conflict(store, tired);
      require(tired.ticket() == TicketStatus::holding, "its own fifth");
    });
    P::thread b([&] {
      const CommitResult result = store.compare_and_swap(0, WriteSet{}.set("n", 8), &fresh);
      const bool busy = std::holds_alternative<Busy>(result);
      require(busy || std::holds_alternative<Conflict>(result), "stale, or the gate is closed");
      require(fresh.failures() == (busy ? 0 : 1), "its own count");
      require(fresh.ticket() == TicketStatus::none, "and no ticket");
    });
    a.join();
    b.join();
    require(store.statistics().grants == 1, "one ticket");
  };
  EXPECT_TRUE(passes(exhaust(body)));
}

// The bound as a theorem within bounds: two workers, the ticket at the second conflict, three executions.
TEST_P(AcceptanceB10, TwoWorkersKeepTheBoundOnEverySchedule) {
  int most = 0;
  const Body body = [&most] {
    Store<P> store(without_pauses(GetParam(), 2));
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    const auto work = [&](int times) {
      auto worker = store.worker();
      const auto process = addition(store);
      for (int i = 0; i < times; ++i) {
        const Effort effort = store.execute(worker, process).effort;
        require(effort.conflicts <= 2 && effort.attempts <= 3, "two conflicts and three body runs at most");
        require(effort.closings_waited <= store.options().busy_limit + 1, "few closings of the gate");
        most = std::max(most, effort.conflicts);
      }
    };
    P::thread a([&] { work(1); });
    P::thread b([&] { work(kSanitized ? 1 : 2); });
    a.join();
    b.join();
    require(store.read("n")->integer() == (kSanitized ? 2 : 3), "no update is lost");
  };
  EXPECT_TRUE(passes(exhaust(body)));
  EXPECT_EQ(most, kSanitized ? 1 : 2);  // the bound is met
}

// Danger: the effects of an attempt that failed come out too, or those of the one that committed come out twice, or carry another
// commit's version. Both bodies conflict with each other on most schedules and run again.
TEST_P(AcceptanceB11, EffectsAreOfTheAttemptThatCommittedOnEverySchedule) {
  const Body body = [] {
    std::map<std::int64_t, Version> published;  // by who sent it
    StoreOptions options = without_pauses(GetParam());
    options.sink = [&published](const Effect& effect) {
      require(published.emplace(effect.payload.integer(), effect.version).second, "an effect comes out once");
    };
    Store<P> store(std::move(options));
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    std::array<Version, 2> committed{};
    const auto work = [&](int me) {
      auto worker = store.worker();
      const auto process =
          store.process("tell", {.inputs = {"n"}, .outputs = {"n"}}, [me](Context<P>& context) {
            context.emit("told", me);
            context.set("n", context.read("n")->integer() + 1);
          });
      const ExecuteResult result = store.execute(worker, process);
      committed[static_cast<std::size_t>(me)] = std::get<Committed>(result.outcome).version;
      require(published.count(me) == 1, "it is out when execute() returns");
    };
    P::thread a([&] { work(0); });
    P::thread b([&] { work(1); });
    a.join();
    b.join();
    for (int me = 0; me < 2; ++me) {
      require(published.at(me) == committed[static_cast<std::size_t>(me)], "with its commit's version");
    }
  };
  EXPECT_TRUE(passes(exhaust(body)));
}

}  // namespace
}  // namespace touchstone::harness::explore
