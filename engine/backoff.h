#pragma once
// Exponential back-off: retry n waits base * 2^n plus a jitter below half of that, n counting from 1.
//
//   Backoff{1ms, 5}: retry 1..5 waits 2, 4, 8, 16, 32 ms (+ jitter); from there on 32 ms (+ jitter below 16
//   ms).
//
// Source: chapter 20, section 3; the jitter's range is decision 0003. Pure: the caller draws and sleeps.

#include <algorithm>

#include "engine/platform.h"

namespace touchstone::engine {

struct Backoff {
  Duration base;
  int cap;  ///< the last retry whose wait grows

  /// The wait without jitter.
  constexpr Duration wait(int retry) const { return base * (std::int64_t{1} << exponent(retry)); }

  /// The jitter is uniform in [0, jitter_range(retry)).
  constexpr Duration jitter_range(int retry) const { return wait(retry) / 2; }

  template <class Random>
  Duration draw(int retry, Random& random) const {
    const auto range = static_cast<std::uint64_t>(jitter_range(retry).count());
    return wait(retry) + Duration(range == 0 ? 0 : static_cast<std::int64_t>(random.below(range)));
  }

 private:
  static constexpr int kMostExponent = 30;  // 2^30 ms are twelve days

  constexpr int exponent(int retry) const { return std::clamp(retry, 1, std::clamp(cap, 1, kMostExponent)); }
};

}  // namespace touchstone::engine
