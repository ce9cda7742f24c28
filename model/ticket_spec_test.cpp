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
  EXPECT_EQ(state.holder, 3U);
  after(state, 3, TicketEvent::kLeft);
  EXPECT_EQ(state.holder, 2U);
  after(state, 2, TicketEvent::kCommitted);
  EXPECT_FALSE(state.holder.has_value());
}

TEST(TicketSpec, AnExpiredWorkerRejoinsAtTheHead) {
  TicketState state;
  after(state, 1, TicketEvent::kConflicted, 5);
  after(state, 2, TicketEvent::kConflicted, 5);
  after(state, 3, TicketEvent::kConflicted, 5);
  after(state, 1, TicketEvent::kExpired);
  EXPECT_EQ(state.holder, 2U);
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

}  // namespace
}  // namespace touchstone::model
