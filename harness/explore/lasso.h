#pragma once
// Tells a livelock from an execution that is merely long.
//
//   std::optional<Lasso> lasso = find_lasso(events, fair_from);   // events[fair_from..] were scheduled fairly
//
// A sampled execution ends fairly scheduled: from half of its points on, one in sixteen earlier, every runnable thread in turn. So a thread that spins until another
// one has done its work gets out, and what still runs at the step bound is stuck or long. If all of the last half of the fair part
// repeats the same few steps (same threads, operations, objects and values, at least kLaps times) then it goes round in a circle,
// and the execution is reported as a livelock with that circle. What a thread keeps to itself, a count of its tries, is not seen.

#include <cstddef>
#include <optional>
#include <vector>

#include "harness/explore/operation.h"

namespace touchstone::harness::explore {

struct Lasso {
  static constexpr std::size_t kLaps = 8;

  std::size_t begin;   // the first event of the circle
  std::size_t period;  // in events
};

std::optional<Lasso> find_lasso(const std::vector<Event>& events, std::size_t fair_from);

}  // namespace touchstone::harness::explore
