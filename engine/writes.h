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

inline Rejected under_scalar(const std::string& path, const std::string& scalar) {
  return {ErrorCode::under_scalar, "cannot write " + path + ": " + scalar + " holds a scalar"};
}

/// Writes that lie above and below one another, or are of composites, one after the other.
template <Platform P>
class TreeResolver {
 public:
  explicit TreeResolver(Index<P>& index) : index_(index) {}

  std::optional<Rejected> resolve(std::vector<Write<P>>& writes) {
    for (Write<P>& write : writes) {
      if (auto refused = apply(write)) return refused;
    }
    writes.clear();
    for (auto& [id, put] : puts_) writes.push_back(std::move(put));
    return std::nullopt;
  }

 private:
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
    if (write.datum.kind() != Kind::composite) {
      put(write.cell, std::move(write.datum), covered);
      return std::nullopt;
    }
    put(write.cell, Datum<P>(), covered);
    return put_leaves(write.cell->path(), write.datum.composite());
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
    const auto [found, is_new] = puts_.try_emplace(cell->id, cell, Datum<P>());
    Write<P>& put = found->second;
    put.datum = std::move(datum);
    const bool all_covered = covered && (is_new || put.role == Write<P>::covered);
    put.role = all_covered ? Write<P>::covered : Write<P>::put;
  }

  Index<P>& index_;
  std::map<std::uint64_t, Write<P>> puts_;  ///< by id
};

/// Plain writes have nothing to do with one another, unless they are of the same cell.
template <Platform P>
void keep_last_of_each(std::vector<Write<P>>& writes) {
  for (std::size_t i = 0; i < writes.size(); ++i) writes[i].order = static_cast<std::uint32_t>(i);
  std::sort(writes.begin(), writes.end(), [](const Write<P>& a, const Write<P>& b) {
    return a.cell != b.cell ? a.cell->id < b.cell->id : a.order > b.order;  // the last write of a cell first
  });
  const auto same = [](const Write<P>& a, const Write<P>& b) { return a.cell == b.cell; };
  writes.erase(std::unique(writes.begin(), writes.end(), same), writes.end());
}

/// Turns writes in program order into the committer's puts, in place: in id order, no cell twice, no composite, and no scalar above
/// another put. Says why not, if not; `writes` are of no use then.
template <Platform P>
[[gnu::noinline]] std::optional<Rejected> resolve(std::vector<Write<P>>& writes, Index<P>& index) {
  bool plain = true, ascending = true;
  std::uint64_t last_id = 0;
  for (const Write<P>& write : writes) {
    plain = plain && write.datum.kind() != Kind::composite && write.cell->is_leaf();
    ascending = ascending && write.cell->id > last_id;
    last_id = write.cell->id;
  }
  if (!plain) return TreeResolver<P>(index).resolve(writes);
  if (!ascending) keep_last_of_each(writes);
  return std::nullopt;
}

}  // namespace touchstone::engine
