#pragma once
// Which stores a load may see under the C++ memory model, when threads run one at a time.
//
//   weak.stored(slot, value, thread, clock, release_clock, order);
//   std::size_t n = weak.readable(slot, thread, clock, order);   // 1: only the newest
//   std::uint64_t value = weak.read(slot, 0..n-1, thread, clock, order);  // 0 is the newest
//
// By views, as in C11Tester (Luo, Demsky, ASPLOS 2021) and relacy: every object keeps its last kHistory
// stores; each store remembers when every thread first saw it. A load may read a store unless it happens
// after somebody saw a newer one (coherence), or it is seq_cst and the one order S of all such accesses forbids
// it. S goes with what happens before and with each object's own order (who read or overwrote what; RC11: Lahav et al.,
// PLDI 2017). It is mostly the order of execution. But a thread that has learnt of something that a seq_cst store's thread
// did later, and by no acquiring load, may still come before that store in S: the store may be seen after a weaker one that follows
// it, as on ARM.
//
// What this leaves out: modification order is execution order; load buffering (C++ allows it, no compiler
// does it here); an S that does not go with what happens before (C++20 allows some, POWER does it); a failed
// compare-exchange reads the newest store; of older stores a wait sees only those that would end it; stores older than
// kHistory. Belongs to one scheduler.

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "harness/explore/clock.h"

namespace touchstone::harness::explore {

class WeakMemory {
 public:
  static constexpr std::size_t kHistory = 16;

  void clear();

  /// The object's value before any concurrent access: everybody has seen it.
  void initial(std::uint32_t slot, std::uint64_t value);

  void stored(std::uint32_t slot, std::uint64_t value, ThreadId thread, const Clock& clock,
              const Clock& release, std::memory_order order);

  std::size_t readable(std::uint32_t slot, ThreadId thread, const Clock& clock,
                       std::memory_order order) const;

  std::uint64_t value(std::uint32_t slot, std::size_t age) const { return at(slot, age).value; }

  /// Notes that `thread` saw that store; returns what an acquiring load of it learns.
  const Clock& read(std::uint32_t slot, std::size_t age, ThreadId thread, const Clock& clock,
                    std::memory_order order);

  /// The store's number in modification order.
  std::uint64_t position(std::uint32_t slot, std::size_t age) const {
    return histories_[slot].count - 1 - age;
  }

 private:
  struct Store {
    std::uint64_t value = 0;
    Clock release;
    Clock seen;   // 0: not by that thread
    Clock cause;  // what led to it, whether or not it happened before
  };

  /// A seq_cst access.
  struct Access {
    ThreadId thread;
    std::uint32_t slot;
    std::uint64_t position;  // of the store that it is, or that it read
    bool stores;
    Clock clock;
  };

  struct History {
    std::uint64_t count = 0;
    std::uint64_t sequential_floor = 0;  // the newest position among seq_cst accesses
    std::array<Store, kHistory> stores;
  };

  const Store& at(std::uint32_t slot, std::size_t age) const {
    const History& history = histories_[slot];
    return history.stores[(history.count - 1 - age) % kHistory];
  }

  std::uint64_t floor_of(std::uint32_t slot, ThreadId thread, const Clock& clock) const;
  bool precedes(std::size_t earlier, std::size_t later) const;

  std::vector<History> histories_;
  std::vector<Access> accesses_;           // seq_cst ones as executed
  std::array<Clock, kMaxThreads> causes_;  // what each thread has learnt of, by any load
  ThreadId threads_ = 0;                   // those that did anything
};

}  // namespace touchstone::harness::explore
