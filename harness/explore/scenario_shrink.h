#pragma once
// Makes a scenario that fails smaller: fewer workers, operations, paths, repetitions and options, as long as it fails in the same way.
//
//   SmallerScenario smaller = shrink_scenario(text, report, [&](const Scenario& candidate) { return explore(...); });
//   smaller.text, smaller.report.failure->columns, smaller.tried
//
// Greedy, to a fixed point or until `more` says no: lines first, then words of the lines that are left, then numbers halved. A candidate that
// parse_scenario() refuses, or whose exploration passes, is not taken. The same way: the same kind of failure, and the same message but for
// its numbers. Comments go; what is expected stays. Cost: an exploration a candidate. One thread.

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "harness/explore/explorer.h"
#include "harness/explore/scenario.h"

namespace touchstone::harness::explore {

struct SmallerScenario {
  std::string text;
  Report report;  ///< of the smallest: it has a failure
  std::size_t tried = 0;
};

/// `failing`: the report of `text` as it is.
SmallerScenario shrink_scenario(std::string_view text, const Report& failing,
                                const std::function<Report(const Scenario&)>& explored,
                                const std::function<bool()>& more);

}  // namespace touchstone::harness::explore
