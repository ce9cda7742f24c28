// The nursery and its workers: what they ask of the kernel, what they keep open, and how they end when somebody is gone or the kernel
// refuses. The calls of the nursery and the workers are answered here, too: they inherit the filter.

#include "engine/segments/worker_nursery.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/segments/test_descriptor_limit.h"
#include "engine/segments/test_directory.h"
#include "engine/segments/test_kernel.h"

namespace touchstone::engine {
namespace {

using Result = std::optional<std::int64_t>;

std::string echo(const JobRequest& request) {
  return request.inputs;
}

/// Sockets among the first descriptors of this process.
int open_sockets() {
  int sockets = 0;
  for (int fd = 0; fd < 256; ++fd) {
    struct stat status {};
    if (::fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode)) ++sockets;
  }
  return sockets;
}

class WorkerNurseryTest : public SegmentTest {
 protected:
  WorkerNurseryTest() { become_main(); }

  static SegmentResult<WorkerNursery> open(const Job& job = &echo) { return WorkerNursery::open(job, {}); }

  static void expect_alive(WorkerNursery& nursery) {
    auto worker = nursery.bear();
    ASSERT_TRUE(worker) << describe(worker.error());
    EXPECT_GT(worker->pid, 0);
    EXPECT_EQ(*run_job(worker->socket.get(), {.inputs = "alive"}), "alive");
  }
};

TEST_F(WorkerNurseryTest, AWorkerProcessHasNone) {
  become_worker();
  const auto refused = open();
  become_main();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, SegmentErrc::worker_role);
}

