#include "harness/history_events.h"

#include <algorithm>
#include <tuple>

namespace touchstone::harness {

std::vector<HistoryEvent> events_of(const model::History& history) {
  std::vector<HistoryEvent> events;
  events.reserve(history.operations.size() * 2);
  std::int64_t last = 0;
  for (const model::Operation& it : history.operations)
    last = std::max({last, it.invoked, it.completed() ? it.returned : it.invoked});
  for (std::uint32_t i = 0; i < history.operations.size(); ++i) {
    const model::Operation& it = history.operations[i];
    events.push_back({it.invoked, false, i});
    if (it.completed()) events.push_back({it.returned, true, i});
    if (it.outcome == model::Outcome::kUnknown) events.push_back({last, true, i});
  }
  std::sort(events.begin(), events.end(), [](const HistoryEvent& a, const HistoryEvent& b) {
    return std::tie(a.time, a.completion, a.operation) < std::tie(b.time, b.completion, b.operation);
  });
  return events;
}

}  // namespace touchstone::harness
