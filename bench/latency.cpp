#include "bench/latency.h"

#include <cmath>
#include <thread>

namespace touchstone::bench {
namespace {

double measure_tick() {
  const auto begin = std::chrono::steady_clock::now();
  const Ticks first = ticks();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const Ticks last = ticks();
  const std::chrono::duration<double, std::nano> taken = std::chrono::steady_clock::now() - begin;
  return taken.count() / static_cast<double>(last - first);
}

}  // namespace

double nanoseconds_of(Ticks ticks) {
  static const double tick = measure_tick();
  return static_cast<double>(ticks) * tick;
}

void Latencies::merge(const Latencies& other) {
  for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
}

Ticks Latencies::percentile(double share) const {
  const auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen >= wanted && seen != 0) return upper_bound(i);
  }
  return 0;
}

Ticks Latencies::upper_bound(std::size_t bucket) {
  if (bucket < kSub) return bucket;
  const std::size_t shift = bucket / kSub - 1;
  return ((bucket % kSub + kSub + 1) << shift) - 1;
}

Ticks clock_cost() {
  Latencies latencies;
  for (int i = 0; i < 1000; ++i) {
    const Ticks begin = ticks();
    latencies.add(ticks() - begin);
  }
  return latencies.percentile(0.5);
}

}  // namespace touchstone::bench
