// The queue per key under the explorer: what a turn reserves, of whom it keeps out whom, and that the bound holds where footprints overlap
// in part. (What it has in common with the ticket is said in stress/scheduled_*.cpp, for both.) Workers begin one conflict short of a turn.

#include <gtest/gtest.h>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"

namespace touchstone::harness::explore {
namespace {

using namespace touchstone::engine;
using P = ControlledPlatform;
using std::chrono::milliseconds;
using Paths = std::vector<std::string>;

StoreOptions by_key() {
  return {.backoff = false, .backoff_base = Duration(0), .policy = Policy::key_queue};
}

/// A store at version 1: a, b and tree.x.deep hold 0.
struct Scene {
  explicit Scene(const StoreOptions& options = by_key()) : store(options) {
    store.compare_and_swap(
        0, WriteSet{}.set("a", 0).set("b", 0).set("tree", Composite{{"x", Composite{{"deep", 0}}}}));
  }

  CommitResult replace(const std::string& path, Version expected, Worker<P>* worker = nullptr) {
    return store.compare_and_swap(expected, WriteSet{}.set(path, leaf(path)), worker);
  }

  /// One execute() of a worker that may conflict once before its turn; its body adds one to the leaf of each path.
  void add(const Paths& paths, int times = 1) {
    for (int round = 0; round < times; ++round) {
      auto worker = store.worker({.failures = 4});
      const auto process =
          store.process("add", {.inputs = paths, .outputs = paths}, [&](Context<P>& context) {
            for (const std::string& path : paths) {
              const std::string at = path == "tree" || path == "tree.x" ? "tree.x.deep" : path;
              context.set(at, context.read(at)->integer() + 1);
            }
          });
      const ExecuteResult result = store.execute(worker, process);
      const Effort& effort = result.effort;
      require(result.committed(), "every execute() commits");
      require(effort.conflicts <= 1 + effort.expiries, std::to_string(effort.conflicts) + " conflicts");
      require(effort.attempts <= 2 + 2 * effort.expiries, std::to_string(effort.attempts) + " body runs");
      grants = std::max(grants, store.statistics().grants);
    }
  }

  void run(const std::vector<Paths>& workers) {
    std::vector<P::thread> threads;
    for (const Paths& paths : workers) threads.emplace_back([this, &paths] { add(paths); });
    for (P::thread& thread : threads) thread.join();
    std::map<std::string, std::int64_t> added;
    for (const Paths& paths : workers) {
      for (const std::string& path : paths) ++added[path.starts_with("tree") ? "tree.x.deep" : path];
    }
    for (const auto& [path, times] : added)
      require(store.read(path)->integer() == times, "an addition to " + path + " is lost");
  }

  static Value leaf(const std::string& path) {
    if (path == "tree") return Composite{{"x", Composite{{"deep", 7}}}};
    return path == "tree.x" ? Value(Composite{{"deep", 7}}) : Value(7);
  }

