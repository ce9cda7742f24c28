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

#include <memory>
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

/// What snapshots share: the clock, and how many are open or about to open (rule R2).
template <Platform P>
struct Epoch {
  alignas(64) typename P::template atomic<Version> clock{0};
  alignas(64) typename P::template atomic<std::uint64_t> open{0};
};

/// The state as of one version, read through one slot. Pinned, it reads its version for ever; unpinned, only while what it reads
/// has not changed since.
template <Platform P>
class View {
 public:
  View(Slot<P>& slot, Epoch<P>& epoch)
      : slot_(slot),
        epoch_(epoch),
        version_(epoch.clock.load()),
        newer_(word::make(version_ + 1, Kind::none)) {}
  ~View() { unpin(); }
  View(const View&) = delete;
  View& operator=(const View&) = delete;

  Version version() const { return version_; }
  bool pinned() const { return pinned_; }

  /// Moves to the current version and stays there.
  void pin() {
    pinned_ = true;
    epoch_.open.fetch_add(1);                 // R2: before the version is read
    slot_.pin.store(Pin::opening(version_));  // S2
    version_ = epoch_.clock.load();
    newer_ = 0;
    slot_.pin.store(Pin::exact(version_));
  }

  void unpin() {
    if (!pinned_) return;
    pinned_ = false;
    // Release: partner of the look in Pins, so that what was read is not freed before.
    slot_.pin.store(Pin::kNone, std::memory_order_release);
    epoch_.open.fetch_sub(1);
  }

  std::optional<Value> read(const Cell<P>* cell) const {
    if (cell == nullptr) return std::nullopt;
    return read_subtree(*cell);
  }

  /// The version of the last commit up to this one that wrote this path itself; 0 if none did. Pinned only.
  Version changed(const Cell<P>* cell) const {
    if (cell == nullptr) return 0;
    const std::uint64_t seen = settled(*cell);
    if (word::version(seen) <= version_) return word::version(seen);
    const Reading reading(slot_);
    const Node<P>* node = newest(*cell);
    return node == nullptr ? 0 : node->version;
  }

  /// The cell's own value if it has not changed after this version; otherwise `changed` is set. The bits of a text mean nothing to
  /// the caller: read_text() has it.
  Bits read_current(const Cell<P>& cell, bool& changed) const {
    while (true) {
      const std::uint64_t seen = settled(cell);
      changed = word::version(seen) > version_;
      if (changed || !word::scalar(seen)) return {};
      const std::uint64_t bits = cell.bits.load(std::memory_order_acquire);  // partner: Committer::put_bits
      // Relaxed: after the acquire load, and any change since `seen` counts (W3).
      if (word::same_but_for_lock(seen, cell.word.load(std::memory_order_relaxed)))
        return {bits, word::kind(seen)};
    }
  }

  /// The short form of it for one number: true if the view is not pinned, nobody installs the cell, and it holds this kind
  /// unchanged; else read_current() knows more.
  bool read_at_once(const Cell<P>& cell, Kind number, std::uint64_t& bits) const {
    const std::uint64_t seen = cell.word.load();
    if (seen >= newer_ || word::installing(seen) || word::kind(seen) != number) return false;
    // Acquire and relaxed: as in read_current().
    bits = cell.bits.load(std::memory_order_acquire);
    return word::same_but_for_lock(seen, cell.word.load(std::memory_order_relaxed));
  }

  /// The same for a cell that was seen to hold a text. With the reading mark set, a node seen at an unchanged word is not freed.
  std::optional<Scalar> read_text(const Cell<P>& cell, bool& changed) const {
    const Reading reading(slot_);
    return decode<P>(read_current(cell, changed));
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

  /// The cell's word once no commit that this version counts is being installed (W2): after one change of the word that is so.
  /// A second wait is for a commit that began meanwhile and is overwriting what this version reads.
  std::uint64_t settled(const Cell<P>& cell) const {
    const std::uint64_t seen = cell.word.load();
    return word::installing(seen) ? await_settled(cell, seen) : seen;
  }

  [[gnu::noinline]] std::uint64_t await_settled(const Cell<P>& cell, std::uint64_t seen) const {
    while (word::installing(seen) && word::version(seen) <= version_) {
      seen = P::await(cell.word, [seen](std::uint64_t w) { return w != seen; });
    }
    return seen;
  }

  /// The newest node of the chain that this version sees.
  const Node<P>* newest(const Cell<P>& cell) const {
    const Node<P>* node = cell.older.load();
    while (node != nullptr && node->version > version_) node = node->older.load();
    return node;
  }

  std::optional<Scalar> read_scalar(const Cell<P>& cell) const {
    bool changed = false;
    const Bits current = read_current(cell, changed);
    if (!changed && current.kind != Kind::text) return decode<P>(current);
    if (!changed) {
      if (auto text = read_text(cell, changed); !changed) return text;
    }
    const Reading reading(slot_);
    const Node<P>* node = newest(cell);
    return node == nullptr ? std::nullopt : decode<P>({node->bits, node->kind});
  }

  std::optional<Value> read_subtree(const Cell<P>& cell) const {
    if (auto scalar = read_scalar(cell)) return Value(std::move(*scalar));
    const Cell<P>* child = cell.first_child.load();
    if (child == nullptr) return std::nullopt;
    Composite parts;
    for (; child != nullptr; child = child->next_sibling) {
      if (auto part = read_subtree(*child)) parts.emplace(child->name, std::move(*part));
    }
    if (parts.empty()) return std::nullopt;
    return Value(std::move(parts));
  }

  Slot<P>& slot_;
  Epoch<P>& epoch_;
  Version version_;
  std::uint64_t newer_;  ///< unpinned, the words from here on are of later versions; pinned, all are
  bool pinned_ = false;
};

template <Platform P>
class Snapshot {
 public:
  Snapshot(Snapshot&&) noexcept = default;
  Snapshot& operator=(Snapshot&&) noexcept = default;

  Version version() const { return open_->view.version(); }

  /// The scalar, the composite of what is below, or nothing. A path that is not valid throws Error.
  std::optional<Value> read(std::string_view path) const { return open_->view.read(open_->store.find(path)); }
  std::optional<Value> read(const Key<P>& key) const { return open_->view.read(open_->store.cell_of(key)); }

  /// The version of the last commit up to this snapshot that wrote the path itself; 0 if none did.
  Version changed(std::string_view path) const { return open_->view.changed(open_->store.find(path)); }

 private:
  friend class Store<P>;

  /// A slot and the view through it, given back in the right order.
  struct Open {
    explicit Open(Store<P>& of) : store(of), slot(of.slots_.acquire()), view(*slot, of.epoch_) { view.pin(); }
    ~Open() {
      view.unpin();
      store.slots_.release(slot);
    }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;

    Store<P>& store;
    Slot<P>* const slot;
    View<P> view;
  };

  explicit Snapshot(Store<P>& store) : open_(std::make_unique<Open>(store)) {}

  std::unique_ptr<Open> open_;
};

}  // namespace touchstone::engine
