#pragma once
// The sequential specification of independent cells: registers, keys of a key-value store, versioned keys.
//
//   CellSpec spec(history);                      // borrows the history's values; outlive it
//   CellState state;                             // every cell holds history.initial at version 0
//   for (const Operation& operation : in_witness_order) {
//     if (auto no = spec.advance(state, operation)) puts(no->reason.c_str());
//   }
//
// Rules, cited by number in the code:
//   K1  A read sees the value; a version recorded with it is the cell's version.
//   K2  A write replaces the value; an append extends a string, nil counting as ""; each makes version + 1,
//       and a version recorded with it is that one.
//   K3  A compare-and-set by value succeeds if the cell holds `expected`; one by version if the cell is at
//       `base`. A failed one saw another value (version) and changed nothing.
//   K4  With an unknown outcome it takes effect, or is illegal where it would not have had one.
// Unlike the other specifications it takes the recorded operation with its outcome as one thing. It is the
// plain meaning that the checker's faster tables are tested against and that witnesses are verified by.

#include <map>
#include <optional>
#include <string>

#include "model/history.h"

namespace touchstone::model {

struct Cell {
  std::optional<Scalar> value;
  std::uint64_t version = 0;
};

/// Cells that were written; every other holds the initial value.
using CellState = std::map<KeyId, Cell>;

class CellSpec {
 public:
  explicit CellSpec(const History& history) : history_(&history) {}

  std::optional<Illegal> advance(CellState& state, const Operation& operation) const;

 private:
  Cell initial() const;
  std::optional<Scalar> scalar(ValueId id) const;
  std::optional<Illegal> mutate(Cell& cell, const Operation& operation, std::optional<Scalar> value) const;
  std::optional<Illegal> compare_and_set(Cell& cell, const Operation& operation) const;

  const History* history_;
};

std::string describe(const std::optional<Scalar>& value);

}  // namespace touchstone::model
