// The engine's protocols where loads may see stale values: what a machine may do with the memory orders as written. Each body is
// small, so that the samplers come by the few stale reads that matter.

#include <gtest/gtest.h>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"

namespace touchstone::harness::explore {
namespace {

using namespace touchstone::engine;
using P = ControlledPlatform;

testing::AssertionResult holds_under_weak_memory(const Body& body, std::uint64_t executions = 10'000) {
  return passes(portfolio(body, {.executions = executions, .weak_memory = true}));
}

// Danger (L2): a leaf's commit looks up before it is seen to have locked, and the root's commit looks down in the same way: each
// misses the other, and both commit. The oracle: from one base at most one of the two is unchanged.
TEST(WeakMemory, OfACommitAboveAndOneBelowOneSeesTheOther) {
  EXPECT_TRUE(holds_under_weak_memory([] {
    Store<P> store({.backoff = false, .ticket = false});
    store.compare_and_swap(0, WriteSet{}.set("d.x", 1));
    CommitResult above, below;
    P::thread a([&] { above = store.compare_and_swap(1, WriteSet{}.set("d", 2)); });
    P::thread b([&] { below = store.compare_and_swap(1, WriteSet{}.set("d.x", 3)); });
    a.join();
    b.join();
    const bool both = std::holds_alternative<Committed>(above) && std::holds_alternative<Committed>(below);
    require(!both, "one of the two sees the other");
  }));
}

// The same with a leaf that is only being made (N1).
TEST(WeakMemory, OfACommitAboveAndOneOfAPathThatIsBeingMadeOneSeesTheOther) {
  EXPECT_TRUE(holds_under_weak_memory([] {
    Store<P> store({.backoff = false, .ticket = false});
    static_cast<void>(store.key("d"));
    CommitResult above, below;
    P::thread a([&] { above = store.compare_and_swap(0, WriteSet{}.set("d", 1)); });
    P::thread b([&] { below = store.compare_and_swap(0, WriteSet{}.set("d.x", 2)); });
    a.join();
    b.join();
    const bool both = std::holds_alternative<Committed>(above) && std::holds_alternative<Committed>(below);
    require(!both, "one of the two sees the other");
  }));
}

// The same where the leaf's commit first finds its own lock above another of its paths, and so does not pass by a glance.
TEST(WeakMemory, OfACommitAboveAndOneBelowThatLooksLongerOneSeesTheOther) {
  EXPECT_TRUE(holds_under_weak_memory([] {
    Store<P> store({.backoff = false, .ticket = false});
    store.compare_and_swap(0, WriteSet{}.set("q.y", 1));
    static_cast<void>(store.key("d"));
    CommitResult above, below;
    P::thread a([&] { above = store.compare_and_swap(1, WriteSet{}.set("d", 1)); });
    P::thread b([&] {
      below = store.compare_and_swap(1, WriteSet{}.set("q", Composite{{"y", 2}}).set("d.x", 2));
    });
    a.join();
    b.join();
    const bool both = std::holds_alternative<Committed>(above) && std::holds_alternative<Committed>(below);
    require(!both, "one of the two sees the other");
  }));
}

// The same with a leaf that one makes and another one finds and writes (N1): who finds it must not be faster than its parent.
TEST(WeakMemory, WhoFindsAPathThatAnotherOneMakesIsSeenFromAbove) {
  EXPECT_TRUE(holds_under_weak_memory([] {
    Store<P> store({.backoff = false, .ticket = false});
    static_cast<void>(store.key("d"));
    CommitResult above, below;
    P::thread maker([&] { static_cast<void>(store.key("d.x")); });
    P::thread a([&] { above = store.compare_and_swap(0, WriteSet{}.set("d", 1)); });
    P::thread b([&] { below = store.compare_and_swap(0, WriteSet{}.set("d.x", 2)); });
    maker.join();
    a.join();
    b.join();
    const bool both = std::holds_alternative<Committed>(above) && std::holds_alternative<Committed>(below);
    require(!both, "one of the two sees the other");
  }));
}

// Danger (S1): the holder closes the gate and finds no commit under way, while a commit that is under way finds the gate open.
// The oracle: what a holder commits from a version read in its turn is never refused.
TEST(WeakMemory, AHoldersCommitMeetsNobodyWhoPassedItsGate) {
  for (const Policy policy : {Policy::ticket, Policy::key_queue}) {
    EXPECT_TRUE(holds_under_weak_memory([policy] {
      Store<P> store({.backoff = false, .policy = policy, .ticket_threshold = 1});
      store.compare_and_swap(0, WriteSet{}.set("x", 0));
      auto worker = store.worker();
      P::thread rival([&] { store.compare_and_swap(1, WriteSet{}.set("x", 1)); });
      P::thread holder([&] {
        store.compare_and_swap(0, WriteSet{}.set("x", 2), &worker);  // a conflict, which earns the ticket
        require(store.await_turn(worker) == TicketStatus::holding, "nobody is before it");
        const Version now = store.version();
        require(
            std::holds_alternative<Committed>(store.compare_and_swap(now, WriteSet{}.set("x", 3), &worker)),
            "a holder's commit is not refused");
      });
      rival.join();
      holder.join();
    })) << static_cast<int>(policy);
  }
}

// Danger (T6): a worker sees that its turn has begun, and not what the holder before it did in the turn that it handed over. The oracle
// is the checker of races on plain data that only holders touch; a third one joins the queue meanwhile.
TEST(WeakMemory, AHolderFindsWhatTheOneBeforeItLeft) {
  for (const Policy policy : {Policy::ticket, Policy::key_queue}) {
    EXPECT_TRUE(holds_under_weak_memory([policy] {
      TicketGate<P> gate({.policy = policy});
      Index<P> index;
      Cell<P>* const cells[] = {index.intern("x")};
      std::array<Claim<P>, 3> claims;
      std::array<Counters<P>, 3> counters;
      P::cell<int> turns(0);
      const auto join = [&](std::size_t i) {
        gate.join(claims[i], cells, std::chrono::hours(1), counters[i]);
      };
      const auto take_turn = [&](std::size_t i) {
        require(gate.await_turn(claims[i], kForever, counters[i]) == TicketStatus::holding,
                "its turn begins");
        turns.write(turns.read() + 1);
        gate.leave(claims[i], counters[i]);
      };
      join(0);
      join(1);
      P::thread first([&] { take_turn(0); });
      P::thread second([&] { take_turn(1); });
      P::thread third([&] {
        join(2);
        take_turn(2);
      });
      first.join();
      second.join();
      third.join();
      require(turns.read() == 3, "each turn comes after the one before it");
    })) << static_cast<int>(policy);
  }
}

// Danger (K4): while somebody has a turn, a commit above walks down to all paths below it, and meets one that is just being made. The
// oracle is the checker of races, and that one of the two commits sees the other.
TEST(WeakMemory, WhoLooksForReservationsBelowMeetsNoPathThatIsHalfMade) {
  EXPECT_TRUE(holds_under_weak_memory([] {
    Store<P> store({.backoff = false, .policy = Policy::key_queue, .ticket_threshold = 1});
    store.compare_and_swap(0, WriteSet{}.set("q", 0));
    static_cast<void>(store.key("d"));
    auto holder = store.worker();
    store.compare_and_swap(0, WriteSet{}.set("q", 1), &holder);  // a conflict, which earns the turn
    require(store.await_turn(holder) == TicketStatus::holding, "nobody is before it");
    CommitResult above, below;
    P::thread a([&] { above = store.compare_and_swap(1, WriteSet{}.set("d", 1)); });
    P::thread b([&] { below = store.compare_and_swap(1, WriteSet{}.set("d.x", 2)); });
    a.join();
    b.join();
    const bool both = std::holds_alternative<Committed>(above) && std::holds_alternative<Committed>(below);
    require(!both, "one of the two sees the other");
  }));
}

// Danger (R1, R2): a commit replaces a value and finds no snapshot open, while the snapshot that will read it finds the version
// before. The oracle: the value is its version's, twice.
TEST(WeakMemory, ASnapshotKeepsWhatItReads) {
  EXPECT_TRUE(holds_under_weak_memory([] {
    Store<P> store({.backoff = false, .ticket = false});
    store.compare_and_swap(0, WriteSet{}.set("x", 1).set("y", 1));
    P::thread writer([&] { store.compare_and_swap(1, WriteSet{}.set("x", 2).set("y", 2)); });
    P::thread reader([&] {
      const auto snapshot = store.snapshot();
      const auto expected = static_cast<std::int64_t>(snapshot.version());
      for (const char* path : {"x", "y", "x"}) {
        const auto value = snapshot.read(path);
        require(value && value->integer() == expected, "a snapshot is of one version, and stays so");
      }
    });
    writer.join();
    reader.join();
  }));
}

// The same where the commit is not of the newest version: it takes the next number without comparing the clock.
TEST(WeakMemory, ASnapshotKeepsWhatAMergedCommitReplaces) {
  EXPECT_TRUE(holds_under_weak_memory([] {
    Store<P> store({.backoff = false, .ticket = false});
    store.compare_and_swap(0, WriteSet{}.set("x", 1));
    store.compare_and_swap(1, WriteSet{}.set("z", 2));
    P::thread writer([&] { store.compare_and_swap(1, WriteSet{}.set("x", 3)); });
    P::thread reader([&] {
      const auto snapshot = store.snapshot();
      const Value expected = snapshot.version() == 3 ? 3 : 1;
      require(snapshot.read("x") == expected, "a snapshot is of one version");
    });
    writer.join();
    reader.join();
    require(store.statistics().commits_merged == 1, "it was merged");
  }));
}

// Danger (W3): reclaiming locks a cell and lets go of it, and whoever reads the word that it leaves sees an older value beside it.
TEST(WeakMemory, ReclaimingLeavesTheValueWithItsVersion) {
  EXPECT_TRUE(holds_under_weak_memory([] {
    Store<P> store({.backoff = false, .ticket = false});
    store.compare_and_swap(0, WriteSet{}.set("x", 1));
    P::thread writer([&] {
      store.compare_and_swap(1, WriteSet{}.set("x", 2));
      store.reclaim();
    });
    P::thread reader([&] {
      const auto snapshot = store.snapshot();
      require(snapshot.read("x")->integer() == static_cast<std::int64_t>(snapshot.version()),
              "it reads its version");
    });
    writer.join();
    reader.join();
  }));
}

// Danger (W4): a reader sees that a path has changed since its version by the mark of the commit after that change, which releases
// nothing, and then finds the chain as it was before: the value that it reads is in neither.
TEST(WeakMemory, WhoSeesAChangeByTheMarkOfTheNextOneFindsTheValueBeforeIt) {
  EXPECT_TRUE(holds_under_weak_memory([] {
    Store<P> store({.backoff = false, .ticket = false});
    store.compare_and_swap(0, WriteSet{}.set("x", 1));
    const auto snapshot = store.snapshot();
    P::thread writer([&] {
      store.compare_and_swap(1, WriteSet{}.set("x", 2));
      store.compare_and_swap(2, WriteSet{}.set("x", 3));
    });
    P::thread reader([&] { require(snapshot.read("x") == Value(1), "a snapshot stays at its version"); });
    writer.join();
    reader.join();
  }));
}

// Danger (R1): a commit looks at the pins and finds none of the snapshot that opens, and unlinks the value that it will read. An older
// snapshot keeps the chain growing until this commit is worth a look.
TEST(WeakMemory, ATrimKeepsWhatASnapshotThatOpensReads) {
  EXPECT_TRUE(holds_under_weak_memory([] {
    Store<P> store({.backoff = false, .ticket = false});
    store.compare_and_swap(0, WriteSet{}.set("x", 1));
    const auto old = store.snapshot();
    const int full = static_cast<int>(Cell<P>::kTrimAt);
    for (int i = 1; i < full; ++i) store.compare_and_swap(store.version(), WriteSet{}.set("x", i + 1));
    P::thread writer([&] { store.compare_and_swap(store.version(), WriteSet{}.set("x", full + 1)); });
    P::thread reader([&] {
      const auto snapshot = store.snapshot();
      const auto value = snapshot.read("x");
      require(value && value->integer() == static_cast<std::int64_t>(snapshot.version()),
              "it reads its version");
    });
    writer.join();
    reader.join();
    require(old.read("x") == Value(1), "the old one still reads its own");
    require(store.statistics().trims == 1, "the commit did look");
  }));
}

// Danger (L3): a body reads a value that is older than the version it commits from, and the commit finds nothing changed since.
// The oracle: no increment is lost.
TEST(WeakMemory, NoIncrementIsLost) {
  EXPECT_TRUE(holds_under_weak_memory([] {
    Store<P> store({.backoff = false, .ticket = false});
    const auto x = store.key("x");
    const auto add = [&] {
      auto worker = store.worker();
      auto process = store.process("add", {.outputs = {"x"}}, [&](Context<P>& context) {
        context.set(x, context.get<std::int64_t>(x).value_or(0) + 1);
      });
      require(store.execute(worker, process).committed(), "it is committed in the end");
    };
    P::thread a(add);
    P::thread b(add);
    a.join();
    b.join();
    require(store.read("x")->integer() == 2, "no increment is lost");
  }));
}

// Danger (R3, L5): a body reads a text without a snapshot while a commit replaces it, sees no reader, and frees it; and then its memory
// is used again. The commit's slot has so much to free already that it looks for readers at once.
TEST(WeakMemory, ATextThatIsReadWithoutASnapshotIsNotFreedMeanwhile) {
  constexpr std::size_t kBatch = 64;  // of the reclaimer
  EXPECT_TRUE(holds_under_weak_memory([] {
    Epoch<P> epoch;
    Slots<P> slots;
    Index<P> index;
    TicketGate<P> gate({});
    Reclaimer<P> reclaimer(slots, epoch.open);
    Committer<P> committer(epoch.clock, gate, reclaimer, Mode::smart);
    Cell<P>& x = *index.intern("x");
    Slot<P>& mine = *slots.acquire();
    Slot<P>& theirs = *slots.acquire();
    const auto commit = [&](Version expected, const char* text) {
      std::vector<Write<P>> writes;
      writes.emplace_back(&x, Datum<P>(Scalar(text)));
      committer.attempt({expected, {}, writes}, mine, nullptr);
    };
    commit(0, "old");
    while (mine.retired.size() + 1 < kBatch) mine.retired.push(new Node<P>);
    std::array<std::unique_ptr<Node<P>>, kBatch> used_again;
    P::thread writer([&] {
      commit(1, "new");
      reclaimer.collect(mine);
      for (auto& node : used_again) {
        node = std::make_unique<Node<P>>();
        node->text = "of somebody else";
      }
    });
    P::thread reader([&] {
      const View<P> view(theirs, epoch);
      bool changed = false;
      const auto text = view.read_text(x, changed);
      require(changed || text == Scalar(view.version() == 1 ? "old" : "new"), "it is its version's");
    });
    writer.join();
    reader.join();
  }));
}

// Danger (W3): a body reads a number that is newer than its version beside a word that is not, and works with values that never were
// together; or it sees a new word and the value before it. The oracle: the two are always equal, whether or not the attempt commits.
TEST(WeakMemory, ABodySeesOneVersionOfItsOutputs) {
  EXPECT_TRUE(holds_under_weak_memory([] {
    Store<P> store({.backoff = false, .ticket = false});
    store.compare_and_swap(0, WriteSet{}.set("x", 1).set("y", 1));
    const auto x = store.key("x"), y = store.key("y");
    P::thread writer([&] { store.compare_and_swap(1, WriteSet{}.set("x", 2).set("y", 2)); });
    P::thread reader([&] {
      auto worker = store.worker();
      auto process = store.process("p", {.outputs = {"x", "y"}}, [&](Context<P>& context) {
        const auto one = context.get<std::int64_t>(x), other = context.get<std::int64_t>(y);
        require(one == other, "both are of one version");
      });
      require(store.execute(worker, process).committed(), "it is committed in the end");
    });
    writer.join();
    reader.join();
  }));
}

}  // namespace
}  // namespace touchstone::harness::explore
