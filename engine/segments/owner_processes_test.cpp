// An owner and the processes that inherit it: by fork, by a raw clone, and with the pid of their parent.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/segments/test_directory.h"

namespace touchstone::engine {
namespace {

class OwnerProcesses : public SegmentTest {
 protected:
  /// What is wrong in a child that is made by `fork_call`, or "".
  static std::string in_child(const std::function<std::string()>& check,
                              const std::function<pid_t()>& fork_call = &::fork) {
    int pipe[2];
    if (::pipe2(pipe, O_CLOEXEC) != 0) return "no pipe";
    const pid_t child = fork_call();
    if (child == 0) {
      const std::string wrong = check();
      const bool told = ::write(pipe[1], wrong.data(), wrong.size()) == static_cast<ssize_t>(wrong.size());
      ::_exit(told ? 0 : 1);
    }
    ::close(pipe[1]);
    std::string wrong;
    char c = 0;
    while (::read(pipe[0], &c, 1) == 1) wrong += c;
    ::close(pipe[0]);
    int status = -1;
    ::waitpid(child, &status, 0);
    return status == 0 ? wrong : wrong + "; the child ended by " + std::to_string(status);
  }

  static pid_t raw_clone() {
    return static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  }

  template <class T>
  static std::string unless(const SegmentResult<T>& result, SegmentErrc code) {
    if (result) return "it succeeded, not " + std::string(name_of(code)) + "; ";
    return result.error().code == code ? "" : describe(result.error()) + "; ";
  }

  static std::string require(bool holds, const char* what) { return holds ? "" : std::string(what) + "; "; }

  static std::vector<int> open_descriptors() {
    std::vector<int> open;
    for (int fd = 0; fd < 256; ++fd) {
      if (::fcntl(fd, F_GETFD) >= 0) open.push_back(fd);
    }
    return open;
  }

  /// Everything that a copy of an owner may not do.
  std::string misuse(SegmentOwner& copy, const SegmentHandle& handle) const {
    std::string wrong = unless(copy.free(handle), SegmentErrc::not_creator) +
                        unless(copy.free("frame"), SegmentErrc::not_creator) +
                        unless(copy.allocate("other", bytes_of("x")), SegmentErrc::worker_role) +
                        unless(copy.audit(), SegmentErrc::worker_role) +
                        require(copy.segments().empty(), "it has segments") +
                        require(copy.shutdown().has_value(), "a shutdown is an error");
    become_main();
    wrong += unless(copy.allocate("other", bytes_of("x")), SegmentErrc::worker_role) +
             unless(copy.replace("frame", bytes_of("x")), SegmentErrc::worker_role);
    { const SegmentOwner ended(std::move(copy)); }
    return wrong + require(names().size() == 2, "a name is gone, or one came");
  }
};

TEST_F(OwnerProcesses, AWorkerOpensNone) {
  become_main();
  become_worker();
  EXPECT_EQ(SegmentOwner::open(options()).error().code, SegmentErrc::worker_role);
  become_main();
  auto owner = SegmentOwner::open(options());
  ASSERT_TRUE(owner);
  ASSERT_TRUE(owner->allocate("frame", bytes_of("x")));
  become_worker();
  EXPECT_EQ(owner->allocate("other", bytes_of("x")).error().code, SegmentErrc::worker_role);
  EXPECT_EQ(owner->replace("frame", bytes_of("x")).error().code, SegmentErrc::worker_role);
  EXPECT_EQ(names().size(), 2u);
  become_main();
  EXPECT_TRUE(owner->allocate("other", bytes_of("x")));
}

/// In a new program, where nobody has become a main before: the opening makes one, and so a raw clone, which no handler tells that
/// it is a child, is a worker.
TEST(FreshProcess, WhoeverOpensAnOwnerIsTheMainOfIt) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        auto owner = SegmentOwner::open({.start_check = SegmentOwner::StartCheck::none});
        const auto clone =
            static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
        if (clone == 0) ::_exit(process_role() == ProcessRole::worker ? 7 : 8);
        int status = 0;
        ::waitpid(clone, &status, 0);
        const bool over = owner && owner->shutdown();
        ::_exit(over && WIFEXITED(status) ? WEXITSTATUS(status) : 9);
      },
      testing::ExitedWithCode(7), "");
}

TEST_F(OwnerProcesses, AChildsCopyOwnsNothing) {
  SegmentOwner owner = this->owner();
  const auto handle = owner.allocate("frame", bytes_of("x"));
  ASSERT_TRUE(handle);
  EXPECT_EQ(in_child([&] { return misuse(owner, *handle); }), "");
  EXPECT_EQ(in_child([&] { return misuse(owner, *handle); }, &raw_clone), "");
  EXPECT_TRUE(owner.audit());
}

/// In a container a child can have its parent's pid: then its names are the parent's, and only the fork count tells.
TEST_F(OwnerProcesses, AChildsCopyOwnsNothingThoughItHasItsParentsPid) {
  const std::string skip = "no pid namespace";
  const std::string seen = in_child([&] {
    become_main();
    if (::unshare(CLONE_NEWPID) != 0) return skip;
    return in_child([&]() -> std::string {
      become_main();
      auto owner = SegmentOwner::open(options());
      if (!owner) return describe(owner.error());
      const auto handle = owner->allocate("frame", bytes_of("x"));
      if (!handle) return describe(handle.error());
      if (::getpid() != 1 || ::unshare(CLONE_NEWPID) != 0) return skip;
      std::string wrong =
          in_child([&] { return require(::getpid() == 1, "another pid") + misuse(*owner, *handle); });
      return wrong + require(owner->audit().has_value(), "the owner misses something") +
             require(owner->shutdown().has_value(), "a shutdown is an error");
    });
  });
  if (seen == skip) GTEST_SKIP() << "expected skip: this environment gives no pid namespace";
  EXPECT_EQ(seen, "");
}

