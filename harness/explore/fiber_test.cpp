#include "harness/explore/fiber.h"

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace touchstone::harness::explore {
namespace {

struct Ring {
  Fiber host{Fiber::Host{}};
  std::vector<std::unique_ptr<Fiber>> fibers;
  std::vector<std::string> said;
};

struct Member {
  Ring* ring;
  std::size_t index;
  int rounds;
};

void go_round(void* argument) {
  auto* const member = static_cast<Member*>(argument);
  Ring& ring = *member->ring;
  std::array<double, 64> locals;
  locals.fill(static_cast<double>(member->index));
  for (int round = 0; round < member->rounds; ++round) {
    ring.said.push_back(std::to_string(member->index) + "." + std::to_string(round));
    const bool last = member->index + 1 == ring.fibers.size();
    Fiber& self = *ring.fibers[member->index];
    Fiber::switch_to(self, last ? ring.host : *ring.fibers[member->index + 1]);
    for (const double local : locals) ASSERT_EQ(local, static_cast<double>(member->index));
  }
}

void go_round_for_ever(void* argument) {
  go_round(argument);
  auto* const member = static_cast<Member*>(argument);
  Fiber::switch_to(*member->ring->fibers[member->index], member->ring->host);
}

TEST(Fiber, KeepsItsStackAcrossSwitches) {
  Ring ring;
  std::vector<Member> members;
  for (std::size_t i = 0; i < 3; ++i) members.push_back({&ring, i, 3});
  for (std::size_t i = 0; i < 3; ++i) {
    ring.fibers.push_back(std::make_unique<Fiber>(i));
    ring.fibers[i]->start(go_round_for_ever, &members[i]);
  }
  for (int round = 0; round < 3; ++round) Fiber::switch_to(ring.host, *ring.fibers[0]);
  const std::vector<std::string> expected = {"0.0", "1.0", "2.0", "0.1", "1.1", "2.1", "0.2", "1.2", "2.2"};
  EXPECT_EQ(ring.said, expected);
}

struct Thrower {
  Fiber host{Fiber::Host{}};
  Fiber fiber{1};
  std::string caught;
};

void throw_and_catch(void* argument) {
  auto* const thrower = static_cast<Thrower*>(argument);
  try {
    throw std::runtime_error("thrown on a fiber");
  } catch (const std::runtime_error& error) {
    thrower->caught = error.what();
  }
  Fiber::switch_to(thrower->fiber, thrower->host);
}

TEST(Fiber, ThrowsAndCatchesOnItsOwnStack) {
  Thrower thrower;
  thrower.fiber.start(throw_and_catch, &thrower);
  Fiber::switch_to(thrower.host, thrower.fiber);
  EXPECT_EQ(thrower.caught, "thrown on a fiber");
}

// A fiber that is left in the middle of its calls is started again from its beginning, as an abandoned
// execution is.
TEST(Fiber, StartsAnewAfterItWasAbandoned) {
  Thrower thrower;
  for (int i = 0; i < 1000; ++i) {
    thrower.caught.clear();
    thrower.fiber.start(throw_and_catch, &thrower);
    Fiber::switch_to(thrower.host, thrower.fiber);
    ASSERT_EQ(thrower.caught, "thrown on a fiber");
  }
}

}  // namespace
}  // namespace touchstone::harness::explore
