#pragma once
// Allocates shared memory under names that say whose it is, and gives all of it back.
//
//   auto owner = SegmentOwner::open({.session = "camera"});         // reaps first; empty: a random session
//   auto handle = owner->allocate("frame", bytes);                  // theus:camera:{pid}:frame
//   ... Attachment::attach(*handle) in any process ...              // attachment.h
//   owner->replace("frame", newer);  owner->free("frame");          // readers keep what they attached
//   // the destructor shuts down
//
// Any number of threads may call allocate, replace, free, audit and segments at once; open, become_main,
// shutdown, move and destruction exclude everything else.
//
// RULE R (owner_lock.h): no theus:S:P:* is unlinked except by a holder of the lock on the inode currently
// named its ~ctl.
//
// A name's life:
//
//        allocate                 replace (new inode renamed over)
//   absent ------> published g ------------------> published g+1
//     ^               |   |
//     |  free,        |   | the owner dies: its lock is gone, the name is an orphan
//     |  shutdown     |   v
//     +---------------+  orphan --- a reaper takes the lock, unlinks ---> absent
//
// S1 The owner lock is held from before the first name until after the last.
// S2 The pid in a name is that of the process that allocates, read at that moment.
// S3 A name appears with its whole content or not at all; an existing name is name_taken, never adopted.
// S4 Only the process that created a segment unlinks it: after fork() the child's copy of an owner owns
//    nothing, and its destructor does nothing.
// S5 Shutdown unlinks the segments, then the lock's name, then closes the lock: in this order, so that S1
//    holds when the process is killed between any two steps.
// S6 Allocate and replace are refused in a worker (fork_guard.h) with worker_role.
// S7 Once the lock's name was taken away nothing is published, replaced or unlinked any more: vanished. Whoever holds the
//    lock that bears the name now may be at work on the same names.

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/segments/attachment.h"
#include "engine/segments/directory.h"
#include "engine/segments/error.h"
#include "engine/segments/fork_guard.h"
#include "engine/segments/reaper.h"
#include "engine/segments/unpublished.h"

namespace touchstone::engine {

class SegmentOwner {
 public:
  enum class StartCheck : std::uint8_t { all_sessions, this_session, none };

  struct Options {
    std::string session = {};  ///< empty: random_session()
    std::string directory = kDefaultDirectory;
    StartCheck start_check = StartCheck::all_sessions;
    /// How often the lock is asked for, a millisecond apart: a reaper may hold it for a moment.
    unsigned lock_attempts = 2000;
  };

  /// Errors: bad_session, bad_directory, worker_role, busy, foreign_file, descriptor_limit, system.
  static SegmentResult<SegmentOwner> open(Options options);
  static SegmentResult<SegmentOwner> open() { return open(Options()); }

  SegmentOwner(SegmentOwner&& other) noexcept;
  SegmentOwner& operator=(SegmentOwner&& other) noexcept;
  ~SegmentOwner();

  /// Errors: bad_key, name_too_long, no_space, name_taken, worker_role, shut_down, descriptor_limit,
  /// unsupported, vanished (the lock's name), system.
  SegmentResult<SegmentHandle> allocate(std::string_view key, std::span<const std::byte> payload);
  SegmentResult<SegmentHandle> allocate(std::string_view key, std::size_t size, const Fill& fill);

  /// A new generation under the same name. Errors: as allocate, and not_found, vanished (also the
  /// segment's own name).
  SegmentResult<SegmentHandle> replace(std::string_view key, std::span<const std::byte> payload);
  SegmentResult<SegmentHandle> replace(std::string_view key, std::size_t size, const Fill& fill);

  /// Unlinks. Errors: bad_name, not_creator, not_found, vanished, shut_down, system.
  SegmentResult<Done> free(const SegmentHandle& handle);
  SegmentResult<Done> free(std::string_view key);

  /// Idempotent; the destructor does the same. In any other process than the owner's it does nothing. The
  /// error is that of the first name that could not be unlinked; the rest is unlinked all the same.
  SegmentResult<Done> shutdown();

  /// In a child of fork(): makes it a main, with a lock of its own; what the parent allocated stays the
  /// parent's. In the owner's process it does nothing. Errors: as open.
  SegmentResult<Done> become_main();

  /// Notices a deletion under our feet: the lock and every segment still bear their names. Errors: vanished.
  SegmentResult<Done> audit() const;

  std::vector<SegmentHandle> segments() const;
  const std::string& session() const { return options_.session; }
  const std::string& directory() const { return options_.directory; }

  /// What the start check did.
  const ReapReport& start_report() const { return start_report_; }

 private:
  class Ownership;
  using Build = std::function<SegmentResult<UnpublishedSegment>(const SegmentDirectory&,
                                                                const SegmentNameParts&, std::uint64_t)>;

  explicit SegmentOwner(Options options);

  SegmentResult<Done> check_and_own();
  SegmentResult<Done> take_ownership();
  void forget_ownership();
  SegmentResult<Ownership*> owned_here() const;
  SegmentResult<SegmentHandle> publish(std::string_view key, bool over_existing, std::uint64_t size,
                                       const Build& build);

  Options options_;
  ReapReport start_report_;
  std::unique_ptr<Ownership> ownership_;
};

}  // namespace touchstone::engine
