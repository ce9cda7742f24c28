// The gate by itself, without a store around it: what its callers rely on and a whole store shows only sometimes. Leases are an hour
// (never over here) or nothing (over at once), so no test waits for time to pass.

#include "engine/ticket.h"

#include <gtest/gtest.h>

#include <deque>
#include <initializer_list>

#include "engine/index.h"
#include "engine/native_platform.h"

namespace touchstone::engine {
namespace {

using Native = NativePlatform;
using std::chrono::hours;

/// A gate with claims that join it one after the other.
struct Gate {
  explicit Gate(Policy policy = Policy::ticket) : gate(options(policy)) {}

  static StoreOptions options(Policy policy) {
    StoreOptions options;
    options.policy = policy;
    return options;
  }

  Claim<Native>& join(Claim<Native>& claim, Duration lease = hours(1),
                      std::initializer_list<const char*> paths = {"a"}) {
    std::vector<Cell<Native>*> cells;
    for (const char* path : paths) cells.push_back(index.intern(path));
    gate.join(claim, cells, lease, counters);
    return claim;
  }
  Claim<Native>& join(Duration lease = hours(1), std::initializer_list<const char*> paths = {"a"}) {
    return join(claims.emplace_back(), lease, paths);
  }

  int leave(Claim<Native>& claim) { return gate.leave(claim, counters); }
  void expire() { gate.expire(counters); }
  TicketStatus status(Claim<Native>& claim) { return gate.status(claim); }

  /// What keeps a commit to `path` out.
  Bar<Native> bar(const char* path, const Claim<Native>* claim = nullptr) {
    Cell<Native>* const cells[] = {index.intern(path)};
    return gate.bar(std::span<Cell<Native>* const>(cells), {}, claim);
  }

