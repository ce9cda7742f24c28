#pragma once
// What an execution reached in the space of schedules, as features for a fuzzer: the code that ran tells little about it.
//
//   ScheduleCoverage coverage;
//   std::span<const Feature> features = coverage.collect(scheduler, counts);     // of the execution that has just run
//
// A feature is an event class and how often it happened, in powers of four. Classes, each hashed to 16 bits:
//   - a pair of accesses by two threads to one object, one right after the other, that do not commute: both places in the program
//   - a switch from one thread to another at two accesses of which one writes: both places
//   - a load that saw a stale value; a fault, by its thread
//   - how the engine fared: the most conflicts, attempts and closings of an execute(), grants, expiries, Busy, restarts; and two at once
//
// Thread safety: one thread.

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "harness/explore/scenario.h"
#include "harness/explore/scheduler.h"

namespace touchstone::harness::fuzzing {

/// class * 4 + log4 of how often, at most 3.
using Feature = std::uint32_t;
inline constexpr std::size_t kClasses = std::size_t{1} << 16;
inline constexpr std::size_t kFeatures = kClasses * 4;

class ScheduleCoverage {
 public:
  std::span<const Feature> collect(const explore::Scheduler& scheduler,
                                   const explore::ScenarioCounts& counts);

 private:
  void see(std::uint64_t a, std::uint64_t b, std::uint64_t c);

  std::array<std::uint8_t, kClasses> times_{};
  std::vector<std::uint16_t> seen_;  // the classes that are not zero
  std::vector<Feature> features_;
};

}  // namespace touchstone::harness::fuzzing
