#include "engine/segments/reaper.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <functional>
#include <unordered_map>
#include <utility>

#include "engine/segments/name.h"
#include "engine/segments/owner_lock.h"

namespace touchstone::engine {
namespace {

/// Locks held at once, at most: more would cost their owner's other threads the descriptors that they need.
constexpr rlim_t kLargestBatch = 1024;

/// Half of the descriptors that this process may have. Whoever has fewer left gets smaller batches.
std::size_t locks_at_once() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1;
  return std::clamp<rlim_t>(limit.rlim_cur / 2, 1, kLargestBatch);
}

using GroupId = std::pair<std::string, pid_t>;
using GroupView = std::pair<std::string_view, pid_t>;

struct GroupHash {
  using is_transparent = void;
  std::size_t operator()(const GroupView& id) const {
    return std::hash<std::string_view>()(id.first) ^
           (static_cast<std::size_t>(id.second) * 0x9e3779b97f4a7c15);
  }
};

struct SameGroup {
  using is_transparent = void;
  bool operator()(const GroupView& a, const GroupView& b) const { return a == b; }
};

/// Encoded keys by group, control keys among them.
using Listing = std::unordered_map<GroupId, std::vector<std::string>, GroupHash, SameGroup>;

std::string full_name(const GroupId& id, std::string_view encoded_key) {
  std::string name(kNamePrefix);
  return name.append(id.first).append(":").append(std::to_string(id.second)).append(":").append(encoded_key);
}

class Reaper {
 public:
  Reaper(const ReapOptions& options, const SegmentDirectory& directory, const OwnerLock* held)
      : options_(options), directory_(directory), held_(held) {}

  ReapReport run();

 private:
  struct Candidate {
    GroupId id;
    OwnerLock lock;
  };

  SegmentResult<Listing> list();
  void decide(const GroupId& id, const std::vector<std::string>& keys);
  void flush();
  void reserve_room();
  void remove(const Candidate& candidate, const std::vector<std::string>& keys);
  void remove_held(const GroupId& id, const std::vector<std::string>& keys);
  void remove_segment(ReapedGroup& group, const GroupId& id, const std::string& key);
  bool has_own_file(const GroupId& id, const std::vector<std::string>& keys) const;
  void settle(const GroupId& id, ReapVerdict verdict, std::string why, const std::vector<std::string>& keys);
  ReapedSegment describe_segment(const GroupId& id, const std::string& key, ReapVerdict verdict) const;

