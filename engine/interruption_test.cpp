// Whoever comes between any two steps of a commit, a read or a snapshot finds all of it or nothing, and leaves it right. Each scene is
// played once for each step of the first, with all that the second does before that step; where the second must wait for the first, that
// is its answer.

#include <gtest/gtest.h>

#include "engine/store.h"
#include "engine/test_interruption.h"

namespace touchstone::engine {
namespace {

using P = StagedPlatform;

CommitResult write(Store<P>& store, const WriteSet& writes) {
  return store.compare_and_swap(store.version(), writes);
}

/// The state at version v, for the readers of these scenes: both paths were written by the commit v. Even versions are texts.
WriteSet both(Version version) {
  const Value value =
      version % 2 == 0 ? Value("text " + std::to_string(version)) : Value(static_cast<std::int64_t>(version));
  return WriteSet{}.set("a", value).set("d.b", value);
}

void expect_version(const Snapshot<P>& snapshot, Version version) {
  const Value expected = *both(version).entries().front().value;
  EXPECT_EQ(snapshot.version(), version);
  EXPECT_EQ(snapshot.read("a"), expected);
  EXPECT_EQ(snapshot.read("d.b"), expected);
  EXPECT_EQ(snapshot.changed("a"), version);
  EXPECT_EQ(to_text(*snapshot.read("d")), "{b: " + to_text(expected) + "}");
}

TEST(Interruption, OfACommitByASnapshotShowsAllOfItOrNothing) {
  for (const Version first : {1, 2}) {
    for (const bool merged : {false, true}) {
      const int steps = Interruption::at_each_step([=](Interruption& it) {
        Stage stage;
        Store<P> store;
        for (Version v = 0; v < first; ++v) write(store, both(v + 1));
        if (merged) write(store, WriteSet{}.set("other", 1));
        const Version before = store.version();
        std::optional<Snapshot<P>> meanwhile;
        it.between(
            [&] {
              EXPECT_TRUE(std::holds_alternative<Committed>(store.compare_and_swap(first, both(before + 1))));
            },
            [&] {
              meanwhile.emplace(store.snapshot());
              if (meanwhile->version() == before + 1) {
                EXPECT_EQ(meanwhile->read("a"), both(before + 1).entries().front().value);
              } else {
                EXPECT_EQ(meanwhile->read("a"), both(first).entries().front().value);
                EXPECT_EQ(meanwhile->read("d.b"), both(first).entries().front().value);
              }
            });
        if (!meanwhile) return;
        // It stays so, also when more is written.
        const auto stays = [&] {
          const Version seen = meanwhile->version() > before ? before + 1 : first;
          EXPECT_EQ(meanwhile->read("a"), both(seen).entries().front().value);
          EXPECT_EQ(meanwhile->read("d.b"), both(seen).entries().front().value);
          EXPECT_EQ(meanwhile->changed("a"), seen);
        };
        stays();
        write(store, both(before + 2));
        store.reclaim();
        stays();
      });
      EXPECT_GT(steps, 10);
    }
  }
}

// A snapshot that was open before does not wait for a commit that is newer than it, at any of its steps.
TEST(Interruption, OfACommitByAnOlderSnapshotShowsNothingOfIt) {
  for (const Version first : {1, 2}) {
    Interruption::at_each_step([=](Interruption& it) {
      Stage stage;
      Store<P> store;
      for (Version v = 0; v < first; ++v) write(store, both(v + 1));
      const auto older = store.snapshot();
      write(store, both(first + 1));
      it.between([&] { write(store, both(first + 2)); }, [&] { expect_version(older, first); });
      EXPECT_FALSE(it.had_to_wait());
      expect_version(older, first);
    });
  }
}

TEST(Interruption, OfACommitByAnotherCommitLeavesTheTwoInOneOrder) {
  for (const bool same : {false, true}) {
    Interruption::at_each_step([=](Interruption& it) {
      Stage stage;
      Store<P> store;
      write(store, both(1));
      CommitResult mine, other;
      const auto theirs =
          same ? WriteSet{}.set("a", "other").set("d.b", "other") : WriteSet{}.set("d", "other");
      it.between([&] { mine = store.compare_and_swap(1, WriteSet{}.set("a", "mine").set("d.b", "mine")); },
                 [&] { other = write(store, theirs); });
      const auto* const my_commit = std::get_if<Committed>(&mine);
      const auto* const their_commit = it.was_done() ? std::get_if<Committed>(&other) : nullptr;
      EXPECT_EQ(store.version(), 1u + (my_commit != nullptr) + (their_commit != nullptr));
      const bool they_are_last = their_commit != nullptr && their_commit->version == store.version();
      EXPECT_TRUE(they_are_last || (my_commit != nullptr && my_commit->version == store.version()));
      EXPECT_EQ(store.read(same ? "d.b" : "d"), they_are_last ? Value("other")
                                                : same        ? Value("mine")
                                                              : Value(Composite{{"b", "mine"}}));
      EXPECT_EQ(store.read("a"), same && they_are_last  ? Value("other")
                                 : my_commit != nullptr ? Value("mine")
                                                        : Value(1));
      if (same) {
        EXPECT_EQ(store.snapshot().changed("a"), store.version());
        EXPECT_EQ(store.snapshot().changed("d.b"), store.version());
      }
      EXPECT_TRUE(std::holds_alternative<Committed>(
          store.compare_and_swap(store.version(), WriteSet{}.erase("d").set("a", 1))))
          << "nothing is left locked";
    });
  }
}

TEST(Interruption, OfAReclaimByASnapshotAndACommitKeepsWhatTheSnapshotReads) {
  Interruption::at_each_step([](Interruption& it) {
    Stage stage;
    Store<P> store;
    write(store, both(1));
    std::optional<Snapshot<P>> first(store.snapshot()), second;
    write(store, both(2));
    first.reset();
    it.between([&] { store.reclaim(); },
               [&] {
                 second.emplace(store.snapshot());
                 write(store, both(3));
                 write(store, both(4));
               });
    if (!it.was_done()) return;
    expect_version(*second, 2);
    write(store, both(5));
    store.reclaim();
    expect_version(*second, 2);
  });
}

// The next one to open takes the slot of the one that closes.
TEST(Interruption, OfASnapshotThatClosesByOneThatOpensLeavesThisOneItsVersion) {
  const int steps = Interruption::at_each_step([](Interruption& it) {
    Stage stage;
    Store<P> store;
    write(store, both(1));
    std::optional<Snapshot<P>> first(store.snapshot()), second;
    it.between([&] { first.reset(); }, [&] { second.emplace(store.snapshot()); });
    if (!it.was_done()) return;
    EXPECT_EQ(store.statistics().snapshots_open, 1u);
    write(store, both(2));
    write(store, both(3));
    expect_version(*second, 1);
    second.reset();
    EXPECT_EQ(store.statistics().snapshots_open, 0u);
    const auto made = store.statistics().nodes_made;
    write(store, both(5));
    EXPECT_EQ(store.statistics().nodes_made, made) << "no open snapshot is counted";
  });
  EXPECT_GT(steps, 0);
}

TEST(Interruption, OfASnapshotThatOpensByCommitsLeavesItOneVersion) {
  const int steps = Interruption::at_each_step([](Interruption& it) {
    Stage stage;
    Store<P> store;
    write(store, both(1));
    const auto old = store.snapshot();  // so that chains are kept and trimmed
    for (Version v = 2; v <= 5; ++v) write(store, both(v));
    std::optional<Snapshot<P>> opened;
    it.between([&] { opened.emplace(store.snapshot()); },
               [&] {
                 for (Version v = 6; v <= 9; ++v) write(store, both(v));
                 store.reclaim();
               });
    const auto& snapshot = *opened;
    const Version seen = snapshot.version();
    EXPECT_TRUE(seen == 5 || seen == store.version()) << "nobody commits in the middle";
    expect_version(snapshot, seen);
    for (int i = 0; i < 10; ++i) write(store, both(store.version() + 1));
    store.reclaim();
    expect_version(snapshot, seen);
    expect_version(old, 1);
  });
  EXPECT_GT(steps, 3);
}

TEST(Interruption, OfAReadByCommitsLeavesItItsVersion) {
  for (const Version first : {1, 2}) {
    const int steps = Interruption::at_each_step([=](Interruption& it) {
      Stage stage;
      Store<P> store;
      for (Version v = 1; v <= first; ++v) write(store, both(v));
      const auto snapshot = store.snapshot();
      it.between([&] { expect_version(snapshot, first); },
                 [&] {
                   for (int i = 0; i < 6; ++i) write(store, both(store.version() + 1));
                   store.reclaim();
                   store.reclaim();
                 });
      EXPECT_FALSE(it.had_to_wait());
      expect_version(snapshot, first);
    });
    EXPECT_GT(steps, 10);
  }
}

// W2: a read waits for one install at most. Whoever commits before each of its steps does not keep it from ending.
TEST(Interruption, OfAReadByACommitBeforeEachOfItsStepsDoesNotKeepItFromEnding) {
  for (const Version first : {1, 2}) {
    Stage stage;
    Store<P> store;
    for (Version v = 1; v <= first; ++v) write(store, both(v));
    const auto snapshot = store.snapshot();
    int commits = 0;
    const std::function<void()> again = [&] {
      write(store, both(store.version() + 1));
      if (++commits < 1'000) stage.before_step(1, again);
    };
    stage.before_step(1, again);
    EXPECT_EQ(snapshot.read("a"), both(first).entries().front().value);
    stage.no_more_interruptions();
    EXPECT_LT(commits, 20);
  }
}

}  // namespace
}  // namespace touchstone::engine
