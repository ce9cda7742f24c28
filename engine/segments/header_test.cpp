#include "engine/segments/header.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fstream>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "engine/segments/test_kernel.h"

namespace touchstone::engine {
namespace {

const SegmentNameParts kName{"session", 4711, "frame"};

SegmentHeader sealed() {
  SegmentHeader header = make_header(kName, 3, 100);
  seal(header, 42);
  return header;
}

TEST(SegmentHeader, IsValidForItsOwnNameAndSizeOnly) {
  const SegmentHeader header = sealed();
  EXPECT_TRUE(validate_header(header, kName, 356));
  EXPECT_EQ(validate_header(header, kName, 355).error().code, SegmentErrc::bad_size);
  EXPECT_EQ(validate_header(header, {"session", 4711, "other"}, 356).error().code, SegmentErrc::bad_header);
  EXPECT_EQ(validate_header(header, {"session", 4712, "frame"}, 356).error().code, SegmentErrc::bad_header);
  EXPECT_EQ(validate_header(header, {"sessio", 4711, "frame"}, 356).error().code, SegmentErrc::bad_header);
}

/// The checksum notices an accident. A header of another program, or of another version of this one, has a checksum that is
/// right: each field is compared for itself.
TEST(SegmentHeader, ComparesEveryFieldAlsoWhereTheChecksumIsRight) {
  const auto refusal = [](auto change) {
    SegmentHeader header = sealed();
    change(header);
    seal(header, 42);
    const auto checked = validate_header(header, kName, 356);
    return checked ? "accepted" : std::string(name_of(checked.error().code)) + ": " + checked.error().message;
  };
  EXPECT_EQ(refusal([](SegmentHeader&) {}), "accepted");
  EXPECT_EQ(refusal([](SegmentHeader& h) { ++h.magic; }), "bad_header: the header's magic number is wrong");
  EXPECT_EQ(refusal([](SegmentHeader& h) { ++h.version; }), "bad_header: the header's version is wrong");
  EXPECT_EQ(refusal([](SegmentHeader& h) { ++h.header_size; }),
            "bad_header: the header's header size is wrong");
  EXPECT_EQ(refusal([](SegmentHeader& h) { h.session[7] = 'x'; }),
            "bad_header: the header's session is wrong");
  EXPECT_EQ(refusal([](SegmentHeader& h) { ++h.creator_pid; }), "bad_header: the header's pid is wrong");
  EXPECT_EQ(refusal([](SegmentHeader& h) { ++h.key_hash; }), "bad_header: the header's key is wrong");
  EXPECT_TRUE(refusal([](SegmentHeader& h) { ++h.total_size; }).starts_with("bad_size"));
  EXPECT_TRUE(refusal([](SegmentHeader& h) { ++h.payload_size; }).starts_with("bad_size"));
}

TEST(SegmentHeader, NoticesEveryFlippedBit) {
  for (std::size_t bit = 0; bit < sizeof(SegmentHeader) * 8; ++bit) {
    SegmentHeader header = sealed();
    std::as_writable_bytes(std::span(&header, 1))[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    EXPECT_FALSE(validate_header(header, kName, 356)) << "bit " << bit;
  }
}

/// Every length up to three blocks, so that each tail of the unrolled loop is met.
TEST(SegmentChecksum, NoticesEveryFlippedBitAndEveryLength) {
  std::vector<std::byte> bytes;
  for (std::size_t length = 0; length < 192; ++length) {
    const std::uint64_t sum = checksum(bytes);
    for (std::size_t bit = 0; bit < length * 8; ++bit) {
      bytes[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
      EXPECT_NE(checksum(bytes), sum) << "length " << length << " bit " << bit;
      bytes[bit / 8] ^= static_cast<std::byte>(1 << (bit % 8));
    }
    bytes.push_back(std::byte{0});
    EXPECT_NE(checksum(bytes), sum) << "length " << length;
  }
}

/// Another build of this program reads what this one writes. The values are of an independent computation.
TEST(SegmentChecksum, IsTheSameInEveryBuild) {
  std::vector<std::byte> bytes;
  for (int i = 0; i < 200; ++i) bytes.push_back(static_cast<std::byte>(7 * i + 1));
  const auto first = [&](std::size_t n) { return checksum(std::span(bytes).first(n)); };
  EXPECT_EQ(first(0), 0xc09656351d8aa4bbu);
  EXPECT_EQ(first(8), 0x87df99c4335a5bb5u);
  EXPECT_EQ(first(63), 0x662335ce3d5d9e50u);
  EXPECT_EQ(first(64), 0xb8a4c6089d8970d5u);
  EXPECT_EQ(first(65), 0xf68bf0e4c2e82a88u);
  EXPECT_EQ(first(128), 0xaa0fc55306f9c461u);
  EXPECT_EQ(first(200), 0x545a8ba3c16a0171u);
}

/// What a person wants to know of an orphan: who made it, when, and in which boot and pid namespace.
TEST(SegmentHeader, SaysWhoMadeIt) {
  const SegmentHeader header = make_header({"session", ::getpid(), "frame"}, 3, 100);
  EXPECT_EQ(header.magic, 0x31474553'4b434f54u);
  EXPECT_EQ(header.version, 1u);
  EXPECT_EQ(header.header_size, 256u);
  EXPECT_EQ(header.payload_size, 100u);
  EXPECT_EQ(header.total_size, 356u);
  EXPECT_EQ(header.generation, 3u);
  EXPECT_EQ(header.creator_pid, ::getpid());
  EXPECT_EQ(header.session.data(), std::string("session"));
  EXPECT_EQ(header.header_checksum, 0u) << "not sealed yet";
  EXPECT_EQ(header.payload_checksum, 0u);

  std::string boot_id;
  std::getline(std::ifstream("/proc/sys/kernel/random/boot_id") >> std::ws, boot_id);
  EXPECT_EQ(header.boot_id.data(), boot_id);
  char link[64] = {};
  ASSERT_GT(::readlink("/proc/self/ns/pid", link, sizeof link - 1), 0);
  EXPECT_EQ("pid:[" + std::to_string(header.creator_pid_namespace) + "]", link);

  // Clock ticks after boot: not after now, and not before this process can have been started.
  std::ifstream stat("/proc/self/stat");
  std::string field;
  std::getline(stat, field, ')');
  for (int number = 3; number <= 22; ++number) stat >> field;
  EXPECT_EQ(std::to_string(header.creator_start_time), field);
}

/// A segment costs a few system calls, and none of them is for what this thread knows already.
TEST(SegmentHeader, AsksOnceForWhatStaysTheSame) {
  int opened = 0;
  const auto count = [&](const Called&) -> std::optional<std::int64_t> {
    ++opened;
    return std::nullopt;
  };
  where_answered({SYS_openat}, count, [] {
    for (int i = 0; i < 3; ++i) make_header({"session", ::getpid(), "frame"}, 1, 1);
  });
  EXPECT_EQ(opened, 2) << "the start time's file and the boot's";
}

/// Where there is no /proc nothing is known, which is nothing to guess.
TEST(SegmentHeader, SaysNothingOfWhatItCannotKnow) {
  SegmentHeader header;
  where({{SYS_openat, ENOENT}, {SYS_newfstatat, ENOENT}}, [&] {
    header = make_header({"session", ::getpid(), "frame"}, 1, 1);
  });
  EXPECT_EQ(header.creator_pid, ::getpid());
  EXPECT_EQ(header.creator_start_time, 0u);
  EXPECT_EQ(header.creator_pid_namespace, 0u);
  EXPECT_EQ(header.boot_id[0], '\0');
}

/// In a container the owner may be the first process.
TEST(SegmentHeader, SaysTheSameOfAProcessThatHasPidOne) {
  SegmentHeader header;
  std::thread([&] { header = make_header({"session", 1, "frame"}, 1, 1); }).join();
  EXPECT_NE(header.creator_start_time, 0u);
  EXPECT_NE(header.creator_pid_namespace, 0u);
  EXPECT_NE(header.boot_id[0], '\0');
}

}  // namespace
}  // namespace touchstone::engine
