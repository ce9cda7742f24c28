#include "engine/native_platform.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <vector>

namespace {

thread_local int processors_given_away = 0;

}  // namespace

/// Stands before the C library's own, and counts.
extern "C" int sched_yield() noexcept {
  ++processors_given_away;
  static const auto real = reinterpret_cast<int (*)()>(::dlsym(RTLD_NEXT, "sched_yield"));
  return real();
}

namespace touchstone::engine {
namespace {

using P = NativePlatform;
using std::chrono::milliseconds;

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

// On a machine with few processors the holder of a cell may not be running: whoever waits must let it run, but not at the first look.
TEST(NativePlatform, AwaitSpinsAtFirstAndThenGivesItsProcessorAway) {
  const auto given_away_in = [](int looks) {
    const P::atomic<std::uint64_t> word{0};
    const int before = processors_given_away;
    P::await(word, [&looks](std::uint64_t) { return --looks == 0; });
    return processors_given_away - before;
  };
  EXPECT_EQ(given_away_in(10), 0);
  EXPECT_GE(given_away_in(200), 100);
}

TEST(NativePlatform, YieldGivesTheProcessorAway) {
  const int before = processors_given_away;
  P::yield();
  EXPECT_EQ(processors_given_away, before + 1);
}

TEST(NativePlatform, KnowsItsProcess) {
  EXPECT_EQ(P::process_id(), ::getpid());
}

// A thread that waits long sleeps: it looks when it is told to, and each time that it need not trust the kernel any longer.
TEST(NativePlatform, WaitUntilSleepsBetweenItsLooks) {
  const P::atomic<std::uint64_t> word{1};
  int looks = 0;
  EXPECT_FALSE(P::wait_until(
      word, [&looks](std::uint64_t) { return ++looks == 0; }, P::now() + 2 * P::kRecheck));
  EXPECT_GE(looks, 2) << "at the beginning and at the end";
  EXPECT_LE(looks, 20);
}

// Danger: the kernel compares the low half of the word only, and sleeps on when the high half has changed before it fell asleep.
TEST(NativePlatform, WaitUntilSeesAChangeThatNobodyTellsItOf) {
  P::atomic<std::uint64_t> word{1};
  std::atomic<bool> looked{false};
  P::thread setter([&] {
    while (!looked) P::yield();
    word.store(1 + (std::uint64_t{1} << 32));
  });
  const auto changed = [&looked](std::uint64_t v) {
    looked = true;
    return v != 1;
  };
  EXPECT_TRUE(P::wait_until(word, changed, kForever));
  setter.join();
}

// One who sleeps without a limit of its own is woken, not by a change, but by being told.
TEST(NativePlatform, NotifyAllWakesWhoSleeps) {
  P::atomic<std::uint64_t> word{1};
  std::atomic<bool> asleep{true};
  long woken = -1;
  P::thread sleeper([&] {
    const timespec most{20, 0};
    woken = ::syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, &most, nullptr, 0);
    asleep = false;
  });
  while (asleep) {
    P::notify_all(word);
    P::yield();
  }
  sleeper.join();
  EXPECT_EQ(woken, 0);
}

TEST(NativePlatform, WaitUntilGivesUpAtItsDeadline) {
  P::atomic<std::uint64_t> word{1};
  const Time deadline = P::now() + milliseconds(3);
  EXPECT_FALSE(P::wait_until(
      word, [](std::uint64_t v) { return v == 2; }, deadline));
  EXPECT_GE(P::now(), deadline);
}

TEST(NativePlatform, SleepsUntilTheTimeAndNotAMomentLess) {
  const Time end = NativePlatform::now() + milliseconds(2);
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
