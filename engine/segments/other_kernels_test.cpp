// What the segments and workers make of the answers of a kernel other than this one: older versions of Landlock, and calls that do
// a part of what they were asked for.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/landlock.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "engine/segments/frame.h"
#include "engine/segments/protections.h"
#include "engine/segments/test_directory.h"
#include "engine/segments/test_kernel.h"
#include "engine/segments/unpublished.h"
#include "engine/segments/worker_sandbox.h"

namespace touchstone::engine {
namespace {

/// Past ThreadSanitizer, which does not see that a descriptor's other user has stopped until it is answered.
template <class... Arguments>
int raw(long call, Arguments... arguments) {
  return static_cast<int>(::syscall(call, arguments...));
}

/// Landlock of one version, which notes what it is asked for and enforces nothing.
class LandlockOf {
 public:
  explicit LandlockOf(int abi) : abi_(abi) {}

  void run(const std::function<void()>& body) {
    where_answered(
        {SYS_landlock_create_ruleset, SYS_landlock_add_rule, SYS_landlock_restrict_self},
        [this](const Called& call) { return answer(call); }, body);
  }

  std::vector<std::uint64_t> handled;  ///< by each ruleset
  std::vector<std::uint64_t> allowed;  ///< by each rule
  std::vector<struct stat> below;      ///< what each rule is about
  int restricted = 0;
  std::int64_t rule = 0;   ///< what making one is answered with
  std::int64_t entry = 0;  ///< and entering the sandbox

 private:
  std::int64_t answer(const Called& call) {
    if (call.call == SYS_landlock_create_ruleset) {
      if (call.arguments[2] == LANDLOCK_CREATE_RULESET_VERSION) return abi_;
      EXPECT_EQ(call.arguments[1], sizeof(std::uint64_t)) << "what the first version knows";
      EXPECT_EQ(call.arguments[2], 0u);
      handled.push_back(call.at<std::uint64_t>(call.arguments[0]));
      // In this process, which is the caller's.
      ruleset_ = raw(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC);
      return ruleset_;
    }
    EXPECT_EQ(call.arguments[0], static_cast<std::uint64_t>(ruleset_));
    if (call.call == SYS_landlock_restrict_self) {
      EXPECT_EQ(call.arguments[1], 0u);
      ++restricted;
      return entry;
    }
    EXPECT_EQ(call.arguments[1], std::uint64_t{LANDLOCK_RULE_PATH_BENEATH});
    EXPECT_EQ(call.arguments[3], 0u);
    const auto beneath = call.at<landlock_path_beneath_attr>(call.arguments[2]);
    allowed.push_back(beneath.allowed_access);
    EXPECT_EQ(raw(SYS_fcntl, beneath.parent_fd, F_GETFD), FD_CLOEXEC);
    EXPECT_TRUE(raw(SYS_fcntl, beneath.parent_fd, F_GETFL) & O_PATH) << "nobody has to be able to read it";
    raw(SYS_fstat, beneath.parent_fd, &below.emplace_back());
    return rule;
  }

  const int abi_;
  int ruleset_ = -1;
};

class OtherKernels : public SegmentTest {
 protected:
  void TearDown() override {
    become_main();
    SegmentTest::TearDown();
  }
};

/// The first version's rights to write; the second one knows the right to move files between directories, the third one to truncate.
/// A kernel refuses a ruleset with rights that it does not know, so nobody may ask for more.
TEST_F(OtherKernels, OfEveryLandlockAllRightsToWriteAreAskedForAndNoOther) {
  constexpr std::uint64_t kFirst = 0b1'1111'1111'0010;  // all but execute, read a file, read a directory
  constexpr std::uint64_t kRefer = 1 << 13, kTruncate = 1 << 14;
  const std::uint64_t rights[] = {kFirst, kFirst | kRefer, kFirst | kRefer | kTruncate,
                                  kFirst | kRefer | kTruncate};
  for (int abi = 1; abi <= 4; ++abi) {
    LandlockOf kernel(abi);
    become_main();
    kernel.run([&] {
      const auto report = enter_worker_sandbox({"/", directory()});
      ASSERT_TRUE(report) << describe(report.error());
      EXPECT_TRUE(report->writes_denied);
      EXPECT_EQ(report->truncation_denied, abi >= 3) << abi;
      EXPECT_EQ(process_role(), ProcessRole::worker);
    });
    const std::uint64_t all = rights[abi - 1];
    EXPECT_EQ(kernel.handled, std::vector<std::uint64_t>{all}) << abi;
    EXPECT_EQ(kernel.allowed, (std::vector<std::uint64_t>{all, all})) << abi;
    ASSERT_EQ(kernel.below.size(), 2u);
    struct stat root {
    }, own{};
    ASSERT_EQ(::stat("/", &root), 0);
    ASSERT_EQ(::stat(directory().c_str(), &own), 0);
    EXPECT_TRUE(same_file(kernel.below[0], root));
    EXPECT_TRUE(same_file(kernel.below[1], own));
    EXPECT_EQ(kernel.restricted, 1);
  }
}

TEST_F(OtherKernels, WithoutLandlockTheReportSaysThatNothingIsDenied) {
  where({{SYS_landlock_create_ruleset, ENOSYS}}, [&] {
    const auto report = enter_worker_sandbox({directory()});
    ASSERT_TRUE(report) << describe(report.error());
    EXPECT_FALSE(report->writes_denied);
    EXPECT_FALSE(report->truncation_denied);
    EXPECT_EQ(process_role(), ProcessRole::worker);
  });
}

TEST_F(OtherKernels, AnOutputDirectoryMustBeOne) {
  put("file");
  LandlockOf kernel(3);
  kernel.run([&] {
    const auto report = enter_worker_sandbox({path("file")});
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, SegmentErrc::bad_directory);
    EXPECT_EQ(report.error().system_error, ENOTDIR);
    EXPECT_EQ(report.error().message, "cannot open the output directory " + path("file"));
  });
  EXPECT_EQ(kernel.restricted, 0);
  remove("file");
}

TEST_F(OtherKernels, WhatLandlockDoesNotAllowIsNoSandbox) {
  const auto expect_error = [&](std::int64_t LandlockOf::*refusing, const std::string& message) {
    LandlockOf kernel(3);
    kernel.*refusing = -ENOMEM;
    kernel.run([&] {
      const auto report = enter_worker_sandbox({directory()});
      ASSERT_FALSE(report);
      EXPECT_EQ(report.error().code, SegmentErrc::no_space);
      EXPECT_EQ(report.error().message, message);
    });
  };
  expect_error(&LandlockOf::rule, "cannot allow writing to " + directory());
  expect_error(&LandlockOf::entry, "cannot enter the Landlock sandbox");
}

TEST_F(OtherKernels, TheProtectionsSayWhatALandlockOfThatVersionCovers) {
  for (int abi = 1; abi <= 4; ++abi) {
    LandlockOf(abi).run([&] {
      EXPECT_EQ(landlock_abi(), abi);
      const auto found = find_protections(directory());
      EXPECT_EQ(found.back().name, "landlock");
      EXPECT_TRUE(found.back().present);
      EXPECT_EQ(found.back().detail, "ABI " + std::to_string(abi) +
                                         (abi < 3 ? ": does not cover truncate (3 does)"
                                                  : ": a worker can write nowhere but where it is told to"));
    });
  }
}

/// Lets each writev take `most` bytes, whatever part of its buffers they are. Every second one is interrupted, or takes nothing.
class SlowWrites {
 public:
  SlowWrites(std::size_t most, std::int64_t between) : most_(most), between_(between) {}

