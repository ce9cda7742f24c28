#include "engine/key_queue.h"

#include <gtest/gtest.h>

#include "engine/store.h"

namespace touchstone::engine {
namespace {

using Native = NativePlatform;
using std::chrono::hours;
using std::chrono::milliseconds;

StoreOptions by_key(StoreOptions options = {}) {
  options.policy = Policy::key_queue;
  options.lease_least = hours(1);
  return options;
}

/// A store at version 1 in which every path of these tests is stale for version 0.
struct Contended {
  explicit Contended(StoreOptions options = by_key()) : store(std::move(options)) {
    store.compare_and_swap(
        0,
        WriteSet{}.set("domain", Composite{{"x", Composite{{"deep", 0}}}, {"y", 0}}).set("m", 0).set("n", 0));
  }

  /// The fifth conflict of a worker, by these paths.
  TicketStatus fail(Worker<Native>& worker, const std::vector<std::string>& on) {
    const CommitResult result = store.compare_and_swap(0, WriteSet{}.set(on.front(), 1), &worker, on);
    const auto* conflict = std::get_if<Conflict>(&result);
    return conflict != nullptr ? conflict->ticket : TicketStatus::none;
  }

  CommitResult write(const std::string& path, Worker<Native>* worker = nullptr) {
    return store.compare_and_swap(store.version(), WriteSet{}.erase(path), worker);
  }
  bool busy(const std::string& path, Worker<Native>* worker = nullptr) {
    return std::holds_alternative<Busy>(write(path, worker));
  }
  bool commits(const std::string& path, Worker<Native>* worker = nullptr) {
    return std::holds_alternative<Committed>(write(path, worker));
  }

