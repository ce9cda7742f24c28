#include "engine/segments/owner.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "engine/segments/name.h"
#include "engine/segments/owner_lock.h"

namespace touchstone::engine {
namespace {

SegmentError vanished(std::string_view name) {
  return SegmentError{SegmentErrc::vanished, "somebody removed or replaced \"" + std::string(name) + "\""};
}

SegmentError refused(const std::string& why) {
  return SegmentError{SegmentErrc::worker_role, why};
}

/// Unlinks what an earlier process of the same session and pid left. The caller holds the lock (Rule R).
SegmentResult<Done> sweep(const SegmentDirectory& directory, const std::string& session, pid_t pid) {
  std::vector<std::string> leftovers;
  auto scanned = directory.scan([&](std::string_view entry) {
    const auto parts = split_name(entry);
    if (parts && parts->session == session && parts->pid == pid && parts->encoded_key != kControlKey) {
      leftovers.emplace_back(entry);
    }
  });
  for (const std::string& name : leftovers) {
    const auto status = directory.status_of(name);
    if (status && is_own_regular_file(*status)) directory.unlink(name);
  }
  return scanned;
}

}  // namespace

/// What one process owns: the lock, and the segments that it published.
class SegmentOwner::Ownership {
 public:
  Ownership(SegmentDirectory directory, OwnerLock lock)
      : directory_(std::move(directory)), lock_(std::move(lock)) {}

  const ProcessMark& mark() const { return mark_; }
  const SegmentDirectory& directory() const { return directory_; }
  std::uint64_t next_generation() { return generations_.fetch_add(1) + 1; }

  bool knows(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    return published_.count(name) != 0;
  }

  SegmentResult<SegmentHandle> publish(const UnpublishedSegment& made, const SegmentHandle& handle);
  SegmentResult<SegmentHandle> replace(const UnpublishedSegment& made, const SegmentHandle& handle,
                                       const std::string& temporary);
  SegmentResult<Done> free(const std::string& name, std::optional<std::uint64_t> generation);
  SegmentResult<Done> shutdown();
  SegmentResult<Done> audit() const;
  std::vector<SegmentHandle> segments() const;

 private:
  friend class SegmentOwner;

  struct Published {
    SegmentHandle handle;
    struct stat file;
  };

  bool still_named(const std::string& name, const Published& published) const {
    const auto status = directory_.status_of(name);
    return status && same_file(*status, published.file);
  }

  /// Whoever took the lock's name away may let another have it: from then on this process touches no name (Rule R).
  bool holds_the_lock() const { return lock_ && lock_->is_named(directory_); }

