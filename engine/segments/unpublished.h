#pragma once
// A segment on its way: an unnamed file (O_TMPFILE) that is reserved, filled, checksummed and made
// read-only before it can get a name. The kernel frees it if its process dies, so nothing half-built is
// ever visible.
//
//   auto made = UnpublishedSegment::write(directory, parts, generation, bytes);
//   auto done = made->link(directory, name);       // name_taken: something is there already
//
// An object belongs to one thread.
//
// U1 Space is reserved before it is touched: a full file system is no_space, never SIGBUS.
// U2 The file's mode is 0400 before it has a name.
// U3 Linking never replaces: it publishes the complete file or nothing.
// U4 A writable mapping is not inherited by children of fork(), and is gone before the file gets its name.

#include <sys/stat.h>

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "engine/segments/directory.h"
#include "engine/segments/error.h"
#include "engine/segments/fork_guard.h"
#include "engine/segments/name.h"

namespace touchstone::engine {

/// Writes the whole payload, which is zero before. It must not fork; a child's writes end it by SIGSEGV.
using Fill = std::function<void(std::span<std::byte>)>;

class UnpublishedSegment {
 public:
  /// Copies `payload`. Errors: no_space, descriptor_limit, unsupported, system.
  static SegmentResult<UnpublishedSegment> write(const SegmentDirectory& directory,
                                                 const SegmentNameParts& parts, std::uint64_t generation,
                                                 std::span<const std::byte> payload);

  /// Lets `fill` write `size` bytes in place. What it throws passes through, and nothing remains.
  static SegmentResult<UnpublishedSegment> fill(const SegmentDirectory& directory,
                                                const SegmentNameParts& parts, std::uint64_t generation,
                                                std::size_t size, const Fill& fill);

  /// Errors: name_taken, no_space, system.
  SegmentResult<Done> link(const SegmentDirectory& directory, const std::string& name) const;

  const struct stat& status() const { return status_; }

 private:
  explicit UnpublishedSegment(GuardedDescriptor fd) : fd_(std::move(fd)) {}

  static SegmentResult<UnpublishedSegment> create(const SegmentDirectory& directory);
  SegmentResult<Done> make_read_only();

  GuardedDescriptor fd_;
  struct stat status_ {};
};

}  // namespace touchstone::engine
