#pragma once
// The heart of a refutation: the history with everything taken away that does not matter, without adding what was not there.
//
//   auto heart = weaken(history, refutation);
//   if (heart) draw(heart->history, ...);                 // drawing.h
//   heart->origin[i]                                       // the operation of the given history that operation i was
//
// Only these changes are made, and each lets the history explain more, never less; so what is left, if it is still refuted, refutes the
// history that was given:
//   K1  The other partitions of a history of cells are left out (locality).
//   K2  What comes behind the first return that nothing explains is left out, and what is open there is pending: the shortest
//       prefix that fails (linearizability is prefix-closed; by bisection).
//   K3  An observation is dropped: a read, a compare-and-set that failed, a store's answer that changed nothing.
//   K4  A change's outcome is made unknown: it may have happened later, or never. No change is ever dropped: a value that was read must
//       have come from somewhere.
//   K5  An interval is widened to the beginning or the end.
// Chunks are tried first, then single operations, until nothing more can go or the limits are reached. Cells and stores alone; of the
// other kinds there is none.
// Cost: a check for each trial; limited by trials and steps, so it is the same every time. Functions of their arguments: any thread.

#include <optional>
#include <vector>

#include "model/checker.h"

namespace touchstone::model {

struct WeakeningLimits {
  std::size_t operations = 20'000;  ///< of the prefix; a longer one is only cut (K2)
  std::size_t trials = 2'000;
  std::uint64_t steps = 5'000'000;  ///< of the general searches, of all trials
  std::uint64_t steps_each = 100'000;
  std::chrono::nanoseconds time = std::chrono::seconds(2);  ///< a last resort against slow machines
};

struct Heart {
  History history;
  std::vector<OperationNumber> origin;  ///< by operation of `history`: what it was in the given one
  std::vector<bool>
      matters;  ///< by operation: false for a change that may have happened at any time or never
  std::vector<bool> widened_begin;  ///< its invocation does not matter
  std::vector<bool> widened_end;    ///< its return does not
  OperationNumber failing = 0;      ///< in `history`
  std::size_t prefix = 0;           ///< operations in the shortest prefix that fails
  bool minimal = false;             ///< nothing more can go; else a limit was reached
};

/// The longest partial linearization: a witness of the longest prefix of the refuted partition that has one, as operations of the
/// given history; of cells without the other keys. Empty where the kind of history, or the limits, allow none.
std::vector<OperationNumber> longest_partial(const History& history, const Refutation& refutation,
                                             const WeakeningLimits& limits = {});

/// Nothing where the kind of history, or too small limits, allow no such thing.
std::optional<Heart> weaken(const History& history, const Refutation& refutation,
                            const WeakeningLimits& limits = {});

}  // namespace touchstone::model
