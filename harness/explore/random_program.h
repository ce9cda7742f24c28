#pragma once
// Small random programs, to compare the reductions with the plain search on.
//
//   RandomProgram program = RandomProgram::draw(stream);
//   scheduler.run(program.body(), search, settings);
//   program.text()      // one line a thread
//
// Two or three threads of up to four instructions each over two words and two mutexes: loads, stores, additions,
// compare-exchanges, awaits, timed and untimed waits, notifications, sleeps, try_lock, and locks nested in any order. So many
// of them deadlock, or await what never comes: that is wanted. A value type.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "harness/seed.h"

namespace touchstone::harness::explore {

class RandomProgram {
 public:
  static RandomProgram draw(Stream& stream);

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

  static std::vector<Instruction> draw_thread(Stream& stream);
  static void run(const Instruction& instruction, State& state, std::vector<bool>& held);

  std::vector<std::vector<Instruction>> threads_;
};

}  // namespace touchstone::harness::explore
