#pragma once
// What a workload works on: its keys, the footprints (sets of keys) of its commits, and each thread's order of them. All of it is
// drawn before the clock starts, and is the same for every peer that is given the same seed.
//
//   Population population({.keys = 1000, .footprint = 4, .spread = Spread::zipf, .threads = 2}, seed);
//   for (std::uint32_t footprint : population.order(thread))
//     add_one_to(population.keys_of(footprint));         // distinct, ascending
//
// Thread safety: read-only after its making.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "harness/seed.h"

namespace touchstone::bench {

enum class Spread : std::uint8_t {
  disjoint,  ///< each thread has keys of its own
  uniform,
  zipf,  ///< exponent 0.99
  hot    ///< one key is in every footprint
};

struct Shape {
  std::uint32_t keys = 1000;
  std::uint32_t footprint = 1;
  Spread spread = Spread::uniform;
  int threads = 1;
};

const char* name_of(Spread spread);

/// "keys:1000/n:4/zipf/threads:2"
std::string name_of(const Shape& shape);

class Population {
 public:
  Population(const Shape& shape, harness::Seed seed);

  const Shape& shape() const { return shape_; }
  std::uint32_t footprints() const {
    return static_cast<std::uint32_t>(footprint_keys_.size() / shape_.footprint);
  }

  /// The keys of a footprint: distinct and ascending, which is the lock order of peers that lock.
  std::span<const std::uint32_t> keys_of(std::uint32_t footprint) const {
    return {footprint_keys_.data() + std::size_t{footprint} * shape_.footprint, shape_.footprint};
  }

  /// Which footprints a thread commits, in order; then from the beginning.
  std::span<const std::uint32_t> order(int thread) const { return orders_[static_cast<std::size_t>(thread)]; }

 private:
  class Draw;

  void make_single_footprints(Draw& draw);
  void make_footprints(Draw& draw);

  Shape shape_;
  std::vector<std::uint32_t> footprint_keys_;
  std::vector<std::vector<std::uint32_t>> orders_;
};

/// A key's name: its number, or a dotted path of two components with 32 fields in a zone.
template <class Id>
Id id_of(std::uint32_t key);
template <>
std::uint64_t id_of(std::uint32_t key);
template <>
std::string id_of(std::uint32_t key);

template <class Id>
std::vector<Id> ids_of(const Population& population) {
  std::vector<Id> ids;
  ids.reserve(population.shape().keys);
  for (std::uint32_t key = 0; key < population.shape().keys; ++key) ids.push_back(id_of<Id>(key));
  return ids;
}

}  // namespace touchstone::bench
