#pragma once
// A vector clock over the threads of one execution.
//
//   Clock mine;  mine[thread] += 1;  mine.join(theirs, threads);
//   mine.covers(thread, time)        // did that thread's step happen before me?
//
// A value; belongs to one OS thread. Entries at or above the number of threads stay zero, so joins may skip
// them.

#include <array>
#include <cstdint>
#include <cstring>

#include "harness/explore/operation.h"

namespace touchstone::harness::explore {

class Clock {
 public:
  std::uint32_t& operator[](ThreadId thread) { return entries_[thread]; }
  std::uint32_t operator[](ThreadId thread) const { return entries_[thread]; }

  void join(const Clock& other, ThreadId threads) {
    for (ThreadId i = 0; i < threads; i += kBlock) {
      const Block mine = block(i);
      const Block theirs = other.block(i);
      set(i, mine > theirs ? mine : theirs);
    }
  }

  void meet(const Clock& other, ThreadId threads) {
    for (ThreadId i = 0; i < threads; i += kBlock) {
      const Block mine = block(i);
      const Block theirs = other.block(i);
      set(i, mine < theirs ? mine : theirs);
    }
  }

  void copy(const Clock& other, ThreadId threads) {
    for (ThreadId i = 0; i < threads; i += kBlock) set(i, other.block(i));
  }

  void clear() { entries_.fill(0); }

  bool covers(ThreadId thread, std::uint32_t time) const { return entries_[thread] >= time; }

 private:
  // Joined in blocks that a vector register holds, which compilers do not find by themselves. What lies above the number of threads
  // is zero on both sides; no time reaches the sign, which plain x86-64 compares.
  static constexpr ThreadId kBlock = 4;
  typedef std::int32_t Block __attribute__((vector_size(4 * kBlock)));
  static_assert(kMaxThreads % kBlock == 0);

  Block block(ThreadId at) const {
    Block copied;
    std::memcpy(&copied, &entries_[at], sizeof copied);
    return copied;
  }
  void set(ThreadId at, Block block) { std::memcpy(&entries_[at], &block, sizeof block); }

  std::array<std::uint32_t, kMaxThreads> entries_{};
};

}  // namespace touchstone::harness::explore
