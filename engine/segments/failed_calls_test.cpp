// What the segments and workers say when the kernel refuses a call that always works here, and what they do on a kernel or for a user
// other than this one's: the calls of one thread fail by a seccomp filter, which its children inherit.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "engine/segments/attachment.h"
#include "engine/segments/frame.h"
#include "engine/segments/owner_lock.h"
#include "engine/segments/protections.h"
#include "engine/segments/reaper.h"
#include "engine/segments/test_descriptor_limit.h"
#include "engine/segments/test_directory.h"
#include "engine/segments/test_kernel.h"
#include "engine/segments/unpublished.h"
#include "engine/segments/worker_nursery.h"

namespace touchstone::engine {
namespace {

SegmentResult<WorkerNursery> nursery(const std::vector<std::string>& output_directories = {}) {
  return WorkerNursery::open([](const JobRequest& request) { return request.inputs; }, output_directories);
}

class FailedCalls : public SegmentTest {
 protected:
  SegmentDirectory open_directory() const { return std::move(*SegmentDirectory::open(directory())); }

  std::string control() const { return control_name(session(), 7); }

  void expect_no_lock(const std::vector<Failing>& calls, SegmentErrc code, int cause,
                      const std::string& message) const {
    const auto directory = open_directory();
    where(calls, [&] {
      const auto lock = OwnerLock::acquire(directory, session(), 7);
      ASSERT_FALSE(lock);
      EXPECT_EQ(lock.error().code, code);
      EXPECT_EQ(lock.error().system_error, cause);
      EXPECT_EQ(lock.error().message, message);
    });
    remove(control());
  }

