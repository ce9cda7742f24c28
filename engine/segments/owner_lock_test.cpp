#include "engine/segments/owner_lock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "engine/segments/test_directory.h"

namespace touchstone::engine {
namespace {

class OwnerLockTest : public SegmentTest {
 protected:
  SegmentDirectory open_directory() const { return std::move(*SegmentDirectory::open(directory())); }

  SegmentErrc refusal(OwnerLock::Missing missing = OwnerLock::Missing::create) const {
    auto lock = OwnerLock::acquire(open_directory(), session(), 7, missing);
    return lock ? SegmentErrc::shut_down : lock.error().code;
  }

  std::string control() const { return control_name(session(), 7); }
};

TEST_F(OwnerLockTest, IsHeldByOneEvenWithinOneProcess) {
  const auto directory = open_directory();
  {
    auto first = OwnerLock::acquire(directory, session(), 7);
    ASSERT_TRUE(first);
    EXPECT_EQ(refusal(), SegmentErrc::busy);
    EXPECT_TRUE(OwnerLock::acquire(directory, session(), 8)) << "another pid's lock is another lock";
  }
  EXPECT_TRUE(OwnerLock::acquire(directory, session(), 7)) << "dropped with its holder";
  remove(control());
  remove(control_name(session(), 8));
}

/// POSIX record locks would go with any unrelated close of the file in this process (L4).
TEST_F(OwnerLockTest, SurvivesAnUnrelatedOpenAndClose) {
  const auto directory = open_directory();
  auto lock = OwnerLock::acquire(directory, session(), 7);
  ASSERT_TRUE(lock);
  ::close(::open(path(control()).c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_EQ(refusal(), SegmentErrc::busy);
  EXPECT_EQ(lock->remove_name(directory), 0);
}

TEST_F(OwnerLockTest, KnowsWhenItsNameWasTakenAway) {
  const auto directory = open_directory();
  auto lock = OwnerLock::acquire(directory, session(), 7);
  ASSERT_TRUE(lock);
  EXPECT_TRUE(lock->is_named(directory));
  remove(control());
  EXPECT_FALSE(lock->is_named(directory));
  put(control());
  EXPECT_FALSE(lock->is_named(directory)) << "another inode bears the name now";
  remove(control());
}

TEST_F(OwnerLockTest, MakesNoFileWhenAskedNotTo) {
  EXPECT_EQ(refusal(OwnerLock::Missing::refuse), SegmentErrc::not_found);
  EXPECT_FALSE(exists(control()));
}

TEST_F(OwnerLockTest, RefusesWhatIsNoRegularFile) {
  ASSERT_EQ(::symlink("/dev/null", path(control()).c_str()), 0);
  EXPECT_EQ(refusal(), SegmentErrc::foreign_file);
  remove(control());
  ASSERT_EQ(::mkdir(path(control()).c_str(), 0700), 0);
  EXPECT_EQ(refusal(), SegmentErrc::foreign_file);
  remove(control());
  ASSERT_EQ(::mkfifo(path(control()).c_str(), 0600), 0);
  EXPECT_EQ(refusal(), SegmentErrc::foreign_file);
  remove(control());
}

TEST_F(OwnerLockTest, IsOpenableByItsUserOnly) {
  const auto directory = open_directory();
  auto lock = OwnerLock::acquire(directory, session(), 7);
  ASSERT_TRUE(lock);
  EXPECT_EQ(directory.status_of(control())->st_mode & 0777, 0600u);
  EXPECT_EQ(lock->remove_name(directory), 0);
}

}  // namespace
}  // namespace touchstone::engine