  std::optional<std::int64_t> operator()(const Called& call) {
    if (++calls % 2 == 0) return between_;
    std::string bytes;
    for (std::uint64_t i = 0; i < call.arguments[2]; ++i) {
      const auto part = call.at<iovec>(call.arguments[1] + i * sizeof(iovec));
      bytes += call.bytes_at(reinterpret_cast<std::uint64_t>(part.iov_base), part.iov_len);
    }
    const std::size_t taken = std::min(most_, bytes.size());
    return raw(SYS_write, call.arguments[0], bytes.data(), taken);
  }

  int calls = 0;

 private:
  const std::size_t most_;
  const std::int64_t between_;
};

TEST_F(OtherKernels, AWriteThatTakesAPartGoesOnWhereItStopped) {
  const auto directory = SegmentDirectory::open(this->directory());
  ASSERT_TRUE(directory);
  std::string payload(700, '\0');
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(i * 31 / 7);
  const SegmentNameParts parts{session(), ::getpid(), "slow"};
  const std::string name = *encode_name(parts.session, parts.pid, "slow");
  constexpr std::size_t kHeader = sizeof(SegmentHeader);
  for (const std::size_t most :
       {std::size_t{1}, std::size_t{100}, kHeader - 1, kHeader, kHeader + 1, std::size_t{10'000}}) {
    for (const std::int64_t between : {std::int64_t{-EINTR}, std::int64_t{0}}) {
      SlowWrites writes(most, between);
      where_answered({SYS_writev}, std::ref(writes), [&] {
        errno = EIO;  // of an earlier call: whoever took nothing has not failed
        const auto made = UnpublishedSegment::write(*directory, parts, 1, bytes_of(payload));
        ASSERT_TRUE(made) << describe(made.error());
        ASSERT_TRUE(made->link(*directory, name));
      });
      const auto seen = Attachment::attach(name, this->directory());
      ASSERT_TRUE(seen) << describe(seen.error());
      EXPECT_EQ(text_of(seen->bytes()), payload);
      EXPECT_TRUE(seen->verify());
      EXPECT_EQ(writes.calls, static_cast<int>(2 * ((kHeader + payload.size() + most - 1) / most) - 1));
      remove(name);
    }
  }
}

TEST(InterruptedCalls, ASessionIsWholeThoughItsDrawIsInterrupted) {
  int draws = 0;
  const auto interrupt = [&](const Called& call) -> std::optional<std::int64_t> {
    EXPECT_EQ(call.arguments[2], 0u) << "before there is entropy it waits";
    if (++draws == 1) return -EINTR;
    return std::nullopt;
  };
  where_answered({SYS_getrandom}, interrupt, [] {
    const std::string session = random_session();
    EXPECT_EQ(session.size(), 32u);
    EXPECT_NE(session, std::string(32, '0'));
  });
  EXPECT_EQ(draws, 2);
}

/// A call that a signal interrupts has done nothing yet, and is made again.
TEST(InterruptedCalls, AMessageArrivesWholeThoughEveryReceiveIsInterrupted) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Descriptor near(ends[0]), far(ends[1]);
  int calls = 0;
  const auto interrupt = [&](const Called&) -> std::optional<std::int64_t> {
    if (++calls % 2 == 1) return -EINTR;
    return std::nullopt;
  };
  where_answered({SYS_sendto, SYS_recvfrom}, interrupt, [&] {
    EXPECT_TRUE(send_frame(near.get(), "a message"));
    EXPECT_EQ(receive_frame(far.get()), "a message");
  });
  EXPECT_EQ(calls, 8);
}

}  // namespace
}  // namespace touchstone::engine
