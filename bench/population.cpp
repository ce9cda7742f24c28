#include "bench/population.h"

#include <algorithm>
#include <cmath>

namespace touchstone::bench {

/// Draws keys by the spread.
class Population::Draw {
 public:
  Draw(const Shape& shape, harness::Seed seed) : shape_(shape), stream_(seed.stream("bench/draws")) {
    if (shape.spread != Spread::zipf) return;
    double sum = 0;
    for (std::uint32_t rank = 1; rank <= shape.keys; ++rank) {
      cumulated_.push_back(sum += std::pow(rank, -0.99));
    }
  }

  harness::Stream& stream() { return stream_; }

  std::uint32_t key(int thread) {
    switch (shape_.spread) {
      case Spread::disjoint: {
        const std::uint32_t first = share(thread);
        return first + below(share(thread + 1) - first);
      }
      case Spread::zipf:
        return zipf();
      case Spread::uniform:
      case Spread::hot:
        return below(shape_.keys);
    }
    return 0;
  }

  /// The keys of one footprint, distinct and ascending.
  std::vector<std::uint32_t> footprint(int thread) {
    std::vector<std::uint32_t> keys;
    if (shape_.spread == Spread::hot) keys.push_back(0);
    while (keys.size() < shape_.footprint) {
      const std::uint32_t drawn = key(thread);
      if (std::find(keys.begin(), keys.end(), drawn) == keys.end()) keys.push_back(drawn);
    }
    std::sort(keys.begin(), keys.end());
    return keys;
  }

  std::uint32_t below(std::uint32_t bound) { return static_cast<std::uint32_t>(stream_.below(bound)); }

 private:
  std::uint32_t share(int thread) const {
    return static_cast<std::uint32_t>(std::uint64_t{shape_.keys} * static_cast<std::uint64_t>(thread) /
                                      static_cast<std::uint64_t>(shape_.threads));
  }

  /// By inversion; frequent keys lie scattered (the factor is prime to any number of keys that is a power of ten).
  std::uint32_t zipf() {
    const double at = static_cast<double>(stream_.next() >> 11) * 0x1p-53 * cumulated_.back();
    const auto rank = static_cast<std::uint64_t>(
        std::upper_bound(cumulated_.begin(), cumulated_.end() - 1, at) - cumulated_.begin());
    return static_cast<std::uint32_t>(rank * 2654435761 % shape_.keys);
  }

  const Shape shape_;
  harness::Stream stream_;
  std::vector<double> cumulated_;
};

Population::Population(const Shape& shape, harness::Seed seed) : shape_(shape) {
  Draw draw(shape, seed);
  orders_.resize(static_cast<std::size_t>(shape.threads));
  if (shape.footprint == 1) {
    make_single_footprints(draw);
  } else {
    make_footprints(draw);
  }
}

/// Footprint k is key k.
void Population::make_single_footprints(Draw& draw) {
  for (std::uint32_t key = 0; key < shape_.keys; ++key) footprint_keys_.push_back(key);
  const std::size_t length = shape_.keys > 100'000 ? 262'144 : 16'384;
  for (std::size_t t = 0; t < orders_.size(); ++t) {
    for (std::size_t i = 0; i < length; ++i) {
      orders_[t].push_back(shape_.spread == Spread::hot ? 0 : draw.key(static_cast<int>(t)));
    }
  }
}

/// Each thread draws footprints; where threads meet, each commits everybody's.
void Population::make_footprints(Draw& draw) {
  const std::uint32_t threads = static_cast<std::uint32_t>(shape_.threads);
  const std::uint32_t each = (shape_.keys > 100'000 ? 65'536 : 4'096) / threads;
  for (std::uint32_t t = 0; t < threads; ++t) {
    for (std::uint32_t i = 0; i < each; ++i) {
      for (const std::uint32_t key : draw.footprint(static_cast<int>(t))) footprint_keys_.push_back(key);
    }
  }
  for (std::uint32_t t = 0; t < threads; ++t) {
    for (int i = 0; i < 16'384; ++i) {
      orders_[t].push_back(shape_.spread == Spread::disjoint ? t * each + draw.below(each)
                                                             : draw.below(each * threads));
    }
  }
}

const char* name_of(Spread spread) {
  switch (spread) {
    case Spread::disjoint:
      return "disjoint";
    case Spread::uniform:
      return "uniform";
    case Spread::zipf:
      return "zipf";
    case Spread::hot:
      return "hot";
  }
  return "";
}

std::string name_of(const Shape& shape) {
  return "keys:" + std::to_string(shape.keys) + "/n:" + std::to_string(shape.footprint) + '/' +
         name_of(shape.spread) + "/threads:" + std::to_string(shape.threads);
}

template <>
std::uint64_t id_of(std::uint32_t key) {
  return key;
}

template <>
std::string id_of(std::uint32_t key) {
  return "zone" + std::to_string(key / 32) + ".field" + std::to_string(key % 32);
}

}  // namespace touchstone::bench
