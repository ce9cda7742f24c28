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
#include <memory>

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

/// A write whose path is interned: a datum, a composite, or neither (an erase).
template <Platform P>
struct Write {
  Write(Cell<P>* to, Datum<P> scalar) : cell(to), datum(std::move(scalar)) {}
  Write(Cell<P>* to, std::optional<Value> value) : cell(to) {
    if (!value) return;
    if (value->is_scalar()) {
      datum = Datum<P>(value->scalar());
    } else {
      composite = std::make_unique<Composite>(std::move(value->composite()));
    }
  }

  std::optional<Value> value() const {
    if (composite != nullptr) return Value(*composite);
    if (auto scalar = datum.scalar()) return Value(std::move(*scalar));
    return std::nullopt;
  }

  Cell<P>* cell;
  Datum<P> datum;
  std::unique_ptr<Composite> composite;
};

/// Turns writes in program order into puts in id order, no cell twice and no scalar above another put.
template <Platform P>
class Resolver {
 public:
  explicit Resolver(Index<P>& index) : index_(index) {}

  /// Fills `puts`, or says why not. The writes' values are moved from.
  std::optional<Rejected> resolve(std::vector<Write<P>>& writes, std::vector<Put<P>>& puts) {
    puts.clear();
    if (std::all_of(writes.begin(), writes.end(), is_plain)) {
      put_plain(writes, puts);
      return std::nullopt;
    }
    for (Write<P>& write : writes) {
      if (auto refused = apply(write)) return refused;
    }
    for (auto& [id, put] : puts_) puts.push_back(std::move(put));
    return std::nullopt;
  }

  static Rejected under_scalar(const std::string& path, const std::string& scalar) {
    return {ErrorCode::under_scalar, "cannot write " + path + ": " + scalar + " holds a scalar"};
  }

 private:
  /// Plain writes have nothing to do with one another, unless they are of the same cell.
  static bool is_plain(const Write<P>& write) { return write.composite == nullptr && write.cell->is_leaf(); }

  static void put_plain(std::vector<Write<P>>& writes, std::vector<Put<P>>& puts) {
    std::uint64_t last_id = 0;
    bool ascending = true;
    for (Write<P>& write : writes) {
      ascending = ascending && write.cell->id > last_id;
      last_id = write.cell->id;
      const auto order = static_cast<std::uint32_t>(puts.size());
      puts.push_back({.cell = write.cell, .datum = std::move(write.datum), .order = order});
    }
    if (ascending) return;
    std::sort(puts.begin(), puts.end(), [](const Put<P>& a, const Put<P>& b) {
      return a.cell != b.cell ? a.cell->id < b.cell->id
                              : a.order > b.order;  // the last write of a cell first
    });
    const auto same = [](const Put<P>& a, const Put<P>& b) { return a.cell == b.cell; };
    puts.erase(std::unique(puts.begin(), puts.end(), same), puts.end());
  }

  std::optional<Rejected> apply(Write<P>& write) {
    bool covered = false;
    for (const Cell<P>* above = write.cell->parent; above->parent != nullptr; above = above->parent) {
      const auto put = puts_.find(above->id);
      if (put == puts_.end()) continue;
      if (put->second.datum.kind() != Kind::none) return under_scalar(write.cell->path(), above->path());
      covered = true;
    }
    for (auto put = puts_.upper_bound(write.cell->id); put != puts_.end(); ++put) {  // W5
      if (is_ancestor(write.cell, put->second.cell)) put->second.datum = Datum<P>();
    }
    put(write.cell, std::move(write.datum), covered);
    return write.composite == nullptr ? std::nullopt : put_leaves(write.cell->path(), *write.composite);
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
        put(index_.intern(below), Datum<P>(part.scalar()), true);
      }
    }
    return std::nullopt;
  }

  void put(Cell<P>* cell, Datum<P> datum, bool covered) {
    Put<P>& put =
        puts_.try_emplace(cell->id, Put<P>{.cell = cell, .datum = {}, .covered = covered}).first->second;
    put.datum = std::move(datum);
    put.covered = put.covered && covered;
  }

  Index<P>& index_;
  std::map<std::uint64_t, Put<P>> puts_;  ///< by id
};

}  // namespace touchstone::engine