  Protection found(const std::vector<Failing>& calls, std::string_view name) const {
    Protection named;
    where(calls, [&] {
      for (const Protection& protection : find_protections(directory()))
        if (protection.name == name) named = protection;
    });
    EXPECT_EQ(named.name, name);
    return named;
  }
};

TEST_F(FailedCalls, AnOwnersFileThatCannotBeLookedAtIsNotLocked) {
  const std::vector<Failing> calls{{SYS_fstat, EIO}, {SYS_newfstatat, EIO}};
  expect_no_lock(calls, SegmentErrc::system, EIO, "cannot look at \"" + control() + "\"");
}

TEST_F(FailedCalls, AFileSystemWithoutLocksIsNoBusyOwner) {
  expect_no_lock({{SYS_flock, ENOLCK}}, SegmentErrc::system, ENOLCK, "cannot lock \"" + control() + "\"");
}

TEST_F(FailedCalls, ALockThatIsInterruptedForEverIsGivenUp) {
  expect_no_lock({{SYS_flock, EINTR}}, SegmentErrc::busy, 0,
                 "\"" + control() + "\" was removed each time it was locked");
}

TEST_F(FailedCalls, AFailedListIsNoEmptyDirectory) {
  const auto directory = open_directory();
  where({{SYS_getdents64, EIO}}, [&] {
    const auto listed = directory.scan([](std::string_view) {});
    ASSERT_FALSE(listed);
    EXPECT_EQ(listed.error().code, SegmentErrc::system);
    EXPECT_EQ(listed.error().system_error, EIO);
  });
}

// fdopendir looks at the flags of its descriptor.
TEST_F(FailedCalls, ADirectoryThatCannotBeReadKeepsNoDescriptor) {
  const auto directory = open_directory();
  where({{SYS_fcntl, EIO, 1, ~0u, F_GETFL}}, [&] {
    const int next = ::open("/", O_PATH | O_CLOEXEC);
    ::close(next);
    const auto listed = directory.scan([](std::string_view) {});
    ASSERT_FALSE(listed);
    EXPECT_EQ(listed.error().system_error, EIO);
    EXPECT_EQ(listed.error().message, "cannot list the directory " + this->directory());
    const int again = ::open("/", O_PATH | O_CLOEXEC);
    ::close(again);
    EXPECT_EQ(again, next);
  });
}

TEST_F(FailedCalls, ADirectoryThatCannotBeOpenedAgainIsNotListed) {
  const auto directory = open_directory();
  where({{SYS_openat, EMFILE}}, [&] {
    const auto listed = directory.scan([](std::string_view) {});
    ASSERT_FALSE(listed);
    EXPECT_EQ(listed.error().code, SegmentErrc::descriptor_limit);
    EXPECT_EQ(listed.error().message, "cannot list the directory " + this->directory());
  });
}

/// Each call of an attach, and what it means that it fails.
TEST_F(FailedCalls, AnAttachSaysWhatFailed) {
  SegmentOwner owner = this->owner();
  const auto handle = owner.allocate("frame", bytes_of("x"));
  ASSERT_TRUE(handle);
  const std::string name = "\"" + std::string(handle->name()) + "\"";
  const auto expect = [&](const std::vector<Failing>& calls, SegmentErrc code, int cause,
                          const std::string& message) {
    where(calls, [&] {
      const auto seen = Attachment::attach(*handle, directory());
      ASSERT_FALSE(seen) << message;
      EXPECT_EQ(seen.error().code, code) << message;
      EXPECT_EQ(seen.error().system_error, cause) << message;
      EXPECT_EQ(seen.error().message, message);
    });
  };
  expect({{SYS_openat, EACCES}}, SegmentErrc::foreign_file, EACCES,
         name + " is not a regular file of this user");
  expect({{SYS_openat, EMFILE}}, SegmentErrc::descriptor_limit, EMFILE, "cannot open " + name);
  expect({{SYS_openat, EIO}}, SegmentErrc::system, EIO, "cannot open " + name);
  expect({{SYS_fstat, EIO}, {SYS_newfstatat, EIO}}, SegmentErrc::system, EIO, "cannot look at " + name);
  expect({{SYS_pread64, EIO}}, SegmentErrc::system, EIO, "cannot read " + name);
  const Failing mapping{SYS_mmap, ENOMEM, 3, MAP_SHARED | MAP_PRIVATE, MAP_SHARED};
  expect({mapping}, SegmentErrc::descriptor_limit, ENOMEM, name + " cannot be mapped");
  Failing denied = mapping;
  denied.error = EACCES;
  expect({denied}, SegmentErrc::system, EACCES, name + " cannot be mapped");
  EXPECT_TRUE(Attachment::attach(*handle, directory()));
}

TEST_F(FailedCalls, ASegmentThatCannotBeFinishedIsNone) {
  const auto directory = open_directory();
  const SegmentNameParts parts{session(), 7, "a"};
  const auto expect = [&](const Failing& call, SegmentErrc code, const std::string& message, bool written) {
    where({call}, [&] {
      const auto filled = UnpublishedSegment::fill(directory, parts, 1, 10, [](auto) {});
      ASSERT_FALSE(filled) << message;
      EXPECT_EQ(filled.error().code, code) << message;
      EXPECT_EQ(filled.error().system_error, call.error) << message;
      EXPECT_EQ(filled.error().message, message);
      const auto made = UnpublishedSegment::write(directory, parts, 1, bytes_of("x"));
      EXPECT_EQ(made.has_value(), written) << message;
      if (!made) {
        EXPECT_EQ(describe(made.error()), describe(filled.error()));
      }
    });
  };
  const std::uint32_t unnamed = O_TMPFILE & ~O_DIRECTORY;
  expect({SYS_openat, EIO, 2, unnamed, unnamed}, SegmentErrc::system,
         "cannot make a file in " + this->directory(), false);
  expect({SYS_fallocate, EIO}, SegmentErrc::system, "cannot reserve 10 bytes", true);
  expect({SYS_mmap, EPERM, 3, MAP_SHARED | MAP_PRIVATE, MAP_SHARED}, SegmentErrc::system,
         "cannot map 266 bytes", true);
  expect({SYS_madvise, EINVAL, 2, ~0u, MADV_DONTFORK}, SegmentErrc::system, "cannot map 266 bytes", true);
  expect({SYS_fchmod, EPERM}, SegmentErrc::system, "cannot make the segment read-only", false);
}

TEST_F(FailedCalls, AFileSystemWithoutUnnamedFilesIsUnsupported) {
  constexpr std::uint32_t kUnnamed = O_TMPFILE & ~O_DIRECTORY;
  const auto directory = open_directory();
  for (const auto& [cause, code] :
       {std::pair(EISDIR, SegmentErrc::unsupported), std::pair(EOPNOTSUPP, SegmentErrc::unsupported),
        std::pair(EIO, SegmentErrc::system)}) {
    where({{SYS_openat, cause, 2, kUnnamed, kUnnamed}}, [&, cause = cause, code = code] {
      const auto made = UnpublishedSegment::write(directory, {session(), 7, "a"}, 1, bytes_of("x"));
      ASSERT_FALSE(made);
      EXPECT_EQ(made.error().code, code) << cause;
      EXPECT_EQ(made.error().system_error, cause);
    });
  }
}

TEST_F(FailedCalls, APayloadThatCannotBeWrittenIsNoSegment) {
  const auto directory = open_directory();
  for (const auto& [cause, code] :
       {std::pair(ENOSPC, SegmentErrc::no_space), std::pair(EIO, SegmentErrc::system)}) {
    where({{SYS_writev, cause}}, [&, cause = cause, code = code] {
      const auto made = UnpublishedSegment::write(directory, {session(), 7, "a"}, 1, bytes_of("x"));
      ASSERT_FALSE(made);
      EXPECT_EQ(made.error().code, code);
      EXPECT_EQ(made.error().system_error, cause);
    });
  }
}

TEST_F(FailedCalls, AReaperThatCannotRemoveALockSaysSo) {
  put(control());
  where({{SYS_unlinkat, EIO}}, [&] {
    const ReapReport report = reap({.directory = directory(), .session = std::nullopt});
    ASSERT_EQ(report.groups.size(), 1u);
    EXPECT_EQ(report.groups[0].verdict, ReapVerdict::failed);
    EXPECT_NE(report.groups[0].why.find("cannot unlink the owner lock"), std::string::npos);
    EXPECT_EQ(report.removed_names, 0u);
  });
  remove(control());
}

TEST_F(FailedCalls, AMappingThatChildrenWouldInheritIsNoProtection) {
  const Protection refused = found({{SYS_madvise, EINVAL, 2, ~0u, MADV_DONTFORK}}, "MADV_DONTFORK");
  EXPECT_FALSE(refused.present);
  EXPECT_EQ(refused.detail, "missing: Invalid argument");
  const Protection no_page = found({{SYS_mmap, EPERM, 2, ~0u, PROT_READ}}, "MADV_DONTFORK");
  EXPECT_FALSE(no_page.present);
  EXPECT_EQ(no_page.detail, "missing: Operation not permitted");
}

TEST_F(FailedCalls, WhatIsTriedForTheProtectionsLeavesNoPageBehind) {
  int pages = 0;
  const auto count = [&](const Called& call) {
    if (call.call == SYS_mmap && call.arguments[1] == 4096 && call.arguments[2] == PROT_READ) ++pages;
    if (call.call == SYS_munmap && call.arguments[1] == 4096) --pages;
    return std::nullopt;
  };
  where_answered({SYS_mmap, SYS_munmap}, count, [&] { find_protections(directory()); });
  EXPECT_EQ(pages, 0);
}

// geteuid() cannot fail: what the filter returns is a user.
TEST_F(FailedCalls, FileModesProtectFromWhoeverIsNotRoot) {
  const Protection modes = found({{SYS_geteuid, EPERM}}, "file modes");
  EXPECT_TRUE(modes.present);
  EXPECT_EQ(modes.detail, "mode 0400 keeps this user from opening a segment for writing");
}

TEST_F(FailedCalls, WithoutLandlockWorkersAreBornAllTheSame) {
  const std::vector<Failing> calls{{SYS_landlock_create_ruleset, ENOSYS}};
  const Protection landlock = found(calls, "landlock");
  EXPECT_FALSE(landlock.present);
  EXPECT_EQ(landlock.detail, "missing: a worker's right to write is limited by file modes only");
  where(calls, [] {
    EXPECT_EQ(landlock_abi(), 0);
    auto born = nursery();
    ASSERT_TRUE(born) << describe(born.error());
    auto worker = born->bear();
    ASSERT_TRUE(worker);
    EXPECT_EQ(*run_job(worker->socket.get(), {.inputs = "x"}), "x");
  });
}

// A kernel without Landlock has nothing to refuse.
TEST_F(FailedCalls, WhereThereIsLandlockNobodyIsBornOutsideOfIt) {
  const bool without = landlock_abi() == 0;
  const auto expect_refusal = [&](const Failing& call, const std::string& message) {
    where({call}, [&] {
      const auto born = nursery();
      ASSERT_EQ(born.has_value(), without) << message;
      if (!without) {
        EXPECT_EQ(born.error().message, message) << describe(born.error());
      }
    });
  };
  expect_refusal({SYS_landlock_create_ruleset, ENOMEM, 1, ~0u, sizeof(std::uint64_t)},
                 "cannot make a Landlock ruleset");
  expect_refusal({SYS_prctl, EPERM, 0, ~0u, PR_SET_NO_NEW_PRIVS}, "cannot enter the Landlock sandbox");
}

TEST_F(FailedCalls, ANurseryThatCannotBearSaysWhyAndLivesOn) {
  auto born = nursery();
  ASSERT_TRUE(born) << describe(born.error());
  ASSERT_GT(born->pid(), 0);
  {
    const DescriptorLimit none(0, born->pid());
    for (int i = 0; i < 2; ++i) {
      const auto worker = born->bear();
      ASSERT_FALSE(worker);
      EXPECT_EQ(worker.error().code, SegmentErrc::descriptor_limit);
      EXPECT_EQ(worker.error().system_error, EMFILE);
    }
  }
  EXPECT_TRUE(born->bear());
}

TEST_F(FailedCalls, ANurseryThatEndsBeforeItAnswersIsGone) {
  auto born = nursery();
  ASSERT_TRUE(born) << describe(born.error());
  ASSERT_EQ(::kill(born->pid(), SIGSTOP), 0);
  std::thread killer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ::kill(born->pid(), SIGKILL);
  });
  const auto worker = born->bear();
  killer.join();
  ASSERT_FALSE(worker);
  EXPECT_EQ(worker.error().code, SegmentErrc::worker_died);
}

