#pragma once
// What an execution did, for people and for counting.
//
//   std::fputs(draw_columns(scheduler).c_str(), stdout);     // one column a thread, one line an event, with
//   values TraceHasher hasher;  std::uint64_t h = hasher.hash(scheduler);
//
// Two executions have equal hashes if and only if (up to collisions) they are the same Mazurkiewicz trace:
// they order all dependent events alike. Not thread safe.

#include <cstdint>
#include <string>
#include <vector>

#include "harness/explore/scheduler.h"

namespace touchstone::harness::explore {

std::string draw_columns(const Scheduler& scheduler);

/// One event, as in the columns.
std::string sentence_of(const Scheduler& scheduler, const Event& event);

class TraceHasher {
 public:
  std::uint64_t hash(const Scheduler& scheduler);

  /// For weak memory: equal if every load reads from the same store and every object has the same modification order.
  std::uint64_t graph_hash(const Scheduler& scheduler);

 private:
  struct ObjectHash {
    std::uint64_t write = 0;
    std::uint64_t reads = 0;  // commutative sum since the last write
    std::uint64_t notify = 0;
    std::uint64_t parks = 0;  // since the last notify
  };

  std::vector<ObjectHash> objects_;
  std::vector<std::vector<std::uint64_t>> stores_;  // by object, in modification order
  std::vector<std::uint64_t> threads_;
};

}  // namespace touchstone::harness::explore
