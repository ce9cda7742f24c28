#include "model/ticket_spec.h"

#include <algorithm>
#include <tuple>

namespace touchstone::model {
namespace {

/// True if `path` is `other` or lies below it.
bool is_within(const std::string& path, const std::string& other) {
  return path.starts_with(other) && (path.size() == other.size() || path[other.size()] == '.');
}

std::vector<WorkerId> by_age(const TicketState& state, bool (*chosen)(const TicketWorker&)) {
  std::vector<WorkerId> all;
  for (const auto& [id, worker] : state.workers) {
    if (chosen(worker)) all.push_back(id);
  }
  std::sort(all.begin(), all.end(),
            [&](WorkerId a, WorkerId b) { return state.workers.at(a).age < state.workers.at(b).age; });
  return all;
}

auto as_tuple(const TicketWorker& it) {
  return std::tie(it.conflicts, it.closings, it.expiries, it.age, it.queued, it.fence, it.paths);
}

}  // namespace

std::vector<WorkerId> queue_of(const TicketState& state) {
  return by_age(state, [](const TicketWorker& worker) { return worker.queued; });
}

std::vector<WorkerId> holders_of(const TicketState& state) {
  return by_age(state, [](const TicketWorker& worker) { return worker.fence != 0; });
}

TicketStanding standing_of(const TicketState& state, WorkerId id) {
  const auto worker = state.workers.find(id);
  if (worker == state.workers.end()) return {};
  if (worker->second.fence != 0) return {Place::kHolding, worker->second.fence};
  return worker->second.queued ? TicketStanding{Place::kQueued, 0} : TicketStanding{};
}

bool TicketSpec::in_the_way(const std::set<std::string>& some, const std::set<std::string>& others) const {
  if (!rules_.by_key) return true;
  return std::any_of(some.begin(), some.end(), [&](const std::string& one) {
    return std::any_of(others.begin(), others.end(), [&](const std::string& other) {
      return is_within(one, other) || is_within(other, one);
    });
  });
}

std::optional<WorkerId> TicketSpec::barred_by(const State& state, WorkerId id,
                                              const std::set<std::string>& paths) const {
  for (const WorkerId holder : holders_of(state)) {
    if (holder != id && in_the_way(paths, state.workers.at(holder).paths)) return holder;
  }
  return std::nullopt;
}

/// T3: the oldest waiting worker holds the gate as soon as nobody else does, T8: in its way; T4: with a new number.
void TicketSpec::grant(State& state) const {
  std::vector<const TicketWorker*> older;  // and still waiting
  for (const WorkerId id : queue_of(state)) {
    TicketWorker& next = state.workers.at(id);
    const bool waits = barred_by(state, id, next.paths) ||
                       std::any_of(older.begin(), older.end(), [&](const TicketWorker* other) {
                         return in_the_way(next.paths, other->paths);
                       });
    if (waits) {
      older.push_back(&next);
    } else {
      next.queued = false;
      next.fence = ++state.fence;
    }
  }
}

void TicketSpec::join(State& state, WorkerId id, const std::set<std::string>& paths) const {
  TicketWorker& worker = state.workers[id];
  if (worker.queued || worker.fence != 0) {
    if (!rules_.by_key || worker.paths == paths) return;
    worker.queued = false;  // T9
    worker.fence = 0;
    grant(state);
  }
  if (worker.age == 0) worker.age = ++state.last_age;
  if (rules_.by_key) worker.paths = paths;
  worker.queued = true;
  grant(state);
}

/// The worker has nothing to do with the queue any more (T6).
void TicketSpec::retire(State& state, WorkerId id) const {
  state.workers.erase(id);
  grant(state);
}

TicketResponse TicketSpec::perform(State& state, const Operation& operation) const {
  const WorkerId id = operation.worker;
  switch (operation.event) {
    case TicketEvent::kSubmitted:  // T5
      return barred_by(state, id, operation.paths) ? Admission::kBusy : Admission::kAdmitted;
    case TicketEvent::kConflicted: {
      TicketWorker& worker = state.workers[id];
      ++worker.conflicts;
      if (worker.conflicts >= rules_.grant_at || worker.age != 0)
        join(state, id, operation.paths);  // T2, T7, T9
      break;
    }
    case TicketEvent::kSentBack:
      if (const auto worker = state.workers.find(id);
          worker != state.workers.end() && worker->second.age != 0)
        join(state, id, operation.paths);  // T7, T9
      break;
    case TicketEvent::kWaitedOut:
      if (++state.workers[id].closings >= rules_.busy_limit) join(state, id, operation.paths);  // T2
      break;
    case TicketEvent::kExpired:
      if (standing_of(state, id).place == Place::kHolding) {  // T7
        ++state.workers.at(id).expiries;
        state.workers.at(id).fence = 0;
        grant(state);
      }
      break;
    case TicketEvent::kCommitted:
    case TicketEvent::kLeft:
      retire(state, id);
      break;
  }
  return standing_of(state, id);
}

std::optional<Illegal> TicketSpec::advance(State& state, const Operation& operation,
                                           const Response* response) const {
  if (operation.event == TicketEvent::kExpired &&
      standing_of(state, operation.worker).place != Place::kHolding) {
    return Illegal{"only the holder's lease can expire"};
  }
  if (operation.event == TicketEvent::kCommitted) {
    if (const auto holder = barred_by(state, operation.worker, operation.paths)) {
      return Illegal{"worker " + std::to_string(operation.worker) + " committed while worker " +
                     std::to_string(*holder) + " holds the gate"};
    }
  }
  State next = state;
  const Response right = perform(next, operation);
  if (response != nullptr && *response != right) {
    return Illegal{"answered " + describe(*response) + " where " + describe(right) + " is right"};
  }
  state = std::move(next);
  return std::nullopt;
}

bool TicketSpec::observes_only(const Operation& operation, const Response*) {
  return operation.event == TicketEvent::kSubmitted;
}

int TicketSpec::compare(const State& left, const State& right) {
  if (left == right) return 0;
  const auto head = [](const State& it) { return std::tuple(it.fence, it.last_age); };
  if (head(left) != head(right)) return head(left) < head(right) ? -1 : 1;
  const bool less = std::lexicographical_compare(
      left.workers.begin(), left.workers.end(), right.workers.begin(), right.workers.end(),
      [](const auto& a, const auto& b) {
        return std::pair(a.first, as_tuple(a.second)) < std::pair(b.first, as_tuple(b.second));
      });
  return less ? -1 : 1;
}

std::string describe(const TicketOperation& operation) {
  static constexpr const char* kNames[] = {"conflicted",           "committed", "submitted a commit",
                                           "waited a closing out", "expired",   "left",
                                           "was sent back"};
  return "worker " + std::to_string(operation.worker) + " " + kNames[static_cast<int>(operation.event)];
}

std::string describe(const TicketResponse& response) {
  if (const auto* admission = std::get_if<Admission>(&response)) {
    return *admission == Admission::kAdmitted ? "admitted" : "busy";
  }
  const auto& standing = std::get<TicketStanding>(response);
  if (standing.place == Place::kHolding) return "holding with fence " + std::to_string(standing.fence);
  return standing.place == Place::kQueued ? "queued" : "free";
}

std::string describe(const TicketState& state) {
  std::string out;
  for (const WorkerId id : holders_of(state))
    out += (out.empty() ? "held by " : " and ") + std::to_string(id);
  if (out.empty()) out = "gate open";
  for (const WorkerId id : queue_of(state)) out += ", then " + std::to_string(id);
  return out;
}

}  // namespace touchstone::model
