// Acceptance A1 to A7 and A12: what a commit validates, what it installs, and what it leaves alone. Real threads.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <optional>
#include <string>

#include "engine/store.h"
#include "stress/crowd.h"
#include "stress/observed.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;

constexpr int kWorkers = 10;

template <class Outcome>
bool is(const CommitResult& result) {
  return std::holds_alternative<Outcome>(result);
}

/// Commits until the store is at `version`.
void advance_to(Store<>& store, Version version) {
  while (store.version() < version) {
    store.compare_and_swap(store.version(), WriteSet{}.set("filler", static_cast<std::int64_t>(version)));
  }
}

std::string key_of(int worker) {
  return "key" + std::to_string(worker);
}

/// What ten workers were told in one round.
class Answers {
 public:
  void clear() { results_.assign(kWorkers, Busy{}); }
  void put(int worker, CommitResult result) {
    results_[static_cast<std::size_t>(worker)] = std::move(result);
  }
  const std::vector<CommitResult>& all() const { return results_; }

  template <class Outcome>
  std::vector<Outcome> of() const {
    std::vector<Outcome> chosen;
    for (const auto& result : results_) {
      if (const auto* outcome = std::get_if<Outcome>(&result)) chosen.push_back(*outcome);
    }
    return chosen;
  }

 private:
  std::vector<CommitResult> results_;
};

// Danger: two commits from one base pass the check together, and the later one overwrites what it never saw: a lost update.
// Interleaving: ten threads read version 100 and submit at once; any two of them may be between the check and the install. The
// oracle: in strict mode the base can be left only once, so whatever the interleaving there is one winner, and a loser can only
// have found the version that the winner made. Different keys, so that no key-level check can save a broken global one.
TEST(AcceptanceA1, TenWorkersOneBaseStrictOneCommits) {
  Store<> store({.mode = Mode::strict});
  advance_to(store, 100);
  Answers answers;
  Version base = 0;
  in_rounds(
      kWorkers, 500,
      [&](int) {
        base = store.version();
        answers.clear();
      },
      [&](int round, int i) {
        auto worker = store.worker();
        answers.put(i, store.compare_and_swap(base, WriteSet{}.set(key_of(i), round), &worker));
      },
      [&](int round) {
        if (round == 0) {
          EXPECT_EQ(base, 100u);
        }
        const auto commits = answers.of<Committed>();
        ASSERT_EQ(commits.size(), 1u);
        EXPECT_EQ(commits[0].version, base + 1);
        const auto conflicts = answers.of<Conflict>();
        ASSERT_EQ(conflicts.size(), 9u);
        for (const Conflict& conflict : conflicts) {
          EXPECT_EQ(conflict.expected, base);
          EXPECT_EQ(conflict.found, base + 1);
          EXPECT_EQ(conflict.path, "") << "it is the global version that strict mode compares";
        }
        int written = 0;
        for (int i = 0; i < kWorkers; ++i) written += store.read(key_of(i)) == Value(round) ? 1 : 0;
        EXPECT_EQ(written, 1) << "a loser's write is in the state";
      });
}

// Danger: workers on different keys get in each other's way, or two commits share a version, or a merge drops a neighbour's
// write. Interleaving: the same ten threads, one key each. The oracle: disjoint footprints can never conflict, so all ten must
// commit from one base; dense versions leave them exactly the next ten numbers, and only the first of these can be `fast`.
TEST(AcceptanceA2, TenWorkersTenKeysSmartAllCommit) {
  Store<> store;
  advance_to(store, 100);
  Answers answers;
  Version base = 0;
  in_rounds(
      kWorkers, 500,
      [&](int) {
        base = store.version();
        answers.clear();
      },
      [&](int round, int i) {
        auto worker = store.worker();
        answers.put(i, store.compare_and_swap(base, WriteSet{}.set(key_of(i), round), &worker));
      },
      [&](int round) {
        if (round == 0) {
          EXPECT_EQ(base, 100u);
        }
        const auto commits = answers.of<Committed>();
        ASSERT_EQ(commits.size(), 10u) << "somebody was blocked or conflicted";
        std::vector<Version> versions;
        for (const Committed& commit : commits) {
          versions.push_back(commit.version);
          EXPECT_EQ(commit.path == CommitPath::fast, commit.version == base + 1);
        }
        std::sort(versions.begin(), versions.end());
        for (std::size_t i = 0; i < versions.size(); ++i) EXPECT_EQ(versions[i], base + 1 + i);
        for (int i = 0; i < kWorkers; ++i) EXPECT_EQ(store.read(key_of(i)), Value(round));
      });
  const Statistics statistics = store.statistics();
  EXPECT_EQ(statistics.conflicts, 0u);
  EXPECT_EQ(statistics.busy, 0u);
}

