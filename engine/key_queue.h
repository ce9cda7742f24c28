#pragma once
// The queue per key: what the turn of a worker with priority keeps out, if it reserves only the paths that it is about to commit
// (Policy::key_queue). The order of turns and their leases are the ticket's (engine/ticket.h).
//
//   KeyQueue<P>::reserve(cells, turn);                                   // when the turn begins
//   if (Bar<P> bar = KeyQueue<P>::find(footprint, writes, my_turn)) ...    // a commit, with its cells locked
//   KeyQueue<P>::give_up(cells);                                         // when it ends, before its successors' turns begin
//   KeyQueue<P>::tell(cells);                                            // and then
//
// Thread safety: reserve, give_up and tell under the gate's mutex, find from any thread.
//
// Invariants:
//   K1  A cell is reserved by one turn at most, and never while another turn reserves an ancestor or descendant of it: a claim's turn
//       begins when no claim that overlaps it holds or is older. So each path has its first-come queue. A claim gets all its cells at
//       once and none before, so nobody waits while holding.
//       The reservations of a turn go before its successors' come: they need not be of the same cells, and one that was left on an
//       ancestor would keep the successor out.
//   K2  A turn reserves its cells before it looks for commits under way (S1); a commit shows itself under way before it looks for
//       reservations. So at least one sees the other, as at the gate.
//   K3  Turns are numbered as the gate counts them, so no two have the same number: a reservation admits nobody but its own turn, also
//       when a late holder still carries the number of one that ran out.
//   K4  A commit looks at the reservations of its cells, of their ancestors and of all below them: of what it validates. It looks only
//       while the gate word is odd, so while nobody has priority it looks at nothing that it would not look at anyway.
//
// Source: chapter 20, section 4, "Queue"; a queue for each lock is Mellor-Crummey and Scott's (1991), one footprint at a time is
// conservative two-phase locking (Bernstein, Hadzilacos, Goodman 1987).

#include <span>

#include "engine/cell.h"

namespace touchstone::engine {

/// What keeps a commit out: a turn, and where it was seen: at a reserved cell, or (null) at the gate. Nothing: no turn.
template <Platform P>
struct Bar {
  const Cell<P>* cell = nullptr;
  std::uint64_t turn = 0;

  explicit operator bool() const { return turn != 0; }
};

template <Platform P>
struct KeyQueue {
  using Cells = std::span<Cell<P>* const>;

  /// True if commits of these two footprints can conflict.
  static bool overlap(Cells some, Cells others) {
    for (const Cell<P>* a : some) {
      for (const Cell<P>* b : others) {
        if (a == b || is_ancestor(a, b) || is_ancestor(b, a)) return true;
      }
    }
    return false;
  }

  static void reserve(Cells cells, std::uint64_t turn) {
    for (Cell<P>* cell : cells) cell->reserved.store(turn);
  }

  static void give_up(Cells cells) {
    for (Cell<P>* cell : cells) cell->reserved.store(0);
  }

  /// Wakes those who wait for one of these cells.
  static void tell(Cells cells) {
    for (Cell<P>* cell : cells) P::notify_all(cell->reserved);
  }

  /// A reservation, not `own`, of what a commit validates (K4).
  static Bar<P> find(Cells footprint, std::span<const Write<P>> writes, std::uint64_t own) {
    for (const Cell<P>* cell : footprint) {
      if (const Bar<P> bar = find_around(cell, own)) return bar;
    }
    for (const Write<P>& write : writes) {
      if (!write.is_put()) continue;  // of the footprint, or below
      if (const Bar<P> bar = find_around(write.cell, own)) return bar;
    }
    return {};
  }

 private:
  static Bar<P> find_around(const Cell<P>* cell, std::uint64_t own) {
    for (const Cell<P>* above = cell->parent; above->parent != nullptr; above = above->parent) {
      if (const Bar<P> bar = look_at(*above, own)) return bar;
    }
    return find_below(*cell, own);
  }

  static Bar<P> find_below(const Cell<P>& cell, std::uint64_t own) {
    if (const Bar<P> bar = look_at(cell, own)) return bar;
    for (const Cell<P>* child = cell.first_child.load(); child != nullptr; child = child->next_sibling) {
      if (const Bar<P> bar = find_below(*child, own)) return bar;
    }
    return {};
  }

  static Bar<P> look_at(const Cell<P>& cell, std::uint64_t own) {
    const std::uint64_t turn = cell.reserved.load();
    return turn != own ? Bar<P>{&cell, turn} : Bar<P>{};  // turn 0 bars nobody
  }
};

}  // namespace touchstone::engine