  Index<Native> index;
  TicketGate<Native> gate;
  Counters<Native> counters;
  std::deque<Claim<Native>> claims;
};

TEST(TicketGate, CountsTheTurnsThatEndedBetweenTwoLooks) {
  const Gate one;
  EXPECT_EQ(one.gate.turns({nullptr, 1}, 2), 1);
  EXPECT_EQ(one.gate.turns({nullptr, 1}, 3), 1);
  EXPECT_EQ(one.gate.turns({nullptr, 1}, 7), 3);
  EXPECT_EQ(one.gate.turns({nullptr, 5}, 12), 4);
  const Gate by_key(Policy::key_queue);  // a cell's reservation does not say how many were there
  EXPECT_EQ(by_key.gate.turns({nullptr, 1}, 7), 1);
}

TEST(TicketGate, CountsEachTurnThatBegins) {
  Gate it;
  auto& first = it.join();
  auto& second = it.join();
  EXPECT_EQ(it.counters.grants.load(), 1u);
  it.leave(first);
  EXPECT_EQ(it.counters.grants.load(), 2u);
  it.leave(second);
  EXPECT_FALSE(it.bar("a"));
  EXPECT_EQ(it.counters.grants.load(), 2u);
}

// Under the queue per key several turns go on at once, and a commit waits for the one that is in its way.
TEST(TicketGate, TellsTheRestOfTheLeaseOfTheTurnThatBars) {
  Gate it(Policy::key_queue);
  it.join(hours(1), {"a"});
  it.join(hours(5), {"b"});
  EXPECT_GT(it.gate.remaining(it.bar("a")), hours(0));
  EXPECT_LE(it.gate.remaining(it.bar("a")), hours(1));
  EXPECT_GT(it.gate.remaining(it.bar("b")), hours(4));
  EXPECT_LE(it.gate.remaining(it.bar("b")), hours(5));
  const Bar<Native> over = it.bar("a");
  it.leave(it.claims.front());
  EXPECT_EQ(it.gate.remaining(over), hours(0)) << "of a turn that is over";
}

TEST(TicketGate, SaysNoTimeIsLeftOfALeaseThatHasRunOut) {
  Gate it;
  it.join(Duration(0));
  EXPECT_EQ(it.gate.remaining(it.bar("a")), Duration(0)) << "never less than nothing";
}

TEST(TicketGate, LeavingGivesUpTheAgeAndTellsOnceHowOftenTheLeaseRanOut) {
  Gate it;
  auto& holder = it.join();
  auto& early = it.join();
  auto& late = it.join();
  EXPECT_EQ(it.leave(early), 0);
  it.join(early);  // now it is the youngest
  it.leave(holder);
  EXPECT_EQ(it.status(late), TicketStatus::holding);
  EXPECT_EQ(it.status(early), TicketStatus::queued);
  it.leave(late);
  EXPECT_EQ(it.status(early), TicketStatus::holding);
  it.leave(early);

  auto& slow = it.join(Duration(0));
  it.expire();
  it.join(slow, Duration(0));
  it.expire();
  EXPECT_EQ(it.status(slow), TicketStatus::none);
  EXPECT_EQ(it.counters.expiries.load(), 2u);
  EXPECT_EQ(it.leave(slow), 2);
  EXPECT_EQ(it.leave(slow), 0);
}

TEST(TicketGate, AnExpiredClaimKeepsItsAgeAndItsLeaseDoubles) {
  Gate it;
  auto& slow = it.join(Duration(0));
  auto& other = it.join();
  it.expire();
  EXPECT_EQ(it.status(slow), TicketStatus::none);
  EXPECT_EQ(it.status(other), TicketStatus::holding);
  auto& third = it.join();
  it.join(slow, hours(3));
  EXPECT_EQ(slow.lease, hours(6));
  EXPECT_EQ(it.status(slow), TicketStatus::queued) << "though it is older than who holds";
  it.expire();
  EXPECT_EQ(it.status(slow), TicketStatus::queued) << "whoever waits has no lease";
  EXPECT_EQ(it.counters.expiries.load(), 1u);
  it.leave(other);
  EXPECT_EQ(it.status(slow), TicketStatus::holding) << "older than the third";
  EXPECT_EQ(it.status(third), TicketStatus::queued);
  EXPECT_GT(slow.lease_end, Native::now() + hours(5));
  slow.expiries = 40;  // the doubling ends before the lease overflows
  it.gate.expire(it.counters);
  it.leave(slow);
  slow.expiries = 40;
  it.join(slow, Duration(1));
  EXPECT_EQ(slow.lease, Duration(1 << 16));
}

TEST(TicketGate, OnlyTheTurnsWhoseLeasesHaveRunOutAreEnded) {
  Gate it(Policy::key_queue);
  auto& late = it.join(Duration(0), {"a"});
  auto& in_time = it.join(hours(1), {"b"});
  auto& too = it.join(Duration(0), {"c"});
  it.expire();
  EXPECT_EQ(it.status(late), TicketStatus::none);
  EXPECT_EQ(it.status(in_time), TicketStatus::holding);
  EXPECT_EQ(it.status(too), TicketStatus::none);
  EXPECT_EQ(late.expiries, 1);
  EXPECT_EQ(in_time.expiries, 0);
  EXPECT_EQ(it.counters.expiries.load(), 2u);
  EXPECT_FALSE(it.bar("a"));
  EXPECT_TRUE(it.bar("b"));
}

TEST(TicketGate, AHolderGetsItsFullLeaseAgainSoManyTimes) {
  Gate it;
  auto& holder = it.join();
  auto& waiting = it.join();
  const auto shorten = [&] { return holder.lease_end = Native::now() - hours(1); };
  it.gate.renew(waiting, 2);
  EXPECT_EQ(waiting.renewals, 0) << "only a holder has a lease";
  shorten();
  it.gate.renew(holder, 2);
  EXPECT_GT(holder.lease_end, Native::now());
  it.expire();
  EXPECT_EQ(it.status(holder), TicketStatus::holding);
  shorten();
  it.gate.renew(holder, 2);
  EXPECT_GT(holder.lease_end, Native::now());
  const Time over = shorten();
  it.gate.renew(holder, 2);
  EXPECT_EQ(holder.lease_end, over);
  EXPECT_EQ(holder.renewals, 2);
  it.leave(holder);
  it.join(holder);
  EXPECT_EQ(holder.renewals, 0) << "of another turn";
}

TEST(TicketGate, AWaitForATurnEndsByTheTurnTheDeadlineOrTheEndOfAnOldersLease) {
  Gate it;
  auto& holder = it.join();
  auto& next = it.join();
  EXPECT_EQ(it.gate.await_turn(holder, Time{}, it.counters), TicketStatus::holding);
  EXPECT_EQ(it.gate.await_turn(next, Time{}, it.counters), TicketStatus::queued);
  EXPECT_EQ(it.gate.await_turn(next, Native::now(), it.counters), TicketStatus::queued);
  it.leave(holder);
  auto& slow = it.join(next, Duration(0));
  it.leave(slow);
  it.join(slow, Duration(0));  // a turn that is over as soon as it begins
  auto& patient = it.join();
  EXPECT_EQ(it.gate.await_turn(patient, Native::now() + hours(1), it.counters), TicketStatus::holding);
  EXPECT_EQ(it.counters.expiries.load(), 1u);
  it.leave(patient);
  EXPECT_EQ(it.gate.await_turn(slow, Native::now() + hours(1), it.counters), TicketStatus::none)
      << "its turn came and ran out";
}

TEST(TicketGate, AWaitForAChangeEndsByTheChangeOrTheDeadline) {
  for (const Policy policy : {Policy::ticket, Policy::key_queue}) {
    Gate it(policy);
    auto& holder = it.join();
    const Bar<Native> bar = it.bar("a");
    EXPECT_EQ(bar.turn, 1u);
    EXPECT_EQ(it.gate.await_change(bar, Time{}, it.counters), std::nullopt);
    it.leave(holder);
    const std::uint64_t after =
        policy == Policy::ticket ? 2 : 0;  // a cell that nobody reserves shows nothing
    EXPECT_EQ(it.gate.await_change(bar, Native::now() + hours(1), it.counters), after);
    it.join(Duration(0));
    EXPECT_EQ(it.gate.await_change(it.bar("a"), Native::now() + hours(1), it.counters),
              policy == Policy::ticket ? 4 : 0)
        << "whoever waits ends the lease";
    EXPECT_EQ(it.counters.expiries.load(), 1u);
  }
}

// The bound on waiting (B10) counts the turns of others that ended while a claim was queued for the same.
TEST(TicketGate, AClaimCountsTheTurnsThatItWaitedFor) {
  Gate it;
  auto& first = it.join();
  auto& second = it.join();
  auto& third = it.join();
  it.leave(first);
  it.leave(second);
  EXPECT_EQ(second.turns_waited, 1);
  EXPECT_EQ(third.turns_waited, 2);
  EXPECT_EQ(first.turns_waited, 0);
  it.leave(third);
  it.join(third);
  EXPECT_EQ(third.turns_waited, 0) << "a new wait";

  Gate by_key(Policy::key_queue);
  auto& other = by_key.join(hours(1), {"b"});
  auto& a = by_key.join(hours(1), {"a"});
  auto& waits_for_a = by_key.join(hours(1), {"a"});
  by_key.leave(other);
  EXPECT_EQ(waits_for_a.turns_waited, 0) << "for another path";
  by_key.leave(a);
  EXPECT_EQ(waits_for_a.turns_waited, 1);
}

// Who leaves the queue without a turn ends nothing that others waited for, and takes nothing from who has one.
TEST(TicketGate, AClaimThatLeavesTheQueueLeavesTheTurnAsItIs) {
  for (const Policy policy : {Policy::ticket, Policy::key_queue}) {
    Gate it(policy);
    it.join();
    auto& impatient = it.join();
    auto& patient = it.join();
    const Bar<Native> bar = it.bar("a");
    it.leave(impatient);
    EXPECT_EQ(it.status(patient), TicketStatus::queued);
    EXPECT_EQ(patient.turns_waited, 0);
    EXPECT_EQ(it.bar("a").turn, bar.turn);
    EXPECT_EQ(it.bar("a").cell, bar.cell);
    EXPECT_EQ(it.counters.grants.load(), 1u);
  }
}

TEST(TicketGate, JoiningAgainChangesNothingUnlessForOtherPaths) {
  for (const Policy policy : {Policy::ticket, Policy::key_queue}) {
    Gate it(policy);
    auto& holder = it.join(hours(1), {"a"});
    it.join(holder, hours(7), {"a"});
    EXPECT_EQ(holder.lease, hours(1));
    EXPECT_EQ(it.bar("a").turn, 1u);
    it.join(holder, hours(7), {"b"});
    EXPECT_EQ(holder.lease, policy == Policy::ticket ? hours(1) : hours(7));
    EXPECT_EQ(static_cast<bool>(it.bar("a")), policy == Policy::ticket);
    EXPECT_TRUE(it.bar("b"));
    EXPECT_FALSE(it.bar("b", &holder));
    it.leave(holder);
    EXPECT_FALSE(it.bar("b"));
  }
}

}  // namespace
}  // namespace touchstone::engine
