#pragma once
// The baseline: one mutex, one std::unordered_map, a version beside each value.
//
//   MutexMap<std::string> map(population); MutexMap<std::string>::Session session(map); session.add(0);
//
// MutexMap follows the engine's protocol: it reads under the lock, computes outside it and commits under it if the versions are
// unchanged. MutexMapInLock holds the lock throughout: no expected versions, no snapshots, and the caller's code inside the lock.

#include <mutex>
#include <unordered_map>

#include "bench/workload.h"

namespace touchstone::bench {

struct Versioned {
  std::int64_t value = 0;
  std::uint64_t version = 0;
};

template <class Id>
class MutexMap {
 public:
  explicit MutexMap(const Population& population) : population_(population), ids_(ids_of<Id>(population)) {
    map_.reserve(ids_.size());
    for (const Id& id : ids_) map_.emplace(id, Versioned{});
  }

  class Session {
   public:
    explicit Session(MutexMap& map) : map_(map), seen_(map.population_.shape().footprint) {}

    int add(std::uint32_t footprint) {
      const auto keys = map_.population_.keys_of(footprint);
      int failures = 0;
      while (!map_.add_once(keys, seen_)) ++failures;
      return failures;
    }

    std::optional<std::int64_t> sum(std::span<const std::uint32_t> keys, const StopSign&) {
      return map_.sum(keys);
    }

   private:
    MutexMap& map_;
    std::vector<Versioned> seen_;
  };

  std::int64_t total() {
    std::int64_t total = 0;
    for (const auto& [id, entry] : map_) total += entry.value;
    return total;
  }

 private:
  bool add_once(std::span<const std::uint32_t> keys, std::vector<Versioned>& seen) {
    {
      const std::lock_guard lock(mutex_);
      for (std::size_t i = 0; i < keys.size(); ++i) seen[i] = map_.find(ids_[keys[i]])->second;
    }
    for (Versioned& entry : seen) ++entry.value;  // the body
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (map_.find(ids_[keys[i]])->second.version != seen[i].version) return false;
    }
    ++version_;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      map_.find(ids_[keys[i]])->second = {seen[i].value, version_};
    }
    return true;
  }

  std::int64_t sum(std::span<const std::uint32_t> keys) {
    const std::lock_guard lock(mutex_);
    std::int64_t sum = 0;
    for (const std::uint32_t key : keys) sum += map_.find(ids_[key])->second.value;
    return sum;
  }

  const Population& population_;
  const std::vector<Id> ids_;
  std::mutex mutex_;
  std::uint64_t version_ = 0;
  std::unordered_map<Id, Versioned> map_;
};

template <class Id>
class MutexMapInLock {
 public:
  explicit MutexMapInLock(const Population& population)
      : population_(population), ids_(ids_of<Id>(population)) {
    map_.reserve(ids_.size());
    for (const Id& id : ids_) map_.emplace(id, 0);
  }

  class Session {
   public:
    explicit Session(MutexMapInLock& map) : map_(map) {}

    int add(std::uint32_t footprint) {
      const std::lock_guard lock(map_.mutex_);
      for (const std::uint32_t key : map_.population_.keys_of(footprint))
        ++map_.map_.find(map_.ids_[key])->second;
      return 0;
    }

    std::optional<std::int64_t> sum(std::span<const std::uint32_t> keys, const StopSign&) {
      const std::lock_guard lock(map_.mutex_);
      std::int64_t sum = 0;
      for (const std::uint32_t key : keys) sum += map_.map_.find(map_.ids_[key])->second;
      return sum;
    }

   private:
    MutexMapInLock& map_;
  };

  std::int64_t total() {
    std::int64_t total = 0;
    for (const auto& [id, value] : map_) total += value;
    return total;
  }

 private:
  const Population& population_;
  const std::vector<Id> ids_;
  std::mutex mutex_;
  std::unordered_map<Id, std::int64_t> map_;
};

}  // namespace touchstone::bench