// Danger: the merge of an untouched key is refused (parallelism lost) or the second write from an old base is let through (update
// lost). No threads: the order of the three commits is the whole scenario, and each answer has one right value.
TEST(AcceptanceA3, AMergeKeepsBothAndASecondWriteFromTheSameBaseConflicts) {
  Store<> store;
  advance_to(store, 41);
  store.compare_and_swap(41, WriteSet{}.set("user", "A").set("counter", 0));
  const Version base = store.version();
  ASSERT_TRUE(is<Committed>(store.compare_and_swap(base, WriteSet{}.set("user", "B"))));
  const auto merged = std::get<Committed>(store.compare_and_swap(base, WriteSet{}.set("counter", 1)));
  EXPECT_EQ(merged.path, CommitPath::merged);
  EXPECT_EQ(merged.version, base + 2);
  EXPECT_EQ(store.read("user"), Value("B"));
  EXPECT_EQ(store.read("counter"), Value(1));
  const auto conflict = std::get<Conflict>(store.compare_and_swap(base, WriteSet{}.set("counter", 2)));
  EXPECT_EQ(conflict.path, "counter");
  EXPECT_EQ(conflict.found, base + 2);
  EXPECT_EQ(store.read("counter"), Value(1));
}

// Danger: the fast path pays for key-level validation that an unchanged base makes pointless. The oracle is the store's own count
// of versions that it compared beyond the words it locked: it stays at zero over a thousand fast commits of deep paths, and the
// merges that follow must move it, or the counter itself would be dead.
TEST(AcceptanceA4, TheFastPathComparesNoKeyVersionBeyondTheLockedWord) {
  Store<> store;
  const auto commit = [&](Version expected, const char* path) {
    return std::get<Committed>(store.compare_and_swap(expected, WriteSet{}.set(path, 1))).path;
  };
  for (Version v = 0; v < 1'000; ++v)
    EXPECT_EQ(commit(v, v % 2 == 0 ? "a.b.c.d" : "a.b.e"), CommitPath::fast);
  EXPECT_EQ(store.statistics().versions_compared, 0u);
  EXPECT_EQ(store.statistics().commits_fast, 1'000u);
  EXPECT_EQ(commit(999, "x.y.z"), CommitPath::merged);
  EXPECT_EQ(store.statistics().versions_compared, 2u) << "x and x.y";
}

// Danger: a check that compares only equal names lets a leaf slip into a subtree that was replaced, or a replaced subtree swallow
// a leaf. No threads: from one base, the first commit makes the second one stale in one direction or the other. A sibling in
// between must still merge, else the check is merely too coarse.
TEST(AcceptanceA5, AncestorsAndDescendantsConflictInBothDirections) {
  struct Case {
    const char* first;
    const char* second;
    bool conflict;
  };
  const Case cases[] = {{"domain", "domain.x", true},           {"domain.x", "domain", true},
                        {"domain", "domain.x.deep.leaf", true}, {"domain.x.deep.leaf", "domain", true},
                        {"domain", "domain.unborn", true},      {"domain.unborn", "domain", true},
                        {"domain.x", "domain.y", false},        {"domain.x", "domain.xx", false},
                        {"domain.x.deep", "domain.y", false},   {"domain.x", "domainx", false}};
  for (const bool first_erases : {false, true}) {
    for (const Case& c : cases) {
      Store<> store;
      store.compare_and_swap(
          0,
          WriteSet{}.set("domain", Composite{{"x", Composite{{"deep", Composite{{"leaf", 1}}}}}, {"y", 2}}));
      WriteSet first;
      first_erases ? first.erase(c.first) : first.set(c.first, Composite{{"new", 1}});
      ASSERT_TRUE(is<Committed>(store.compare_and_swap(1, first)));
      const auto second = store.compare_and_swap(1, WriteSet{}.set(c.second, Composite{{"late", 1}}));
      EXPECT_EQ(is<Conflict>(second), c.conflict)
          << c.first << (first_erases ? " erased" : " set") << ", then " << c.second;
      EXPECT_EQ(is<Committed>(second), !c.conflict);
    }
  }
}

// Danger: a version from the future or from before everything passes for a valid base. The oracle: an expected version that the
// store has not returned names no state, so it is a typed error, however far off; 0 is the empty state, a base like any other.
TEST(AcceptanceA6, FutureVersionsAreTypedErrorsAndZeroIsValidatedLikeAnyOther) {
  Store<> store;
  for (const Version future : {Version{1}, Version{1'000'000}, std::numeric_limits<Version>::max()}) {
    const auto rejected = std::get<Rejected>(store.compare_and_swap(future, WriteSet{}.set("a", 1)));
    EXPECT_EQ(rejected.code, ErrorCode::future_version);
    EXPECT_NE(rejected.what.find(std::to_string(future)), std::string::npos) << rejected.what;
    EXPECT_TRUE(is<Rejected>(store.compare_and_swap(future, WriteSet{}))) << "also for an empty write set";
  }
  EXPECT_EQ(store.version(), 0u);
  EXPECT_TRUE(is<Committed>(store.compare_and_swap(0, WriteSet{}.set("a", 1))));
  const auto conflict = std::get<Conflict>(store.compare_and_swap(0, WriteSet{}.set("a", 2)));
  EXPECT_EQ(conflict.expected, 0u);
  EXPECT_EQ(conflict.found, 1u);
  EXPECT_TRUE(is<Committed>(store.compare_and_swap(0, WriteSet{}.set("b", 2))))
      << "b has not changed since 0";
}

// Danger: a key that is deleted and made again with its old value looks unchanged (ABA). The oracle: both were commits of that
// path, so its changed version is above any base from before them, whatever the value; and deleting alone is a change too.
TEST(AcceptanceA6, ADeletedAndARecreatedKeyConflict) {
  Store<> store;
  store.compare_and_swap(0, WriteSet{}.set("a", 1));
  store.compare_and_swap(1, WriteSet{}.erase("a"));
  EXPECT_TRUE(is<Conflict>(store.compare_and_swap(1, WriteSet{}.set("a", 2))));
  store.compare_and_swap(2, WriteSet{}.set("a", 1));
  EXPECT_TRUE(is<Conflict>(store.compare_and_swap(1, WriteSet{}.set("a", 2))));
  EXPECT_TRUE(is<Conflict>(store.compare_and_swap(2, WriteSet{}.set("a", 2))));
  store.compare_and_swap(3, WriteSet{}.erase("never"));
  EXPECT_TRUE(is<Conflict>(store.compare_and_swap(3, WriteSet{}.set("never", 1))))
      << "erasing what is absent is a write";
}

// Danger: a commit of nothing makes a version, conflicts, or waits at the gate. Defined: it is committed at its own base.
TEST(AcceptanceA6, AnEmptyWriteSetCommitsAtItsBaseAndPassesTheGate) {
  Store<> store;
  advance_to(store, 3);
  auto holder = store.worker({.failures = 4});
  ASSERT_TRUE(is<Conflict>(store.compare_and_swap(0, WriteSet{}.set("filler", 0), &holder)));
  ASSERT_EQ(holder.ticket(), TicketStatus::holding);
  const auto empty = std::get<Committed>(store.compare_and_swap(1, WriteSet{}));
  EXPECT_EQ(empty.version, 1u);
  EXPECT_EQ(empty.path, CommitPath::empty);
  EXPECT_EQ(store.version(), 3u);
}

std::vector<std::string> fifty_keys() {
  std::vector<std::string> keys;
  for (int i = 0; i < 50; ++i) keys.push_back(key_of(i));
  return keys;
}

// Danger: a commit that fails on its last key has already installed the others, bumped their versions, or told the world. No
// threads: fifty keys are written at once, and only the last of them is at fault, in each way that a commit can be refused. The
// oracle: everything that can be observed before is observed after.
TEST(AcceptanceA7, ARejectedCommitLeavesEverythingAsItWas) {
  std::size_t effects = 0;
  Store<> store({.sink = [&](const Effect&) { ++effects; }});
  WriteSet all;
  for (int i = 0; i < 50; ++i) all.set(key_of(i), i);
  store.compare_and_swap(0, all);
  store.compare_and_swap(1, WriteSet{}.set(key_of(49), "newer"));
  auto worker = store.worker();
  const auto keys = fifty_keys();
  const Observed before = observe(store, keys, effects);
  const auto refused = [&](const CommitResult& result) {
    return !is<Committed>(result) && observe(store, keys, effects) == before;
  };

  WriteSet fresh;
  for (int i = 0; i < 50; ++i) fresh.set(key_of(i), "lost");
  EXPECT_TRUE(refused(store.compare_and_swap(1, fresh, &worker))) << "conflict on the last key";
  EXPECT_TRUE(refused(store.compare_and_swap(3, fresh, &worker))) << "future version";
  WriteSet malformed = fresh, below_scalar = fresh;
  EXPECT_TRUE(refused(store.compare_and_swap(2, malformed.set("key49..x", 1), &worker))) << "bad path";
  EXPECT_TRUE(refused(store.compare_and_swap(2, below_scalar.set("key49.below", 1), &worker)))
      << "below a scalar of the set";
  WriteSet others;
  for (int i = 0; i < 49; ++i) others.erase(key_of(i));
  EXPECT_TRUE(refused(store.compare_and_swap(2, others.set("key49.below", 1), &worker)))
      << "below a scalar of the store";

  auto holder = store.worker({.failures = 4});
  ASSERT_TRUE(is<Conflict>(store.compare_and_swap(1, WriteSet{}.set(key_of(49), 0), &holder)));
  EXPECT_TRUE(refused(store.compare_and_swap(2, fresh, &worker))) << "busy";
  holder.give_back();
  auto doomed = store.process("doomed", {.outputs = {key_of(49)}}, [&](Context<NativePlatform>& ctx) {
    ctx.emit("event", 1);
    ctx.set("key49.below", 1);
  });
  EXPECT_TRUE(std::holds_alternative<Rejected>(store.execute(worker, doomed).outcome));
  EXPECT_EQ(observe(store, keys, effects), before) << "a refused execute()";
}

// Danger: a snapshot sees half of a commit of many keys. Interleaving: two writers set all of forty keys to one number while
// readers open snapshots in the middle of their installs. The oracle: the keys are only ever written together, so a snapshot in
// which two of them differ has seen a part of a commit; and its number is the version that wrote it.
TEST(AcceptanceA7, ASnapshotSeesAllOfACommitOrNothing) {
  constexpr int kKeys = 40, kCommits = 400;
  Store<> store;
  const auto write_all = [&](Version expected) {
    WriteSet all;
    for (int i = 0; i < kKeys; ++i) all.set("row." + key_of(i), static_cast<std::int64_t>(expected) + 1);
    return store.compare_and_swap(expected, all);
  };
  write_all(0);
  std::atomic<int> torn{0}, looks{0};
  std::atomic<int> writing{2};
  together(4, [&](int i) {
    if (i < 2) {
      for (int done = 0; done < kCommits;) done += is<Committed>(write_all(store.version())) ? 1 : 0;
      writing.fetch_sub(1);
      return;
    }
    while (writing.load() != 0) {
      const auto snapshot = store.snapshot();
      for (int k = 0; k < kKeys; ++k) {
        if (snapshot.read("row." + key_of(k)) != Value(static_cast<std::int64_t>(snapshot.version())))
          torn.fetch_add(1);
      }
      looks.fetch_add(1);
    }
  });
  EXPECT_EQ(torn.load(), 0);
  EXPECT_GT(looks.load(), 0);
  EXPECT_EQ(store.version(), 2u * kCommits + 1);
}

// Danger: a root write and a leaf that is just being made both look before either has locked, and both commit: the leaf survives
// in a subtree that was replaced, or is gone although nobody saw it. Interleaving: both threads submit from one base at once; in
// every round the leaf is new, so it is interned while the root walks its subtree. The oracle: from one base one of the two
// must see the other, so exactly one commits, and the state is the winner's alone.
TEST(AcceptanceA12, ARootWriteAndANewLeafNeverBothCommit) {
  std::optional<Store<>> store;
  Version base = 0;
  CommitResult root = Busy{}, leaf = Busy{};
  const auto path_of = [](int round) {
    return "domain.group" + std::to_string(round % 7) + ".leaf" + std::to_string(round);
  };
  in_rounds(
      2, 2'000,
      [&](int round) {
        if (round % 100 == 0) store.emplace();  // a root write locks every cell that was ever below it
        base = store->version();
      },
      [&](int round, int i) {
        if (i == 0) {
          root = store->compare_and_swap(base, WriteSet{}.set("domain", Composite{{"seed", round}}));
        } else {
          leaf = store->compare_and_swap(base, WriteSet{}.set(path_of(round), round));
        }
      },
      [&](int round) {
        EXPECT_NE(is<Committed>(root), is<Committed>(leaf)) << "round " << round;
        EXPECT_TRUE(is<Conflict>(root) || is<Conflict>(leaf));
        EXPECT_EQ(store->read(path_of(round)).has_value(), is<Committed>(leaf));
        EXPECT_EQ(store->version(), base + 1);
      });
}

}  // namespace
}  // namespace touchstone::stress
