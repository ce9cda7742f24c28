#pragma once
// A vector clock over the threads of one execution.
//
//   Clock mine;  mine[thread] += 1;  mine.join(theirs, threads);
//   mine.covers(thread, time)        // did that thread's step happen before me?
//
// A value; belongs to one OS thread. Entries at or above the number of threads stay zero, so joins may skip
// them.

#include <algorithm>
#include <array>
#include <cstdint>

#include "harness/explore/operation.h"

namespace touchstone::harness::explore {

class Clock {
 public:
  std::uint32_t& operator[](ThreadId thread) { return entries_[thread]; }
  std::uint32_t operator[](ThreadId thread) const { return entries_[thread]; }

  void join(const Clock& other, ThreadId threads) {
    for (ThreadId i = 0; i < threads; ++i) entries_[i] = std::max(entries_[i], other.entries_[i]);
  }

  void meet(const Clock& other, ThreadId threads) {
    for (ThreadId i = 0; i < threads; ++i) entries_[i] = std::min(entries_[i], other.entries_[i]);
  }

  void copy(const Clock& other, ThreadId threads) {
    std::copy_n(other.entries_.begin(), threads, entries_.begin());
  }

  void clear() { entries_.fill(0); }

  bool covers(ThreadId thread, std::uint32_t time) const { return entries_[thread] >= time; }

 private:
  std::array<std::uint32_t, kMaxThreads> entries_{};
};

}  // namespace touchstone::harness::explore
