// 64 maps, each under a std::shared_mutex of its own, with a version beside each value. A read takes the stripes' locks shared, a
// commit takes them exclusively in ascending order, compares the versions and writes. A snapshot holds all its stripes at once.

#include <algorithm>
#include <array>
#include <shared_mutex>
#include <unordered_map>

#include "bench/peers/mutex_map.h"

namespace touchstone::bench {
namespace {

template <class Id>
class StripedMap {
 public:
  explicit StripedMap(const Population& population) : population_(population), ids_(ids_of<Id>(population)) {
    for (const Id& id : ids_) stripes_[stripe_of(id)].map.emplace(id, Versioned{});
  }

  class Session {
   public:
    explicit Session(StripedMap& map) : map_(map), seen_(map.population_.shape().footprint) {}

    int add(std::uint32_t footprint) {
      const auto keys = map_.population_.keys_of(footprint);
      int failures = 0;
      while (!add_once(keys)) ++failures;
      return failures;
    }

    std::optional<std::int64_t> sum(std::span<const std::uint32_t> keys, const StopSign&) {
      choose_stripes(keys);
      for (const std::size_t s : chosen_) map_.stripes_[s].mutex.lock_shared();
      std::int64_t sum = 0;
      for (const std::uint32_t key : keys) sum += map_.entry(key).value;
      for (const std::size_t s : chosen_) map_.stripes_[s].mutex.unlock_shared();
      return sum;
    }

   private:
    bool add_once(std::span<const std::uint32_t> keys) {
      for (std::size_t i = 0; i < keys.size(); ++i) {
        const std::shared_lock lock(map_.stripe(keys[i]).mutex);
        seen_[i] = map_.entry(keys[i]);
      }
      for (Versioned& entry : seen_) ++entry.value;  // the body
      choose_stripes(keys);
      for (const std::size_t s : chosen_) map_.stripes_[s].mutex.lock();
      const bool committed = commit(keys);
      for (const std::size_t s : chosen_) map_.stripes_[s].mutex.unlock();
      return committed;
    }

    bool commit(std::span<const std::uint32_t> keys) {
      for (std::size_t i = 0; i < keys.size(); ++i) {
        if (map_.entry(keys[i]).version != seen_[i].version) return false;
      }
      for (std::size_t i = 0; i < keys.size(); ++i) {
        map_.entry(keys[i]) = {seen_[i].value, seen_[i].version + 1};
      }
      return true;
    }

    void choose_stripes(std::span<const std::uint32_t> keys) {
      chosen_.clear();
      for (const std::uint32_t key : keys) chosen_.push_back(stripe_of(map_.ids_[key]));
      std::sort(chosen_.begin(), chosen_.end());
      chosen_.erase(std::unique(chosen_.begin(), chosen_.end()), chosen_.end());
    }

    StripedMap& map_;
    std::vector<Versioned> seen_;
    std::vector<std::size_t> chosen_;
  };

  std::int64_t total() {
    std::int64_t total = 0;
    for (const Stripe& stripe : stripes_) {
      for (const auto& [id, entry] : stripe.map) total += entry.value;
    }
    return total;
  }

 private:
  static constexpr std::size_t kStripes = 64;

  struct alignas(64) Stripe {
    std::shared_mutex mutex;
    std::unordered_map<Id, Versioned> map;
  };

  static std::size_t stripe_of(const Id& id) { return std::hash<Id>{}(id) % kStripes; }

  Stripe& stripe(std::uint32_t key) { return stripes_[stripe_of(ids_[key])]; }
  Versioned& entry(std::uint32_t key) { return stripe(key).map.find(ids_[key])->second; }

  const Population& population_;
  const std::vector<Id> ids_;
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace

void register_benchmarks() {
  register_peer<StripedMap>("striped_map");
}

}  // namespace touchstone::bench
