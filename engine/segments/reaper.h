#pragma once
// Removes what dead owners left behind. Run it at start; SegmentOwner does.
//
//   ReapReport report = reap({.directory = "/dev/shm"});
//   for (const ReapedGroup& group : report.groups) print(group.session, group.pid, group.why);
//
// Callable from any thread and any number of processes at once; a reaper that is killed leaves what the
// next one removes.
//
// A group is all names of one (session, pid). Rule R (owner_lock.h) decides it:
// P1 The lock is taken before anything of the group is unlinked, and the directory is listed again under
//    the lock: the first list may be of an owner that has gone since, and another one's names may have
//    come.
// P2 The lock's name is unlinked last.
// P3 Busy means alive, whatever the pid says: it may have been reused, or belong to another pid namespace.
// P4 Only regular files of the calling user are touched; where there is none, not even a lock is made.
// P5 A failure is reported and never stops the rest.
// P6 Locks are taken in batches, so that 1,000 dead sessions cost a few listings of the directory and not
//    1,000.
// P7 The group of a lock that the caller holds already is listed only after the lock was taken, so one list
//    is enough for it; its lock stays.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/segments/directory.h"
#include "engine/segments/error.h"
#include "engine/segments/owner_lock.h"

namespace touchstone::engine {

enum class ReapVerdict : std::uint8_t {
  removed,       ///< the owner was dead, all of its names are gone
  would_remove,  ///< the same in a dry run, which touches nothing
  live,          ///< the owner lock is held
  foreign,       ///< no regular file of this user, or the lock's name is not ours
  failed,        ///< something of ours could not be removed; the next reaper tries again
};

std::string_view name_of(ReapVerdict verdict);

struct ReapedSegment {
  std::string encoded_key;
  std::uint64_t bytes = 0;  ///< of the file
  std::int64_t age_seconds = 0;
  ReapVerdict verdict = ReapVerdict::live;
  std::string why;
};

struct ReapedGroup {
  std::string session;
  pid_t pid = 0;
  ReapVerdict verdict = ReapVerdict::live;
  std::string why;
  std::size_t removed = 0;              ///< names, the lock's among them
  std::vector<ReapedSegment> segments;  ///< with ReapOptions::list_segments
};

struct ReapReport {
  std::vector<ReapedGroup> groups;  ///< sorted by session and pid
  std::size_t removed_names = 0;
  std::uint64_t removed_bytes = 0;
  std::size_t unparsable_names = 0;   ///< begin with "theus:" and are no names of segments: left alone
  std::optional<SegmentError> error;  ///< the directory itself could not be listed

  std::size_t count(ReapVerdict verdict) const;
};

struct ReapOptions {
  std::string directory = kDefaultDirectory;
  std::optional<std::string> session = {};  ///< only this one
  bool dry_run = false;
  bool list_segments = false;
};

ReapReport reap(const ReapOptions& options);

/// The same beside a lock of the caller's own: what its (session, pid) left is removed, too (P7). The group is in the
/// report only if it left something.
ReapReport reap(const ReapOptions& options, const OwnerLock& held);

}  // namespace touchstone::engine
