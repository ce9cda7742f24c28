#pragma once
// The first 256 bytes of a segment: what an attach validates and what a person who looks at an orphan wants
// to know. It never decides whether the owner lives; only the owner lock does (owner_lock.h).
//
//   SegmentHeader header = make_header(name_parts, generation, payload);
//   auto checked = validate_header(header, name, file_size);   // bad_header, bad_size
//
// Pure but for make_header, which reads /proc. Fields are in the machine's byte order: a segment never
// leaves it.

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "engine/segments/error.h"
#include "engine/segments/name.h"

namespace touchstone::engine {

inline constexpr std::uint64_t kSegmentMagic = 0x31474553'4b434f54;  // "TOCKSEG1"
inline constexpr std::uint32_t kSegmentVersion = 1;

struct SegmentHeader {
  std::uint64_t magic = kSegmentMagic;
  std::uint32_t version = kSegmentVersion;
  std::uint32_t header_size = 256;
  std::uint64_t payload_size = 0;
  std::uint64_t total_size = 0;  ///< of the file
  std::uint64_t generation = 0;
  std::uint64_t key_hash = 0;
  std::uint64_t payload_checksum = 0;
  std::int64_t creator_pid = 0;
  std::uint64_t creator_start_time = 0;     ///< clock ticks after boot
  std::uint64_t creator_pid_namespace = 0;  ///< inode of /proc/self/ns/pid
  std::array<char, 64> session{};
  std::array<char, 40> boot_id{};
  std::array<std::uint64_t, 8> reserved{};
  std::uint64_t header_checksum = 0;  ///< of all the bytes before it
};
static_assert(sizeof(SegmentHeader) == 256);

/// A checksum that notices every change of a single aligned word, and any other with probability 1 - 2^-64.
std::uint64_t checksum(std::span<const std::byte> bytes);

SegmentHeader make_header(const SegmentNameParts& name, std::uint64_t generation, std::uint64_t payload_size);

/// Writes the checksums, last of all.
void seal(SegmentHeader& header, std::uint64_t payload_checksum);

/// Errors: bad_header, bad_size.
SegmentResult<Done> validate_header(const SegmentHeader& header, const SegmentNameParts& name,
                                    std::uint64_t file_size);

}  // namespace touchstone::engine
