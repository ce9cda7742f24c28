#include "model/ticket_spec.h"

#include <algorithm>
#include <tuple>

namespace touchstone::model {
namespace {

/// T3: the oldest waiting worker holds the gate as soon as nobody else does; T4: with a new number.
void grant(TicketState& state) {
  if (state.holder) return;
  const auto queue = queue_of(state);
  if (queue.empty()) return;
  state.holder = queue.front();
  state.workers[queue.front()].queued = false;
  ++state.fence;
}

void join(TicketState& state, WorkerId id) {
  TicketWorker& worker = state.workers[id];
  if (worker.queued || state.holder == id) return;
  if (worker.age == 0) worker.age = ++state.last_age;
  worker.queued = true;
  grant(state);
}

/// The worker has nothing to do with the queue any more (T6).
void retire(TicketState& state, WorkerId id) {
  state.workers.erase(id);
  if (state.holder == id) state.holder.reset();
  grant(state);
}

TicketStanding standing_of(const TicketState& state, WorkerId id) {
  if (state.holder == id) return {Place::kHolding, state.fence};
  const auto worker = state.workers.find(id);
  if (worker != state.workers.end() && worker->second.queued) return {Place::kQueued, 0};
  return {};
}

auto as_tuple(const TicketWorker& it) {
  return std::tuple(it.conflicts, it.closings, it.expiries, it.age, it.queued);
}

}  // namespace

std::vector<WorkerId> queue_of(const TicketState& state) {
  std::vector<WorkerId> queue;
  for (const auto& [id, worker] : state.workers) {
    if (worker.queued) queue.push_back(id);
  }
  std::sort(queue.begin(), queue.end(),
            [&](WorkerId a, WorkerId b) { return state.workers.at(a).age < state.workers.at(b).age; });
  return queue;
}

TicketResponse TicketSpec::perform(State& state, const Operation& operation) const {
  const WorkerId id = operation.worker;
  switch (operation.event) {
    case TicketEvent::kSubmitted:  // T5
      return state.holder && state.holder != id ? Admission::kBusy : Admission::kAdmitted;
    case TicketEvent::kConflicted: {
      TicketWorker& worker = state.workers[id];
      ++worker.conflicts;
      if (worker.conflicts >= rules_.grant_at || worker.expiries > 0) join(state, id);  // T2, T7
      break;
    }
    case TicketEvent::kWaitedOut:
      if (++state.workers[id].closings >= rules_.busy_limit) join(state, id);  // T2
      break;
    case TicketEvent::kExpired:
      if (state.holder == id) {  // T7
        ++state.workers[id].expiries;
        state.holder.reset();
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
  if (operation.event == TicketEvent::kExpired && state.holder != operation.worker) {
    return Illegal{"only the holder's lease can expire"};
  }
  if (operation.event == TicketEvent::kCommitted && state.holder && state.holder != operation.worker) {
    return Illegal{"worker " + std::to_string(operation.worker) + " committed while worker " +
                   std::to_string(*state.holder) + " holds the gate"};
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
  const auto head = [](const State& it) { return std::tuple(it.fence, it.last_age, it.holder); };
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
                                           "waited a closing out", "expired",   "left"};
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
  std::string out = state.holder ? "held by " + std::to_string(*state.holder) : "gate open";
  for (const WorkerId id : queue_of(state)) out += ", then " + std::to_string(id);
  return out;
}

}  // namespace touchstone::model
