#pragma once
// The commit: gate, version check, key check and install as one atomic step.
//
// A commit has an expected version, a footprint (the cells that must be unchanged since then) and puts (the cells that change,
// all of them inside the footprint's subtrees). In order:
//
//   1  phase odd                        from here on a gate that closes waits for this commit (S1)
//   2  lock footprint, puts and all their descendants, in id order, waiting for a locked cell to come free
//   3  load the gate: closed for another -> Busy
//   4  look at the ancestors: locked -> let go of everything, await it, begin again at 2
//   5  fast: expected is the clock -> announce, clock CAS expected -> expected + 1
//      smart: no version of 2 or 4 is above expected -> announce, clock + 1. Otherwise Conflict, or Busy if the gate closed
//   6  install the puts, unlock, phase even
//
// Invariants:
//   L1  Locks are taken in id order and waited for only in that order; whoever must wait against it (4) holds
//       nothing. So no commit waits in a circle, and a commit begins again only because another one got
//       further.
//   L2  Lock (seq_cst CAS) before look (seq_cst load), on both sides: of a leaf commit that looks up at its
//       ancestors and a root commit that looks down its subtree, at least one sees the other, also when the
//       leaf's cell is just being made (N1).
//   L3  Validation and the clock's step happen with all locks held; no later commit of a cell gets a smaller
//       version. So version order is the order in which the commits of any one cell, of its ancestors and of
//       its descendants happen.
//   L4  Up to the clock's step nothing has changed: giving up restores each word as it was.
//   L5  `announce` (W2) comes before the clock's step: a snapshot that counts this commit sees its words
//       marked or installed.
//
// Source: chapter 20, section 2; commit structure after TL2 (Dice, Shalev, Shavit 2006) and Silo (Tu et al. 2013).

#include <span>
#include <utility>

#include "engine/index.h"
#include "engine/options.h"
#include "engine/reclaim.h"
#include "engine/ticket.h"

namespace touchstone::engine {

template <Platform P>
struct CommitRequest {
  Version expected;
  std::span<Cell<P>* const>
      footprint;                 ///< what must be unchanged, in id order; may hold the puts' cells or not
  std::vector<Write<P>>& cells;  ///< the puts as resolve() leaves them; to be resubmitted as they come back
};

/// What became of one attempt. Conflict: `where` (null: the global version) was found at this version. Busy: a Bar.
template <Platform P>
struct AttemptOutcome {
  enum Kind : std::uint8_t { committed, conflict, busy, under_scalar } kind;
  CommitPath path = CommitPath::empty;
  Version version = 0;  ///< committed: the commit's; conflict: the one found; busy: the turn
  const Cell<P>* where =
      nullptr;  ///< conflict: what changed; under_scalar: the scalar; busy: where it was seen
  const Cell<P>* below = nullptr;  ///< under_scalar: the put

  Bar<P> bar() const { return {where, version}; }
};

template <Platform P>
class Committer {
 public:
  using Outcome = AttemptOutcome<P>;

  Committer(typename P::template atomic<Version>& clock, TicketGate<P>& gate, Reclaimer<P>& reclaimer,
            Mode mode)
      : clock_(clock), gate_(gate), reclaimer_(reclaimer), strict_(mode == Mode::strict) {}

  /// One attempt. `claim` may be null. std::bad_alloc leaves everything as it was.
  [[gnu::noinline]] Outcome attempt(const CommitRequest<P>& request, Slot<P>& mine, const Claim<P>* claim) {
    const Phase phase(mine);
    while (true) {
      Locks locks(request.cells);
      if (!request.footprint.empty()) locks.plan(request.footprint);
      P::fault_point("commit:begin");
      const Outcome outcome = try_once(request, mine, claim, locks);
      if (locks.blocked_by == nullptr) return outcome;
      Cell<P>* ancestor = locks.blocked_by;
      locks.release();  // L1
      mine.counters.restarts.add(1);
      P::await(ancestor->word, [](std::uint64_t w) { return !word::locked(w); });
    }
  }

  /// The outcome of an attempt that is known to be in vain because `changed` is newer than its version.
  Outcome refuse(const Cell<P>* changed, const CommitRequest<P>& request, const Claim<P>* claim) {
    return conflict_or_busy(changed, word::version(changed->word.load()), request, claim);
  }

