#include "stress/chaos/crash_points.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "stress/chaos/segment_test.h"
#include "stress/chaos/tracee.h"

namespace touchstone::chaos {
namespace {

class Tracing : public ChaosTest {
 protected:
  void SetUp() override {
    ChaosTest::SetUp();
    if (const std::string skip = why_no_ptrace(); !skip.empty()) GTEST_SKIP() << "expected skip: " << skip;
  }
};

using TraceeTest = Tracing;
using AcceptanceC4 = Tracing;

TEST_F(TraceeTest, StopsBeforeAndAfterEverySystemCall) {
  Tracee victim = Tracee::start([] { return ::fchmod(-1, 0) == -1 ? 3 : 4; });
  ASSERT_TRUE(victim.step());
  EXPECT_EQ(victim.where(), "before fchmod");
  ASSERT_TRUE(victim.step());
  EXPECT_EQ(victim.where(), "after a call that gave -9");
  ASSERT_TRUE(victim.step());
  EXPECT_EQ(victim.where(), "before exit_group");
  EXPECT_FALSE(victim.step());
  EXPECT_EQ(victim.exit_code(), 3);
}

/// The canary of this file: a creator that publishes first and fills later, as a registry written after
/// creation or a shm_open followed by ftruncate does. If the killer did not find its window, it would find
/// none in ours.
TEST_F(TraceeTest, FindsTheWindowOfAWrongProtocol) {
  const std::string file = path("half-built");
  unsigned leaks = 0;
  CrashPoints points;
  points.enumerate(
      [&] {
        const int fd = ::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
        const bool filled = ::write(fd, "x", 1) == 1;
        ::unlink(file.c_str());
        return filled ? 0 : 1;
      },
      [&] {
        leaks += std::filesystem::exists(file) ? 1 : 0;
        std::filesystem::remove(file);
      });
  EXPECT_EQ(leaks, 4u) << "after open, before and after write, before unlink";
}

/// kill -9 between any two system calls of the first allocation of a process: the start check, the lock, the
/// unnamed file, its content, its name. The oracle is the directory: whatever is visible must be whole, the
/// next start must leave only the bystander's names, and the bystander must still own its own.
TEST_F(AcceptanceC4, KillAtEverySystemCallOfOneAllocationLeavesNothing) {
  start_bystander();
  CrashPoints points;
  const unsigned stops = points.enumerate(
      [&] {
        engine::become_main();
        auto owner = SegmentOwner::open(options());
        return owner && owner->allocate("frame", engine::bytes_of("content")) ? 0 : 1;
      },
      [&] { account_after_kill(); });
  EXPECT_GT(stops, 20u);
  std::printf("%u kills\n", points.kills());
}

TEST_F(AcceptanceC4, KillAtEverySystemCallOfOneAllocationFilledInPlaceLeavesNothing) {
  start_bystander();
  CrashPoints points;
  points.enumerate(
      [&] {
        engine::become_main();
        auto owner = SegmentOwner::open(options());
        if (!owner) return 1;
        auto made = owner->allocate("frame", 100'000, [](std::span<std::byte> payload) {
          for (std::byte& byte : payload) byte = std::byte{1};
        });
        return made ? 0 : 2;
      },
      [&] { account_after_kill(); });
  std::printf("%u kills\n", points.kills());
}

}  // namespace
}  // namespace touchstone::chaos
