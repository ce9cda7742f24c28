#include "model/global_versions.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <queue>

namespace touchstone::model {
namespace {

constexpr OperationNumber kNobody = ~OperationNumber{0};

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

class GlobalVersions {
 public:
  GlobalVersions(const History& history, bool witness)
      : history_(history),
        keep_witness_(witness),
        spec_(history.store_rules),
        placed_(history.operations.size()) {}

  GlobalVersionsResult run() {
    result_.applies = true;
    if (!find_makers()) return std::move(result_);
    sort_by_invocation();
    for (std::uint64_t version = 1; version < makers_.size(); ++version) {
      observe();
      if (!commit(version)) return std::move(result_);
    }
    observe();
    if (next_return() == kNever) {
      result_.linearizable = true;
    } else {
      refuse(stuck(), "");
    }
    return std::move(result_);
  }

 private:
  using Entry = std::pair<std::int64_t, OperationNumber>;

  const Operation& at(OperationNumber number) const { return history_.operations[number]; }
  const Call<StoreSpec>& call_of(OperationNumber number) const {
    return history_.store_calls[at(number).argument];
  }

  std::optional<Illegal> advance(OperationNumber number) {
    const auto& call = call_of(number);
    return spec_.advance(state_, call.operation, call.response ? &*call.response : nullptr);
  }

  void refuse(OperationNumber failing, std::string reason) {
    if (reason.empty()) {
      const auto illegal = advance(failing);
      reason = illegal ? illegal->reason : "what it saw is not in its time";
    }
    result_.applies = !may_be_due_to_unknown();
    result_.failing = failing;
    result_.state = describe(state_);
    result_.reason = std::move(reason);
  }

  /// A commit of unknown outcome may have come in between without its version being seen.
  bool may_be_due_to_unknown() const {
    for (OperationNumber number = 0; number < history_.operations.size(); ++number) {
      const auto& call = call_of(number);
      if (!placed_[number] && !call.response && !StoreSpec::observes_only(call.operation, nullptr))
        return true;
    }
    return false;
  }

  bool find_makers() {
    std::uint64_t last = 0;
    std::uint64_t commits = 0;
    for (OperationNumber number = 0; number < history_.operations.size(); ++number) {
      const auto& call = call_of(number);
      if (call.response) last = std::max(last, version_shown(*call.response));
      commits += version_made(call) || !call.response ? 1 : 0;
    }
    for (OperationNumber number = 0; number < history_.operations.size(); ++number) {
      const auto& call = call_of(number);
      if (call.response && version_shown(*call.response) > commits) {
        refuse(number, "it shows version " + std::to_string(version_shown(*call.response)) +
                           ", but there were only " + std::to_string(commits) + " commits");
        return false;
      }
    }
    makers_.assign(last + 1, kNobody);
    for (OperationNumber number = 0; number < history_.operations.size(); ++number) {
      const auto version = version_made(call_of(number));
      if (!version) continue;
      if (*version == 0) {
        refuse(number, "a commit claims to have made version 0");
        return false;
      }
      if (makers_[*version] != kNobody) {
        refuse(number, "two commits made version " + std::to_string(*version));
        return false;
      }
      makers_[*version] = number;
    }
    return true;
  }

  void sort_by_invocation() {
    by_invocation_.resize(history_.operations.size());
    std::iota(by_invocation_.begin(), by_invocation_.end(), OperationNumber{0});
    const auto earlier = [&](OperationNumber a, OperationNumber b) { return at(a).invoked < at(b).invoked; };
    if (!std::is_sorted(by_invocation_.begin(), by_invocation_.end(), earlier)) {
      std::stable_sort(by_invocation_.begin(), by_invocation_.end(), earlier);
    }
  }

  /// The earliest return of what is not placed: whatever was invoked later has to wait for it. Operations that are
  /// not yet ready are invoked later than it, and return later still.
  std::int64_t next_return() {
    admit();
    return returns_.empty() ? kNever : returns_.top().first;
  }

  /// Makes ready what nothing unplaced precedes.
  void admit() {
    for (;;) {
      while (!returns_.empty() && placed_[returns_.top().second]) returns_.pop();
      const std::int64_t bound = returns_.empty() ? kNever : returns_.top().first;
      if (next_ == by_invocation_.size() || at(by_invocation_[next_]).invoked > bound) return;
      const OperationNumber number = by_invocation_[next_++];
      if (at(number).completed()) returns_.push({at(number).returned, number});
      const auto& call = call_of(number);
      if (!call.response) {
        open_unknown_.push_back(number);
      } else if (!version_made(call)) {
        ready_.push_back(number);
      }
    }
  }

  void place(OperationNumber number) {
    placed_[number] = true;
    if (keep_witness_) result_.witness.push_back(number);
  }

  /// Places every observation that is ready and legal now, and what becomes ready by it.
  void observe() {
    for (bool again = true; again;) {
      admit();
      again = false;
      for (std::size_t i = 0; i < ready_.size();) {
        if (!legal_now(ready_[i])) {
          ++i;
          continue;
        }
        place(ready_[i]);
        ready_[i] = ready_.back();
        ready_.pop_back();
        again = true;
      }
    }
  }

  bool legal_now(OperationNumber number) {
    const auto* snapshot = std::get_if<SnapshotIs>(&*call_of(number).response);
    if (snapshot != nullptr && snapshot->version != state_.version) return false;
    return !advance(number);
  }

  bool commit(std::uint64_t version) {
    OperationNumber maker = makers_[version];
    if (maker == kNobody) {
      maker = guess_maker(version);
      if (maker == kNobody) return false;
    }
    if (at(maker).invoked > next_return()) {
      refuse(stuck(), "");
      return false;
    }
    if (const auto illegal = advance(maker)) {
      refuse(maker, illegal->reason);
      return false;
    }
    place(maker);
    return true;
  }

  /// The one unknown commit that could have made this version; nobody if there is none or a choice.
  OperationNumber guess_maker(std::uint64_t version) {
    next_return();
    OperationNumber found = kNobody;
    for (const OperationNumber number : open_unknown_) {
      if (placed_[number]) continue;
      StoreState trial = state_;
      if (spec_.advance(trial, call_of(number).operation, nullptr)) continue;
      if (found != kNobody) {
        result_.applies = false;
        return kNobody;
      }
      found = number;
    }
    if (found != kNobody) return found;
    OperationNumber failing = stuck();
    if (failing == kNobody) failing = by_invocation_[std::min(next_, by_invocation_.size() - 1)];
    refuse(failing, "nobody can have made version " + std::to_string(version) + " at " + describe(state_));
    return kNobody;
  }

  /// What is not placed and returns first.
  OperationNumber stuck() {
    admit();
    return returns_.empty() ? kNobody : returns_.top().second;
  }

  const History& history_;
  bool keep_witness_;
  StoreSpec spec_;
  StoreState state_;
  std::vector<OperationNumber> makers_;  ///< by version
  std::vector<OperationNumber> by_invocation_;
  std::size_t next_ = 0;  ///< the first of them that is not ready
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> returns_;
  std::vector<OperationNumber> ready_;         ///< observations
  std::vector<OperationNumber> open_unknown_;  ///< commits of unknown outcome
  std::vector<bool> placed_;
  GlobalVersionsResult result_;
};

}  // namespace

GlobalVersionsResult check_global_versions(const History& history, bool witness) {
  return GlobalVersions(history, witness).run();
}

}  // namespace touchstone::model
