// Kills around the worker pool: main, the nursery and a worker, each at every system call of what it does (C12).

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "engine/segments/worker_pool.h"
#include "stress/chaos/child.h"
#include "stress/chaos/crash_points.h"
#include "stress/chaos/segment_test.h"

namespace touchstone::chaos {
namespace {

using engine::Job;
using engine::JobRequest;
using engine::WorkerPool;
using Answer = engine::SegmentResult<std::string>;

class AcceptanceC12 : public ChaosTest {
 protected:
  void SetUp() override {
    ChaosTest::SetUp();
    if (const std::string skip = why_no_ptrace(); !skip.empty()) GTEST_SKIP() << "expected skip: " << skip;
    engine::become_main();
  }

  static WorkerPool open(const Job& job, unsigned workers, unsigned attempts = 1) {
    auto pool = WorkerPool::open(job, {.workers = workers, .attempts = attempts});
    if (!pool) throw std::runtime_error(why(pool));
    return std::move(*pool);
  }

  const Subreaper subreaper_;
};

/// Says who bore the worker, after a system call of its own.
std::string parent_of(const JobRequest& request) {
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const std::string parent = std::to_string(::getppid());
  ::close(fd);
  return request.inputs + parent;
}

/// Steps `tracee` until its `point`-th stop. False when it comes back to its receiving, having sent, before that.
bool step_to(Tracee& tracee, unsigned point) {
  bool sent = false;
  for (unsigned stops = 0; stops < point; ++stops) {
    if (!tracee.step()) return true;  // it is dead already
    const SystemCall at = tracee.call();
    if (!at.entering) continue;
    if (at.number == SYS_recvfrom && sent) return false;
    sent = sent || at.number == SYS_sendto || at.number == SYS_sendmsg;
  }
  return true;
}

/// Calls pool.run in a thread, because a traced process stops only for the thread that traces it.
class Caller {
 public:
  explicit Caller(WorkerPool& pool) : thread_([this, &pool] { answer_ = pool.run({.inputs = "by "}); }) {}
  const Answer& join() {
    thread_.join();
    return *answer_;
  }

