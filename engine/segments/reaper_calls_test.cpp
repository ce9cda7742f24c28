// What a reaper asks of the kernel: how many locks it holds at once and how often it lists the directory (P6), in which order it
// unlinks (P2), and what it says of what went wrong or went away between two of its calls (P1, P5).

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "engine/segments/owner_lock.h"
#include "engine/segments/reaper.h"
#include "engine/segments/test_descriptor_limit.h"
#include "engine/segments/test_directory.h"
#include "engine/segments/test_kernel.h"

namespace touchstone::engine {
namespace {

class ReaperCalls : public SegmentTest {
 protected:
  std::string name(pid_t pid, const std::string& key) const { return *encode_name(session(), pid, key); }

  ReapReport reap_all() const { return reap({.directory = directory()}); }

  void put_locks(pid_t first, pid_t last) const {
    for (pid_t pid = first; pid <= last; ++pid) put(control_name(session(), pid));
  }

  /// L: the directory is listed. l: a lock is asked for. u: a name is unlinked.
  std::string calls_of(const std::function<void()>& body) const {
    std::string calls;
    const auto note = [&](const Called& call) -> std::optional<std::int64_t> {
      if (call.call == SYS_flock) calls += 'l';
      if (call.call == SYS_unlinkat) calls += 'u';
      if (call.call == SYS_openat && call.text_at(call.arguments[1]) == ".") calls += 'L';
      return std::nullopt;
    };
    where_answered({SYS_openat, SYS_flock, SYS_unlinkat}, note, body);
    return calls;
  }