  /// Shortens every chain to what the open snapshots need.
  void trim_all(Index<P>& index, Slot<P>& mine) {
    index.for_each([&](Cell<P>& cell) {
      const std::uint64_t seen = lock(cell);
      if (cell.chain_length != 0) reclaimer_.trim(cell, word::version(seen), mine);
      // Release: as in Locks::release.
      cell.word.store(seen, std::memory_order_release);
    });
  }

 private:
  /// Invariant S1.
  class Phase {
   public:
    explicit Phase(Slot<P>& slot) : slot_(slot), value_(slot.phase.load(std::memory_order_relaxed)) {
      slot_.phase.store(value_ + 1);
    }
    // Release: partner of the holder's look in Store::drain, so that it sees what was installed.
    ~Phase() { slot_.phase.store(value_ + 2, std::memory_order_release); }
    Phase(const Phase&) = delete;
    Phase& operator=(const Phase&) = delete;

   private:
    Slot<P>& slot_;
    const std::uint64_t value_;  // relaxed above: only this thread writes it
  };

  /// The cells of one attempt: planned, then locked in id order, and let go or installed as one.
  struct Locks {
    explicit Locks(std::vector<Write<P>>& set) : cells(set) {}
    ~Locks() { release(); }
    Locks(const Locks&) = delete;
    Locks& operator=(const Locks&) = delete;

    /// Adds what must be unchanged and is not written. Both are in id order.
    [[gnu::noinline]] void plan(std::span<Cell<P>* const> footprint) {
      const std::size_t known = cells.size();
      std::size_t i = 0;
      for (Cell<P>* cell : footprint) {
        while (i != known && cells[i].cell->id < cell->id) ++i;
        if (i != known && cells[i].cell == cell) {
          ++i;
        } else {
          cells.emplace_back(cell, Write<P>::footprint);
        }
      }
      if (cells.size() != known) sort_from(0);
    }

    /// Adds the children of the cell locked last. They have larger ids than it (W5), so they are still to come. Returns how many
    /// there are now.
    [[gnu::noinline]] std::size_t add_siblings(Cell<P>* child) {
      has_interior = true;
      for (; child != nullptr; child = child->next_sibling) cells.emplace_back(child, Write<P>::below);
      sort_from(locked);
      return cells.size();
    }

    /// Into id order, no cell twice.
    void sort_from(std::size_t begin) {
      const auto rest = cells.begin() + static_cast<std::ptrdiff_t>(begin);
      std::sort(rest, cells.end(), [](const Write<P>& a, const Write<P>& b) {
        return a.cell->id != b.cell->id ? a.cell->id < b.cell->id : a.role < b.role;
      });
      const auto same = [](const Write<P>& a, const Write<P>& b) { return a.cell == b.cell; };
      cells.erase(std::unique(rest, cells.end(), same), cells.end());
    }

    /// `cell`, which has children, in the set; or null.
    Write<P>* find_interior(const Cell<P>* cell) {
      if (!has_interior) return nullptr;
      const auto before = [](const Write<P>& held, const Cell<P>* wanted) {
        return held.cell->id < wanted->id;
      };
      const auto held = std::lower_bound(cells.begin(), cells.end(), cell, before);
      return held != cells.end() && held->cell == cell ? &*held : nullptr;
    }

    /// L4.
    [[gnu::always_inline]] void release() {
      for (Write<P>& held : std::span(cells.data(), locked)) unlock(held);
      locked = 0;
    }

    std::vector<Write<P>>& cells;
    std::size_t locked = 0;         ///< the first of them, which are locked
    bool has_interior = false;      ///< a locked cell has children
    Cell<P>* blocked_by = nullptr;  ///< a locked ancestor
  };

