#include "engine/segments/owner.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "engine/segments/owner_lock.h"
#include "engine/segments/test_directory.h"
#include "engine/segments/unpublished.h"

namespace touchstone::engine {
namespace {

class SegmentOwnerTest : public SegmentTest {};

TEST_F(SegmentOwnerTest, PublishesACompleteReadOnlySegmentUnderTheSourcesName) {
  SegmentOwner owner = this->owner();
  auto handle = owner.allocate("frame", bytes_of("hello"));
  ASSERT_TRUE(handle);
  EXPECT_EQ(handle->name(), "theus:" + session() + ":" + std::to_string(::getpid()) + ":frame");
  EXPECT_EQ(handle->payload_size(), 5u);
  auto seen = Attachment::attach(*handle, directory());
  ASSERT_TRUE(seen) << describe(seen.error());
  EXPECT_EQ(text_of(seen->bytes()), "hello");
  EXPECT_TRUE(seen->verify());
  struct stat status {};
  ASSERT_EQ(::stat(path(std::string(handle->name())).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0400u);
}

TEST_F(SegmentOwnerTest, FillsInPlaceFromZero) {
  SegmentOwner owner = this->owner();
  auto handle = owner.allocate("frame", 10'000, [](std::span<std::byte> payload) {
    for (std::byte byte : payload) EXPECT_EQ(byte, std::byte{0});
    payload[9'999] = std::byte{7};
  });
  ASSERT_TRUE(handle);
  auto seen = Attachment::attach(*handle, directory());
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->bytes()[9'999], std::byte{7});
  EXPECT_TRUE(seen->verify());
}

TEST_F(SegmentOwnerTest, PublishesNothingWhenTheFillThrows) {
  SegmentOwner owner = this->owner();
  EXPECT_THROW((void)owner.allocate("frame", 10, [](auto) { throw std::runtime_error("no camera"); }),
               std::runtime_error);
  EXPECT_EQ(names().size(), 1u) << "only the lock";
  EXPECT_TRUE(owner.allocate("frame", bytes_of("x"))) << "the key is still free";
}

TEST_F(SegmentOwnerTest, TakesAnEmptyPayload) {
  SegmentOwner owner = this->owner();
  auto handle = owner.allocate("empty", bytes_of(""));
  ASSERT_TRUE(handle);
  EXPECT_EQ(Attachment::attach(*handle, directory())->bytes().size(), 0u);
}

TEST_F(SegmentOwnerTest, NeverAdoptsAnExistingName) {
  SegmentOwner owner = this->owner();
  ASSERT_TRUE(owner.allocate("mine", bytes_of("1")));
  EXPECT_EQ(owner.allocate("mine", bytes_of("2")).error().code, SegmentErrc::name_taken);
  const auto again = owner.allocate("mine", 3, [](auto) { ADD_FAILURE() << "filled for nothing"; });
  EXPECT_EQ(again.error().code, SegmentErrc::name_taken);

  const std::string squatted = *encode_name(session(), ::getpid(), "squatted");
  put(squatted, "stranger");
  EXPECT_EQ(owner.allocate("squatted", bytes_of("2")).error().code, SegmentErrc::name_taken);
  EXPECT_EQ(owner.free("squatted").error().code, SegmentErrc::not_found);
  EXPECT_TRUE(owner.shutdown());
  EXPECT_TRUE(exists(squatted)) << "not ours, so not unlinked";
  remove(squatted);
}

TEST_F(SegmentOwnerTest, ReplaceMakesANewGenerationAndReadersKeepTheirs) {
  SegmentOwner owner = this->owner();
  auto first = owner.allocate("frame", bytes_of("old"));
  auto reader = Attachment::attach(*first, directory());
  auto second = owner.replace("frame", bytes_of("newer"));
  ASSERT_TRUE(second);
  EXPECT_GT(second->generation(), first->generation());
  EXPECT_EQ(text_of(reader->bytes()), "old");
  EXPECT_EQ(Attachment::attach(*first, directory()).error().code, SegmentErrc::stale_generation);
  EXPECT_EQ(text_of(Attachment::attach(second->name(), directory())->bytes()), "newer");
  EXPECT_EQ(names().size(), 2u) << "no temporary name is left";
  EXPECT_EQ(owner.replace("other", bytes_of("")).error().code, SegmentErrc::not_found);
}

TEST_F(SegmentOwnerTest, ReplaceTakesAFillerForWhatIsLargeAlready) {
  SegmentOwner owner = this->owner();
  ASSERT_TRUE(owner.allocate("frame", bytes_of("old")));
  auto handle = owner.replace("frame", 3, [](std::span<std::byte> memory) { memory[1] = std::byte{'x'}; });
  ASSERT_TRUE(handle);
  EXPECT_EQ(text_of(Attachment::attach(*handle, directory())->bytes()), std::string("\0x\0", 3));
}

TEST_F(SegmentOwnerTest, AnOwnerThatIsAssignedEndsItsSessionAndTakesTheOther) {
  SegmentOwner first = this->owner();
  ASSERT_TRUE(first.allocate("gone", bytes_of("x")));
  SegmentOwner::Options other = options();
  other.session = session() + "b";
  auto second = SegmentOwner::open(other);
  ASSERT_TRUE(second) << describe(second.error());
  auto kept = second->allocate("kept", bytes_of("y"));
  first = std::move(*second);
  EXPECT_EQ(first.session(), other.session);
  EXPECT_EQ(first.start_report().count(ReapVerdict::live), 1u)
      << "the first one lived when the second one looked";
  EXPECT_EQ(names().size(), 2u) << "one segment and its owner's lock";
  EXPECT_EQ(text_of(Attachment::attach(*kept, directory())->bytes()), "y");
  SegmentOwner& itself = first;
  first = std::move(itself);
  EXPECT_EQ(first.segments(), std::vector<SegmentHandle>{*kept});
  EXPECT_TRUE(first.free("kept"));
  EXPECT_EQ(first.free("gone").error().code, SegmentErrc::not_found);
}

TEST_F(SegmentOwnerTest, FreeTakesTheNameAndLeavesReadersTheMemory) {
  SegmentOwner owner = this->owner();
  auto old = owner.allocate("frame", bytes_of("kept"));
  auto handle = owner.replace("frame", bytes_of("kept"));
  auto reader = Attachment::attach(*handle, directory());
  EXPECT_EQ(owner.free(*old).error().code, SegmentErrc::stale_generation);
  EXPECT_TRUE(owner.free(*handle));
  EXPECT_FALSE(exists(std::string(handle->name())));
  EXPECT_EQ(text_of(reader->bytes()), "kept");
  EXPECT_EQ(owner.free(*handle).error().code, SegmentErrc::not_found);
  EXPECT_TRUE(owner.allocate("frame", bytes_of("again")));
}

TEST_F(SegmentOwnerTest, RefusesKeysThatDoNotFit) {
  SegmentOwner owner = this->owner();
  EXPECT_EQ(owner.allocate("", bytes_of("")).error().code, SegmentErrc::bad_key);
  EXPECT_EQ(owner.free("").error().code, SegmentErrc::bad_key);
  EXPECT_EQ(owner.free(std::string(255, 'k')).error().code, SegmentErrc::name_too_long);
  EXPECT_EQ(owner.allocate(std::string(255, 'k'), bytes_of("")).error().code, SegmentErrc::name_too_long);
  EXPECT_EQ(owner.allocate("huge", SIZE_MAX, [](auto) {}).error().code, SegmentErrc::system);
}

TEST_F(SegmentOwnerTest, RefusesASessionWithAColon) {
  auto options = this->options();
  options.session = "a:b";
  EXPECT_EQ(SegmentOwner::open(options).error().code, SegmentErrc::bad_session);
}

TEST_F(SegmentOwnerTest, FreesSegmentsOfItsOwnOnly) {
  SegmentOwner owner = this->owner();
  const auto handle = owner.allocate("frame", bytes_of("x"));
  ASSERT_TRUE(handle);
  const auto refusal = [&](const std::string& name) {
    return owner.free(SegmentHandle(name, 1, handle->generation())).error().code;
  };
  EXPECT_EQ(refusal("no name"), SegmentErrc::bad_name);
  EXPECT_EQ(refusal(control_name(session(), ::getpid())), SegmentErrc::bad_name);
  EXPECT_EQ(refusal(*encode_name(session() + "x", ::getpid(), "frame")), SegmentErrc::not_creator);
  EXPECT_EQ(refusal(*encode_name(session(), ::getpid() + 1, "frame")), SegmentErrc::not_creator);
  EXPECT_EQ(refusal(*encode_name(session(), ::getpid(), "other")), SegmentErrc::not_found);
  EXPECT_TRUE(owner.free(*handle));
}

TEST_F(SegmentOwnerTest, ReapsAtItsStartAndSaysWhatItFound) {
  const std::string other = *encode_name(session() + "x", 7, "orphan");
  for (const auto& [check, removed] :
       {std::pair(SegmentOwner::StartCheck::none, 0u), std::pair(SegmentOwner::StartCheck::this_session, 0u),
        std::pair(SegmentOwner::StartCheck::all_sessions, 2u)}) {
    put(other, "1234");
    auto options = this->options();
    options.start_check = check;
    const auto owner = SegmentOwner::open(options);
    ASSERT_TRUE(owner);
    EXPECT_EQ(owner->start_report().removed_names, removed) << "the orphan and its lock";
    EXPECT_EQ(owner->start_report().removed_bytes, 2 * removed);
    EXPECT_EQ(exists(other), removed == 0);
  }
}

TEST_F(SegmentOwnerTest, NamesADirectoryThatIsAFile) {
  put("file");
  EXPECT_EQ(SegmentDirectory::open(path("file")).error().code, SegmentErrc::bad_directory);
  remove("file");
}

TEST_F(SegmentOwnerTest, NamesADirectoryThatIsNotThere) {
  auto options = this->options();
  options.directory = directory() + "/missing";
  for (const auto check : {SegmentOwner::StartCheck::all_sessions, SegmentOwner::StartCheck::none}) {
    options.start_check = check;
    const auto opened = SegmentOwner::open(options);
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, SegmentErrc::bad_directory);
    EXPECT_NE(opened.error().message.find("/missing"), std::string::npos);
  }
}

TEST_F(SegmentOwnerTest, DrawsASessionWhenItIsGivenNone) {
  auto options = this->options();
  options.session = "";
  const auto one = SegmentOwner::open(options), other = SegmentOwner::open(options);
  ASSERT_TRUE(one) << describe(one.error());
  ASSERT_TRUE(other) << describe(other.error());
  EXPECT_EQ(one->session().size(), 32u);
  EXPECT_NE(one->session(), other->session());
}

TEST_F(SegmentOwnerTest, IsAloneWithItsSessionAndPid) {
  SegmentOwner owner = this->owner();
  EXPECT_EQ(SegmentOwner::open(options()).error().code, SegmentErrc::busy);
  EXPECT_TRUE(owner.allocate("frame", bytes_of("x"))) << "the first owner is unharmed";
}

TEST_F(SegmentOwnerTest, ShutsDownOnceAndRefusesAfterwards) {
  SegmentOwner owner = this->owner();
  ASSERT_TRUE(owner.allocate("a", bytes_of("1")));
  ASSERT_TRUE(owner.allocate("b", bytes_of("2")));
  EXPECT_EQ(owner.segments().size(), 2u);
  EXPECT_TRUE(owner.shutdown());
  EXPECT_EQ(names().size(), 0u);
  EXPECT_TRUE(owner.segments().empty());
  EXPECT_TRUE(owner.shutdown());
  EXPECT_EQ(owner.allocate("c", bytes_of("3")).error().code, SegmentErrc::shut_down);
}

TEST_F(SegmentOwnerTest, AMovedOwnerOwnsOnce) {
  SegmentOwner owner = this->owner();
  ASSERT_TRUE(owner.allocate("a", bytes_of("1")));
  SegmentOwner moved = std::move(owner);
  EXPECT_EQ(names().size(), 2u);
  EXPECT_EQ(owner.allocate("b", bytes_of("2")).error().code, SegmentErrc::shut_down);
  EXPECT_TRUE(moved.allocate("b", bytes_of("2")));
}

/// systemd's RemoveIPC and eager clean-up scripts delete live names. The memory stays; what must not happen
/// is that nobody notices, or that the owner goes on unlinking names that another owner may have made
/// meanwhile.
TEST_F(SegmentOwnerTest, NoticesDeletionsUnderItsFeet) {
  SegmentOwner owner = this->owner();
  auto handle = owner.allocate("frame", bytes_of("x"));
  EXPECT_TRUE(owner.audit());
  remove(std::string(handle->name()));
  EXPECT_EQ(owner.audit().error().code, SegmentErrc::vanished);
  EXPECT_EQ(owner.replace("frame", bytes_of("y")).error().code, SegmentErrc::vanished);
  EXPECT_EQ(owner.free("frame").error().code, SegmentErrc::vanished);
  EXPECT_TRUE(owner.audit());
}

TEST_F(SegmentOwnerTest, UnlinksNothingOnceItsLockWasTakenAway) {
  SegmentOwner owner = this->owner();
  auto handle = owner.allocate("frame", bytes_of("x"));
  remove(control_name(session(), ::getpid()));
  EXPECT_EQ(owner.audit().error().code, SegmentErrc::vanished);
  EXPECT_EQ(owner.allocate("other", bytes_of("x")).error().code, SegmentErrc::vanished);
  EXPECT_EQ(owner.replace("frame", bytes_of("y")).error().code, SegmentErrc::vanished);
  EXPECT_EQ(owner.free("frame").error().code, SegmentErrc::vanished);
  EXPECT_EQ(names(), std::vector<std::string>{std::string(handle->name())});
  EXPECT_EQ(text_of(Attachment::attach(*handle, directory())->bytes()), "x") << "its first generation";
  EXPECT_EQ(owner.shutdown().error().code, SegmentErrc::vanished);
  EXPECT_TRUE(exists(std::string(handle->name())));
  EXPECT_EQ(reap({.directory = directory(), .session = std::nullopt}).removed_names, 2u);
}

/// Another file under a name that was ours is somebody else's: neither replaced nor unlinked, and it keeps nobody from
/// taking the rest away.
TEST_F(SegmentOwnerTest, AStrangersFileUnderItsNameStaysAndTheRestGoes) {
  SegmentOwner owner = this->owner();
  const std::string stolen(owner.allocate("a", bytes_of("1"))->name());
  const std::string own(owner.allocate("b", bytes_of("2"))->name());
  const std::string freed(owner.allocate("c", bytes_of("3"))->name());
  for (const std::string& name : {stolen, freed}) {
    remove(name);
    put(name, "a stranger's");
  }
  EXPECT_EQ(owner.audit().error().code, SegmentErrc::vanished);
  EXPECT_EQ(owner.replace("a", bytes_of("4")).error().code, SegmentErrc::vanished);
  EXPECT_EQ(owner.free("c").error().code, SegmentErrc::vanished);
  EXPECT_EQ(owner.shutdown().error().code, SegmentErrc::vanished);
  EXPECT_FALSE(exists(own)) << "the first name that could not be unlinked stopped the rest";
  EXPECT_EQ(names(), (std::vector<std::string>{stolen, freed}));
  EXPECT_EQ(std::filesystem::file_size(path(stolen)), 12u);
  for (const std::string& name : {stolen, freed}) remove(name);
}

/// The lock of a dead process of our own session and pid is free: taking it makes its leftovers ours to
/// remove.
TEST_F(SegmentOwnerTest, SweepsWhatAnEarlierProcessOfItsPidLeft) {
  put(*encode_name(session(), ::getpid(), "frame"), "orphan");
  auto options = this->options();
  options.start_check = SegmentOwner::StartCheck::none;
  auto owner = SegmentOwner::open(options);
  ASSERT_TRUE(owner);
  EXPECT_TRUE(owner->allocate("frame", bytes_of("new")));
}

TEST(SegmentOwnerOptions, DefaultsAreWhatTheHeaderPromises) {
  const SegmentOwner::Options options;
  EXPECT_EQ(options.session, "");
  EXPECT_EQ(options.directory, "/dev/shm");
  EXPECT_EQ(options.start_check, SegmentOwner::StartCheck::all_sessions);
  EXPECT_EQ(options.lock_attempts, 2000u);
}

TEST_F(SegmentOwnerTest, AnAuditOfNothingIsAnError) {
  SegmentOwner owner = this->owner();
  EXPECT_TRUE(owner.audit());
  EXPECT_TRUE(owner.shutdown());
  EXPECT_EQ(owner.audit().error().code, SegmentErrc::shut_down);
}

TEST_F(SegmentOwnerTest, GenerationsCountFromOne) {
  SegmentOwner owner = this->owner();
  EXPECT_EQ(owner.allocate("a", bytes_of(""))->generation(), 1u);
  EXPECT_EQ(owner.allocate("b", bytes_of(""))->generation(), 2u);
  EXPECT_EQ(owner.replace("a", bytes_of(""))->generation(), 3u);
}

TEST_F(SegmentOwnerTest, SaysThatThereIsNoRoomForMoreThanThereIs) {
  SegmentOwner owner = this->owner();
  const auto refusal = [&](std::size_t size) {
    return owner.allocate("large", size, [](auto) { ADD_FAILURE() << "filled"; }).error();
  };
  EXPECT_EQ(refusal(std::size_t{1} << 42).code, SegmentErrc::no_space) << "which could be mapped";
  EXPECT_EQ(refusal(std::size_t{1} << 50).code, SegmentErrc::no_space);
  EXPECT_EQ(refusal(~std::size_t{0}).system_error, EFBIG);
  EXPECT_EQ(refusal(~std::size_t{0} - 255).system_error, EFBIG) << "with the header it would be none at all";
  EXPECT_EQ(names().size(), 1u) << "only the lock";
  EXPECT_TRUE(owner.allocate("large", bytes_of("x")));
}

TEST_F(SegmentOwnerTest, NeedsAFileSystemThatHasUnnamedFiles) {
  const auto directory = SegmentDirectory::open("/proc");
  ASSERT_TRUE(directory);
  const auto made = UnpublishedSegment::write(*directory, {session(), ::getpid(), "a"}, 1, bytes_of("x"));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, SegmentErrc::unsupported) << describe(made.error());
}

TEST_F(SegmentOwnerTest, PublishesOnlyWhereAFreeNameIs) {
  const auto directory = SegmentDirectory::open(this->directory());
  const auto made = UnpublishedSegment::write(*directory, {session(), ::getpid(), "a"}, 1, bytes_of("x"));
  ASSERT_TRUE(made);
  put("taken");
  EXPECT_EQ(made->link(*directory, "taken").error().code, SegmentErrc::name_taken);
  EXPECT_EQ(made->link(*directory, "not-there/name").error().code, SegmentErrc::system);
  EXPECT_EQ(made->link(*directory, "free").has_value(), true);
  EXPECT_EQ(files_in(this->directory()), (std::vector<std::string>{"free", "taken"}));
}

TEST_F(SegmentOwnerTest, AsksForItsLockAsOftenAsItIsTold) {
  const auto directory = SegmentDirectory::open(this->directory());
  auto held = OwnerLock::acquire(*directory, session(), ::getpid());
  auto options = this->options();
  options.lock_attempts = 20;
  options.start_check = SegmentOwner::StartCheck::none;
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(SegmentOwner::open(options).error().code, SegmentErrc::busy);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(19)) << "a millisecond apart";
  EXPECT_EQ(held->remove_name(*directory), 0);
}

TEST_F(SegmentOwnerTest, OfWhatIsNotThereADirectoryKnowsNothing) {
  const auto directory = SegmentDirectory::open(this->directory());
  ASSERT_TRUE(directory);
  EXPECT_FALSE(directory->status_of("missing"));
  put("there");
  const auto leaves_an_error = [](std::string_view) { errno = ENOENT; };
  EXPECT_TRUE(directory->scan(leaves_an_error)) << "the visitor's error is not the directory's";
  remove("there");
}

/// U4, as far as it can be seen afterwards: what was mapped for the filling is mapped no more.
TEST_F(SegmentOwnerTest, KeepsNoMappingOfWhatItFilled) {
  SegmentOwner owner = this->owner();
  errno = EIO;  // of an earlier call
  ASSERT_TRUE(owner.allocate("frame", 10'000, [](auto) {}));
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    EXPECT_EQ(line.find(directory()), std::string::npos) << line;
  }
}

TEST(SegmentDirectory, TellsFilesApartByDeviceAndNumberAndOwner) {
  struct stat a {};
  a.st_dev = 1;
  a.st_ino = 2;
  struct stat other_device = a, other_number = a;
  other_device.st_dev = 3;
  other_number.st_ino = 3;
  EXPECT_TRUE(same_file(a, a));
  EXPECT_FALSE(same_file(a, other_device));
  EXPECT_FALSE(same_file(a, other_number));
  a.st_mode = S_IFREG;
  a.st_uid = ::geteuid();
  EXPECT_TRUE(is_own_regular_file(a));
  a.st_uid = ::geteuid() + 1;
  EXPECT_FALSE(is_own_regular_file(a));
  a.st_uid = ::geteuid();
  a.st_mode = S_IFDIR;
  EXPECT_FALSE(is_own_regular_file(a));
}

TEST_F(SegmentOwnerTest, SweepsRegularFilesOfItsOwnGroupOnly) {
  const std::string link = *encode_name(session(), ::getpid(), "link");
  const std::string other_pid = *encode_name(session(), ::getpid() + 1, "frame");
  const std::string other_session = *encode_name(session() + "x", ::getpid(), "frame");
  ASSERT_EQ(::symlink("/dev/null", path(link).c_str()), 0);
  put(other_pid, "theirs");
  put(other_session, "theirs");
  auto options = this->options();
  options.start_check = SegmentOwner::StartCheck::none;
  EXPECT_TRUE(SegmentOwner::open(options));
  EXPECT_EQ(names().size(), 3u);
  for (const std::string& name : {link, other_pid, other_session}) remove(name);
}

}  // namespace
}  // namespace touchstone::engine
