#pragma once
// Shrinks a failing schedule to few deviations from the default policy, preemptions above all.
//
//   Shrunk shrunk = shrink(scheduler, body, settings, failing, failure);
//
// Delta debugging (Zeller, Hildebrandt 2002) over the list of deviations with lenient replay: a smaller list
// that fails in the same way is kept, as the deviations that really happened. The result fails without any
// one of them taken out.

#include <cstddef>
#include <functional>

#include "harness/explore/scheduler.h"

namespace touchstone::harness::explore {

struct Shrunk {
  Schedule schedule;
  Failure failure;
  std::size_t replays = 0;
};

Shrunk shrink(Scheduler& scheduler, const std::function<void()>& body, const Settings& settings,
              Schedule failing, Failure failure);

/// The same bug, as far as one can tell: a stuck execution or a race may differ in who waits where.
bool same_failure(const Failure& a, const Failure& b);

}  // namespace touchstone::harness::explore
