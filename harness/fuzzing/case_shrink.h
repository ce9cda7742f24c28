#pragma once
// Makes a failing case small: the scenario first, then its schedule, as long as it fails in the same way.
//
//   FuzzCase small = shrink_case(failing, claim, trials);
//
// A smaller scenario seldom fails on the schedule of a larger one: it is given the old decisions first, then samples. So each trial is an
// attempt to fail, which the caller makes: in a process of its own, because the failure may be a crash.
//
// Functions of their arguments.

#include <functional>
#include <optional>
#include <vector>

#include "harness/fuzzing/fuzz_case.h"

namespace touchstone::harness::fuzzing {

/// Tries to make the case fail in the same way: the execution that did, or nothing.
using Trial = std::function<std::optional<FuzzCase>(const FuzzCase&)>;

/// Everything that is one step simpler, larger steps first.
std::vector<explore::Scenario> simpler(const explore::Scenario& scenario);

/// Greedily, until nothing simpler fails or `most_trials` were made.
FuzzCase shrink_scenario(FuzzCase failing, const Trial& trial, std::size_t most_trials);

}  // namespace touchstone::harness::fuzzing
