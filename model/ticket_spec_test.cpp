#include "model/ticket_spec.h"

#include <gtest/gtest.h>

namespace touchstone::model {
namespace {

TicketStanding after(TicketState& state, WorkerId worker, TicketEvent event, int times = 1) {
  TicketStanding standing;
  for (int i = 0; i < times; ++i) {
    standing = std::get<TicketStanding>(TicketSpec().perform(state, {worker, event}));
  }
  return standing;
}

Admission submit(TicketState& state, WorkerId worker) {
  return std::get<Admission>(TicketSpec().perform(state, {worker, TicketEvent::kSubmitted}));
}

TEST(TicketSpec, TheFifthConflictInARowGrants) {
  TicketState state;
  EXPECT_EQ(after(state, 1, TicketEvent::kConflicted, 4).place, Place::kFree);
  after(state, 1, TicketEvent::kCommitted);
  EXPECT_EQ(after(state, 1, TicketEvent::kConflicted, 4).place, Place::kFree);
  EXPECT_EQ(after(state, 1, TicketEvent::kConflicted), (TicketStanding{Place::kHolding, 1}));
  EXPECT_EQ(submit(state, 2), Admission::kBusy);
  EXPECT_EQ(submit(state, 1), Admission::kAdmitted);
}

TEST(TicketSpec, TheQueueIsFirstComeFirstServed) {
  TicketState state;
  after(state, 1, TicketEvent::kConflicted, 5);
  after(state, 3, TicketEvent::kConflicted, 5);
  after(state, 2, TicketEvent::kConflicted, 5);
  EXPECT_EQ(queue_of(state), (std::vector<WorkerId>{3, 2}));
  after(state, 1, TicketEvent::kCommitted);
  EXPECT_EQ(holders_of(state), (std::vector<WorkerId>{3}));
  after(state, 3, TicketEvent::kLeft);
  EXPECT_EQ(holders_of(state), (std::vector<WorkerId>{2}));
  after(state, 2, TicketEvent::kCommitted);
  EXPECT_TRUE(holders_of(state).empty());
}

TEST(TicketSpec, AnExpiredWorkerRejoinsAtTheHead) {
  TicketState state;
  after(state, 1, TicketEvent::kConflicted, 5);
  after(state, 2, TicketEvent::kConflicted, 5);
  after(state, 3, TicketEvent::kConflicted, 5);
  after(state, 1, TicketEvent::kExpired);
  EXPECT_EQ(holders_of(state), (std::vector<WorkerId>{2}));
  EXPECT_EQ(after(state, 1, TicketEvent::kConflicted).place, Place::kQueued);
  EXPECT_EQ(queue_of(state), (std::vector<WorkerId>{1, 3}));
}

TEST(TicketSpec, WaitingOutTheLimitJoinsTheQueue) {
  TicketState state;
  after(state, 1, TicketEvent::kConflicted, 5);
  EXPECT_EQ(after(state, 2, TicketEvent::kWaitedOut, 7).place, Place::kFree);
  EXPECT_EQ(after(state, 2, TicketEvent::kWaitedOut).place, Place::kQueued);
}

TEST(TicketSpec, ACommitPastAClosedGateIsIllegal) {
  TicketState state;
  after(state, 1, TicketEvent::kConflicted, 5);
  const TicketState before = state;
  const TicketResponse response = TicketStanding{};
  EXPECT_TRUE(TicketSpec().advance(state, {2, TicketEvent::kCommitted}, &response).has_value());
  EXPECT_EQ(state, before);
}

/// The same five conflicts over paths, and a commit of paths, under the queue per key.
struct ByKey {
  TicketStanding conflict(WorkerId worker, const std::set<std::string>& paths, int times = 5) {
    TicketStanding standing;
    for (int i = 0; i < times; ++i)
      standing = std::get<TicketStanding>(spec.perform(state, {worker, TicketEvent::kConflicted, paths}));
    return standing;
  }
  Admission submit(WorkerId worker, const std::set<std::string>& paths) {
    return std::get<Admission>(spec.perform(state, {worker, TicketEvent::kSubmitted, paths}));
  }
  std::vector<WorkerId> holders() const { return holders_of(state); }

  TicketSpec spec{{.by_key = true}};
  TicketState state;
};

TEST(TicketSpecByKey, OnlyWhoIsInAHoldersWayIsBusy) {
  ByKey it;
  EXPECT_EQ(it.conflict(1, {"a.b"}).place, Place::kHolding);
  for (const char* path : {"a", "a.b", "a.b.c"})
    EXPECT_EQ(it.submit(2, {"x", path}), Admission::kBusy) << path;
  for (const char* path : {"a.c", "a.bc", "ab", "x"})
    EXPECT_EQ(it.submit(2, {path}), Admission::kAdmitted) << path;
  EXPECT_EQ(it.submit(1, {"a.b"}), Admission::kAdmitted);
}

TEST(TicketSpecByKey, TurnsOutOfEachOthersWayGoOnAtOnce) {
  ByKey it;
  EXPECT_EQ(it.conflict(1, {"a"}).place, Place::kHolding);
  EXPECT_EQ(it.conflict(2, {"b"}).place, Place::kHolding);
  EXPECT_EQ(it.holders(), (std::vector<WorkerId>{1, 2}));
}

TEST(TicketSpecByKey, NobodyOvertakesAnElderInItsWay) {
  ByKey it;
  it.conflict(1, {"a"});
  EXPECT_EQ(it.conflict(2, {"a", "b"}).place, Place::kQueued);
  EXPECT_EQ(it.conflict(3, {"b"}).place, Place::kQueued) << "although nobody holds b";
  it.spec.perform(it.state, {1, TicketEvent::kCommitted, {"a"}});
  EXPECT_EQ(it.holders(), (std::vector<WorkerId>{2}));
  it.spec.perform(it.state, {2, TicketEvent::kLeft});
  EXPECT_EQ(it.holders(), (std::vector<WorkerId>{3}));
}

TEST(TicketSpecByKey, WhoWantsOtherPathsGivesUpTheOldOnesAndKeepsItsAge) {
  ByKey it;
  it.conflict(1, {"a"});
  it.conflict(2, {"a"});
  it.conflict(3, {"b"});
  it.conflict(4, {"b"});
  EXPECT_EQ(it.conflict(1, {"b"}, 1).place, Place::kQueued);
  EXPECT_EQ(it.holders(), (std::vector<WorkerId>{2, 3}));
  EXPECT_EQ(queue_of(it.state), (std::vector<WorkerId>{1, 4})) << "it is still the elder";
  it.spec.perform(it.state, {1, TicketEvent::kSentBack, {"b"}});
  EXPECT_EQ(queue_of(it.state), (std::vector<WorkerId>{1, 4})) << "for the same it stays where it is";
  it.spec.perform(it.state, {5, TicketEvent::kSentBack, {"b"}});
  EXPECT_EQ(standing_of(it.state, 5).place, Place::kFree) << "Busy alone earns nothing";
}

}  // namespace
}  // namespace touchstone::model