  Store<P> store;
  std::uint64_t grants = 0;
};

// Danger: a commit of something above or below passes a turn on `mine`: between its look at the reservations and the holder's there is
// nothing that both see. The rival commits at any moment while the holder earns its turn. The oracle: the holder's next commit, from a
// version that it reads in its turn, is Committed.
Body holder_and_rivals(const char* mine, const Paths& rivals) {
  return [mine, rivals] {
    Scene scene;
    P::thread holder([&] {
      auto worker = scene.store.worker({.failures = 4});
      const CommitResult failed = scene.replace(mine, 0, &worker);
      require(std::holds_alternative<Conflict>(failed) && worker.ticket() == TicketStatus::holding,
              "its fifth conflict");
      require(std::holds_alternative<Committed>(scene.replace(mine, scene.store.version(), &worker)),
              "the holder conflicted");
    });
    std::vector<P::thread> threads;
    for (const std::string& path : rivals) {
      threads.emplace_back([&scene, &path] {  // an erase names nothing below
        scene.store.compare_and_swap(scene.store.version(), WriteSet{}.erase(path));
      });
    }
    for (P::thread& thread : threads) thread.join();
    holder.join();
  };
}

TEST(KeyQueueSchedule, NobodyPassesATurnByWayOfTheTreeOnEverySchedule) {
  for (const char* rival : {"tree", "tree.x", "tree.x.deep", "tree.x.new"})
    EXPECT_TRUE(passes(exhaust(holder_and_rivals("tree.x", {rival})))) << rival;
  EXPECT_TRUE(passes(exhaust(holder_and_rivals("tree", {"tree.x.deep"}))));
}

TEST(KeyQueueSchedule, NobodyPassesATurnByWayOfTheTreeOnAnySampledSchedule) {
  EXPECT_TRUE(passes(
      portfolio(holder_and_rivals("tree.x", {"tree", "tree.x.deep", "tree.x.new"}), {.executions = 2'000})));
}

// Danger: a holder waits for somebody who wants something else, or that one for the holder. Virtual time moves only when nobody can run.
TEST(KeyQueueSchedule, WhoWantsSomethingElseNeverWaitsOnEverySchedule) {
  const Body body = [] {
    Scene scene;
    P::thread holder([&] {
      auto worker = scene.store.worker({.failures = 4});
      scene.replace("a", 0, &worker);
      P::sleep_until(P::now() + milliseconds(1));
      require(std::holds_alternative<Committed>(scene.replace("a", scene.store.version(), &worker)),
              "the holder commits");
    });
    P::thread other([&] {
      const Time begin = P::now();
      for (int i = 0; i < 2; ++i)
        require(std::holds_alternative<Committed>(scene.replace("b", scene.store.version())),
                "nobody else wants it");
      require(P::now() == begin, "it had to wait");
    });
    holder.join(), other.join();
  };
  EXPECT_TRUE(passes(exhaust(body)));
}

struct Case {
  const char* name;
  std::vector<Paths> workers;
  std::uint64_t grants;  ///< the most in any execution
};

class KeyQueuePath : public testing::TestWithParam<Case> {};

// Danger: of two turns that overlap in part both go on at once, or one of them reserves less than it wants; then one conflicts in its turn,
// which shows in its number of conflicts. Or each waits for the other, which is a deadlock to the explorer.
TEST_P(KeyQueuePath, KeepsTheBoundOnEverySchedule) {
  std::uint64_t grants = 0;
  const Body body = [&] {
    Scene scene;
    scene.run(GetParam().workers);
    grants = std::max(grants, scene.grants);
  };
  EXPECT_TRUE(passes(exhaust(body, {.executions = 400'000})));
  EXPECT_EQ(grants, GetParam().grants);
}

INSTANTIATE_TEST_SUITE_P(Exhausted, KeyQueuePath,
                         testing::Values(Case{"SamePath", {{"a"}, {"a"}}, 1},
                                         Case{"Apart", {{"a"}, {"b"}}, 0},
                                         Case{"InPart", {{"a", "b"}, {"b"}}, 1},
                                         Case{"RootAndLeaf", {{"tree"}, {"tree.x"}}, 1}),
                         [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

TEST(KeyQueueSchedule, FootprintsThatOverlapInPartKeepTheBoundOnAnySampledSchedule) {
  const Body body = [] { Scene().run({{"a", "b"}, {"b"}, {"a"}, {"a", "b"}}); };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 2'000})));
}

TEST(KeyQueueSchedule, TurnsAboveAndBelowOneAnotherKeepTheBoundOnAnySampledSchedule) {
  const Body body = [] { Scene().run({{"tree"}, {"tree.x"}, {"tree.x.deep"}, {"tree"}}); };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 2'000})));
}

// Danger: who ends its turn takes the next one's reservation away with its own. Somebody who has earned nothing would then pass.
TEST(KeyQueueSchedule, AnEndedTurnLeavesItsSuccessorsReservationOnAnySampledSchedule) {
  const Body body = [] {
    Scene scene;
    auto first = scene.store.worker({.failures = 4}), second = scene.store.worker({.failures = 4});
    scene.replace("a", 0, &first);
    P::thread successor([&] {
      const auto process =
          scene.store.process("set", {.outputs = {"a"}}, [](Context<P>& context) { context.set("a", 1); });
      scene.replace("a", 0, &second);
      require(scene.store.execute(second, process).effort.conflicts <= 1, "it conflicted in its turn");
    });
    P::thread holder([&] { scene.replace("a", scene.store.version(), &first); });
    P::thread rival([&] {
      for (int i = 0; i < 3; ++i) scene.replace("a", scene.store.version());
    });
    successor.join(), holder.join(), rival.join();
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 2'000})));
}

TEST(KeyQueueSchedule, KeepsItsPromisesWhenHoldersAreStalledAnywhere) {
  const Body body = [] { Scene().run({{"a"}, {"a", "b"}, {"b"}}); };
  EXPECT_TRUE(
      passes(portfolio(body, {.executions = 2'000, .faults = {{.stall = milliseconds(60), .times = 2}}})));
}

// Danger: a holder that never comes back blocks its path for ever, or others' paths at all.
TEST(KeyQueueSchedule, ADeadHolderBlocksItsPathForItsLeaseAndNoOtherOnAnySampledSchedule) {
  const Body body = [] {
    Scene scene;
    auto dead = scene.store.worker({.failures = 4});
    scene.replace("a", 0, &dead);
    require(dead.ticket() == TicketStatus::holding, "its fifth conflict");
    const Time begin = P::now();
    P::thread other([&] {
      require(std::holds_alternative<Committed>(scene.replace("b", scene.store.version())),
              "nobody else wants it");
      require(P::now() == begin, "it had to wait");
    });
    P::thread waiter([&] {
      scene.add({"a"});
      require(P::now() - begin >= milliseconds(50), "it did not wait for the lease to end");
    });
    other.join(), waiter.join();
    require(dead.ticket() == TicketStatus::none, "its turn has run out");
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 500})));
}

}  // namespace
}  // namespace touchstone::harness::explore
