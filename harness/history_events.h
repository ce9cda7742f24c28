#pragma once
// A history as the formats with one event a line write it: invocations and completions in the order of real time.
//
//   for (const HistoryEvent& event : events_of(history)) ... history.operations[event.operation] ...
//
// At equal times invocations come before completions, because operations that touch are concurrent (model/history.h,
// H1). An unknown outcome is told at the end; what is pending has no completion. A function of its argument.

#include <cstdint>
#include <vector>

#include "model/history.h"

namespace touchstone::harness {

struct HistoryEvent {
  std::int64_t time = 0;
  bool completion = false;
  std::uint32_t operation = 0;  ///< in History::operations
};

std::vector<HistoryEvent> events_of(const model::History& history);

}  // namespace touchstone::harness
