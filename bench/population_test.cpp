#include "bench/population.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

namespace touchstone::bench {
namespace {

std::vector<Shape> shapes() {
  std::vector<Shape> shapes;
  for (const std::uint32_t footprint : {1u, 4u, 16u}) {
    for (const Spread spread : {Spread::disjoint, Spread::uniform, Spread::zipf, Spread::hot}) {
      for (const int threads : {1, 2, 32}) shapes.push_back({1000, footprint, spread, threads});
    }
  }
  return shapes;
}

Population population_of(const Shape& shape) {
  return Population(shape, harness::Seed::of_process());
}

// Peers that lock take a footprint's locks in its order: a key twice would deadlock with itself, a falling one with another thread.
TEST(Population, FootprintsAreDistinctAscendingKeysOfTheStore) {
  for (const Shape& shape : shapes()) {
    const Population population = population_of(shape);
    for (std::uint32_t footprint = 0; footprint < population.footprints(); ++footprint) {
      const auto keys = population.keys_of(footprint);
      ASSERT_EQ(keys.size(), shape.footprint);
      ASSERT_TRUE(std::is_sorted(keys.begin(), keys.end(), std::less_equal<>())) << name_of(shape);
      ASSERT_LT(keys.back(), shape.keys);
    }
  }
}

TEST(Population, DisjointThreadsShareNoKey) {
  for (const Shape& shape : shapes()) {
    if (shape.spread != Spread::disjoint) continue;
    const Population population = population_of(shape);
    std::map<std::uint32_t, int> owner;
    for (int thread = 0; thread < shape.threads; ++thread) {
      for (const std::uint32_t footprint : population.order(thread)) {
        for (const std::uint32_t key : population.keys_of(footprint)) {
          ASSERT_EQ(owner.emplace(key, thread).first->second, thread) << name_of(shape) << " key " << key;
        }
      }
    }
  }
}

TEST(Population, TheHotKeyIsInEveryFootprintThatIsCommitted) {
  for (const Shape& shape : shapes()) {
    if (shape.spread != Spread::hot) continue;
    const Population population = population_of(shape);
    for (int thread = 0; thread < shape.threads; ++thread) {
      for (const std::uint32_t footprint : population.order(thread)) {
        ASSERT_EQ(population.keys_of(footprint).front(), 0u) << name_of(shape);
      }
    }
  }
}

// With exponent 0.99 and 1,000 keys the most frequent key has a share of 1 / sum(k^-0.99) = 12.9 %; of 16,384 draws that is 2,120 with
// a standard deviation of 43. Uniform draws would give it 16.
TEST(Population, ZipfPrefersOneKeyByItsShare) {
  const Population population = population_of({1000, 1, Spread::zipf, 1});
  std::map<std::uint32_t, int> drawn;
  for (const std::uint32_t footprint : population.order(0)) ++drawn[footprint];
  int most = 0;
  for (const auto& [key, times] : drawn) most = std::max(most, times);
  EXPECT_GT(most, 1700);
  EXPECT_LT(most, 2450);
}

// Figures of two peers are comparable only if both worked on the same.
TEST(Population, OneSeedDrawsOnePopulation) {
  const Shape shape{1000, 4, Spread::zipf, 2};
  const Population one = population_of(shape);
  const Population other = population_of(shape);
  ASSERT_EQ(one.footprints(), other.footprints());
  for (std::uint32_t footprint = 0; footprint < one.footprints(); ++footprint) {
    ASSERT_TRUE(std::ranges::equal(one.keys_of(footprint), other.keys_of(footprint)));
  }
  for (int thread = 0; thread < shape.threads; ++thread) {
    ASSERT_TRUE(std::ranges::equal(one.order(thread), other.order(thread)));
  }
}

}  // namespace
}  // namespace touchstone::bench
