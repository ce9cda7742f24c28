// Figures that others rely on: draws, limits, defaults, and what the statistics count. Each is a number that a wrong one could stand
// in for without any other check noticing.

#include <gtest/gtest.h>

#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "engine/store.h"

namespace touchstone::engine {
namespace {

using std::chrono::milliseconds;

// A seed must draw the same in every build and version: replay lines live longer than a binary. The values are of an independent
// computation (SplitMix64, Lemire's reduction with rejection).
TEST(SplitMix, DrawsTheKnownSequence) {
  SplitMix draws(7, 3);
  EXPECT_EQ(draws.next(), 0x649e25419b48acd3u);
  EXPECT_EQ(draws.next(), 0xe4a2c2864a02b254u);
  EXPECT_EQ(draws.next(), 0x08b6c9198506b188u);
}

TEST(SplitMix, DrawsBelowABoundWithoutBias) {
  SplitMix small(7, 3);
  for (const std::uint64_t expected : {3u, 8u, 0u, 3u, 5u, 0u, 0u, 6u}) EXPECT_EQ(small.below(10), expected);
  SplitMix large(7, 3);  // almost half of the draws must be rejected
  const std::uint64_t bound = (std::uint64_t{1} << 63) + 1;
  for (const std::uint64_t expected :
       {0x324f12a0cda45669u, 0x725161432501592au, 0x098fb8db5518080au, 0x2a708edcb39ce69u})
    EXPECT_EQ(large.below(bound), expected);
  SplitMix wide(7, 3);  // a quarter must be rejected, and what is left may be below the bound or not
  for (const std::uint64_t expected : {0x4b769bf13476819eu, 0x6790d4452563fc28u, 0xe579548ffa40c0fu,
                                       0x3fa8d64b0d6b59eu, 0x2c8aaa53a6fd64a6u, 0x537cc20722c2471cu})
    EXPECT_EQ(wide.below(std::uint64_t{3} << 62), expected);
  SplitMix whole(7, 3);
  EXPECT_EQ(whole.below(0), 0x649e25419b48acd3u);
  SplitMix half(
      7, 3);  // nothing need be rejected of a power of two, not even what its product leaves nothing of
  for (const std::uint64_t expected : {0x649e25419b48acd3u, 0xe4a2c2864a02b254u, 0x08b6c9198506b188u})
    EXPECT_EQ(half.below(std::uint64_t{1} << 63), expected >> 1);
  SplitMix one(7, 3);
  EXPECT_EQ(one.below(1), 0u);
}

TEST(StoreOptions, DefaultsAreWhatTheSourcePromises) {
  const StoreOptions options;
  EXPECT_EQ(options.mode, Mode::smart);
  EXPECT_FALSE(options.validate_reads);
  EXPECT_TRUE(options.backoff);
  EXPECT_EQ(options.backoff_base, milliseconds(1));
  EXPECT_EQ(options.backoff_cap, 5);
  EXPECT_TRUE(options.ticket);
  EXPECT_EQ(options.ticket_threshold, 5);
  EXPECT_EQ(options.busy_limit, 8);
  EXPECT_EQ(options.lease_least, milliseconds(50));
  EXPECT_EQ(options.lease_factor, 4);
  EXPECT_EQ(options.lease_renewals, 3);
  EXPECT_EQ(options.seed, 0u);
}

TEST(Path, MayHaveAsManyBytesAsTheLimitAndNotOneMore) {
  EXPECT_FALSE(check_path(std::string(kMaxPathBytes, 'x')));
  const auto refused = check_path("begin" + std::string(kMaxPathBytes - 4, 'x'));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, ErrorCode::bad_path);
  EXPECT_EQ(refused->what, "the path has 1025 bytes, more than 1024: begin" + std::string(35, 'x') + "...");
}

TEST(Path, SplitsIntoItsComponents) {
  using Components = std::vector<std::string_view>;
  EXPECT_EQ(split("a"), Components{"a"});
  EXPECT_EQ(split("left.arm.x"), (Components{"left", "arm", "x"}));
}

TEST(Path, AnEmptyComponentIsNamedByItsPlace) {
  const auto refusal = [](std::string_view path) { return check_path(path)->what; };
  EXPECT_EQ(refusal(".a"), "the path has an empty component at byte 0: \".a\"");
  EXPECT_EQ(refusal("ab..c"), "the path has an empty component at byte 3: \"ab..c\"");
  EXPECT_EQ(refusal("ab."), "the path has an empty component at byte 3: \"ab.\"");
  EXPECT_EQ(check_path("")->code, ErrorCode::empty_path);
  EXPECT_EQ(refusal(""), "the path is empty");
}

TEST(Path, ANameOfACompositeIsOneComponent) {
  Store<> store;
  for (const char* name : {"", "a.b", "."}) {
    const auto refused = store.compare_and_swap(0, WriteSet{}.set("p", Composite{{name, 1}}));
    EXPECT_EQ(std::get<Rejected>(refused).what,
              "a composite's name is empty or has a dot: \"" + std::string(name) + "\" below p");
    const auto deep = store.compare_and_swap(0, WriteSet{}.set("p", Composite{{"q", Composite{{name, 1}}}}));
    EXPECT_EQ(std::get<Rejected>(deep).code, ErrorCode::bad_path);
  }
}

// The limit is of whole paths, also of those that only a composite spells.
TEST(Path, OfALeafInACompositeMayHaveAsManyBytesAsTheLimitAndNotOneMore) {
  Store<> store;
  const std::string most(kMaxPathBytes - 4, 'x');  // below "p.q."
  const auto writes = [](const std::string& name) {
    return WriteSet{}.set("p", Composite{{"q", Composite{{name, 1}}}});
  };
  const CommitResult refused = store.compare_and_swap(0, writes(most + 'x'));
  ASSERT_TRUE(std::holds_alternative<Rejected>(refused));
  EXPECT_EQ(std::get<Rejected>(refused).code, ErrorCode::bad_path);
  EXPECT_EQ(store.version(), 0u);
  EXPECT_TRUE(std::holds_alternative<Committed>(store.compare_and_swap(0, writes(most))));
  EXPECT_EQ(store.read("p.q." + most), Value(1));
}

TEST(Word, OnlyAnInstallMakesReadersWait) {
  EXPECT_FALSE(word::installing(word::kLocked));
  EXPECT_TRUE(word::locked(word::kLocked));
  EXPECT_TRUE(word::installing(word::kLocked | word::kInstalling));
  EXPECT_TRUE(word::locked(word::kLocked | word::kInstalling));
  EXPECT_FALSE(word::locked(word::make(7, Kind::real)));
  EXPECT_EQ(word::version(word::make(7, Kind::real) | word::kLocked), 7u);
  EXPECT_EQ(word::kind(word::make(7, Kind::real) | word::kInstalling), Kind::real);
  EXPECT_FALSE(word::scalar(word::make(7, Kind::none)));
  EXPECT_TRUE(word::same_but_for_lock(word::kLocked, 0));
  EXPECT_FALSE(word::same_but_for_lock(word::make(7, Kind::real), word::make(8, Kind::real)));
}

TEST(ErrorCode, ARefusalSaysWhatWasWrong) {
  Store<> store, other;
  auto worker = store.worker(), stranger = other.worker();
  const auto body = [](Context<NativePlatform>&) {};
  const auto process = store.process("p", {}, body), strange = other.process("p", {}, body);
  const auto said = [](const auto& refused) { return std::get<Rejected>(refused).what; };
  EXPECT_EQ(said(store.execute(worker, strange).outcome), "the process belongs to another store");
  EXPECT_EQ(said(store.execute(stranger, process).outcome), "the worker belongs to another store");
  EXPECT_EQ(said(store.compare_and_swap(0, WriteSet{}, &stranger)), "the worker belongs to another store");
  EXPECT_EQ(said(store.compare_and_swap(0, WriteSet{}.set("a", 1), nullptr, {"b", "b."})),
            "the path has an empty component at byte 2: \"b.\"");
  EXPECT_EQ(said(store.compare_and_swap(3, WriteSet{})), "expected version 3, but the store is at 0");
  store.compare_and_swap(0, WriteSet{}.set("a", 1));
  EXPECT_EQ(said(store.compare_and_swap(1, WriteSet{}.set("a.x", 1))), "cannot write a.x: a holds a scalar");
  EXPECT_EQ(said(store.compare_and_swap(1, WriteSet{}.set("b", 1).set("b.x.y", 1))),
            "cannot write b.x.y: b holds a scalar");
  const auto nested = store.process("outer", {}, [&](Context<NativePlatform>&) {
    EXPECT_EQ(said(store.compare_and_swap(1, WriteSet{})),
              "a body committed to the store that is running it");
  });
  EXPECT_TRUE(store.execute(worker, nested).committed());
  try {
    store.snapshot().read(other.key("c.d"));
    ADD_FAILURE() << "a key of another store";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::foreign_key);
    EXPECT_STREQ(error.what(), "the key c.d belongs to another store");
  }
}