  const ReapOptions& options_;
  const SegmentDirectory& directory_;
  const OwnerLock* const held_;  ///< taken before the first list, or null
  const std::size_t batch_size_ = locks_at_once();
  Descriptor room_for_listing_;  ///< given back for the listing when the locks have used up the rest
  std::vector<Candidate> batch_;
  ReapReport report_;
};

ReapReport Reaper::run() {
  const auto listing = list();
  if (!listing) {
    report_.error = listing.error();
    return report_;
  }
  reserve_room();
  for (const auto& [id, keys] : *listing) decide(id, keys);
  flush();
  std::sort(report_.groups.begin(), report_.groups.end(), [](const ReapedGroup& a, const ReapedGroup& b) {
    return std::tie(a.session, a.pid) < std::tie(b.session, b.pid);
  });
  return std::move(report_);
}

SegmentResult<Listing> Reaper::list() {
  Listing listing;
  report_.unparsable_names = 0;
  auto scanned = directory_.scan([&](std::string_view entry) {
    const auto parts = split_name(entry);
    if (!parts && entry.starts_with(kNamePrefix)) ++report_.unparsable_names;
    if (!parts || (options_.session && parts->session != *options_.session)) return;
    auto group = listing.find(GroupView(parts->session, parts->pid));
    if (group == listing.end()) {
      group = listing.try_emplace(GroupId(parts->session, parts->pid)).first;
    }
    group->second.emplace_back(parts->encoded_key);
  });
  if (!scanned) return scanned.error();
  return listing;
}

/// Takes the group's lock and puts it into the batch, or settles it at once.
void Reaper::decide(const GroupId& id, const std::vector<std::string>& keys) {
  if (held_ != nullptr && full_name(id, kControlKey) == held_->name()) return remove_held(id, keys);
  const bool has_lock = std::find(keys.begin(), keys.end(), kControlKey) != keys.end();
  if (!has_lock && !has_own_file(id, keys)) {  // P4
    return settle(id, ReapVerdict::foreign, "no regular file of this user", keys);
  }
  const auto missing = options_.dry_run ? OwnerLock::Missing::refuse : OwnerLock::Missing::create;
  auto lock = OwnerLock::acquire(directory_, id.first, id.second, missing);
  if (!lock && lock.error().code == SegmentErrc::descriptor_limit && !batch_.empty()) {
    flush();
    lock = OwnerLock::acquire(directory_, id.first, id.second, missing);
  }
  if (lock && !options_.dry_run) {
    batch_.push_back(Candidate{id, std::move(*lock)});
    if (batch_.size() == batch_size_) flush();
    return;
  }
  if (lock) return settle(id, ReapVerdict::would_remove, "nobody holds the owner lock", keys);
  switch (lock.error().code) {
    case SegmentErrc::busy:
      return settle(id, ReapVerdict::live, "the owner lock is held", keys);
    case SegmentErrc::foreign_file:
      return settle(id, ReapVerdict::foreign, describe(lock.error()), keys);
    case SegmentErrc::not_found:
      return settle(id, ReapVerdict::would_remove, "there is no owner lock", keys);
    default:
      return settle(id, ReapVerdict::failed, describe(lock.error()), keys);
  }
}

/// Lists again under the locks (P1), removes, and lets the locks go.
void Reaper::flush() {
  if (batch_.empty()) return;
  room_for_listing_.reset(-1);
  const auto listing = list();
  for (const Candidate& candidate : batch_) {
    if (!listing) {
      settle(candidate.id, ReapVerdict::failed, describe(listing.error()), {});
      continue;
    }
    const auto found = listing->find(candidate.id);
    remove(candidate, found == listing->end() ? std::vector<std::string>{} : found->second);
  }
  batch_.clear();
  reserve_room();
}

void Reaper::reserve_room() {
  room_for_listing_.reset(::fcntl(directory_.fd(), F_DUPFD_CLOEXEC, 0));
}

void Reaper::remove(const Candidate& candidate, const std::vector<std::string>& keys) {
  ReapedGroup group{
      candidate.id.first, candidate.id.second, ReapVerdict::removed, "nobody held the owner lock", 0, {}};
  for (const std::string& key : keys) {
    if (key != kControlKey) remove_segment(group, candidate.id, key);
  }
  const int cause = candidate.lock.remove_name(directory_);  // P2
  if (cause == 0) {
    ++group.removed;
  } else if (cause != ENOENT) {
    group.verdict = ReapVerdict::failed;
    group.why = describe(system_failure("cannot unlink the owner lock", cause));
  }
  report_.removed_names += group.removed;
  report_.groups.push_back(std::move(group));
}

/// What an earlier process of the same session and pid left (P7).
void Reaper::remove_held(const GroupId& id, const std::vector<std::string>& keys) {
  ReapedGroup group{id.first, id.second, ReapVerdict::removed, "its session and pid are this owner's", 0, {}};
  for (const std::string& key : keys) {
    if (key != kControlKey) remove_segment(group, id, key);
  }
  report_.removed_names += group.removed;
  if (group.removed > 0 || group.verdict != ReapVerdict::removed) report_.groups.push_back(std::move(group));
}

void Reaper::remove_segment(ReapedGroup& group, const GroupId& id, const std::string& key) {
  const std::string name = full_name(id, key);
  const auto status = directory_.status_of(name);
  if (!status) return;  // gone
  ReapVerdict verdict = ReapVerdict::removed;
  std::string why = "orphan";
  if (!is_own_regular_file(*status)) {  // P4
    verdict = ReapVerdict::foreign;
    why = "not a regular file of this user";
  } else if (const int cause = directory_.unlink(name); cause == 0) {
    ++group.removed;
    report_.removed_bytes += static_cast<std::uint64_t>(status->st_size);
  } else if (cause != ENOENT) {  // P5
    verdict = ReapVerdict::failed;
    why = describe(system_failure("cannot unlink \"" + name + "\"", cause));
    group.verdict = verdict;
    group.why = why;
  }
  if (!options_.list_segments) return;
  group.segments.push_back(ReapedSegment{key, static_cast<std::uint64_t>(status->st_size),
                                         ::time(nullptr) - status->st_mtime, verdict, std::move(why)});
}

bool Reaper::has_own_file(const GroupId& id, const std::vector<std::string>& keys) const {
  return std::any_of(keys.begin(), keys.end(), [&](const std::string& key) {
    const auto status = directory_.status_of(full_name(id, key));
    return status && is_own_regular_file(*status);
  });
}

/// Records a group that is left as it is.
void Reaper::settle(const GroupId& id, ReapVerdict verdict, std::string why,
                    const std::vector<std::string>& keys) {
  ReapedGroup group{id.first, id.second, verdict, std::move(why), 0, {}};
  for (const std::string& key : keys) {
    if (options_.list_segments && key != kControlKey) {
      group.segments.push_back(describe_segment(id, key, verdict));
    }
  }
  report_.groups.push_back(std::move(group));
}

ReapedSegment Reaper::describe_segment(const GroupId& id, const std::string& key, ReapVerdict verdict) const {
  const auto status = directory_.status_of(full_name(id, key));
  if (!status) return ReapedSegment{key, 0, 0, verdict, "gone meanwhile"};
  ReapedSegment segment{key, static_cast<std::uint64_t>(status->st_size), ::time(nullptr) - status->st_mtime,
                        verdict, ""};
  if (is_own_regular_file(*status)) {
    segment.why = verdict == ReapVerdict::live ? "its owner lives" : "orphan";
  } else {
    segment.verdict = ReapVerdict::foreign;
    segment.why = "not a regular file of this user";
  }
  return segment;
}

ReapReport reap_beside(const ReapOptions& options, const OwnerLock* held) {
  const auto directory = SegmentDirectory::open(options.directory);
  if (directory) return Reaper(options, *directory, held).run();
  ReapReport report;
  report.error = directory.error();
  return report;
}

}  // namespace

std::string_view name_of(ReapVerdict verdict) {
  switch (verdict) {
    case ReapVerdict::removed:
      return "removed";
    case ReapVerdict::would_remove:
      return "would-remove";
    case ReapVerdict::live:
      return "live";
    case ReapVerdict::foreign:
      return "foreign";
    case ReapVerdict::failed:
      return "failed";
  }
  return "unknown";
}

std::size_t ReapReport::count(ReapVerdict verdict) const {
  return static_cast<std::size_t>(std::count_if(
      groups.begin(), groups.end(), [&](const ReapedGroup& group) { return group.verdict == verdict; }));
}

ReapReport reap(const ReapOptions& options) {
  return reap_beside(options, nullptr);
}

ReapReport reap(const ReapOptions& options, const OwnerLock& held) {
  return reap_beside(options, &held);
}

}  // namespace touchstone::engine
