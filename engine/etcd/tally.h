#pragma once
// What the workers of one etcd store have counted, those of this process: etcd knows nothing of it.
//
//   EtcdTally tally;
//   tally.enter(counters);                 // a worker begins
//   tally.leave(counters);                 // it ends, and what it has counted stays
//   Statistics s = tally.statistics();     // at any time
//
// Thread safety: all members from any thread; each counter is added to by its own worker only.

#include <mutex>
#include <set>

#include "engine/native_platform.h"
#include "engine/statistics.h"

namespace touchstone::engine {

class EtcdTally {
 public:
  void enter(const Counters<NativePlatform>& counters) {
    const std::lock_guard lock(mutex_);
    present_.insert(&counters);
  }

  void leave(const Counters<NativePlatform>& counters) {
    const std::lock_guard lock(mutex_);
    present_.erase(&counters);
    past_.add(counters);
  }

  Statistics statistics() const {
    const std::lock_guard lock(mutex_);
    Statistics sum = past_;
    for (const auto* counters : present_) sum.add(*counters);
    return sum;
  }

 private:
  mutable NativePlatform::mutex mutex_;
  std::set<const Counters<NativePlatform>*> present_;
  Statistics past_;
};

}  // namespace touchstone::engine
