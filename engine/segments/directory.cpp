#include "engine/segments/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

namespace touchstone::engine {

void Descriptor::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

bool is_own_regular_file(const struct stat& status) {
  return S_ISREG(status.st_mode) && status.st_uid == ::geteuid();
}

SegmentResult<SegmentDirectory> SegmentDirectory::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return system_failure("cannot open the directory " + path, errno, SegmentErrc::bad_directory);
  }
  return SegmentDirectory(path, Descriptor(fd));
}

SegmentResult<Done> SegmentDirectory::scan(const std::function<void(std::string_view)>& visit) const {
  // A descriptor of its own: a shared one would share its position with other scans.
  const int fd = ::openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return system_failure("cannot list the directory " + path_, errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(fd), ::closedir);
  if (!stream) {
    const int cause = errno;
    ::close(fd);
    return system_failure("cannot list the directory " + path_, cause);
  }
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    visit(entry->d_name);
  }
  if (errno != 0) return system_failure("cannot list the directory " + path_, errno);
  return Done{};
}

std::optional<struct stat> SegmentDirectory::status_of(const std::string& name) const {
  struct stat status {};
  if (::fstatat(fd_.get(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  return status;
}

int SegmentDirectory::unlink(const std::string& name) const {
  return ::unlinkat(fd_.get(), name.c_str(), 0) == 0 ? 0 : errno;
}

}  // namespace touchstone::engine
