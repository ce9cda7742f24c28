#pragma once
// One partition of a history, prepared for the general searches.
//
//   Problem problem = make_problem(history, numbers);     // the operations of one key, any order
//   for (std::uint32_t event : problem.events) ...        // in real-time order: Problem::is_return(event)
//
// Rules, cited by number in the code:
//   P1  Events are in time order; invocations before returns at equal times (closed intervals, H1).
//   P2  An operation with a known outcome has a slot while it is open; slots are reused, so there are as many
//       as operations were ever open at once.
//   P3  Operations with unknown outcomes have no slot: those of one class are interchangeable, the earliest
//       invoked goes first, and a configuration only counts how many took effect.
//   P4  What cannot matter is left out: reads with unknown outcome, and unknown operations whose effect no
//       other operation can notice. Of an endless history only the reads: what comes later may notice.
// 24 bytes an operation and 4 a class, and no more while it is made but 32 a class. Immutable after make_problem(); the history
// outlives it.

#include <cstdint>
#include <span>
#include <vector>

#include "model/automaton.h"
#include "model/checker.h"

namespace touchstone::model {

inline constexpr std::uint32_t kNoEvent = ~std::uint32_t{0};
inline constexpr std::uint32_t kNoIndex = ~std::uint32_t{0};

struct SearchOperation {
  OperationNumber number = 0;             ///< in the history
  std::uint32_t return_event = kNoEvent;  ///< kNoEvent: unknown outcome
  ClassId class_id = 0;
  std::uint32_t slot = 0;  ///< P2; of an unknown one its place among those of its class

  bool mandatory() const { return return_event != kNoEvent; }
};

/// P3: the operations of one class whose outcome nobody knows, in the order of their invocations.
struct UnknownClass {
  ClassId class_id = 0;
  std::vector<std::uint32_t> operations;
};

/// An observation that will be forced, and the overwrites that its value can start from.
struct Goal {
  std::uint32_t operation = 0;
  std::uint32_t invoked = 0;  ///< the first so many operations are invoked before it returns
  std::vector<std::uint32_t> sources;
};

struct Problem {
  explicit Problem(const History& history) : representatives(history) {}

  std::vector<SearchOperation>
      operations;  ///< in the order of their invocations, so invocation i is of operation i
  std::vector<std::uint32_t> events;  ///< P1: operation * 2 + (return ? 1 : 0)
  Representatives representatives;    ///< of the classes
  std::vector<UnknownClass> unknown;
  std::vector<std::uint32_t> unknown_of_class;  ///< class to its place in `unknown`, or kNoIndex
  std::vector<Goal> goals;                      ///< by return; only where values extend one another
  std::uint32_t slots = 0;
  std::uint32_t stop = 0;  ///< the searches go along so many events; all, but in a part of an endless history

  static bool is_return(std::uint32_t event) { return (event & 1U) != 0; }
  static std::uint32_t operation_of(std::uint32_t event) { return event >> 1U; }
};

Problem make_problem(const History& history, std::span<const OperationNumber> numbers);

/// A part of an endless history: the events before `until`, of operations whose outcomes are known already.
Problem make_endless_problem(const History& history, std::span<const OperationNumber> numbers,
                             std::int64_t until);

}  // namespace touchstone::model
