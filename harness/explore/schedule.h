#pragma once
// A schedule: everything by which an execution departs from the default policy.
//
//   Schedule schedule = report.failure->schedule;
//   std::string line = schedule.text();            // "1:0x0000000000000007:1.4>2,2.0>1:16:9f3a"
//   std::optional<Schedule> again = Schedule::parse(line);
//
// The default policy runs the current thread until it blocks, yields or ends, then the next runnable one in
// cyclic order (past `fair_after` points every thread in turn); reads the newest value; draws what the seed says; passes every fault point. A schedule is the
// execution's seed, the deviations from that, and checkpoints: a fingerprint of the events at regular
// distances, so that a replay in a changed engine is refused where it first differs. A value type.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/explore/operation.h"

namespace touchstone::harness::explore {

enum class Choice : std::uint8_t { thread, read, draw, fault };

/// After `thread`'s step number `step`, at the `ordinal`-th choice since, `pick` was taken.
struct Deviation {
  Choice what = Choice::thread;
  bool preemption = false;  // the thread left could have gone on
  ThreadId thread = 0;
  std::uint32_t step = 0;
  std::uint32_t ordinal = 0;
  std::uint64_t pick = 0;

  bool same_place(const Deviation& other) const {
    return thread == other.thread && step == other.step && ordinal == other.ordinal;
  }
  friend bool operator==(const Deviation&, const Deviation&) = default;
};

struct Schedule {
  std::uint64_t seed = 0;
  std::optional<std::uint64_t> fair_after;  // points, if it came to that
  std::vector<Deviation> deviations;
  std::uint32_t distance = 16;             // events between checkpoints
  std::vector<std::uint16_t> checkpoints;  // the last one is the whole execution's

  std::size_t preemptions() const;
  std::string text() const;

  /// Nothing when `text` is not what text() writes.
  static std::optional<Schedule> parse(std::string_view text);

  friend bool operator==(const Schedule&, const Schedule&) = default;
};

}  // namespace touchstone::harness::explore
