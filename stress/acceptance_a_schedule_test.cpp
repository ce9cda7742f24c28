// Acceptance A1 to A10 on sampled schedules: what one commit does to another, when the scheduler may stop either anywhere. The bodies
// are as small as the promise allows, so that a broken engine is found after few schedules (docs/mutants.md says how few).

#include <string>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;
using namespace touchstone::harness::explore;
using P = ControlledPlatform;

template <class Outcome>
bool is(const CommitResult& result) {
  return std::holds_alternative<Outcome>(result);
}

std::int64_t number(const std::optional<Value>& value) {
  return value ? value->integer() : 0;
}

/// Two commits from the same base, each on a thread of its own.
struct Pair {
  Pair(Store<P>& store, const WriteSet& first, const WriteSet& second) {
    const Version base = store.version();
    P::thread a = P::thread::named("first", [&] { one = store.compare_and_swap(base, first); });
    P::thread b = P::thread::named("second", [&] { other = store.compare_and_swap(base, second); });
    a.join(), b.join();
  }

  bool exactly_one() const {
    return (is<Committed>(one) && is<Conflict>(other)) || (is<Conflict>(one) && is<Committed>(other));
  }

  CommitResult one;
  CommitResult other;
};

// Danger: in strict mode two commits from one base both go through, because they write different keys.
TEST(AcceptanceA1, StrictModeLetsOneOfABaseCommitOnAnySampledSchedule) {
  const Body body = [] {
    Store<P> store({.mode = Mode::strict});
    const Pair pair(store, WriteSet{}.set("a", 1), WriteSet{}.set("b", 1));
    require(pair.exactly_one() && store.version() == 1, "one commits and the other conflicts");
  };
  EXPECT_TRUE(passes(portfolio(body)));
}

