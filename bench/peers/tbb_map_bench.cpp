// tbb::concurrent_hash_map with a version beside each value. A read holds one entry at a time; a commit locks its entries in
// ascending order, compares the versions and writes. A snapshot reads all entries twice and begins again if a version moved, since
// the map cannot hold a thousand entries for a reader without stopping its writers.

#include <oneapi/tbb/concurrent_hash_map.h>

#include "bench/peers/mutex_map.h"

namespace touchstone::bench {
namespace {

template <class Id>
class TbbMap {
  using Map = tbb::concurrent_hash_map<Id, Versioned>;

 public:
  explicit TbbMap(const Population& population) : population_(population), ids_(ids_of<Id>(population)) {
    for (const Id& id : ids_) map_.insert({id, Versioned{}});
  }

  class Session {
   public:
    explicit Session(TbbMap& map)
        : map_(map),
          seen_(map.population_.shape().footprint),
          locked_(std::make_unique<typename Map::accessor[]>(seen_.size())) {}

    int add(std::uint32_t footprint) {
      const auto keys = map_.population_.keys_of(footprint);
      int failures = 0;
      while (!add_once(keys)) ++failures;
      return failures;
    }

    std::optional<std::int64_t> sum(std::span<const std::uint32_t> keys, const StopSign& stop) {
      while (!stop.shown()) {
        read(keys, snapshot_);
        read(keys, again_);
        const auto same = [](const Versioned& a, const Versioned& b) { return a.version == b.version; };
        if (!std::equal(snapshot_.begin(), snapshot_.end(), again_.begin(), same)) continue;
        std::int64_t sum = 0;
        for (const Versioned& entry : snapshot_) sum += entry.value;
        return sum;
      }
      return std::nullopt;
    }

   private:
    bool add_once(std::span<const std::uint32_t> keys) {
      read(keys, seen_);
      for (Versioned& entry : seen_) ++entry.value;  // the body
      bool unchanged = true;
      for (std::size_t i = 0; i < keys.size() && unchanged; ++i) {
        map_.map_.find(locked_[i], map_.ids_[keys[i]]);
        unchanged = locked_[i]->second.version == seen_[i].version;
      }
      for (std::size_t i = 0; i < keys.size(); ++i) {
        if (unchanged) locked_[i]->second = {seen_[i].value, seen_[i].version + 1};
      }
      for (std::size_t i = 0; i < keys.size(); ++i) locked_[i].release();
      return unchanged;
    }

    void read(std::span<const std::uint32_t> keys, std::vector<Versioned>& into) {
      into.resize(keys.size());
      for (std::size_t i = 0; i < keys.size(); ++i) {
        typename Map::const_accessor entry;
        map_.map_.find(entry, map_.ids_[keys[i]]);
        into[i] = entry->second;
      }
    }

    TbbMap& map_;
    std::vector<Versioned> seen_;
    std::vector<Versioned> snapshot_;
    std::vector<Versioned> again_;
    std::unique_ptr<typename Map::accessor[]> locked_;
  };

  std::int64_t total() {
    std::int64_t total = 0;
    for (const auto& [id, entry] : map_) total += entry.value;
    return total;
  }

 private:
  const Population& population_;
  const std::vector<Id> ids_;
  Map map_;
};

}  // namespace

void register_benchmarks() {
  register_peer<TbbMap>("tbb_map");
}

}  // namespace touchstone::bench
