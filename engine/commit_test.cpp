// The commit by itself, step by step: what it waits for, what it compares, and that whoever comes between any two of its steps finds
// all of it or nothing.

#include "engine/commit.h"

#include <gtest/gtest.h>

#include "engine/test_committer.h"

namespace touchstone::engine {
namespace {

using P = StagedPlatform;
using Rig = TestCommitter;
using Outcome = AttemptOutcome<P>;
using std::chrono::hours;

TEST(Commit, WaitsForALockedCellOfItsOwn) {
  Rig it;
  it.commit(0, WriteSet{}.set("x", 1));
  it.lock("x");
  it.stage.in_a_wait([] {});  // it is still locked
  it.stage.in_a_wait([&] {
    it.unlock("x");
    it.commit(1, WriteSet{}.set("x", 2));
  });
  const Outcome outcome = it.commit(1, WriteSet{}.set("x", 3));
  EXPECT_EQ(outcome.kind, Outcome::conflict) << "with what it waited for";
  EXPECT_EQ(outcome.version, 2u);
  EXPECT_EQ(it.stage.awaits, 2);
  EXPECT_EQ(it.slot->counters.restarts.load(), 0u);
  EXPECT_EQ(it.word("x"), word::make(2, Kind::integer));
}

// L1: whoever waits against the order of locks holds none meanwhile, and what others do in the wait stays as they leave it.
TEST(Commit, LetsGoOfItsLocksWhileItWaitsForAnAncestor) {
  Rig it;
  it.commit(0, WriteSet{}.set("a", 1).set("d.x", 1).set("z", 1));
  it.lock("d");
  it.stage.in_a_wait([&] {
    for (const char* path : {"a", "d.x", "z"}) EXPECT_FALSE(word::locked(it.word(path))) << path;
    EXPECT_EQ(it.slot->phase.load() % 2, 1u) << "S1: it is still under way";
  });
  it.stage.in_a_wait([&] {
    it.unlock("d");
    it.lock("d");  // somebody else was faster
  });
  it.stage.in_a_wait([&] { it.unlock("d"); });
  const Outcome outcome = it.commit(1, WriteSet{}.set("a", 2).set("d.x", 2).set("z", 2));
  EXPECT_EQ(outcome.kind, Outcome::committed);
  EXPECT_EQ(outcome.version, 2u);
  EXPECT_EQ(it.epoch.clock.load(), 2u);
  EXPECT_EQ(it.slot->counters.restarts.load(), 1u);
  EXPECT_EQ(it.word("d.x"), word::make(2, Kind::integer));
}

TEST(Commit, FindsWhatChangedWhileItWaitedForAnAncestor) {
  for (const char* changed : {"a", "d.x", "z", "d"}) {
    Rig it;
    it.commit(0, WriteSet{}.set("a", 1).set("d.x", 1).set("z", 1));
    it.lock("d");
    it.stage.in_a_wait([&] {
      it.unlock("d");
      Cell<P>* const cell = it.cell(changed);
      it.epoch.clock.store(2);
      cell->word.store(word::make(2, word::kind(cell->word.load())));
    });
    const Outcome outcome = it.commit(1, WriteSet{}.set("a", 2).set("d.x", 2).set("z", 2));
    EXPECT_EQ(outcome.kind, Outcome::conflict);
    EXPECT_EQ(outcome.where, it.cell(changed));
    EXPECT_EQ(outcome.version, 2u);
    for (const char* path : {"a", "d.x", "z", "d"})
      EXPECT_EQ(word::version(it.word(path)), path == std::string(changed)     ? 2u
                                              : path[1] == 0 && path[0] == 'd' ? 0u
                                                                               : 1u)
          << path << " after a change of " << changed;
  }
}

TEST(Commit, ShowsThatItIsUnderWayFromItsFirstLockToItsLastUnlock) {
  Rig it;
  const std::uint64_t before = it.slot->phase.load();
  std::uint64_t during = 0;
  it.stage.at_point("commit:begin", [&] { during = it.slot->phase.load(); });
  it.stage.at_point("commit:installed", [&] { EXPECT_EQ(it.slot->phase.load(), during); });
  it.commit(0, WriteSet{}.set("x", 1));
  const std::uint64_t after = it.slot->phase.load();
  EXPECT_EQ(before % 2, 0u);
  EXPECT_EQ(during % 2, 1u);
  EXPECT_EQ(after % 2, 0u);
  EXPECT_NE(before, after) << "who waits for it sees it change";
}

TEST(Commit, ValidatesWhatItDoesNotWrite) {
  for (const char* changed : {"a", "m", "z"}) {
    Rig it;
    it.commit(0, WriteSet{}.set("a", 1).set("b", 1).set("m", 1).set("y", 1).set("z", 1));
    it.commit(1, WriteSet{}.set(changed, 2));
    Outcome outcome = it.commit(1, WriteSet{}.set("b", 3).set("y", 3), {"a", "b", "m", "y", "z"});
    EXPECT_EQ(outcome.kind, Outcome::conflict);
    EXPECT_EQ(outcome.where, it.cell(changed));
    outcome = it.commit(2, WriteSet{}.set("b", 3).set("y", 3), {"a", "b", "m", "y", "z"});
    EXPECT_EQ(outcome.kind, Outcome::committed);
    for (const char* path : {"a", "b", "m", "y", "z"}) {
      const bool written = *path == 'b' || *path == 'y';
      EXPECT_EQ(it.word(path), word::make(written ? 3 : *path == *changed ? 2 : 1, Kind::integer)) << path;
    }
  }
}

TEST(Commit, OfNothingIsStillValidated) {
  Rig it;
  it.commit(0, WriteSet{}.set("a", 1).set("d.x", 1));
  EXPECT_EQ(it.commit(0, WriteSet{}, {"a"}).kind, Outcome::conflict);
  const Outcome outcome = it.commit(1, WriteSet{}, {"a", "d"});
  EXPECT_EQ(outcome.kind, Outcome::committed);
  EXPECT_EQ(outcome.version, 2u);
  EXPECT_EQ(it.word("a"), word::make(1, Kind::integer));
  EXPECT_EQ(it.word("d.x"), word::make(1, Kind::integer)) << "what is read as a whole keeps its leaves";
}

TEST(Commit, ReadingASubtreeOrALeafWipesNothing) {
  Rig it;
  it.commit(0, WriteSet{}.set("q", 1).set("d.x", 1).set("e.x", 1).set("e.y.z", 1));
  const Outcome outcome = it.commit(1, WriteSet{}.set("e", 2), {"d", "q"});
  EXPECT_EQ(outcome.kind, Outcome::committed);
  EXPECT_EQ(it.word("q"), word::make(1, Kind::integer));
  EXPECT_EQ(it.word("d.x"), word::make(1, Kind::integer));
  EXPECT_EQ(it.word("d"), word::make(0, Kind::none));
  EXPECT_EQ(it.word("e"), word::make(2, Kind::integer));
  EXPECT_EQ(it.word("e.x"), word::make(2, Kind::none)) << "wiped";
  EXPECT_EQ(it.word("e.y"), word::make(0, Kind::none)) << "it had nothing to wipe";
  EXPECT_EQ(it.word("e.y.z"), word::make(2, Kind::none));
}

// A set that is above a path and names it too meets it twice; and so many that a sort that does not keep the order of equals shows.
TEST(Commit, WritesAWideSubtreeWithItsLeaves) {
  for (const int leaves : {3, 8, 40, 100}) {
    Rig it;
    WriteSet first, second;
    second.erase("d");
    for (int i = 0; i < leaves; ++i) {
      first.set("d.leaf" + std::to_string(i), 1);
      if (i % 3 != 0) second.set("d.leaf" + std::to_string(i), true);
    }
    it.commit(0, first);
    EXPECT_EQ(it.commit(1, second).kind, Outcome::committed);
    for (int i = 0; i < leaves; ++i) {
      EXPECT_EQ(it.word(("d.leaf" + std::to_string(i)).c_str()),
                word::make(2, i % 3 != 0 ? Kind::boolean : Kind::none));
    }
  }
}

// A set that was turned away at the gate is submitted again as it came back, with all that was locked for it: then each cell below is
// there twice, and a sort that took equals for smaller would run over the end.
TEST(Commit, ThatWasBusyIsSubmittedAgainAsItCameBack) {
  const auto leaf = [](int i) { return "d.leaf" + std::to_string(i); };
  for (const bool reads : {false, true}) {
    for (int leaves = 3; leaves <= 64; ++leaves) {
      Rig it;
      WriteSet first;
      for (int i = 0; i < leaves; ++i) first.set(leaf(i), 1);
      it.commit(0, first.set("q", 1));
      Claim<P> claim;
      Cell<P>* const others[] = {it.cell("other")};
      it.gate.join(claim, others, hours(1), it.slot->counters);
      std::vector<Cell<P>*> footprint;
      if (reads) footprint.push_back(it.cell("q"));
      WriteSet writes;
      writes.erase("d");
      if (reads) writes.set(leaf(1), 2);
      Outcome outcome = it.commit(1, writes);
      const CommitRequest<P> request{1, footprint, it.cells};
      for (int again = 0; again < 3; ++again) {
        EXPECT_EQ(outcome.kind, Outcome::busy);
        EXPECT_EQ(outcome.version, 1u) << "the turn that bars";
        outcome = it.committer.attempt(request, *it.slot, nullptr);
      }
      it.gate.leave(claim, it.slot->counters);
      outcome = it.committer.attempt(request, *it.slot, nullptr);
      EXPECT_EQ(outcome.kind, Outcome::committed);
      for (int i = 0; i < leaves; ++i)
        EXPECT_EQ(it.word(leaf(i).c_str()), word::make(2, reads && i == 1 ? Kind::integer : Kind::none))
            << leaves;
      EXPECT_EQ(it.word("q"), word::make(1, Kind::integer));
    }
  }
}

// Beyond the words that it locks a commit compares one version an ancestor, once for siblings.
TEST(Commit, ComparesEachAncestorOnceForSiblings) {
  Rig it;
  it.commit(0, WriteSet{}.set("d.a", 1).set("d.b", 1).set("d.c", 1).set("e.f.g", 1).set("r.s", 1));
  it.commit(1, WriteSet{}.set("other", 1));
  std::uint64_t before = it.compared();
  const auto compared = [&] { return it.compared() - std::exchange(before, it.compared()); };
  EXPECT_EQ(before, 0u);
  it.commit(1, WriteSet{}.set("d.a", 2).set("d.b", 2));
  EXPECT_EQ(compared(), 1u) << "d";
  it.commit(3, WriteSet{}.set("d.a", 2));
  EXPECT_EQ(compared(), 0u) << "nothing was newer than what it expected";
  it.commit(2, WriteSet{}.set("d.b", 3), {"d.c"});
  EXPECT_EQ(compared(), 0u) << "its own word was newer already";
  it.commit(3, WriteSet{}.set("d.b", 3), {"d.c"});
  EXPECT_EQ(compared(), 1u) << "d";
  it.commit(3, WriteSet{}.set("r", 1).set("e.f.g", 1));
  EXPECT_EQ(compared(), 2u) << "e.f and e";
  it.commit(6, WriteSet{}.set("other", 7));
  EXPECT_EQ(it.commit(6, WriteSet{}.set("d.b", 8).set("r", 8), {"d.a"}).kind, Outcome::committed);
  EXPECT_EQ(compared(), 1u) << "d, which is the same for what is read and what is written";
}

// W2: only what a commit writes is shown as being installed. Nobody waits for what it only reads or finds below.
TEST(Commit, ShowsOnlyWhatItWritesAsBeingInstalled) {
  for (const bool merged : {false, true}) {
    Rig it;
    it.commit(0, WriteSet{}.set("n", 1).set("t", "text").set("read", 1).set("d.x", 1));
    it.cell("d.y");
    if (merged) it.commit(1, WriteSet{}.set("other", 1));
    const auto installing = [&](const char* path) { return word::installing(it.word(path)); };
    it.stage.at_point("commit:numbered", [&] {
      for (const char* path : {"n", "t", "d", "d.x"}) EXPECT_TRUE(installing(path)) << path;
      for (const char* path : {"read", "d.y"}) EXPECT_FALSE(installing(path)) << path;
      for (const char* path : {"n", "t", "d", "d.x", "read", "d.y"})
        EXPECT_TRUE(word::locked(it.word(path))) << path;
    });
    EXPECT_EQ(it.commit(1, WriteSet{}.set("n", 2).set("t", 2).set("d", 2), {"read"}).kind,
              Outcome::committed);
  }
}

// Where an ancestor is locked by the commit itself it looks once more at the others if only the later sibling must not be below a scalar.
TEST(Commit, ComparesEachAncestorAtMostTwiceForSiblingsBelowItsOwn) {
  Rig it;
  it.commit(0, WriteSet{}
                   .set("d.a", 1)
                   .set("d.b", 1)
                   .set("d.c", 1)
                   .set("d.e", 1)
                   .set("d.f", 1)
                   .set("r.s.q", 1)
                   .set("r.s.t.u", 1));
  it.commit(1, WriteSet{}.set("other", 1));
  it.commit(1, WriteSet{}.set("d.c", 2).set("d.e", 2).erase("r.s").set("r.s.q", 2), {"d.a", "d.b", "d.f"});
  EXPECT_EQ(it.compared(), 2u + 2u) << "d for what is read and for what is written; r for r.s and for r.s.q";
  EXPECT_EQ(it.word("r.s.t.u"), word::make(3, Kind::none));
}

TEST(Commit, ConflictsWithTheNewestOfItsAncestors) {
  for (const bool own : {false, true}) {  // own: with an ancestor that it has locked itself
    for (const char* newest : {"a", "a.b"}) {
      Rig it;
      it.cell("a.b.c");
      it.commit(0, WriteSet{}.set("r.s", 1));
      it.commit(1, WriteSet{}.erase(newest == std::string("a") ? "a.b" : "a"));
      it.commit(2, WriteSet{}.erase(newest));
      WriteSet writes;
      if (own) writes.erase("r").set("r.s", 2);
      writes.set("a.b.c", 2);
      const Outcome outcome = it.commit(2, writes);
      EXPECT_EQ(outcome.kind, Outcome::conflict);
      EXPECT_EQ(outcome.version, 3u);
      EXPECT_EQ(outcome.where, it.cell(newest));
      EXPECT_EQ(it.commit(3, writes).kind, Outcome::committed);
    }
  }
}

TEST(Commit, NumbersAMergedCommitWithTheClock) {
  Rig it;
  it.commit(0, WriteSet{}.set("a", 1));
  const Outcome outcome = it.commit(0, WriteSet{}.set("b", 1));
  EXPECT_EQ(outcome.kind, Outcome::committed);
  EXPECT_EQ(outcome.path, CommitPath::merged);
  EXPECT_EQ(outcome.version, 2u);
  EXPECT_EQ(it.epoch.clock.load(), 2u);
  EXPECT_EQ(it.word("b"), word::make(2, Kind::integer));
}

TEST(Commit, InStrictModeNamesNoPath) {
  Rig it(Mode::strict);
  it.commit(0, WriteSet{}.set("a", 1));
  it.commit(1, WriteSet{}.set("b", 1));
  for (const char* path : {"a", "b", "c"}) {
    const Outcome outcome = it.commit(1, WriteSet{}.set(path, 2));
    EXPECT_EQ(outcome.kind, Outcome::conflict) << path;
    EXPECT_EQ(outcome.where, nullptr) << path;
    EXPECT_EQ(outcome.version, 2u) << path;
  }
}

// A scalar above is looked for also where only a sibling is read, and its refusal counts only of what is unchanged.
TEST(Commit, BelowAScalarIsRefusedUnlessTheScalarIsNew) {
  Rig it;
  it.commit(0, WriteSet{}.set("d", 1));
  it.cell("d.a");
  const auto refused = [&](const Outcome& outcome, const char* put) {
    EXPECT_EQ(outcome.kind, Outcome::under_scalar);
    EXPECT_EQ(outcome.where, it.cell("d"));
    EXPECT_EQ(outcome.below, it.cell(put));
  };
  refused(it.commit(1, WriteSet{}.set("d.b", 1), {"d.a"}), "d.b");
  it.commit(1, WriteSet{}.set("other", 1));
  refused(it.commit(1, WriteSet{}.set("d.b", 1)), "d.b");
  refused(it.commit(2, WriteSet{}.set("d.b", 1)), "d.b");
  EXPECT_EQ(it.commit(2, WriteSet{}.set("more", 1), {"d.a"}).kind, Outcome::committed) << "it is only read";
  const Outcome stale = it.commit(0, WriteSet{}.set("d.b", 1));
  EXPECT_EQ(stale.kind, Outcome::conflict) << "since then d may have become a scalar";
  EXPECT_EQ(stale.where, it.cell("d"));
  EXPECT_EQ(it.epoch.clock.load(), 3u);
}

TEST(Commit, IsBusyNotRefusedIfTheGateClosesWhileItIsValidated) {
  for (const Mode mode : {Mode::smart, Mode::strict}) {
    Rig it(mode);
    it.commit(0, WriteSet{}.erase("d").set("q", 1));
    Claim<P> claim;
    it.stage.at_point("commit:admitted", [&] {
      Cell<P>* const cells[] = {it.cell("q")};
      it.gate.join(claim, cells, hours(1), it.slot->counters);
    });
    EXPECT_EQ(it.commit(0, WriteSet{}.set("d.x", 1)).kind, Outcome::busy);
    EXPECT_EQ(it.commit(0, WriteSet{}.set("q", 1)).kind, Outcome::busy);
    it.gate.leave(claim, it.slot->counters);
    EXPECT_EQ(it.commit(0, WriteSet{}.set("q", 1)).kind, Outcome::conflict);
  }
}

TEST(Commit, HasRoomForTheValuesThatItReplacesAndNotForThoseThatStay) {
  Rig it;
  WriteSet many;
  for (int i = 0; i < 50; ++i) many.set("d.leaf" + std::to_string(i), 1);
  it.commit(0, WriteSet{}.set("d.leaf0", 1).set("d.leaf1", 1));
  for (int i = 2; i < 50; ++i) it.cell(("d.leaf" + std::to_string(i)).c_str());
  Slot<P>* const fresh = it.slots.acquire();
  it.slot = fresh;
  EXPECT_EQ(it.commit(1, WriteSet{}.set("d", 1)).kind, Outcome::committed);
  EXPECT_EQ(fresh->spare.size(), 3u) << "d and the two scalars below it";
}

TEST(Commit, KeepsAllThatItWipesForASnapshot) {
  Rig it;
  it.commit(0, WriteSet{}.set("d.x", 1).set("d.y", 2).set("d.z.w", 3).set("e", 4));
  View<P> view(*it.slots.acquire(), it.epoch);
  view.pin();
  it.slot = it.slots.acquire();  // which has kept nothing yet
  EXPECT_EQ(it.commit(1, WriteSet{}.set("d", 1)).kind, Outcome::committed);
  EXPECT_EQ(to_text(*view.read(it.cell("d"))), "{x: 1, y: 2, z: {w: 3}}");
  EXPECT_EQ(it.slot->counters.nodes_made.load(), 3u);
}

// A text is a node from the beginning: the version it was written at must be in it when a newer value pushes it into the chain.
TEST(Commit, AnOlderTextHasItsVersion) {
  Rig it;
  it.commit(0, WriteSet{}.set("x", "a"));
  View<P> first(*it.slots.acquire(), it.epoch);
  first.pin();
  it.commit(1, WriteSet{}.set("x", "b"));
  View<P> second(*it.slots.acquire(), it.epoch);
  second.pin();
  it.commit(2, WriteSet{}.set("x", 7));
  EXPECT_EQ(first.read(it.cell("x")), Value("a"));
  EXPECT_EQ(first.changed(it.cell("x")), 1u);
  EXPECT_EQ(second.read(it.cell("x")), Value("b"));
  EXPECT_EQ(second.changed(it.cell("x")), 2u);
}

TEST(Commit, LooksAtTheSnapshotsOnlyForAChain) {
  Rig it;
  it.commit(0, WriteSet{}.set("a", 1).set("b", 1));
  it.committer.trim_all(it.index, *it.slot);
  EXPECT_EQ(it.slot->counters.trims.load(), 0u);
  {
    View<P> view(*it.slots.acquire(), it.epoch);
    view.pin();
    it.commit(1, WriteSet{}.set("b", 2));
  }
  it.committer.trim_all(it.index, *it.slot);
  EXPECT_EQ(it.slot->counters.trims.load(), 1u) << "of the one old value";
  EXPECT_EQ(it.cell("b")->older.load(), nullptr);
  for (const char* path : {"a", "b"}) EXPECT_FALSE(word::locked(it.word(path))) << path;
}

}  // namespace
}  // namespace touchstone::engine
