#include "engine/segments/unpublished.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <cerrno>
#include <cstring>
#include <limits>
#include <memory>

#include "engine/segments/header.h"
#include "engine/segments/mappable.h"

namespace touchstone::engine {
namespace {

namespace ipc = boost::interprocess;

constexpr std::size_t kMostPayload = std::numeric_limits<off_t>::max() - sizeof(SegmentHeader);

SegmentError no_room(std::size_t bytes, int cause) {
  return system_failure("cannot reserve " + std::to_string(bytes) + " bytes", cause);
}

/// Both, one behind the other, by one system call if the kernel takes all at once. 0 or errno.
int write_all(int fd, std::span<const std::byte> first, std::span<const std::byte> second) {
  while (!first.empty() || !second.empty()) {
    const std::array parts{iovec{const_cast<std::byte*>(first.data()), first.size()},
                           iovec{const_cast<std::byte*>(second.data()), second.size()}};
    const ssize_t written = ::writev(fd, parts.data(), static_cast<int>(parts.size()));
    if (written < 0 && errno != EINTR) return errno;
    if (written <= 0) continue;
    const std::size_t of_first = std::min(static_cast<std::size_t>(written), first.size());
    first = first.subspan(of_first);
    second = second.subspan(static_cast<std::size_t>(written) - of_first);
  }
  return 0;
}

/// 0 or errno.
int reserve(int fd, std::size_t bytes) {
  int cause = EINTR;
  while (cause == EINTR) cause = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  return cause;
}

/// Unmaps only in the process that mapped: a child did not inherit the mapping (U4), and the addresses may be
/// something else's there.
struct UnmapWhereMapped {
  ProcessMark mark = ProcessMark::here();
  void operator()(ipc::mapped_region* region) const {
    if (mark.is_here()) delete region;
  }
};
using WritableMapping = std::unique_ptr<ipc::mapped_region, UnmapWhereMapped>;

SegmentResult<WritableMapping> map_writable(int fd, std::size_t bytes) {
  WritableMapping mapping;
  int cause = 0;
  without_fork([&] {
    try {
      mapping.reset(new ipc::mapped_region(Mappable{fd}, ipc::read_write, 0, bytes));
      if (::madvise(mapping->get_address(), bytes, MADV_DONTFORK) != 0) cause = errno;
    } catch (const ipc::interprocess_exception& error) {
      cause = error.get_native_error();
    }
  });
  if (cause != 0) return system_failure("cannot map " + std::to_string(bytes) + " bytes", cause);
  return mapping;
}

}  // namespace

SegmentResult<UnpublishedSegment> UnpublishedSegment::create(const SegmentDirectory& directory) {
  int cause = 0;
  GuardedDescriptor fd = GuardedDescriptor::open([&] {
    const int opened = ::openat(directory.fd(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (opened < 0) cause = errno;
    return opened;
  });
  if (cause == EOPNOTSUPP || cause == EISDIR) {
    return SegmentError{SegmentErrc::unsupported,
                        "the file system of " + directory.path() + " has no unnamed files (O_TMPFILE)",
                        cause};
  }
  if (cause != 0) return system_failure("cannot make a file in " + directory.path(), cause);
  return UnpublishedSegment(std::move(fd));
}

SegmentResult<UnpublishedSegment> UnpublishedSegment::write(const SegmentDirectory& directory,
                                                            const SegmentNameParts& parts,
                                                            std::uint64_t generation,
                                                            std::span<const std::byte> payload) {
  auto made = create(directory);
  if (!made) return made;
  SegmentHeader header = make_header(parts, generation, payload.size());
  seal(header, checksum(payload));
  const int cause = write_all(made->fd_.get(), std::as_bytes(std::span(&header, 1)), payload);
  if (cause != 0) return no_room(payload.size(), cause);
  if (auto done = made->make_read_only(); !done) return done.error();
  return made;
}

SegmentResult<UnpublishedSegment> UnpublishedSegment::fill(const SegmentDirectory& directory,
                                                           const SegmentNameParts& parts,
                                                           std::uint64_t generation, std::size_t size,
                                                           const Fill& fill) {
  if (size > kMostPayload) return no_room(size, EFBIG);
  auto made = create(directory);
  if (!made) return made;
  const std::size_t total = sizeof(SegmentHeader) + size;
  if (const int cause = reserve(made->fd_.get(), total); cause != 0) return no_room(size, cause);

  auto mapping = map_writable(made->fd_.get(), total);
  if (!mapping) return mapping.error();
  auto* const start = static_cast<std::byte*>((*mapping)->get_address());
  const std::span<std::byte> payload(start + sizeof(SegmentHeader), size);
  fill(payload);
  if (!mapping->get_deleter().mark.is_here()) {
    return SegmentError{SegmentErrc::worker_role, "the process forked while it filled a segment"};
  }
  SegmentHeader header = make_header(parts, generation, size);
  seal(header, checksum(payload));
  std::memcpy(start, &header, sizeof header);
  mapping->reset();
  if (auto done = made->make_read_only(); !done) return done.error();
  return made;
}

SegmentResult<Done> UnpublishedSegment::make_read_only() {
  if (::fchmod(fd_.get(), 0400) != 0 || ::fstat(fd_.get(), &status_) != 0) {
    return system_failure("cannot make the segment read-only", errno);
  }
  return Done{};
}

SegmentResult<Done> UnpublishedSegment::link(const SegmentDirectory& directory,
                                             const std::string& name) const {
  // By /proc, because AT_EMPTY_PATH needs a capability on most kernels.
  const std::string self = "/proc/self/fd/" + std::to_string(fd_.get());
  if (::linkat(AT_FDCWD, self.c_str(), directory.fd(), name.c_str(), AT_SYMLINK_FOLLOW) == 0) return Done{};
  if (errno == EEXIST) {
    return SegmentError{SegmentErrc::name_taken, "\"" + name + "\" exists and is not adopted", errno};
  }
  return system_failure("cannot publish \"" + name + "\"", errno);
}

}  // namespace touchstone::engine