TEST(ErrorCode, EveryOneHasTheNameThatOthersKnowItBy) {
  const std::pair<ErrorCode, const char*> names[] = {{ErrorCode::empty_path, "empty_path"},
                                                     {ErrorCode::bad_path, "bad_path"},
                                                     {ErrorCode::future_version, "future_version"},
                                                     {ErrorCode::under_scalar, "under_scalar"},
                                                     {ErrorCode::undeclared_write, "undeclared_write"},
                                                     {ErrorCode::undeclared_read, "undeclared_read"},
                                                     {ErrorCode::nested_commit, "nested_commit"},
                                                     {ErrorCode::foreign_key, "foreign_key"}};
  for (const auto& [code, name] : names) EXPECT_STREQ(name_of(code), name);
  EXPECT_STREQ(name_of(static_cast<ErrorCode>(200)), "unknown");
}

TEST(Value, GivesWhatItWasMadeOf) {
  EXPECT_TRUE(Value(true).boolean());
  EXPECT_FALSE(Value(false).boolean());
  EXPECT_EQ(Value(-5).integer(), -5);
  EXPECT_EQ(Value(0.5).real(), 0.5);
  EXPECT_EQ(Value("a").text(), "a");
  EXPECT_EQ(Value(Composite{{"x", 1}}).at("x").integer(), 1);
}

