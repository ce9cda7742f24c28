#pragma once
// A failing workload made small, where threads decide whether it fails.
//
//   ShrunkWorkload small = shrink_workload(workload, [&](const Workload& smaller) { return fails_once(smaller); },
//                                          {.attempts = 20, .until = Clock::now() + std::chrono::seconds(10)});
//
// Takes away clients, then runs of steps, then parts of steps, and keeps what failed within `attempts` runs. So what it
// returns has failed itself; a smaller one may be missed, because a schedule did not come. Thread safety: one thread.

#include <chrono>
#include <cstdint>
#include <functional>

#include "harness/workload.h"

namespace touchstone::harness {

struct ShrinkLimits {
  int attempts = 20;  ///< runs of a smaller workload until it counts as passing
  std::chrono::steady_clock::time_point until;
};

struct ShrunkWorkload {
  Workload workload;
  std::uint64_t runs = 0;
};

ShrunkWorkload shrink_workload(Workload failing, const std::function<bool(const Workload&)>& fails,
                               const ShrinkLimits& limits);

}  // namespace touchstone::harness
