#pragma once
// Kills a process at every one of its system-call stops, and asks after each kill whether the world is
// whole.
//
//   CrashPoints points{"C4"};
//   points.enumerate([&] { return allocate(); }, [&] { account_for_everything(); });
//   std::printf("%u kills\n", points.kills());
//
// Each point is a process of its own, from the beginning. TOUCHSTONE_CRASH_POINT=k runs point k only: a
// failure's replay line says it. A call belongs to one thread.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace touchstone::chaos {

class CrashPoints {
 public:
  CrashPoints();

  /// For k = 1, 2, ...: starts the victim, kills it at its k-th stop, calls `account`; ends with the first
  /// run that was not killed, whose exit code must be 0. `account` fails the test if something is wrong.
  /// Returns the number of stops.
  unsigned enumerate(const std::function<int()>& victim, const std::function<void()>& account);

  unsigned kills() const { return kills_; }

 private:
  std::optional<unsigned> only_;
  unsigned kills_ = 0;
};

}  // namespace touchstone::chaos
