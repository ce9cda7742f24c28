#pragma once
// The directory that holds the names, and what the protocol asks of it. It is a parameter, so that tests
// can use one of their own.
//
//   auto directory = SegmentDirectory::open("/dev/shm");
//   directory->scan([](std::string_view name) { ... });
//   auto status = directory->status_of(name);             // never follows a symlink
//
// A directory may be used from several threads at once. Every call names a file relative to the descriptor,
// so that a renamed or remounted path cannot send half of a protocol elsewhere.

#include <sys/stat.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/segments/error.h"

namespace touchstone::engine {

inline constexpr const char* kDefaultDirectory = "/dev/shm";

/// A descriptor that is closed with its holder.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~Descriptor() { reset(-1); }

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset(int fd);

 private:
  int fd_ = -1;
};

/// Two descriptors or names lead to the same file.
inline bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/// Ours to touch: a regular file of the calling user.
bool is_own_regular_file(const struct stat& status);

class SegmentDirectory {
 public:
  /// Errors: bad_directory, descriptor_limit.
  static SegmentResult<SegmentDirectory> open(const std::string& path);

  const std::string& path() const { return path_; }
  int fd() const { return fd_.get(); }

  /// Calls `visit` with every entry's name, in no order. Entries that come or go meanwhile may be missed.
  SegmentResult<Done> scan(const std::function<void(std::string_view)>& visit) const;

  /// nullopt when nothing is there, or cannot be looked at.
  std::optional<struct stat> status_of(const std::string& name) const;

  /// 0 or errno. Callers keep Rule R.
  int unlink(const std::string& name) const;

 private:
  SegmentDirectory(std::string path, Descriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  Descriptor fd_;
};

}  // namespace touchstone::engine