 private:
  std::optional<Answer> answer_;
  std::thread thread_;
};

TEST_F(AcceptanceC12, KillingMainLeavesNoWorker) {
  Gate busy;
  Child main = Child::start([&]() -> std::string {
    engine::become_main();
    WorkerPool pool = open(
        [&](const JobRequest&) -> std::string {
          busy.open();
          wait_for_ever();
        },
        3);
    return why(pool.run({}));
  });
  ASSERT_TRUE(busy.wait());
  main.kill();
  Subreaper::wait_until_all_are_gone();
}

/// The end of the file alone ends a worker, too: here it has given up its death signal, and waits for a job when main is
/// killed. A worker that kept main's end of its own socket would wait for ever.
TEST_F(AcceptanceC12, AWorkerWithoutItsDeathSignalEndsWithTheFile) {
  Gate idle;
  Child main = Child::start([&]() -> std::string {
    engine::become_main();
    WorkerPool pool = open([](const JobRequest&) { return std::to_string(::prctl(PR_SET_PDEATHSIG, 0)); }, 1);
    const Answer answer = pool.run({});
    if (!answer || *answer != "0") return "the worker kept its death signal";
    idle.open();
    wait_for_ever();
  });
  ASSERT_TRUE(idle.wait());
  main.kill();
  Subreaper::wait_until_all_are_gone();
}

/// A parent that dies before its child has asked for the death signal sends none: the child must look. The newborn is held at
/// its first instruction, its nursery hands it to main and is killed, and only then the newborn goes on.
TEST_F(AcceptanceC12, AWorkerBornAfterItsNurserysDeathDoesNoJob) {
  std::optional<WorkerPool> pool(open(parent_of, 1));
  const pid_t nursery_pid = std::stoi(*pool->run({}));
  Tracee nursery = Tracee::attach(nursery_pid);
  ASSERT_EQ(::ptrace(PTRACE_SETOPTIONS, nursery_pid, nullptr,
                     PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE),
            0);
  Tracee::attach(pool->idle_workers().at(0)).kill();
  Caller caller(*pool);
  while (nursery.step() && !(nursery.call().entering && nursery.call().number == SYS_sendmsg)) {
    // It answers the request for a worker: socketpair, clone, close.
  }
  ASSERT_TRUE(nursery.step()) << "the worker is main's";
  nursery.kill();
  int status = 0;
  const pid_t newborn = ::waitpid(-1, &status, __WALL);
  ASSERT_GT(newborn, 0);
  ASSERT_TRUE(WIFSTOPPED(status)) << "it ran before it was let go";
  ASSERT_EQ(::ptrace(PTRACE_DETACH, newborn, nullptr, nullptr), 0);
  EXPECT_EQ(expect_refusal(caller.join(), SegmentErrc::worker_died), "");
  pool.reset();
  Subreaper::wait_until_all_are_gone();
}

/// kill -9 of main at every system call of opening a pool and running a job in it.
TEST_F(AcceptanceC12, KillOfMainAtEverySystemCallOfThePoolLeavesNoWorker) {
  CrashPoints points;
  const auto start_and_run = [&] {
    engine::become_main();
    WorkerPool pool = open(parent_of, 2);
    return pool.run({.inputs = "by "}) ? 0 : 1;
  };
  points.enumerate({.act = start_and_run}, [] { Subreaper::wait_until_all_are_gone(); });
  points.print();
}

/// A worker is killed at every system call of a job: from the receiving of its request to the sending of its answer.
/// The caller has the whole answer or worker_died, and a second attempt has the answer always; the pool is full again
/// before the next job. A hang would end in the watchdog.
TEST_F(AcceptanceC12, KillOfAWorkerAtEverySystemCallOfAJobLosesNoJob) {
  for (const unsigned attempts : {1u, 2u}) {
    WorkerPool pool = open(parent_of, 1, attempts);
    const std::string right = *pool.run({.inputs = "by "});
    unsigned kills = 0;
    for (bool reached = true; reached && !HasFailure();) {
      const Answer before =
          pool.run({.inputs = "by "});  // also in place of a worker that died just after its answer
      ASSERT_TRUE(before) << why(before);
      EXPECT_EQ(*before, right);
      Tracee worker = Tracee::attach(pool.idle_workers().at(0));
      Caller caller(pool);
      reached = step_to(worker, kills + 1);
      const std::string where = reached ? worker.where() : "nowhere";
      if (reached) {
        worker.kill();
        ++kills;
      } else {
        worker.release();
      }
      const Answer& answer = caller.join();
      SCOPED_TRACE("killed at stop " + std::to_string(kills) + ", " + where);
      if (answer) {
        EXPECT_EQ(*answer, right);
      } else {
        EXPECT_EQ(expect_refusal(answer, SegmentErrc::worker_died), "");
        EXPECT_EQ(attempts, 1u) << "the job was lost, though it could have been run again";
      }
      EXPECT_EQ(pool.idle_workers().size(), 1u);
    }
    std::printf("%u kills of a worker, %u attempts\n", kills, attempts);
    EXPECT_GT(kills, 10u);
  }
  Subreaper::wait_until_all_are_gone();
}

/// The nursery is killed at every system call of bearing a worker in place of a dead one. Whoever waits for that worker
/// gets it or worker_died, and no process is left.
TEST_F(AcceptanceC12, KillOfTheNurseryAtEverySystemCallOfABirthIsATypedError) {
  unsigned kills = 0;
  for (bool reached = true; reached && !HasFailure();) {
    {
      WorkerPool pool = open(parent_of, 1, 2);
      const pid_t nursery_pid = std::stoi(pool.run({})->c_str());
      Tracee nursery = Tracee::attach(nursery_pid);
      Tracee::attach(pool.idle_workers().at(0)).kill();
      Caller caller(pool);
      reached = step_to(nursery, kills + 1);
      const std::string where = reached ? nursery.where() : "nowhere";
      if (reached) {
        nursery.kill();
        ++kills;
      } else {
        nursery.release();
      }
      const Answer& answer = caller.join();
      SCOPED_TRACE("killed at stop " + std::to_string(kills) + ", " + where);
      if (answer) {
        EXPECT_EQ(*answer, "by " + std::to_string(nursery_pid));
      } else {
        EXPECT_EQ(expect_refusal(answer, SegmentErrc::worker_died), "");
      }
      EXPECT_TRUE(answer || reached) << "nobody killed it";
    }
    Subreaper::wait_until_all_are_gone();
  }
  std::printf("%u kills of a nursery\n", kills);
  EXPECT_GT(kills, 5u);
}

}  // namespace
}  // namespace touchstone::chaos
