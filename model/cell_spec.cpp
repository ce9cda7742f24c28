#include "model/cell_spec.h"

#include <utility>

namespace touchstone::model {
namespace {

bool same(const std::optional<Scalar>& left, const std::optional<Scalar>& right) {
  return left.has_value() == right.has_value() && (!left || model::same(*left, *right));
}

Illegal wrong_version(const Cell& cell, std::uint64_t claimed) {
  return Illegal{"the cell is at version " + std::to_string(cell.version) + ", which does not fit version " +
                 std::to_string(claimed)};
}

}  // namespace

std::string describe(const std::optional<Scalar>& value) {
  return value ? describe(*value) : "nil";
}

std::optional<Scalar> CellSpec::scalar(ValueId id) const {
  if (id == kNil) return std::nullopt;
  return history_->values.scalar(id);
}

Cell CellSpec::initial() const {
  return Cell{scalar(history_->initial), 0};
}

std::optional<Illegal> CellSpec::mutate(Cell& cell, const Operation& operation,
                                        std::optional<Scalar> value) const {
  if (operation.version != kNoVersion && operation.version != cell.version + 1) {
    return wrong_version(cell, operation.version);
  }
  cell = Cell{std::move(value), cell.version + 1};
  return std::nullopt;
}

std::optional<Illegal> CellSpec::compare_and_set(Cell& cell, const Operation& operation) const {
  const bool by_version = operation.function == Function::kCasVersion;
  const bool matches =
      by_version ? cell.version == operation.base : same(cell.value, scalar(operation.expected));
  if (operation.outcome == Outcome::kFail) {
    if (matches)
      return Illegal{"the compare-and-set failed on " + describe(cell.value) + ", which it expected"};
    if (operation.version != kNoVersion && operation.version != cell.version) {
      return wrong_version(cell, operation.version);
    }
    return std::nullopt;
  }
  if (!matches) {
    return Illegal{"the compare-and-set cannot succeed on " + describe(cell.value) + " at version " +
                   std::to_string(cell.version)};
  }
  return mutate(cell, operation, scalar(operation.argument));
}

std::optional<Illegal> CellSpec::advance(CellState& state, const Operation& operation) const {
  Cell& cell = state.try_emplace(operation.key, initial()).first->second;
  switch (operation.function) {
    case Function::kRead:
      if (!operation.completed()) return std::nullopt;
      if (!same(cell.value, scalar(operation.observed))) {
        return Illegal{"the cell holds " + describe(cell.value) + ", not " +
                       describe(scalar(operation.observed))};
      }
      if (operation.version != kNoVersion && operation.version != cell.version) {
        return wrong_version(cell, operation.version);
      }
      return std::nullopt;
    case Function::kWrite:
      return mutate(cell, operation, scalar(operation.argument));
    case Function::kCas:
    case Function::kCasVersion:
      return compare_and_set(cell, operation);
    case Function::kAppend: {
      const auto* old = cell.value ? std::get_if<std::string>(&*cell.value) : nullptr;
      const auto added = scalar(operation.argument);
      const auto* text = added ? std::get_if<std::string>(&*added) : nullptr;
      if (text == nullptr || (cell.value && old == nullptr))
        return Illegal{"only strings are appended, to strings"};
      return mutate(cell, operation, (old != nullptr ? *old : std::string()) + *text);
    }
    case Function::kCall:
      break;
  }
  return Illegal{"not an operation of a cell"};
}

}  // namespace touchstone::model
