#include "model/commit_order.h"

#include <algorithm>

namespace touchstone::model {
namespace {

/// The version that a commit made; nothing if the call changed nothing.
std::optional<std::uint64_t> version_made(const Call<StoreSpec>& call) {
  const auto* committed = call.response ? std::get_if<Committed>(&*call.response) : nullptr;
  if (committed == nullptr || StoreSpec::observes_only(call.operation, &*call.response)) return std::nullopt;
  if (const auto* execute = std::get_if<Execute>(&call.operation);
      execute != nullptr && execute->body.empty()) {
    return std::nullopt;
  }
  return committed->version;
}

/// The version that a response shows to exist.
std::uint64_t version_shown(const StoreResponse& response) {
  if (const auto* it = std::get_if<VersionIs>(&response)) return it->version;
  if (const auto* it = std::get_if<SnapshotIs>(&response)) return it->version;
  if (const auto* it = std::get_if<Committed>(&response)) return it->version;
  if (const auto* it = std::get_if<Conflict>(&response)) return it->found;
  return 0;
}

}  // namespace

void CommitOrder::add(OperationNumber number, std::int64_t invoked, std::int64_t returned,
                      const Call<StoreSpec>& call) {
  const Entry entry{invoked, call.response ? returned : kNever, number, &call};
  if (!call.response && StoreSpec::observes_only(call.operation, nullptr)) return placed_.push_back(number);
  waiting_.push(entry);
  unknown_waiting_ += call.response ? 0 : 1;
  const auto version = version_made(call);
  if (!version || progress_ != Progress::kRunning) return;
  if (*version == 0) return refuse(entry, "a commit claims to have made version 0", true);
  if (*version <= state_.version || !makers_.emplace(*version, entry).second)
    refuse(entry, "two commits made version " + std::to_string(*version), true);
}

CommitOrder::Progress CommitOrder::advance(std::int64_t horizon) {
  while (progress_ == Progress::kRunning) {
    observe(horizon);
    if (!commit_next(horizon)) break;
  }
  return progress_;
}

std::optional<Illegal> CommitOrder::advance_state(const Entry& entry) {
  const auto& call = *entry.call;
  return spec_.advance(state_, call.operation, call.response ? &*call.response : nullptr);
}

void CommitOrder::refuse(const Entry& failing, std::string reason, bool whatever_is_unknown) {
  if (reason.empty()) {
    const auto illegal = advance_state(failing);
    reason = illegal ? illegal->reason : "what it saw is not in its time";
  }
  const bool unknown = !unknown_.empty() || unknown_waiting_ != 0;
  progress_ = unknown && !whatever_is_unknown ? Progress::kUndecided : Progress::kRefuted;
  failing_ = failing.number;
  reason_ = std::move(reason);
}

/// W1: makes ready what nothing unplaced precedes.
void CommitOrder::admit(std::int64_t horizon) {
  while (!waiting_.empty() && waiting_.top().invoked < horizon && waiting_.top().invoked <= next_return()) {
    const Entry entry = waiting_.top();
    waiting_.pop();
    if (!entry.call->response) {
      unknown_.push_back(entry);
      --unknown_waiting_;
      continue;
    }
    returns_.insert(entry);
    if (!version_made(*entry.call)) observers_.push_back(entry);
  }
}

void CommitOrder::place(const Entry& entry) {
  returns_.erase(entry);
  placed_.push_back(entry.number);
}

/// Places every observation that is ready and legal now, and what becomes ready by it. In one state each is tried once.
void CommitOrder::observe(std::int64_t horizon) {
  for (admit(horizon); tried_ < observers_.size(); admit(horizon)) {
    if (!legal_now(observers_[tried_])) {
      ++tried_;
      continue;
    }
    place(observers_[tried_]);
    observers_[tried_] = observers_.back();
    observers_.pop_back();
  }
}

bool CommitOrder::legal_now(const Entry& entry) {
  const StoreResponse& response = *entry.call->response;
  const auto* snapshot = std::get_if<SnapshotIs>(&response);
  if (snapshot != nullptr && snapshot->version != state_.version) return false;
  return version_shown(response) <= state_.version && !advance_state(entry);
}

/// W2, W3: goes on to the next version; false if it cannot, yet or for ever.
bool CommitOrder::commit_next(std::int64_t horizon) {
  const auto next = makers_.find(state_.version + 1);
  if (next == makers_.end()) return next_return() < horizon && guess_next();
  const Entry maker = next->second;
  if (maker.returned >= horizon) return false;
  if (maker.invoked > next_return()) {
    refuse(*returns_.begin(), "");
    return false;
  }
  if (const auto illegal = advance_state(maker)) {
    refuse(maker, illegal->reason);
    return false;
  }
  makers_.erase(next);
  place(maker);
  tried_ = 0;
  return true;
}

/// W3: the one unknown commit that could have made the next version.
bool CommitOrder::guess_next() {
  const Entry* found = nullptr;
  for (const Entry& entry : unknown_) {
    StoreState trial = state_;
    if (spec_.advance(trial, entry.call->operation, nullptr)) continue;
    if (found != nullptr) {
      progress_ = Progress::kUndecided;
      return false;
    }
    found = &entry;
  }
  const Entry stuck = *returns_.begin();
  if (found == nullptr) {
    const bool later = !makers_.empty() || version_shown(*stuck.call->response) > state_.version;
    refuse(stuck, later ? "nobody can have made version " + std::to_string(state_.version + 1) + " at " +
                              describe(state_)
                        : "");
    return false;
  }
  const Entry maker = *found;
  advance_state(maker);
  unknown_.erase(unknown_.begin() + (found - unknown_.data()));
  placed_.push_back(maker.number);
  tried_ = 0;
  return true;
}

}  // namespace touchstone::model