/// In a process of its own, because whoever takes itself for the nursery ends there without a word.
TEST_F(WorkerNurseryTest, AChildThatBecameAMainMayHaveOne) {
  const pid_t child = ::fork();
  if (child == 0) {
    become_main();
    auto nursery = open();
    auto worker = nursery ? nursery->bear() : SegmentResult<BornWorker>(nursery.error());
    const bool works = worker && *run_job(worker->socket.get(), {.inputs = "x"}) == "x";
    ::_exit(works ? 7 : 8);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST_F(WorkerNurseryTest, WhatAJobThrowsIsReportedWhateverItIs) {
  auto nursery = open([](const JobRequest&) -> std::string { throw 42; });
  ASSERT_TRUE(nursery) << describe(nursery.error());
  auto worker = nursery->bear();
  ASSERT_TRUE(worker);
  const auto answer = run_job(worker->socket.get(), {});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, SegmentErrc::job_failed);
  EXPECT_EQ(answer.error().message, "the job threw something that is no std::exception");
}

/// B2 leaves nothing behind that may be written to, and B3 no end of a socket that would keep somebody waiting: of its nursery's it
/// has none, of its own the one. The standard streams stay. And a job may have children.
TEST_F(WorkerNurseryTest, AWorkerKeepsOneEndOfOneSocketAndTheStandardStreams) {
  const int inherited = open_sockets();
  auto nursery = open([&](const JobRequest&) -> std::string {
    std::string seen = std::to_string(open_sockets() - inherited) + " socket";
    for (const int fd : {0, 1, 2}) seen += ::fcntl(fd, F_GETFD) >= 0 ? " open" : " closed";
    const pid_t child = ::fork();
    if (child == 0) ::_exit(3);
    int status = 0;
    return seen +
           (::waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3 ? ", a child" : ", no child");
  });
  ASSERT_TRUE(nursery) << describe(nursery.error());
  for (int i = 0; i < 2; ++i) {
    auto worker = nursery->bear();
    ASSERT_TRUE(worker) << describe(worker.error());
    EXPECT_EQ(*run_job(worker->socket.get(), {}), "1 socket open open open, a child") << i;
  }
}

/// What a worker's death leaves is the end of its file, at once: when main gets its end, the nursery has closed the other one.
TEST_F(WorkerNurseryTest, TheNurseryClosesAWorkersEndBeforeMainHasTheOther) {
  const int inherited = open_sockets();
  int sockets = 0;
  std::atomic<pid_t> nursery_pid{0};
  const auto look = [&](const Called& call) -> Result {
    if (call.thread != nursery_pid) return std::nullopt;
    EXPECT_EQ(call.at<msghdr>(call.arguments[1]).msg_iovlen, 1u);
    sockets = 0;
    for (const auto& fd : std::filesystem::directory_iterator("/proc/" + std::to_string(call.thread) + "/fd"))
      if (std::filesystem::read_symlink(fd).string().starts_with("socket:")) ++sockets;
    return std::nullopt;
  };
  where_answered({SYS_sendmsg}, look, [&] {
    auto nursery = open();
    ASSERT_TRUE(nursery) << describe(nursery.error());
    nursery_pid = nursery->pid();
    expect_alive(*nursery);
  });
  EXPECT_EQ(sockets, inherited + 2) << "its own, and the one that it gives to main";
}

/// A nursery whose main was gone before it could ask for the death signal, and one that cannot ask.
TEST_F(WorkerNurseryTest, ANurseryThatWouldOutliveItsMainIsNone) {
  const auto expect_none = [](const std::vector<long>& calls, const Answer& answer) {
    where_answered(calls, answer, [] {
      const auto nursery = open();
      ASSERT_FALSE(nursery);
      EXPECT_EQ(nursery.error().code, SegmentErrc::worker_died);
      EXPECT_EQ(nursery.error().message, "the nursery died at its start");
    });
  };
  expect_none({SYS_getppid}, [](const Called&) -> Result { return 1; });
  expect_none({SYS_prctl}, [](const Called& call) -> Result {
    if (call.arguments[0] == PR_SET_PDEATHSIG) return -EINVAL;
    return std::nullopt;
  });
}

TEST_F(WorkerNurseryTest, AWorkerThatWouldOutliveItsNurseryDoesNoJob) {
  int asked = 0;
  const auto answer = [&](const Called&) -> Result {
    if (++asked == 2) return 1;  // the nursery was the first
    return std::nullopt;
  };
  where_answered({SYS_getppid}, answer, [] {
    auto nursery = open();
    ASSERT_TRUE(nursery) << describe(nursery.error());
    auto worker = nursery->bear();
    ASSERT_TRUE(worker);
    EXPECT_EQ(run_job(worker->socket.get(), {}).error().code, SegmentErrc::worker_died);
    expect_alive(*nursery);
  });
}

TEST_F(WorkerNurseryTest, WithoutAProcessOrASocketThereIsNoNursery) {
  const auto expect_none = [](const Failing& call, SegmentErrc code, const std::string& message) {
    where({call}, [&] {
      const auto nursery = open();
      ASSERT_FALSE(nursery);
      EXPECT_EQ(nursery.error().code, code);
      EXPECT_EQ(nursery.error().system_error, call.error);
      EXPECT_EQ(nursery.error().message, message);
    });
    for (const int fd : {0, 1, 2}) EXPECT_GE(::fcntl(fd, F_GETFD), 0) << fd;
  };
  expect_none({SYS_socketpair, EMFILE}, SegmentErrc::descriptor_limit, "cannot make the nursery's socket");
  expect_none({SYS_clone, EAGAIN}, SegmentErrc::system, "cannot fork the nursery");
}

TEST_F(WorkerNurseryTest, ANurseryThatCannotForkSaysWhyAndLivesOn) {
  if (kThreadSanitizer)
    GTEST_SKIP() << "expected skip: ThreadSanitizer holds locks over a fork that the answer needs";
  std::atomic<pid_t> nursery_pid{0};
  int refused = 0;
  const auto answer = [&](const Called& call) -> Result {
    if (call.thread == nursery_pid && ++refused <= 2) return -EAGAIN;
    return std::nullopt;
  };
  where_answered({SYS_clone}, answer, [&] {
    auto nursery = open();
    ASSERT_TRUE(nursery) << describe(nursery.error());
    nursery_pid = nursery->pid();
    for (int i = 0; i < 2; ++i) {
      const auto worker = nursery->bear();
      ASSERT_FALSE(worker);
      EXPECT_EQ(worker.error().code, SegmentErrc::system);
      EXPECT_EQ(worker.error().system_error, EAGAIN);
      EXPECT_EQ(worker.error().message, "no worker came from the nursery");
    }
    expect_alive(*nursery);
  });
}

/// Whoever cannot say that it has failed ends, so that nobody waits for it: the nursery with a worker, a worker with its answer.
TEST_F(WorkerNurseryTest, WhoCannotAnswerEnds) {
  std::atomic<pid_t> mute{0};
  const auto answer = [&](const Called& call) -> Result {
    if (call.thread == mute) return -ENOBUFS;
    return std::nullopt;
  };
  where_answered({SYS_sendmsg}, answer, [&] {
    auto nursery = open();
    ASSERT_TRUE(nursery) << describe(nursery.error());
    mute = nursery->pid();
    EXPECT_EQ(nursery->bear().error().code, SegmentErrc::worker_died);
  });
  where_answered({SYS_sendto}, answer, [&] {
    auto nursery = open();
    ASSERT_TRUE(nursery) << describe(nursery.error());
    auto worker = nursery->bear();
    ASSERT_TRUE(worker);
    mute = worker->pid;
    const auto answered = run_job(worker->socket.get(), {});
    ASSERT_FALSE(answered);
    EXPECT_EQ(answered.error().message, "the worker died before it answered");
  });
}

TEST_F(WorkerNurseryTest, AnEndWhereAWorkerShouldComeIsTheNurserysEnd) {
  auto nursery = open();
  ASSERT_TRUE(nursery) << describe(nursery.error());
  where_answered(
      {SYS_recvmsg}, [](const Called&) -> Result { return 0; },
      [&] {
        errno = 0;
        const auto worker = nursery->bear();
        ASSERT_FALSE(worker);
        EXPECT_EQ(worker.error().code, SegmentErrc::worker_died);
        EXPECT_EQ(worker.error().system_error, ECHILD);
      });
}

TEST_F(WorkerNurseryTest, ADeadNurseryBearsNobody) {
  auto nursery = open();
  ASSERT_TRUE(nursery) << describe(nursery.error());
  ASSERT_EQ(::kill(nursery->pid(), SIGKILL), 0);
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(nursery->pid()), &info, WEXITED | WNOWAIT), 0);
  const auto worker = nursery->bear();
  ASSERT_FALSE(worker);
  EXPECT_EQ(worker.error().code, SegmentErrc::worker_died);
  EXPECT_EQ(worker.error().message, "the nursery is gone");
  EXPECT_EQ(worker.error().system_error, EPIPE);
}

