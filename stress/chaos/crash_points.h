#pragma once
// Kills a process at every one of its system-call stops, and asks after each kill whether the world is
// whole.
//
//   CrashPoints points;
//   points.enumerate({.act = [&] { return allocate(); }}, [&] { account_for_everything(); });
//   points.print();                             // "121 kills, 1,532 a second"
//
// Each point is a process of its own, from the beginning. TOUCHSTONE_CRASH_POINT=k runs point k only: a
// failure's replay line says it. A call belongs to one thread.

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "stress/chaos/tracee.h"

namespace touchstone::chaos {

class CrashPoints {
 public:
  CrashPoints();

  /// For k = 1, 2, ...: starts the victim, kills it at its k-th stop, calls `account`; ends with the first
  /// run that was not killed, whose exit code must be 0. `account` fails the test if something is wrong.
  /// Returns the number of stops.
  unsigned enumerate(const Victim& victim, const std::function<void()>& account);

  /// The first victim killed before its i-th system call, then the second before its j-th: for all j, and all
  /// i or, with a stride, every so many.
  void enumerate_pairs(const Victim& first, const Victim& second, const std::function<void()>& account,
                       unsigned stride = 1);

  unsigned kills() const { return kills_; }

  /// How many kills, and how fast: by the clock and by processor time.
  void print() const;

 private:
  /// What TOUCHSTONE_CRASH_POINT says: one number, or two with a dot between them.
  struct Point {
    unsigned first = 0;
    unsigned second = 0;
  };

  bool kill_before_call(const Victim& victim, unsigned call, std::string& where);

  OneProcessor processor_;
  std::optional<Point> only_;
  unsigned kills_ = 0;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  double processor_begin_;  ///< in seconds
};

}  // namespace touchstone::chaos
