#pragma once
// Which old values live on, and when the others are freed.
//
// A chain keeps, besides its head, exactly the nodes that an open snapshot reads; trim() unlinks the rest
// when a chain has grown, so the cost of looking at the snapshots is spread over as many commits as nodes are
// dropped. An unlinked node may still be under a reader's foot. It is freed after a grace period: every slot
// that was following chains after the unlinking has since been seen elsewhere (quiescent-state reclamation;
// McKenney, Slingwine 1998).
//
// Invariants:
//   R1  A node that is the newest one <= S on its chain is not unlinked while a snapshot at S is pinned.
//   R2  trim() runs with the cell locked and after the commit has its version v: a snapshot that it does not
//   see pinned yet
//       will read its version later than that, so it is >= v and needs only the head.
//   R3  The unlinking (seq_cst store) comes before the look at `reading` (seq_cst load); a reader sets
//   `reading` (seq_cst)
//       before it loads links (seq_cst). So a reader that still saw the node is seen.

#include <algorithm>
#include <new>

#include "engine/slot.h"

namespace touchstone::engine {

/// The versions that open snapshots hold, as of one look at all slots.
class Pins {
 public:
  template <Platform P>
  explicit Pins(const Slots<P>& slots) {
    slots.for_each([this](const Slot<P>& slot) {
      const std::uint64_t pin = slot.pin.load();
      if (pin == Pin::kNone) return;
      if (Pin::is_opening(pin)) {
        opening_from_ = std::min(opening_from_, Pin::version(pin));
      } else {
        exact_.push_back(Pin::version(pin));
      }
    });
    std::sort(exact_.begin(), exact_.end());
  }

  /// True if some snapshot may read the node of version `from` whose newer neighbour is of version `until`.
  bool need(Version from, Version until) const {
    if (until > opening_from_) return true;
    const auto pin = std::lower_bound(exact_.begin(), exact_.end(), from);
    return pin != exact_.end() && *pin < until;
  }

  std::size_t size() const { return exact_.size(); }
  Version oldest() const { return exact_.empty() ? opening_from_ : std::min(exact_.front(), opening_from_); }

 private:
  std::vector<Version> exact_;
  Version opening_from_ = ~Version{0};
};

template <Platform P>
class Reclaimer {
 public:
  explicit Reclaimer(const Slots<P>& slots) : slots_(slots) {}

  /// Unlinks what no snapshot needs from the chain of a locked cell (R1, R2); `mine` is the caller's slot.
  /// Without memory to do so the chain stays longer for now.
  void trim(Cell<P>& cell, Slot<P>& mine) noexcept {
    try {
      mine.counters.trims.add(1);
      unlink_unneeded(cell, Pins(slots_), mine);
      if (mine.retired.size() >= kBatch) collect(mine);
    } catch (const std::bad_alloc&) {
    }
  }

  /// Frees the nodes that have waited long enough, and begins the grace period of the next ones.
  void collect(Slot<P>& mine) {
    const auto gone = [](const auto& reader) { return reader.first->reading.load() != reader.second; };
    std::erase_if(mine.readers, gone);
    if (!mine.readers.empty()) return;
    mine.counters.nodes_freed.add(mine.waiting.size());
    for (Node<P>* node : mine.waiting) delete node;
    mine.waiting.clear();
    mine.readers.reserve(kBatch);
    slots_.for_each([&mine](const Slot<P>& slot) {
      const std::uint64_t reading = slot.reading.load();  // R3
      if (reading % 2 == 1) mine.readers.emplace_back(&slot, reading);
    });
    std::swap(mine.waiting, mine.retired);
  }

 private:
  static constexpr std::size_t kBatch = 64;

  static void unlink_unneeded(Cell<P>& cell, const Pins& pins, Slot<P>& mine) {
    // Relaxed: the chain is written under the cell's lock only, which this thread holds.
    Node<P>* kept = cell.head.load(std::memory_order_relaxed);
    std::uint32_t length = 1;
    for (Node<P>* node = kept->older.load(std::memory_order_relaxed); node != nullptr;) {
      Node<P>* older = node->older.load(std::memory_order_relaxed);
      if (pins.need(node->version, kept->version)) {
        kept = node;
        ++length;
      } else {
        mine.retired.push_back(node);
        kept->older.store(older);  // R3
      }
      node = older;
    }
    cell.chain_length = length;
    cell.trim_at = std::max<std::uint32_t>(4, 2 * length);
  }

  const Slots<P>& slots_;
};

}  // namespace touchstone::engine