/// F4: a birth takes its time, and forks of other threads must not wait for it: what is received under the guard's lock is there.
TEST_F(WorkerNurseryTest, ABirthIsAwaitedBeforeForksAreKeptOut) {
  auto nursery = open();
  ASSERT_TRUE(nursery) << describe(nursery.error());
  ASSERT_EQ(::kill(nursery->pid(), SIGSTOP), 0);
  std::thread wakes([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ::kill(nursery->pid(), SIGCONT);
  });
  bool there = false;
  const auto look = [&](const Called& call) -> Result {
    pollfd ready{static_cast<int>(call.arguments[0]), POLLIN, 0};
    there = ::poll(&ready, 1, 0) == 1;
    EXPECT_EQ(call.at<msghdr>(call.arguments[1]).msg_iovlen, 1u);
    return std::nullopt;
  };
  where_answered({SYS_recvmsg}, look, [&] { expect_alive(*nursery); });
  wakes.join();
  EXPECT_TRUE(there);
}

TEST_F(WorkerNurseryTest, OneBirthIsOverBeforeTheNextBegins) {
  auto nursery = open();
  ASSERT_TRUE(nursery) << describe(nursery.error());
  EXPECT_FALSE(comes_back_within(
      SYS_sendto, [&] { EXPECT_TRUE(nursery->bear()); }, [&] { EXPECT_TRUE(nursery->bear()); }));
}

TEST_F(WorkerNurseryTest, AWorkersDescriptorMayBeZero) {
  auto nursery = open();
  ASSERT_TRUE(nursery) << describe(nursery.error());
  const int standard_input = ::fcntl(0, F_DUPFD_CLOEXEC, 100);
  ASSERT_GE(standard_input, 0);
  ::close(0);
  errno = EIO;  // of an earlier call
  {
    auto worker = nursery->bear();
    ASSERT_TRUE(worker) << describe(worker.error());
    EXPECT_EQ(worker->socket.get(), 0);
    EXPECT_EQ(*run_job(0, {.inputs = "x"}), "x");
  }
  ASSERT_EQ(::dup2(standard_input, 0), 0);
  ::close(standard_input);
}

TEST_F(WorkerNurseryTest, AMainWithoutAFreeDescriptorIsToldSo) {
  auto nursery = open();
  ASSERT_TRUE(nursery) << describe(nursery.error());
  const int next = ::fcntl(0, F_DUPFD_CLOEXEC, 0);
  ::close(next);
  {
    const DescriptorLimit limit(static_cast<rlim_t>(next));
    const auto worker = nursery->bear();
    ASSERT_FALSE(worker);
    EXPECT_EQ(worker.error().code, SegmentErrc::descriptor_limit) << describe(worker.error());
    EXPECT_EQ(worker.error().system_error, EMFILE);
  }
  expect_alive(*nursery);
}

