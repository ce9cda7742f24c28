#pragma once
// A read-only view of a published segment: no copy, whatever its size.
//
//   struct SegmentHandle { name, payload_size, generation }      // plain bytes: send it through any pipe
//   auto seen = Attachment::attach(handle);
//   std::span<const std::byte> bytes = seen->bytes();
//
// Any process of the user may attach, worker or main. An attachment may be read from several threads at
// once.
//
// A1 The mapping and the descriptor under it are read-only: a write is SIGSEGV, mprotect is refused.
// A2 What is at the name is validated (regular file of this user, header, sizes, name) before a byte of it
//    is given out.
// A3 An attachment keeps its generation: replace and free take the name, not the memory.
// A4 Attaching makes no owner: no attachment ever unlinks anything.
//
// Errors: bad_name, not_found, foreign_file, bad_header, bad_size, stale_generation, descriptor_limit,
// system.

#include <array>
#include <boost/interprocess/mapped_region.hpp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "engine/segments/directory.h"
#include "engine/segments/error.h"
#include "engine/segments/header.h"
#include "engine/segments/name.h"

namespace touchstone::engine {

/// All that another process needs to attach: 272 bytes for a segment of any size.
class SegmentHandle {
 public:
  SegmentHandle() = default;
  SegmentHandle(std::string_view name, std::uint64_t payload_size, std::uint64_t generation)
      : payload_size_(payload_size), generation_(generation) {
    name.copy(name_.data(), kMaxNameBytes);
  }

  std::string_view name() const { return {name_.data(), ::strnlen(name_.data(), name_.size())}; }
  std::uint64_t payload_size() const { return payload_size_; }
  std::uint64_t generation() const { return generation_; }

  friend bool operator==(const SegmentHandle&, const SegmentHandle&) = default;

 private:
  std::array<char, kMaxNameBytes + 1> name_{};
  std::uint64_t payload_size_ = 0;
  std::uint64_t generation_ = 0;
};
static_assert(std::is_trivially_copyable_v<SegmentHandle> && sizeof(SegmentHandle) < 1024);

class Attachment {
 public:
  /// The generation of the handle, or stale_generation.
  static SegmentResult<Attachment> attach(const SegmentHandle& handle,
                                          const std::string& directory = kDefaultDirectory);

  /// Whatever generation is at the name now.
  static SegmentResult<Attachment> attach(std::string_view name,
                                          const std::string& directory = kDefaultDirectory);

  std::span<const std::byte> bytes() const;
  const SegmentHeader& header() const;

  /// Reads the whole payload. Errors: bad_payload.
  SegmentResult<Done> verify() const;

 private:
  explicit Attachment(boost::interprocess::mapped_region region) : region_(std::move(region)) {}

  boost::interprocess::mapped_region region_;
};

}  // namespace touchstone::engine
