#pragma once
// Latencies of single operations, far below a microsecond.
//
//   Latencies latencies;                                // one a thread
//   const Ticks begin = ticks(); commit(); latencies.add(ticks() - begin);
//   latencies.merge(of_another_thread);
//   nanoseconds_of(latencies.percentile(0.99))
//
// The time-stamp counter costs some 10 ns where steady_clock costs 24; its own cost is in every figure and is reported beside them.
// Buckets are 32 to a power of two, so a percentile is exact to 3 %.
//
// Thread safety: a Latencies belongs to one thread; the functions are free.

#include <array>
#include <bit>
#include <chrono>
#include <cstdint>

namespace touchstone::bench {

using Ticks = std::uint64_t;

inline Ticks ticks() {
#if defined(__x86_64__)
  return __builtin_ia32_rdtsc();
#else
  return static_cast<Ticks>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
}

/// Measured once against steady_clock.
double nanoseconds_of(Ticks ticks);

class Latencies {
 public:
  void add(Ticks taken) {
    ++buckets_[bucket(taken)];
    ++count_;
  }

  void merge(const Latencies& other);

  /// The least bucket bound that `share` of all operations stayed below; 0 without operations.
  Ticks percentile(double share) const;

  std::uint64_t count() const { return count_; }

 private:
  static constexpr int kSubBits = 5;
  static constexpr std::uint64_t kSub = 1 << kSubBits;

  static std::size_t bucket(Ticks taken) {
    if (taken < kSub) return taken;
    const int shift = std::bit_width(taken) - 1 - kSubBits;
    return static_cast<std::size_t>((static_cast<std::uint64_t>(shift) + 1) * kSub + (taken >> shift) - kSub);
  }

  static Ticks upper_bound(std::size_t bucket);

  std::array<std::uint64_t, (64 - kSubBits + 1) * kSub> buckets_{};
  std::uint64_t count_ = 0;
};

/// What two looks at the clock with nothing in between take, at the median.
Ticks clock_cost();

}  // namespace touchstone::bench
