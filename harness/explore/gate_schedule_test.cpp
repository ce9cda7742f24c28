// The gate alone under the explorer, by the ticket and by the queue per key: what its callers may rely on between any two of its steps,
// and at which nanosecond a wait ends. A store around it hides most of that: whoever is told late, or wakes too soon, looks again.

#include <gtest/gtest.h>

#include "engine/index.h"
#include "engine/store.h"
#include "engine/ticket.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"

namespace touchstone::harness::explore {
namespace {

using namespace touchstone::engine;
using P = ControlledPlatform;
using std::chrono::milliseconds;

constexpr Duration kLease = milliseconds(50), kMoment = milliseconds(1), kNanosecond{1};

/// A gate with two claims of the same path.
struct Pair {
  explicit Pair(Policy policy) : gate({.policy = policy}) {}

  void join(Claim<P>& claim) { gate.join(claim, cells, kLease, counters); }
  void leave(Claim<P>& claim) { gate.leave(claim, counters); }
  TicketStatus await_turn(Claim<P>& claim, Time deadline = kForever) {
    return gate.await_turn(claim, deadline, counters);
  }
  Bar<P> bar(const Claim<P>* claim = nullptr) { return gate.bar(cells, {}, claim); }

  Index<P> index;
  TicketGate<P> gate;
  Counters<P> counters;
  Cell<P>* const path[1] = {index.intern("n")};
  const std::span<Cell<P>* const> cells{path};
  Claim<P> first, second;
};

class GateSchedule : public testing::TestWithParam<Policy> {};
INSTANTIATE_TEST_SUITE_P(Under, GateSchedule, testing::Values(Policy::ticket, Policy::key_queue),
                         [](const auto& info) {
                           return info.param == Policy::ticket ? "Ticket" : "KeyQueue";
                         });

TEST_P(GateSchedule, AWaitEndsAtItsDeadlineOrWithTheLeaseAndAtNoOtherNanosecond) {
  EXPECT_TRUE(passes(exhaust([] {
    Pair it(GetParam());
    it.join(it.first);
    it.join(it.second);
    const Time begin = P::now(), end = begin + kLease;
    const Bar<P> bar = it.bar();
    require(it.await_turn(it.second, begin + kMoment) == TicketStatus::queued, "no turn yet");
    require(P::now() == begin + kMoment, "it gives up at its deadline");
    require(!it.gate.await_change(bar, begin + 2 * kMoment, it.counters), "no change yet");
    require(P::now() == begin + 2 * kMoment, "so does a wait for a change");
    P::sleep_until(end - kNanosecond);
    require(it.gate.remaining(bar) == kNanosecond, "the lease lasts to its last nanosecond");
    it.gate.expire(it.counters);
    require(it.bar().turn == bar.turn, "and is not over before");
    require(it.await_turn(it.second) == TicketStatus::holding, "then it is over");
    require(P::now() == end, "neither sooner nor later");
    require(it.counters.expiries.load() == 1, "one lease");
  })));
}

TEST_P(GateSchedule, BusyTellsTheLastNanosecondOfALeaseAndACommitThenEndsIt) {
  EXPECT_TRUE(passes(exhaust([] {
    Store<P> store({.policy = GetParam(), .ticket_threshold = 1, .lease_least = kLease});
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    auto holder = store.worker();
    store.compare_and_swap(0, WriteSet{}.set("n", 1), &holder);
    const Time end = P::now() + kLease;
    P::sleep_until(end - kNanosecond);
    const CommitResult busy = store.compare_and_swap(1, WriteSet{}.set("n", 2));
    require(std::holds_alternative<Busy>(busy), "the turn has not ended");
    require(std::get<Busy>(busy).retry_after == kNanosecond, "a nanosecond is left");
    P::sleep_until(end);
    const CommitResult after = store.compare_and_swap(1, WriteSet{}.set("n", 2));
    require(std::holds_alternative<Committed>(after), "whoever finds it over ends it");
    require(holder.ticket() == TicketStatus::none, "its holder has none");
    require(store.await_turn(holder) == TicketStatus::holding, "and waits for another");
    require(store.statistics().grants == 2, "which is a turn of its own");
  })));
}

// Danger: the end of a turn is told to nobody, or before it shows, and those who wait for it sleep until its lease would have ended.
TEST_P(GateSchedule, WhoWaitsForTheEndOfATurnIsToldOfIt) {
  EXPECT_TRUE(passes(exhaust([] {
    Pair it(GetParam());
    it.join(it.first);
    const Bar<P> bar = it.bar();
    const Time end = P::now() + kMoment;
    P::thread waiting([&] {
      require(it.gate.await_change(bar, kForever, it.counters).has_value(), "it sees a change");
      require(P::now() == end, "when the turn ends, not with its lease");
    });
    P::sleep_until(end);
    it.leave(it.first);
    waiting.join();
  })));
}

TEST_P(GateSchedule, WhoWaitsForATurnIsToldOfItsBeginningAndFindsItBegun) {
  EXPECT_TRUE(passes(exhaust([] {
    Pair it(GetParam());
    it.join(it.first);
    it.join(it.second);
    const Time end = P::now() + kMoment;
    P::thread waiting([&] {
      require(it.await_turn(it.second) == TicketStatus::holding, "its turn begins");
      require(P::now() == end, "when the one before it ends, not with its lease");
      require(!it.bar(&it.second), "it is not kept out");
      require(it.bar().operator bool(), "everybody else is");
    });
    P::sleep_until(end);
    it.leave(it.first);
    waiting.join();
  })));
}

TEST_P(GateSchedule, WhoLooksForItsTurnWhileItBeginsFindsItBegun) {
  EXPECT_TRUE(passes(exhaust([] {
    Pair it(GetParam());
    it.join(it.first);
    it.join(it.second);
    P::thread leaving([&] { it.leave(it.first); });
    P::thread looking([&] {
      require(it.await_turn(it.second) == TicketStatus::holding, "its turn begins");
      require(!it.bar(&it.second), "it is not kept out");
      require(it.bar().operator bool(), "everybody else is");
    });
    leaving.join();
    looking.join();
  })));
}

// Who goes on because a lease ran out finds that counted: else two holders at once could not be told from one that overstays.
TEST_P(GateSchedule, WhoseTurnBeginsWhenALeaseEndsFindsTheLeaseCounted) {
  EXPECT_TRUE(passes(exhaust([] {
    Pair it(GetParam());
    it.join(it.first);
    it.join(it.second);
    P::sleep_until(P::now() + kLease);
    P::thread ending([&] { it.gate.expire(it.counters); });
    P::thread looking([&] {
      require(it.await_turn(it.second) == TicketStatus::holding, "its turn begins");
      require(it.counters.expiries.load() == 1, "the lease before it is counted");
    });
    ending.join();
    looking.join();
    require(it.first.expiries == 1, "once, whoever ended it");
  })));
}

// T3. Danger: between two turns somebody slips in who has not waited. (Under the queue per key a path is free there, and the commit that
// finds it so is waited for: K2.)
TEST(TicketGateSchedule, IsNotOpenBetweenTheTurnsOfTwoWhoWait) {
  EXPECT_TRUE(passes(exhaust([] {
    Pair it(Policy::ticket);
    it.join(it.first);
    it.join(it.second);
    P::thread leaving([&] { it.leave(it.first); });
    P::thread passing([&] { require(it.bar().operator bool(), "somebody has a turn"); });
    leaving.join();
    passing.join();
  })));
}

// T5. Danger: a turn shows before its lease does. Who waits then sleeps for ever if its holder dies.
TEST_P(GateSchedule, WhoIsKeptOutByATurnThatBeginsWaitsForItsLeaseAtMost) {
  int kept_out = 0;
  EXPECT_TRUE(passes(exhaust([&kept_out] {
    Pair it(GetParam());
    it.join(it.second);
    it.leave(it.second);  // an earlier turn: nobody has a lease since
    P::thread dies([&] { it.join(it.first); });
    P::thread passing([&] {
      const Bar<P> bar = it.bar();
      if (!bar) return;
      ++kept_out;
      require(it.gate.await_change(bar, kForever, it.counters).has_value(), "the turn ends");
    });
    dies.join();
    passing.join();
  })));
  EXPECT_GT(kept_out, 0);
}

}  // namespace
}  // namespace touchstone::harness::explore
