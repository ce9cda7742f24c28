#pragma once
// The lock that says whether a (session, pid) lives: flock on the file theus:{session}:{pid}:~ctl.
//
//   auto lock = OwnerLock::acquire(directory, session, ::getpid());    // busy: somebody alive holds it
//   ...                                                                 // names may be made and unlinked
//   lock.remove_name(directory);                                        // last, and still under the lock
//
// An object belongs to one thread at a time. acquire never waits.
//
// RULE R. No theus:S:P:* is unlinked except by a holder of the lock on the inode currently named
// theus:S:P:~ctl.
//
// What makes the rule work:
// L1 The inode locked is compared with the inode named after locking. Without it, a late arrival could lock
//    an inode whose name is gone while another process locks the new one.
// L2 The name of the lock is unlinked last, under the lock; so while any name of the group exists, there is
//    one lock.
// L3 A flock belongs to the open file description: it is independent of pid, pid namespace, clock and start
//    time; the kernel drops it only when the last descriptor is closed, that is when the process is gone.
// L4 Never LOCK_UN: in a child that inherited the descriptor it would drop the parent's lock. Never POSIX
//    record locks: an unrelated open and close of the same file in the process drops those.
// L5 Children of fork() do not keep the descriptor (fork_guard.h).

#include <sys/types.h>

#include <string>

#include "engine/segments/directory.h"
#include "engine/segments/error.h"
#include "engine/segments/fork_guard.h"

namespace touchstone::engine {

class OwnerLock {
 public:
  enum class Missing : std::uint8_t {
    create,  ///< makes the lock's file when there is none
    refuse,  ///< not_found
  };

  /// Errors: busy, foreign_file (what is at the name is not ours), not_found, descriptor_limit, system.
  static SegmentResult<OwnerLock> acquire(const SegmentDirectory& directory, const std::string& session,
                                          pid_t pid, Missing missing = Missing::create);

  /// The inode that is locked still bears the name.
  bool is_named(const SegmentDirectory& directory) const;

  const std::string& name() const { return name_; }

  /// Unlinks the lock's name. Afterwards the object only has to be destroyed. 0 or errno.
  int remove_name(const SegmentDirectory& directory) const { return directory.unlink(name_); }

 private:
  OwnerLock(std::string name, GuardedDescriptor fd, const struct stat& locked)
      : name_(std::move(name)), fd_(std::move(fd)), locked_(locked) {}

  std::string name_;
  GuardedDescriptor fd_;
  struct stat locked_;  ///< its file, which stays the same while the descriptor is open
};

}  // namespace touchstone::engine
