// The real engine under the explorer: what acceptance B4-B11 promise on any schedule, exhausted where that is possible
// and sampled where it is not.

#include <gtest/gtest.h>

#include <set>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"
#include "harness/explore/script.h"

namespace touchstone::harness::explore {
namespace {

using namespace touchstone::engine;
using P = ControlledPlatform;
using std::chrono::milliseconds;

/// Each thread commits once by hand from the same base, with a worker made beforehand; `paths[i]` is what thread i writes.
Body commits_by_hand(std::vector<std::vector<std::string>> paths) {
  return [paths] {
    Store<P> store;
    store.compare_and_swap(0, WriteSet{}.set("a", 0).set("b", 0));
    std::vector<std::unique_ptr<Worker<P>>> workers;
    std::vector<WriteSet> writes(paths.size());
    std::vector<CommitResult> results(paths.size());
    for (std::size_t i = 0; i < paths.size(); ++i) {
      workers.emplace_back(new Worker<P>(store.worker()));
      for (const std::string& path : paths[i]) writes[i].set(path, static_cast<std::int64_t>(i) + 1);
    }
    std::vector<P::thread> threads;
    for (std::size_t i = 0; i < paths.size(); ++i) {
      threads.emplace_back([&, i] { results[i] = store.compare_and_swap(1, writes[i], workers[i].get()); });
    }
    for (P::thread& thread : threads) thread.join();
    std::set<Version> versions;
    std::map<std::string, std::size_t> winners;
    for (std::size_t i = 0; i < paths.size(); ++i) {
      if (const auto* committed = std::get_if<Committed>(&results[i])) {
        versions.insert(committed->version);
        for (const std::string& path : paths[i])
          require(winners.emplace(path, i).second, "two commits of " + path);
      } else {
        require(std::holds_alternative<Conflict>(results[i]), "a commit or a conflict");
      }
    }
    require(!versions.empty() && *versions.begin() == 2 && *versions.rbegin() == store.version(),
            "versions begin at 2");
    require(versions.size() == store.version() - 1, "versions are dense and unique");
    for (const auto& [path, winner] : winners) {
      require(store.read(path)->integer() == static_cast<std::int64_t>(winner) + 1,
              path + " is its winner's");
    }
  };
}

// First committer wins on every schedule: the classes of two committers of two common paths, to the last.
TEST(StoreSchedule, TwoCommittersOfTwoPathsExhausted) {
  const Report report = exhaust(commits_by_hand({{"a", "b"}, {"b", "a"}}));
  EXPECT_TRUE(passes(report));
  RecordProperty("classes", static_cast<int>(report.classes));
}

TEST(StoreSchedule, TwoCommittersOfDifferentPathsBothCommitExhausted) {
  const Report report = exhaust(commits_by_hand({{"a"}, {"b"}}));
  EXPECT_TRUE(passes(report));
  RecordProperty("classes", static_cast<int>(report.classes));
}

TEST(StoreSchedule, ThreeCommittersOfTwoPathsExhausted) {
  const Report report =
      exhaust(commits_by_hand({{"a", "b"}, {"b", "a"}, {"a", "b"}}), {.executions = 300'000});
  EXPECT_TRUE(passes(report));
  RecordProperty("classes", static_cast<int>(report.classes));
}

TEST(StoreSchedule, RootWriteBesideALeafThatIsBeingMadeExhausted) {
  const Body body = [] {
    Store<P> store;
    auto root_worker = store.worker();
    auto leaf_worker = store.worker();
    CommitResult root;
    CommitResult leaf;
    P::thread a([&] { root = store.compare_and_swap(0, WriteSet{}.set("d", 1), &root_worker); });
    P::thread b([&] { leaf = store.compare_and_swap(0, WriteSet{}.set("d.x", 2), &leaf_worker); });
    a.join();
    b.join();
    const bool both = std::holds_alternative<Committed>(root) && std::holds_alternative<Committed>(leaf);
    require(!both, "one of the two sees the other");
    require(store.version() == 1, "exactly one of them commits");
  };
  const Report report = exhaust(body, {.executions = 300'000});
  EXPECT_TRUE(passes(report));
  RecordProperty("classes", static_cast<int>(report.classes));
}

// N1. Danger: a path can be written while its parent does not know of it yet, and whoever looks from above misses what is there.
TEST(StoreSchedule, APathThatIsBeingMadeIsSeenFromAboveOnceItIsWrittenExhausted) {
  const Body body = [] {
    Store<P> store;
    store.key("d");
    P::thread making([&] { store.key("d.x"); });
    P::thread writing([&] {
      require(std::holds_alternative<Committed>(store.compare_and_swap(0, WriteSet{}.set("d.x", 1))),
              "nobody else commits");
      require(store.read("d") == Value(Composite{{"x", 1}}), "what is written below is read above");
    });
    making.join();
    writing.join();
  };
  const Report report = exhaust(body);
  EXPECT_TRUE(passes(report));
  RecordProperty("classes", static_cast<int>(report.classes));
}

// Danger: a snapshot is opened while a commit of two paths installs them one after the other, and shows one of them. The oracle:
// both are written by one commit, and the snapshot's own version says whether it is before or after it.
TEST(StoreSchedule, SnapshotAgainstInstallExhausted) {
  const Body body = [] {
    Store<P> store;
    store.compare_and_swap(0, WriteSet{}.set("a", 1).set("b", 1));
    P::thread writer([&] { store.compare_and_swap(1, WriteSet{}.set("b", 2).set("a", 2)); });
    P::thread reader([&] {
      const auto snapshot = store.snapshot();
      const auto expected = static_cast<std::int64_t>(snapshot.version());
      for (int round = 0; round < 2; ++round) {
        require(snapshot.read("a")->integer() == expected && snapshot.read("b")->integer() == expected,
                "a snapshot is of one version, and stays so");
      }
    });
    writer.join();
    reader.join();
  };
  const Report report = exhaust(body);
  EXPECT_TRUE(passes(report));
  RecordProperty("classes", static_cast<int>(report.classes));
}

// Danger: a value is freed that a snapshot being opened will read (AddressSanitizer's build of this test sees it), or is kept for
// ever because the snapshot that needed it closed unseen. The oracle: the snapshot's value is that of its version, and once all are
// closed only the newest value of the one path is left.
TEST(StoreSchedule, ReclamationAgainstASnapshotExhausted) {
  const Body body = [] {
    Store<P> store;
    store.compare_and_swap(0, WriteSet{}.set("n", 1));
    P::thread writer([&] {
      store.compare_and_swap(1, WriteSet{}.set("n", 2));
      store.reclaim();
    });
    P::thread reader([&] {
      const auto snapshot = store.snapshot();
      const auto expected = static_cast<std::int64_t>(snapshot.version());
      require(snapshot.read("n")->integer() == expected, "the value of its version");
      require(snapshot.read("n")->integer() == expected, "and again");
    });
    writer.join();
    reader.join();
    store.reclaim();
    const Statistics statistics = store.statistics();
    require(statistics.snapshots_open == 0, "no snapshot is open");
    require(statistics.nodes_made - statistics.nodes_freed <= 1, "what nobody needs is freed");
  };
  const Report report = exhaust(body, {.executions = 500'000});
  EXPECT_TRUE(passes(report));
  RecordProperty("classes", static_cast<int>(report.classes));
}

}  // namespace
}  // namespace touchstone::harness::explore