TEST_F(WorkerNurseryTest, AWorkerThatIsGoneNeverGotTheJob) {
  auto nursery = open();
  ASSERT_TRUE(nursery) << describe(nursery.error());
  auto worker = nursery->bear();
  ASSERT_TRUE(worker);
  ASSERT_EQ(::kill(worker->pid, SIGKILL), 0);
  while (::kill(worker->pid, 0) == 0) std::this_thread::yield();
  const auto answer = run_job(worker->socket.get(), {.inputs = "x"});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, SegmentErrc::worker_died);
  EXPECT_EQ(answer.error().message, "the worker died before it got the job");
  EXPECT_EQ(answer.error().system_error, EPIPE);
}

/// What the destructor of a nursery does, call by call; what `answer` is asked.
class NurserysEnd : public WorkerNurseryTest {
 protected:
  std::string calls_of_the_end(const Answer& answer = [](const Called&) -> Result { return std::nullopt; }) {
    std::string calls;
    const pid_t main = ::getpid();
    const auto note = [&](const Called& call) -> Result {
      if (call.call == SYS_exit_group) {
        ended_ += call.thread == nursery_pid_ && call.arguments[0] == 0 ? "orderly" : "otherwise";
        return std::nullopt;
      }
      const auto about = static_cast<pid_t>(call.arguments[0]);
      calls += call.call == SYS_kill ? "kill " : "wait ";
      calls += about == nursery_pid_ ? "" : "another ";
      EXPECT_EQ(::getpid(), main);
      return answer(call);
    };
    where_answered({SYS_kill, SYS_wait4, SYS_exit_group}, note, [&] {
      auto nursery = open();
      ASSERT_TRUE(nursery) << describe(nursery.error());
      nursery_pid_ = nursery->pid();
      const WorkerNursery moved(std::move(*nursery));
      errno = EINTR;  // of an earlier call
    });
    return calls;
  }

  void reap_it() const { EXPECT_EQ(::waitpid(nursery_pid_, nullptr, 0), nursery_pid_); }

  std::string ended_;
  std::atomic<pid_t> nursery_pid_{0};
};

TEST_F(NurserysEnd, ItIsKilledAndThenWaitedForOnce) {
  EXPECT_EQ(calls_of_the_end(), "kill wait ");
}

TEST_F(NurserysEnd, AWaitThatIsInterruptedIsWaitedAgain) {
  int waits = 0;
  EXPECT_EQ(calls_of_the_end([&](const Called& call) -> Result {
              if (call.call == SYS_wait4 && ++waits == 1) return -EINTR;
              return std::nullopt;
            }),
            "kill wait wait ");
}

/// A program that ignores SIGCHLD has no children to wait for.
TEST_F(NurserysEnd, WhatCannotBeWaitedForIsNotWaitedForForEver) {
  EXPECT_EQ(calls_of_the_end([&](const Called& call) -> Result {
              if (call.call == SYS_wait4) return -ECHILD;
              return std::nullopt;
            }),
            "kill wait ");
  reap_it();
}

/// B1: at the end of file it ends by itself, also where nothing kills it.
TEST_F(NurserysEnd, ItEndsWithItsSocketThoughNobodyKillsIt) {
  EXPECT_EQ(calls_of_the_end([&](const Called& call) -> Result {
              if (call.call == SYS_kill) return 0;
              return std::nullopt;
            }),
            "kill wait ");
  EXPECT_EQ(ended_, "orderly");
}

TEST_F(NurserysEnd, AWorkerEndsWithItsSocket) {
  std::string ended;
  std::atomic<pid_t> pid{0};
  const auto note = [&](const Called& call) -> Result {
    if (call.thread == pid) ended += call.arguments[0] == 0 ? "orderly" : "otherwise";
    return std::nullopt;
  };
  where_answered({SYS_exit_group}, note, [&] {
    auto nursery = open();
    ASSERT_TRUE(nursery) << describe(nursery.error());
    auto worker = nursery->bear();
    ASSERT_TRUE(worker);
    pid = worker->pid;
    EXPECT_EQ(*run_job(worker->socket.get(), {.inputs = "x"}), "x");
    worker->socket.close();
    while (::kill(pid, 0) == 0) std::this_thread::yield();
  });
  EXPECT_EQ(ended, "orderly");
}

/// A child's copy is nobody's parent.
TEST_F(NurserysEnd, TheEndOfAChildsCopyLeavesTheNurseryAlone) {
  auto nursery = open();
  ASSERT_TRUE(nursery) << describe(nursery.error());
  const pid_t child = ::fork();
  if (child == 0) {
    { const WorkerNursery copy(std::move(*nursery)); }
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  expect_alive(*nursery);
}

}  // namespace
}  // namespace touchstone::engine