  const ProcessMark mark_ = ProcessMark::here();
  const SegmentDirectory directory_;
  std::optional<OwnerLock> lock_;  ///< empty after shutdown
  std::atomic<std::uint64_t> generations_{0};
  mutable std::mutex mutex_;  ///< of published_ and of the names in it
  std::map<std::string, Published> published_;
  Ownership* next_inherited_ = nullptr;
};

SegmentResult<SegmentHandle> SegmentOwner::Ownership::publish(const UnpublishedSegment& made,
                                                              const SegmentHandle& handle) {
  const std::string name(handle.name());
  const std::lock_guard lock(mutex_);
  if (!holds_the_lock()) return vanished("~ctl");
  if (auto linked = made.link(directory_, name); !linked) return linked.error();
  published_.insert_or_assign(name, Published{handle, made.status()});
  return handle;
}

SegmentResult<SegmentHandle> SegmentOwner::Ownership::replace(const UnpublishedSegment& made,
                                                              const SegmentHandle& handle,
                                                              const std::string& temporary) {
  const std::string name(handle.name());
  const std::lock_guard lock(mutex_);
  if (!holds_the_lock()) return vanished("~ctl");
  const auto found = published_.find(name);
  if (found == published_.end() || !still_named(name, found->second)) return vanished(name);
  if (auto linked = made.link(directory_, temporary); !linked) return linked.error();
  const int fd = directory_.fd();
  if (::renameat(fd, temporary.c_str(), fd, name.c_str()) != 0) {
    const int cause = errno;
    directory_.unlink(temporary);
    return system_failure("cannot replace \"" + name + "\"", cause);
  }
  found->second = Published{handle, made.status()};
  return handle;
}

SegmentResult<Done> SegmentOwner::Ownership::free(const std::string& name,
                                                  std::optional<std::uint64_t> generation) {
  const std::lock_guard lock(mutex_);
  const auto found = published_.find(name);
  if (found == published_.end()) {
    return SegmentError{SegmentErrc::not_found, "this owner has no \"" + name + "\""};
  }
  if (generation && *generation != found->second.handle.generation()) {
    return SegmentError{SegmentErrc::stale_generation,
                        "\"" + name + "\" was replaced since the handle was made"};
  }
  if (!holds_the_lock()) return vanished("~ctl");
  const bool named = still_named(name, found->second);
  const int cause = named ? directory_.unlink(name) : ENOENT;
  if (cause != 0 && cause != ENOENT) return system_failure("cannot unlink \"" + name + "\"", cause);
  published_.erase(found);
  if (cause == ENOENT) return vanished(name);
  return Done{};
}

/// S5. A lock whose name was taken away allows nothing (Rule R): what is left is the next reaper's.
SegmentResult<Done> SegmentOwner::Ownership::shutdown() {
  const std::lock_guard guard(mutex_);
  if (!lock_) return Done{};
  std::optional<SegmentError> first;
  const auto note = [&](SegmentError error) {
    if (!first) first = std::move(error);
  };
  if (holds_the_lock()) {
    for (const auto& [name, published] : published_) {
      const int cause = still_named(name, published) ? directory_.unlink(name) : ENOENT;
      if (cause == ENOENT) {
        note(vanished(name));
      } else if (cause != 0) {
        note(system_failure("cannot unlink \"" + name + "\"", cause));
      }
    }
    if (const int cause = lock_->remove_name(directory_); cause != 0) {
      note(system_failure("cannot unlink the owner lock", cause));
    }
  } else {
    note(vanished("~ctl"));
  }
  published_.clear();
  lock_.reset();
  if (first) return *first;
  return Done{};
}

SegmentResult<Done> SegmentOwner::Ownership::audit() const {
  const std::lock_guard guard(mutex_);
  if (lock_ && !holds_the_lock()) return vanished("~ctl");
  for (const auto& [name, published] : published_) {
    if (!still_named(name, published)) return vanished(name);
  }
  return Done{};
}

std::vector<SegmentHandle> SegmentOwner::Ownership::segments() const {
  const std::lock_guard guard(mutex_);
  std::vector<SegmentHandle> handles;
  for (const auto& [name, published] : published_) handles.push_back(published.handle);
  return handles;
}

SegmentOwner::SegmentOwner(Options options) : options_(std::move(options)) {}

SegmentOwner::SegmentOwner(SegmentOwner&& other) noexcept = default;

SegmentOwner& SegmentOwner::operator=(SegmentOwner&& other) noexcept {
  if (this == &other) return *this;
  (void)shutdown();
  forget_ownership();
  options_ = std::move(other.options_);
  start_report_ = std::move(other.start_report_);
  ownership_ = std::move(other.ownership_);
  return *this;
}

SegmentOwner::~SegmentOwner() {
  (void)shutdown();
  forget_ownership();
}

SegmentResult<SegmentOwner> SegmentOwner::open(Options options) {
  if (process_role() == ProcessRole::worker) return refused("a worker process may not own segments");
  if (options.session.empty()) options.session = random_session();
  if (auto checked = check_session(options.session); !checked) return checked.error();
  touchstone::engine::become_main();

  SegmentOwner owner(std::move(options));
  const bool checks = owner.options_.start_check != StartCheck::none;
  if (auto taken = checks ? owner.check_and_own() : owner.take_ownership(); !taken) return taken.error();
  return owner;
}

/// The lock first, so that the one listing of the start check also shows what an earlier process of the same session
/// and pid left. A lock that cannot be had yet may be a reaper's for a moment, or have no room before the dead are gone.
SegmentResult<Done> SegmentOwner::check_and_own() {
  auto directory = SegmentDirectory::open(options_.directory);
  if (!directory) return directory.error();
  ReapOptions check{.directory = options_.directory, .session = std::nullopt};
  if (options_.start_check == StartCheck::this_session) check.session = options_.session;
  auto lock = OwnerLock::acquire(*directory, options_.session, ::getpid());
  start_report_ = lock ? reap(check, *lock) : reap(check);
  if (!lock) return take_ownership();
  if (start_report_.error) return *start_report_.error;
  ownership_ = std::make_unique<Ownership>(std::move(*directory), std::move(*lock));
  return Done{};
}

SegmentResult<Done> SegmentOwner::take_ownership() {
  auto directory = SegmentDirectory::open(options_.directory);
  if (!directory) return directory.error();
  const pid_t pid = ::getpid();
  auto lock = OwnerLock::acquire(*directory, options_.session, pid);
  for (unsigned attempt = 1; !lock && attempt < options_.lock_attempts; ++attempt) {
    if (lock.error().code != SegmentErrc::busy) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    lock = OwnerLock::acquire(*directory, options_.session, pid);
  }
  if (!lock) return lock.error();
  if (auto swept = sweep(*directory, options_.session, pid); !swept) return swept.error();
  ownership_ = std::make_unique<Ownership>(std::move(*directory), std::move(*lock));
  return Done{};
}

/// In its own process an ownership is destroyed. In a child another thread of the parent may have been inside
/// it, its mutex locked: it is never touched again, and stays reachable so that leak checkers know it.
void SegmentOwner::forget_ownership() {
  static std::atomic<Ownership*> inherited{nullptr};
  if (!ownership_) return;
  if (ownership_->mark().is_here()) {
    ownership_.reset();
    return;
  }
  Ownership* const forgotten = ownership_.release();
  forgotten->next_inherited_ = inherited.exchange(forgotten);
}

SegmentResult<Done> SegmentOwner::become_main() {
  if (ownership_ && ownership_->mark().is_here()) return Done{};
  forget_ownership();
  touchstone::engine::become_main();
  return take_ownership();
}

SegmentResult<SegmentOwner::Ownership*> SegmentOwner::owned_here() const {
  if (process_role() == ProcessRole::worker) {
    return refused("a worker process may not allocate; become_main() makes it a main");
  }
  if (!ownership_) return SegmentError{SegmentErrc::shut_down, "this owner was moved from"};
  if (!ownership_->mark().is_here()) {
    return refused("process " + std::to_string(::getpid()) + " inherited this owner from " +
                   std::to_string(ownership_->mark().pid()) + "; become_main() makes it its own");
  }
  if (!ownership_->lock_) return SegmentError{SegmentErrc::shut_down, "this owner was shut down"};
  return ownership_.get();
}

SegmentResult<SegmentHandle> SegmentOwner::publish(std::string_view key, bool over_existing,
                                                   std::uint64_t size, const Build& build) {
  const auto owned = owned_here();
  if (!owned) return owned.error();
  Ownership& ownership = **owned;
  const SegmentNameParts parts{options_.session, ::getpid(), encode_key(key)};  // S2
  const auto name = encode_name(parts.session, parts.pid, key);
  if (!name) return name.error();
  const bool known = ownership.knows(*name);
  if (known && !over_existing) {
    return SegmentError{SegmentErrc::name_taken, "\"" + *name + "\" is allocated already"};
  }
  if (!known && over_existing) {
    return SegmentError{SegmentErrc::not_found, "this owner has no \"" + *name + "\""};
  }
  const std::uint64_t generation = ownership.next_generation();
  const auto made = build(ownership.directory(), parts, generation);
  if (!made) return made.error();
  const SegmentHandle handle(*name, size, generation);
  if (!over_existing) return ownership.publish(*made, handle);
  return ownership.replace(*made, handle, temporary_name(parts.session, parts.pid, generation));
}

SegmentResult<SegmentHandle> SegmentOwner::allocate(std::string_view key,
                                                    std::span<const std::byte> payload) {
  return publish(key, false, payload.size(), [&](const auto& directory, const auto& parts, auto generation) {
    return UnpublishedSegment::write(directory, parts, generation, payload);
  });
}

SegmentResult<SegmentHandle> SegmentOwner::allocate(std::string_view key, std::size_t size,
                                                    const Fill& fill) {
  return publish(key, false, size, [&](const auto& directory, const auto& parts, auto generation) {
    return UnpublishedSegment::fill(directory, parts, generation, size, fill);
  });
}

SegmentResult<SegmentHandle> SegmentOwner::replace(std::string_view key, std::span<const std::byte> payload) {
  return publish(key, true, payload.size(), [&](const auto& directory, const auto& parts, auto generation) {
    return UnpublishedSegment::write(directory, parts, generation, payload);
  });
}

SegmentResult<SegmentHandle> SegmentOwner::replace(std::string_view key, std::size_t size, const Fill& fill) {
  return publish(key, true, size, [&](const auto& directory, const auto& parts, auto generation) {
    return UnpublishedSegment::fill(directory, parts, generation, size, fill);
  });
}

SegmentResult<Done> SegmentOwner::free(const SegmentHandle& handle) {
  const auto parts = parse_name(handle.name());
  if (!parts || parts->is_reserved()) {
    return SegmentError{SegmentErrc::bad_name,
                        "\"" + std::string(handle.name()) + "\" is not a segment's name"};
  }
  const bool ours = ownership_ && ownership_->mark().is_here();
  if (!ours || parts->session != options_.session || parts->pid != ::getpid()) {  // S4
    return SegmentError{
        SegmentErrc::not_creator,
        "process " + std::to_string(::getpid()) + " did not create \"" + std::string(handle.name()) + "\""};
  }
  return ownership_->free(std::string(handle.name()), handle.generation());
}

SegmentResult<Done> SegmentOwner::free(std::string_view key) {
  if (!ownership_ || !ownership_->mark().is_here()) {
    return SegmentError{SegmentErrc::not_creator, "process " + std::to_string(::getpid()) +
                                                      " did not create the segments of this owner"};
  }
  const auto name = encode_name(options_.session, ::getpid(), key);
  if (!name) return name.error();
  return ownership_->free(*name, std::nullopt);
}

SegmentResult<Done> SegmentOwner::shutdown() {
  if (!ownership_ || !ownership_->mark().is_here()) return Done{};  // S4
  return ownership_->shutdown();
}

SegmentResult<Done> SegmentOwner::audit() const {
  const auto owned = owned_here();
  if (!owned) return owned.error();
  return (*owned)->audit();
}

std::vector<SegmentHandle> SegmentOwner::segments() const {
  if (!ownership_ || !ownership_->mark().is_here()) return {};
  return ownership_->segments();
}

}  // namespace touchstone::engine
