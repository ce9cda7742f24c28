#pragma once
// Slots: what one worker or snapshot shows to all others, on cache lines of its own.
//
//   Slot<P>* slot = slots.acquire();   ...   slots.release(slot);
//   slots.for_each([](Slot<P>& slot) { ... });            // lock-free, every slot ever made
//
// Thread safety: a slot's words are written by its one user and read by anyone; Slots from any thread.
//
// Invariants:
//   S1  phase is odd exactly while its user is inside a commit. It becomes odd before the commit locks its
//       first cell and looks at the gate: so after closing the gate, waiting until each odd phase has changed
//       leaves no earlier commit.
//   S2  pin protects its snapshot from before the snapshot's version is read until the snapshot is closed.
//   S3  reading is odd exactly while its user may follow version chains: an unlinked node is freed once every
//       slot that was odd after the unlinking has changed.
//   S4  Slots are never removed before the store goes, so a walk over them needs no lock.

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/cell.h"
#include "engine/statistics.h"

namespace touchstone::engine {

/// The word that a snapshot shows: nothing, "some version >= v" while it opens, or exactly v.
struct Pin {
  static constexpr std::uint64_t kNone = 0;
  static constexpr std::uint64_t opening(Version least) { return least << 2 | 3; }
  static constexpr std::uint64_t exact(Version v) { return v << 2 | 1; }
  static constexpr Version version(std::uint64_t pin) { return pin >> 2; }
  static constexpr bool is_opening(std::uint64_t pin) { return (pin & 2) != 0; }
};

/// Nodes that are in no cell any more, or not yet. Linked through themselves, so that taking one in cannot fail.
template <Platform P>
class NodeList {
 public:
  NodeList() = default;
  ~NodeList() { clear(); }
  NodeList(const NodeList&) = delete;
  NodeList& operator=(const NodeList&) = delete;

  std::size_t size() const { return size_; }

  void push(Node<P>* node) noexcept {
    node->next = std::exchange(first_, node);
    ++size_;
  }

  Node<P>* pop() noexcept {
    --size_;
    return std::exchange(first_, first_->next);
  }

  /// Frees them.
  void clear() noexcept {
    while (size_ != 0) delete pop();
  }

  void swap(NodeList& other) noexcept {
    std::swap(first_, other.first_);
    std::swap(size_, other.size_);
  }

 private:
  Node<P>* first_ = nullptr;
  std::size_t size_ = 0;
};

template <Platform P>
struct alignas(128) Slot {
  typename P::template atomic<std::uint64_t> phase{0};
  typename P::template atomic<std::uint64_t> pin{Pin::kNone};
  typename P::template atomic<std::uint64_t> reading{0};
  Counters<P> counters;
  Slot* next = nullptr;  ///< written once, before the slot is published

  // Only for its user, and for Slots::for_each_free:
  NodeList<P> retired;                                         ///< unlinked, not yet waited for
  NodeList<P> waiting;                                         ///< unlinked, waiting for `readers`
  std::vector<std::pair<const Slot*, std::uint64_t>> readers;  ///< were odd when `waiting` was filled
  NodeList<P> spare;                                           ///< so that keeping an old value cannot fail
};

template <Platform P>
class Slots {
 public:
  Slots() = default;
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;

  Slot<P>* acquire() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) {
      auto fresh = std::make_unique<Slot<P>>();
      free_.reserve(all_.size() + 1);  // so that release() cannot fail
      all_.push_back(std::move(fresh));
      Slot<P>* const slot = all_.back().get();
      slot->next = first_.load();
      first_.store(slot);
      return slot;
    }
    Slot<P>* slot = free_.back();
    free_.pop_back();
    return slot;
  }

  void release(Slot<P>* slot) noexcept {
    const std::lock_guard lock(mutex_);
    free_.push_back(slot);
  }

  /// The slots that nobody uses now; they stay unused during the visit.
  template <class Visit>
  void for_each_free(Visit visit) {
    const std::lock_guard lock(mutex_);
    for (Slot<P>* slot : free_) visit(*slot);
  }

  /// Every slot, lock-free (S4).
  template <class Visit>
  void for_each(Visit visit) const {
    for (Slot<P>* slot = first_.load(); slot != nullptr; slot = slot->next) visit(*slot);
  }

 private:
  typename P::template atomic<Slot<P>*> first_{nullptr};
  typename P::mutex mutex_;
  std::vector<std::unique_ptr<Slot<P>>> all_;  // under mutex_
  std::vector<Slot<P>*> free_;                 // under mutex_
};

}  // namespace touchstone::engine