  /// While each of a call's names is that one, `meanwhile` comes first.
  static Answer before_call_of(const std::string& name, const std::function<void()>& meanwhile) {
    return [name, meanwhile](const Called& call) -> std::optional<std::int64_t> {
      if (call.text_at(call.arguments[1]) == name) meanwhile();
      return std::nullopt;
    };
  }
};

TEST_F(ReaperCalls, OfNothingTheDirectoryIsListedOnce) {
  EXPECT_EQ(calls_of([&] { EXPECT_TRUE(reap_all().groups.empty()); }), "L");
}

/// At most half of the descriptors that the process may have are locks: here ten.
TEST_F(ReaperCalls, LocksAreTakenInBatchesOfHalfTheDescriptors) {
  put_locks(1, 10);
  EXPECT_EQ(calls_of([&] {
              const DescriptorLimit limit(21);
              EXPECT_EQ(reap_all().removed_names, 10u);
            }),
            "L" + std::string(10, 'l') + "L" + std::string(10, 'u'));
  put_locks(1, 11);
  EXPECT_EQ(calls_of([&] {
              const DescriptorLimit limit(20);
              EXPECT_EQ(reap_all().removed_names, 11u);
            }),
            "L" + std::string(10, 'l') + "L" + std::string(10, 'u') + "lLu");
}

TEST_F(ReaperCalls, WhoCannotAskForTheLimitHoldsOneLockAtATime) {
  put_locks(1, 3);
  where({{SYS_prlimit64, EPERM}},
        [&] { EXPECT_EQ(calls_of([&] { EXPECT_EQ(reap_all().removed_names, 3u); }), "LlLulLulLu"); });
}

/// Where others have used up the descriptors, the locks are let go and the rest is taken afterwards; the lists have their room all
/// the while. A batch would be larger than what is left here.
TEST_F(ReaperCalls, WithoutDescriptorsItGoesOnWithThoseThatItLetsGo) {
  put_locks(1, 20);
  std::vector<Descriptor> others;
  for (int i = 0; i < 20; ++i) others.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int next = ::dup(others[0].get());
  ::close(next);
  const DescriptorLimit limit(static_cast<rlim_t>(next) +
                              5);  // the directory, room for a list, and three locks
  const ReapReport report = reap_all();
  EXPECT_EQ(report.count(ReapVerdict::removed), 20u);
  EXPECT_EQ(report.removed_names, 20u);
}

TEST_F(ReaperCalls, WithoutDescriptorsForASingleLockItSaysSo) {
  put_locks(1, 2);
  std::vector<Descriptor> others;
  for (int i = 0; i < 8; ++i) others.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int next = ::dup(others[0].get());
  ::close(next);
  {
    const DescriptorLimit limit(static_cast<rlim_t>(next) + 2);
    const ReapReport report = reap_all();
    EXPECT_EQ(report.count(ReapVerdict::failed), 2u);
    EXPECT_TRUE(report.groups.at(0).why.starts_with("descriptor_limit: ")) << report.groups.at(0).why;
  }
  EXPECT_EQ(reap_all().removed_names, 2u);
}

/// A lock that somebody holds is no want of descriptors: nothing is listed again for it.
TEST_F(ReaperCalls, ForTheLiveNothingIsListedAgain) {
  const auto directory = SegmentDirectory::open(this->directory());
  std::vector<SegmentResult<OwnerLock>> held;
  for (pid_t pid = 1; pid <= 16; ++pid) held.push_back(OwnerLock::acquire(*directory, session(), pid));
  put_locks(17, 32);
  const std::string calls = calls_of([&] { EXPECT_EQ(reap_all().removed_names, 16u); });
  EXPECT_EQ(calls, "L" + std::string(32, 'l') + "L" + std::string(16, 'u'));
  for (const auto& lock : held) EXPECT_EQ(lock->remove_name(*directory), 0);
}

/// P2, wherever the lock is in the list: it was made before the others in one group, and after them in the other.
TEST_F(ReaperCalls, TheLocksNameIsUnlinkedLast) {
  put(control_name(session(), 1));
  for (const char* key : {"a", "b", "c"}) put(name(1, key));
  for (const char* key : {"a", "b", "c"}) put(name(2, key));
  put(control_name(session(), 2));
  std::vector<std::string> unlinked[3];
  const auto note = [&](const Called& call) {
    const std::string name = call.text_at(call.arguments[1]);
    unlinked[split_name(name)->pid].push_back(name);
    return std::nullopt;
  };
  where_answered({SYS_unlinkat}, note, [&] { EXPECT_EQ(reap_all().removed_names, 8u); });
  for (const pid_t pid : {1, 2}) {
    ASSERT_EQ(unlinked[pid].size(), 4u);
    EXPECT_EQ(unlinked[pid].back(), control_name(session(), pid));
  }
}

TEST_F(ReaperCalls, ADirectoryThatCannotBeListedIsAnError) {
  put_locks(1, 1);
  where({{SYS_getdents64, EIO}}, [&] {
    const ReapReport report = reap_all();
    ASSERT_TRUE(report.error);
    EXPECT_EQ(report.error->system_error, EIO);
    EXPECT_TRUE(report.groups.empty());
  });
  EXPECT_EQ(reap_all().removed_names, 1u);
}

/// P1 asks for a second list. Without it nothing is removed.
TEST_F(ReaperCalls, UnderItsLocksItTrustsNoOldList) {
  put_locks(1, 3);
  int lists = 0;
  const auto fail_the_second = [&](const Called& call) -> std::optional<std::int64_t> {
    if (call.text_at(call.arguments[1]) == "." && ++lists > 1) return -EIO;
    return std::nullopt;
  };
  where_answered({SYS_openat}, fail_the_second, [&] {
    const ReapReport report = reap_all();
    EXPECT_EQ(report.count(ReapVerdict::failed), 3u);
    for (const ReapedGroup& group : report.groups)
      EXPECT_NE(group.why.find("cannot list the directory"), std::string::npos) << group.why;
    EXPECT_EQ(report.removed_names, 0u);
  });
  EXPECT_EQ(reap_all().removed_names, 3u);
}

/// Whoever takes the names away first has removed them: that is no failure of the reaper's.
TEST_F(ReaperCalls, WhatIsGoneByThenIsNoFailure) {
  const auto expect_removed = [&](const std::vector<long>& calls, const std::string& at,
                                  const std::string& gone, std::size_t listed) {
    put(control_name(session(), 1));
    put(name(1, "a"), "12");
    put(name(1, "b"), "345");
    where_answered(calls, before_call_of(at, [&] { remove(gone); }), [&] {
      const ReapReport report = reap({.directory = directory(), .list_segments = true});
      ASSERT_EQ(report.groups.size(), 1u);
      EXPECT_EQ(report.groups[0].verdict, ReapVerdict::removed) << report.groups[0].why;
      EXPECT_EQ(report.groups[0].removed, 2u);
      EXPECT_EQ(report.groups[0].segments.size(), listed);
      for (const ReapedSegment& segment : report.groups[0].segments)
        EXPECT_EQ(segment.verdict, ReapVerdict::removed) << segment.why;
      EXPECT_EQ(report.removed_names, 2u);
    });
    EXPECT_TRUE(names().empty());
  };
  const std::string lock = control_name(session(), 1), a = name(1, "a");
  expect_removed({SYS_newfstatat}, a, a, 1);
  expect_removed({SYS_unlinkat}, a, a, 2);
  expect_removed({SYS_unlinkat}, lock, lock, 2);
}

/// Another reaper that follows another rule took all of it, the lock's name too, after this one had locked it.
TEST_F(ReaperCalls, AGroupThatIsGoneUnderItsLockIsGone) {
  put_locks(1, 1);
  int lists = 0;
  const auto take_all = [&](const Called& call) -> std::optional<std::int64_t> {
    if (call.text_at(call.arguments[1]) == "." && ++lists == 2) remove(control_name(session(), 1));
    return std::nullopt;
  };
  where_answered({SYS_openat}, take_all, [&] {
    const ReapReport report = reap_all();
    ASSERT_EQ(report.groups.size(), 1u);
    EXPECT_EQ(report.groups[0].verdict, ReapVerdict::removed);
    EXPECT_EQ(report.groups[0].removed, 0u);
  });
}

TEST_F(ReaperCalls, ASegmentThatCannotBeUnlinkedIsTheGroupsFailure) {
  put(control_name(session(), 1));
  put(name(1, "a"), "12");
  const auto refuse = [&](const Called& call) -> std::optional<std::int64_t> {
    if (call.text_at(call.arguments[1]) == name(1, "a")) return -EIO;
    return std::nullopt;
  };
  where_answered({SYS_unlinkat}, refuse, [&] {
    const ReapReport report = reap({.directory = directory(), .list_segments = true});
    ASSERT_EQ(report.groups.size(), 1u);
    const std::string why = "system: cannot unlink \"" + name(1, "a") + "\": Input/output error";
    EXPECT_EQ(report.groups[0].verdict, ReapVerdict::failed);
    EXPECT_EQ(report.groups[0].why, why);
    EXPECT_EQ(report.groups[0].removed, 1u) << "P5: the lock's name";
    EXPECT_EQ(report.removed_bytes, 0u);
    ASSERT_EQ(report.groups[0].segments.size(), 1u);
    EXPECT_EQ(report.groups[0].segments[0].verdict, ReapVerdict::failed);
    EXPECT_EQ(report.groups[0].segments[0].why, why);
  });
  remove(name(1, "a"));
}

TEST_F(ReaperCalls, ALockThatCannotBeTakenIsAFailure) {
  put_locks(1, 1);
  where({{SYS_flock, ENOLCK}}, [&] {
    const ReapReport report = reap_all();
    ASSERT_EQ(report.groups.size(), 1u);
    EXPECT_EQ(report.groups[0].verdict, ReapVerdict::failed);
    EXPECT_NE(report.groups[0].why.find("cannot lock"), std::string::npos);
  });
  EXPECT_EQ(reap_all().removed_names, 1u);
}

/// P7: the group of the caller's own lock is in the report if something was there, removed or not.
TEST_F(ReaperCalls, OfItsOwnGroupItReportsWhatWasThere) {
  const auto directory = SegmentDirectory::open(this->directory());
  const auto mine = OwnerLock::acquire(*directory, session(), 7);
  ASSERT_TRUE(mine);
  const ReapOptions options{.directory = this->directory()};
  EXPECT_TRUE(reap(options, *mine).groups.empty()) << "there was nothing";
  put(name(7, "left"), "123");
  where({{SYS_unlinkat, EIO}}, [&] {
    const ReapReport failed = reap(options, *mine);
    ASSERT_EQ(failed.groups.size(), 1u);
    EXPECT_EQ(failed.groups[0].verdict, ReapVerdict::failed);
    EXPECT_EQ(failed.groups[0].removed + failed.removed_names, 0u);
  });
  const ReapReport report = reap(options, *mine);
  ASSERT_EQ(report.groups.size(), 1u);
  EXPECT_EQ(report.groups[0].verdict, ReapVerdict::removed);
  EXPECT_EQ(report.groups[0].why, "its session and pid are this owner's");
  EXPECT_EQ(report.groups[0].removed, 1u);
  EXPECT_EQ(report.removed_names, 1u);
  EXPECT_EQ(report.removed_bytes, 3u);
  EXPECT_EQ(mine->remove_name(*directory), 0);
}

TEST_F(ReaperCalls, ASegmentThatGoesWhileItIsDescribedIsGone) {
  const auto directory = SegmentDirectory::open(this->directory());
  const auto live = OwnerLock::acquire(*directory, session(), 7);
  put(name(7, "a"), "123");
  where_answered({SYS_newfstatat}, before_call_of(name(7, "a"), [&] { remove(name(7, "a")); }), [&] {
    const ReapReport report = reap({.directory = this->directory(), .list_segments = true});
    ASSERT_EQ(report.groups.size(), 1u);
    ASSERT_EQ(report.groups[0].segments.size(), 1u);
    const ReapedSegment& gone = report.groups[0].segments[0];
    EXPECT_EQ(gone.why, "gone meanwhile");
    EXPECT_EQ(gone.verdict, ReapVerdict::live);
    EXPECT_EQ(gone.bytes, 0u);
    EXPECT_EQ(gone.age_seconds, 0);
  });
  EXPECT_EQ(live->remove_name(*directory), 0);
}

}  // namespace
}  // namespace touchstone::engine
