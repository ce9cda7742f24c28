#include "engine/segments/fork_guard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <functional>
#include <thread>
#include <utility>

#include "engine/segments/test_kernel.h"

namespace touchstone::engine {
namespace {

/// Forks by `fork_call`, and returns what `check` returned in the child.
int in_child(const std::function<pid_t()>& fork_call, const std::function<int()>& check) {
  const pid_t child = fork_call();
  if (child == 0) ::_exit(check());
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

pid_t raw_clone() {
  return static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

GuardedDescriptor open_null() {
  return GuardedDescriptor::open([] { return ::open("/dev/null", O_RDONLY | O_CLOEXEC); });
}

TEST(ForkGuard, TheChildOfAForkIsAWorkerUntilItBecomesAMain) {
  become_main();
  const int role = in_child(&::fork, [] {
    if (process_role() != ProcessRole::worker) return 1;
    become_main();
    return process_role() == ProcessRole::main ? 0 : 2;
  });
  EXPECT_EQ(role, 0);
  EXPECT_EQ(process_role(), ProcessRole::main);
}

TEST(ForkGuard, WhoeverBecomesAWorkerIsOneUntilItBecomesAMain) {
  become_main();
  become_worker();
  EXPECT_EQ(process_role(), ProcessRole::worker);
  become_main();
  EXPECT_EQ(process_role(), ProcessRole::main);
}

/// A raw clone that another thread makes in the middle would be a main otherwise: the pid tells nothing there yet.
TEST(ForkGuard, NobodyIsAMainBeforeItHasNotedItsPid) {
  become_main();
  become_worker();
  ProcessRole meanwhile = ProcessRole::main;
  where_answered(
      {SYS_getpid},
      [&](const Called&) {
        meanwhile = process_role();
        return std::nullopt;
      },
      [] { become_main(); });
  EXPECT_EQ(meanwhile, ProcessRole::worker);
  EXPECT_EQ(process_role(), ProcessRole::main);
}

/// A raw clone runs no pthread_atfork handler: only the pid tells.
TEST(ForkGuard, TheChildOfARawCloneIsAWorkerToo) {
  become_main();
  const ProcessMark mark = ProcessMark::here();
  EXPECT_EQ(
      in_child(&raw_clone, [&] { return process_role() == ProcessRole::worker && !mark.is_here() ? 0 : 1; }),
      0);
}

TEST(ForkGuard, AMarkDoesNotHoldInAChild) {
  const ProcessMark mark = ProcessMark::here();
  EXPECT_TRUE(mark.is_here());
  EXPECT_EQ(in_child(&::fork, [&] { return mark.is_here() ? 1 : 0; }), 0);
}

/// The first process of a pid namespace has pid 1, and so has its child that is the first one of another: the pid alone
/// does not tell, neither of a mark nor of a main.
TEST(ForkGuard, NothingHoldsInAChildOfTheSamePid) {
  constexpr int kNoNamespace = 77;
  const int seen = in_child(&::fork, [&] {
    if (::unshare(CLONE_NEWPID) != 0) return kNoNamespace;
    return in_child(&::fork, [&] {
      const ProcessMark mark = ProcessMark::here();
      if (mark.pid() != 1 || ::unshare(CLONE_NEWPID) != 0) return kNoNamespace;
      become_main();
      return in_child(&::fork, [&] {
        return ::getpid() == 1 && !mark.is_here() && process_role() == ProcessRole::worker ? 0 : 1;
      });
    });
  });
  if (seen == kNoNamespace) GTEST_SKIP() << "expected skip: this environment gives no pid namespace";
  EXPECT_EQ(seen, 0);
}

TEST(ForkGuard, AMarkSaysWhereItWasMade) {
  EXPECT_EQ(ProcessMark::here().pid(), ::getpid());
}

TEST(ForkGuard, WhatAChildOpensIsItsOwn) {
  EXPECT_EQ(in_child(&::fork,
                     [] {
                       GuardedDescriptor own = open_null();
                       const int fd = own.get();
                       if (fd < 0 || ::fcntl(fd, F_GETFD) < 0) return 1;
                       own.close();
                       return ::fcntl(fd, F_GETFD) < 0 ? 0 : 2;
                     }),
            0);
}

/// Descriptor 1 is open in every test: whoever closes "none" by a wrong number closes the standard output of its process.
TEST(ForkGuard, NoneIsNoDescriptorAndClosesNothing) {
  EXPECT_EQ(in_child(&::fork,
                     [] {
                       ::dup2(0, 1);
                       {
                         GuardedDescriptor none;
                         if (none.get() != -1) return 1;
                         GuardedDescriptor closed = open_null();
                         closed.close();
                         if (closed.get() != -1) return 2;
                         GuardedDescriptor given = open_null();
                         const GuardedDescriptor taken = std::move(given);
                         if (given.get() >= 0) return 3;
                         const GuardedDescriptor failed = GuardedDescriptor::open([] { return -1; });
                         if (failed.get() != -1) return 4;
                       }
                       return ::fcntl(0, F_GETFD) >= 0 && ::fcntl(1, F_GETFD) >= 0 && ::fcntl(2, F_GETFD) >= 0
                                  ? 0
                                  : 5;
                     }),
            0);
}

TEST(ForkGuard, NoneIsMinusOneAndItsEndIsNoSystemCall) {
  errno = 0;  // closing -1 would be EBADF
  {
    GuardedDescriptor none;
    EXPECT_EQ(none.get(), -1);
    GuardedDescriptor closed = open_null();
    closed.close();
    EXPECT_EQ(closed.get(), -1);
    closed.close();
    GuardedDescriptor failed = GuardedDescriptor::open([] { return -1; });
    EXPECT_EQ(failed.get(), -1);
  }
  EXPECT_EQ(errno, 0);
}

/// Whoever tries again and again must not make every fork dearer.
TEST(ForkGuard, OfAFailedOpenNothingIsClosedInAChild) {
  where({{SYS_close, EXDEV, 0, ~0u, ~0u}}, [] {
    const GuardedDescriptor failed = GuardedDescriptor::open([] { return -1; });
    errno = 0;
    EXPECT_EQ(in_child(&::fork, [] { return errno == EXDEV ? 1 : 0; }), 0) << "-1 was closed";
  });
}

TEST(ForkGuard, AChildKeepsNoGuardedDescriptorAndItsParentKeepsIt) {
  GuardedDescriptor guarded = open_null();
  const int fd = guarded.get();
  ASSERT_GE(fd, 0);
  const int seen = in_child(&::fork, [&] {
    const bool closed = ::fcntl(fd, F_GETFD) == -1 && errno == EBADF;
    return closed && guarded.get() == -1 ? 0 : 1;
  });
  EXPECT_EQ(seen, 0);
  EXPECT_NE(::fcntl(fd, F_GETFD), -1);
}

/// F2: a fork that comes between the opening of a descriptor and its registration would give it to the child. It must wait
/// for both: the other thread forks while the descriptor is open and not yet registered.
TEST(ForkGuard, AForkWaitsUntilAnOpenedDescriptorIsRegistered) {
  std::atomic<int> opened{-1};
  std::atomic<bool> forking{false};
  int inherited = -1;
  std::thread forks([&] {
    while (opened < 0) std::this_thread::yield();
    forking = true;
    inherited = in_child(&::fork, [&] { return ::fcntl(opened, F_GETFD) == -1 ? 0 : 1; });
  });
  const auto guarded = GuardedDescriptor::open([&] {
    opened = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    while (!forking) std::this_thread::yield();
    std::this_thread::sleep_for(
        std::chrono::milliseconds(50));  // the time that a fork that does not wait would need
    return opened.load();
  });
  forks.join();
  EXPECT_EQ(inherited, 0);
}

TEST(ForkGuard, AForkWaitsForStepsThatItMustNotSplit) {
  std::atomic<bool> inside{false};
  std::atomic<bool> forking{false};
  std::atomic<bool> whole{false};
  int seen = -1;
  std::thread forks([&] {
    while (!inside) std::this_thread::yield();
    forking = true;
    seen = in_child(&::fork, [&] { return whole ? 0 : 1; });
  });
  without_fork([&] {
    inside = true;
    while (!forking) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    whole = true;
  });
  forks.join();
  EXPECT_EQ(seen, 0);
}

/// The list of what a child closes has one writer at a time.
TEST(ForkGuard, AClosingWaitsForAnOpening) {
  GuardedDescriptor closing = open_null();
  GuardedDescriptor opened;
  EXPECT_FALSE(comes_back_within(
      SYS_openat, [&] { opened = open_null(); }, [&] { closing.close(); }));
  EXPECT_GE(opened.get(), 0);
}

/// In the child the number may have been given to another file before the inherited object dies.
TEST(ForkGuard, AnInheritedDescriptorClosesNothingOfTheChild) {
  GuardedDescriptor guarded = open_null();
  const int fd = guarded.get();
  const int seen = in_child(&::fork, [&] {
    const int reused = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    guarded.close();
    return reused == fd && ::fcntl(fd, F_GETFD) != -1 ? 0 : 1;
  });
  EXPECT_EQ(seen, 0);
}

/// What was closed once is nobody's any more: its number may be another file's, in a child and in a child's child.
TEST(ForkGuard, AClosedNumberMayBeAnotherFilesAndIsLeftAlone) {
  GuardedDescriptor guarded = open_null();
  const int fd = guarded.get();
  EXPECT_EQ(in_child(&::fork,
                     [&] {
                       if (::open("/dev/null", O_RDONLY | O_CLOEXEC) != fd) return 1;
                       return in_child(&::fork, [&] { return ::fcntl(fd, F_GETFD) >= 0 ? 0 : 2; });
                     }),
            0);
  guarded.close();
  ASSERT_EQ(::open("/dev/null", O_RDONLY | O_CLOEXEC), fd);
  EXPECT_EQ(in_child(&::fork, [&] { return ::fcntl(fd, F_GETFD) >= 0 ? 0 : 1; }), 0);
  ::close(fd);
}

TEST(ForkGuard, AnAssignedDescriptorReplacesWhatWasThere) {
  GuardedDescriptor one = open_null(), other = open_null();
  const int first = one.get(), second = other.get();
  one = std::move(other);
  EXPECT_EQ(one.get(), second);
  EXPECT_EQ(other.get(), -1);
  EXPECT_LT(::fcntl(first, F_GETFD), 0);
  EXPECT_GE(::fcntl(second, F_GETFD), 0);
  GuardedDescriptor& same = one;
  one = std::move(same);
  EXPECT_EQ(one.get(), second);
  EXPECT_GE(::fcntl(second, F_GETFD), 0);
  EXPECT_EQ(in_child(&::fork,
                     [&] {
                       if (::fcntl(second, F_GETFD) >= 0) return 1;
                       GuardedDescriptor own;
                       own = open_null();
                       return own.get() >= 0 ? 0 : 2;
                     }),
            0);
}

TEST(ForkGuard, AMovedDescriptorIsClosedOnce) {
  GuardedDescriptor first = open_null();
  const int fd = first.get();
  GuardedDescriptor second = std::move(first);
  EXPECT_EQ(first.get(), -1);
  EXPECT_EQ(second.get(), fd);
  second.close();
  EXPECT_EQ(::fcntl(fd, F_GETFD), -1);
}

}  // namespace
}  // namespace touchstone::engine
