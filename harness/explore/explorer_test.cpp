#include "harness/explore/explorer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"

namespace touchstone::harness::explore {
namespace {

using P = ControlledPlatform;
using std::chrono::milliseconds;

/// Two threads increment by a load and a store: the classic lost update.
void lost_update() {
  P::atomic<int> counter{0};
  const auto increment = [&] { counter.store(counter.load() + 1); };
  P::thread a(increment);
  P::thread b(increment);
  a.join();
  b.join();
  require(counter.load() == 2, "an increment was lost");
}

TEST(Explorer, FindsALostUpdateAndShrinksItToOnePreemption) {
  for (const Algorithm algorithm :
       {Algorithm::portfolio, Algorithm::random, Algorithm::pct, Algorithm::pos, Algorithm::urw}) {
    const Report report = explore(lost_update, {.algorithm = algorithm});
    ASSERT_TRUE(report.failure) << name_of(algorithm);
    EXPECT_EQ(report.failure->failure.kind, FailureKind::exception);
    EXPECT_EQ(report.failure->failure.message, "an increment was lost");
    EXPECT_EQ(report.failure->schedule.preemptions(), 1) << report;
  }
}

TEST(Explorer, PassesAnAtomicIncrement) {
  const Report report = portfolio([] {
    P::atomic<int> counter{0};
    P::thread a([&] { counter.fetch_add(1); });
    P::thread b([&] { counter.fetch_add(1); });
    a.join();
    b.join();
    require(counter.load() == 2, "an increment was lost");
  });
  EXPECT_TRUE(passes(report));
  EXPECT_EQ(report.executions, 1'000);
}

TEST(Explorer, ReplaysAFailureExactlyAnyNumberOfTimes) {
  const Report report = portfolio(lost_update);
  ASSERT_TRUE(report.failure);
  const std::optional<Schedule> parsed = Schedule::parse(report.failure->schedule.text());
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, report.failure->schedule);
  for (int i = 0; i < 10; ++i) {
    const Report again = replay(lost_update, *parsed);
    ASSERT_TRUE(again.failure);
    EXPECT_EQ(again.failure->failure.message, "an increment was lost");
    EXPECT_EQ(again.failure->columns, report.failure->columns);
  }
}

// The seed of the process says every decision of an exploration, so what a test prints to repeat it repeats it exactly.
TEST(Explorer, MakesTheReplayLineOfATestExact) {
  const Report report = portfolio([] { require(false, "never holds"); });
  testing::internal::CaptureStderr();
  EXPECT_FALSE(passes(report));
  print_announced_replay();
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_NE(line.find("# class exact"), std::string::npos) << line;
  const Report again = portfolio([] { require(false, "never holds"); });
  EXPECT_EQ(again.failure->schedule.text(), report.failure->schedule.text());
}

// Danger: the drawing shows a name whose owner is gone: a scenario that was explored and dropped, a string of the body's.
TEST(Explorer, KeepsTheNamesOfThreadsWhoseOwnerIsGone) {
  const Report report = portfolio([] {
    std::string name = "rival";
    P::thread rival = P::thread::named(name.c_str(), [] {});
    name.assign("?????");
    rival.join();
    require(false, "never holds");
  });
  ASSERT_TRUE(report.failure);
  EXPECT_NE(report.failure->columns.find("rival"), std::string::npos) << report.failure->columns;
  EXPECT_EQ(report.failure->columns.find("?????"), std::string::npos) << report.failure->columns;
}

TEST(Explorer, RefusesAScheduleOfAnotherProgram) {
  const Report report = portfolio(lost_update);
  ASSERT_TRUE(report.failure);
  const Report other = replay(
      [] {
        P::atomic<int> counter{0};
        P::thread a([&] { counter.fetch_add(1); });
        P::thread b([&] { counter.fetch_add(1); });
        a.join();
        b.join();
      },
      report.failure->schedule);
  ASSERT_TRUE(other.failure);
  EXPECT_EQ(other.failure->failure.kind, FailureKind::nondeterministic);
  EXPECT_NE(other.failure->failure.message.find("does not fit"), std::string::npos) << other;
}

TEST(Explorer, ReportsAWaitWhoseNotificationIsMissing) {
  const Report report = portfolio([] {
    P::atomic<int> word{0};
    P::thread waiter([&] {
      P::wait_until(
          word, [](int v) { return v == 1; }, engine::kForever);
    });
    word.store(1);  // without notify_all: whoever parked before sleeps for ever
    waiter.join();
  });
  ASSERT_TRUE(report.failure);
  EXPECT_EQ(report.failure->failure.kind, FailureKind::stuck);
  EXPECT_NE(report.failure->failure.message.find("T1 at wait_until of x0"), std::string::npos) << report;
}

TEST(Explorer, WakesAParkedThreadByNotificationOrByDeadlineOnly) {
  const Report report = portfolio([] {
    P::atomic<int> word{0};
    const engine::Time start = P::now();
    std::optional<int> seen;
    P::thread waiter([&] {
      seen = P::wait_until(
          word, [](int v) { return v == 1; }, start + milliseconds(5));
    });
    P::thread setter([&] { word.store(1); });
    setter.join();
    waiter.join();
    require(seen == 1, "the value is looked at once more at the deadline");
    require(P::now() == start || P::now() == start + milliseconds(5), "virtual time moves to deadlines only");
  });
  EXPECT_TRUE(passes(report));
}

TEST(Explorer, ReportsAnAwaitThatNobodySatisfies) {
  const Report report = portfolio([] {
    P::atomic<int> word{0};
    P::thread waiter([&] { P::await(word, [](int v) { return v == 2; }); });
    word.store(1);
    waiter.join();
  });
  ASSERT_TRUE(report.failure);
  EXPECT_EQ(report.failure->failure.kind, FailureKind::stuck);
}

TEST(Explorer, ReportsADeadlockOfTwoMutexes) {
  const Report report = portfolio([] {
    P::mutex first;
    P::mutex second;
    const auto both = [](P::mutex& a, P::mutex& b) {
      a.lock();
      b.lock();
      b.unlock();
      a.unlock();
    };
    P::thread x([&] { both(first, second); });
    P::thread y([&] { both(second, first); });
    x.join();
    y.join();
  });
  ASSERT_TRUE(report.failure);
  EXPECT_EQ(report.failure->failure.kind, FailureKind::stuck);
  EXPECT_EQ(report.failure->schedule.preemptions(), 1) << report;
}

// Two threads that are too polite: each takes its flag back when it sees the other's. On most schedules one gets through; on a fair
// one they may go round in step for ever. A thread that merely waits for another one's work must not be called that, however
// unfairly the sampler treats it.
TEST(Explorer, TellsALivelockWithItsCircle) {
  const Body polite = [] {
    std::array<P::atomic<int>, 2> wants;
    const auto enter = [&](std::size_t me) {
      while (true) {
        wants[me].store(1);
        if (wants[1 - me].load() == 0) break;
        wants[me].store(0);
      }
      wants[me].store(0);
    };
    P::thread a([&] { enter(0); });
    P::thread b([&] { enter(1); });
    a.join();
    b.join();
  };
  const Report report = portfolio(polite, {.max_points = 2'000});
  ASSERT_TRUE(report.failure);
  EXPECT_EQ(report.failure->failure.kind, FailureKind::livelock) << report;
  EXPECT_NE(report.failure->failure.message.find("the same 6 steps"), std::string::npos) << report;
  EXPECT_NE(report.failure->columns.find("for ever:"), std::string::npos) << report;
  EXPECT_LT(std::count(report.failure->columns.begin(), report.failure->columns.end(), '\n'), 1'100);
  EXPECT_TRUE(replay(polite, report.failure->schedule, {.max_points = 2'000}).failure);
}

TEST(Explorer, EndsASpinThatAFairScheduleEnds) {
  const Body spins = [] {
    P::atomic<int> word{0};
    P::thread spinner([&] {
      while (word.load() == 0) {
      }
    });
    word.store(1);
    spinner.join();
  };
  EXPECT_TRUE(passes(explore(spins, {.algorithm = Algorithm::pct, .max_points = 2'000})));
}

TEST(Explorer, ReportsExecutionsThatDoNotEnd) {
  const Report report = portfolio(
      [] {
        P::atomic<int> word{0};
        P::thread counter([&] {
          while (word.fetch_add(1) >= 0) P::yield();
        });
        counter.join();
      },
      {.max_points = 500});
  ASSERT_TRUE(report.failure);
  EXPECT_EQ(report.failure->failure.kind, FailureKind::step_bound);
}

// Publication by a relaxed store: the schedules look all right, because one thread runs at a time; the vector
// clocks of the memory orders do not.
TEST(Explorer, FindsARaceOnACellPublishedWithoutRelease) {
  const auto body = [](std::memory_order order) {
    return [order] {
      P::cell<int> data;
      P::atomic<int> flag{0};
      P::thread writer([&] {
        data.write(42);
        flag.store(1, order);
      });
      P::thread reader([&] {
        if (flag.load(std::memory_order_acquire) == 1) require(data.read() == 42, "published");
      });
      writer.join();
      reader.join();
    };
  };
  EXPECT_TRUE(passes(portfolio(body(std::memory_order_release))));
  const Report report = portfolio(body(std::memory_order_relaxed));
  ASSERT_TRUE(report.failure);
  EXPECT_EQ(report.failure->failure.kind, FailureKind::race);
}

TEST(Explorer, SeesStaleValuesUnderWeakMemoryOnly) {
  const auto body = [] {
    P::atomic<int> data{0};
    P::atomic<int> flag{0};
    P::thread writer([&] {
      data.store(1, std::memory_order_relaxed);
      flag.store(1, std::memory_order_relaxed);
    });
    P::thread reader([&] {
      if (flag.load(std::memory_order_relaxed) == 1) {
        require(data.load(std::memory_order_relaxed) == 1, "the data was published");
      }
    });
    writer.join();
    reader.join();
  };
  EXPECT_TRUE(passes(portfolio(body)));
  const Report report = portfolio(body, {.weak_memory = true});
  ASSERT_TRUE(report.failure);
  EXPECT_NE(report.failure->columns.find("(stale)"), std::string::npos) << report;
  EXPECT_TRUE(replay(body, report.failure->schedule, {.weak_memory = true}).failure);
}

TEST(Explorer, RefusesStateThatOutlivesAnExecution) {
  P::atomic<int> outside{0};
  const Report report = portfolio([&] {
    P::thread a([&] { outside.fetch_add(1); });
    a.join();
  });
  ASSERT_TRUE(report.failure);
  EXPECT_EQ(report.failure->failure.kind, FailureKind::misuse);
}

TEST(Explorer, NoticesABodyThatIsNotDeterministic) {
  int runs = 0;
  const Report report = portfolio([&] {
    P::atomic<int> word{0};
    P::thread a([&] { word.store(++runs); });
    a.join();
  });
  ASSERT_TRUE(report.failure);
  EXPECT_EQ(report.failure->failure.kind, FailureKind::nondeterministic);
}

TEST(Explorer, TakesNoOffenceAtAddressesKeptInIntegers) {
  std::vector<std::unique_ptr<int>> kept;  // so that no address comes twice
  const Report report = portfolio([&] {
    P::atomic<std::uintptr_t> word{0};
    P::thread a([&] {
      kept.push_back(std::make_unique<int>(1));
      word.store(reinterpret_cast<std::uintptr_t>(kept.back().get()));
    });
    a.join();
  });
  EXPECT_TRUE(passes(report));
}

TEST(Explorer, DrawsAreDecisionsOfTheSchedule) {
  const auto body = [] {
    P::atomic<std::uint64_t> sum{0};
    P::thread a([&] {
      P::random random(1, 2);
      sum.fetch_add(random.below(10));
    });
    a.join();
    require(sum.load() != 7, "the seventh");
  };
  const Report report = portfolio(body);
  ASSERT_TRUE(report.failure);
  EXPECT_TRUE(replay(body, report.failure->schedule).failure);
}

TEST(Explorer, StallsAndCrashesThreadsAtFaultPoints) {
  const auto body = [] {
    P::atomic<int> word{0};
    P::thread a([&] {
      word.store(1);
      P::fault_point("between");
      word.store(2);
    });
    a.join();
    require(word.load() == 2, "both stores were made");
  };
  EXPECT_TRUE(passes(portfolio(body)));
  const Report crash = portfolio(body, {.faults = {{.point = "between", .crash = true}}});
  ASSERT_TRUE(crash.failure);
  EXPECT_NE(crash.failure->columns.find("(crashes)"), std::string::npos) << crash;
  EXPECT_TRUE(passes(portfolio(body, {.faults = {{.point = "between", .stall = milliseconds(60)}}})));
}

TEST(Explorer, KeepsOneSlotPerThread) {
  const Report report = portfolio([] {
    int mine[3] = {0, 0, 0};
    std::vector<P::thread> threads;
    P::atomic<int> turn{0};
    for (int& slot : mine) {
      threads.emplace_back([&] {
        require(P::thread_slot() == nullptr, "a slot begins empty");
        P::thread_slot() = &slot;
        turn.fetch_add(1);
        require(P::thread_slot() == &slot, "a slot belongs to its thread");
      });
    }
    for (P::thread& thread : threads) thread.join();
  });
  EXPECT_TRUE(passes(report));
}

TEST(Explorer, KeepsExceptionsOfDifferentThreadsApart) {
  const Report report = portfolio([] {
    P::atomic<int> word{0};
    const auto catcher = [&](int mine) {
      try {
        throw mine;
      } catch (int caught) {
        word.fetch_add(1);  // others throw and catch meanwhile
        try {
          throw mine + 100;
        } catch (int inner) {
          word.fetch_add(1);
          require(inner == mine + 100, "the inner exception is mine");
        }
        require(caught == mine, "the outer exception is mine");
      }
    };
    P::thread a(catcher, 1);
    P::thread b(catcher, 2);
    a.join();
    b.join();
  });
  EXPECT_TRUE(passes(report));
}

TEST(Schedule, RefusesTextThatItDidNotWrite) {
  for (const char* text : {"", "1:", "2:0x00:16:", "1:0x01::16:zz", "1:0x01:1.2:16:0000", "1:0x01::0:0000"}) {
    EXPECT_FALSE(Schedule::parse(text)) << text;
  }
}

}  // namespace
}  // namespace touchstone::harness::explore
