#pragma once
// Every schedule, one after another, without any reduction: depth-first over every choice there is.
//
//   PlainSearch search({.preemptions = 2});
//   do { scheduler.run(body, search, settings); } while (search.advance());
//
// It is what the reductions are checked against; it takes the values of stale reads and faults into the tree, which they
// do not; and with a bound on preemptions (Musuvathi, Qadeer, PLDI 2007) it covers a well-defined part of what is too large
// to exhaust. Belongs to one scheduler.

#include <optional>
#include <vector>

#include "harness/explore/strategy.h"

namespace touchstone::harness::explore {

struct PlainLimits {
  std::optional<std::uint32_t> preemptions;  // schedules with more are left out
  std::uint64_t draws = 1;  // how many values of a draw are tried: the seed's, then 0, 1, ...
};

class PlainSearch final : public Strategy {
 public:
  explicit PlainSearch(PlainLimits limits = {}) : limits_(limits) {}

  void begin(Scheduler&) override;
  ThreadId pick(Scheduler& scheduler) override;
  std::uint64_t choose(Scheduler&, Choice what, std::uint64_t arity, std::uint64_t fallback) override;
  bool stops_at_yields() const override { return false; }

  /// Turns to the next schedule; false when there is none.
  bool advance();

 private:
  struct Node {
    ThreadMask left;       // threads still to be tried
    std::uint64_t taken;   // the thread, or the number of the value
    std::uint64_t values;  // 0: a choice of threads
  };

  PlainLimits limits_;
  std::vector<Node> nodes_;
  std::size_t at_ = 0;
  std::uint32_t preemptions_ = 0;
};

}  // namespace touchstone::harness::explore
