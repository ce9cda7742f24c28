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
