#include "engine/segments/reaper.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <ctime>

#include "engine/segments/owner_lock.h"
#include "engine/segments/test_directory.h"

namespace touchstone::engine {
namespace {

class ReaperTest : public SegmentTest {
 protected:
  ReapReport reap_all() const { return reap({.directory = directory(), .session = std::nullopt}); }
  std::string name(pid_t pid, const std::string& key) const { return *encode_name(session(), pid, key); }
};

TEST_F(ReaperTest, RemovesADeadGroupAndItsLock) {
  put(control_name(session(), 7));
  put(name(7, "a"), "12345");
  put(name(7, "b/c"));
  put(temporary_name(session(), 7, 3));
  const ReapReport report = reap_all();
  ASSERT_EQ(report.groups.size(), 1u);
  EXPECT_EQ(report.groups[0].verdict, ReapVerdict::removed);
  EXPECT_EQ(report.groups[0].pid, 7);
  EXPECT_EQ(report.removed_names, 4u);
  EXPECT_EQ(report.removed_bytes, 5u);
}

TEST_F(ReaperTest, RemovesOrphansWhoseLockIsMissing) {
  put(name(7, "a"));
  EXPECT_EQ(reap_all().count(ReapVerdict::removed), 1u);
}

/// The pid says nothing: our own, which lives, has orphans of a process that had it before; a live owner's
/// lock counts even if no process has the pid in its name, as it is for an owner in another pid namespace.
TEST_F(ReaperTest, JudgesByTheLockAndNeverByThePid) {
  put(name(::getpid(), "orphan"));
  const auto directory = SegmentDirectory::open(this->directory());
  constexpr pid_t kNobody = 0x7ffffff0;
  auto lock = OwnerLock::acquire(*directory, session(), kNobody);
  ASSERT_TRUE(lock);
  put(name(kNobody, "live"));
  const ReapReport report = reap_all();
  EXPECT_FALSE(exists(name(::getpid(), "orphan")));
  EXPECT_TRUE(exists(name(kNobody, "live")));
  EXPECT_EQ(report.count(ReapVerdict::live), 1u);
  remove(name(kNobody, "live"));
  EXPECT_EQ(lock->remove_name(*directory), 0);
}

TEST_F(ReaperTest, LeavesALiveOwnerAlone) {
  SegmentOwner owner = this->owner();
  auto handle = owner.allocate("frame", bytes_of("x"));
  const ReapReport report = reap_all();
  ASSERT_EQ(report.groups.size(), 1u);
  EXPECT_EQ(report.groups[0].verdict, ReapVerdict::live);
  EXPECT_EQ(report.groups[0].removed, 0u);
  EXPECT_TRUE(Attachment::attach(*handle, directory()));
  EXPECT_TRUE(owner.audit());
}

TEST_F(ReaperTest, LooksAtOneSessionWhenAsked) {
  put("theus:other:7:a");
  put(name(7, "a"));
  EXPECT_EQ(reap({.directory = directory(), .session = session()}).removed_names, 2u);
  EXPECT_EQ(names(), std::vector<std::string>{"theus:other:7:a"});
  remove("theus:other:7:a");
}

/// Prefixes lie: "theus:s:7" begins "theus:s:77", and a session may begin another.
TEST_F(ReaperTest, KeepsToTheExactGroup) {
  const auto directory = SegmentDirectory::open(this->directory());
  auto lock = OwnerLock::acquire(*directory, session(), 77);
  put(name(77, "live"));
  put(name(7, "orphan"));
  put("theus:" + session() + "x:7:neighbour");
  reap({.directory = this->directory(), .session = session()});
  EXPECT_TRUE(exists(name(77, "live")));
  EXPECT_TRUE(exists("theus:" + session() + "x:7:neighbour"));
  EXPECT_FALSE(exists(name(7, "orphan")));
  lock->remove_name(*directory);
  reap_all();
}

TEST_F(ReaperTest, TouchesNothingThatIsNotOneOfOurNames) {
  const std::vector<std::string> strangers{"theus:" + session() + ":7", "theus:" + session() + ":007:k",
                                           "theus:" + session() + ":7:%41", "theusx", "other"};
  for (const std::string& stranger : strangers) put(stranger);
  const ReapReport report = reap_all();
  EXPECT_TRUE(report.groups.empty());
  for (const std::string& stranger : strangers) {
    EXPECT_TRUE(exists(stranger)) << stranger;
    remove(stranger);
  }
}

/// A hostile or unlucky entry in one group must cost neither its own group's other names nor the groups after
/// it.
TEST_F(ReaperTest, GoesOnAfterWhatItMayNotTouch) {
  put("target");
  ASSERT_EQ(::symlink(path("target").c_str(), path(name(1, "link")).c_str()), 0);
  ASSERT_EQ(::mkdir(path(control_name(session(), 2)).c_str(), 0700), 0);
  put(name(2, "blocked"));
  ASSERT_EQ(::mkdir(path(name(3, "directory")).c_str(), 0700), 0);
  put(name(3, "orphan"));
  put(name(4, "orphan"));

  const ReapReport report = reap_all();
  ASSERT_EQ(report.groups.size(), 4u);
  EXPECT_EQ(report.groups[0].verdict, ReapVerdict::foreign) << "only a symlink: not even a lock is made";
  EXPECT_EQ(report.groups[1].verdict, ReapVerdict::foreign) << "a directory bears the lock's name";
  EXPECT_EQ(report.groups[2].verdict, ReapVerdict::removed);
  EXPECT_EQ(report.groups[3].verdict, ReapVerdict::removed);
  EXPECT_TRUE(exists("target"));
  EXPECT_FALSE(exists(control_name(session(), 1)));
  EXPECT_TRUE(exists(name(2, "blocked")));
  EXPECT_FALSE(exists(name(3, "orphan")));
  EXPECT_FALSE(exists(name(4, "orphan")));

  for (const std::string& left :
       {name(1, "link"), name(2, "blocked"), control_name(session(), 2), name(3, "directory")}) {
    remove(left);
  }
}

/// Everything that a change of a file or of the directory would show.
std::string state_of(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return "gone";
  std::string state;
  for (const auto number :
       {static_cast<std::uint64_t>(status.st_ino), static_cast<std::uint64_t>(status.st_size),
        static_cast<std::uint64_t>(status.st_mode), static_cast<std::uint64_t>(status.st_nlink),
        static_cast<std::uint64_t>(status.st_ctim.tv_sec),
        static_cast<std::uint64_t>(status.st_ctim.tv_nsec)}) {
    state += std::to_string(number) + " ";
  }
  return state;
}

TEST_F(ReaperTest, ADryRunTouchesNothing) {
  put(name(7, "without-lock"), "123");
  put(name(8, "with-lock"));
  put(control_name(session(), 8));
  const auto before = names();
  const auto states = [&] {
    std::vector<std::string> all{state_of(directory())};
    for (const std::string& name : before) all.push_back(state_of(path(name)));
    return all;
  };
  const auto states_before = states();
  const ReapReport report =
      reap({.directory = directory(), .session = std::nullopt, .dry_run = true, .list_segments = true});
  EXPECT_EQ(names(), before);
  EXPECT_EQ(states(), states_before);
  EXPECT_EQ(report.count(ReapVerdict::would_remove), 2u);
  ASSERT_EQ(report.groups[0].segments.size(), 1u);
  EXPECT_EQ(report.groups[0].segments[0].encoded_key, "without-lock");
  EXPECT_EQ(report.groups[0].segments[0].bytes, 3u);
  reap_all();
}

TEST_F(ReaperTest, CountsNamesThatAreNearlySegments) {
  put("theus:junk");
  put("theus:s:07:k");
  put("somebody-elses");
  EXPECT_EQ(reap_all().unparsable_names, 2u);
  EXPECT_EQ(files_in(directory()),
            (std::vector<std::string>{"somebody-elses", "theus:junk", "theus:s:07:k"}));
  remove("theus:junk");
  remove("theus:s:07:k");
  EXPECT_EQ(reap_all().unparsable_names, 0u);
  remove("somebody-elses");
}

/// P7 goes for the group of the caller's lock alone: any other one is judged by its own.
TEST_F(ReaperTest, BesideALockOfItsOwnItLeavesTheLiveAlone) {
  const auto directory = SegmentDirectory::open(this->directory());
  auto mine = OwnerLock::acquire(*directory, session(), 7);
  auto other = OwnerLock::acquire(*directory, session(), 8);
  ASSERT_TRUE(mine);
  ASSERT_TRUE(other);
  put(name(7, "left"));
  put(name(8, "live"));
  put(name(9, "orphan"));
  const ReapReport report = reap({.directory = this->directory()}, *mine);
  EXPECT_FALSE(exists(name(7, "left")));
  EXPECT_TRUE(exists(name(8, "live")));
  EXPECT_FALSE(exists(name(9, "orphan")));
  EXPECT_EQ(report.count(ReapVerdict::live), 1u);
  EXPECT_EQ(report.removed_names, 3u) << "the orphan's lock was made to look";
  EXPECT_TRUE(mine->is_named(*directory));
  remove(name(8, "live"));
  EXPECT_EQ(mine->remove_name(*directory), 0);
  EXPECT_EQ(other->remove_name(*directory), 0);
}

TEST_F(ReaperTest, ListsHowOldASegmentIs) {
  put(name(7, "a"));
  const timespec long_ago[] = {{::time(nullptr) - 1'000, 0}, {::time(nullptr) - 1'000, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path(name(7, "a")).c_str(), long_ago, 0), 0);
  const ReapReport report =
      reap({.directory = directory(), .session = std::nullopt, .dry_run = true, .list_segments = true});
  ASSERT_EQ(report.groups.size(), 1u);
  ASSERT_EQ(report.groups[0].segments.size(), 1u);
  EXPECT_GE(report.groups[0].segments[0].age_seconds, 1'000);
  EXPECT_LT(report.groups[0].segments[0].age_seconds, 1'000'000) << "not since 1970";
  reap_all();
}

TEST_F(ReaperTest, NamesADirectoryThatIsNotThere) {
  const ReapReport report = reap({.directory = directory() + "/missing", .session = std::nullopt});
  ASSERT_TRUE(report.error);
  EXPECT_EQ(report.error->code, SegmentErrc::bad_directory);
  EXPECT_EQ(report.unparsable_names + report.removed_names, 0u);
}

TEST_F(ReaperTest, ManyGroupsNeedNoMoreDescriptorsThanThereAre) {
  for (pid_t pid = 1; pid <= 1100; ++pid) put(name(pid, "a"));  // more than two batches
  const ReapReport report = reap_all();
  EXPECT_EQ(report.count(ReapVerdict::removed), 1100u);
  EXPECT_EQ(report.removed_names, 2200u);
}

}  // namespace
}  // namespace touchstone::engine