TEST(Value, IsTextAsAPersonWritesIt) {
  EXPECT_EQ(to_text(Value(true)), "true");
  EXPECT_EQ(to_text(Value(false)), "false");
  EXPECT_EQ(to_text(Value(-5)), "-5");
  EXPECT_EQ(to_text(Value(0.5)), "0.5");
  EXPECT_EQ(to_text(Value("a")), "\"a\"");
  EXPECT_EQ(to_text(Value(Composite{})), "{}");
  EXPECT_EQ(to_text(Value(Composite{{"x", 1}, {"y", Composite{{"z", true}}}})), "{x: 1, y: {z: true}}");
}

// The back-off is what the source promises: it doubles up to a cap, with a jitter of half of it on top (B1).
TEST(Backoff, DoublesUpToItsCapWithHalfOfItAsJitter) {
  constexpr Backoff backoff{milliseconds(1), 5};
  for (const auto& [retry, wait] :
       {std::pair(-1, 2), {0, 2}, {1, 2}, {2, 4}, {3, 8}, {4, 16}, {5, 32}, {6, 32}, {64, 32}}) {
    EXPECT_EQ(backoff.wait(retry), milliseconds(wait)) << retry;
    EXPECT_EQ(backoff.jitter_range(retry), milliseconds(wait) / 2) << retry;
  }
  struct Most {
    std::uint64_t below(std::uint64_t bound) { return bound - 1; }
  } most;
  EXPECT_EQ(backoff.draw(1, most), milliseconds(3) - Duration(1));
  EXPECT_EQ((Backoff{Duration(0), 5}.draw(1, most)), Duration(0)) << "nothing to draw from";
  EXPECT_EQ((Backoff{milliseconds(1), 0}.wait(9)), milliseconds(2)) << "a cap is one retry at least";
  EXPECT_EQ((Backoff{Duration(1), 99}.wait(99)), Duration(1 << 30)) << "and never an overflow";
}

