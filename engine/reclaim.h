#pragma once
// Which old values live on, and when the others are freed.
//
// A chain keeps the older values that an open snapshot reads. While no snapshot is open nothing is kept at all; else keep() links
// the value that is replaced, and trims a chain that has grown, so that the cost of looking at the snapshots is spread over as many
// commits as values are dropped.
// An unlinked node may still be under a reader's foot. It is freed after a grace period: every slot that was following chains
// after the unlinking has since been seen elsewhere (quiescent-state reclamation; McKenney, Slingwine 1998).
//
// Invariants:
//   R1  A node that is the newest one <= S on its chain is not unlinked while a snapshot at S is pinned.
//   R2  wanted() is asked with the cells locked and after the commit has its version v. A snapshot that it does not see counted or
//       pinned yet will read its version later than that, so it is >= v and needs only the cell's own value.
//   R3  The unlinking (seq_cst store) comes before the look at `reading` (seq_cst load); a reader sets `reading` (seq_cst)
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
  using OpenCount = typename P::template atomic<std::uint64_t>;

  /// `open` counts the snapshots that are open or about to open.
  Reclaimer(const Slots<P>& slots, const OpenCount& open) : slots_(slots), open_(open) {}

  /// Makes sure that keep() has the memory it needs for `values` values.
  static void reserve(std::size_t values, Slot<P>& mine) {
    if (mine.spare.size() < values) make_spares(values, mine);
  }

  /// True if a snapshot may want what a commit that has its version replaces (R2).
  bool wanted() const { return open_.load() != 0; }

  /// Disposes of the value of a locked cell that is about to be replaced at version `now`: into the chain if it is `wanted`, else
  /// away. Needs one reserved value.
  [[gnu::always_inline]] void keep(Cell<P>& cell, std::uint64_t word, Version now, bool wanted,
                                   Slot<P>& mine) noexcept {
    // Relaxed: bits and chain are written under the cell's lock only, which this thread holds.
    const bool alone =
        word::kind(word) != Kind::text && cell.older.load(std::memory_order_relaxed) == nullptr;
    if (!alone || wanted) keep_or_retire(cell, word, now, wanted, mine);
  }

  /// Unlinks what no snapshot needs from the chain of a locked cell whose value is of version `now` (R1, R2). Without memory to do
  /// so the chain stays longer for now.
  void trim(Cell<P>& cell, Version now, Slot<P>& mine) noexcept {
    try {
      mine.counters.trims.add(1);
      unlink_unneeded(cell, now, Pins(slots_), mine);
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
    mine.waiting.clear();
    slots_.for_each([&mine](const Slot<P>& slot) {
      const std::uint64_t reading = slot.reading.load();  // R3
      if (reading % 2 == 1) mine.readers.emplace_back(&slot, reading);
    });
    mine.waiting.swap(mine.retired);
  }

 private:
  static constexpr std::size_t kBatch = 64;

  [[gnu::noinline]] static void make_spares(std::size_t values, Slot<P>& mine) {
    while (mine.spare.size() < values) mine.spare.push(new Node<P>);
  }

  [[gnu::noinline]] void keep_or_retire(Cell<P>& cell, std::uint64_t word, Version now, bool wanted,
                                        Slot<P>& mine) noexcept {
    // Relaxed: as in keep().
    const std::uint64_t bits = cell.bits.load(std::memory_order_relaxed);
    Node<P>* text = word::kind(word) == Kind::text ? std::bit_cast<Node<P>*>(bits) : nullptr;
    if (!wanted) {
      if (text != nullptr) retire(text, mine);
      if (cell.older.load(std::memory_order_relaxed) != nullptr) trim(cell, now, mine);
      return;
    }
    if (word::version(word) == 0) return;  // never written: what a chain's end means anyway
    Node<P>* node = text != nullptr ? text : take_spare(word, bits, mine);
    // Relaxed: not published before the store of `older` below.
    node->older.store(cell.older.load(std::memory_order_relaxed), std::memory_order_relaxed);
    cell.older.store(node);
    if (++cell.chain_length >= cell.trim_at) trim(cell, now, mine);
  }

  static Node<P>* take_spare(std::uint64_t word, std::uint64_t bits, Slot<P>& mine) {
    Node<P>* node = mine.spare.pop();
    node->version = word::version(word);
    node->kind = word::kind(word);
    node->bits = bits;
    mine.counters.nodes_made.add(1);
    return node;
  }

  void retire(Node<P>* node, Slot<P>& mine) noexcept {
    mine.retired.push(node);
    if (mine.retired.size() < kBatch) return;
    try {
      collect(mine);
    } catch (const std::bad_alloc&) {  // later then
    }
  }

  static void unlink_unneeded(Cell<P>& cell, Version now, const Pins& pins, Slot<P>& mine) noexcept {
    auto* link = &cell.older;
    Version newer = now;
    std::uint32_t length = 0;
    // Relaxed: as in keep().
    for (Node<P>* node = link->load(std::memory_order_relaxed); node != nullptr;) {
      Node<P>* older = node->older.load(std::memory_order_relaxed);
      if (pins.need(node->version, newer)) {
        link = &node->older;
        newer = node->version;
        ++length;
      } else {
        mine.retired.push(node);
        link->store(older);  // R3
      }
      node = older;
    }
    cell.chain_length = length;
    cell.trim_at = std::max(Cell<P>::kTrimAt, 2 * length);
  }

  const Slots<P>& slots_;
  const OpenCount& open_;
};

}  // namespace touchstone::engine
