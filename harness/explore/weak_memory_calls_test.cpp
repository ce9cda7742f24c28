// What a finished call has done is there for everybody, also where loads may see stale values: the calls of several stores, each of which
// takes effect at one moment, have one order together.

#include <gtest/gtest.h>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"

namespace touchstone::harness::explore {
namespace {

using namespace touchstone::engine;
using P = ControlledPlatform;

testing::AssertionResult holds(const Body& body) {
  return passes(portfolio(body, {.executions = 5'000, .weak_memory = true}));
}

// Danger: a version is read from before the calls that this thread finished. Each commits to one store and asks the other one for its
// version: if neither sees the other's commit, the four calls have no order.
TEST(WeakMemoryCalls, AVersionIsTheCurrentOne) {
  EXPECT_TRUE(holds([] {
    Store<P> one({.ticket = false}), other({.ticket = false});
    Version first = 0, second = 0;
    P::thread a([&] {
      one.compare_and_swap(0, WriteSet{}.set("x", 1));
      first = other.version();
    });
    P::thread b([&] {
      other.compare_and_swap(0, WriteSet{}.set("x", 1));
      second = one.version();
    });
    a.join();
    b.join();
    require(first == 1 || second == 1, "one of them sees the other's commit");
  }));
}

// Danger: a turn that is over still keeps somebody out. Who finishes it asks another store for its version; who commits there first is
// behind it, if that version does not show it, and waits for nobody. With the queue per key another turn goes on, for another path.
TEST(WeakMemoryCalls, ATurnThatIsOverIsWaitedForByNobody) {
  for (const Policy policy : {Policy::ticket, Policy::key_queue}) {
    EXPECT_TRUE(holds([policy] {
      Store<P> store({.backoff = false, .policy = policy, .ticket_threshold = 1});
      Store<P> elsewhere({.ticket = false});
      store.compare_and_swap(0, WriteSet{}.set("x", 1).set("y", 1));
      auto holder = store.worker(), another = store.worker(), worker = store.worker();
      store.compare_and_swap(0, WriteSet{}.set("x", 2), &holder);  // a conflict, which earns the turn
      require(holder.ticket() == TicketStatus::holding, "nobody is before it");
      if (policy == Policy::key_queue) store.compare_and_swap(0, WriteSet{}.set("y", 2), &another);
      const auto process =
          store.process("p", {.outputs = {"x"}}, [](Context<P>& context) { context.set("x", 3); });
      Version seen = 0;
      ExecuteResult result;
      P::thread a([&] {
        holder.give_back();
        seen = elsewhere.version();
      });
      P::thread b([&] {
        elsewhere.compare_and_swap(0, WriteSet{}.set("x", 1));
        result = store.execute(worker, process);
      });
      a.join();
      b.join();
      require(result.committed(), "it is committed in the end");
      require(seen == 1 || result.effort.closings_waited == 0, "the turn was over before");
    })) << static_cast<int>(policy);
  }
}

// Danger: a worker takes the turn that it had for its own although somebody else has ended it, and is told that it holds. As above: who
// finds the lease run out, ends it and commits, asks another store for its version.
TEST(WeakMemoryCalls, ATurnThatWasEndedIsNotHeld) {
  EXPECT_TRUE(holds([] {
    Store<P> store({.backoff = false, .ticket_threshold = 1}), elsewhere({.ticket = false});
    store.compare_and_swap(0, WriteSet{}.set("x", 1));
    auto holder = store.worker();
    store.compare_and_swap(0, WriteSet{}.set("x", 2), &holder);  // a conflict, which earns the turn
    require(holder.ticket() == TicketStatus::holding, "nobody is before it");
    P::sleep_until(P::now() + std::chrono::hours(1));
    Version seen = 0;
    TicketStatus told{}, had{};
    P::thread a([&] {
      store.compare_and_swap(1, WriteSet{}.set("x", 3));
      seen = elsewhere.version();
    });
    P::thread b([&] {
      elsewhere.compare_and_swap(0, WriteSet{}.set("x", 1));
      told = store.await_turn(holder);
      had = holder.ticket();
    });
    a.join();
    b.join();
    require(told == TicketStatus::holding, "in its turn, or in another one");
    require(seen == 1 || had == TicketStatus::holding, "the one before was over");
  }));
}

// Danger: a snapshot that is open is not counted, or one that is closed still makes commits keep what they replace (reclaim.h: while none
// is open nothing is kept). Who opens or closes it asks another store for its version, as above.
TEST(WeakMemoryCalls, ASnapshotCountsFromItsOpeningToItsEnd) {
  for (const bool opens : {true, false}) {
    EXPECT_TRUE(holds([opens] {
      Store<P> store({.backoff = false, .ticket = false}), elsewhere({.ticket = false});
      store.compare_and_swap(0, WriteSet{}.set("x", 1));
      auto worker = store.worker();
      std::optional<Snapshot<P>> snapshot;
      if (!opens) snapshot.emplace(store.snapshot());
      Version seen = 0;
      std::uint64_t counted = opens ? 0 : 1;
      P::thread a([&] {
        if (opens) {
          snapshot.emplace(store.snapshot());
        } else {
          snapshot.reset();
        }
        seen = elsewhere.version();
      });
      P::thread b([&] {
        elsewhere.compare_and_swap(0, WriteSet{}.set("x", 1));
        if (opens) {
          counted = store.statistics().snapshots_open;
        } else {
          store.compare_and_swap(1, WriteSet{}.set("x", 2), &worker);
        }
      });
      a.join();
      b.join();
      require(seen == 1 || counted == 1, "it was opened before");
      require(seen == 1 || opens || store.statistics().nodes_made == 0, "it was closed before");
    })) << opens;
  }
}

// Danger: statistics see a snapshot of a version that their own look at the clock does not show yet: its age is negative then.
TEST(WeakMemoryCalls, NoSnapshotIsOfAVersionToCome) {
  EXPECT_TRUE(holds([] {
    Store<P> store({.backoff = false, .ticket = false});
    store.compare_and_swap(0, WriteSet{}.set("x", 1));
    std::optional<Snapshot<P>> snapshot;
    P::thread writer([&] { store.compare_and_swap(1, WriteSet{}.set("x", 2)); });
    P::thread reader([&] { snapshot.emplace(store.snapshot()); });
    P::thread observer([&] {
      const Statistics statistics = store.statistics();
      require(statistics.oldest_snapshot_age <= 1, "there were two commits, and it saw the first");
    });
    writer.join();
    reader.join();
    observer.join();
  }));
}

// Danger: a stop that was requested before the call stops it not. As above.
TEST(WeakMemoryCalls, AStopThatWasRequestedBeforeStopsIt) {
  EXPECT_TRUE(holds([] {
    Store<P> store({.ticket = false}), elsewhere({.ticket = false});
    StopFlag<P> stop;
    auto worker = store.worker();
    const auto process =
        store.process("p", {.outputs = {"x"}}, [](Context<P>& context) { context.set("x", 1); });
    Version seen = 0;
    ExecuteResult result;
    P::thread a([&] {
      stop.request();
      seen = elsewhere.version();
    });
    P::thread b([&] {
      elsewhere.compare_and_swap(0, WriteSet{}.set("x", 1));
      result = store.execute(worker, process, {.stop = &stop});
    });
    a.join();
    b.join();
    require(seen == 1 || std::holds_alternative<Cancelled>(result.outcome), "it was stopped before");
  }));
}

// Danger: who is stopped does not see what led to it. The oracle is the checker of races on plain data.
TEST(WeakMemoryCalls, WhoIsStoppedFindsWhatWasDoneBeforeTheRequest) {
  EXPECT_TRUE(holds([] {
    Store<P> store({.ticket = false});
    StopFlag<P> stop;
    P::cell<int> reason(0);
    auto worker = store.worker();
    const auto process =
        store.process("p", {.outputs = {"x"}}, [](Context<P>& context) { context.set("x", 1); });
    P::thread stopper([&] {
      reason.write(7);
      stop.request();
    });
    P::thread stopped([&] {
      const ExecuteResult result = store.execute(worker, process, {.stop = &stop});
      if (std::holds_alternative<Cancelled>(result.outcome)) require(reason.read() == 7, "it was written");
    });
    stopper.join();
    stopped.join();
  }));
}

}  // namespace
}  // namespace touchstone::harness::explore