  [[gnu::always_inline]] Outcome try_once(const CommitRequest<P>& request, Slot<P>& mine,
                                          const Claim<P>* claim, Locks& locks) {
    if (const Write<P>* changed = lock_all(request.expected, locks)) {
      return conflict_or_busy(changed->cell, word::version(changed->word), request, claim);
    }
    P::fault_point("commit:locked");
    if (const Bar<P> bar = gate_.bar(request.footprint, request.cells, claim)) return busy(bar);
    P::fault_point("commit:admitted");

    Ancestors above;
    if (!glance_at_ancestors(locks, above)) above = look_at_ancestors(locks);
    if (locks.blocked_by != nullptr) return {.kind = Outcome::busy};
    prepare_values(locks, mine);

    const bool refused = above.scalar != nullptr;
    if (clock_.load() == request.expected) {
      if (refused) return {.kind = Outcome::under_scalar, .where = above.scalar, .below = above.below_scalar};
      announce(locks);
      Version expected = request.expected;
      if (clock_.compare_exchange_strong(expected, request.expected + 1)) {
        return install(locks, mine, request.expected + 1, CommitPath::fast);
      }
    }
    if (strict_) return conflict_or_busy(nullptr, clock_.load(), request, claim);
    mine.counters.versions_compared.add(above.looked_at);
    if (above.newest > request.expected) {
      return conflict_or_busy(above.newest_cell, above.newest, request, claim);
    }
    if (refused) return {.kind = Outcome::under_scalar, .where = above.scalar, .below = above.below_scalar};
    announce(locks);
    return install(locks, mine, clock_.fetch_add(1) + 1, CommitPath::merged);
  }

  /// Step 2. Returns the first cell whose own word is already newer than expected: nothing more needs locking then.
  [[gnu::always_inline]] const Write<P>* lock_all(Version expected, Locks& locks) {
    for (std::size_t all = locks.cells.size(); locks.locked != all;) {
      Write<P>& held = locks.cells[locks.locked];
      held.word = lock(*held.cell);
      ++locks.locked;
      if (word::version(held.word) > expected && !strict_) return &held;
      if (Cell<P>* child = held.cell->first_child.load()) all = locks.add_siblings(child);  // L2
    }
    return nullptr;
  }

  [[gnu::always_inline]] static std::uint64_t lock(Cell<P>& cell) {
    std::uint64_t seen = cell.word.load();
    while (true) {
      if (word::locked(seen)) seen = P::await(cell.word, [](std::uint64_t w) { return !word::locked(w); });
      if (cell.word.compare_exchange_strong(seen, seen | word::kLocked)) return seen;
    }
  }

  static void unlock(const Write<P>& held) {
    // Release: partner is whoever reads or locks the cell next.
    held.cell->word.store(held.word, std::memory_order_release);
  }

  struct Ancestors {
    std::uint64_t looked_at = 0;
    Version newest = 0;  ///< the newest version among those that this commit did not lock
    const Cell<P>* newest_cell = nullptr;
    const Cell<P>* scalar = nullptr;        ///< an ancestor of a put that holds a scalar
    const Cell<P>* below_scalar = nullptr;  ///< that put

    void note(const Cell<P>* cell, Version version) {
      ++looked_at;
      if (version > newest) {
        newest = version;
        newest_cell = cell;
      }
    }
  };

  /// Step 4 where every ancestor is free and holds no scalar; false if one is not.
  [[gnu::always_inline]] static bool glance_at_ancestors(const Locks& locks, Ancestors& above) {
    const Cell<P>* looked_from = nullptr;  // siblings have the same ancestors
    for (const Write<P>& held : locks.cells) {
      if (!held.is_named() || held.cell->parent == looked_from) continue;
      looked_from = held.cell->parent;
      for (const Cell<P>* cell = looked_from; cell->parent != nullptr; cell = cell->parent) {
        const std::uint64_t seen = cell->word.load();  // L2
        if (word::locked(seen) || word::scalar(seen)) return false;
        above.note(cell, word::version(seen));
      }
    }
    return true;
  }

  /// Step 4. A scalar above a covered put is its cover's affair; ancestors in the lock set were compared when they were locked.
  [[gnu::noinline]] static Ancestors look_at_ancestors(Locks& locks) {
    Ancestors above;
    const Cell<P>* looked_from = nullptr;  // siblings have the same ancestors
    bool looked_for_scalars = false;
    for (const Write<P>& held : locks.cells) {
      if (!held.is_named()) continue;
      const bool may_not_be_below_scalar = held.role == Write<P>::put;
      if (held.cell->parent == looked_from && (looked_for_scalars || !may_not_be_below_scalar)) continue;
      looked_from = held.cell->parent;
      looked_for_scalars = may_not_be_below_scalar;
      for (Cell<P>* cell = held.cell->parent; cell->parent != nullptr; cell = cell->parent) {
        const Write<P>* own = locks.find_interior(cell);
        const std::uint64_t seen = own != nullptr ? own->word : cell->word.load();  // L2
        if (own == nullptr && word::locked(seen)) {
          locks.blocked_by = cell;
          return above;
        }
        if (own == nullptr) above.note(cell, word::version(seen));
        if (may_not_be_below_scalar && word::scalar(seen)) {
          above.scalar = cell;
          above.below_scalar = held.cell;
        }
      }
    }
    return above;
  }

