#include "harness/explore/weak_memory.h"

#include <algorithm>

namespace touchstone::harness::explore {

void WeakMemory::initial(std::uint32_t slot, std::uint64_t value) {
  if (histories_.size() <= slot) histories_.resize(slot + 1);
  used_ = std::max<std::size_t>(used_, slot + 1);
  History& history = histories_[slot];
  history.count = 1;
  history.sequential_floor = 0;
  Store& store = history.stores[0];
  store.value = value;
  store.release.clear();
  store.seen.clear();
}

void WeakMemory::stored(std::uint32_t slot, std::uint64_t value, ThreadId thread, const Clock& clock,
                        const Clock& release, std::memory_order order) {
  History& history = histories_[slot];
  if (order == std::memory_order_seq_cst) history.sequential_floor = history.count;
  Store& store = history.stores[history.count % kHistory];
  ++history.count;
  store.value = value;
  store.release = release;
  store.seen.clear();
  store.seen[thread] = clock[thread];
}

std::size_t WeakMemory::readable(std::uint32_t slot, const Clock& clock, std::memory_order order) const {
  const History& history = histories_[slot];
  const std::size_t kept = static_cast<std::size_t>(std::min<std::uint64_t>(history.count, kHistory));
  for (std::size_t age = 0; age + 1 < kept; ++age) {
    const Store& store = at(slot, age);
    if (order == std::memory_order_seq_cst && position(slot, age) <= history.sequential_floor) return age + 1;
    for (ThreadId t = 0; t < kMaxThreads; ++t) {
      if (store.seen[t] != 0 && clock.covers(t, store.seen[t])) return age + 1;
    }
  }
  return kept;
}

const Clock& WeakMemory::read(std::uint32_t slot, std::size_t age, ThreadId thread, const Clock& clock,
                              std::memory_order order) {
  History& history = histories_[slot];
  const std::uint64_t number = position(slot, age);
  if (order == std::memory_order_seq_cst)
    history.sequential_floor = std::max(history.sequential_floor, number);
  Store& store = history.stores[number % kHistory];
  if (store.seen[thread] == 0) store.seen[thread] = clock[thread];
  return store.release;
}

}  // namespace touchstone::harness::explore
