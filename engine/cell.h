#pragma once
// One interned path: a word that is version, lock and kind of value in one, the value's bits, and the chain of older values.
//
// States of the word (v = version of the last commit that wrote this path, k = kind of the scalar it holds now, or none):
//
//        lock (any commit)                 announce (its writer, validated)
//   (v,k) ----------------> (v,k)+locked ------------------------------> (v,k)+locked+installing
//     ^                        |                                              |
//     +---- unlock: unchanged -+                (v',k') <---- install, unlock -+   (v' = the commit's version)
//
// Invariants:
//   W1  Only the thread that set `locked` changes the word until it is clear again, and only it changes `bits` and `older`.
//   W2  `installing` is set before the commit takes its version. So a snapshot at S that sees a word without it knows that
//       every commit <= S of this cell is installed; one that sees it waits until the word has changed.
//   W3  `bits` changes only under `installing`: bits read between two equal words (but for the lock) belong to that word.
//   W4  The chain is in strictly falling versions, all below the word's.
//   W5  A cell is never removed, and its id is larger than its parent's: id order is a lock order in which ancestors come
//       before descendants.
//   W6  No cell that holds a scalar has a descendant that holds one (at any version).
//
// The structure is TL2's versioned write lock (Dice, Shalev, Shavit, "Transactional Locking II", 2006), with the value inline as
// in a seqlock and a version chain beside it.

#include <algorithm>
#include <string>
#include <vector>

#include "engine/datum.h"

namespace touchstone::engine {

namespace word {

inline constexpr std::uint64_t kLocked = 1;
inline constexpr std::uint64_t kInstalling = 2;
inline constexpr int kKindShift = 2;
inline constexpr int kVersionShift = 5;

constexpr Version version(std::uint64_t w) {
  return w >> kVersionShift;
}
constexpr Kind kind(std::uint64_t w) {
  return static_cast<Kind>(w >> kKindShift & 7);
}
constexpr bool locked(std::uint64_t w) {
  return (w & kLocked) != 0;
}
constexpr bool installing(std::uint64_t w) {
  return (w & kInstalling) != 0;
}
constexpr bool scalar(std::uint64_t w) {
  return kind(w) != Kind::none;
}
constexpr bool same_but_for_lock(std::uint64_t a, std::uint64_t b) {
  return ((a ^ b) & ~kLocked) == 0;
}
constexpr std::uint64_t make(Version v, Kind k) {
  return v << kVersionShift | static_cast<std::uint64_t>(k) << kKindShift;
}

}  // namespace word

template <Platform P>
struct alignas(64) Cell {
  Cell(Cell* parent_cell, std::uint64_t cell_id, std::string component_name)
      : parent(parent_cell), id(cell_id), name(std::move(component_name)) {}

  typename P::template atomic<std::uint64_t> word{0};
  typename P::template atomic<std::uint64_t> bits{0};
  typename P::template atomic<Node<P>*> older{nullptr};
  typename P::template atomic<Cell*> first_child{nullptr};
  Cell* const parent;  ///< the root's child has the root, the root has none
  const std::uint64_t id;
  Cell* next_sibling = nullptr;    ///< written once, before the cell is published
  std::uint32_t chain_length = 0;  ///< with the word locked
  std::uint32_t trim_at =
      kTrimAt;             ///< with the word locked: the chain length that is worth a look at the snapshots
  const std::string name;  ///< this component
  typename P::counter conflicts;  ///< a statistic; concurrent conflicts may count once
  typename P::template atomic<std::uint64_t> reserved{
      0};  ///< the turn that reserves it, or 0 (engine/key_queue.h)

  static constexpr std::uint32_t kTrimAt = 4;

  bool is_leaf() const { return first_child.load() == nullptr; }

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

/// Id order: the order of locks.
inline constexpr auto kById = [](const auto* a, const auto* b) { return a->id < b->id; };

template <Platform P>
void sort_unique(std::vector<Cell<P>*>& cells) {
  std::sort(cells.begin(), cells.end(), kById);
  cells.erase(std::unique(cells.begin(), cells.end()), cells.end());
}

/// A cell in the hands of one attempt: first what the caller writes, then also what the committer must hold besides. A composite is
/// only what a caller asks for; the committer gets its leaves, each a write of its own (engine/writes.h).
template <Platform P>
struct Write {
  static constexpr std::uint8_t kUnnamed = 2, kUnchanged = 4;

  enum Role : std::uint8_t {
    put = 0,           ///< it is written
    covered = 1,       ///< it is written, each time after a cell above it, which wipes the scalars there
    wiped = kUnnamed,  ///< its scalar goes, because a cell above it is written
    footprint = kUnchanged,         ///< it must be unchanged
    below = kUnnamed | kUnchanged,  ///< a descendant of a cell in the set
  };

  Write(Cell<P>* to, Datum<P>&& what) : cell(to), datum(std::move(what)) {}
  Write(Cell<P>* to, Bits number) : cell(to), datum(number) {}
  Write(Cell<P>* held, Role why) : cell(held), role(why) {}

  bool is_put() const { return role <= covered; }
  bool is_named() const { return (role & kUnnamed) == 0; }
  bool changes() const { return (role & kUnchanged) == 0; }

  Cell<P>* cell;
  [[no_unique_address]] Datum<P> datum;
  Role role = put;
  std::uint32_t order = 0;  ///< of the write in its set
  std::uint64_t word = 0;   ///< as it was before the lock; from the install on, what it becomes
};

}  // namespace touchstone::engine