TEST_F(FailedCalls, ANurserysResetSocketMeansThatItIsGone) {
  for (const auto& [cause, code] :
       {std::pair(ECONNRESET, SegmentErrc::worker_died), std::pair(EIO, SegmentErrc::system)}) {
    auto born = nursery();
    ASSERT_TRUE(born) << describe(born.error());
    where({{SYS_recvmsg, cause}}, [&, cause = cause, code = code] {
      const auto worker = born->bear();
      ASSERT_FALSE(worker);
      EXPECT_EQ(worker.error().code, code);
      EXPECT_EQ(worker.error().system_error, cause);
    });
  }
}

std::atomic<int> interruptions{0};

// A send that a signal interrupts has taken a part, or nothing: both go on. Nobody receives until several signals have come.
TEST(InterruptedCalls, AMessageArrivesWholeThoughSignalsCutItsSends) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  const Descriptor near(ends[0]), far(ends[1]);
  struct sigaction action {
  }, before{};
  action.sa_handler = [](int) { ++interruptions; };
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
  interruptions = 0;
  std::string large(3'000'000, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31 / 7);
  bool sent = false;
  std::thread sender([&] { sent = send_frame(near.get(), large); });
  int waiting = 0;
  while (::ioctl(far.get(), FIONREAD, &waiting) == 0 && waiting <= 8) std::this_thread::yield();
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    ::pthread_kill(sender.native_handle(), SIGUSR1);
    while (interruptions <= i) std::this_thread::yield();
  }
  const auto received = receive_frame(far.get());
  sender.join();
  ::sigaction(SIGUSR1, &before, nullptr);
  EXPECT_TRUE(sent);
  EXPECT_EQ(received, large);
}

}  // namespace
}  // namespace touchstone::engine
