#include "engine/segments/reaper.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <vector>

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
  EXPECT_EQ(report.unparsable_names, 0u);
  EXPECT_TRUE(report.groups[0].segments.empty()) << "nobody asked for a list";
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
  EXPECT_EQ(report.groups[0].segments[0].why, "orphan");
  ASSERT_EQ(report.groups[1].segments.size(), 1u) << "the lock is no segment";
  EXPECT_EQ(report.groups[1].segments[0].encoded_key, "with-lock");
  const ReapReport unlisted = reap({.directory = directory(), .dry_run = true});
  for (const ReapedGroup& group : unlisted.groups) EXPECT_TRUE(group.segments.empty());
  reap_all();
}

TEST_F(ReaperTest, CountsNamesThatAreNearlySegments) {
  put("theus:junk");
  put("theus:s:07:k");
  put("somebody-elses");
  put(control_name(session(), 7));
  EXPECT_EQ(reap_all().unparsable_names, 2u) << "in a directory that was listed twice";
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

/// What each of a group's files was, whoever it belongs to: of the dead, of the live, and of nobody that we know.
TEST_F(ReaperTest, ListsWhatItFoundAndWhatBecameOfIt) {
  const auto directory = SegmentDirectory::open(this->directory());
  auto live = OwnerLock::acquire(*directory, session(), 8);
  put(name(7, "dead"), "12345");
  put(name(8, "live"), "123");
  for (const pid_t pid : {7, 8, 9}) ASSERT_EQ(::symlink("/dev/null", path(name(pid, "link")).c_str()), 0);
  const timespec long_ago[] = {{::time(nullptr) - 1'000, 0}, {::time(nullptr) - 1'000, 0}};
  for (const std::string& file : names())
    ASSERT_EQ(::utimensat(AT_FDCWD, path(file).c_str(), long_ago, AT_SYMLINK_NOFOLLOW), 0);
  ReapReport report = reap({.directory = this->directory(), .list_segments = true});
  ASSERT_EQ(report.groups.size(), 3u);
  std::vector<ReapedSegment> found;
  for (ReapedGroup& group : report.groups) {
    std::sort(group.segments.begin(), group.segments.end(),
              [](const auto& a, const auto& b) { return a.encoded_key < b.encoded_key; });
    found.insert(found.end(), group.segments.begin(), group.segments.end());
  }
  const struct {
    const char* key;
    std::uint64_t bytes;
    ReapVerdict verdict;
    const char* why;
  } expected[] = {{"dead", 5, ReapVerdict::removed, "orphan"},
                  {"link", 9, ReapVerdict::foreign, "not a regular file of this user"},
                  {"link", 9, ReapVerdict::foreign, "not a regular file of this user"},
                  {"live", 3, ReapVerdict::live, "its owner lives"},
                  {"link", 9, ReapVerdict::foreign, "not a regular file of this user"}};
  ASSERT_EQ(found.size(), std::size(expected));
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].encoded_key, expected[i].key);
    EXPECT_EQ(found[i].bytes, expected[i].bytes) << i;
    EXPECT_EQ(found[i].verdict, expected[i].verdict) << i;
    EXPECT_EQ(found[i].why, expected[i].why) << i;
    EXPECT_GE(found[i].age_seconds, 1'000);
    EXPECT_LT(found[i].age_seconds, 1'000'000);
  }
  for (const std::string& file : {name(7, "link"), name(8, "live"), name(8, "link"), name(9, "link")})
    remove(file);
  EXPECT_EQ(live->remove_name(*directory), 0);
}

/// The name of a lock that is no file of ours says so by itself.
TEST_F(ReaperTest, SaysWhatIsAtTheNameOfALock) {
  ASSERT_EQ(::mkdir(path(control_name(session(), 7)).c_str(), 0700), 0);
  const ReapReport report = reap_all();
  ASSERT_EQ(report.groups.size(), 1u);
  EXPECT_EQ(report.groups[0].verdict, ReapVerdict::foreign);
  EXPECT_EQ(report.groups[0].why, "foreign_file: \"" + control_name(session(), 7) +
                                      "\" is not a file of this user: Is a directory");
  remove(control_name(session(), 7));
}

TEST_F(ReaperTest, SortsItsReportBySessionAndPid) {
  for (pid_t pid = 1; pid <= 30; ++pid) put(control_name(session() + (pid % 2 == 0 ? "a" : "b"), pid));
  const ReapReport report = reap_all();
  ASSERT_EQ(report.groups.size(), 30u);
  for (std::size_t i = 0; i < 30; ++i) {
    EXPECT_EQ(report.groups[i].session, session() + (i < 15 ? "a" : "b"));
    EXPECT_EQ(report.groups[i].pid, static_cast<pid_t>(i < 15 ? 2 * i + 2 : 2 * (i - 15) + 1));
  }
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
