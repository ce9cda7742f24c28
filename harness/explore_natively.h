#pragma once
// A scenario on native threads: what `explore --native` does, and `replay` of the line that it prints.
//
// There are no points and no classes, and a failure has no schedule: its line repeats the scenario until it fails again.
// Both print what they have found and return the status of the exit. One thread.

#include <chrono>
#include <cstdint>
#include <string>

#include "harness/explore/scenario.h"
#include "harness/replay.h"

namespace touchstone::harness {

/// Once, or until it fails, is interrupted, or so many executions have held.
int explore_natively(const explore::Scenario& scenario, std::uint64_t executions, bool json);

/// Until it fails or `budget` is over.
int replay_natively(const explore::Scenario& scenario, std::chrono::nanoseconds budget);

/// Why a line with --native on cannot be repeated, or nothing.
std::string wrong_with_native(const ReplayLine& line);

}  // namespace touchstone::harness
