#pragma once
// Looks for a schedule that is as bad as possible by a measure that the body reports.
//
//   Seeking found = seek(body, {.goal = 50, .executions = 2'000});      // the body calls score(conflicts so far)
//   found.best, found.schedule
//
// A climb: the best execution is repeated up to where its score last rose (sometimes to a little before), and goes on at
// random from there; a higher score becomes the best. Draws are choices too. It shows that a bad schedule exists, never
// that none does. Belongs to one OS thread.

#include <cstdint>
#include <functional>
#include <optional>

#include "harness/explore/explorer.h"

namespace touchstone::harness::explore {

/// From inside a body: how bad it is by now.
void score(std::uint64_t badness);

struct SeekOptions {
  std::uint64_t goal = ~std::uint64_t{0};  // stop there
  std::uint64_t executions = 1'000;
  std::optional<std::uint64_t> seed;  // the process's, unless given
  std::uint64_t max_points = 50'000;
};

struct Seeking {
  std::uint64_t best = 0;
  std::uint64_t executions = 0;
  Schedule schedule;               // of the best
  std::optional<Failure> failure;  // of an execution that failed; it ended the search
};

Seeking seek(const Body& body, const SeekOptions& options = {});

}  // namespace touchstone::harness::explore
