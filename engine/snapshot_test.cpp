// A view by itself: which words it takes at once, which it waits for, and what it shows others while it is open and while it reads.

#include "engine/snapshot.h"

#include <gtest/gtest.h>

#include "engine/store.h"
#include "engine/test_committer.h"

namespace touchstone::engine {
namespace {

using P = StagedPlatform;
using Rig = TestCommitter;

struct Seen {
  explicit Seen(Rig& of) : it(of), slot(it.slots.acquire()), view(*slot, it.epoch) {}

  /// The short form of a read, if it will do.
  std::optional<std::int64_t> at_once(const char* path) { return at_once(it.cell(path)); }
  std::optional<std::int64_t> at_once(const Cell<P>* cell) {
    std::uint64_t bits = 0;
    if (!view.read_at_once(*cell, Kind::integer, bits)) return std::nullopt;
    return number_of<std::int64_t>(bits);
  }

  Rig& it;
  Slot<P>* const slot;
  View<P> view;
};

TEST(View, ReadsAnUnchangedNumberAtOnceAndNothingElse) {
  Rig it;
  it.commit(0, WriteSet{}.set("n", 7).set("t", "text").set("b", true));
  Seen seen(it);
  EXPECT_EQ(seen.at_once("n"), 7);
  for (const char* path : {"t", "b", "absent"}) EXPECT_EQ(seen.at_once(path), std::nullopt) << path;
  it.lock("n");
  EXPECT_EQ(seen.at_once("n"), 7) << "who holds the lock has not changed it yet";
  it.cell("n")->word.fetch_add(word::kInstalling);
  EXPECT_EQ(seen.at_once("n"), std::nullopt) << "it is being changed";
  it.cell("n")->word.fetch_sub(word::kInstalling);
  it.unlock("n");
  it.commit(1, WriteSet{}.set("n", 8));
  EXPECT_EQ(seen.at_once("n"), std::nullopt) << "it is newer";
  Seen newer(it);
  EXPECT_EQ(newer.at_once("n"), 8);
  newer.view.pin();
  EXPECT_EQ(newer.at_once("n"), std::nullopt) << "only of a view that is not pinned";
}

TEST(View, OfTheEmptyStateReadsNothingNewerAtOnce) {
  Rig it;
  Seen seen(it);
  EXPECT_EQ(seen.view.version(), 0u);
  it.commit(0, WriteSet{}.set("n", 7));
  EXPECT_EQ(seen.at_once("n"), std::nullopt);
  bool changed = false;
  seen.view.read_current(*it.cell("n"), changed);
  EXPECT_TRUE(changed);
}

TEST(View, ReadsAtOnceNoNumberThatChangesUnderIt) {
  for (int step = 1; step <= 4; ++step) {
    Rig it;
    it.commit(0, WriteSet{}.set("n", 7));
    Seen seen(it);
    const Cell<P>* const cell = it.cell("n");
    bool came = false;
    it.stage.before_step(static_cast<std::uint64_t>(step), [&] {
      came = true;
      it.commit(1, WriteSet{}.set("n", 8));
    });
    EXPECT_EQ(seen.at_once(cell), came ? std::nullopt : std::optional(std::int64_t{7}))
        << "before step " << step;
    it.stage.no_more_interruptions();
    EXPECT_EQ(came, step <= 3) << "a word, its bits, and the word again";
  }
}

// W2: an install that its version counts is waited for, once; one that is newer, or a lock, is not.
TEST(View, WaitsForTheInstallOfItsVersionAndForNoOther) {
  for (const Version installed : {2, 3}) {
    Rig it;
    it.commit(0, WriteSet{}.set("n", 7));
    it.epoch.clock.store(2);
    Seen seen(it);
    seen.view.pin();
    Cell<P>* const cell = it.cell("n");
    it.lock("n");
    EXPECT_EQ(seen.view.read(cell), Value(7));
    EXPECT_EQ(it.stage.awaits, 0) << "it is only locked";
    cell->word.fetch_add(word::kInstalling);
    it.stage.in_a_wait([&] {
      cell->bits.store(8);
      cell->word.store(word::make(2, Kind::integer));
    });
    EXPECT_EQ(seen.view.read(cell), Value(8));
    EXPECT_EQ(it.stage.awaits, 1);
    it.epoch.clock.store(installed);
    it.lock("n");
    cell->word.fetch_add(word::kInstalling);
    Seen later(it);
    later.view.pin();
    if (installed == 2) it.stage.in_a_wait([&] { cell->word.store(word::make(2, Kind::integer)); });
    if (installed == 3) it.stage.in_a_wait([&] { cell->word.store(word::make(3, Kind::integer)); });
    EXPECT_EQ(later.view.changed(cell), installed);
    EXPECT_EQ(it.stage.awaits, 2);
  }
}

TEST(View, DoesNotWaitForAnInstallOfALaterVersion) {
  Rig it;
  it.commit(0, WriteSet{}.set("n", 7));
  Seen seen(it);
  seen.view.pin();
  it.commit(1, WriteSet{}.set("n", 8));
  it.lock("n");
  it.cell("n")->word.fetch_add(word::kInstalling);
  EXPECT_EQ(seen.view.read(it.cell("n")), Value(7));
  EXPECT_EQ(seen.view.changed(it.cell("n")), 1u);
  EXPECT_EQ(it.stage.awaits, 0);
}

// S3: the mark is odd while it follows links, and moves on, so that who waits for it can tell.
TEST(View, ShowsThatItFollowsLinks) {
  Rig it;
  it.commit(0, WriteSet{}.set("n", 7).set("t", "text"));
  Seen seen(it);
  seen.view.pin();
  it.commit(1, WriteSet{}.set("n", 8).set("t", "other"));
  const std::uint64_t before = seen.slot->reading.load();
  EXPECT_EQ(before % 2, 0u);
  std::vector<std::uint64_t> marks;
  const Cell<P>&n = *it.cell("n"), &t = *it.cell("t");
  Seen fresh(it);  // whose version is that of the text
  const auto odd_steps = [&](View<P>& view, const std::function<void()>& read) {
    Slot<P>* const slot = &view == &fresh.view ? fresh.slot : seen.slot;
    marks.clear();
    const std::function<void()> look = [&] {
      marks.push_back(slot->reading.load());
      it.stage.before_step(1, look);
    };
    it.stage.before_step(1, look);
    read();
    it.stage.no_more_interruptions();
    const std::uint64_t after = slot->reading.load();
    EXPECT_EQ(after % 2, 0u);
    EXPECT_EQ(std::count(marks.begin(), marks.end(), after), 0) << "it was not there before";
    return std::count_if(marks.begin(), marks.end(), [](std::uint64_t mark) { return mark % 2 == 1; });
  };
  EXPECT_EQ(odd_steps(seen.view, [&] { EXPECT_EQ(seen.view.read(&n), Value(7)); }), 2)
      << "before it loads the link, and before it says that it is done";
  EXPECT_EQ(odd_steps(seen.view, [&] { EXPECT_EQ(seen.view.read(&t), Value("text")); }), 2);
  EXPECT_EQ(odd_steps(seen.view, [&] { EXPECT_EQ(seen.view.changed(&n), 1u); }), 2);
  bool changed = true;
  const auto read_text = [&] { EXPECT_EQ(fresh.view.read_text(t, changed), Scalar("other")); };
  EXPECT_EQ(odd_steps(fresh.view, read_text), 4) << "a word, its bits, the word again, and the end";
  EXPECT_FALSE(changed);
}

TEST(Snapshot, OfWhatWasNeverWrittenOrOnlyLaterSaysSo) {
  Stage stage;
  Store<P> store;
  store.key("made.without.value");
  store.compare_and_swap(0, WriteSet{}.set("n", 1));
  const auto snapshot = store.snapshot();
  store.compare_and_swap(1, WriteSet{}.set("later", 1).set("n", 2));
  for (const char* path : {"nowhere", "made", "made.without.value", "later"}) {
    EXPECT_EQ(snapshot.changed(path), 0u) << path;
    EXPECT_EQ(snapshot.read(path), std::nullopt) << path;
  }
  EXPECT_EQ(snapshot.changed("n"), 1u);
  EXPECT_EQ(snapshot.read(store.key("n")), Value(1));
  EXPECT_EQ(snapshot.read(store.key("later")), std::nullopt);
}

// A slot that is not given back is looked at for ever by everybody who looks at the snapshots.
TEST(Snapshot, AndWorkersGiveTheirSlotsBack) {
  Stage stage;
  Store<P> store;
  const auto cost = [&] {
    const std::uint64_t before = stage.steps();
    store.statistics();
    return stage.steps() - before;
  };
  const auto use = [&] {
    const auto snapshot = store.snapshot();
    const auto worker = store.worker();
    store.compare_and_swap(store.version(), WriteSet{}.set("n", 1));
  };
  use();
  const std::uint64_t once = cost();
  for (int i = 0; i < 5; ++i) use();
  EXPECT_EQ(cost(), once);
  EXPECT_EQ(store.statistics().snapshots_open, 0u);
}

}  // namespace
}  // namespace touchstone::engine
