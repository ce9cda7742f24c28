#include "model/version_floors.h"

#include <algorithm>

namespace touchstone::model {
namespace {

bool is_mutation(const Operation& it) {
  return it.function != Function::kRead && it.outcome == Outcome::kOk;
}

/// Reads, writes and compare-and-sets by version, each with its version.
bool is_plain(const Operation& it) {
  return it.completed() && it.version != kNoVersion && it.function != Function::kAppend &&
         it.function != Function::kCas;
}

}  // namespace

VersionFloors::VersionFloors(const History& history) {
  // A history without versions is none of this method's, and should not pay for it.
  if (history.operations.empty() || history.operations.front().version == kNoVersion) return;
  most_ = history.operations.size();
  holds_.assign(history.keys.size(), 1);
  seen_.resize(history.keys.size());
  const std::size_t share = most_ / std::max<std::size_t>(history.keys.size(), 1) + 1;
  for (auto& versions : seen_) {
    versions.reserve(share);
    versions.resize(1);
    versions.front().made = history.initial;
    versions.front().made_invocation = std::numeric_limits<std::int64_t>::min();
  }
  for (const Operation& it : history.operations) {
    if (holds_[it.key] != 0) take(it);
  }
  for (std::size_t key = 0; key < holds_.size(); ++key) {
    if (holds_[key] != 0) holds_[key] = agrees(seen_[key]) ? 1 : 0;
  }
}

std::uint32_t VersionFloors::count() const {
  return static_cast<std::uint32_t>(std::count(holds_.begin(), holds_.end(), std::uint8_t{1}));
}

void VersionFloors::take(const Operation& it) {
  if (!is_plain(it) || it.version > most_) {
    holds_[it.key] = 0;
    return;
  }
  std::vector<Seen>& versions = seen_[it.key];
  if (it.version >= versions.size()) {
    total_ += it.version + 1 - versions.size();
    if (total_ > most_) {  // versions are dense, so they are no more than operations
      holds_[it.key] = 0;
      return;
    }
    versions.resize(it.version + 1);
  }
  Seen& seen = versions[it.version];
  seen.last_invocation = std::max(seen.last_invocation, it.invoked);
  seen.first_return = std::min(seen.first_return, it.returned);
  if (is_mutation(it)) {
    if (seen.made != kUnseen || (it.function == Function::kCasVersion && it.base + 1 != it.version)) {
      holds_[it.key] = 0;
    }
    seen.made = it.argument;
    seen.made_invocation = it.invoked;
    return;
  }
  if (it.function == Function::kCasVersion) {
    if (it.base == it.version) holds_[it.key] = 0;
    return;
  }
  if (seen.read != kUnseen && seen.read != it.observed) holds_[it.key] = 0;
  seen.read = it.observed;
}

bool VersionFloors::agrees(const std::vector<Seen>& versions) {
  std::int64_t invoked_before = std::numeric_limits<std::int64_t>::min();
  for (const Seen& seen : versions) {
    if (seen.made == kUnseen) return false;
    if (seen.read != kUnseen && seen.read != seen.made) return false;
    // What returned before the version's maker was invoked cannot be the maker: it is a read.
    if (seen.first_return < invoked_before || seen.first_return < seen.made_invocation) return false;
    invoked_before = std::max(invoked_before, seen.last_invocation);
  }
  return true;
}

}  // namespace touchstone::model
