// What an execution waits for, on every schedule: a stop is not lost, and the wait for commits under way is told like any other.

#include <gtest/gtest.h>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"
#include "harness/explore/script.h"

namespace touchstone::harness::explore {
namespace {

using namespace touchstone::engine;
using P = ControlledPlatform;
using std::chrono::hours;
using std::chrono::milliseconds;

// Danger: the request is made known before it can be seen, so who sleeps looks once more, finds nothing and sleeps on. The oracle is
// virtual time: nobody else lets it pass.
TEST(LimitsSchedule, AStopEndsABackOffAtOnceOnEverySchedule) {
  EXPECT_TRUE(passes(exhaust([] {
    Store<P> store({.backoff_base = hours(1), .ticket = false});
    store.compare_and_swap(0, WriteSet{}.set("n", 1));
    StopFlag<P> stop;
    const Time begin = P::now();
    auto worker = store.worker();
    P::thread stopper([&] { stop.request(); });
    const auto process = store.process("p", {.outputs = {"n"}}, [&](Context<P>& context) {
      P::thread([&] { store.compare_and_swap(store.version(), WriteSet{}.set("n", 2)); }).join();
      context.set("n", 3);
    });
    const ExecuteResult result = store.execute(worker, process, {.stop = &stop});
    stopper.join();
    require(std::holds_alternative<Cancelled>(result.outcome), "it is stopped");
    require(P::now() == begin, "nobody sleeps out an hour");
  })));
}

// E2: a turn is waited for until the commits that were admitted before it have finished, and all of that is a wait at the gate.
TEST(LimitsSchedule, TheWaitForCommitsUnderWayIsPartOfTheWaitAtTheGate) {
  const Body body = [] {
    Store<P> store({.backoff = false, .ticket_threshold = 1});
    store.compare_and_swap(0, WriteSet{}.set("n", 1));
    ExecuteResult result;
    P::thread slow = P::thread::named("slow", [&] { store.compare_and_swap(1, WriteSet{}.set("m", 2)); });
    P::thread rival = P::thread::named("rival", [&] { store.compare_and_swap(1, WriteSet{}.set("n", 2)); });
    P::thread holder = P::thread::named("holder", [&] {
      auto worker = store.worker();
      const auto process =
          store.process("p", {.outputs = {"n"}}, [](Context<P>& context) { context.set("n", 3); });
      result = store.execute(worker, process);
    });
    slow.join();
    rival.join();
    holder.join();
    require(result.committed() && result.effort.attempts == 2, "in its turn");
    require(result.effort.waited == milliseconds(5), "for the slow one");
    require(store.statistics().gate_us == 5'000, "to the microsecond");
  };
  Script script;
  script.run("slow").until("commit:begin").run("holder").until("execute:body_done");
  script.run("rival").to_end().run("holder").until_blocked().advance(milliseconds(5));
  script.run("slow").to_end().run("holder").to_end();
  EXPECT_TRUE(passes(scripted(body, script)));
}

}  // namespace
}  // namespace touchstone::harness::explore
