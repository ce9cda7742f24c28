#pragma once
// One interned path: a word that is version and lock in one, and the chain of its values, newest first.
//
// States of the word (v = version of the last commit that wrote this path, s = it holds a scalar now):
//
//        lock (any commit)                 announce (its writer, validated)
//   (v,s) ----------------> (v,s)+locked ------------------------------> (v,s)+locked+installing
//     ^                        |                                              |
//     +---- unlock: unchanged -+                (v',s') <---- install, unlock -+   (v' = the commit's
//     version)
//
// Invariants:
//   W1  Only the thread that set `locked` changes the word until it is clear again, and only it changes
//   `head`. W2  `installing` is set before the commit takes its version. So a snapshot at S that sees a word
//   without it knows that
//       every commit <= S of this cell is installed; one that sees it waits for that one install, and for
//       nothing else.
//   W3  The chain is in strictly falling versions, and its head's version is the word's, whenever the word is
//   unlocked. W4  No cell that holds a scalar has a descendant that holds one (at any version). W5  A cell is
//   never removed, and its id is larger than its parent's: id order is a lock order in which ancestors come
//       before descendants.
//
// The structure is TL2's versioned write lock (Dice, Shalev, Shavit, "Transactional Locking II", 2006) with a
// version chain.

#include <optional>
#include <string>

#include "engine/result.h"
#include "engine/value.h"

namespace touchstone::engine {

/// The value of a cell as of one commit. No scalar: the path was erased or became a composite.
template <Platform P>
struct Node {
  Node(std::optional<Scalar> v) : value(std::move(v)) {}

  Version version = 0;  ///< written once, before the node is published
  std::optional<Scalar> value;
  typename P::template atomic<Node*> older{nullptr};
};

namespace word {

inline constexpr std::uint64_t kLocked = 1;
inline constexpr std::uint64_t kInstalling = 2;
inline constexpr std::uint64_t kScalar = 4;

constexpr Version version(std::uint64_t w) {
  return w >> 3;
}
constexpr bool locked(std::uint64_t w) {
  return (w & kLocked) != 0;
}
constexpr bool installing(std::uint64_t w) {
  return (w & kInstalling) != 0;
}
constexpr bool scalar(std::uint64_t w) {
  return (w & kScalar) != 0;
}
constexpr std::uint64_t make(Version v, bool holds_scalar) {
  return v << 3 | (holds_scalar ? kScalar : 0);
}

}  // namespace word

template <Platform P>
struct alignas(64) Cell {
  Cell(Cell* parent_cell, std::uint64_t cell_id, std::string component_name)
      : parent(parent_cell), id(cell_id), name(std::move(component_name)) {}

  typename P::template atomic<std::uint64_t> word{0};
  typename P::template atomic<Node<P>*> head{nullptr};
  typename P::template atomic<Cell*> first_child{nullptr};
  Cell* next_sibling = nullptr;  ///< written once, before the cell is published
  Cell* const parent;            ///< the root's child has the root, the root has none
  const std::uint64_t id;
  std::uint32_t chain_length = 0;  ///< with the word locked
  std::uint32_t trim_at =
      4;  ///< with the word locked: the chain length that is worth a look at the snapshots
  typename P::counter
      conflicts;           ///< with the word locked, or by its conflicting reader: a statistic, may miss some
  const std::string name;  ///< this component

  std::string path() const {
    if (parent == nullptr || parent->parent == nullptr) return name;
    return parent->path() + '.' + name;
  }
};

/// True if `above` is a proper ancestor of `cell`.
template <Platform P>
bool is_ancestor(const Cell<P>* above, const Cell<P>* cell) {
  if (cell == above) return false;
  while (cell->id > above->id) cell = cell->parent;  // W5
  return cell == above;
}

}  // namespace touchstone::engine
