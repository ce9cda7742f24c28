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

// ThreadSanitizer's runtime makes system calls of its own within those of the victim.
#if defined(__SANITIZE_THREAD__)
constexpr bool kRuntimeCallsToo = true;
#elif defined(__has_feature)
constexpr bool kRuntimeCallsToo = __has_feature(thread_sanitizer);
#else
constexpr bool kRuntimeCallsToo = false;
#endif

class Tracing : public ChaosTest {
 protected:
  void SetUp() override {
    ChaosTest::SetUp();
    if (const std::string skip = why_no_ptrace(); !skip.empty()) GTEST_SKIP() << "expected skip: " << skip;
  }
};

using TraceeTest = Tracing;

TEST_F(TraceeTest, StopsBeforeAndAfterEverySystemCall) {
  Tracee victim = Tracee::start({.act = [] { return ::fchmod(-1, 0) == -1 ? 3 : 4; }});
  ASSERT_TRUE(victim.step());
  EXPECT_EQ(victim.where(), "before fchmod");
  ASSERT_TRUE(victim.step());
  EXPECT_EQ(victim.where(), "after a call that gave -9");
  victim.finish();
  EXPECT_EQ(victim.exit_code(), 3);
}

/// The canary of this file: a creator that publishes first and fills later, as a registry written after creation or a
/// shm_open followed by ftruncate does. If the killer did not find its window, it would find none in ours.
TEST_F(TraceeTest, FindsTheWindowOfAWrongProtocol) {
  const std::string file = path("half-built");
  unsigned leaks = 0;
  CrashPoints points;
  const auto publish_then_fill = [&] {
    const int fd = ::open(file.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    const bool filled = ::write(fd, "x", 1) == 1;
    ::unlink(file.c_str());
    return filled ? 0 : 1;
  };
  points.enumerate({.act = publish_then_fill}, [&] {
    leaks += std::filesystem::exists(file) ? 1 : 0;
    std::filesystem::remove(file);
  });
  if (kRuntimeCallsToo) {
    EXPECT_GE(leaks, 4u);
  } else {
    EXPECT_EQ(leaks, 4u) << "after open, before and after write, before unlink";
  }
}

/// kill -9 between any two system calls of an operation. The oracle is the directory: whatever is visible must be whole,
/// the next start must leave only the bystander's names, and the bystander must still own its own. The owner that is
/// killed may be prepared before the first stop, so that only the operation itself is enumerated.
class AcceptanceC4 : public Tracing {
 protected:
  void SetUp() override {
    Tracing::SetUp();
    if (!IsSkipped()) start_bystander();
  }

  /// In the victim: an owner of its own with the segment "frame".
  void open_owner() {
    engine::become_main();
    auto opened = SegmentOwner::open(options());
    if (opened) owner_.emplace(std::move(*opened));
    if (!opened || !owner_->allocate("frame", engine::bytes_of("content"))) ::_exit(9);
  }

  void kill_at_every_call_of(const std::function<bool(SegmentOwner&)>& operation) {
    CrashPoints points;
    points.enumerate({.prepare = [&] { open_owner(); }, .act = [&] { return operation(*owner_) ? 0 : 1; }},
                     [&] { account_after_kill(); });
    points.print();
  }

  std::optional<SegmentOwner> owner_;  ///< of the victim; empty in the test itself
};

TEST_F(AcceptanceC4, KillAtEverySystemCallOfOneAllocationLeavesNothing) {
  CrashPoints points;
  const auto allocate = [&] {
    engine::become_main();
    auto owner = SegmentOwner::open(options());
    return owner && owner->allocate("frame", engine::bytes_of("content")) ? 0 : 1;
  };
  EXPECT_GT(points.enumerate({.act = allocate}, [&] { account_after_kill(); }), 20u);
  points.print();
}

TEST_F(AcceptanceC4, KillAtEverySystemCallOfAnAllocationFilledInPlaceLeavesNothing) {
  kill_at_every_call_of([](SegmentOwner& owner) {
    const auto fill = [](std::span<std::byte> payload) {
      for (std::byte& byte : payload) byte = std::byte{1};
    };
    return owner.allocate("filled", 100'000, fill).has_value();
  });
}

TEST_F(AcceptanceC4, KillAtEverySystemCallOfAReplacementLeavesNothing) {
  kill_at_every_call_of([](SegmentOwner& owner) {
    return owner.replace("frame", engine::bytes_of("new content")).has_value();
  });
}

TEST_F(AcceptanceC4, KillAtEverySystemCallOfAFreeLeavesNothing) {
  kill_at_every_call_of([](SegmentOwner& owner) { return owner.free("frame").has_value(); });
}

TEST_F(AcceptanceC4, KillAtEverySystemCallOfAShutdownLeavesNothing) {
  kill_at_every_call_of([](SegmentOwner& owner) { return owner.shutdown().has_value(); });
}

/// An attacher has nothing that could leak, and must not become an owner: the segment's own owner lives on.
TEST_F(AcceptanceC4, KillAtEverySystemCallOfAnAttachTouchesNothing) {
  SegmentOwner owner = this->owner();
  const auto handle = owner.allocate("frame", engine::bytes_of("content"));
  ASSERT_TRUE(handle) << why(handle);
  CrashPoints points;
  const auto attach = [&] {
    const auto seen = Attachment::attach(*handle, directory());
    return seen && seen->verify() ? 0 : 1;
  };
  points.enumerate({.act = attach}, [&] { EXPECT_EQ(why(owner.audit()), ""); });
  points.print();
}

/// The whole life of an owner, so that the second victim meets every kind of remains.
Victim short_lived_owner(const SegmentOwner::Options& options) {
  return {.act = [options] {
    engine::become_main();
    auto quiet = options;
    quiet.start_check = SegmentOwner::StartCheck::none;
    auto owner = SegmentOwner::open(quiet);
    if (!owner || !owner->allocate("one", engine::bytes_of("1"))) return 1;
    if (!owner->allocate("two", engine::bytes_of("2")) || !owner->replace("one", engine::bytes_of("3")))
      return 2;
    return owner->free("two") && owner->shutdown() ? 0 : 3;
  }};
}

/// A reaper is killed while it removes what a killed owner left: creator-i x reaper-j. The next reaper must find it all.
TEST_F(AcceptanceC4, KillOfTheReaperOfAKilledOwnerLeavesNothing) {
  CrashPoints points;
  const Victim reaper{.act = [&] { return reap_all().count(engine::ReapVerdict::failed) == 0 ? 0 : 1; }};
  const unsigned stride = kSanitizer ? 5 : 1;  // a sanitizer's forks are slow
  points.enumerate_pairs(
      short_lived_owner(options()), reaper, [&] { account_after_kill(); }, stride);
  points.print();
  EXPECT_GT(points.kills(), 1000u / stride);
}

}  // namespace
}  // namespace touchstone::chaos
