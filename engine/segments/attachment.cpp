#include "engine/segments/attachment.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/interprocess/exceptions.hpp>
#include <cerrno>
#include <optional>

#include "engine/segments/mappable.h"

namespace touchstone::engine {
namespace {

namespace ipc = boost::interprocess;

SegmentError quoted(SegmentErrc code, std::string_view name, std::string_view what, int cause = 0) {
  std::string message("\"");
  message.append(name).append("\" ").append(what);
  return SegmentError{code, std::move(message), cause};
}

SegmentResult<Descriptor> open_read_only(std::string_view name, const std::string& directory) {
  const std::string path = directory + "/" + std::string(name);
  // O_NONBLOCK: a FIFO at the name must not stop us.
  Descriptor fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (fd.is_open()) return fd;
  const int cause = errno;
  if (cause == ENOENT) return quoted(SegmentErrc::not_found, name, "does not exist", cause);
  if (cause == ELOOP || cause == ENXIO || cause == EACCES) {
    return quoted(SegmentErrc::foreign_file, name, "is not a regular file of this user", cause);
  }
  return system_failure("cannot open \"" + std::string(name) + "\"", cause);
}

/// The file's size, after everything that can be checked without mapping it (A2).
SegmentResult<std::uint64_t> inspect(int fd, std::string_view name, const SegmentNameParts& parts,
                                     std::optional<std::uint64_t> generation) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) return system_failure("cannot look at \"" + std::string(name) + "\"", errno);
  if (!is_own_regular_file(status)) {
    return quoted(SegmentErrc::foreign_file, name, "is not a regular file of this user");
  }
  SegmentHeader header;
  const ssize_t got = ::pread(fd, &header, sizeof header, 0);
  if (got < 0) return system_failure("cannot read \"" + std::string(name) + "\"", errno);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (got != static_cast<ssize_t>(sizeof header)) {
    return quoted(SegmentErrc::bad_size, name, "is shorter than a header");
  }
  if (auto valid = validate_header(header, parts, size); !valid) {
    return quoted(valid.error().code, name, "is no valid segment: " + valid.error().message);
  }
  if (generation && *generation != header.generation) {
    return quoted(SegmentErrc::stale_generation, name,
                  "holds generation " + std::to_string(header.generation) + ", the handle is of generation " +
                      std::to_string(*generation));
  }
  return size;
}

SegmentResult<ipc::mapped_region> attach_region(std::string_view name, const std::string& directory,
                                                std::optional<std::uint64_t> generation) {
  const auto parts = parse_name(name);
  if (!parts || parts->is_reserved()) return quoted(SegmentErrc::bad_name, name, "is not a segment's name");
  auto fd = open_read_only(name, directory);
  if (!fd) return fd.error();
  const auto size = inspect(fd->get(), name, *parts, generation);
  if (!size) return size.error();
  try {
    return ipc::mapped_region(Mappable{fd->get()}, ipc::read_only, 0, *size);
  } catch (const ipc::interprocess_exception& error) {
    const int cause = error.get_native_error();
    return quoted(cause == ENOMEM ? SegmentErrc::descriptor_limit : SegmentErrc::system, name,
                  "cannot be mapped", cause);
  }
}

}  // namespace

SegmentResult<Attachment> Attachment::attach(const SegmentHandle& handle, const std::string& directory) {
  auto region = attach_region(handle.name(), directory, handle.generation());
  if (!region) return region.error();
  return Attachment(std::move(*region));
}

SegmentResult<Attachment> Attachment::attach(std::string_view name, const std::string& directory) {
  auto region = attach_region(name, directory, std::nullopt);
  if (!region) return region.error();
  return Attachment(std::move(*region));
}

std::span<const std::byte> Attachment::bytes() const {
  return {static_cast<const std::byte*>(region_.get_address()) + sizeof(SegmentHeader),
          region_.get_size() - sizeof(SegmentHeader)};
}

const SegmentHeader& Attachment::header() const {
  return *static_cast<const SegmentHeader*>(region_.get_address());
}

SegmentResult<Done> Attachment::verify() const {
  if (checksum(bytes()) == header().payload_checksum) return Done{};
  return SegmentError{SegmentErrc::bad_payload, "the payload does not have the checksum of its header"};
}

}  // namespace touchstone::engine
