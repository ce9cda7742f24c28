#pragma once
// Which stores a load may see under the C++ memory model, when threads run one at a time.
//
//   weak.stored(slot, value, thread, clock, release_clock, order);
//   std::size_t n = weak.readable(slot, thread, clock, order);   // 1: only the newest
//   std::uint64_t value = weak.read(slot, 0..n-1, thread, clock, order);  // 0 is the newest
//
// By views, as in C11Tester (Luo, Demsky, ASPLOS 2021) and relacy: every object keeps its last kHistory
// stores; each store remembers when every thread first saw it. A load may read a store unless it happens
// after somebody saw a newer one (coherence), and a seq_cst load reads nothing older than what an earlier
// seq_cst access of the object saw.
//
// What this leaves out: modification order is execution order; load buffering (C++ allows it, no compiler
// does it here); a failed compare-exchange reads the newest store; stores older than kHistory. Belongs to one
// scheduler.

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "harness/explore/clock.h"

namespace touchstone::harness::explore {

class WeakMemory {
 public:
  static constexpr std::size_t kHistory = 16;

  void clear() { used_ = 0; }

  /// The object's value before any concurrent access: everybody has seen it.
  void initial(std::uint32_t slot, std::uint64_t value);

  void stored(std::uint32_t slot, std::uint64_t value, ThreadId thread, const Clock& clock,
              const Clock& release, std::memory_order order);

  std::size_t readable(std::uint32_t slot, const Clock& clock, std::memory_order order) const;

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
    Clock seen;  // 0: not by that thread
  };

  struct History {
    std::uint64_t count = 0;
    std::uint64_t sequential_floor = 0;
    std::array<Store, kHistory> stores;
  };

  const Store& at(std::uint32_t slot, std::size_t age) const {
    const History& history = histories_[slot];
    return history.stores[(history.count - 1 - age) % kHistory];
  }

  std::vector<History> histories_;
  std::size_t used_ = 0;
};

}  // namespace touchstone::harness::explore
