// What owners, reapers, nurseries and pools say when a call that they make fails, and that it costs nothing but what was asked for: the
// calls of one thread fail by a seccomp filter (test_kernel.h).

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/landlock.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/segments/reaper.h"
#include "engine/segments/test_directory.h"
#include "engine/segments/test_kernel.h"
#include "engine/segments/unpublished.h"
#include "engine/segments/worker_pool.h"
#include "engine/segments/worker_sandbox.h"

namespace touchstone::engine {
namespace {

template <class T>
void expect_failure(const SegmentResult<T>& result, SegmentErrc code, int cause, const std::string& message) {
  ASSERT_FALSE(result) << message;
  EXPECT_EQ(result.error().code, code);
  EXPECT_EQ(result.error().system_error, cause);
  EXPECT_EQ(result.error().message, message);
}

class FailedOwners : public SegmentTest {
 protected:
  void TearDown() override {
    become_main();
    SegmentTest::TearDown();
  }

  std::string name(const std::string& key) const { return *encode_name(session(), ::getpid(), key); }

  /// What is left when a shutdown could not remove it, which the next reaper would take.
  void expect_left_and_reap(const std::vector<std::string>& left) const {
    EXPECT_EQ(names(), left);
    EXPECT_EQ(reap({.directory = directory()}).count(ReapVerdict::removed), 1u);
  }
};

TEST_F(FailedOwners, AGenerationThatCannotTakeTheNameLeavesTheOneBefore) {
  auto mine = owner();
  EXPECT_EQ(mine.directory(), directory());
  const auto before = mine.allocate("a", bytes_of("before"));
  ASSERT_TRUE(before);
  where({{SYS_renameat, EIO}, {SYS_renameat2, EIO}}, [&] {
    expect_failure(mine.replace("a", bytes_of("after")), SegmentErrc::system, EIO,
                   "cannot replace \"" + name("a") + "\"");
  });
  EXPECT_EQ(names(), (std::vector{name("a"), control_name(session(), ::getpid())}))
      << "its temporary name is left";
  EXPECT_EQ(text_of(Attachment::attach(name("a"), directory())->bytes()), "before");
  EXPECT_TRUE(mine.free(*before)) << "the handle is still of what is there";
}

TEST_F(FailedOwners, AShutdownTellsTheFirstNameThatStays) {
  auto mine = owner();
  ASSERT_TRUE(mine.allocate("a", bytes_of("x")));
  ASSERT_TRUE(mine.allocate("b", bytes_of("y")));
  where({{SYS_unlinkat, EIO}}, [&] {
    expect_failure(mine.shutdown(), SegmentErrc::system, EIO, "cannot unlink \"" + name("a") + "\"");
  });
  EXPECT_TRUE(mine.shutdown()) << "it is over";
  expect_left_and_reap({name("a"), name("b"), control_name(session(), ::getpid())});
}

TEST_F(FailedOwners, AShutdownTellsThatItsLockStays) {
  auto mine = owner();
  ASSERT_TRUE(mine.allocate("a", bytes_of("x")));
  int removed = 0;
  where_answered(
      {SYS_unlinkat},
      [&](const Called&) { return ++removed == 1 ? std::nullopt : std::optional<std::int64_t>(-EIO); },
      [&] { expect_failure(mine.shutdown(), SegmentErrc::system, EIO, "cannot unlink the owner lock"); });
  EXPECT_EQ(removed, 2);
  expect_left_and_reap({control_name(session(), ::getpid())});
}

TEST_F(FailedOwners, AHandleOfNothingIsNoSegment) {
  auto mine = owner();
  expect_failure(mine.free(SegmentHandle()), SegmentErrc::bad_name, 0, "\"\" is not a segment's name");
}

TEST_F(FailedOwners, ASegmentThatCannotBeMappedOrSealedIsNone) {
  auto mine = owner();
  const auto fill = [](std::span<std::byte>) {};
  where({{SYS_mmap, ENOMEM, 3, MAP_SHARED, MAP_SHARED}}, [&] {
    expect_failure(mine.allocate("a", 8, fill), SegmentErrc::no_space, ENOMEM,
                   "cannot map " + std::to_string(sizeof(SegmentHeader) + 8) + " bytes");
  });
  where({{SYS_fchmod, EPERM}}, [&] {
    const std::string message = "cannot make the segment read-only";
    expect_failure(mine.allocate("a", 8, fill), SegmentErrc::system, EPERM, message);
    expect_failure(mine.allocate("a", bytes_of("x")), SegmentErrc::system, EPERM, message);
  });
  EXPECT_EQ(names(), std::vector{control_name(session(), ::getpid())});
}

/// The child did not inherit the memory that it would seal, and publishes nothing.
TEST_F(FailedOwners, AChildThatIsBornInAFillHasNoSegment) {
  auto mine = owner();
  pid_t child = -1;
  const auto made = mine.allocate("a", 8, [&](std::span<std::byte>) { child = ::fork(); });
  if (child == 0) ::_exit(!made && made.error().code == SegmentErrc::worker_role ? 0 : 1);
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(made);
}

TEST_F(FailedOwners, AReaperThatCannotListSaysSo) {
  where({{SYS_getdents64, EIO}}, [&] {
    const ReapReport report = reap({.directory = directory()});
    ASSERT_TRUE(report.error);
    EXPECT_EQ(report.error->system_error, EIO);
    EXPECT_TRUE(report.groups.empty());
  });
}

/// P1 needs the second list: what was listed before the lock was taken may have changed.
TEST_F(FailedOwners, AReaperThatCannotListAgainUnderTheLockRemovesNothing) {
  put(name("a"));
  int asked = 0;
  where_answered(
      {SYS_getdents64},
      [&](const Called&) { return ++asked <= 2 ? std::nullopt : std::optional<std::int64_t>(-EIO); },
      [&] {
        const ReapReport report = reap({.directory = directory()});
        ASSERT_EQ(report.groups.size(), 1u);
        EXPECT_EQ(report.groups[0].verdict, ReapVerdict::failed);
        EXPECT_NE(report.groups[0].why.find("cannot list the directory"), std::string::npos)
            << report.groups[0].why;
        EXPECT_EQ(report.removed_names, 0u);
      });
  EXPECT_TRUE(exists(name("a")));
  reap({.directory = directory()});
}

TEST_F(FailedOwners, AReaperThatCannotLockLeavesTheGroupAsFailed) {
  put(name("a"));
  where({{SYS_flock, ENOLCK}}, [&] {
    const ReapReport report = reap({.directory = directory()});
    ASSERT_EQ(report.groups.size(), 1u);
    EXPECT_EQ(report.groups[0].verdict, ReapVerdict::failed);
    EXPECT_NE(report.groups[0].why.find("cannot lock"), std::string::npos) << report.groups[0].why;
  });
  EXPECT_TRUE(exists(name("a")));
  reap({.directory = directory()});
}

TEST_F(FailedOwners, AReapersListTellsWhatIsNobodysSegment) {
  put(name("a"));
  ASSERT_EQ(::mkdir(path(name("b")).c_str(), 0700), 0);
  const ReapReport report = reap({.directory = directory(), .dry_run = true, .list_segments = true});
  ASSERT_EQ(report.groups.size(), 1u);
  ASSERT_EQ(report.groups[0].segments.size(), 2u);
  for (const ReapedSegment& segment : report.groups[0].segments) {
    const bool directory = segment.encoded_key == "b";
    EXPECT_EQ(segment.verdict, directory ? ReapVerdict::foreign : ReapVerdict::would_remove);
    EXPECT_EQ(segment.why, directory ? "not a regular file of this user" : "orphan");
  }
  remove(name("b"));
  reap({.directory = directory()});
}

TEST_F(FailedOwners, ASessionIsWholeThoughItsDrawIsInterrupted) {
  int draws = 0;
  where_answered(
      {SYS_getrandom},
      [&](const Called&) { return ++draws == 1 ? std::optional<std::int64_t>(-EINTR) : std::nullopt; },
      [] {
        const std::string session = random_session();
        EXPECT_EQ(session.size(), 32u);
        EXPECT_NE(session, std::string(32, '0'));
      });
  EXPECT_EQ(draws, 2);
}

WorkerNursery nursery(const Job& job) {
  auto opened = WorkerNursery::open(job, {});
  if (!opened) ADD_FAILURE() << describe(opened.error());
  return std::move(*opened);
}

std::string echo(const JobRequest& request) {
  return request.inputs;
}

TEST_F(FailedOwners, AJobMayThrowWhatIsNoException) {
  auto born = nursery([](const JobRequest&) -> std::string { throw 3; });
  const auto worker = born.bear();
  ASSERT_TRUE(worker);
  expect_failure(run_job(worker->socket.get(), {}), SegmentErrc::job_failed, 0,
                 "the job threw something that is no std::exception");
}

TEST_F(FailedOwners, AWorkerBearsNoWorkers) {
  become_worker();
  expect_failure(WorkerNursery::open(echo, {}), SegmentErrc::worker_role, 0,
                 "a worker process may not bear workers");
}

TEST_F(FailedOwners, ANurseryIsWaitedForThoughSignalsInterrupt) {
  std::optional<WorkerNursery> born = nursery(echo);
  int waits = 0;
  where_answered(
      {SYS_wait4},
      [&](const Called&) { return ++waits == 1 ? std::optional<std::int64_t>(-EINTR) : std::nullopt; },
      [&] { born.reset(); });
  EXPECT_EQ(waits, 2);
}

/// The last worker died and no other could be born: the next job is not the victim of that.
TEST_F(FailedOwners, APoolThatHasLostItsLastWorkerGetsOneWhenItCan) {
  auto pool = WorkerPool::open(
      [](const JobRequest& request) {
        if (request.inputs == "die") ::raise(SIGKILL);
        return std::to_string(::getppid());
      },
      {.workers = 1});
  ASSERT_TRUE(pool) << describe(pool.error());
  const pid_t bearer = std::stoi(*pool->run({}));
  rlimit before{};
  ASSERT_EQ(::prlimit(bearer, RLIMIT_NOFILE, nullptr, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(::prlimit(bearer, RLIMIT_NOFILE, &none, nullptr), 0);
  EXPECT_FALSE(pool->run({.inputs = "die"}));
  const auto none_left = pool->run({});
  ASSERT_FALSE(none_left);
  EXPECT_EQ(none_left.error().code, SegmentErrc::descriptor_limit);
  ASSERT_EQ(::prlimit(bearer, RLIMIT_NOFILE, &before, nullptr), 0);
  EXPECT_EQ(*pool->run({}), std::to_string(bearer));
}

TEST_F(FailedOwners, ARuleThatLandlockDoesNotTakeOpensNothing) {
  where_answered(
      {SYS_landlock_create_ruleset, SYS_landlock_add_rule, SYS_landlock_restrict_self},
      [](const Called& call) -> std::optional<std::int64_t> {
        if (call.call == SYS_landlock_add_rule) return -EIO;
        EXPECT_EQ(call.call, SYS_landlock_create_ruleset) << "it was enforced";
        if (call.arguments[2] == LANDLOCK_CREATE_RULESET_VERSION) return 3;
        return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
      },
      [&] {
        expect_failure(enter_worker_sandbox({directory()}), SegmentErrc::system, EIO,
                       "cannot allow writing to " + directory());
      });
}

}  // namespace
}  // namespace touchstone::engine
