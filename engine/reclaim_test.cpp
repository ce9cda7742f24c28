// Which old values are kept and when the others go, on the parts themselves: pins, chains and grace periods without a store. A store
// that keeps too much works as well as one that does not, so only figures tell.

#include "engine/reclaim.h"

#include <gtest/gtest.h>

#include "engine/native_platform.h"

namespace touchstone::engine {
namespace {

using Native = NativePlatform;

TEST(Pins, NeedANodeWhileASnapshotIsOfItOrLaterAndBeforeTheNextOne) {
  Slots<Native> slots;
  slots.acquire()->pin.store(Pin::exact(20));
  slots.acquire()->pin.store(Pin::exact(10));
  slots.acquire();  // pins nothing
  const Pins pins(slots);
  EXPECT_EQ(pins.size(), 2u);
  EXPECT_EQ(pins.oldest(), 10u);
  EXPECT_TRUE(pins.need(10, 11));
  EXPECT_TRUE(pins.need(3, 11));
  EXPECT_TRUE(pins.need(15, 21));
  EXPECT_FALSE(pins.need(3, 10)) << "the snapshot at 10 reads the next one";
  EXPECT_FALSE(pins.need(11, 20));
  EXPECT_FALSE(pins.need(21, 100));
}

TEST(Pins, NeedEverythingThatASnapshotThatOpensMayRead) {
  Slots<Native> slots;
  slots.acquire()->pin.store(Pin::opening(10));
  slots.acquire()->pin.store(Pin::opening(30));
  const Pins pins(slots);
  EXPECT_EQ(pins.size(), 0u);
  EXPECT_EQ(pins.oldest(), 10u);
  EXPECT_TRUE(pins.need(3, 11));
  EXPECT_TRUE(pins.need(50, 60));
  EXPECT_FALSE(pins.need(3, 10));
}

TEST(Pins, OldestIsTheLeastOfBothKinds) {
  Slots<Native> slots;
  EXPECT_EQ(Pins(slots).oldest(), ~Version{0});
  Slot<Native>* opening = slots.acquire();
  opening->pin.store(Pin::opening(10));
  slots.acquire()->pin.store(Pin::exact(5));
  EXPECT_EQ(Pins(slots).oldest(), 5u);
  opening->pin.store(Pin::opening(3));
  EXPECT_EQ(Pins(slots).oldest(), 3u);
}

/// A cell whose value of version 1 is replaced at 2, 3, ... one after the other, and a slot that does it.
class Reclaim : public testing::Test {
 protected:
  Reclaim() : reclaimer_(slots_, open_), mine_(*slots_.acquire()) {}

  ~Reclaim() override {
    for (Node<Native>* node = cell_.older.load(); node != nullptr;)
      delete std::exchange(node, node->older.load());
  }

  /// Replaces the integer of version `now - 1`.
  void replace(bool wanted) {
    Reclaimer<Native>::reserve(1, mine_);
    ++now_;
    reclaimer_.keep(cell_, word::make(now_ - 1, Kind::integer), now_, wanted, mine_);
  }

  void pin(Version version) { slots_.acquire()->pin.store(Pin::exact(version)); }

  std::vector<Version> chain() const {
    std::vector<Version> versions;
    for (Node<Native>* node = cell_.older.load(); node != nullptr; node = node->older.load())
      versions.push_back(node->version);
    return versions;
  }

