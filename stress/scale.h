#pragma once
// How long a stress test goes on: 1 in every run, more in the soak preset, which compiles the same tests once more.
//
//   for (int round = 0; round < 20 * kScale; ++round) ...

namespace touchstone::stress {

#ifdef TOUCHSTONE_SCALE
inline constexpr int kScale = TOUCHSTONE_SCALE;
#else
inline constexpr int kScale = 1;
#endif

}  // namespace touchstone::stress
