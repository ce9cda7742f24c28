#include "bench/latency.h"

#include <gtest/gtest.h>

namespace touchstone::bench {
namespace {

// A percentile that is off by a bucket turns a p99 of 100 ns into 200 unseen. The oracle is arithmetic: of the numbers 1 to n, a share
// s stays at or below s * n, and a bucket is at most 1/32 of its value wide.
TEST(Latencies, PercentilesOfARampAreExactToABucket) {
  Latencies latencies;
  constexpr std::uint64_t kMost = 100'000;
  for (std::uint64_t taken = 1; taken <= kMost; ++taken) latencies.add(taken);
  for (const double share : {0.001, 0.5, 0.99, 0.999, 1.0}) {
    const double exact = share * static_cast<double>(kMost);
    const auto found = static_cast<double>(latencies.percentile(share));
    EXPECT_GE(found, exact) << share;
    EXPECT_LE(found, exact * (1 + 1.0 / 32) + 1) << share;
  }
}

TEST(Latencies, SmallOnesAreExact) {
  for (const Ticks taken : {0u, 1u, 31u, 32u, 63u}) {
    Latencies latencies;
    latencies.add(taken);
    EXPECT_EQ(latencies.percentile(1.0), taken);
  }
}

TEST(Latencies, TheLongestOfAllHasABucket) {
  Latencies latencies;
  latencies.add(~Ticks{0});
  EXPECT_EQ(latencies.percentile(0.5), ~Ticks{0});
}

TEST(Latencies, MergedThreadsCountTogether) {
  Latencies fast;
  Latencies slow;
  for (int i = 0; i < 99; ++i) fast.add(10);
  slow.add(20);
  fast.merge(slow);
  EXPECT_EQ(fast.count(), 100u);
  EXPECT_EQ(fast.percentile(0.99), 10u);
  EXPECT_EQ(fast.percentile(0.999), 20u);
}

TEST(Latencies, NothingMeasuredHasNoPercentile) {
  EXPECT_EQ(Latencies().percentile(0.99), 0u);
}

}  // namespace
}  // namespace touchstone::bench
