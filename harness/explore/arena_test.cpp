#include "harness/explore/arena.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"

namespace touchstone::harness::explore {
namespace {

using P = ControlledPlatform;

TEST(Arena, GivesTheSameAddressesAgainOnceAllIsFreed) {
  Arena arena;
  ASSERT_TRUE(arena.usable());
  std::set<const void*> places;
  for (int execution = 0; execution < 3; ++execution) {
    {
      const InArena in(&arena);
      const auto one = std::make_unique<int>(1);
      const auto many = std::make_unique<std::array<char, 100'000>>();
      const InArena out(nullptr);
      places.insert(one.get());
      places.insert(many.get());
    }
    arena.reset();
  }
  EXPECT_EQ(places.size(), 2U);
  for (const void* place : places) EXPECT_TRUE(Arena::covers(reinterpret_cast<std::uintptr_t>(place)));
}

// The danger: what a body hands to somebody who outlives it is given to the next execution, and overwritten.
TEST(Arena, TakesNothingFromWhoStillHasIt) {
  std::vector<std::string> kept;
  std::set<std::uint64_t> seen;
  const Report report = portfolio(
      [&] {
        P::atomic<int> word{0};
        P::thread other([&] { word.store(1); });
        kept.push_back(std::string(100, static_cast<char>('a' + kept.size() % 26)));
        seen.insert(kept.size() % 7);
        other.join();
      },
      {.executions = 2'000, .determinism_checks = 0});
  EXPECT_TRUE(passes(report));
  ASSERT_EQ(kept.size(), 2'000U);
  for (std::size_t i = 0; i < kept.size(); ++i)
    EXPECT_EQ(kept[i], std::string(100, static_cast<char>('a' + i % 26)));
  EXPECT_EQ(seen.size(), 7U);
}

TEST(Arena, LeavesWhatItCannotGiveToTheOrdinaryAllocator) {
  Arena arena;
  const InArena in(&arena);
  const std::unique_ptr<char[]> large(new char[300U << 20]);
  EXPECT_FALSE(Arena::covers(reinterpret_cast<std::uintptr_t>(large.get())));
  struct alignas(128) Wide {
    char bytes[128];
  };
  for (int i = 0; i < 3; ++i) {
    const auto wide = std::make_unique<Wide>();
    EXPECT_TRUE(Arena::covers(reinterpret_cast<std::uintptr_t>(wide.get())));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(wide.get()) % 128, 0U);
    std::memset(wide->bytes, i, sizeof wide->bytes);
  }
}

TEST(Arena, LetsAnotherThreadFreeWhatItGave) {
  std::unique_ptr<std::string> text;
  Arena arena;
  {
    const InArena in(&arena);
    text = std::make_unique<std::string>(1'000, 'x');
  }
  std::thread([&] { text.reset(); }).join();
  arena.reset();
  const InArena in(&arena);
  EXPECT_EQ(std::string(1'000, 'y').size(), 1'000U);
}

// The danger: a body that decides by an address. The first execution puts the text where its repetition and every later one with the
// same schedule puts it, so that the double run finds nothing, though the whole address is a decision.
TEST(Arena, MakesAProgramThatDecidesByAddressesRepeatItself) {
  std::set<std::uintptr_t> places;
  const auto body = [&] {
    const auto text = std::make_unique<std::string>(64, 'x');
    const auto place = reinterpret_cast<std::uintptr_t>(text->data());
    P::atomic<std::uint32_t> hash{static_cast<std::uint32_t>(place >> 4)};
    P::thread a([&] { hash.fetch_add(1); });
    P::thread b([&] { hash.fetch_add(static_cast<std::uint32_t>(place >> 12) & 3); });
    a.join();
    b.join();
    require(hash.load() != 0, "the hash of an address is an ordinary number");
    const InArena out(nullptr);  // the set is ours
    places.insert(place);
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 50, .determinism_checks = 50})));
  EXPECT_TRUE(passes(exhaust(body)));
  EXPECT_EQ(places.size(), 1U);
}

// Long texts: the cell's bits are the address of their node.
TEST(Arena, HoldsTheTextsOfTheEngine) {
  const auto body = [] {
    engine::Store<P> store;
    const auto write = [&store](char letter) {
      engine::WriteSet writes;
      writes.set("a", std::string(200, letter));
      store.compare_and_swap(0, writes);
    };
    P::thread a(write, 'a');
    P::thread b(write, 'b');
    a.join();
    b.join();
    require(store.read("a")->text().size() == 200, "one of them committed");
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 300, .determinism_checks = 300})));
  EXPECT_TRUE(passes(exhaust(body, {.determinism_checks = 1'000})));
}

}  // namespace
}  // namespace touchstone::harness::explore
