#pragma once
// From paths to cells: every path is interned once, and its cell stays where it is until the store goes.
//
//   Cell<P>* cell = index.intern("domain.camera_data");   // makes the missing ancestors too
//   Cell<P>* known = index.find("domain.lidar");           // or nullptr
//
// Thread safety: all members from any thread. A look-up of a known path takes no lock; interning takes a
// mutex.
//
// Invariants:
//   N1  A cell is reachable from its parent's child list before any thread can hold it (publication is
//       seq_cst: rule L2 of engine/commit.h orders it against locks).
//   N2  Tables are insert-only, and a table that was replaced lives on, so a reader of an old one misses new
//       paths at worst; a miss is confirmed under the mutex.

#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "engine/cell.h"
#include "engine/path.h"

namespace touchstone::engine {

template <Platform P>
class Index {
 public:
  Index() : root_(nullptr, 0, "") { grow(kFirstCapacity); }

  ~Index() {
    for (auto& cell : cells_) free_values(*cell);
  }

  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  Cell<P>* root() { return &root_; }

  /// The cell of a valid path, made if need be.
  Cell<P>* intern(std::string_view path) {
    if (Cell<P>* known = look_up(path)) return known;
    const Lock lock(mutex_);
    Cell<P>* cell = &root_;
    for (std::size_t end = 0, begin = 0; end < path.size(); begin = end + 1) {
      end = component_end(path, begin);
      Cell<P>* child = look_up(path.substr(0, end));
      cell = child ? child : add(cell, path.substr(0, end), path.substr(begin, end - begin));
    }
    return cell;
  }

  Cell<P>* find(std::string_view path) {
    if (Cell<P>* known = look_up(path)) return known;
    const Lock lock(mutex_);
    return look_up(path);  // N2
  }

  template <class Visit>
  void for_each(Visit visit) {
    const Lock lock(mutex_);
    for (auto& cell : cells_) visit(*cell);
  }

  /// Distinct paths interned so far.
  std::size_t size() {
    const Lock lock(mutex_);
    return cells_.size();
  }

 private:
  struct Table {
    explicit Table(std::size_t capacity) : mask(capacity - 1), entries(capacity) {}
    const std::size_t mask;  ///< the capacity is a power of two, at most half full
    std::vector<typename P::template atomic<Cell<P>*>> entries;
  };

  using Lock = std::lock_guard<typename P::mutex>;

  static constexpr std::size_t kFirstCapacity = 64;

  static std::size_t hash(std::string_view path) { return std::hash<std::string_view>{}(path); }

  static bool has_path(const Cell<P>* cell, std::string_view path) {
    while (true) {
      if (!path.ends_with(cell->name)) return false;
      path.remove_suffix(cell->name.size());
      cell = cell->parent;
      if (cell->parent == nullptr) return path.empty();
      if (!path.ends_with('.')) return false;
      path.remove_suffix(1);
    }
  }

  Cell<P>* look_up(std::string_view path) {
    // Acquire: partner of the release in put(), which publishes the cell's constant members.
    const Table* table = table_.load(std::memory_order_acquire);
    for (std::size_t i = hash(path);; ++i) {
      Cell<P>* cell = table->entries[i & table->mask].load(std::memory_order_acquire);
      if (cell == nullptr || has_path(cell, path)) return cell;
    }
  }

  Cell<P>* add(Cell<P>* parent, std::string_view path, std::string_view name) {
    if (cells_.size() * 2 >= tables_.back()->entries.size()) grow(tables_.back()->entries.size() * 2);
    cells_.push_back(std::make_unique<Cell<P>>(parent, cells_.size() + 1, std::string(name)));
    Cell<P>* cell = cells_.back().get();
    // Relaxed: only this thread, under the mutex, writes child lists.
    cell->next_sibling = parent->first_child.load(std::memory_order_relaxed);
    parent->first_child.store(cell);  // N1
    put(*tables_.back(), path, cell);
    return cell;
  }

  static void put(Table& table, std::string_view path, Cell<P>* cell) {
    std::size_t i = hash(path);
    // Relaxed: only this thread, under the mutex, writes tables.
    while (table.entries[i & table.mask].load(std::memory_order_relaxed) != nullptr) ++i;
    table.entries[i & table.mask].store(cell, std::memory_order_release);  // partner: look_up()
  }

  void grow(std::size_t capacity) {
    auto table = std::make_unique<Table>(capacity);
    for (auto& cell : cells_) put(*table, cell->path(), cell.get());
    tables_.push_back(std::move(table));  // only when it is whole: making it may run out of memory
    table_.store(tables_.back().get(), std::memory_order_release);  // partner: look_up()
  }

  static void free_values(Cell<P>& cell) {
    if (word::kind(cell.word.load()) == Kind::text) delete std::bit_cast<Node<P>*>(cell.bits.load());
    for (Node<P>* node = cell.older.load(); node != nullptr;) {
      Node<P>* older = node->older.load();
      delete node;
      node = older;
    }
  }

  Cell<P> root_;
  typename P::template atomic<Table*> table_{nullptr};
  typename P::mutex mutex_;
  std::vector<std::unique_ptr<Cell<P>>> cells_;  // under mutex_
  std::vector<std::unique_ptr<Table>> tables_;   // under mutex_
};

}  // namespace touchstone::engine
