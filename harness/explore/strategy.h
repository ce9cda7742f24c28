#pragma once
// Who decides. A strategy answers every question of one execution after another: which thread next, which
// value.
//
//   class MyStrategy : public Strategy { ThreadId pick(Scheduler& s) override { return lowest(s.enabled()); }
//   };
//
// Called on the scheduler's OS thread only, from the stack of whichever fiber asks: keep frames small.

#include <bit>
#include <cstdint>

#include "harness/explore/operation.h"
#include "harness/explore/schedule.h"

namespace touchstone::harness::explore {

class Scheduler;

constexpr ThreadId lowest(ThreadMask mask) {
  return static_cast<ThreadId>(std::countr_zero(mask));
}

class Strategy {
 public:
  virtual ~Strategy() = default;

  /// Before the body starts.
  virtual void begin(Scheduler&) {}

  /// One of scheduler.enabled(), or kNoThread: nothing new lies this way. The execution then ends as blocked,
  /// after the default policy has brought it to its end.
  virtual ThreadId pick(Scheduler& scheduler) = 0;

  /// A value below `arity`. `fallback` is what the default policy takes.
  virtual std::uint64_t choose(Scheduler&, Choice, std::uint64_t /*arity*/, std::uint64_t fallback) {
    return fallback;
  }

  /// When nothing more will be chosen; blocked threads are still where they stopped.
  virtual void end(Scheduler&) {}

  /// Whether yield() and fault_point() are scheduling points.
  virtual bool stops_at_yields() const { return true; }
  virtual bool stops_at_faults() const { return false; }
};

}  // namespace touchstone::harness::explore
