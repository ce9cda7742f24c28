#pragma once
// Small random programs, to compare the reductions with the plain search on.
//
//   RandomProgram program = RandomProgram::draw(stream, Shape::mixed);
//   scheduler.run(program.body(), search, settings);
//   program.text()      // one line a thread
//
// Threads of a few instructions each over two or three words and as many mutexes: loads, stores, additions, compare-exchanges,
// awaits, timed and untimed waits, notifications, sleeps, try_lock, and locks nested in any order. So many of them deadlock,
// or await what never comes: that is wanted. A value type.

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/seed.h"

namespace touchstone::harness::explore {

enum class Shape : std::uint8_t {
  mixed,         // two or three threads of up to four instructions of every kind
  more_threads,  // three or four threads of up to three instructions of every kind
  locks,         // three mutexes, nested
  waits,         // waits, notifications, awaits and sleeps
  exchanges,     // compare-exchanges and additions
};
inline constexpr Shape kShapes[] = {Shape::mixed, Shape::more_threads, Shape::locks, Shape::waits,
                                    Shape::exchanges};

const char* name_of(Shape shape);

class RandomProgram {
 public:
  static RandomProgram draw(Stream& stream, Shape shape);

  /// What text() says; throws std::invalid_argument for anything else.
  static RandomProgram parse(const std::string& text);

  std::function<void()> body() const;
  std::string text() const;

 private:
  enum class Op : std::uint8_t { load, store, add, cas, await, wait, notify, sleep, lock, try_lock, unlock };

  struct Instruction {
    Op op;
    int object;  // of words or mutexes
    int value;   // stored, expected or awaited
  };

  struct State;

  struct Limits;

  static std::vector<Instruction> draw_thread(Stream& stream, const Limits& limits);
  using Held = std::array<bool, 3>;  // by mutex

  static void run(const Instruction& instruction, State& state, Held& held);

  std::vector<std::vector<Instruction>> threads_;
};

}  // namespace touchstone::harness::explore
