#pragma once
// What a controlled thread asks of the scheduler, and what the scheduler writes down about it.
//
//   Operation op{.kind = Kind::load, .object = &word};   // announced before it runs: a scheduling point
//   Event e = scheduler.events().back();                 // what it turned out to be
//   dependent(e.access, f.access)                        // do two events on one object commute?
//
// Values travel as 64 bits, whatever their type.
//
// Two events of different threads on the same object are dependent unless both only look. A failed
// compare-exchange and a failed try_lock only look. A thread that parks in wait_until looks at the word and
// enters its queue; notify_all empties that queue and does not touch the word.

#include <atomic>
#include <cstdint>

#include "engine/platform.h"
#include "harness/explore/arena.h"

namespace touchstone::harness::explore {

using ThreadId = std::uint32_t;
inline constexpr ThreadId kMaxThreads = 32;
inline constexpr ThreadId kNoThread = ~ThreadId{0};
using ThreadMask = std::uint32_t;

enum class Kind : std::uint8_t {
  load,
  store,
  exchange,
  fetch_add,
  fetch_sub,
  fetch_or,
  fetch_and,
  compare_exchange,
  await,
  wait,
  notify,
  lock,
  try_lock,
  unlock,
  join,
  sleep,
  yield,
  fault,
  assume,
};

const char* name_of(Kind kind);

enum class Access : std::uint8_t { none, read, write, park, notify };

constexpr bool dependent(Access a, Access b) {
  if (a == Access::none || b == Access::none) return false;
  if (a == Access::notify || b == Access::notify) {
    const Access other = a == Access::notify ? b : a;
    return other == Access::park || other == Access::notify;
  }
  return a == Access::write || b == Access::write;
}

/// An atomic or a mutex under control. Its name is who made it and as how many-th: the same in every schedule
/// that does the same work, wherever memory put it.
struct Object {
  std::uint64_t value = 0;
  std::uint64_t execution = 0;  // the execution that made it; 0: made outside
  std::uint32_t name = 0;
  std::uint32_t slot = 0;  // of the scheduler's side table; 0: not touched yet by concurrent threads
};

inline constexpr std::uint32_t kNameBits = 26;  // low bits: how many-th; high bits: the thread that made it
constexpr ThreadId maker_of(std::uint32_t name) {
  return name >> kNameBits;
}
constexpr std::uint32_t number_of(std::uint32_t name) {
  return name & ((1U << kNameBits) - 1);
}

/// True for what may be an address, whatever its high and low bits are tagged with: heap and mappings lie there on x86-64
/// Linux, and the arena. A program may keep one in an integer; what does not come from the arena differs between two runs
/// that are otherwise the same, and the arena's is drawn as an address.
constexpr bool may_be_address(std::uint64_t value) {
  const std::uint64_t bits = value & 0xffff'ffff'ffff;
  return (bits >= 0x5000'0000'0000 && bits < 0x8000'0000'0000) || Arena::covers(bits);
}

/// Where in the program an operation is written.
struct Site {
  const char* file = nullptr;  // as the compiler was told it; null: nobody noted it
  std::uint32_t line = 0;

  /// As a default argument: where the function was called that has it.
  static constexpr Site here(const char* file = __builtin_FILE(), std::uint32_t line = __builtin_LINE()) {
    return {file, line};
  }
};

struct Operation {
  Kind kind;
  std::memory_order order = std::memory_order_seq_cst;
  std::memory_order failure_order = std::memory_order_seq_cst;
  bool pointer = false;  // the value is an address: not to be compared between runs
  Object* object = nullptr;
  std::uint64_t operand = 0;   // what to store or add; a joined thread; the truth of an assumption
  std::uint64_t expected = 0;  // of a compare-exchange; afterwards what it found
  std::uint64_t mask = ~std::uint64_t{0};  // the width of the value
  bool (*satisfied)(const void* predicate, std::uint64_t value) = nullptr;
  const void* predicate = nullptr;
  engine::Time deadline{};
  const char* label = nullptr;  // of a fault point
  bool success = true;          // out: of compare_exchange, try_lock, wait
  Site site = {};
};

struct Event {
  std::uint64_t before = 0;  // the object's value, or what a stale read saw
  std::uint64_t after = 0;
  std::uint64_t expected =
      0;  // of a compare-exchange; of a wait whether it was satisfied; of a weak load which store
  std::uint32_t object = 0;    // its name
  std::uint32_t slot = 0;      // 0: no object
  std::int32_t previous = -1;  // the event before this one on the same object
  std::uint32_t epoch = 0;     // how many times virtual time had moved
  std::uint32_t peer = 0;      // the joined thread; of a wait the event + 1 that woke it, 0: time did
  ThreadId thread = 0;
  Kind kind = Kind::load;
  Access access = Access::none;
  std::memory_order order = std::memory_order_seq_cst;
  bool pointer = false;
  bool stale = false;
  Site site;
};

}  // namespace touchstone::harness::explore
