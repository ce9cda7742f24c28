// Plain data of the engine that threads hand to one another: what publishes it must order it. This file is compiled with
// -fsanitize=thread and linked without it: guard.cpp tells plain_races.h of each access.

#include <gtest/gtest.h>

#include <memory>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"
#include "harness/explore/plain_races.h"

namespace touchstone::harness::explore {
namespace {

using namespace touchstone::engine;
using P = ControlledPlatform;

testing::AssertionResult no_race(const Body& body, const Options& options = {}) {
  const Report report = portfolio(race_checked(body), options);
  auto result = passes(report);
  if (!report) result << where_of(report.failure->failure.message);
  return result;
}

/// The writer's own order of the flag that publishes `data`.
Body published_with(std::memory_order order) {
  return [order] {
    P::atomic<int> flag{0};
    std::vector<int> data(4);
    P::thread writer([&] {
      data[2] = 1;
      flag.store(1, order);
    });
    P::thread reader([&] {
      if (flag.load(std::memory_order_acquire) == 1) require(data[2] == 1, "the data was published");
    });
    writer.join();
    reader.join();
  };
}

TEST(PlainRaces, AreFoundWhereNothingPublishesPlainData) {
  EXPECT_TRUE(no_race(published_with(std::memory_order_release)));
  const Report report = portfolio(race_checked(published_with(std::memory_order_relaxed)));
  ASSERT_TRUE(report.failure);
  EXPECT_EQ(report.failure->failure.kind, FailureKind::race);
  EXPECT_NE(where_of(report.failure->failure.message).find("races_test.cpp:"), std::string::npos)
      << report.failure->failure.message;
}

TEST(PlainRaces, ReadingWhatAnotherThreadFreesIsOne) {
  const auto body = [](bool orderly) {
    return [orderly] {
      P::atomic<int*> shared{new int(1)};
      P::atomic<int> done{0};
      P::thread reader([&] {
        require(*shared.load() == 1, "as it was made");
        done.store(1, orderly ? std::memory_order_release : std::memory_order_relaxed);
      });
      P::thread owner([&] {
        P::await(done, [](int d) { return d == 1; });
        delete shared.load();
      });
      reader.join();
      owner.join();
    };
  };
  EXPECT_TRUE(no_race(body(true)));
  EXPECT_FALSE(portfolio(race_checked(body(false))));
}

// Danger: a path is looked up while another thread makes it: the look-up sees the cell before its name and parent.
TEST(EngineRaces, APathThatIsJustBeingMadeIsReadAsAWhole) {
  EXPECT_TRUE(no_race([] {
    const auto owned = std::make_unique<Store<P>>(StoreOptions{.backoff = false, .ticket = false});
    Store<P>& store = *owned;
    P::thread maker([&] { static_cast<void>(store.key("a.b")); });
    P::thread reader([&] {
      require(!store.snapshot().read("a.b"), "nothing was written");
      static_cast<void>(store.snapshot().read("a"));
    });
    maker.join();
    reader.join();
  }));
}

// Danger (K4): while somebody has a turn, a commit walks down to the paths below its own, and sees one before its name and neighbour.
TEST(EngineRaces, AWalkToReservationsReadsPathsAsAWhole) {
  EXPECT_TRUE(no_race([] {
    const auto owned = std::make_unique<Store<P>>(
        StoreOptions{.backoff = false, .policy = Policy::key_queue, .ticket_threshold = 1});
    Store<P>& store = *owned;
    store.compare_and_swap(0, WriteSet{}.set("q", 0));
    static_cast<void>(store.key("d"));
    auto holder = store.worker();
    store.compare_and_swap(0, WriteSet{}.set("q", 1), &holder);  // a conflict, which earns the turn
    require(store.await_turn(holder) == TicketStatus::holding, "nobody is before it");
    P::thread maker([&] { static_cast<void>(store.key("d.x")); });
    P::thread walker([&] { store.compare_and_swap(1, WriteSet{}.set("d", 1)); });
    maker.join();
    walker.join();
  }));
}

// Danger: the table of paths grows while another thread looks one up.
TEST(EngineRaces, ATableThatGrowsIsReadAsAWhole) {
  EXPECT_TRUE(no_race(
      [] {
        const auto owned = std::make_unique<Store<P>>(StoreOptions{.backoff = false, .ticket = false});
        Store<P>& store = *owned;
        for (int i = 0; i < 32; ++i) static_cast<void>(store.key("k" + std::to_string(i)));
        P::thread maker([&] { static_cast<void>(store.key("one.more")); });
        P::thread reader([&] { require(store.key("k7").path() == "k7", "the path that it was asked for"); });
        maker.join();
        reader.join();
      },
      {.executions = 100}));
}

// Danger: a snapshot follows a chain of old values and texts whose nodes commits make, unlink and free.
TEST(EngineRaces, OldValuesAndTextsAreReadOnlyWhileTheyLive) {
  for (const bool weak : {false, true}) {
    EXPECT_TRUE(no_race(
        [] {
          const auto owned = std::make_unique<Store<P>>(StoreOptions{.backoff = false, .ticket = false});
          Store<P>& store = *owned;
          store.compare_and_swap(0, WriteSet{}.set("x", "one"));
          P::thread writer([&] {
            store.compare_and_swap(1, WriteSet{}.set("x", "two"));
            store.compare_and_swap(2, WriteSet{}.set("x", 3));
            store.reclaim();
          });
          P::thread reader([&] {
            const auto snapshot = store.snapshot();
            const auto first = snapshot.read("x");
            require(first.has_value() && first == snapshot.read("x"), "a snapshot reads the same twice");
          });
          writer.join();
          reader.join();
        },
        {.weak_memory = weak}));
  }
}

// Danger (R3): a snapshot walks a chain from which values are taken that other versions needed, and meets one that is freed, at the
// chain's beginning and in its middle.
TEST(EngineRaces, AWalkAlongAChainMeetsNothingThatIsFreed) {
  for (const bool middle : {false, true}) {
    EXPECT_TRUE(no_race(
        [middle] {
          const auto owned = std::make_unique<Store<P>>(StoreOptions{.backoff = false, .ticket = false});
          Store<P>& store = *owned;
          const auto commit = [&] { store.compare_and_swap(store.version(), WriteSet{}.set("x", 1)); };
          commit();
          const auto oldest = std::make_unique<Snapshot<P>>(store.snapshot());
          commit();
          if (middle) commit();
          const auto newer = middle ? std::make_unique<Snapshot<P>>(store.snapshot()) : nullptr;
          commit();
          P::thread reclaimer([&] { store.reclaim(); });
          P::thread reader(
              [&] { require(oldest->changed("x") == 1, "what its version sees is of version 1"); });
          reclaimer.join();
          reader.join();
        },
        {.weak_memory = true}));
  }
}

// Danger (W4, S3): a commit puts a value into the chain that a snapshot walks along, and counts the chain's length after another thread.
TEST(EngineRaces, AChainThatGrowsIsReadAsAWhole) {
  EXPECT_TRUE(no_race(
      [] {
        const auto owned = std::make_unique<Store<P>>(StoreOptions{.backoff = false, .ticket = false});
        Store<P>& store = *owned;
        store.compare_and_swap(0, WriteSet{}.set("x", 1));
        const auto snapshot = std::make_unique<Snapshot<P>>(store.snapshot());
        store.compare_and_swap(1, WriteSet{}.set("x", 2));
        P::thread writer([&] { store.compare_and_swap(2, WriteSet{}.set("x", 3)); });
        P::thread reclaimer([&] { store.reclaim(); });
        P::thread reader(
            [&] { require(snapshot->read("x") == Value(1), "a snapshot stays at its version"); });
        writer.join();
        reclaimer.join();
        reader.join();
      },
      {.weak_memory = true}));
}

// Danger (N1): a body that moves to a newer version walks down its output, where another thread is just making a path.
TEST(EngineRaces, ABodyThatLooksAtItsOutputsAgainReadsPathsAsAWhole) {
  EXPECT_TRUE(no_race([] {
    const auto owned = std::make_unique<Store<P>>(StoreOptions{.backoff = false, .ticket = false});
    Store<P>& store = *owned;
    auto worker = store.worker();
    const auto process = store.process(
        "p", {.outputs = {"d"}}, [](Context<P>& context) { require(context.version() == 0, "no commit"); });
    P::thread maker([&] { static_cast<void>(store.key("d.x")); });
    P::thread reader([&] {
      require(store.execute(worker, process).committed(), "it ends");
      require(!store.snapshot().read("d"), "nothing was written");
    });
    maker.join();
    reader.join();
  }));
}

// Danger: two commits, one of which waits for the cells of the other, each with plain data of their cells.
TEST(EngineRaces, CommitsHandCellsToOneAnother) {
  for (const bool weak : {false, true}) {
    EXPECT_TRUE(no_race(
        [] {
          const auto owned = std::make_unique<Store<P>>(StoreOptions{.backoff = false, .ticket = false});
          Store<P>& store = *owned;
          store.compare_and_swap(0, WriteSet{}.set("x", "one").set("y", 1));
          const auto snapshot = store.snapshot();
          const auto work = [&](int which) {
            auto worker = store.worker();
            auto process = store.process("p", {.outputs = {"x", "y"}}, [which](Context<P>& context) {
              context.set("x", "text " + std::to_string(which));
              context.set("y", context.read("y")->integer() + 1);
            });
            require(store.execute(worker, process).committed(), "it is committed in the end");
          };
          P::thread a([&] { work(1); });
          P::thread b([&] { work(2); });
          a.join();
          b.join();
          require(store.read("y")->integer() == 3, "no increment is lost");
          require(snapshot.read("y")->integer() == 1, "the snapshot stays where it is");
        },
        {.executions = 300, .weak_memory = weak}));
  }
}

// Danger: the turns of workers with priority share a queue, leases and reservations.
TEST(EngineRaces, TurnsHandTheQueueToOneAnother) {
  for (const Policy policy : {Policy::ticket, Policy::key_queue}) {
    EXPECT_TRUE(no_race(
        [policy] {
          const auto owned = std::make_unique<Store<P>>(
              StoreOptions{.backoff = false, .policy = policy, .ticket_threshold = 1});
          Store<P>& store = *owned;
          const auto work = [&] {
            auto worker = store.worker();
            auto process = store.process("p", {.outputs = {"x"}}, [](Context<P>& context) {
              const auto x = context.read("x");
              context.set("x", (x ? x->integer() : 0) + 1);
            });
            require(store.execute(worker, process).committed(), "it is committed in the end");
          };
          P::thread a(work);
          P::thread b(work);
          P::thread c(work);
          a.join();
          b.join();
          c.join();
          require(store.read("x")->integer() == 3, "no increment is lost");
        },
        {.executions = 300}));
  }
}

}  // namespace
}  // namespace touchstone::harness::explore
