#include "engine/native_platform.h"

#include <gtest/gtest.h>

#include <vector>

namespace touchstone::engine {
namespace {

using P = NativePlatform;

TEST(SplitMix, StaysBelowItsBoundAndReachesEveryValue) {
  SplitMix random(0, 7);
  std::vector<int> seen(10);
  for (int i = 0; i < 10'000; ++i) ++seen.at(random.below(10));
  for (int count : seen) EXPECT_GT(count, 800);
}

TEST(SplitMix, SameSeedAndStreamGiveTheSameDrawsAndAnotherStreamOthers) {
  SplitMix a(42, 1), b(42, 1), c(42, 2);
  const auto first = a.next();
  EXPECT_EQ(first, b.next());
  EXPECT_NE(first, c.next());
}

TEST(NativePlatform, AwaitReturnsTheValueThatSatisfied) {
  P::atomic<std::uint64_t> word{1};
  P::thread setter([&] { word.store(2); });
  EXPECT_EQ(P::await(word, [](std::uint64_t v) { return v == 2; }), 2u);
  setter.join();
}

TEST(NativePlatform, WaitUntilGivesUpAtItsDeadline) {
  P::atomic<std::uint64_t> word{1};
  const Time deadline = P::now() + std::chrono::milliseconds(3);
  EXPECT_FALSE(P::wait_until(
      word, [](std::uint64_t v) { return v == 2; }, deadline));
  EXPECT_GE(P::now(), deadline);
}

TEST(NativePlatform, SleepsUntilTheTimeAndNotAMomentLess) {
  const Time end = NativePlatform::now() + std::chrono::milliseconds(2);
  NativePlatform::sleep_until(end);
  EXPECT_GE(NativePlatform::now(), end);
}

TEST(NativePlatform, WaitUntilIsWokenByNotify) {
  P::atomic<std::uint64_t> word{1};
  P::thread setter([&] {
    word.store(2);
    P::notify_all(word);
  });
  EXPECT_EQ(P::wait_until(
                word, [](std::uint64_t v) { return v == 2; }, kForever),
            2u);
  setter.join();
}

TEST(NativePlatform, ACellReadsWhatWasWrittenLast) {
  P::cell<std::vector<int>> cell({1});
  EXPECT_EQ(cell.read(), std::vector<int>{1});
  cell.write({2, 3});
  EXPECT_EQ(cell.read(), (std::vector<int>{2, 3}));
}

}  // namespace
}  // namespace touchstone::engine
