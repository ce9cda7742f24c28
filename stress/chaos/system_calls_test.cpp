// What the protocol asks of the kernel, call by call. Some of its promises show in no result until the day when another
// program starts, another user makes a symlink, or a thread forks: so the calls themselves are read, with their arguments, in
// a life of an owner, its pool and a reader.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "engine/segments/worker_pool.h"
#include "stress/chaos/segment_test.h"
#include "stress/chaos/tracee.h"

namespace touchstone::chaos {
namespace {

using engine::bytes_of;

struct TracedCall {
  SystemCall call;
  std::string path;  ///< of an open
  std::string description;
};

class SystemCalls : public ChaosTest {
 protected:
  void SetUp() override {
    ChaosTest::SetUp();
    if (const std::string skip = why_no_ptrace(); !skip.empty()) GTEST_SKIP() << "expected skip: " << skip;
    record();
  }

  const std::vector<TracedCall>& calls() const { return calls_; }

  std::vector<TracedCall> calls_of(std::uint64_t number) const {
    std::vector<TracedCall> found;
    std::copy_if(calls_.begin(), calls_.end(), std::back_inserter(found),
                 [&](const TracedCall& traced) { return traced.call.number == number; });
    return found;
  }

  /// Of the protocol's own files: libraries read /proc by their own ways.
  std::vector<TracedCall> opens() const {
    std::vector<TracedCall> found = calls_of(SYS_openat);
    std::erase_if(found, [&](const TracedCall& open) { return open.path.starts_with("/proc/"); });
    return found;
  }

 private:
  /// A life with everything in it: an orphan to reap, both ways to fill, a replacement, a free, a reader, a pool.
  void live() const {
    engine::become_main();
    auto owner = SegmentOwner::open(options());
    if (!owner) ::_exit(2);
    const auto written = owner->allocate("written", bytes_of("1"));
    const auto filled =
        owner->allocate("filled", 5000, [](std::span<std::byte> payload) { payload[0] = {}; });
    if (!written || !filled || !owner->replace("written", bytes_of("2")) || !owner->free("filled"))
      ::_exit(3);
    if (!Attachment::attach(written->name(), directory())) ::_exit(4);
    auto pool = engine::WorkerPool::open([](const engine::JobRequest&) { return "done"; }, {.workers = 1});
    if (!pool || !pool->run({})) ::_exit(5);
    if (!owner->audit() || !owner->shutdown()) ::_exit(6);
  }

  void record() {
    put("theus:orphans:7:orphan");
    Tracee life = Tracee::start({.act = [&] {
      live();
      return 0;
    }});
    while (life.step()) {
      const SystemCall call = life.call();
      if (!call.entering) continue;
      const std::string path = call.number == SYS_openat ? life.text_at(call.arguments[1]) : "";
      calls_.push_back({call, path, name_of_call(call.number) + " " + path});
    }
    ASSERT_EQ(life.exit_code(), 0);
    ASSERT_GT(opens().size(), 8u) << "the calls of a whole life were not seen";
  }

  std::vector<TracedCall> calls_;
};

/// posix_spawn and vfork run no handlers of pthread_atfork: what a program that main starts inherits, it keeps for good, and a
/// lock that it keeps makes a dead owner live.
TEST_F(SystemCalls, OpenNothingThatAStartedProgramWouldInherit) {
  for (const TracedCall& open : opens()) EXPECT_TRUE(open.call.arguments[2] & O_CLOEXEC) << open.description;
  const auto pairs = calls_of(SYS_socketpair);
  EXPECT_GE(pairs.size(), 1u);
  for (const TracedCall& pair : pairs) EXPECT_TRUE(pair.call.arguments[1] & SOCK_CLOEXEC);
  const auto received = calls_of(SYS_recvmsg);
  EXPECT_GE(received.size(), 1u) << "a worker's socket came";
  for (const TracedCall& receive : received) EXPECT_TRUE(receive.call.arguments[2] & MSG_CMSG_CLOEXEC);
  for (const TracedCall& control : calls_of(SYS_fcntl))
    EXPECT_NE(control.call.arguments[1], std::uint64_t{F_DUPFD});
  EXPECT_TRUE(calls_of(SYS_dup).empty());
  EXPECT_TRUE(calls_of(SYS_dup2).empty());
}

TEST_F(SystemCalls, FollowNoSymlinkAtAName) {
  unsigned names = 0;
  for (const TracedCall& open : opens()) {
    if (open.path.find(engine::kNamePrefix) == std::string::npos) continue;
    ++names;
    EXPECT_TRUE(open.call.arguments[2] & O_NOFOLLOW) << open.description;
  }
  EXPECT_GE(names, 3u) << "the owner's lock, the orphan's, and an attach";
  for (const TracedCall& look : calls_of(SYS_newfstatat)) {
    const bool by_descriptor = look.call.arguments[3] & AT_EMPTY_PATH;
    const bool relative = static_cast<int>(look.call.arguments[0]) != AT_FDCWD;
    if (relative && !by_descriptor) {
      EXPECT_TRUE(look.call.arguments[3] & AT_SYMLINK_NOFOLLOW) << "the status of a name";
    }
  }
}

/// L4: in a child that has inherited the descriptor, giving the lock back would give the parent's back. And who waits for a
/// lock hangs behind a stopped owner.
TEST_F(SystemCalls, TakeLocksWithoutWaitingAndGiveNoneBack) {
  const auto locks = calls_of(SYS_flock);
  EXPECT_GE(locks.size(), 2u) << "the owner's, and the orphan's";
  for (const TracedCall& lock : locks) EXPECT_EQ(lock.call.arguments[1], std::uint64_t{LOCK_EX | LOCK_NB});
}

/// U1, U2 and U4 in the order of the calls: reserved before mapped, barred from forks, unmapped and read-only before named.
TEST_F(SystemCalls, FinishAFileBeforeItHasAName) {
  std::string order;
  for (const TracedCall& traced : calls()) {
    switch (traced.call.number) {
      case SYS_openat:
        if ((traced.call.arguments[2] & O_TMPFILE) == O_TMPFILE) order += "\nopen";
        break;
      case SYS_fallocate:
        order += " reserve";
        break;
      case SYS_mmap:
        if ((traced.call.arguments[3] & MAP_SHARED) && (traced.call.arguments[2] & PROT_WRITE))
          order += " map";
        break;
      case SYS_madvise:
        if (traced.call.arguments[2] == MADV_DONTFORK) order += " bar";
        break;
      case SYS_munmap:
        if (order.ends_with("bar")) order += " unmap";
        break;
      case SYS_fchmod:
        EXPECT_EQ(traced.call.arguments[1], 0400u);
        order += " read-only";
        break;
      case SYS_linkat:
        order += " name";
        break;
      case SYS_renameat:
        order += " over";
        break;
      default:
        break;
    }
  }
  EXPECT_EQ(order,
            "\nopen read-only name"
            "\nopen reserve map bar unmap read-only name"
            "\nopen read-only name over");
}

}  // namespace
}  // namespace touchstone::chaos
