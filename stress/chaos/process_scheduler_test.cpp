#include "stress/chaos/process_scheduler.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <stdexcept>

#include "stress/chaos/segment_test.h"

namespace touchstone::chaos {
namespace {

class ProcessSchedulerTest : public ChaosTest {
 protected:
  void SetUp() override {
    ChaosTest::SetUp();
    if (const std::string skip = why_no_ptrace(); !skip.empty()) GTEST_SKIP() << "expected skip: " << skip;
  }

  /// Makes `count` calls that are scheduling points.
  ScheduledProcess caller(const std::string& name, unsigned count) const {
    return {.name = name, .act = [this, name, count] {
              for (unsigned i = 0; i < count; ++i) ::unlinkat(AT_FDCWD, path(name).c_str(), 0);
            }};
  }
};

unsigned binomial(unsigned n, unsigned k) {
  unsigned result = 1;
  for (unsigned i = 1; i <= k; ++i) result = result * (n - k + i) / i;
  return result;
}

/// Completeness by counting. Two processes with m and n points and no bound have C(m+n, n) interleavings. With the bound
/// 2 fewer: those of at most two switches away from a process that could go on, counted by brute force below.
TEST_F(ProcessSchedulerTest, ExploresEveryInterleavingOnce) {
  std::set<std::string> traces;
  ProcessScheduler scheduler({caller("a", 3), caller("b", 4)});
  const unsigned count = scheduler.explore(
      99, [] {}, [&] { traces.insert(scheduler.drawn_trace()); });
  EXPECT_EQ(count, binomial(7, 3));
  EXPECT_EQ(traces.size(), count);
}

TEST_F(ProcessSchedulerTest, ExploresExactlyTheBound) {
  constexpr unsigned kA = 4;
  constexpr unsigned kB = 3;
  unsigned expected = 0;
  std::string order = std::string(kA, 'a') + std::string(kB, 'b');
  do {
    unsigned preemptions = 0;
    std::map<char, unsigned> left{{'a', kA}, {'b', kB}};
    for (std::size_t i = 0; i < order.size(); ++i) {
      if (i > 0 && order[i] != order[i - 1] && left[order[i - 1]] > 0) ++preemptions;
      --left[order[i]];
    }
    expected += preemptions <= 2 ? 1 : 0;
  } while (std::next_permutation(order.begin(), order.end()));
  ProcessScheduler scheduler({caller("a", kA), caller("b", kB)});
  EXPECT_EQ(scheduler.explore(
                2, [] {}, [] {}),
            expected);
}

/// The canary: "lock, then unlink the lock's name" without looking whether the inode locked is the inode named. Two
/// holders at once need one process to stop between open and flock while another one goes through: two preemptions.
TEST_F(ProcessSchedulerTest, FindsTwoHoldersOfAnUnverifiedLock) {
  const std::string lock = path("lock");
  const std::string holder = path("holder");
  const auto enter_and_leave = [&] {
    const int fd = ::open(lock.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) {
      const int inside = ::open(holder.c_str(), O_CREAT | O_EXCL | O_CLOEXEC, 0600);
      if (inside < 0) ::mkdir(path("two").c_str(), 0700);
      ::close(inside);
      ::unlink(lock.c_str());
      ::unlinkat(AT_FDCWD, holder.c_str(), 0);
    }
    ::close(fd);
  };
  ProcessScheduler scheduler({{.name = "a", .act = enter_and_leave}, {.name = "b", .act = enter_and_leave}});
  unsigned found = 0;
  const unsigned count = scheduler.explore(
      2, [] {},
      [&] {
        found += std::filesystem::exists(path("two")) ? 1 : 0;
        for (const char* left : {"two", "lock", "holder"}) remove(left);
      });
  std::printf("%u of %u schedules\n", found, count);
  EXPECT_GT(found, 0u);
  EXPECT_LT(found, count);
}

TEST_F(ProcessSchedulerTest, ReplaysAScheduleAndRefusesOneThatDoesNotFit) {
  ProcessScheduler scheduler({caller("a", 3), caller("b", 3)});
  std::vector<std::string> traces;
  scheduler.sample(
      1, harness::Seed::of_process().stream("schedule"), [] {},
      [&] { traces.push_back(scheduler.drawn_trace()); });
  const auto twice = [&](const char* schedule) {
    ::setenv("TOUCHSTONE_SCHEDULE", schedule, 1);
    traces.clear();
    for (int i = 0; i < 2; ++i)
      scheduler.explore(
          0, [] {}, [&] { traces.push_back(scheduler.drawn_trace()); });
    ::unsetenv("TOUCHSTONE_SCHEDULE");
  };
  twice("1:1.2:0");
  EXPECT_EQ(traces[0], traces[1]);
  EXPECT_EQ(traces[0].find("ENOENT") != std::string::npos, true) << traces[0];
  for (const char* wrong : {"99:1", "0:7", "x", "1", "1:", "1:1,2:0"}) {
    EXPECT_THROW(twice(wrong), std::runtime_error) << wrong;
    ::unsetenv("TOUCHSTONE_SCHEDULE");
  }
  EXPECT_EQ(Schedule::parse("7:1.12:0")->text(), "7:1.12:0");
}

}  // namespace
}  // namespace touchstone::chaos
