#pragma once
// Canonical programs whose number of executions is known, to measure an explorer and to prove it complete.
//
//   const Builtin* builtin = find_builtin("cas-3x2");
//   Report report = exhaust(builtin->body);             // 28,032 classes
//
// The counts depend on every detail of a program, so each is stated in full in builtin.cpp.

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "harness/explore/sampling.h"

namespace touchstone::harness::explore {

struct Builtin {
  std::string name;
  std::string states;  // in one sentence
  std::uint64_t classes;
  std::uint64_t blocked = 0;  // executions that an assumption ends, besides the classes
  bool weak_memory = false;  // counted as execution graphs (reads-from and modification order) of weak memory
  std::function<void()> body;

  friend void PrintTo(const Builtin& builtin, std::ostream* out) { *out << builtin.name; }  // for GoogleTest

  /// What it is counted by: the optimal reduction, or under weak memory the plain search.
  Algorithm algorithm() const { return weak_memory ? Algorithm::plain : Algorithm::dpor; }
};

const std::vector<Builtin>& builtins();
const Builtin* find_builtin(std::string_view name);

/// `threads` threads, each adding 1 to one counter `times` times: (threads * times)! / (times!)^threads classes.
std::function<void()> fetch_add_program(int threads, int times);
/// The same by a loop of compare-exchange, whose failure updates the expected value.
std::function<void()> cas_program(int threads, int times);
/// The same under one mutex, by a plain load and store inside it.
std::function<void()> mutex_program(int threads, int times);
/// One writer stores once, `readers` readers load once: 2^readers classes.
std::function<void()> readers_program(int readers);
/// n threads: i of them store cell[i] = cell[i-1] + 1, one looks for the last zero: (n + 3) * 2^(n-2) classes, where n
/// counts the writers and the looker's array has n + 1 cells.
std::function<void()> last_zero_program(int n);
/// Treiber's stack: each thread one push (the node's next pointer stored before every attempt to swing the head), then
/// one pop (load the head, load its next, swing the head).
std::function<void()> treiber_program(int threads);
/// Optimistic commits: each of `threads` committers reads the versions of two keys, locks both, validates, writes both and
/// bumps both versions, unlocks; after `threshold` failures it takes a ticket instead.
std::function<void()> optimistic_program(int threads, int threshold);

}  // namespace touchstone::harness::explore
