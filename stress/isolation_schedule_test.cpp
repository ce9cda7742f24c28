// What a body sees, on schedules that the explorer chooses: real threads are too coarse to stop a read in its middle.

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;
using namespace touchstone::harness::explore;
using P = ControlledPlatform;

// Danger: a body sees half of somebody's commit. Its view is pinned only at its first read outside its outputs, and here the path
// of that read is just being interned: looked up before the commit, pinned after it, `x` would be absent at a version at which
// `y` of the same commit is there. The oracle: both keys are written by one commit only, so any one version has both or none.
TEST(Isolation, ABodySeesAllOfACommitOrNothingAlsoOfPathsThatAreJustBeingMade) {
  const Body body = [] {
    Store<P> store({.backoff = false, .ticket = false});
    P::thread rival =
        P::thread::named("rival", [&] { store.compare_and_swap(0, WriteSet{}.set("x", 1).set("y", 1)); });
    P::thread reader = P::thread::named("reader", [&] {
      auto worker = store.worker();
      auto process = store.process("look", {.inputs = {}, .outputs = {"seen"}}, [](Context<P>& ctx) {
        const bool x = ctx.read("x").has_value(), y = ctx.read("y").has_value();
        require(x == y,
                x ? "y of a commit is missing beside its x" : "x of a commit is missing beside its y");
        ctx.set("seen", x);
      });
      require(store.execute(worker, process).committed(), "nobody else writes what it writes");
    });
    rival.join();
    reader.join();
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 3'000})));
}

// Danger: a reader sees the version of a commit before its value: the store that publishes the one no longer carries the other. Only
// a machine that reorders shows it, so the explorer lets loads see stale values wherever the memory orders as written allow it. The
// oracle: x is written once, so it is absent or 7, and it is 7 wherever its version says that it was written.
TEST(Isolation, APublishedVersionBringsItsValueAlsoUnderWeakMemory) {
  const Body body = [] {
    Store<P> store({.backoff = false, .ticket = false});
    const auto x = store.key("x");
    P::thread writer = P::thread::named("writer", [&] { store.compare_and_swap(0, WriteSet{}.set("x", 7)); });
    P::thread reader = P::thread::named("reader", [&] {
      const auto snapshot = store.snapshot();
      const auto value = snapshot.read(x);
      require(value.has_value() == (snapshot.version() == 1),
              "a value and no version, or a version and no value");
      require(!value || value->integer() == 7, "the version came without its value");
    });
    writer.join();
    reader.join();
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 5'000, .weak_memory = true})));
}

}  // namespace
}  // namespace touchstone::stress