/// A raw clone keeps the descriptors, and with them the lock. Whatever its copy of an owner goes through, it stays as it is.
TEST_F(OwnerProcesses, TheEndOfARawClonesCopyClosesNothing) {
  SegmentOwner owner = this->owner();
  auto options = this->options();
  options.session = session() + "b";
  auto other = SegmentOwner::open(options);
  ASSERT_TRUE(other);
  const auto check = [&](const std::function<void()>& end) {
    return in_child(
        [&]() -> std::string {
          const auto before = open_descriptors();
          end();
          return require(open_descriptors() == before, "a descriptor was closed");
        },
        &raw_clone);
  };
  EXPECT_EQ(check([&] { const SegmentOwner ended(std::move(owner)); }), "") << "destroyed";
  EXPECT_EQ(check([&] { owner = std::move(*other); }), "") << "replaced";
  EXPECT_EQ(in_child(
                [&] {
                  const auto before = open_descriptors();
                  std::string wrong = require(owner.become_main().has_value(), "it became no main");
                  for (const int fd : before) wrong += require(::fcntl(fd, F_GETFD) >= 0, "one was closed");
                  return wrong + require(owner.shutdown().has_value(), "a shutdown is an error");
                },
                &raw_clone),
            "");
  EXPECT_TRUE(owner.audit());
  EXPECT_TRUE(other->audit());
}

TEST_F(OwnerProcesses, AChildThatBecomesAMainOwnsWhatItMakesAndNothingElse) {
  SegmentOwner owner = this->owner();
  const auto handle = owner.allocate("frame", bytes_of("parent's"));
  ASSERT_TRUE(handle);
  EXPECT_EQ(in_child([&] {
              std::string wrong = require(owner.become_main().has_value(), "it became no main");
              const auto own = owner.allocate("frame", bytes_of("child's"));
              if (!own) return wrong + describe(own.error());
              wrong += require(own->name() == *encode_name(session(), ::getpid(), "frame"), "another's pid") +
                       require(owner.segments().size() == 1, "it inherited segments") +
                       require(names().size() == 4, "two owners with one segment each") +
                       unless(owner.free(*handle), SegmentErrc::not_creator) +
                       require(owner.become_main().has_value(), "again") +
                       require(owner.segments().size() == 1, "it became one twice") +
                       require(owner.shutdown().has_value(), "a shutdown is an error");
              return wrong;
            }),
            "");
  EXPECT_EQ(names().size(), 2u);
  EXPECT_TRUE(owner.audit());
}

TEST_F(OwnerProcesses, WhoIsAMainAlreadyKeepsWhatItOwns) {
  SegmentOwner owner = this->owner();
  const auto handle = owner.allocate("frame", bytes_of("x"));
  ASSERT_TRUE(handle);
  ASSERT_TRUE(owner.become_main());
  EXPECT_EQ(owner.segments(), std::vector<SegmentHandle>{*handle});
  EXPECT_EQ(owner.allocate("other", bytes_of("x"))->generation(), 2u);
  EXPECT_TRUE(owner.free(*handle));
}

TEST_F(OwnerProcesses, AMovedOwnerOwnsNothing) {
  SegmentOwner owner = this->owner();
  const auto handle = owner.allocate("frame", bytes_of("x"));
  ASSERT_TRUE(handle);
  const SegmentOwner moved(std::move(owner));
  EXPECT_EQ(owner.free(*handle).error().code, SegmentErrc::not_creator);
  EXPECT_EQ(owner.free("frame").error().code, SegmentErrc::not_creator);
  EXPECT_TRUE(owner.segments().empty());
  EXPECT_TRUE(owner.shutdown());
  EXPECT_EQ(owner.audit().error().code, SegmentErrc::shut_down);
  EXPECT_TRUE(exists(std::string(handle->name())));
}

/// The child has a hole where its parent is filling, and may have put something else there since.
TEST_F(OwnerProcesses, AForkWithinAFillUnmapsNothingInTheChild) {
  SegmentOwner owner = this->owner();
  const pid_t parent = ::getpid();
  constexpr std::size_t kPage = 4096;
  std::byte* start = nullptr;
  const auto fill = [&](std::span<std::byte> payload) {
    start = payload.data() - sizeof(SegmentHeader);
    const pid_t child = ::fork();
    if (child == 0) {
      constexpr int kOwn = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
      if (::mmap(start, kPage, PROT_READ | PROT_WRITE, kOwn, -1, 0) != start) ::_exit(1);
      return;
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  };
  const auto made = owner.allocate("frame", kPage - sizeof(SegmentHeader), fill);
  if (::getpid() != parent) {
    *start = std::byte{7};  // SIGSEGV where it was unmapped
    const bool refused = !made && made.error().code == SegmentErrc::worker_role &&
                         made.error().message == "the process forked while it filled a segment";
    ::_exit(refused ? 0 : 2);
  }
  ASSERT_TRUE(made);
  EXPECT_TRUE(Attachment::attach(*made, directory())->verify());
}

}  // namespace
}  // namespace touchstone::engine
