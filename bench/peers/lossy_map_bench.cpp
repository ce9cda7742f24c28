// The canary: a map that loses every hundredth update of a thread. Its benchmark must be reported as an error.

#include "bench/workload.h"

namespace touchstone::bench {
namespace {

template <class Id>
class LossyMap {
 public:
  explicit LossyMap(const Population& population) : values_(population.shape().keys) {}

  class Session {
   public:
    explicit Session(LossyMap& map) : map_(map) {}

    int add(std::uint32_t footprint) {
      if (++adds_ % 100 != 0) ++map_.values_[footprint];
      return 0;
    }

    std::optional<std::int64_t> sum(std::span<const std::uint32_t> keys, const StopSign&) {
      std::int64_t sum = 0;
      for (const std::uint32_t key : keys) sum += map_.values_[key];
      return sum;
    }

   private:
    LossyMap& map_;
    std::uint64_t adds_ = 0;
  };

  std::int64_t total() {
    std::int64_t total = 0;
    for (const auto& value : values_) total += value;
    return total;
  }

 private:
  std::vector<std::atomic<std::int64_t>> values_;
};

}  // namespace

void register_benchmarks() {
  register_shape<LossyMap<std::uint64_t>>("lossy_map/ids",
                                          {.footprint = 1, .spread = Spread::hot, .threads = 2});
}

}  // namespace touchstone::bench
