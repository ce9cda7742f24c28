#pragma once
// What B1 and B4 to B11 promise on any schedule, as bodies for the explorer: one place for the tests and for the claims of
// `touchstone verify`.
//
//   const Scheduled& promise = scheduled("B5", "one-rival");
//   explore::Report report = look(promise, {.seed = 7});        // exhausts, samples or plays its script, as it says
//   if (report && !promise.reached->covers(promise.wanted)) ...  // it held, but nothing that could break it happened
//   for (const Scheduled* promise : all_scheduled_for("B5")) ...
//
// Bodies start with the failures that workers would have by then: five real conflicts in a row are out of reach of any
// exhaustive search. Flags that a requirement compares are platform atomics, so that the reductions see them.
//
// Thread safety: one thread; the bodies' threads are the explorer's.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/options.h"
#include "engine/statistics.h"
#include "harness/explore/explorer.h"
#include "harness/explore/script.h"

namespace touchstone::stress {

/// The most of each that any execution has seen.
struct Reached {
  std::uint64_t grants = 0;
  std::uint64_t expiries = 0;
  std::uint64_t busy = 0;
  std::uint64_t conflicts = 0;

  void take(const engine::Statistics& statistics) {
    grants = std::max(grants, statistics.grants);
    expiries = std::max(expiries, statistics.expiries);
    busy = std::max(busy, statistics.busy);
    conflicts = std::max(conflicts, statistics.conflicts);
  }

  bool covers(const Reached& wanted) const {
    return grants >= wanted.grants && expiries >= wanted.expiries && busy >= wanted.busy &&
           conflicts >= wanted.conflicts;
  }
};

struct Scheduled {
  enum class Search : std::uint8_t { exhausted, sampled, scripted };

  std::string claim;
  std::string name;
  Search search;
  harness::explore::Body body;
  harness::explore::Script script = {};
  std::uint64_t executions = 1'000;  ///< to sample at a time, or to exhaust at most
  std::shared_ptr<Reached> reached = std::make_shared<Reached>();
  Reached wanted = {};
};

/// Promises in the making, of the engine under one policy of contention. Under the queue per key their names end in "-by-key".
class ScheduledList {
 public:
  explicit ScheduledList(engine::Policy policy) : policy_(policy) {}

  Scheduled& add(std::string claim, std::string name, Scheduled::Search search, std::uint64_t executions,
                 const Reached& wanted, std::function<void(Reached&)> body);
  std::vector<Scheduled> take() { return std::move(all_); }

 private:
  engine::Policy policy_;
  std::vector<Scheduled> all_;
};

/// The promises of one claim, in order.
std::vector<const Scheduled*> all_scheduled_for(std::string_view claim);

/// One by its name: std::out_of_range if there is none.
const Scheduled& scheduled(std::string_view claim, std::string_view name);

/// Exhausts, samples or plays the script. `options.executions` overrides the promise's own number.
harness::explore::Report look(const Scheduled& promise, harness::explore::Options options = {});

std::vector<Scheduled> scheduled_gate(engine::Policy policy);   ///< B1, B4, B5, B8, B9
std::vector<Scheduled> scheduled_turns(engine::Policy policy);  ///< B6, B7
std::vector<Scheduled> scheduled_bound(engine::Policy policy);  ///< B10, B11

}  // namespace touchstone::stress
