#include "harness/explore/weak_memory.h"

#include <algorithm>

namespace touchstone::harness::explore {

void WeakMemory::clear() {
  accesses_.clear();
  for (ThreadId t = 0; t < threads_; ++t) causes_[t].clear();
  threads_ = 0;
}

void WeakMemory::initial(std::uint32_t slot, std::uint64_t value) {
  if (histories_.size() <= slot) histories_.resize(slot + 1);
  History& history = histories_[slot];
  history.count = 1;
  history.sequential_floor = 0;
  Store& store = history.stores[0];
  store.value = value;
  store.release.clear();
  store.seen.clear();
  store.cause.clear();
}

void WeakMemory::stored(std::uint32_t slot, std::uint64_t value, ThreadId thread, const Clock& clock,
                        const Clock& release, std::memory_order order) {
  History& history = histories_[slot];
  if (order == std::memory_order_seq_cst) {
    history.sequential_floor = history.count;
    accesses_.push_back({thread, slot, history.count, true, clock});
  }
  threads_ = std::max(threads_, thread + 1);
  causes_[thread].join(clock, threads_);
  Store& store = history.stores[history.count % kHistory];
  ++history.count;
  store.value = value;
  store.release = release;
  store.seen.clear();
  store.seen[thread] = clock[thread];
  store.cause = causes_[thread];
}

/// Whether S must have it so. Within a thread by the order of execution: an access that releases nothing does not count in clocks.
bool WeakMemory::precedes(std::size_t earlier, std::size_t later) const {
  const Access& a = accesses_[earlier];
  const Access& b = accesses_[later];
  if (a.thread == b.thread ? earlier < later : b.clock.covers(a.thread, a.clock[a.thread])) return true;
  if (a.slot != b.slot) return false;
  return a.position < b.position || (a.position == b.position && a.stores && !b.stores);
}

/// The oldest store that a seq_cst load may read now: not older than what those accesses read or stored that must come before it in S.
std::uint64_t WeakMemory::floor_of(std::uint32_t slot, ThreadId thread, const Clock& clock) const {
  const std::uint64_t executed = histories_[slot].sequential_floor;
  // If all that it has learnt of happened before, then what it might read besides it may read in another schedule, too.
  bool all_ordered = true;
  for (ThreadId t = 0; t < threads_; ++t)
    all_ordered = all_ordered && (t == thread || clock.covers(t, causes_[thread][t]));
  if (all_ordered) return executed;
  std::vector<std::size_t> before;
  std::vector<bool> known(accesses_.size());
  const auto note = [&](std::size_t i) {
    known[i] = true;
    before.push_back(i);
  };
  for (std::size_t i = 0; i < accesses_.size(); ++i) {
    const Access& it = accesses_[i];
    if (it.thread == thread || clock.covers(it.thread, it.clock[it.thread])) note(i);
  }
  std::uint64_t floor = 0;
  for (std::size_t at = 0; at < before.size(); ++at) {
    const std::size_t later = before[at];
    if (accesses_[later].slot == slot) floor = std::max(floor, accesses_[later].position);
    for (std::size_t i = 0; i < accesses_.size(); ++i)
      if (!known[i] && precedes(i, later)) note(i);
  }
  return floor;
}

std::size_t WeakMemory::readable(std::uint32_t slot, ThreadId thread, const Clock& clock,
                                 std::memory_order order) const {
  const History& history = histories_[slot];
  const std::uint64_t floor = order == std::memory_order_seq_cst ? floor_of(slot, thread, clock) : 0;
  const std::size_t kept = static_cast<std::size_t>(std::min<std::uint64_t>(history.count, kHistory));
  for (std::size_t age = 0; age + 1 < kept; ++age) {
    const Store& store = at(slot, age);
    if (position(slot, age) <= floor) return age + 1;
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
  Store& store = history.stores[number % kHistory];
  if (order == std::memory_order_seq_cst) {
    history.sequential_floor = std::max(history.sequential_floor, number);
    accesses_.push_back({thread, slot, number, false, clock});
    accesses_.back().clock.join(store.release, kMaxThreads);
  }
  threads_ = std::max(threads_, thread + 1);
  causes_[thread].join(store.cause, threads_);
  if (store.seen[thread] == 0) store.seen[thread] = clock[thread];
  return store.release;
}

}  // namespace touchstone::harness::explore
