#include "engine/segments/owner_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>

#include "engine/segments/name.h"

namespace touchstone::engine {
namespace {

/// Every failed check of L1 means that another process removed the name meanwhile; more than this is no race.
constexpr int kMostChecks = 1000;

SegmentError cannot_open(const std::string& name, int cause) {
  switch (cause) {
    case ENOENT:
      return SegmentError{SegmentErrc::not_found, "there is no \"" + name + "\"", cause};
    case ELOOP:   // a symlink
    case EISDIR:  // a directory
    case ENXIO:   // a socket
    case EACCES:  // somebody else's
    case EPERM:
      return SegmentError{SegmentErrc::foreign_file, "\"" + name + "\" is not a file of this user", cause};
    default:
      return system_failure("cannot open \"" + name + "\"", cause);
  }
}

}  // namespace

SegmentResult<OwnerLock> OwnerLock::acquire(const SegmentDirectory& directory, const std::string& session,
                                            pid_t pid, Missing missing) {
  const std::string name = control_name(session, pid);
  const int create = missing == Missing::create ? O_CREAT : 0;
  for (int check = 0; check < kMostChecks; ++check) {
    int cause = 0;
    GuardedDescriptor fd = GuardedDescriptor::open([&] {
      const int opened =
          ::openat(directory.fd(), name.c_str(), O_RDWR | create | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
      if (opened < 0) cause = errno;
      return opened;
    });
    if (cause != 0) return cannot_open(name, cause);

    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return system_failure("cannot look at \"" + name + "\"", errno);
    if (!is_own_regular_file(status)) {
      return SegmentError{SegmentErrc::foreign_file, "\"" + name + "\" is not a regular file of this user"};
    }
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EINTR) continue;
      if (errno != EWOULDBLOCK) return system_failure("cannot lock \"" + name + "\"", errno);
      return SegmentError{SegmentErrc::busy, "a live process holds \"" + name + "\"", errno};
    }
    const std::optional<struct stat> named = directory.status_of(name);
    if (named && same_file(status, *named)) return OwnerLock(name, std::move(fd), status);
  }
  return SegmentError{SegmentErrc::busy, "\"" + name + "\" was removed each time it was locked"};
}

bool OwnerLock::is_named(const SegmentDirectory& directory) const {
  const std::optional<struct stat> named = directory.status_of(name_);
  return named && same_file(locked_, *named);
}

}  // namespace touchstone::engine