  /// Finds the scalars that puts wipe, and the memory that install() needs, before anything changes (L4).
  [[gnu::always_inline]] void prepare_values(Locks& locks, Slot<P>& mine) {
    reclaimer_.reserve(locks.has_interior ? find_wiped(locks) : locks.cells.size(), mine);
  }

  /// Returns how many cells will change.
  [[gnu::noinline]] static std::size_t find_wiped(Locks& locks) {
    std::size_t changes = 0;
    for (Write<P>& held : locks.cells) {
      if (!held.is_put() && word::scalar(held.word) && has_put_above(held.cell, locks)) {
        held.role = Write<P>::wiped;
      } else if (held.role == Write<P>::wiped) {
        held.role = Write<P>::below;  // it was when this attempt was submitted before
      }
      changes += held.changes() ? 1 : 0;
    }
    return changes;
  }

  static bool has_put_above(const Cell<P>* cell, Locks& locks) {
    for (cell = cell->parent; cell->parent != nullptr; cell = cell->parent) {
      const Write<P>* held = locks.find_interior(cell);
      if (held != nullptr && held->is_put()) return true;
    }
    return false;
  }

  /// L5. Relaxed: the clock's read-modify-write that follows releases it; partner is the load of the clock in View. But a text's
  /// node is retired before its bits are replaced, so the mark is what keeps a late reader away from it: seq_cst, as R3 wants of
  /// an unlinking; partner is the load in View::settled after the store of `reading`.
  [[gnu::always_inline]] static void announce(Locks& locks) {
    for (Write<P>& held : locks.cells) {
      if (!held.changes()) continue;
      const bool text = word::kind(held.word) == Kind::text;
      held.cell->word.store(held.word | word::kLocked | word::kInstalling,
                            text ? std::memory_order_seq_cst : std::memory_order_relaxed);
    }
  }

  [[gnu::always_inline]] Outcome install(Locks& locks, Slot<P>& mine, Version version, CommitPath path) {
    P::fault_point("commit:numbered");
    const bool wanted = reclaimer_.wanted();
    for (Write<P>& held : locks.cells) {
      if (held.changes()) {
        reclaimer_.keep(*held.cell, held.word, version, wanted, mine);
        held.word = word::make(version, put_bits(held, version, mine));
      }
      unlock(held);  // a reader of this version still waits where it has not come yet (W2)
    }
    locks.locked = 0;
    P::fault_point("commit:installed");
    (path == CommitPath::fast ? mine.counters.commits_fast : mine.counters.commits_merged).add(1);
    return {.kind = Outcome::committed, .path = path, .version = version};
  }

  /// Writes the value and returns its kind.
  [[gnu::always_inline]] static Kind put_bits(Write<P>& held, Version version, Slot<P>& mine) {
    const Kind kind = held.datum.kind();
    if (kind == Kind::none) return kind;
    if (kind == Kind::text) {
      held.datum.node()->version = version;
      mine.counters.nodes_made.add(1);
    }
    // Release: a reader that sees these bits (acquire) then sees the word marked or changed (W3).
    held.cell->bits.store(held.datum.bits(), std::memory_order_release);
    if (kind == Kind::text) held.datum.release();  // to the cell
    return kind;
  }

  static Outcome busy(const Bar<P>& bar) {
    return {.kind = Outcome::busy, .version = bar.turn, .where = bar.cell};
  }

  /// A failed validation at a gate that is closed for another is Busy: nothing counts while the gate is closed.
  [[gnu::noinline]] Outcome conflict_or_busy(const Cell<P>* where, Version found,
                                             const CommitRequest<P>& request, const Claim<P>* claim) {
    if (const Bar<P> bar = gate_.bar(request.footprint, request.cells, claim)) return busy(bar);
    return {.kind = Outcome::conflict, .version = found, .where = where};
  }

  typename P::template atomic<Version>& clock_;
  TicketGate<P>& gate_;
  Reclaimer<P>& reclaimer_;
  const bool strict_;
};

}  // namespace touchstone::engine
