#include "model/brute_force.h"

#include <algorithm>

#include "model/cell_spec.h"

namespace touchstone::model {
namespace {

template <class State, class Advance>
class Trial {
 public:
  Trial(const History& history, const Advance& advance) : history_(history), advance_(advance) {
    done_.resize(history.operations.size());
  }

  bool run(const State& state) {
    if (all_completed_are_done()) return true;
    for (std::size_t i = 0; i < done_.size(); ++i) {
      if (done_[i] || !may_be_next(history_.operations[i])) continue;
      State next = state;
      if (advance_(next, history_.operations[i])) continue;
      done_[i] = true;
      if (run(next)) return true;
      done_[i] = false;
    }
    return false;
  }

 private:
  bool all_completed_are_done() const {
    for (std::size_t i = 0; i < done_.size(); ++i) {
      if (!done_[i] && history_.operations[i].completed()) return false;
    }
    return true;
  }

  /// Nothing that is still to come had returned before it was invoked.
  bool may_be_next(const Operation& candidate) const {
    for (std::size_t i = 0; i < done_.size(); ++i) {
      const Operation& other = history_.operations[i];
      if (!done_[i] && other.completed() && other.returned < candidate.invoked) return false;
    }
    return true;
  }

  const History& history_;
  const Advance& advance_;
  std::vector<bool> done_;
};

template <class State, class Advance>
bool try_everything(const History& history, const Advance& advance) {
  return Trial<State, Advance>(history, advance).run(State{});
}

template <class Specification>
bool try_calls(const History& history, const Specification& specification,
               const std::vector<Call<Specification>>& calls) {
  using State = typename Specification::State;
  return try_everything<State>(history, [&](State& state, const Operation& it) {
    const auto& call = calls[it.argument];
    return specification.advance(state, call.operation, call.response ? &*call.response : nullptr);
  });
}

}  // namespace

bool is_linearizable_by_trying_everything(const History& history) {
  switch (history.kind) {
    case HistoryKind::kStore:
      return try_calls(history, StoreSpec(history.store_rules), history.store_calls);
    case HistoryKind::kTicket:
      return try_calls(history, TicketSpec(history.ticket_rules), history.ticket_calls);
    case HistoryKind::kSegment:
      return try_calls(history, SegmentSpec(), history.segment_calls);
    case HistoryKind::kCell:
      break;
  }
  const CellSpec specification(history);
  return try_everything<CellState>(
      history, [&](CellState& state, const Operation& it) { return specification.advance(state, it); });
}

}  // namespace touchstone::model
