// The worker pool: acceptance C12, and what a worker may not do (C8).

#include "engine/segments/worker_pool.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "engine/segments/protections.h"
#include "engine/store.h"
#include "stress/chaos/child.h"
#include "stress/chaos/segment_test.h"
#include "stress/chaos/trespass.h"

namespace touchstone::chaos {
namespace {

using engine::bytes_of;
using engine::Job;
using engine::JobRequest;
using engine::WorkerPool;

class WorkerPoolTest : public ChaosTest {
 protected:
  WorkerPool open(const Job& job, unsigned workers, unsigned attempts = 1) const {
    auto pool =
        WorkerPool::open(job, {.workers = workers, .attempts = attempts, .output_directories = {output()}});
    if (!pool) throw std::runtime_error(why(pool));
    return std::move(*pool);
  }

  void SetUp() override {
    ChaosTest::SetUp();
    engine::become_main();
    ::mkdir(output().c_str(), 0700);
  }

  std::string output() const { return path("output"); }
};

std::string echo(const JobRequest& request) {
  return "did " + request.inputs;
}

TEST_F(WorkerPoolTest, AnswersEveryJobInAProcessOfItsOwn) {
  WorkerPool pool = open([](const JobRequest&) { return std::to_string(::getpid()); }, 2);
  const auto pid = pool.run({});
  ASSERT_TRUE(pid) << why(pid);
  EXPECT_NE(*pid, std::to_string(::getpid()));
  WorkerPool echoes = open(echo, 1);
  const std::string large(3'000'000, 'x');
  EXPECT_EQ(*echoes.run({.inputs = large, .segments = {}}), "did " + large);
  EXPECT_EQ(*echoes.run({.inputs = "", .segments = {}}), "did ");
}

TEST_F(WorkerPoolTest, ReportsWhatAJobThrows) {
  WorkerPool pool = open([](const JobRequest&) -> std::string { throw std::runtime_error("no frame"); }, 1);
  for (int i = 0; i < 2; ++i) {
    const auto answer = pool.run({});
    EXPECT_EQ(expect_refusal(answer, SegmentErrc::job_failed), "");
    EXPECT_EQ(answer.error().message, "no frame");
  }
}

TEST_F(WorkerPoolTest, ServesMoreThreadsThanItHasWorkers) {
  WorkerPool pool = open(echo, 2);
  std::vector<std::thread> callers;
  std::atomic<int> right{0};
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string input = std::to_string(t * 100 + i);
        const auto answer = pool.run({.inputs = input, .segments = {}});
        if (answer && *answer == "did " + input) ++right;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(right, 200);
}

/// The source's parallel process: declared inputs and a handle go out, writes come back, and main commits them.
TEST_F(WorkerPoolTest, MainCommitsWhatAWorkerReturns) {
  WorkerPool pool = open(
      [directory = directory()](const JobRequest& request) {
        const auto seen = Attachment::attach(request.segments.at(0), directory);
        if (!seen) throw std::runtime_error(why(seen));
        int sum = std::stoi(request.inputs);
        for (std::byte byte : seen->bytes()) sum += std::to_integer<int>(byte);
        return std::to_string(sum);
      },
      1);
  SegmentOwner owner = this->owner();
  const auto frame = owner.allocate("frame", 1000, [](std::span<std::byte> payload) {
    for (std::byte& byte : payload) byte = std::byte{2};
  });
  ASSERT_TRUE(frame) << why(frame);
  engine::Store<> store;
  auto worker = store.worker();
  store.compare_and_swap(0, engine::WriteSet{}.set("bias", 5), &worker);
  const auto process = store.process("sum", {.inputs = {"bias"}, .outputs = {"sum"}}, [&](auto& context) {
    const std::string bias = std::to_string(context.read("bias")->integer());
    const auto answer = pool.run({.inputs = bias, .segments = {*frame}});
    if (!answer) throw std::runtime_error(why(answer));
    context.set("sum", std::stoi(*answer));
  });
  EXPECT_TRUE(store.execute(worker, process).committed());
  EXPECT_EQ(store.read("sum")->integer(), 2005);
}

using AcceptanceC12 = WorkerPoolTest;

/// The job kills its own process: for the caller there is no difference.
std::string die_once(const JobRequest& request) {
  if (::access(request.inputs.c_str(), F_OK) != 0) {
    ::close(::open(request.inputs.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    ::raise(SIGKILL);
  }
  return "done";
}

TEST_F(AcceptanceC12, AWorkerKilledInTheMiddleIsATypedErrorAndThePoolRefills) {
  WorkerPool pool = open(
      [](const JobRequest& request) {
        if (request.inputs == "die") ::raise(SIGKILL);
        return request.inputs;
      },
      2);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(expect_refusal(pool.run({.inputs = "die", .segments = {}}), SegmentErrc::worker_died), "");
    EXPECT_EQ(pool.idle_workers().size(), 2u);
    EXPECT_EQ(*pool.run({.inputs = "work", .segments = {}}), "work");
  }
}

TEST_F(AcceptanceC12, AJobIsRunAgainWhenItMayBe) {
  WorkerPool pool = open(die_once, 1, 2);
  const auto answer = pool.run({.inputs = output() + "/mark", .segments = {}});
  ASSERT_TRUE(answer) << why(answer);
  EXPECT_EQ(*answer, "done");
  EXPECT_EQ(pool.idle_workers().size(), 1u);
}

TEST_F(AcceptanceC12, AJobIsBegunAsOftenAsItMayBeAndNotOnceMore) {
  for (const unsigned attempts : {1u, 3u}) {
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK), 0);
    {
      auto pool = WorkerPool::open(
          [&](const JobRequest&) -> std::string {
            EXPECT_EQ(::write(pipe[1], "b", 1), 1);
            ::raise(SIGKILL);
            return "";
          },
          {.workers = 1, .attempts = attempts, .output_directories = {}});
      ASSERT_TRUE(pool);
      EXPECT_EQ(pool->run({}).error().code, SegmentErrc::worker_died);
    }
    std::array<char, 16> begun{};
    EXPECT_EQ(::read(pipe[0], begun.data(), begun.size()), static_cast<ssize_t>(attempts));
    ::close(pipe[0]);
    ::close(pipe[1]);
  }
  WorkerPool::Options defaults;
  EXPECT_EQ(defaults.attempts, 1u);
}

TEST_F(AcceptanceC12, AJobThatKillsEveryWorkerEnds) {
  WorkerPool pool = open(
      [](const JobRequest&) -> std::string {
        ::raise(SIGKILL);
        return "";
      },
      2, 5);
  EXPECT_EQ(expect_refusal(pool.run({}), SegmentErrc::worker_died), "");
  EXPECT_EQ(pool.idle_workers().size(), 2u);
}

/// A worker that dies while nobody uses it costs no job anything: none was begun.
TEST_F(AcceptanceC12, AWorkerKilledBetweenJobsCostsNobodyAnything) {
  WorkerPool pool = open(echo, 2);
  for (pid_t worker : pool.idle_workers()) {
    ::kill(worker, SIGKILL);
    while (::kill(worker, 0) == 0) std::this_thread::yield();
  }
  EXPECT_EQ(*pool.run({.inputs = "a job", .segments = {}}), "did a job");
}

TEST_F(AcceptanceC12, AKilledNurseryIsATypedErrorAndNoHang) {
  WorkerPool pool = open([](const JobRequest&) { return std::to_string(::getppid()); }, 1);
  const auto nursery = pool.run({});
  ASSERT_TRUE(nursery);
  ::kill(std::stoi(*nursery), SIGKILL);
  while (pool.run({})) {
    // The kernel takes a moment to carry the death from the nursery to the worker.
  }
  EXPECT_EQ(expect_refusal(pool.run({}), SegmentErrc::worker_died), "");
}

/// The nursery inherits the limit, so that it cannot make the socket of a second worker.
TEST_F(AcceptanceC12, ANurseryThatCannotBearSaysWhy) {
  const std::string report = report_of_child([&]() -> std::string {
    engine::become_main();
    const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::close(next);
    const rlimit few{static_cast<rlim_t>(next + 2), static_cast<rlim_t>(next + 2)};
    if (::setrlimit(RLIMIT_NOFILE, &few) != 0) return "setrlimit";
    return expect_refusal(WorkerPool::open(echo, {.workers = 1}), SegmentErrc::descriptor_limit);
  });
  EXPECT_EQ(report, "");
}

TEST_F(AcceptanceC12, AChildOfMainMayNotUseThePool) {
  WorkerPool pool = open(echo, 1);
  EXPECT_EQ(report_of_child([&] { return expect_refusal(pool.run({}), SegmentErrc::worker_role); }), "");
  EXPECT_EQ(*pool.run({.inputs = "still there", .segments = {}}), "did still there");
}

class AcceptanceC8Landlock : public WorkerPoolTest {};

/// As root: no mode stops it, only the kernel's sandbox does. Every attempt is made in a worker, by name.
TEST_F(AcceptanceC8Landlock, AWorkerCanWriteNowhereButWhereItIsToldTo) {
  if (engine::landlock_abi() == 0) GTEST_SKIP() << "expected skip: this kernel has no Landlock";
  WorkerPool pool =
      open([output = output(), options = options()](
               const JobRequest& request) { return write_everywhere(request, options, output); },
           1);
  SegmentOwner owner = this->owner();
  const auto handle = owner.allocate("frame", bytes_of("x"));
  ASSERT_TRUE(handle);
  const auto wrong = pool.run({.inputs = "", .segments = {*handle}});
  ASSERT_TRUE(wrong) << why(wrong);
  EXPECT_EQ(*wrong, "");
  EXPECT_EQ(why(owner.audit()), "");
}

/// Apart from the rest, because Landlock learned it later: Linux 6.2, ABI 3.
TEST_F(AcceptanceC8Landlock, AWorkerCannotTruncate) {
  if (engine::landlock_abi() < 3)
    GTEST_SKIP() << "expected skip: this kernel's Landlock does not cover truncation";
  WorkerPool pool = open(
      [directory = directory()](const JobRequest& request) -> std::string {
        const std::string file = directory + "/" + std::string(request.segments.at(0).name());
        return ::truncate(file.c_str(), 0) == -1 && errno == EACCES ? "refused" : "truncated";
      },
      1);
  SegmentOwner owner = this->owner();
  const auto handle = owner.allocate("frame", bytes_of("x"));
  ASSERT_TRUE(handle);
  const auto answer = pool.run({.inputs = "", .segments = {*handle}});
  ASSERT_TRUE(answer) << why(answer);
  EXPECT_EQ(*answer, "refused");
  EXPECT_EQ(why(owner.audit()), "");
}

/// The owner is open when the pool is: every worker has a copy of it, and may do nothing with it.
TEST_F(AcceptanceC12, AWorkersCopyOfTheOwnerAllocatesReplacesAndUnlinksNothing) {
  SegmentOwner owner = this->owner();
  const auto handle = owner.allocate("frame", bytes_of("x"));
  ASSERT_TRUE(handle) << why(handle);
  WorkerPool pool = open(
      [&](const JobRequest&) {
        return expect_refusal(owner.allocate("mine", bytes_of("x")), SegmentErrc::worker_role) +
               expect_refusal(owner.replace("frame", bytes_of("x")), SegmentErrc::worker_role) +
               expect_refusal(owner.free("frame"), SegmentErrc::not_creator) +
               expect_refusal(owner.free(*handle), SegmentErrc::not_creator) + why(owner.shutdown());
      },
      1);
  const auto wrong = pool.run({});
  ASSERT_TRUE(wrong) << why(wrong);
  EXPECT_EQ(*wrong, "");
  EXPECT_EQ(names().size(), 2u);
  EXPECT_EQ(why(owner.audit()), "");
}

/// What run_job sends, counted at the other end of the socket.
std::size_t bytes_of_a_job(const JobRequest& request) {
  std::array<int, 2> pair{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) return 0;
  std::thread caller([&] { (void)engine::run_job(pair[0], request); });
  std::size_t received = 0;
  std::uint64_t length = 0;
  std::array<char, 4096> buffer{};
  while (received < sizeof length || received < sizeof length + length) {
    const ssize_t got = ::recv(pair[1], buffer.data(), buffer.size(), 0);
    if (got <= 0) break;
    if (received == 0) std::memcpy(&length, buffer.data(), sizeof length);
    received += static_cast<std::size_t>(got);
  }
  ::close(pair[1]);  // no answer: the caller is told that its worker died
  caller.join();
  ::close(pair[0]);
  return received;
}

/// The longest name there can be, and segments of any size: what goes to the worker stays below 1 KiB.
TEST_F(AcceptanceC12, AJobStaysBelowOneKibibyteWhateverTheSizeOfItsSegment) {
  SegmentOwner owner = this->owner();
  const std::size_t room = 255 - engine::encode_name(session(), ::getpid(), "k")->size() + 1;
  const auto fill_none = [](std::span<std::byte>) {};
  std::vector<std::size_t> bytes;
  for (const std::size_t size : {0u, 4u << 10, 64u << 20}) {
    const auto handle = owner.allocate(std::string(room, 'k'), size, fill_none);
    ASSERT_TRUE(handle) << why(handle);
    bytes.push_back(bytes_of_a_job({.inputs = "sum", .segments = {*handle}}));
    EXPECT_EQ(why(owner.free(*handle)), "");
  }
  EXPECT_GT(bytes.front(), 255u);
  EXPECT_LT(bytes.front(), 1024u);
  EXPECT_EQ(bytes, std::vector<std::size_t>(bytes.size(), bytes.front())) << "it depends on the size";
}

TEST_F(AcceptanceC8Landlock, AnOutputDirectoryThatIsNotThereIsNamed) {
  if (engine::landlock_abi() == 0) GTEST_SKIP() << "expected skip: this kernel has no Landlock";
  const auto pool = WorkerPool::open(echo, {.workers = 1, .output_directories = {directory() + "/missing"}});
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().code, SegmentErrc::bad_directory);
  EXPECT_NE(pool.error().message.find("/missing"), std::string::npos);
}

}  // namespace
}  // namespace touchstone::chaos
