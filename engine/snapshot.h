#pragma once
// A snapshot: the state as of one version, for ever.
//
//   Snapshot snapshot = store.snapshot();
//   std::optional<Value> camera = snapshot.read("domain.camera_data");
//
// Opening one costs the same however many keys there are. Reading waits for at most one install of a cell
// (W2), never for a body, the gate, a ticket or a back-off. What it may read is kept until it is closed, so
// close it soon: Statistics::oldest_snapshot_age shows a forgotten one.
//
// Thread safety: one thread at a time. It must not outlive its store.

#include <utility>

#include "engine/index.h"
#include "engine/reclaim.h"

namespace touchstone::engine {

template <Platform P>
class Store;

/// An interned path: the fast way to name it in hot code. Valid as long as its store.
template <Platform P>
class Key {
 public:
  std::string path() const { return cell_->path(); }
  friend bool operator==(const Key&, const Key&) = default;

 private:
  friend class Store<P>;
  template <Platform Q>
  friend class Context;
  template <Platform Q>
  friend class View;

  Key(Cell<P>* cell, const Store<P>* store) : cell_(cell), store_(store) {}

  Cell<P>* cell_;
  const Store<P>* store_;
};

/// A pinned version, read through one slot.
template <Platform P>
class View {
 public:
  View(Slot<P>& slot, typename P::template atomic<Version>& clock) : slot_(&slot) {
    slot.pin.store(Pin::opening(clock.load()));  // S2
    version_ = clock.load();
    slot.pin.store(Pin::exact(version_));
  }

  // Release: partner of the look in Pins, so that what was read is not freed before.
  void close() { slot_->pin.store(Pin::kNone, std::memory_order_release); }

  Version version() const { return version_; }

  std::optional<Value> read(const Cell<P>* cell) const {
    if (cell == nullptr) return std::nullopt;
    const Reading reading(*slot_);
    return read_subtree(*cell);
  }

  /// The version of the last commit up to this one that wrote this path itself; 0 if none did.
  Version changed(const Cell<P>* cell) const {
    if (cell == nullptr) return 0;
    const Reading reading(*slot_);
    const Node<P>* node = newest(*cell);
    return node == nullptr ? 0 : node->version;
  }

 private:
  /// Invariant S3.
  class Reading {
   public:
    explicit Reading(Slot<P>& slot) : slot_(slot), value_(slot.reading.load(std::memory_order_relaxed)) {
      slot_.reading.store(value_ + 1);
    }
    // Release: partner of the look in Reclaimer::collect.
    ~Reading() { slot_.reading.store(value_ + 2, std::memory_order_release); }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;

   private:
    Slot<P>& slot_;
    const std::uint64_t value_;  // relaxed above: only this thread writes it
  };

  const Node<P>* newest(const Cell<P>& cell) const {
    const std::uint64_t seen = cell.word.load();
    if (word::installing(seen)) P::await(cell.word, [seen](std::uint64_t w) { return w != seen; });  // W2
    const Node<P>* node = cell.head.load();
    while (node != nullptr && node->version > version_) node = node->older.load();
    return node;
  }

  std::optional<Value> read_subtree(const Cell<P>& cell) const {
    const Node<P>* node = newest(cell);
    if (node != nullptr && node->value) return Value(*node->value);
    Composite parts;
    for (const Cell<P>* child = cell.first_child.load(); child != nullptr; child = child->next_sibling) {
      if (auto part = read_subtree(*child)) parts.emplace(child->name, std::move(*part));
    }
    if (parts.empty()) return std::nullopt;
    return Value(std::move(parts));
  }

  Slot<P>* slot_;
  Version version_;
};

template <Platform P>
class Snapshot {
 public:
  Snapshot(Snapshot&& other) noexcept
      : store_(std::exchange(other.store_, nullptr)), slot_(other.slot_), view_(other.view_) {}
  Snapshot& operator=(Snapshot&& other) noexcept {
    std::swap(store_, other.store_);
    std::swap(slot_, other.slot_);
    std::swap(view_, other.view_);
    return *this;
  }
  ~Snapshot() {
    if (store_ == nullptr) return;
    view_.close();
    store_->slots_.release(slot_);
  }

  Version version() const { return view_.version(); }

  /// The scalar, the composite of what is below, or nothing. A path that is not valid throws Error.
  std::optional<Value> read(std::string_view path) const { return view_.read(store_->find(path)); }
  std::optional<Value> read(const Key<P>& key) const { return view_.read(store_->cell_of(key)); }

  /// The version of the last commit up to this snapshot that wrote the path itself; 0 if none did.
  Version changed(std::string_view path) const { return view_.changed(store_->find(path)); }

 private:
  friend class Store<P>;
  Snapshot(Store<P>& store, Slot<P>* slot) : store_(&store), slot_(slot), view_(*slot, store.clock_) {}

  Store<P>* store_;
  Slot<P>* slot_;
  View<P> view_;
};

}  // namespace touchstone::engine
