// Tests that must fail, each in a way of its own. ctest does not know them: canary_test.cpp runs this binary,
// executes the replay line that it prints, and demands the same failure again. If one of them passed,
// failures went unseen.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <vector>

#include "harness/failure_report.h"
#include "harness/seed.h"

namespace touchstone::harness {
namespace {

std::uint64_t draw() {
  return Seed::of_process().stream("canary").next();
}

TEST(Canary, FailsAnAssertion) {
  describe_replay(ReplayClass::exact);
  EXPECT_EQ(draw(), 0u) << "canary";
}

TEST(Canary, Throws) {
  describe_replay(ReplayClass::exact);
  throw std::runtime_error("canary drew " + std::to_string(draw()));
}

TEST(Canary, Aborts) {
  describe_replay(ReplayClass::exact, {{"schedule", "1.0 2"}});
  std::printf("canary drew %lu\n", static_cast<unsigned long>(draw()));
  std::fflush(stdout);
  std::abort();
}

TEST(Canary, ReadsThroughNull) {
  describe_replay(ReplayClass::exact);
  std::printf("canary drew %lu\n", static_cast<unsigned long>(draw()));
  std::fflush(stdout);
  std::raise(SIGSEGV);
}

RC_GTEST_PROP(Canary, FailsAProperty, (const std::vector<int>& numbers)) {
  describe_replay(ReplayClass::exact);
  for (int number : numbers) RC_ASSERT(number < 20);
}

RC_GTEST_PROP(Canary, AbortsInAProperty, (const std::vector<int>& numbers)) {
  describe_replay(ReplayClass::exact);
  if (numbers.size() > 5) {
    std::printf("canary drew %zu numbers\n", numbers.size());
    std::fflush(stdout);
    std::abort();
  }
}

// Seen only where a sanitizer is linked in; elsewhere canary_test.cpp does not run them.
TEST(Canary, ReadsFreedMemory) {
  int* volatile number = new int(static_cast<int>(draw() % 100));  // volatile: no compiler sees through it
  delete number;
  std::printf("canary read %d\n", *number);
}

TEST(Canary, Races) {
  int number = 0;
  std::thread other([&] { ++number; });
  ++number;
  other.join();
  std::printf("canary counted %d\n", number);
}

}  // namespace
}  // namespace touchstone::harness
