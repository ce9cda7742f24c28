#include "engine/segments/header.h"

#include <gtest/gtest.h>

#include <vector>

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

}  // namespace
}  // namespace touchstone::engine