TEST(Statistics, CountEachCommitConflictAndRefusalOnce) {
  Store<> store({.backoff = false, .ticket = false});
  auto worker = store.worker();
  store.compare_and_swap(0, WriteSet{}.set("a.x", 1).set("b", 1));
  EXPECT_EQ(store.statistics().commits_fast, 1u);
  store.compare_and_swap(0, WriteSet{}.set("c", 1));
  EXPECT_EQ(store.statistics().commits_merged, 1u);
  EXPECT_EQ(store.statistics().commits_fast, 1u);
  store.compare_and_swap(0, WriteSet{}.set("a.y", 1));
  EXPECT_EQ(store.statistics().versions_compared, 1u) << "that of a, which was not locked";
  store.compare_and_swap(0, WriteSet{});
  store.compare_and_swap(0, WriteSet{}, &worker);
  EXPECT_EQ(store.statistics().commits_empty, 2u);
  store.compare_and_swap(0, WriteSet{}.set("b", 2));
  store.compare_and_swap(0, WriteSet{}.set("b", 2), &worker);
  EXPECT_EQ(store.statistics().conflicts, 2u);
  EXPECT_EQ(store.conflicts_by_path(), (std::map<std::string, std::uint64_t>{{"b", 1}}));
  store.compare_and_swap(99, WriteSet{}.set("b", 2));
  EXPECT_EQ(store.statistics().rejected, 1u);
  EXPECT_EQ(store.statistics().paths, 5u) << "a, a.x, a.y, b and c";
  EXPECT_EQ(store.statistics().busy, 0u);
}

// What a commit has locked it need not compare once more: only what is above that.
TEST(Statistics, CountTheVersionsAboveWhatACommitLocks) {
  Store<> store;
  store.compare_and_swap(0, WriteSet{}.set("top.d", Composite{{"x", 1}, {"y", 2}}).set("other", 1));
  const auto compared_by = [&](const WriteSet& writes) {
    const std::uint64_t before = store.statistics().versions_compared;
    store.compare_and_swap(store.version(), WriteSet{}.set("other", 2));
    const CommitResult merged = store.compare_and_swap(store.version() - 1, writes);
    EXPECT_EQ(std::get<Committed>(merged).path, CommitPath::merged);
    return store.statistics().versions_compared - before;
  };
  EXPECT_EQ(compared_by(WriteSet{}.set("top.d.x", 3)), 2u) << "of top.d and top";
  EXPECT_EQ(compared_by(WriteSet{}.erase("top.d")), 1u) << "of top";
  EXPECT_EQ(compared_by(WriteSet{}.set("top.d", Composite{{"x", 4}, {"y", 5}})), 2u)
      << "of top, for the path and for its leaves";
}

TEST(Statistics, CountEachCommitThatFoundTheGateClosedOnce) {
  Store<> store({.backoff = false, .ticket_threshold = 1, .lease_least = std::chrono::hours(1)});
  auto holder = store.worker();
  store.compare_and_swap(0, WriteSet{}.set("a", 1));
  store.compare_and_swap(0, WriteSet{}.set("a", 2), &holder);
  ASSERT_EQ(holder.ticket(), TicketStatus::holding);
  EXPECT_EQ(store.statistics().grants, 1u);
  EXPECT_TRUE(std::holds_alternative<Busy>(store.compare_and_swap(1, WriteSet{}.set("b", 1))));
  EXPECT_EQ(store.statistics().busy, 1u);
  holder.give_back();
  EXPECT_EQ(holder.ticket(), TicketStatus::none);
  EXPECT_EQ(holder.failures(), 0);
}

