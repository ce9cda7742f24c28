#pragma once
// A specification as the general searches see it: numbered states, numbered classes of operations.
//
//   StateId state = automaton.initial();
//   StateId next = automaton.step(state, class_id);      // kIllegalState where the response is impossible
//   if (next == state) ...                               // equal numbers if and only if equal states
//
// A class is what operations with equal function, arguments, response and outcome have in common: they are
// interchangeable while they are open. Rules:
//   U1  step() is a function; equal states (for all that the partition's operations can tell) have one
//       number.
//   U2  An observer never changes the state where it is legal.
//   U3  A blind class is legal everywhere, and the state after it depends only on the states of other groups:
//       all of one group overwrite the same thing.
// An automaton belongs to one search at a time (it fills tables as it goes).

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "model/history.h"

namespace touchstone::model {

using StateId = std::uint32_t;
using ClassId = std::uint32_t;

inline constexpr StateId kIllegalState = ~StateId{0};
inline constexpr std::uint32_t kNotBlind = ~std::uint32_t{0};

struct ClassTraits {
  bool observer = false;            ///< U2
  std::uint32_t group = kNotBlind;  ///< U3
};

/// One operation of each class, in the order of the classes: numbers into a history that outlives it.
class Representatives {
 public:
  explicit Representatives(const History& history) : history_(&history) {}

  void push_back(std::uint32_t number) { numbers_.push_back(number); }
  void pop_back() { numbers_.pop_back(); }
  const Operation& operator[](ClassId id) const { return history_->operations[numbers_[id]]; }
  ClassId size() const { return static_cast<ClassId>(numbers_.size()); }

  template <class Holds>
  bool any(const Holds& holds) const {
    return std::any_of(numbers_.begin(), numbers_.end(),
                       [&](std::uint32_t number) { return holds(history_->operations[number]); });
  }

 private:
  const History* history_;
  std::vector<std::uint32_t> numbers_;
};

class Automaton {
 public:
  virtual ~Automaton() = default;

  virtual StateId initial() = 0;
  virtual StateId step(StateId state, ClassId operation) = 0;
  virtual ClassTraits traits(ClassId operation) const = 0;

  /// False if no sequence of operations that only extend the state leads to where this observer is legal.
  virtual bool may_extend_to(StateId, ClassId) { return true; }

  /// Of a single cell without versions: what it holds in this state, and the state in which it holds this value.
  virtual std::optional<Scalar> held(StateId) const { return std::nullopt; }
  virtual StateId holding(ValueId) { return initial(); }

  virtual std::string describe(StateId state) const = 0;

  /// Why the operation is illegal at this state.
  virtual std::string reason(StateId state, ClassId operation) = 0;

  virtual std::size_t bytes() const = 0;
};

/// The automaton for a partition, whose classes these are; they outlive it.
std::unique_ptr<Automaton> make_automaton(const History& history, const Representatives& classes);

/// The same for a part of an endless history of one cell without versions: any value may be read later.
std::unique_ptr<Automaton> make_endless_automaton(const History& history, const Representatives& classes);

}  // namespace touchstone::model
