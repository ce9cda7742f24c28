#pragma once
// The checker of a history that has no end: part after part, in memory that does not grow with it.
//
//   StreamChecker checker;
//   while (next part of the history)                                  // a History with what rule T1 asks for
//     if (auto refuted = checker.advance(part, from, until)) ...      // at the first part that nothing explains
//   if (!checker.inconclusive().empty()) ...                          // the keys that were given up, and why
//
// For each key the breadth-first search goes on where it stopped: the worlds that are possible so far (the cell's value, and
// which of the open operations have taken effect) are carried from part to part. Rules, cited by number in the code:
//   T1  A part is a history of cells without versions, with every operation that is open at `from` (invoked before it) and
//       every one that is invoked between `from` and `until`. The outcome of each of them is known: what is pending counts
//       as unknown for ever; one from an earlier part that no longer matters is passed over.
//   T2  An operation that is carried keeps its client; no client has two of them.
//   T3  The answer is that of the whole history: the worlds are all that are possible, as in the breadth-first search, and
//       what the search leaves out because nobody ever notices it (P4 of problem.h) is not left out here.
//   T4  A key whose worlds need more than the memory or the time given is given up: inconclusive, never right or wrong.
// Memory: the worlds of each key, one bit an open operation, and the operations of unknown outcome that may still matter.
// Not thread-safe.

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "model/checker.h"

namespace touchstone::model {

struct StreamOptions {
  std::size_t max_memory = std::size_t{1} << 30U;              ///< of one key's search
  std::chrono::nanoseconds budget = std::chrono::seconds(60);  ///< for one key in one part
};

/// One way a cell may be at the end of a part.
struct CarriedWorld {
  std::optional<Scalar> value;
  std::vector<bool> taken;     ///< by CarriedKey::open
  std::vector<bool> optional;  ///< the same
  std::vector<bool> used;      ///< by CarriedKey::unknown
};

/// What is known of a key at the end of a part.
struct CarriedKey {
  std::vector<std::string> open;     ///< the clients of open operations with known outcome
  std::vector<std::string> unknown;  ///< those of operations with unknown outcome, by invocation
  std::vector<CarriedWorld> worlds;
  bool given_up = false;
};

class StreamChecker {
 public:
  explicit StreamChecker(StreamOptions options = {}) : options_(options) {}

  /// Goes on to `until`. The first key that nothing explains, if there is one.
  std::optional<Refutation> advance(History& part, std::int64_t from, std::int64_t until);

  /// True while the client's operation of unknown outcome may still matter, so that the next part must have it.
  bool needs_unknown(const std::string& client) const { return unknown_.count(client) != 0; }

  /// Why there is no answer about some key (T4); empty if there is one about all.
  const std::string& inconclusive() const { return inconclusive_; }

  /// The most worlds that a key was carried with.
  std::size_t worlds() const { return most_worlds_; }

 private:
  void give_up(CarriedKey& carried, const std::string& key, const std::string& budget);
  void gather_unknown();

  StreamOptions options_;
  std::map<std::string, CarriedKey> keys_;
  std::set<std::string> unknown_;  ///< the clients whose operations of unknown outcome some key carries
  std::string inconclusive_;
  std::size_t most_worlds_ = 0;
};

}  // namespace touchstone::model
