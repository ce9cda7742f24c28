#include <algorithm>
#include <optional>

#include "model/cell_spec.h"
#include "model/checker.h"

namespace touchstone::model {
namespace {

/// Every completed operation once, the others at most once, and nothing before what returned before it.
std::optional<std::string> wrong_order(const History& history, const std::vector<OperationNumber>& witness) {
  std::vector<bool> placed(history.operations.size());
  std::int64_t latest = 0;
  bool first = true;
  for (const OperationNumber number : witness) {
    if (number >= history.operations.size()) return "the witness names an operation that is not there";
    const Operation& it = history.operations[number];
    if (placed[number]) return describe(history, it) + " is there twice";
    placed[number] = true;
    latest = first ? it.invoked : std::max(latest, it.invoked);
    first = false;
    if (it.completed() && it.returned < latest) {
      return describe(history, it) + " comes after an operation that was invoked after it had returned";
    }
  }
  for (OperationNumber number = 0; number < placed.size(); ++number) {
    const Operation& it = history.operations[number];
    if (it.completed() && !placed[number]) return describe(history, it) + " is missing";
  }
  return std::nullopt;
}

template <class Advance>
std::optional<std::string> wrong_step(const History& history, const std::vector<OperationNumber>& witness,
                                      const Advance& advance) {
  for (const OperationNumber number : witness) {
    if (const std::optional<Illegal> illegal = advance(history.operations[number])) {
      return describe(history, history.operations[number]) + ": " + illegal->reason;
    }
  }
  return std::nullopt;
}

template <class Specification>
std::optional<std::string> wrong_call(const History& history, const std::vector<OperationNumber>& witness,
                                      const Specification& specification,
                                      const std::vector<Call<Specification>>& calls) {
  typename Specification::State state;
  return wrong_step(history, witness, [&](const Operation& it) {
    const auto& call = calls[it.argument];
    return specification.advance(state, call.operation, call.response ? &*call.response : nullptr);
  });
}

}  // namespace

std::optional<std::string> verify_witness(const History& history,
                                          const std::vector<OperationNumber>& witness) {
  if (auto wrong = wrong_order(history, witness)) return wrong;
  switch (history.kind) {
    case HistoryKind::kStore:
      return wrong_call(history, witness, StoreSpec(history.store_rules), history.store_calls);
    case HistoryKind::kTicket:
      return wrong_call(history, witness, TicketSpec(history.ticket_rules), history.ticket_calls);
    case HistoryKind::kSegment:
      return wrong_call(history, witness, SegmentSpec(), history.segment_calls);
    case HistoryKind::kCell:
      break;
  }
  CellState state;
  const CellSpec specification(history);
  return wrong_step(history, witness, [&](const Operation& it) { return specification.advance(state, it); });
}

}  // namespace touchstone::model
