#pragma once
// What a store counts. Counters are per slot, written by one thread and summed when somebody looks, so
// counting costs a commit nothing that others would notice.
//
//   Statistics s = store.statistics();   s.commits_fast, s.conflicts, s.retries[2] ...

#include <array>
#include <bit>
#include <string>

#include "engine/platform.h"

namespace touchstone::engine {

/// Buckets by powers of two: bucket 0 holds 0, bucket k holds [2^(k-1), 2^k), the last one all beyond.
template <std::size_t kBuckets>
constexpr std::size_t log2_bucket(std::uint64_t n) {
  const auto bucket = static_cast<std::size_t>(std::bit_width(n));
  return bucket < kBuckets ? bucket : kBuckets - 1;
}

inline constexpr std::size_t kRetryBuckets = 16;  ///< conflicts of one execute(), one bucket a number
inline constexpr std::size_t kWaitBuckets = 24;   ///< microseconds waited by one execute(), by powers of two

/// Every counter by name, once: X(name, meaning).
#define TOUCHSTONE_COUNTERS(X)                                                    \
  X(commits_fast, "commits whose expected version was the current one")           \
  X(commits_merged, "commits merged by key-level validation")                     \
  X(commits_empty, "commits without a write")                                     \
  X(conflicts, "attempts that failed validation")                                 \
  X(busy, "attempts that found the gate closed")                                  \
  X(rejected, "calls refused for bad input")                                      \
  X(versions_compared, "versions compared beyond the words that a commit locked") \
  X(restarts, "commits that let go of their locks for an ancestor's sake")        \
  X(attempts, "body runs")                                                        \
  X(grants, "tickets that reached the gate")                                      \
  X(expiries, "leases that ran out")                                              \
  X(limit_joins, "tickets earned by waiting out busy_limit closings")             \
  X(backoff_us, "microseconds of back-off")                                       \
  X(gate_us, "microseconds waited at the gate")                                   \
  X(nodes_made, "values made for version chains")                                 \
  X(nodes_freed, "values freed again")                                            \
  X(trims, "looks at the snapshots to shorten a chain")                           \
  X(effect_errors, "effects whose sink threw")

template <Platform P>
struct Counters {
#define TOUCHSTONE_COUNTER(name, meaning) typename P::counter name;
  TOUCHSTONE_COUNTERS(TOUCHSTONE_COUNTER)
#undef TOUCHSTONE_COUNTER
  std::array<typename P::counter, kRetryBuckets> retries;
  std::array<typename P::counter, kWaitBuckets> waits;
};

struct Statistics {
#define TOUCHSTONE_COUNTER(name, meaning) std::uint64_t name = 0;
  TOUCHSTONE_COUNTERS(TOUCHSTONE_COUNTER)
#undef TOUCHSTONE_COUNTER
  std::array<std::uint64_t, kRetryBuckets> retries{};
  std::array<std::uint64_t, kWaitBuckets> waits{};
  std::uint64_t snapshots_open = 0;
  std::uint64_t oldest_snapshot_age =
      0;                    ///< versions made since the oldest open snapshot: a forgotten one shows here
  std::uint64_t paths = 0;  ///< distinct paths interned

  std::uint64_t commits() const {
    return commits_fast + commits_merged;
  }

  template <Platform P>
  void add(const Counters<P>& counters) {
#define TOUCHSTONE_COUNTER(name, meaning) name += counters.name.load();
    TOUCHSTONE_COUNTERS(TOUCHSTONE_COUNTER)
#undef TOUCHSTONE_COUNTER
    for (std::size_t i = 0; i < kRetryBuckets; ++i) retries[i] += counters.retries[i].load();
    for (std::size_t i = 0; i < kWaitBuckets; ++i) waits[i] += counters.waits[i].load();
  }
};

/// One line a counter that is not zero, with its meaning.
std::string to_text(const Statistics& statistics);

}  // namespace touchstone::engine
