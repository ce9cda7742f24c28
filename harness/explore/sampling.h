#pragma once
// Strategies that sample schedules.
//
//   std::unique_ptr<Strategy> strategy = make_sampler(Algorithm::pos);   // reusable, one execution after
//   another
//
// random: uniform among the enabled threads at every point.
// pct:    Burckhardt, Kothari, Musuvathi, Nagarakatte (ASPLOS 2010): random priorities, lowered at d-1 random
// points of k;
//         finds a bug of depth d with probability at least 1/(n k^(d-1)). k is the longest execution so far.
// pos:    Yuan, Yang, Gu (CAV 2018): a random priority per pending operation, drawn again after a dependent
// one ran. urw:    threads weighted by the operations they have left, as estimated from earlier executions
// (after Zhao et al.,
//         ASPLOS 2025), so that interleavings rather than prefixes are near uniform.
// portfolio: rotates the four by seed: none of them wins everywhere.
//
// All randomness comes from the execution's seed. Not thread safe.

#include <memory>
#include <optional>
#include <string_view>

#include "harness/explore/strategy.h"

namespace touchstone::harness::explore {

enum class Algorithm : std::uint8_t { portfolio, random, pct, pos, urw, dpor, source_dpor, plain, bounded };

const char* name_of(Algorithm algorithm);
std::optional<Algorithm> parse_algorithm(std::string_view name);
constexpr bool samples(Algorithm algorithm) {
  return algorithm <= Algorithm::urw;
}

/// `algorithm` must be one that samples.
std::unique_ptr<Strategy> make_sampler(Algorithm algorithm);

}  // namespace touchstone::harness::explore