  Store<> store;
};

TEST(KeyQueue, FootprintsOverlapWhereAPathOfOneIsOfTheOtherOrAboveOrBelow) {
  Index<Native> index;
  const auto overlap = [&](const std::vector<std::string>& some, const std::vector<std::string>& others) {
    std::vector<Cell<Native>*> a, b;
    for (const std::string& path : some) a.push_back(index.intern(path));
    for (const std::string& path : others) b.push_back(index.intern(path));
    return KeyQueue<Native>::overlap(a, b);
  };
  EXPECT_TRUE(overlap({"a"}, {"a"}));
  EXPECT_TRUE(overlap({"a.x"}, {"a"}));
  EXPECT_TRUE(overlap({"a"}, {"a.x.deep"}));
  EXPECT_TRUE(overlap({"b", "a.x"}, {"c", "a.x"}));
  EXPECT_FALSE(overlap({"a.x"}, {"a.y"}));
  EXPECT_FALSE(overlap({"a", "b"}, {"c", "ab"}));
  EXPECT_FALSE(overlap({}, {"a"}));
}

// Danger: a worker that fails on the same paths in another order would give up its turn and queue again behind those who wait.
TEST(KeyQueue, KeepsTheTurnOfWhoNamesItsPathsInAnotherOrderOrTwice) {
  Contended it;
  auto worker = it.store.worker({.failures = 4});
  ASSERT_EQ(it.fail(worker, {"m", "n"}), TicketStatus::holding);
  EXPECT_EQ(it.fail(worker, {"n", "m"}), TicketStatus::holding);
  EXPECT_EQ(it.fail(worker, {"m", "n", "m"}), TicketStatus::holding);
  EXPECT_EQ(it.store.statistics().grants, 1u) << "one turn";
  EXPECT_EQ(it.fail(worker, {"m"}), TicketStatus::holding);
  EXPECT_EQ(it.store.statistics().grants, 2u) << "another one, of other paths";
}

// Danger: a path that anybody makes below a worker's own would count as another claim, and it would queue again.
TEST(KeyQueue, KeepsTheTurnThoughAPathIsMadeBelowIt) {
  Contended it;
  auto worker = it.store.worker({.failures = 4});
  it.store.compare_and_swap(1, WriteSet{}.set("domain.y", 1));
  const auto fail = [&] {  // by what is below: the path itself is as it was
    return std::get<Conflict>(it.store.compare_and_swap(1, WriteSet{}.erase("domain"), &worker)).ticket;
  };
  ASSERT_EQ(fail(), TicketStatus::holding);
  it.store.key("domain.made");
  EXPECT_EQ(fail(), TicketStatus::holding);
  EXPECT_EQ(it.store.statistics().grants, 1u) << "one turn";
}

// K4: what is only read is validated, so it waits for who is about to change it.
TEST(KeyQueue, KeepsOutWhoReadsThePathThatItsHolderWants) {
  Contended it;
  auto holder = it.store.worker({.failures = 4});
  ASSERT_EQ(it.fail(holder, {"domain.x"}), TicketStatus::holding);
  for (const char* path : {"domain", "domain.x", "domain.x.deep"}) {
    const CommitResult result =
        it.store.compare_and_swap(it.store.version(), WriteSet{}.set("m", 1), nullptr, {path});
    EXPECT_TRUE(std::holds_alternative<Busy>(result)) << path;
  }
  const CommitResult result =
      it.store.compare_and_swap(it.store.version(), WriteSet{}.set("m", 1), nullptr, {"domain.y"});
  EXPECT_TRUE(std::holds_alternative<Committed>(result));
}

TEST(KeyQueue, KeepsOutOnlyWhoWantsThePathThatItsHolderWants) {
  Contended it;
  auto holder = it.store.worker({.failures = 4}), other = it.store.worker();
  ASSERT_EQ(it.fail(holder, {"n"}), TicketStatus::holding);
  EXPECT_TRUE(it.busy("n"));
  EXPECT_TRUE(it.busy("n", &other));
  EXPECT_EQ(it.fail(other, {"n"}), TicketStatus::none) << "a stale version, but the path is reserved";
  EXPECT_EQ(other.failures(), 0) << "Busy counts for nothing";
  EXPECT_TRUE(it.commits("m"));
  EXPECT_TRUE(std::holds_alternative<Conflict>(it.store.compare_and_swap(0, WriteSet{}.set("m", 1), &other)));
  EXPECT_EQ(other.failures(), 1) << "a conflict elsewhere counts";
  EXPECT_TRUE(it.commits("n", &holder));
  EXPECT_TRUE(it.commits("n"));
}

// Danger: the holder reserves `domain.x`, and somebody changes it by way of `domain` or adds `domain.x.deep`: both are its footprint's.
TEST(KeyQueue, KeepsOutWhoWantsAnAncestorOrDescendant) {
  Contended it;
  auto holder = it.store.worker({.failures = 4});
  ASSERT_EQ(it.fail(holder, {"domain.x"}), TicketStatus::holding);
  for (const char* path : {"domain", "domain.x", "domain.x.deep", "domain.x.deep.new"})
    EXPECT_TRUE(it.busy(path)) << path;
  EXPECT_TRUE(it.commits("domain.y"));
  EXPECT_TRUE(it.commits("domain.new"));
  EXPECT_TRUE(it.commits("domain.x", &holder));
  EXPECT_TRUE(it.commits("domain.x.deep"));
}

TEST(KeyQueue, ReservesAllBelowARootOutput) {
  Contended it;
  auto holder = it.store.worker({.failures = 4});
  ASSERT_EQ(it.fail(holder, {"domain"}), TicketStatus::holding);
  for (const char* path : {"domain", "domain.y", "domain.x.deep", "domain.new.deep"})
    EXPECT_TRUE(it.busy(path)) << path;
  EXPECT_TRUE(it.commits("m"));
}

TEST(KeyQueue, ReservesEverythingInStrictMode) {
  Contended it(by_key({.mode = Mode::strict}));
  auto holder = it.store.worker({.failures = 4});
  ASSERT_EQ(it.fail(holder, {"n"}), TicketStatus::holding);
  EXPECT_TRUE(it.busy("m"));
  EXPECT_TRUE(it.commits("n", &holder));
}

TEST(KeyQueue, LetsTurnsThatDoNotOverlapGoOnSideBySide) {
  Contended it;
  auto one = it.store.worker({.failures = 4}), two = it.store.worker({.failures = 4});
  ASSERT_EQ(it.fail(one, {"m"}), TicketStatus::holding);
  ASSERT_EQ(it.fail(two, {"n"}), TicketStatus::holding);
  EXPECT_TRUE(it.commits("m", &one));
  EXPECT_TRUE(it.commits("n", &two));
}

// Danger: a worker that loops by hand holds one path and asks for another one: it would starve there, and keep others from what it no
// longer wants.
TEST(KeyQueue, FollowsAWorkerToWhatItTriesLast) {
  Contended it;
  auto one = it.store.worker({.failures = 4}), two = it.store.worker({.failures = 4});
  ASSERT_EQ(it.fail(one, {"m"}), TicketStatus::holding);
  ASSERT_EQ(it.fail(two, {"n"}), TicketStatus::holding);
  EXPECT_TRUE(it.busy("n", &one)) << "its turn is of another path";
  EXPECT_EQ(one.ticket(), TicketStatus::queued);
  EXPECT_TRUE(it.commits("m"));
  EXPECT_TRUE(it.commits("n", &two));
  EXPECT_EQ(one.ticket(), TicketStatus::holding);
  EXPECT_TRUE(it.busy("n"));
  EXPECT_TRUE(it.commits("n", &one));
}

// Danger: whoever wants two paths holds one while it waits for the other, or is overtaken on one of them by those who come later. The
// second claim waits for the first, and the third for the second, although nobody has begun a turn on what it wants.
TEST(KeyQueue, ServesEachPathFirstComeFirstServedAndReservesNothingForWhoWaits) {
  Contended it;
  auto first = it.store.worker({.failures = 4}), second = it.store.worker({.failures = 4}),
       third = it.store.worker({.failures = 4});
  Worker<Native>* const order[] = {&first, &second, &third};
  ASSERT_EQ(it.fail(first, {"m"}), TicketStatus::holding);
  ASSERT_EQ(it.fail(second, {"n"}), TicketStatus::holding);
  EXPECT_TRUE(
      std::holds_alternative<Busy>(it.store.compare_and_swap(0, WriteSet{}.set("m", 1), &second, {"n"})));
  EXPECT_EQ(second.ticket(), TicketStatus::queued) << "it wants both now";
  EXPECT_TRUE(it.commits("n")) << "who waits reserves nothing";
  EXPECT_EQ(it.fail(third, {"n"}), TicketStatus::queued) << "behind the second";
  const char* const wanted[] = {"m", "n", "n"};
  for (std::size_t turn = 0; turn < 3; ++turn) {
    for (std::size_t i = turn; i < 3; ++i)
      EXPECT_EQ(order[i]->ticket(), i == turn ? TicketStatus::holding : TicketStatus::queued)
          << "worker " << i << ", turn " << turn;
    EXPECT_TRUE(it.commits(wanted[turn], order[turn]));
  }
}

TEST(KeyQueue, GivesUpWhatItHeldForOtherPathsWhenAnExecuteWantsSomethingElse) {
  Contended it;
  auto worker = it.store.worker({.failures = 4});
  ASSERT_EQ(it.fail(worker, {"n"}), TicketStatus::holding);
  bool others_path_is_free = false, own_is_reserved = false;
  auto process = it.store.process("m", {.outputs = {"m"}}, [&](Context<Native>& ctx) {
    std::thread([&] {
      others_path_is_free = it.commits("n");
      own_is_reserved = it.busy("m");
    }).join();
    ctx.set("m", 1);
  });
  EXPECT_TRUE(it.store.execute(worker, process).committed());
  EXPECT_TRUE(others_path_is_free);
  EXPECT_TRUE(own_is_reserved);
  EXPECT_TRUE(it.commits("m"));
}

// Danger: with validated reads a turn that reserves the outputs only can still conflict by what it reads.
TEST(KeyQueue, ReservesWhatIsReadToo) {
  Contended it(by_key({.validate_reads = true}));
  auto worker = it.store.worker();
  bool reserved = false;
  auto process = it.store.process("copy", {.inputs = {"m"}, .outputs = {"n"}}, [&](Context<Native>& ctx) {
    ctx.read("m");
    std::thread([&] { reserved = it.busy("m"); }).join();
    ctx.set("n", 1);
  });
  const ExecuteResult result = it.store.execute(worker, process);
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(result.effort.conflicts, 5) << "the rival gets through until the turn";
  EXPECT_TRUE(reserved);
}

// Danger: with several turns at once a caller is told about the lease of somebody else's.
TEST(KeyQueue, TellsWhomItKeepsOutAboutItsOwnLease) {
  StoreOptions options = by_key();
  options.lease_least = milliseconds(1);
  options.lease_factor = 3'600'000;
  Contended it(options);
  auto slow = it.store.worker({.failures = 4}), quick = it.store.worker({.failures = 4});
  auto sleeps = it.store.process("sleeps", {.outputs = {"domain"}}, [](Context<Native>& ctx) {
    std::this_thread::sleep_for(milliseconds(1));
    ctx.set("domain.y", 1);
  });
  ASSERT_EQ(it.fail(slow, {"domain"}), TicketStatus::holding);
  ASSERT_TRUE(it.store.execute(slow, sleeps)
                  .committed());  // in its turn, so it was timed: its leases are of an hour now
  for (int failure = 1; failure <= 5; ++failure) it.fail(slow, {"n"});
  ASSERT_EQ(slow.ticket(), TicketStatus::holding);
  ASSERT_EQ(it.fail(quick, {"m"}), TicketStatus::holding);
  const CommitResult result = it.write("n");
  ASSERT_TRUE(std::holds_alternative<Busy>(result));
  EXPECT_GT(std::get<Busy>(result).retry_after, std::chrono::minutes(30));
}

// Danger: a holder whose lease has run out comes back when a successor has its path, uses that turn or ends it.
TEST(KeyQueue, FencesAHolderWhoseLeaseHasRunOut) {
  StoreOptions options = by_key();
  options.lease_least = milliseconds(1);
  options.lease_factor = 3'600'000;
  Contended it(options);
  auto late = it.store.worker({.failures = 4}), successor = it.store.worker({.failures = 1});
  auto slow = it.store.process("slow", {.outputs = {"m"}}, [](Context<Native>& ctx) {
    std::this_thread::sleep_for(milliseconds(1));
    ctx.set("m", 1);
  });
  ASSERT_TRUE(it.store.execute(successor, slow).committed());  // its leases are of an hour now
  ASSERT_EQ(it.fail(late, {"n"}), TicketStatus::holding);
  std::this_thread::sleep_for(milliseconds(2));
  EXPECT_TRUE(it.commits("n")) << "whoever looks may end it";
  EXPECT_EQ(it.store.statistics().expiries, 1u);
  for (int failure = 1; failure <= 5; ++failure) it.fail(successor, {"n"});
  ASSERT_EQ(successor.ticket(), TicketStatus::holding);
  EXPECT_TRUE(it.busy("n", &late));
  EXPECT_EQ(late.ticket(), TicketStatus::queued);
  late.give_back();
  EXPECT_TRUE(it.busy("n"));
  EXPECT_TRUE(it.commits("n", &successor));
  EXPECT_TRUE(it.commits("n"));
}

TEST(KeyQueue, BoundsTheConflictsOfFortyWorkersOnOneOfTwoPaths) {
  StoreOptions options;
  options.policy = Policy::key_queue;
  options.backoff_base = std::chrono::microseconds(20);
  Contended it(options);
  std::vector<std::thread> threads;
  for (int i = 0; i < 40; ++i) {
    threads.emplace_back([&it, path = i % 2 == 0 ? "m" : "n"] {
      auto worker = it.store.worker();
      auto process = it.store.process("add", {.outputs = {path}}, [path](Context<Native>& ctx) {
        const std::int64_t seen = ctx.read(path)->integer();
        std::this_thread::yield();
        ctx.set(path, seen + 1);
      });
      for (int round = 0; round < 10; ++round) {
        const ExecuteResult result = it.store.execute(worker, process);
        EXPECT_TRUE(result.committed());
        EXPECT_LE(result.effort.conflicts, 5 + result.effort.expiries);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(it.store.read("m")->integer(), 200);
  EXPECT_EQ(it.store.read("n")->integer(), 200);
}

}  // namespace
}  // namespace touchstone::engine
