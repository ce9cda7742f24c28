// Hostile surroundings: acceptance C9. Every test demands a typed error, and that what is not ours stays as it was.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "stress/chaos/child.h"
#include "stress/chaos/segment_test.h"
#include "stress/chaos/trespass.h"

namespace touchstone::chaos {
namespace {

using engine::bytes_of;
using engine::ReapVerdict;

class AcceptanceC9 : public ChaosTest {
 protected:
  /// Nothing where it is ours, our own pid's name where we allocate.
  std::string squatted() const { return *engine::encode_name(session(), ::getpid(), "squatted"); }

  void expect_refused_and_untouched(SegmentErrc on_attach) {
    SegmentOwner owner = this->owner();
    struct stat before {};
    ASSERT_EQ(::lstat(path(squatted()).c_str(), &before), 0) << "the owner's start check removed it";
    EXPECT_EQ(expect_refusal(owner.allocate("squatted", bytes_of("x")), SegmentErrc::name_taken), "");
    EXPECT_EQ(expect_refusal(Attachment::attach(squatted(), directory()), on_attach), "");
    EXPECT_EQ(why(owner.shutdown()), "");
    reap_all();
    struct stat after {};
    ASSERT_EQ(::lstat(path(squatted()).c_str(), &after), 0) << "it was removed";
    EXPECT_EQ(after.st_ino, before.st_ino);
    EXPECT_EQ(after.st_size, before.st_size);
    remove(squatted());
  }
};

TEST_F(AcceptanceC9, FullMemoryIsATypedErrorAndNoBusError) {
  const std::string report = fill_one_megabyte(options());
  if (report.starts_with("no mount namespace")) GTEST_SKIP() << "expected skip: " << report;
  EXPECT_EQ(report, "");
}

TEST_F(AcceptanceC9, KeysOfAnyBytesRoundTripThroughTheFileSystem) {
  SegmentOwner owner = this->owner();
  std::string every_byte;
  for (int byte = 0; byte < 128; ++byte) every_byte.push_back(static_cast<char>(byte));
  for (const std::string& key :
       {every_byte.substr(0, 64), every_byte.substr(64), std::string("a:b:c"), std::string("../x"),
        std::string("."), std::string("~ctl"), std::string("~t1"), std::string("caméra/Ω")}) {
    auto handle = owner.allocate(key, bytes_of(key));
    ASSERT_TRUE(handle) << why(handle);
    EXPECT_EQ(engine::decode_key(engine::parse_name(handle->name())->encoded_key), key);
    auto seen = Attachment::attach(*handle, directory());
    ASSERT_TRUE(seen) << why(seen);
    EXPECT_EQ(engine::text_of(seen->bytes()), key);
  }
  EXPECT_EQ(names().size(), 9u);
}

TEST_F(AcceptanceC9, TheLongestNameFitsAndOneByteMoreIsRefused) {
  SegmentOwner owner = this->owner();
  const std::size_t room = 255 - engine::encode_name(session(), ::getpid(), "k")->size() + 1;
  const auto longest = owner.allocate(std::string(room, 'k'), bytes_of("x"));
  ASSERT_TRUE(longest) << why(longest);
  EXPECT_EQ(longest->name().size(), 255u);
  EXPECT_EQ(engine::decode_key(engine::parse_name(longest->name())->encoded_key), std::string(room, 'k'));
  EXPECT_EQ(why(Attachment::attach(*longest, directory())), "");
  const std::string ends_encoded = std::string(room - 3, 'k') + "/";
  const auto encoded = owner.allocate(ends_encoded, bytes_of("y"));
  ASSERT_TRUE(encoded) << why(encoded);
  EXPECT_EQ(engine::decode_key(engine::parse_name(encoded->name())->encoded_key), ends_encoded);
  EXPECT_EQ(engine::text_of(Attachment::attach(*encoded, directory())->bytes()), "y");
  EXPECT_EQ(
      expect_refusal(owner.allocate(std::string(room + 1, 'k'), bytes_of("x")), SegmentErrc::name_too_long),
      "");
}

TEST_F(AcceptanceC9, ASymlinkAtTheNameIsNeitherFollowedNorRemoved) {
  put("target", "precious");
  ASSERT_EQ(::symlink(path("target").c_str(), path(squatted()).c_str()), 0);
  expect_refused_and_untouched(SegmentErrc::foreign_file);
  EXPECT_TRUE(exists("target"));
}

TEST_F(AcceptanceC9, AFifoAtTheNameStopsNobody) {
  ASSERT_EQ(::mkfifo(path(squatted()).c_str(), 0600), 0);
  expect_refused_and_untouched(SegmentErrc::foreign_file);
}

TEST_F(AcceptanceC9, ADirectoryAtTheNameIsLeftAlone) {
  ASSERT_EQ(::mkdir(path(squatted()).c_str(), 0700), 0);
  expect_refused_and_untouched(SegmentErrc::foreign_file);
}

TEST_F(AcceptanceC9, AnotherUsersFileAtTheNameIsLeftAlone) {
  put(squatted(), "theirs");
  if (::chown(path(squatted()).c_str(), 65534, 65534) != 0) {
    remove(squatted());
    GTEST_SKIP() << "expected skip: only root can give a file away";
  }
  expect_refused_and_untouched(SegmentErrc::foreign_file);
}

/// The lock of another user's owner cannot be judged by us: whether it is held or not, its names are not ours to touch,
/// not even as root, who could.
TEST_F(AcceptanceC9, AnotherUsersLiveOwnerIsLeftAlone) {
  if (::geteuid() != 0) GTEST_SKIP() << "expected skip: only root can become another user";
  ASSERT_EQ(::chmod(directory().c_str(), 0777), 0);
  Gate ready;
  Child other = Child::start([&]() -> std::string {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) return "setuid";
    engine::become_main();
    auto owner = SegmentOwner::open(options());
    if (!owner || !owner->allocate("theirs", bytes_of("x"))) return "the other user could not allocate";
    ready.open();
    wait_for_ever();
  });
  ASSERT_TRUE(ready.wait());
  const auto before = names();
  EXPECT_EQ(reap_all().count(ReapVerdict::foreign), 1u);
  EXPECT_EQ(names(), before);
  other.kill();
  EXPECT_EQ(reap_all().count(ReapVerdict::foreign), 1u);
  EXPECT_EQ(names(), before);
  for (const std::string& name : before) remove(name);
}

/// Wrong magic, truncated, empty: regular files of this user with one of our names. The owner finds the name taken; a
/// reader gets the reason. (A reaper may remove them: they are regular files of ours in a group that nobody owns.)
TEST_F(AcceptanceC9, FilesThatOnlyLookLikeSegmentsAreRefusedWithTheReason) {
  SegmentOwner owner = this->owner();
  auto handle = owner.allocate("frame", bytes_of("payload"));
  put(squatted(), std::string(4096, 'x'));
  EXPECT_EQ(expect_refusal(owner.allocate("squatted", bytes_of("x")), SegmentErrc::name_taken), "");
  EXPECT_EQ(expect_refusal(Attachment::attach(squatted(), directory()), SegmentErrc::bad_header), "");
  put(squatted(), "short");
  EXPECT_EQ(expect_refusal(Attachment::attach(squatted(), directory()), SegmentErrc::bad_size), "");
  EXPECT_EQ(expect_refusal(Attachment::attach("theus:no:segment", directory()), SegmentErrc::bad_name), "");
  EXPECT_EQ(why(owner.shutdown()), "");
  EXPECT_TRUE(exists(squatted()));
  remove(squatted());
}

/// P5: a directory that has become read-only lets a reaper lock and not unlink. Each group says so, and none stops another;
/// what is left goes at the next start.
TEST_F(AcceptanceC9, WhatCannotBeUnlinkedIsReportedAndStopsNoReaper) {
  const std::string report = as_ordinary_user(directory(), [&]() -> std::string {
    for (pid_t pid : {7, 8}) {
      put(engine::control_name(session(), pid));
      put(*engine::encode_name(session(), pid, "orphan"));
    }
    if (::chmod(directory().c_str(), 0500) != 0) return "chmod";
    const auto stuck = engine::reap({.directory = directory(), .session = {}, .list_segments = true});
    if (::chmod(directory().c_str(), 0700) != 0) return "chmod";
    std::string wrong;
    if (stuck.count(ReapVerdict::failed) != 2) wrong += "not both groups failed; ";
    for (const auto& group : stuck.groups) {
      if (group.why.find("cannot unlink") == std::string::npos) wrong += "no reason but " + group.why + "; ";
      if (group.segments.size() != 1 || group.segments[0].verdict != ReapVerdict::failed)
        wrong += "no segment; ";
    }
    if (stuck.removed_names != 0) wrong += "it counted what it did not remove; ";
    if (reap_all().count(ReapVerdict::removed) != 2) wrong += "the next reaper did not remove both";
    return wrong;
  });
  EXPECT_EQ(report, "");
}

TEST_F(AcceptanceC9, NoDescriptorLeftIsATypedErrorAndAReaperMakesSmallerBatches) {
  // Of a session apart: in a small pid namespace the owner's own pid may be one of these.
  for (pid_t pid = 1; pid <= 50; ++pid) put(*engine::encode_name("orphans", pid, "orphan"));
  const std::string report = report_of_child([&]() -> std::string {
    engine::become_main();
    auto options = this->options();
    options.start_check = SegmentOwner::StartCheck::none;
    auto owner = SegmentOwner::open(options);
    if (!owner) return why(owner);
    const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    const rlimit all_but_eight{static_cast<rlim_t>(next + 8), static_cast<rlim_t>(next + 8)};
    if (::setrlimit(RLIMIT_NOFILE, &all_but_eight) != 0) return "setrlimit";
    const auto reaped = reap_all();
    std::string wrong;
    if (reaped.count(ReapVerdict::removed) != 50) wrong += "not all 50 groups were removed; ";
    while (::open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0) {
      // Until there is none left.
    }
    wrong += expect_refusal(owner->allocate("key", bytes_of("x")), SegmentErrc::descriptor_limit);
    wrong += expect_refusal(SegmentOwner::open(options), SegmentErrc::descriptor_limit);
    return wrong + why(owner->shutdown());
  });
  EXPECT_EQ(report, "");
}

/// The kernel gives a process 65,530 mappings: splitting a large one page by page uses them up.
TEST_F(AcceptanceC9, NoMappingLeftIsATypedError) {
  if (kSanitizer) GTEST_SKIP() << "expected skip: a sanitizer's own mappings would be refused first";
  SegmentOwner owner = this->owner();
  auto handle = owner.allocate("frame", bytes_of("x"));
  const std::string report = report_of_child([&]() -> std::string {
    constexpr std::size_t kPages = 1 << 18;
    constexpr std::size_t kPage = 4096;
    auto* pages = static_cast<char*>(
        ::mmap(nullptr, kPages * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (pages == MAP_FAILED) return "mmap";
    for (std::size_t i = 0; i < kPages; i += 2) {
      if (::mprotect(pages + i * kPage, kPage, PROT_READ) != 0) break;
    }
    while (::mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) {
      // What is left after the last split.
      if (::mmap(nullptr, kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED) break;
    }
    return expect_refusal(Attachment::attach(*handle, directory()), SegmentErrc::descriptor_limit);
  });
  EXPECT_EQ(report, "");
}

}  // namespace
}  // namespace touchstone::chaos
