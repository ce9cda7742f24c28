#pragma once
// What a commit writes: an ordered list of sets and erases, and its resolution to one put a cell.
//
//   store.compare_and_swap(100, WriteSet{}.set("a.x", 1).set("a.y", Composite{{"z", 2}}).erase("b"));
//
// Writes apply in order; the same path twice: the last one wins. Writing a path replaces its whole subtree. A
// write below a path that holds a scalar, in the store or by an earlier write of the set, is refused
// (under_scalar).

#include <algorithm>
#include <map>

#include "engine/commit.h"

namespace touchstone::engine {

class WriteSet {
 public:
  struct Entry {
    std::string path;
    std::optional<Value> value;  ///< nothing: erase
  };

  WriteSet& set(std::string path, Value value) {
    entries_.push_back({std::move(path), std::move(value)});
    return *this;
  }

  WriteSet& erase(std::string path) {
    entries_.push_back({std::move(path), std::nullopt});
    return *this;
  }

  bool empty() const { return entries_.empty(); }
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
};

/// A write whose path is interned.
template <Platform P>
struct Write {
  Cell<P>* cell;
  std::optional<Value> value;
};

/// Turns writes in program order into puts in id order, no cell twice and no scalar above another put.
template <Platform P>
class Resolver {
 public:
  explicit Resolver(Index<P>& index) : index_(index) {}

  /// Fills `puts`, or says why not. The writes' values are moved from.
  std::optional<Rejected> resolve(std::vector<Write<P>>& writes, std::vector<Put<P>>& puts) {
    puts.clear();
    if (are_plain(writes)) {
      for (Write<P>& write : writes) puts.push_back({write.cell, take_scalar(write.value)});
      std::sort(puts.begin(), puts.end(),
                [](const Put<P>& a, const Put<P>& b) { return kById(a.cell, b.cell); });
      return std::nullopt;
    }
    for (const Write<P>& write : writes) {
      if (auto refused = apply(write)) return refused;
    }
    for (auto& [id, put] : puts_) puts.push_back(std::move(put));
    return std::nullopt;
  }

 private:
  /// Scalars and erases of distinct leaves: nothing to work out.
  bool are_plain(const std::vector<Write<P>>& writes) {
    cells_.clear();
    for (const Write<P>& write : writes) {
      if (!write.cell->is_leaf() || (write.value && !write.value->is_scalar())) return false;
      cells_.push_back(write.cell);
    }
    if (!std::is_sorted(cells_.begin(), cells_.end(), kById)) std::sort(cells_.begin(), cells_.end(), kById);
    return std::adjacent_find(cells_.begin(), cells_.end()) == cells_.end();
  }

  static std::optional<Scalar> take_scalar(std::optional<Value>& value) {
    if (!value) return std::nullopt;
    return std::move(value->scalar());
  }

  std::optional<Rejected> apply(const Write<P>& write) {
    bool covered = false;
    for (const Cell<P>* above = write.cell->parent; above->parent != nullptr; above = above->parent) {
      const auto put = puts_.find(above->id);
      if (put == puts_.end()) continue;
      if (put->second.value) return under_scalar(write.cell->path(), above->path());
      covered = true;
    }
    for (auto put = puts_.upper_bound(write.cell->id); put != puts_.end(); ++put) {  // W5
      if (is_ancestor(write.cell, put->second.cell)) put->second.value.reset();
    }
    const bool is_scalar = write.value && write.value->is_scalar();
    put(write.cell, is_scalar ? std::optional(write.value->scalar()) : std::nullopt, covered);
    if (!write.value || is_scalar) return std::nullopt;
    return put_leaves(write.cell->path(), write.value->composite());
  }

  std::optional<Rejected> put_leaves(const std::string& path, const Composite& parts) {
    for (const auto& [name, part] : parts) {
      if (name.empty() || name.find('.') != std::string::npos) {
        return Rejected{ErrorCode::bad_path,
                        "a composite's name is empty or has a dot: \"" + name + "\" below " + path};
      }
      const std::string below = path + '.' + name;
      if (auto refused = check_path(below)) return refused;
      if (!part.is_scalar()) {
        if (auto refused = put_leaves(below, part.composite())) return refused;
      } else {
        put(index_.intern(below), part.scalar(), true);
      }
    }
    return std::nullopt;
  }

  void put(Cell<P>* cell, std::optional<Scalar> value, bool covered) {
    Put<P>& put = puts_.try_emplace(cell->id, Put<P>{cell, std::nullopt, covered}).first->second;
    put.value = std::move(value);
    put.covered = put.covered && covered;
  }

 public:
  static Rejected under_scalar(const std::string& path, const std::string& scalar) {
    return {ErrorCode::under_scalar, "cannot write " + path + ": " + scalar + " holds a scalar"};
  }

 private:
  Index<P>& index_;
  std::vector<Cell<P>*> cells_;
  std::map<std::uint64_t, Put<P>> puts_;  ///< by id
};

}  // namespace touchstone::engine