// Danger: a conflict is overlooked, and an addition is lost: because the set has one key, because the key changed in the very next
// version, because its version was compared before its lock, because the version was 0, or because an earlier merge stamped it too
// low. A third thread moves the global version on, so that additions are merges too. The oracle counts, and versions are dense.
TEST(AcceptanceA3, MergesOfOneKeyLoseNoUpdateOnAnySampledSchedule) {
  const Body body = [] {
    Store<P> store;
    int commits = 0;
    const auto add = [&] {
      for (int failures = 0; failures < 3; ++failures) {
        const auto now = store.snapshot();
        const auto result =
            store.compare_and_swap(now.version(), WriteSet{}.set("n", number(now.read("n")) + 1));
        if (is<Committed>(result)) {
          ++commits;
          require(std::get<Committed>(result).version > now.version(), "a version is above its base");
          return;
        }
      }
    };
    P::thread a(add), b(add);
    P::thread others([&] {
      for (const char* path : {"x", "y"})
        require(is<Committed>(store.compare_and_swap(0, WriteSet{}.set(path, 1))), "nobody else writes it");
    });
    a.join(), b.join(), others.join();
    require(commits == 2 && number(store.read("n")) == 2, "an addition was lost");
    require(store.version() == 4, "four commits made version " + std::to_string(store.version()));
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 3'000})));
}

// Danger: a leaf made below a path that was replaced meanwhile survives, or a replacement overlooks the leaf made below it. The leaf is
// new: of one that was there before, the replacement would have stamped the key itself.
TEST(AcceptanceA5, AReplacedAncestorAndANewLeafConflictOnAnySampledSchedule) {
  const Body body = [] {
    Store<P> store;
    store.compare_and_swap(0, WriteSet{}.set("d.y", 0));
    const Pair pair(store, WriteSet{}.set("d", Composite{{"y", 1}}), WriteSet{}.set("d.x", 2));
    require(pair.exactly_one() && store.version() == 2, "one commits and the other conflicts");
    const bool replaced = is<Committed>(pair.one);
    require(store.read("d.x").has_value() == !replaced, "d is as its one writer left it");
  };
  EXPECT_TRUE(passes(portfolio(body)));
}

// Danger: a version that the store has not made yet validates anything.
TEST(AcceptanceA6, AFutureVersionIsRefusedOnAnySampledSchedule) {
  const Body body = [] {
    Store<P> store;
    CommitResult result;
    Version future = 0;
    P::thread early([&] {
      future = store.version() + 1;
      result = store.compare_and_swap(future, WriteSet{}.set("a", 1));
    });
    P::thread other([&] { store.compare_and_swap(0, WriteSet{}.set("b", 1)); });
    early.join(), other.join();
    const bool in_time = is<Committed>(result) && std::get<Committed>(result).version == future + 1;
    const auto* refused = std::get_if<Rejected>(&result);
    require(in_time || (refused != nullptr && refused->code == ErrorCode::future_version),
            "it is refused, unless the other one has made that version meanwhile");
  };
  EXPECT_TRUE(passes(portfolio(body)));
}

// Danger: a commit from the empty store is taken for one that cannot conflict.
TEST(AcceptanceA6, VersionZeroIsValidatedOnAnySampledSchedule) {
  const Body body = [] {
    Store<P> store;
    const Pair pair(store, WriteSet{}.set("n", 1), WriteSet{}.set("n", 2));
    require(pair.exactly_one() && store.version() == 1, "one commits and the other conflicts");
  };
  EXPECT_TRUE(passes(portfolio(body)));
}

// Danger: an erase is no change, so that a write from before it brings a key back that somebody has removed.
TEST(AcceptanceA6, AnEraseAndAWriteOfOneKeyConflictOnAnySampledSchedule) {
  const Body body = [] {
    Store<P> store;
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    const Pair pair(store, WriteSet{}.erase("n"), WriteSet{}.set("n", 1));
    require(pair.exactly_one() && store.version() == 2, "one commits and the other conflicts");
    require(store.read("n").has_value() == is<Committed>(pair.other), "n is as its one writer left it");
  };
  EXPECT_TRUE(passes(portfolio(body)));
}

// Danger: a set of keys is validated or installed in part. Two sets meet in the one key that comes last in one of them and first in
// the other. The oracle: one of them is there as a whole and of the other one nothing.
TEST(AcceptanceA7, ASetOfKeysIsThereAsAWholeOrNotAtAllOnAnySampledSchedule) {
  const Body body = [] {
    Store<P> store;
    store.compare_and_swap(0, WriteSet{}.set("a", 0).set("b", 0).set("c", 0));
    const Pair pair(store, WriteSet{}.set("a", 1).set("b", 1), WriteSet{}.set("b", 2).set("c", 2));
    require(pair.exactly_one() && store.version() == 2, "one commits and the other conflicts");
    const bool first = is<Committed>(pair.one);
    require(number(store.read("a")) == (first ? 1 : 0) && number(store.read("b")) == (first ? 1 : 2) &&
                number(store.read("c")) == (first ? 0 : 2),
            "the loser has left a trace");
  };
  EXPECT_TRUE(passes(portfolio(body)));
}

// Danger: a snapshot shows a newer value, or none because its own was unlinked. A commit more than a chain grows to before it is
// trimmed, so some commit of the writer looks for what it may drop, on either side of the reader's second look.
TEST(AcceptanceA10, APinnedSnapshotReadsTheSameTwiceOnAnySampledSchedule) {
  const Body body = [] {
    Store<P> store;
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    P::thread writer([&] {
      for (int i = 1; i <= static_cast<int>(Cell<P>::kTrimAt) + 1; ++i)
        store.compare_and_swap(store.version(), WriteSet{}.set("n", i));
    });
    P::thread reader([&] {
      const auto snapshot = store.snapshot();
      const std::int64_t n = number(snapshot.read("n"));
      require(n + 1 == static_cast<std::int64_t>(snapshot.version()), "n counts the versions");
      P::fault_point("read once");
      for (int again = 0; again < 2; ++again)
        require(number(snapshot.read("n")) == n, "a snapshot shows what it showed before");
    });
    writer.join(), reader.join();
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 3'000})));
}

}  // namespace
}  // namespace touchstone::stress