TEST(Statistics, CountTheOldValuesThatSnapshotsKeep) {
  Store<> store({.backoff = false});
  store.compare_and_swap(0, WriteSet{}.set("a", 1));
  EXPECT_EQ(store.statistics().nodes_made, 0u);
  {
    const auto snapshot = store.snapshot();
    store.compare_and_swap(1, WriteSet{}.set("a", 2));
    store.compare_and_swap(2, WriteSet{}.set("a", 3));
    EXPECT_EQ(store.statistics().nodes_made, 2u);
    EXPECT_EQ(store.statistics().snapshots_open, 1u);
    EXPECT_EQ(store.statistics().oldest_snapshot_age, 2u);
    EXPECT_EQ(snapshot.read("a"), Value(1));
  }
  store.compare_and_swap(3, WriteSet{}.set("t", "text"));
  EXPECT_EQ(store.statistics().nodes_made, 3u) << "a text is a node from the beginning";
}

// An empty state is a state: whoever keeps a snapshot of it open is to be found.
TEST(Statistics, CountASnapshotOfTheEmptyStoreAndTheAgeOfOpenOnesOnly) {
  Store<> store;
  std::optional<Snapshot<NativePlatform>> empty(store.snapshot());
  EXPECT_EQ(store.statistics().snapshots_open, 1u);
  EXPECT_EQ(store.statistics().oldest_snapshot_age, 0u);
  store.compare_and_swap(0, WriteSet{}.set("a", 1));
  store.compare_and_swap(1, WriteSet{}.set("a", 2));
  EXPECT_EQ(store.statistics().oldest_snapshot_age, 2u);
  EXPECT_FALSE(empty->read("a"));
  empty.reset();
  EXPECT_EQ(store.statistics().snapshots_open, 0u);
  EXPECT_EQ(store.statistics().oldest_snapshot_age, 0u) << "of none";
}