  Slots<Native> slots_;
  Native::atomic<std::uint64_t> open_{0};
  Reclaimer<Native> reclaimer_;
  Slot<Native>& mine_;
  Cell<Native> root_{nullptr, 0, ""};
  Cell<Native> cell_{&root_, 1, "a"};
  Version now_ = 1;
};

TEST_F(Reclaim, WantsOldValuesWhileASnapshotIsOpen) {
  EXPECT_FALSE(reclaimer_.wanted());
  open_.store(1);
  EXPECT_TRUE(reclaimer_.wanted());
}

TEST_F(Reclaim, KeepsNothingThatNobodyWants) {
  for (int i = 0; i < 3; ++i) replace(false);
  EXPECT_EQ(chain(), std::vector<Version>{});
  EXPECT_EQ(mine_.counters.nodes_made.load(), 0u);
  EXPECT_EQ(mine_.counters.trims.load(), 0u);
}

TEST_F(Reclaim, KeepsNoNodeForWhatWasNeverWritten) {
  Reclaimer<Native>::reserve(1, mine_);
  reclaimer_.keep(cell_, word::make(0, Kind::none), 1, true, mine_);
  EXPECT_EQ(chain(), std::vector<Version>{});
  EXPECT_EQ(mine_.spare.size(), 1u);
}

TEST_F(Reclaim, ReservesAsManyNodesAsAreMissing) {
  Reclaimer<Native>::reserve(3, mine_);
  EXPECT_EQ(mine_.spare.size(), 3u);
  Reclaimer<Native>::reserve(2, mine_);
  EXPECT_EQ(mine_.spare.size(), 3u);
}

TEST_F(Reclaim, TrimsWhatNoSnapshotReadsAndKeepsTheRestInOrder) {
  pin(2);
  pin(5);
  cell_.trim_at = 100;
  for (int i = 0; i < 6; ++i) replace(true);  // now at 7
  ASSERT_EQ(chain(), (std::vector<Version>{6, 5, 4, 3, 2, 1}));
  reclaimer_.trim(cell_, now_, mine_);
  EXPECT_EQ(chain(), (std::vector<Version>{5, 2}));
  EXPECT_EQ(cell_.chain_length, 2u);
  EXPECT_EQ(mine_.retired.size(), 4u);
  EXPECT_EQ(mine_.counters.nodes_made.load(), 6u);
}

// Looking at all snapshots is worth it only when the chain has doubled: so its cost is spread over as many commits as values stay.
TEST_F(Reclaim, LooksAgainOnlyWhenTheChainHasDoubled) {
  const std::uint32_t least = Cell<Native>::kTrimAt;
  for (std::uint32_t i = 1; i <= least; ++i) {
    pin(i);
    EXPECT_EQ(mine_.counters.trims.load(), 0u) << i;
    replace(true);
  }
  EXPECT_EQ(mine_.counters.trims.load(), 1u);
  EXPECT_EQ(cell_.chain_length, least);
  EXPECT_EQ(cell_.trim_at, 2 * least);
  for (std::uint32_t i = least + 1; i <= 2 * least; ++i) {
    pin(i);
    EXPECT_EQ(mine_.counters.trims.load(), 1u) << i;
    replace(true);
  }
  EXPECT_EQ(mine_.counters.trims.load(), 2u);
  EXPECT_EQ(cell_.trim_at, 4 * least);
  slots_.for_each([](Slot<Native>& slot) { slot.pin.store(Pin::kNone); });
  reclaimer_.trim(cell_, now_, mine_);
  EXPECT_EQ(cell_.chain_length, 0u);
  EXPECT_EQ(cell_.trim_at, least) << "never less";
}

TEST_F(Reclaim, ForgetsTheWholeChainAtTheFirstReplacementThatNobodyWants) {
  pin(1);
  for (int i = 0; i < 3; ++i) replace(true);
  slots_.for_each([](Slot<Native>& slot) { slot.pin.store(Pin::kNone); });
  replace(false);
  EXPECT_EQ(chain(), std::vector<Version>{});
  EXPECT_EQ(mine_.retired.size(), 3u);
}

// A text is a node already: it goes into the chain as it is, and away as it is.
TEST_F(Reclaim, KeepsATextsOwnNode) {
  const auto text = [&](Version version) {
    auto* node = new Node<Native>;
    node->version = version;
    node->kind = Kind::text;
    cell_.bits.store(std::bit_cast<std::uint64_t>(node));
    return node;
  };
  Node<Native>* kept = text(1);
  Reclaimer<Native>::reserve(1, mine_);
  reclaimer_.keep(cell_, word::make(1, Kind::text), 2, true, mine_);
  EXPECT_EQ(cell_.older.load(), kept);
  EXPECT_EQ(mine_.counters.nodes_made.load(), 0u);
  EXPECT_EQ(mine_.spare.size(), 1u);
  text(2);
  reclaimer_.keep(cell_, word::make(2, Kind::text), 3, false, mine_);
  EXPECT_EQ(mine_.retired.size(), 2u) << "and the chain, which nobody reads";
}

// Grace periods: what was unlinked is freed once every reader that was there has been seen elsewhere.
TEST_F(Reclaim, FreesWhatIsUnlinkedWhenItsReadersAreGoneAndNotBefore) {
  Slot<Native>& reader = *slots_.acquire();
  reader.reading.store(1);
  slots_.acquire()->reading.store(2);  // reads nothing
  for (int i = 0; i < 3; ++i) mine_.retired.push(new Node<Native>);
  reclaimer_.collect(mine_);
  EXPECT_EQ(mine_.retired.size(), 0u);
  EXPECT_EQ(mine_.waiting.size(), 3u);
  EXPECT_EQ(mine_.readers.size(), 1u);
  mine_.retired.push(new Node<Native>);
  reclaimer_.collect(mine_);
  EXPECT_EQ(mine_.waiting.size(), 3u) << "still read";
  EXPECT_EQ(mine_.retired.size(), 1u) << "the next grace period has not begun";
  EXPECT_EQ(mine_.counters.nodes_freed.load(), 0u);
  reader.reading.store(3);  // another visit: it came after the unlinking
  reclaimer_.collect(mine_);
  EXPECT_EQ(mine_.counters.nodes_freed.load(), 3u);
  EXPECT_EQ(mine_.waiting.size(), 1u);
  EXPECT_EQ(mine_.readers.size(), 1u) << "who may read the second batch";
  reader.reading.store(4);
  reclaimer_.collect(mine_);
  EXPECT_EQ(mine_.counters.nodes_freed.load(), 4u);
  EXPECT_EQ(mine_.waiting.size(), 0u);
}

TEST_F(Reclaim, BeginsAGracePeriodWhenABatchIsFull) {
  const auto retire_text = [&] {
    auto* node = new Node<Native>;
    node->kind = Kind::text;
    cell_.bits.store(std::bit_cast<std::uint64_t>(node));
    reclaimer_.keep(cell_, word::make(now_, Kind::text), now_ + 1, false, mine_);
  };
  for (int i = 0; i < 63; ++i) retire_text();
  EXPECT_EQ(mine_.retired.size(), 63u);
  EXPECT_EQ(mine_.waiting.size(), 0u);
  retire_text();
  EXPECT_EQ(mine_.retired.size(), 0u);
  EXPECT_EQ(mine_.waiting.size(), 64u);
  EXPECT_EQ(mine_.counters.trims.load(), 0u) << "there is no chain to look at";
}

TEST_F(Reclaim, BeginsAGracePeriodWhenATrimFillsABatch) {
  cell_.trim_at = 1000;
  for (int i = 0; i < 63; ++i) replace(true);
  reclaimer_.trim(cell_, now_, mine_);
  EXPECT_EQ(mine_.retired.size(), 63u);
  EXPECT_EQ(mine_.waiting.size(), 0u);
  cell_.trim_at = 1000;
  replace(true);
  reclaimer_.trim(cell_, now_, mine_);
  EXPECT_EQ(mine_.retired.size(), 0u) << "with what this trim has unlinked";
  EXPECT_EQ(mine_.waiting.size(), 64u);
}

TEST(NodeList, GivesBackTheLastOneFirstAndCounts) {
  Node<Native> a, b;
  NodeList<Native> list, other;
  list.push(&a);
  list.push(&b);
  EXPECT_EQ(list.size(), 2u);
  list.swap(other);
  EXPECT_EQ(list.size(), 0u);
  EXPECT_EQ(other.pop(), &b);
  EXPECT_EQ(other.pop(), &a);
  EXPECT_EQ(other.size(), 0u);
}

TEST(Slots, AReleasedSlotIsUsedAgainAndAllAreSeen) {
  Slots<Native> slots;
  Slot<Native>* first = slots.acquire();
  Slot<Native>* second = slots.acquire();
  EXPECT_NE(first, second);
  slots.release(first);
  std::vector<const Slot<Native>*> free, all;
  slots.for_each_free([&](const Slot<Native>& slot) { free.push_back(&slot); });
  slots.for_each([&](const Slot<Native>& slot) { all.push_back(&slot); });
  EXPECT_EQ(free, std::vector<const Slot<Native>*>{first});
  EXPECT_EQ(all, (std::vector<const Slot<Native>*>{second, first}));
  EXPECT_EQ(slots.acquire(), first);
  const Slot<Native>* third = slots.acquire();
  EXPECT_NE(third, first);
  EXPECT_NE(third, second);
}

}  // namespace
}  // namespace touchstone::engine
