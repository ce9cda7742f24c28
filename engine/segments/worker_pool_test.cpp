// The pool's own accounts: who waits for whom, which worker is used again, and what it says when the nursery cannot bear. What a job in
// a real worker can do and what a kill costs is in stress/chaos.

#include "engine/segments/worker_pool.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/segments/test_descriptor_limit.h"
#include "engine/segments/test_directory.h"
#include "engine/segments/test_kernel.h"

namespace touchstone::engine {
namespace {

using std::chrono::milliseconds;

/// "pid": the worker's. "nursery": its parent's. "throw", "die": that. "wait": until a byte comes, then the pid. "wait-die": then death.
class WorkerPoolAccounts : public SegmentTest {
 protected:
  WorkerPoolAccounts() {
    become_main();
    EXPECT_EQ(::pipe2(gate_.data(), O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(begun_.data(), O_CLOEXEC), 0);
  }
  ~WorkerPoolAccounts() override {
    for (const int fd : {gate_[0], gate_[1], begun_[0], begun_[1]}) ::close(fd);
  }

  SegmentResult<WorkerPool> open(unsigned workers, unsigned attempts = 1) {
    return WorkerPool::open([this](const JobRequest& request) { return work(request.inputs); },
                            {.workers = workers, .attempts = attempts});
  }

  std::string work(const std::string& what) {
    if (::write(begun_[1], "b", 1) != 1) return "cannot say that it has begun";
    char byte = 0;
    if (what.starts_with("wait") && ::read(gate_[0], &byte, 1) != 1) return "cannot wait";
    if (what == "throw") throw std::runtime_error("thrown");
    if (what.ends_with("die")) ::raise(SIGKILL);
    return std::to_string(what == "nursery" ? ::getppid() : ::getpid());
  }

  static SegmentResult<std::string> run(WorkerPool& pool, const std::string& what) {
    return pool.run({.inputs = what});
  }

  void await_begin() {
    char byte = 0;
    EXPECT_EQ(::read(begun_[0], &byte, 1), 1);
  }

  void open_gate() { EXPECT_EQ(::write(gate_[1], "g", 1), 1); }

  /// How many jobs have been begun since it was asked.
  long begun() {
    ::fcntl(begun_[0], F_SETFL, O_NONBLOCK);
    std::array<char, 64> bytes{};
    const long count = ::read(begun_[0], bytes.data(), bytes.size());
    ::fcntl(begun_[0], F_SETFL, 0);
    return count < 0 ? 0 : count;
  }

  /// While it lives the nursery has no descriptors left.
  class Barren : public DescriptorLimit {
   public:
    explicit Barren(WorkerPool& pool) : DescriptorLimit(0, std::stoi(*run(pool, "nursery"))) {}
  };

 private:
  std::array<int, 2> gate_{}, begun_{};
};

TEST_F(WorkerPoolAccounts, WhoeverFindsNobodyIdleWaitsForWhoeverIsAtWork) {
  auto pool = open(1);
  ASSERT_TRUE(pool) << describe(pool.error());
  std::string first, second;
  std::thread one([&] { first = *run(*pool, "wait"); });
  await_begin();
  std::thread other([&] { second = *run(*pool, "pid"); });
  std::this_thread::sleep_for(milliseconds(20));  // what it does without waiting it does now
  open_gate();
  one.join();
  other.join();
  EXPECT_EQ(first, second) << "there is one worker, and no other was born";
  EXPECT_EQ(pool->idle_workers(), std::vector<pid_t>{std::stoi(first)});
}

TEST_F(WorkerPoolAccounts, AJobThatThrowsCostsNoWorkerAndNoSecondRun) {
  auto pool = open(1, 3);
  ASSERT_TRUE(pool) << describe(pool.error());
  const auto workers = pool->idle_workers();
  EXPECT_EQ(run(*pool, "throw").error().code, SegmentErrc::job_failed);
  EXPECT_EQ(begun(), 1);
  EXPECT_EQ(pool->idle_workers(), workers);
}

/// The job was begun once, and could be again: but of why its worker was not replaced the caller is told at once. The others go on.
TEST_F(WorkerPoolAccounts, APoolThatCannotBeRefilledSaysWhyAndKeepsTheOthers) {
  auto pool = open(2, 3);
  ASSERT_TRUE(pool) << describe(pool.error());
  {
    const Barren barren(*pool);
    begun();
    EXPECT_EQ(run(*pool, "die").error().code, SegmentErrc::descriptor_limit);
    EXPECT_EQ(begun(), 1);
    EXPECT_EQ(pool->idle_workers().size(), 1u);
    EXPECT_TRUE(run(*pool, "pid"));
  }
}

TEST_F(WorkerPoolAccounts, APoolThatHasLostEverybodyBearsAgainAsSoonAsItCan) {
  auto pool = open(1);
  ASSERT_TRUE(pool) << describe(pool.error());
  {
    const Barren barren(*pool);
    EXPECT_EQ(run(*pool, "die").error().code, SegmentErrc::worker_died) << "its one attempt";
    EXPECT_TRUE(pool->idle_workers().empty());
    EXPECT_EQ(run(*pool, "pid").error().code, SegmentErrc::descriptor_limit);
  }
  const auto answer = run(*pool, "pid");
  ASSERT_TRUE(answer) << describe(answer.error());
  EXPECT_EQ(pool->idle_workers(), std::vector<pid_t>{std::stoi(*answer)});
}

/// Q1: never a wait without end. The one who waits for the last worker is told when it is gone for good.
TEST_F(WorkerPoolAccounts, WhoeverWaitsForTheLastWorkerIsToldOfItsDeath) {
  auto pool = open(1);
  ASSERT_TRUE(pool) << describe(pool.error());
  const Barren barren(*pool);
  begun();
  std::thread one([&] { EXPECT_EQ(run(*pool, "wait-die").error().code, SegmentErrc::worker_died); });
  await_begin();
  std::thread other([&] { EXPECT_EQ(run(*pool, "pid").error().code, SegmentErrc::descriptor_limit); });
  std::this_thread::sleep_for(milliseconds(20));  // so that it waits
  open_gate();
  one.join();
  other.join();
}

TEST_F(WorkerPoolAccounts, APoolThatCannotBeFilledIsNotOpened) {
  int pairs = 0;
  const auto answer = [&](const Called&) -> std::optional<std::int64_t> {
    if (++pairs == 3) return -EMFILE;  // the nursery's and the first worker's are there
    return std::nullopt;
  };
  where_answered({SYS_socketpair}, answer, [&] {
    const auto pool = open(2);
    ASSERT_FALSE(pool);
    EXPECT_EQ(pool.error().code, SegmentErrc::descriptor_limit);
  });
  EXPECT_EQ(pairs, 3);
}

/// Where a process has as many descriptors as it may have, the dead worker's is the one for the next.
TEST_F(WorkerPoolAccounts, ADeadWorkersDescriptorIsFreeForTheNextOne) {
  auto pool = open(1);
  ASSERT_TRUE(pool) << describe(pool.error());
  std::vector<Descriptor> others;
  const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  others.emplace_back(next);
  std::optional<DescriptorLimit> limit(std::in_place, static_cast<rlim_t>(next) + 1);
  while (true) {  // whatever is free below
    others.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!others.back().is_open()) break;
  }
  const auto died = run(*pool, "die");
  const auto idle = pool->idle_workers();
  const auto alive = run(*pool, "pid");
  limit.reset();
  EXPECT_EQ(died.error().code, SegmentErrc::worker_died);
  EXPECT_EQ(idle.size(), 1u) << "born before the job's end was told";
  EXPECT_TRUE(alive) << describe(alive.error());
}

}  // namespace
}  // namespace touchstone::engine
