// What the engine's descriptors are to the rest of a process: none goes to a program that it executes, none is left open, and none
// has to be above the standard streams, which a daemon has closed.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "engine/segments/owner_lock.h"
#include "engine/segments/test_directory.h"
#include "engine/segments/test_kernel.h"

namespace touchstone::engine {
namespace {

std::set<int> open_descriptors() {
  std::set<int> open;
  for (int fd = 0; fd < 256; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0) open.insert(fd);
  }
  return open;
}

class DescriptorsTest : public SegmentTest {
 protected:
  /// All that this process may do with segments, once; `meanwhile` while a segment is being filled.
  void use_segments(const std::function<void()>& meanwhile = [] {}) {
    SegmentOwner owner = this->owner();
    const auto handle = owner.allocate("filled", 100, [&](auto) { meanwhile(); });
    ASSERT_TRUE(handle) << describe(handle.error());
    const auto written = owner.allocate("written", bytes_of("x"));
    ASSERT_TRUE(written) << describe(written.error());
    ASSERT_TRUE(owner.replace("written", bytes_of("y")));
    const auto seen = Attachment::attach(*handle, directory());
    ASSERT_TRUE(seen) << describe(seen.error());
    EXPECT_TRUE(owner.audit());
    put(control_name(session(), 7));
    put(*encode_name(session(), 7, "orphan"));
    const ReapReport report = reap({.directory = directory()});
    EXPECT_FALSE(report.error);
    EXPECT_EQ(report.removed_names, 2u);
    EXPECT_TRUE(owner.shutdown());
  }
};

TEST_F(DescriptorsTest, NoneGoesToAnExecutedProgramAndNoneIsLeft) {
  const std::set<int> before = open_descriptors();
  int seen = 0;
  use_segments([&] {
    for (const int fd : open_descriptors()) {
      if (before.contains(fd)) continue;
      ++seen;
      EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << fd;
    }
  });
  const auto directory = SegmentDirectory::open(this->directory());
  ASSERT_TRUE(directory);
  const std::set<int> outside = open_descriptors();
  int scanning = 0;
  EXPECT_TRUE(directory->scan([&](std::string_view) {
    for (const int fd : open_descriptors()) {
      if (outside.contains(fd)) continue;
      ++scanning;
      EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << fd;
    }
  }));
  EXPECT_EQ(scanning, 2) << "one, seen at each of the two entries";
  EXPECT_EQ(open_descriptors(), outside);
  EXPECT_EQ(seen, 3) << "directory, lock and unnamed file";
}

TEST(Descriptor, IsClosedByWhatIsAssignedToItAndKeptByItself) {
  const std::set<int> before = open_descriptors();
  {
    Descriptor one(::open("/dev/null", O_RDONLY | O_CLOEXEC)),
        other(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const int first = one.get(), second = other.get();
    one = std::move(other);
    EXPECT_EQ(one.get(), second);
    EXPECT_LT(::fcntl(first, F_GETFD), 0);
    Descriptor& same = one;
    one = std::move(same);
    EXPECT_EQ(one.get(), second);
    EXPECT_GE(::fcntl(second, F_GETFD), 0);
  }
  EXPECT_EQ(open_descriptors(), before);
}

/// Another thread may start a program at any moment: an open that sets the flag afterwards is too late.
TEST_F(DescriptorsTest, NoneIsOpenWithoutTheFlagEvenForAMoment) {
  int opens = 0;
  const auto read_flags = [&](const Called& call) {
    const std::string path = call.text_at(call.arguments[1]);
    if (path.starts_with("/proc/") || (call.arguments[2] & O_TRUNC))
      return std::nullopt;  // by an ifstream, by put
    ++opens;
    EXPECT_TRUE(call.arguments[2] & O_CLOEXEC) << path;
    return std::nullopt;
  };
  where_answered({SYS_openat}, read_flags, [&] { use_segments(); });
  EXPECT_GT(opens, 8);
}

TEST(Descriptor, OfNoneIsMinusOneAndItsEndIsNoSystemCall) {
  errno = 0;  // closing -1 would be EBADF
  {
    Descriptor none;
    EXPECT_EQ(none.get(), -1);
    Descriptor given(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const Descriptor taken(std::move(given));
    EXPECT_EQ(given.get(), -1);
  }
  EXPECT_EQ(errno, 0);
}

TEST_F(DescriptorsTest, NumberZeroIsAsGoodAsAnyOther) {
  const int standard_input = ::fcntl(0, F_DUPFD_CLOEXEC, 100);
  ASSERT_GE(standard_input, 0);
  ::close(0);
  errno = EIO;     // of an earlier call
  use_segments();  // the directory's
  EXPECT_LT(::fcntl(0, F_GETFD), 0) << "closed like any other";

  const auto directory = [&] {
    EXPECT_EQ(::dup2(standard_input, 0), 0);
    auto opened = SegmentDirectory::open(this->directory());
    ::close(0);
    return std::move(*opened);
  }();
  EXPECT_TRUE(directory.scan([](std::string_view) {})) << "the scan's own";
  EXPECT_LT(::fcntl(0, F_GETFD), 0);
  {
    auto lock = OwnerLock::acquire(directory, session(), 7);
    ASSERT_TRUE(lock) << describe(lock.error());
    EXPECT_TRUE(lock->is_named(directory));
    EXPECT_GE(::fcntl(0, F_GETFD), 0) << "the lock's";
    EXPECT_EQ(OwnerLock::acquire(directory, session(), 7).error().code, SegmentErrc::busy);
    const pid_t child = ::fork();
    if (child == 0) ::_exit(::fcntl(0, F_GETFD) < 0 ? 0 : 1);
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << "a child must not keep the lock";
    EXPECT_EQ(lock->remove_name(directory), 0);
  }
  EXPECT_LT(::fcntl(0, F_GETFD), 0);

  ASSERT_EQ(::dup2(standard_input, 0), 0);
  SegmentOwner owner = this->owner();
  ::close(0);
  errno = EIO;
  EXPECT_TRUE(owner.allocate("written", bytes_of("x")));  // the unnamed file's
  errno = EIO;
  const auto filled = owner.allocate("filled", 100, [](auto) {});
  ASSERT_TRUE(filled);
  EXPECT_TRUE(Attachment::attach(*filled, this->directory()));  // the attached file's
  put(*encode_name(session(), 7, "orphan"));
  const ReapReport report = reap({.directory = this->directory()});
  EXPECT_EQ(report.removed_names, 2u);
  EXPECT_EQ(report.count(ReapVerdict::live), 1u);
  EXPECT_TRUE(owner.shutdown());
  EXPECT_LT(::fcntl(0, F_GETFD), 0);
  ASSERT_EQ(::dup2(standard_input, 0), 0);
  ::close(standard_input);
}

}  // namespace
}  // namespace touchstone::engine