TEST(Statistics, BucketsArePowersOfTwoAndTheLastOneIsAllBeyond) {
  for (const auto& [n, bucket] : {std::pair<std::uint64_t, std::size_t>{0, 0},
                                  {1, 1},
                                  {2, 2},
                                  {3, 2},
                                  {4, 3},
                                  {63, 6},
                                  {64, 7},
                                  {127, 7},
                                  {128, 7},
                                  {1'000, 7}})
    EXPECT_EQ(log2_bucket<8>(n), bucket) << n;
}

TEST(Statistics, SumEveryCounterAndBucketOfAllWhoCount) {
  struct {
    Counters<NativePlatform> counters;
    std::uint64_t behind = 1;  // is no bucket
  } memory;
  auto& counters = memory.counters;
  std::uint64_t next = 0;
#define TOUCHSTONE_COUNTER(name, meaning) counters.name.add(++next);
  TOUCHSTONE_COUNTERS(TOUCHSTONE_COUNTER)
#undef TOUCHSTONE_COUNTER
  for (auto& bucket : counters.retries) bucket.add(++next);
  for (auto& bucket : counters.waits) bucket.add(++next);
  Statistics sum;
  sum.add(counters);
  sum.add(counters);
  next = 0;
#define TOUCHSTONE_COUNTER(name, meaning) EXPECT_EQ(sum.name, 2 * ++next) << #name;
  TOUCHSTONE_COUNTERS(TOUCHSTONE_COUNTER)
#undef TOUCHSTONE_COUNTER
  for (const std::uint64_t bucket : sum.retries) EXPECT_EQ(bucket, 2 * ++next);
  for (const std::uint64_t bucket : sum.waits) EXPECT_EQ(bucket, 2 * ++next);
  EXPECT_EQ(sum.snapshots_open + sum.oldest_snapshot_age + sum.paths, 0u) << "are not counted one by one";
  EXPECT_EQ(sum.commits(), sum.commits_fast + sum.commits_merged);
}

TEST(Results, SayNothingHappenedUntilSomethingDid) {
  EXPECT_EQ(Committed{}.version, 0u);
  const Effort effort;
  EXPECT_EQ(effort.attempts + effort.conflicts + effort.expiries + effort.closings_waited, 0);
  EXPECT_EQ(effort.waited, Duration(0));
}

TEST(Statistics, AreTextInColumns) {
  Statistics statistics;
  statistics.commits_fast = 7;
  statistics.paths = 12'345;
  EXPECT_EQ(to_text(statistics),
            "             7  commits_fast        commits whose expected version was the current one\n"
            "         12345  paths               distinct paths interned\n");
  EXPECT_EQ(to_text(Statistics{}), "");
  statistics = {};
  statistics.commits_fast = 99'999'999'999'999;  // fourteen digits fill their column
  statistics.oldest_snapshot_age = 123'456'789'012'345;
  statistics.commits_merged = 9'999'999'999'999;
  statistics.snapshots_open = 1;
  statistics.paths = 2;
  EXPECT_EQ(to_text(statistics),
            "99999999999999  commits_fast        commits whose expected version was the current one\n"
            " 9999999999999  commits_merged      commits merged by key-level validation\n"
            "             1  snapshots_open      snapshots open now\n"
            "123456789012345  oldest_snapshot_age versions made since the oldest open snapshot\n"
            "             2  paths               distinct paths interned\n");
  statistics.snapshots_open = statistics.oldest_snapshot_age = statistics.paths = 1;
  std::vector<std::string> names;
#define TOUCHSTONE_COUNTER(name, meaning) statistics.name = 1, names.emplace_back(#name);
  TOUCHSTONE_COUNTERS(TOUCHSTONE_COUNTER)
#undef TOUCHSTONE_COUNTER
  for (const char* last : {"snapshots_open", "oldest_snapshot_age", "paths"}) names.emplace_back(last);
  std::istringstream lines(to_text(statistics));
  for (const std::string& name : names) {
    std::string number, shown, meaning;
    lines >> number >> shown;
    std::getline(lines, meaning);
    EXPECT_EQ(shown, name) << "in the order of their declaration";
  }
}

TEST(Datum, OfATextIsReadByTheSnapshotsOfItsTime) {
  Store<> store;
  store.compare_and_swap(0, WriteSet{}.set("t", "old"));
  const auto snapshot = store.snapshot();
  store.compare_and_swap(1, WriteSet{}.set("t", "new"));
  store.compare_and_swap(2, WriteSet{}.erase("t"));
  EXPECT_EQ(snapshot.read("t"), Value("old"));
  EXPECT_FALSE(store.read("t"));
}

TEST(Datum, HoldsBothTruthValuesAndNumbersInsideABody) {
  Store<> store;
  const auto yes = store.key("yes"), no = store.key("no");
  auto worker = store.worker();
  const auto process = store.process("p", {.outputs = {"yes", "no"}}, [&](auto& context) {
    context.set(yes, true);
    context.set(no, false);
  });
  ASSERT_TRUE(store.execute(worker, process).committed());
  EXPECT_EQ(store.read("yes"), Value(true));
  EXPECT_EQ(store.read("no"), Value(false));
  const auto r = store.key("r"), i = store.key("i");
  store.compare_and_swap(store.version(), WriteSet{}.set("r", 0.5).set("i", -7));
  const auto reads = store.process("q", {.outputs = {"yes", "no", "r", "i"}}, [&](auto& context) {
    EXPECT_EQ(context.template get<bool>(yes), true);
    EXPECT_EQ(context.template get<bool>(no), false);
    EXPECT_EQ(context.template get<double>(r), 0.5);
    EXPECT_EQ(context.template get<std::int64_t>(i), -7);
  });
  EXPECT_TRUE(store.execute(worker, reads).committed());
  EXPECT_EQ(bits_of(true).bits, 1u);
  EXPECT_EQ(bits_of(false).bits, 0u);
}

}  // namespace
}  // namespace touchstone::engine
