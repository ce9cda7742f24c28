#include "engine/store.h"

#include <gtest/gtest.h>

namespace touchstone::engine {
namespace {

using Native = NativePlatform;
using std::chrono::milliseconds;

Version committed(const CommitResult& result) {
  EXPECT_TRUE(std::holds_alternative<Committed>(result));
  return std::holds_alternative<Committed>(result) ? std::get<Committed>(result).version : 0;
}

ErrorCode refused(const CommitResult& result) {
  return std::get<Rejected>(result).code;
}

TEST(Store, BeginsEmptyAtVersionZero) {
  Store<> store;
  EXPECT_EQ(store.version(), 0u);
  EXPECT_FALSE(store.read("anything"));
}

TEST(Store, NumbersCommitsDensely) {
  Store<> store;
  for (Version v = 0; v < 5; ++v)
    EXPECT_EQ(committed(store.compare_and_swap(v, WriteSet{}.set("a", 1))), v + 1);
}

TEST(Store, MergesAWriteOfAnUnchangedKeyAndRefusesTheSameKeyAgain) {
  Store<> store;
  store.compare_and_swap(0, WriteSet{}.set("user", "A").set("counter", 0));
  committed(store.compare_and_swap(1, WriteSet{}.set("user", "B")));
  const CommitResult merged = store.compare_and_swap(1, WriteSet{}.set("counter", 1));
  EXPECT_EQ(std::get<Committed>(merged).path, CommitPath::merged);
  EXPECT_EQ(store.read("user")->text(), "B");
  EXPECT_EQ(store.read("counter")->integer(), 1);
  const auto conflict = std::get<Conflict>(store.compare_and_swap(1, WriteSet{}.set("counter", 2)));
  EXPECT_EQ(conflict.path, "counter");
  EXPECT_EQ(conflict.expected, 1u);
  EXPECT_EQ(conflict.found, 3u);
}

TEST(Store, StrictModeRefusesAnyStaleVersion) {
  Store<> store({.mode = Mode::strict});
  store.compare_and_swap(0, WriteSet{}.set("a", 1));
  const auto conflict = std::get<Conflict>(store.compare_and_swap(0, WriteSet{}.set("b", 1)));
  EXPECT_EQ(conflict.path, "");
  EXPECT_EQ(conflict.found, 1u);
}

TEST(Store, AncestorsAndDescendantsConflict) {
  Store<> store;
  committed(store.compare_and_swap(0, WriteSet{}.set("domain", Composite{{"x", 1}, {"y", 2}})));
  EXPECT_TRUE(std::holds_alternative<Conflict>(store.compare_and_swap(0, WriteSet{}.set("domain.x", 5))));
  EXPECT_TRUE(std::holds_alternative<Conflict>(store.compare_and_swap(0, WriteSet{}.set("domain.new", 5))));
  committed(store.compare_and_swap(1, WriteSet{}.set("domain.x", 5)));
  EXPECT_TRUE(std::holds_alternative<Conflict>(store.compare_and_swap(1, WriteSet{}.erase("domain"))));
  committed(store.compare_and_swap(1, WriteSet{}.set("domain.y", 7)));
}

TEST(Store, WritingAPathReplacesItsSubtree) {
  Store<> store;
  store.compare_and_swap(0, WriteSet{}.set("a.b.c", 1).set("a.b.d", 2).set("a.e", 3));
  store.compare_and_swap(1, WriteSet{}.set("a.b", Composite{{"f", 4}}));
  EXPECT_EQ(to_text(*store.read("a")), "{b: {f: 4}, e: 3}");
  store.compare_and_swap(2, WriteSet{}.set("a", 9));
  EXPECT_EQ(to_text(*store.read("a")), "9");
  EXPECT_FALSE(store.read("a.e"));
  store.compare_and_swap(3, WriteSet{}.erase("a"));
  EXPECT_FALSE(store.read("a"));
  committed(store.compare_and_swap(4, WriteSet{}.set("a.e", 1)));
  store.compare_and_swap(5, WriteSet{}.set("a", Composite{}));
  EXPECT_FALSE(store.read("a"));
}

TEST(Store, ALeafUnderAScalarIsRefusedAndLeavesNoTrace) {
  Store<> store;
  store.compare_and_swap(0, WriteSet{}.set("a", 1));
  EXPECT_EQ(refused(store.compare_and_swap(1, WriteSet{}.set("b", 1).set("a.x", 1))),
            ErrorCode::under_scalar);
  EXPECT_EQ(refused(store.compare_and_swap(1, WriteSet{}.set("c", 1).set("c.x", 1))),
            ErrorCode::under_scalar);
  EXPECT_EQ(refused(store.compare_and_swap(1, WriteSet{}.erase("a.x.y"))), ErrorCode::under_scalar);
  EXPECT_EQ(store.version(), 1u);
  EXPECT_FALSE(store.read("b"));
  committed(store.compare_and_swap(1, WriteSet{}.erase("a").set("a.x", 1)));
  EXPECT_EQ(to_text(*store.read("a")), "{x: 1}");
}

// Writes of one set apply in order, so a later write above cannot excuse an earlier one below a scalar.
TEST(Store, ALaterWriteAboveDoesNotExcuseALeafUnderAScalar) {
  Store<> store;
  store.compare_and_swap(0, WriteSet{}.set("a", 1));
  EXPECT_EQ(refused(store.compare_and_swap(1, WriteSet{}.set("a.x", 1).erase("a"))), ErrorCode::under_scalar);
  EXPECT_EQ(refused(store.compare_and_swap(1, WriteSet{}.set("a.x.y", 1).erase("a.x").erase("a"))),
            ErrorCode::under_scalar);
  EXPECT_EQ(store.read("a")->integer(), 1);
  committed(store.compare_and_swap(1, WriteSet{}.erase("a").set("a.x.y", 1).erase("a.x").set("a.x", 2)));
  EXPECT_EQ(to_text(*store.read("a")), "{x: 2}");
}

TEST(Store, WritesOfASetApplyInOrder) {
  Store<> store;
  committed(store.compare_and_swap(
      0, WriteSet{}.set("a.x", 1).set("a", Composite{{"y", 2}}).set("a.z", 3).set("a.z", 4)));
  EXPECT_EQ(to_text(*store.read("a")), "{y: 2, z: 4}");
}

// Leaves that have nothing to do with one another take a shorter way, which sorts them: so many that a sort that does not keep the order
// of equals shows.
TEST(Store, TheLastOfManyWritesOfALeafWins) {
  Store<> store;
  for (const int paths : {1, 3, 40}) {
    WriteSet writes;
    for (int round = 0; round < 3; ++round) {
      for (int i = paths; i-- > 0;) writes.set("leaf" + std::to_string(i), 100 * round + i);
    }
    const Version before = store.version();
    ASSERT_TRUE(std::holds_alternative<Committed>(store.compare_and_swap(before, writes)));
    ASSERT_TRUE(std::holds_alternative<Committed>(store.compare_and_swap(before + 1, writes)))
        << "known paths";
    for (int i = 0; i < paths; ++i)
      EXPECT_EQ(store.read("leaf" + std::to_string(i)), Value(200 + i)) << i << " of " << paths;
  }
}

TEST(Store, BadInputIsNamedAndChangesNothing) {
  Store<> store;
  EXPECT_EQ(refused(store.compare_and_swap(0, WriteSet{}.set("", 1))), ErrorCode::empty_path);
  for (const char* path : {".", "a.", ".a", "a..b"}) {
    EXPECT_EQ(refused(store.compare_and_swap(0, WriteSet{}.set(path, 1))), ErrorCode::bad_path) << path;
  }
  EXPECT_EQ(refused(store.compare_and_swap(0, WriteSet{}.set(std::string(2000, 'a'), 1))),
            ErrorCode::bad_path);
  EXPECT_EQ(refused(store.compare_and_swap(0, WriteSet{}.set("a", Composite{{"b.c", 1}}))),
            ErrorCode::bad_path);
  EXPECT_EQ(refused(store.compare_and_swap(1, WriteSet{}.set("a", 1))), ErrorCode::future_version);
  EXPECT_THROW(store.key("a..b"), Error);
  EXPECT_THROW(store.read(""), Error);
  EXPECT_EQ(store.version(), 0u);
  EXPECT_EQ(store.statistics().rejected, 8u);
}

TEST(Store, AnEmptyWriteSetCommitsNothingAndNeverConflicts) {
  Store<> store;
  store.compare_and_swap(0, WriteSet{}.set("a", 1));
  const auto result = std::get<Committed>(store.compare_and_swap(0, WriteSet{}));
  EXPECT_EQ(result.version, 0u);
  EXPECT_EQ(result.path, CommitPath::empty);
  EXPECT_EQ(store.version(), 1u);
}

TEST(Store, DeletingAndRecreatingAKeyIsAChange) {
  Store<> store;
  store.compare_and_swap(0, WriteSet{}.set("a", 1));
  store.compare_and_swap(1, WriteSet{}.erase("a"));
  store.compare_and_swap(2, WriteSet{}.set("a", 1));
  EXPECT_TRUE(std::holds_alternative<Conflict>(store.compare_and_swap(1, WriteSet{}.set("a", 2))));
}

TEST(Store, ReadsGivenToACommitAreValidatedToo) {
  Store<> store;
  store.compare_and_swap(0, WriteSet{}.set("a", 1).set("b", 1));
  store.compare_and_swap(1, WriteSet{}.set("a.", 1));
  store.compare_and_swap(1, WriteSet{}.set("a", 0));
  EXPECT_TRUE(
      std::holds_alternative<Conflict>(store.compare_and_swap(1, WriteSet{}.set("b", 0), nullptr, {"a"})));
  committed(store.compare_and_swap(1, WriteSet{}.set("b", 0)));
}

TEST(Snapshot, SeesItsVersionForEver) {
  Store<> store;
  store.compare_and_swap(0, WriteSet{}.set("a", 1).set("d.x", 1));
  const auto snapshot = store.snapshot();
  for (Version v = 1; v < 100; ++v) store.compare_and_swap(v, WriteSet{}.set("a", static_cast<int>(v) + 1));
  store.compare_and_swap(100, WriteSet{}.erase("d").set("e", 1));
  EXPECT_EQ(snapshot.read("a")->integer(), 1);
  EXPECT_EQ(to_text(*snapshot.read("d")), "{x: 1}");
  EXPECT_FALSE(snapshot.read("e"));
  EXPECT_EQ(snapshot.changed("a"), 1u);
  EXPECT_EQ(store.read("a")->integer(), 100);
  EXPECT_EQ(store.statistics().snapshots_open, 1u);
}

// A chain that grew with every commit under an old snapshot would hold 200,000 values here.
TEST(Snapshot, KeepsOnlyWhatIsReadAndGivesItBack) {
  Store<> store;
  store.compare_and_swap(0, WriteSet{}.set("a", 0));
  {
    const auto old = store.snapshot();
    for (int i = 1; i <= 200'000; ++i) store.compare_and_swap(store.version(), WriteSet{}.set("a", i));
    EXPECT_EQ(old.read("a")->integer(), 0);
    const Statistics s = store.statistics();
    EXPECT_LE(s.nodes_made - s.nodes_freed, 300u);
    EXPECT_EQ(s.oldest_snapshot_age, 200'000u);
  }
  store.reclaim();
  const Statistics s = store.statistics();
  EXPECT_EQ(s.nodes_made, s.nodes_freed);
}

TEST(Execute, RetriesUntilCommittedAndPublishesEffectsOnce) {
  std::vector<Effect> effects;
  Store<> store({.backoff_base = Duration(1000), .sink = [&](const Effect& e) { effects.push_back(e); }});
  auto worker = store.worker();
  int runs = 0;
  auto process = store.process("p", {.outputs = {"n"}}, [&](Context<Native>& ctx) {
    ctx.emit("first", ++runs);
    ctx.emit("second", runs);
    if (runs ==
        1) {  // somebody else commits in between: not through this body's store call, which would be nested
      std::thread([&] { store.compare_and_swap(store.version(), WriteSet{}.set("n", 7)); }).join();
    }
    const auto n = ctx.read("n");
    ctx.set("n", n ? n->integer() + 1 : 1);
  });
  const ExecuteResult result = store.execute(worker, process);
  ASSERT_TRUE(result.committed());
  EXPECT_EQ(result.effort.attempts, 2);
  EXPECT_EQ(result.effort.conflicts, 1);
  EXPECT_EQ(store.read("n")->integer(), 8);
  ASSERT_EQ(effects.size(), 2u);
  EXPECT_EQ(effects[0].topic, "first");
  EXPECT_EQ(effects[0].payload.integer(), 2);
  EXPECT_EQ(effects[1].version, 2u);
}

TEST(Execute, RefusesAnUndeclaredWriteEvenIfTheBodySwallowsTheError) {
  Store<> store;
  auto worker = store.worker();
  auto process = store.process("sneaky", {.outputs = {"a"}}, [](Context<Native>& ctx) {
    ctx.set("a", 1);
    try {
      ctx.set("b", 1);
    } catch (...) {
    }
  });
  const auto result = store.execute(worker, process);
  const auto& rejected = std::get<Rejected>(result.outcome);
  EXPECT_EQ(rejected.code, ErrorCode::undeclared_write);
  EXPECT_EQ(rejected.what, "process sneaky writes b, which it does not declare");
  EXPECT_EQ(store.version(), 0u);
}

TEST(Execute, ShowsTheBodyItsOwnWrites) {
  Store<> store;
  store.compare_and_swap(0, WriteSet{}.set("d", Composite{{"x", 1}, {"y", 2}}));
  auto worker = store.worker();
  auto process = store.process("p", {.outputs = {"d"}}, [](Context<Native>& ctx) {
    ctx.set("d.z.w", 3);
    ctx.erase("d.x");
    EXPECT_EQ(to_text(*ctx.read("d")), "{y: 2, z: {w: 3}}");
    ctx.set("d", Composite{{"q", 1}});
    EXPECT_FALSE(ctx.read("d.y"));
    EXPECT_EQ(ctx.read("d.q")->integer(), 1);
    ctx.erase("d.q");
    EXPECT_FALSE(ctx.read("d"));
  });
  EXPECT_TRUE(store.execute(worker, process).committed());
  EXPECT_FALSE(store.read("d"));
}

TEST(Execute, ShowsTheBodyNoEmptyComposites) {
  Store<> store;
  auto worker = store.worker();
  auto process = store.process("p", {.outputs = {"d"}}, [](Context<Native>& ctx) {
    ctx.set("d", Composite{{"x", 1}, {"hollow", Composite{{"inner", Composite{}}}}});
    EXPECT_EQ(to_text(*ctx.read("d")), "{x: 1}");
    EXPECT_FALSE(ctx.read("d.hollow"));
    ctx.set("d", Composite{{"hollow", Composite{{"inner", Composite{}}}}});
    EXPECT_FALSE(ctx.read("d"));
    ctx.set("d.x", 1);
  });
  EXPECT_TRUE(store.execute(worker, process).committed());
  EXPECT_EQ(to_text(*store.read("d")), "{x: 1}");
}

TEST(Execute, CountsEveryRefusal) {
  Store<> store;
  auto worker = store.worker();
  auto process = store.process("p", {.outputs = {"d"}}, [](Context<Native>& ctx) {
    ctx.set("d", 1);
    ctx.set("d.x", 1);
  });
  EXPECT_EQ(std::get<Rejected>(store.execute(worker, process).outcome).code, ErrorCode::under_scalar);
  EXPECT_EQ(store.statistics().rejected, 1u);
}

TEST(Execute, RefusesWhatBelongsToAnotherStore) {
  Store<> store, other;
  auto worker = store.worker(), stranger = other.worker();
  const auto body = [](Context<Native>& context) { context.set("a", 1); };
  const auto process = store.process("p", {.inputs = {}, .outputs = {"a"}}, body);
  const auto strange = other.process("p", {.inputs = {}, .outputs = {"a"}}, body);
  const auto refusal = [](const ExecuteResult& result) { return std::get<Rejected>(result.outcome); };
  EXPECT_EQ(refusal(store.execute(stranger, process)).code, ErrorCode::foreign_key);
  EXPECT_EQ(refusal(store.execute(worker, strange)).code, ErrorCode::foreign_key);
  EXPECT_EQ(store.version(), 0u);
  EXPECT_EQ(worker.failures() + stranger.failures(), 0);
  EXPECT_EQ(store.statistics().rejected + other.statistics().rejected, 2u);
  const auto swapped = store.compare_and_swap(0, WriteSet{}.set("a", 1), &stranger);
  EXPECT_EQ(std::get<Rejected>(swapped).code, ErrorCode::foreign_key);
  const auto with_its_key = store.process("q", {.outputs = {"a"}}, [key = other.key("a.b")](auto& context) {
    EXPECT_THROW(context.template get<std::int64_t>(key), Error);
    context.set(key, 1);
  });
  EXPECT_THROW(store.execute(worker, with_its_key), Error);
  EXPECT_EQ(store.version(), 0u);
}

TEST(Execute, ReadsAndWritesNumbersDirectlyAndAmongItsOwnWrites) {
  Store<> store;
  auto worker = store.worker();
  const auto n = store.key("d.n"), r = store.key("d.r"), b = store.key("d.b"), t = store.key("d.t");
  auto process = store.process("p", {.outputs = {"d"}}, [&](Context<Native>& ctx) {
    EXPECT_FALSE(ctx.get<std::int64_t>(n));
    ctx.set(n, 6);
    ctx.set(n, std::int64_t{7});
    EXPECT_EQ(ctx.get<std::int64_t>(n), 7);
    ctx.set(r, 0.5);
    ctx.set(b, true);
    ctx.set(t, "text");
    EXPECT_THROW(ctx.get<bool>(t), std::bad_variant_access);
  });
  EXPECT_TRUE(store.execute(worker, process).committed());
  EXPECT_EQ(to_text(*store.read("d")), "{b: true, n: 7, r: 0.5, t: \"text\"}");
  auto again = store.process("q", {.outputs = {"d.n", "d.t"}}, [&](Context<Native>& ctx) {
    EXPECT_EQ(ctx.get<std::int64_t>(n), 7);
    EXPECT_THROW(ctx.get<double>(n), std::bad_variant_access);
    EXPECT_THROW(ctx.get<bool>(t), std::bad_variant_access);
    EXPECT_EQ(ctx.get<double>(r), 0.5);
  });
  EXPECT_TRUE(store.execute(worker, again).committed());
}

TEST(Execute, WipesADeclaredLeafBelowAWrittenRoot) {
  Store<> store;
  store.compare_and_swap(0, WriteSet{}.set("d.x", 1));
  auto worker = store.worker();
  auto process = store.process("p", {.outputs = {"d", "d.x"}}, [](Context<Native>& ctx) { ctx.set("d", 5); });
  EXPECT_TRUE(store.execute(worker, process).committed());
  EXPECT_EQ(to_text(*store.read("d")), "5");
  EXPECT_FALSE(store.read("d.x"));
}

TEST(Execute, RefusesACommitFromInsideABody) {
  Store<> store;
  auto worker = store.worker();
  auto other = store.worker();
  auto inner = store.process("inner", {.outputs = {"b"}}, [](Context<Native>& ctx) { ctx.set("b", 1); });
  auto process = store.process("outer", {.outputs = {"a"}}, [&](Context<Native>& ctx) {
    EXPECT_EQ(refused(store.compare_and_swap(0, WriteSet{}.set("b", 1))), ErrorCode::nested_commit);
    EXPECT_EQ(std::get<Rejected>(store.execute(other, inner).outcome).code, ErrorCode::nested_commit);
    ctx.set("a", 1);
  });
  EXPECT_TRUE(store.execute(worker, process).committed());
  EXPECT_EQ(store.version(), 1u);
  EXPECT_EQ(committed(store.compare_and_swap(1, WriteSet{}.set("b", 1))), 2u);
}

TEST(Execute, EndsTypedWhenStoppedLateOrOutOfAttempts) {
  Store<> store({.backoff_base = Duration(1000)});
  auto worker = store.worker();
  auto rival = store.process("rival", {.outputs = {"n"}}, [&](Context<Native>& ctx) {
    std::thread([&] { store.compare_and_swap(store.version(), WriteSet{}.set("n", 7)); }).join();
    ctx.set("n", 1);
  });
  EXPECT_TRUE(
      std::holds_alternative<AttemptsExhausted>(store.execute(worker, rival, {.attempts = 2}).outcome));
  StopFlag<Native> stop;
  stop.request();
  EXPECT_TRUE(std::holds_alternative<Cancelled>(store.execute(worker, rival, {.stop = &stop}).outcome));
  EXPECT_TRUE(std::holds_alternative<DeadlineExceeded>(
      store.execute(worker, rival, {.deadline = Native::now()}).outcome));
  EXPECT_EQ(store.version(), 2u);
  EXPECT_EQ(worker.ticket(), TicketStatus::none);
  StopFlag<Native> never;
  const auto add = store.process("add", {.outputs = {"m"}}, [](Context<Native>& ctx) { ctx.set("m", 1); });
  const auto limited =
      store.execute(worker, add, {.stop = &never, .deadline = Native::now() + std::chrono::hours(1)});
  EXPECT_TRUE(limited.committed() && limited.effort.expiries == 0) << "limits that are not reached";
}

TEST(Execute, ValidatedReadsRefuseWriteSkew) {
  for (const bool validate : {false, true}) {
    Store<> store({.validate_reads = validate, .backoff_base = Duration(1000)});
    auto worker = store.worker();
    bool first = true;
    auto process =
        store.process("p", {.inputs = {"a", "phantom"}, .outputs = {"b"}}, [&](Context<Native>& ctx) {
          ctx.read("phantom");
          if (std::exchange(first, false)) {
            std::thread([&] {
              store.compare_and_swap(store.version(), WriteSet{}.set("phantom.x", 7));
            }).join();
          }
          ctx.set("b", 1);
        });
    const auto result = store.execute(worker, process);
    EXPECT_TRUE(result.committed());
    EXPECT_EQ(result.effort.conflicts, validate ? 1 : 0);
  }
}

TEST(Execute, AnExceptionOfTheBodyPassesThroughAndGivesTheTicketBack) {
  Store<> store;
  auto worker = store.worker({.failures = 4});
  auto other = store.worker();
  store.compare_and_swap(0, WriteSet{}.set("n", 1));
  EXPECT_EQ(std::get<Conflict>(store.compare_and_swap(0, WriteSet{}.set("n", 2), &worker)).ticket,
            TicketStatus::holding);
  EXPECT_TRUE(std::holds_alternative<Busy>(store.compare_and_swap(1, WriteSet{}.set("m", 2), &other)));
  auto throws = store.process("throws", {}, [](Context<Native>&) { throw std::runtime_error("mine"); });
  EXPECT_THROW(store.execute(worker, throws), std::runtime_error);
  committed(store.compare_and_swap(1, WriteSet{}.set("m", 2), &other));
}

TEST(Ticket, ShutsTheGateToEverybodyElseUntilItsHolderCommits) {
  Store<> store;
  auto worker = store.worker();
  auto other = store.worker();
  committed(store.compare_and_swap(0, WriteSet{}.set("n", 1)));
  for (int i = 1; i <= 4; ++i) {
    EXPECT_EQ(std::get<Conflict>(store.compare_and_swap(0, WriteSet{}.set("n", 2), &worker)).ticket,
              TicketStatus::none);
  }
  EXPECT_EQ(std::get<Conflict>(store.compare_and_swap(0, WriteSet{}.set("n", 2), &worker)).ticket,
            TicketStatus::holding);
  EXPECT_TRUE(
      std::holds_alternative<Busy>(store.compare_and_swap(1, WriteSet{}.set("unrelated", 2), &other)));
  EXPECT_TRUE(std::holds_alternative<Busy>(store.compare_and_swap(1, WriteSet{}.set("unrelated", 2))));
  EXPECT_EQ(store.read("n")->integer(), 1);
  committed(store.compare_and_swap(store.version(), WriteSet{}.set("n", 3), &worker));
  EXPECT_EQ(worker.ticket(), TicketStatus::none);
  committed(store.compare_and_swap(2, WriteSet{}.set("unrelated", 2), &other));
}

// Whatever is Committed is a success: a loop by hand that finds nothing left to write must not keep the gate shut.
TEST(Ticket, IsGivenBackByACommitOfNothing) {
  Store<> store;
  auto worker = store.worker({.failures = 4});
  committed(store.compare_and_swap(0, WriteSet{}.set("n", 1)));
  store.compare_and_swap(0, WriteSet{}.set("n", 2), &worker);
  EXPECT_EQ(worker.ticket(), TicketStatus::holding);
  store.compare_and_swap(store.version(), WriteSet{}, &worker);
  EXPECT_EQ(worker.ticket(), TicketStatus::none);
  EXPECT_EQ(worker.failures(), 0);
  committed(store.compare_and_swap(1, WriteSet{}.set("m", 2)));
  EXPECT_EQ(store.statistics().commits_empty, 1u);
}

TEST(Ticket, ExpiresSoThatADeadHolderBlocksNobodyForEver) {
  Store<> store({.lease_least = milliseconds(2)});
  auto dead = store.worker({.failures = 4});
  auto other = store.worker();
  committed(store.compare_and_swap(0, WriteSet{}.set("n", 1)));
  store.compare_and_swap(0, WriteSet{}.set("n", 2), &dead);
  auto process = store.process("p", {.outputs = {"m"}}, [](Context<Native>& ctx) { ctx.set("m", 1); });
  const auto result = store.execute(other, process);
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(result.effort.closings_waited, 1);
  EXPECT_EQ(dead.ticket(), TicketStatus::none);
  EXPECT_EQ(store.statistics().expiries, 1u);
  committed(store.compare_and_swap(store.version(), WriteSet{}.set("n", 3), &dead));
}

TEST(Threads, FiftyWorkersOnOneCounterLoseNoUpdate) {
  constexpr int kWorkers = 8, kRounds = 200;
  Store<> store;
  std::vector<std::thread> threads;
  std::atomic<int> most_conflicts{0};
  for (int t = 0; t < kWorkers; ++t) {
    threads.emplace_back([&] {
      auto worker = store.worker();
      auto add = store.process("add", {.outputs = {"n"}}, [](Context<Native>& ctx) {
        const auto n = ctx.read("n");
        ctx.set("n", n ? n->integer() + 1 : 1);
      });
      for (int i = 0; i < kRounds; ++i) {
        const auto result = store.execute(worker, add);
        ASSERT_TRUE(result.committed());
        int seen = most_conflicts.load();
        while (seen < result.effort.conflicts &&
               !most_conflicts.compare_exchange_weak(seen, result.effort.conflicts)) {
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(store.read("n")->integer(), kWorkers * kRounds);
  EXPECT_EQ(store.version(), static_cast<Version>(kWorkers * kRounds));
  EXPECT_LE(most_conflicts.load(), 5);
  std::printf("%s", to_text(store.statistics()).c_str());
}

}  // namespace
}  // namespace touchstone::engine
