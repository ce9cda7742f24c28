// What an owner asks of the kernel and in which order, and what it says and keeps when the kernel refuses.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <string>
#include <vector>

#include "engine/segments/owner_lock.h"
#include "engine/segments/test_directory.h"
#include "engine/segments/test_kernel.h"

namespace touchstone::engine {
namespace {

class OwnerCalls : public SegmentTest {
 protected:
  SegmentOwner::Options unchecked() const {
    auto options = this->options();
    options.start_check = SegmentOwner::StartCheck::none;
    return options;
  }

  std::string control() const { return control_name(session(), ::getpid()); }
  std::string name(const std::string& key) const { return *encode_name(session(), ::getpid(), key); }
};

TEST_F(OwnerCalls, AReplacementWhoseOtherNameIsTakenReplacesNothing) {
  SegmentOwner owner = this->owner();
  const auto first = owner.allocate("frame", bytes_of("old"));
  ASSERT_TRUE(first);
  const std::string taken = temporary_name(session(), ::getpid(), 2);
  put(taken);
  EXPECT_EQ(owner.replace("frame", bytes_of("new")).error().code, SegmentErrc::name_taken);
  EXPECT_EQ(text_of(Attachment::attach(*first, directory())->bytes()), "old");
  EXPECT_TRUE(owner.audit());
  remove(taken);
}

TEST_F(OwnerCalls, AReplacementOfWhatIsFreedMeanwhileIsNone) {
  SegmentOwner owner = this->owner();
  ASSERT_TRUE(owner.allocate("frame", bytes_of("old")));
  const auto replaced = owner.replace("frame", 3, [&](auto) { EXPECT_TRUE(owner.free("frame")); });
  ASSERT_FALSE(replaced);
  EXPECT_EQ(replaced.error().code, SegmentErrc::vanished);
  EXPECT_EQ(names(), std::vector<std::string>{control()});
}

TEST_F(OwnerCalls, AReplacementThatFailsLeavesTheOldOneAlone) {
  SegmentOwner owner = this->owner();
  const auto first = owner.allocate("frame", bytes_of("old"));
  ASSERT_TRUE(first);
  where({{SYS_renameat, EIO}, {SYS_renameat2, EIO}}, [&] {
    const auto second = owner.replace("frame", bytes_of("new"));
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, SegmentErrc::system);
    EXPECT_EQ(second.error().system_error, EIO);
    EXPECT_EQ(second.error().message, "cannot replace \"" + std::string(first->name()) + "\"");
  });
  EXPECT_EQ(names(), (std::vector<std::string>{name("frame"), control()}));
  EXPECT_EQ(text_of(Attachment::attach(*first, directory())->bytes()), "old");
  EXPECT_TRUE(owner.audit());
}

TEST_F(OwnerCalls, WhatCannotBeUnlinkedIsStillOwned) {
  SegmentOwner owner = this->owner();
  ASSERT_TRUE(owner.allocate("frame", bytes_of("x")));
  where({{SYS_unlinkat, EIO}}, [&] {
    const auto freed = owner.free("frame");
    ASSERT_FALSE(freed);
    EXPECT_EQ(freed.error().code, SegmentErrc::system);
    EXPECT_EQ(freed.error().system_error, EIO);
    EXPECT_EQ(freed.error().message, "cannot unlink \"" + name("frame") + "\"");
  });
  EXPECT_EQ(owner.segments().size(), 1u);
  EXPECT_TRUE(owner.free("frame"));
}

/// The error of a shutdown is that of the first name, whatever comes after it.
TEST_F(OwnerCalls, AShutdownThatCannotUnlinkSaysOfWhichNameFirst) {
  SegmentOwner owner = this->owner();
  ASSERT_TRUE(owner.allocate("a", bytes_of("1")));
  ASSERT_TRUE(owner.allocate("b", bytes_of("2")));
  where({{SYS_unlinkat, EIO}}, [&] {
    const auto down = owner.shutdown();
    ASSERT_FALSE(down);
    EXPECT_EQ(down.error().code, SegmentErrc::system);
    EXPECT_EQ(down.error().message, "cannot unlink \"" + name("a") + "\"");
  });
  EXPECT_TRUE(owner.segments().empty());
  EXPECT_EQ(reap({.directory = directory()}).removed_names, 3u) << "nobody holds the lock any more";
}

TEST_F(OwnerCalls, AShutdownThatCannotUnlinkItsLockSaysSo) {
  SegmentOwner owner = this->owner();
  where({{SYS_unlinkat, EIO}}, [&] {
    const auto down = owner.shutdown();
    ASSERT_FALSE(down);
    EXPECT_EQ(down.error().message, "cannot unlink the owner lock");
    EXPECT_EQ(down.error().system_error, EIO);
  });
  EXPECT_EQ(reap({.directory = directory()}).removed_names, 1u);
}

/// S5: a kill after any of them leaves the lock's name as long as there is another one.
TEST_F(OwnerCalls, AShutdownUnlinksTheLocksNameLast) {
  SegmentOwner owner = this->owner();
  for (const char* key : {"a", "b"}) ASSERT_TRUE(owner.allocate(key, bytes_of("x")));
  std::vector<std::string> unlinked;
  const auto note = [&](const Called& call) {
    unlinked.push_back(call.text_at(call.arguments[1]));
    return std::nullopt;
  };
  where_answered({SYS_unlinkat}, note, [&] { EXPECT_TRUE(owner.shutdown()); });
  EXPECT_EQ(unlinked, (std::vector<std::string>{name("a"), name("b"), control()}));
}

/// As often as it is told, a millisecond apart, and no longer than it takes.
TEST_F(OwnerCalls, ALockThatIsHeldIsAskedForAsOftenAsItIsTold) {
  const auto directory = SegmentDirectory::open(this->directory());
  const auto held = OwnerLock::acquire(*directory, session(), ::getpid());
  ASSERT_TRUE(held);
  std::string calls;
  const auto note = [&](const Called& call) {
    calls += call.call == SYS_flock ? "ask " : "sleep ";
    if (call.call == SYS_clock_nanosleep) {
      const auto pause = call.at<timespec>(call.arguments[2]);
      EXPECT_EQ(pause.tv_sec, 0);
      EXPECT_EQ(pause.tv_nsec, 1'000'000);
    }
    return std::nullopt;
  };
  where_answered({SYS_flock, SYS_clock_nanosleep}, note,
                 [&] { EXPECT_EQ(SegmentOwner::open(unchecked()).error().code, SegmentErrc::busy); });
  EXPECT_EQ(calls, "ask sleep ask sleep ask ");
  EXPECT_EQ(held->remove_name(*directory), 0);
}

TEST_F(OwnerCalls, WhatIsNoLockIsAskedForOnce) {
  ASSERT_EQ(::symlink("/dev/null", path(control()).c_str()), 0);
  int sleeps = 0;
  const auto count = [&](const Called&) {
    ++sleeps;
    return std::nullopt;
  };
  where_answered({SYS_clock_nanosleep}, count,
                 [&] { EXPECT_EQ(SegmentOwner::open(unchecked()).error().code, SegmentErrc::foreign_file); });
  EXPECT_EQ(sleeps, 0);
  remove(control());
}

TEST_F(OwnerCalls, ADirectoryThatCannotBeListedHasNoOwner) {
  where({{SYS_getdents64, EIO}}, [&] {
    for (const auto& options : {unchecked(), this->options()}) {
      const auto opened = SegmentOwner::open(options);
      ASSERT_FALSE(opened);
      EXPECT_EQ(opened.error().code, SegmentErrc::system);
      EXPECT_EQ(opened.error().system_error, EIO);
    }
  });
  remove(control());
}

/// L1, twice: the name of the lock goes, or another file takes it, between the opening and the locking.
TEST_F(OwnerCalls, ALockWhoseNameIsAnothersByThenIsNotTheLock) {
  const auto directory = SegmentDirectory::open(this->directory());
  for (const bool replaced : {false, true}) {
    int locks = 0;
    const auto take_the_name_away = [&](const Called&) {
      if (++locks == 1) remove(control());
      if (locks == 1 && replaced) put(control());
      return std::nullopt;
    };
    where_answered({SYS_flock}, take_the_name_away, [&] {
      const auto lock = OwnerLock::acquire(*directory, session(), ::getpid());
      ASSERT_TRUE(lock);
      EXPECT_TRUE(lock->is_named(*directory));
      EXPECT_EQ(lock->remove_name(*directory), 0);
    });
    EXPECT_EQ(locks, 2);
  }
}

/// The owner's list and the names in the directory change together: whoever looks in the middle waits.
TEST_F(OwnerCalls, NobodySeesANameThatTheListDoesNotKnowYet) {
  SegmentOwner owner = this->owner();
  ASSERT_TRUE(owner.allocate("other", bytes_of("x")));
  int made = 0;
  const std::function<void()> steps[] = {
      [&] { EXPECT_GE(owner.segments().size(), 1u); },
      [&] { EXPECT_TRUE(owner.audit()); },
      [&] { EXPECT_FALSE(owner.free("never")); },
      [&] { EXPECT_EQ(owner.allocate("other", bytes_of("x")).error().code, SegmentErrc::name_taken); },
  };
  for (const auto& step : steps) {
    const std::string key = "key" + std::to_string(++made);
    EXPECT_FALSE(comes_back_within(
        SYS_linkat, [&] { EXPECT_TRUE(owner.allocate(key, bytes_of("x"))); }, step))
        << made;
    EXPECT_FALSE(comes_back_within(
        SYS_renameat, [&] { EXPECT_TRUE(owner.replace(key, bytes_of("y"))); }, step))
        << made;
    EXPECT_FALSE(comes_back_within(
        SYS_unlinkat, [&] { EXPECT_TRUE(owner.free(key)); }, step))
        << made;
  }
}

TEST_F(OwnerCalls, WithoutADescriptorThereIsNoLock) {
  const auto directory = SegmentDirectory::open(this->directory());
  where({{SYS_openat, EMFILE}}, [&] {
    const auto lock = OwnerLock::acquire(*directory, session(), 7);
    ASSERT_FALSE(lock);
    EXPECT_EQ(lock.error().code, SegmentErrc::descriptor_limit);
    EXPECT_EQ(lock.error().message, "cannot open \"" + control_name(session(), 7) + "\"");
  });
}

}  // namespace
}  // namespace touchstone::engine
