#include "model/store_spec.h"

#include <gtest/gtest.h>

namespace touchstone::model {
namespace {

Subtree number(std::int64_t value) {
  return Subtree{{"", value}};
}

CompareAndSwap swap(std::uint64_t expected, std::vector<Write> writes) {
  return CompareAndSwap{.expected = expected, .writes = std::move(writes), .reads = {}, .outputs = {}};
}

template <class Expected>
Expected perform(const StoreSpec& spec, StoreState& state, const StoreOperation& operation) {
  const StoreResponse response = spec.perform(state, operation);
  const auto* expected = std::get_if<Expected>(&response);
  EXPECT_NE(expected, nullptr) << describe(operation) << " answered " << describe(response);
  return expected != nullptr ? *expected : Expected{};
}

TEST(StoreSpec, MergesDifferentKeysAndConflictsOnTheSame) {
  const StoreSpec spec;
  StoreState state;
  EXPECT_EQ(perform<Committed>(spec, state, swap(0, {{"user", number(1)}})).path, CommitPath::kFast);
  EXPECT_EQ(perform<Committed>(spec, state, swap(0, {{"counter", number(1)}})).path, CommitPath::kMerged);
  const auto conflict = perform<Conflict>(spec, state, swap(0, {{"counter", number(2)}}));
  EXPECT_EQ(conflict.path, "counter");
  EXPECT_EQ(conflict.found, 2U);
  EXPECT_EQ(state.version, 2U);
}

TEST(StoreSpec, AncestorsAndDescendantsConflict) {
  const StoreSpec spec;
  StoreState state;
  perform<Committed>(spec, state, swap(0, {{"domain", Subtree{{"x", std::int64_t{1}}}}}));
  EXPECT_EQ(perform<Conflict>(spec, state, swap(0, {{"domain.y", number(1)}})).path, "domain");
  perform<Committed>(spec, state, swap(1, {{"domain.z.deep", number(1)}}));
  EXPECT_EQ(perform<Conflict>(spec, state, swap(1, {{"domain", number(1)}})).path, "domain.z.deep");
  EXPECT_EQ(perform<Committed>(spec, state, swap(1, {{"domainz", number(1)}})).version, 3U);
}

TEST(StoreSpec, EraseStampsTheDescendantsItRemoved) {
  const StoreSpec spec;
  StoreState state;
  perform<Committed>(spec, state,
                     swap(0, {{"a", Subtree{{"b.c", std::int64_t{1}}, {"d", std::int64_t{2}}}}}));
  perform<Committed>(spec, state, swap(1, {{"a", std::nullopt}}));
  EXPECT_FALSE(read(state, "a").has_value());
  EXPECT_EQ(state.changed.at("a.b.c"), 2U);
  EXPECT_EQ(perform<Conflict>(spec, state, swap(1, {{"a.b.c", number(1)}})).found, 2U);
}

TEST(StoreSpec, RejectsWhatIsNoPathAndWhatIsBelowAScalar) {
  const StoreSpec spec;
  StoreState state;
  const StoreState before = state;
  EXPECT_EQ(perform<Rejected>(spec, state, swap(0, {{"", number(1)}})).reason, Rejection::kEmptyPath);
  for (const char* bad : {".", "a.", ".a", "a..b"}) {
    EXPECT_EQ(perform<Rejected>(spec, state, swap(0, {{bad, number(1)}})).reason, Rejection::kBadPath) << bad;
  }
  EXPECT_EQ(perform<Rejected>(spec, state, swap(0, {{std::string(1025, 'x'), number(1)}})).reason,
            Rejection::kBadPath);
  EXPECT_EQ(perform<Rejected>(spec, state, swap(7, {{"a", number(1)}})).reason, Rejection::kFutureVersion);
  EXPECT_EQ(perform<Rejected>(spec, state, swap(0, {{"a", number(1)}, {"a.b", number(1)}})).reason,
            Rejection::kUnderScalar);
  EXPECT_EQ(StoreSpec::compare(state, before), 0);
}

TEST(StoreSpec, AnEmptySetCommitsAtItsExpectedVersion) {
  const StoreSpec spec;
  StoreState state;
  perform<Committed>(spec, state, swap(0, {{"a", number(1)}}));
  const auto empty = perform<Committed>(spec, state, swap(0, {}));
  EXPECT_EQ(empty.version, 0U);
  EXPECT_EQ(empty.path, CommitPath::kEmpty);
  EXPECT_EQ(state.version, 1U);
}

TEST(StoreSpec, StrictModeConflictsOnTheGlobalVersion) {
  const StoreSpec spec(StoreRules{.strict = true, .validate_reads = false, .gate_may_close = false});
  StoreState state;
  perform<Committed>(spec, state, swap(0, {{"a", number(1)}}));
  const auto conflict = perform<Conflict>(spec, state, swap(0, {{"b", number(1)}}));
  EXPECT_EQ(conflict.path, "");
  EXPECT_EQ(conflict.found, 1U);
  const StoreResponse busy = Busy{};
  EXPECT_TRUE(spec.advance(state, swap(1, {{"b", number(1)}}), &busy).has_value());
}

TEST(StoreSpec, ValidatedReadsBelongToTheFootprint) {
  const StoreSpec serializable(StoreRules{.strict = false, .validate_reads = true, .gate_may_close = true});
  const StoreSpec snapshot_isolation;
  const CompareAndSwap skewed{.expected = 0, .writes = {{"b", number(1)}}, .reads = {"a"}, .outputs = {}};
  StoreState state;
  perform<Committed>(serializable, state, swap(0, {{"a", number(1)}}));
  EXPECT_EQ(perform<Conflict>(serializable, state, skewed).path, "a");
  perform<Committed>(snapshot_isolation, state, skewed);
}

TEST(StoreSpec, ALostUpdateIsIllegalAndLeavesTheStateAsItWas) {
  const StoreSpec spec;
  StoreState state;
  perform<Committed>(spec, state, swap(0, {{"a", number(1)}}));
  const StoreState before = state;
  const StoreResponse lost = Committed{2, CommitPath::kMerged};
  const auto illegal = spec.advance(state, swap(0, {{"a", number(2)}}), &lost);
  ASSERT_TRUE(illegal.has_value());
  EXPECT_NE(illegal->reason.find("should have conflicted"), std::string::npos) << illegal->reason;
  EXPECT_EQ(StoreSpec::compare(state, before), 0);
}

TEST(StoreSpec, ExecuteAddsToWhatItFinds) {
  const StoreSpec spec;
  StoreState state;
  const Execute add{{AddInteger{"a", 5}, MoveAmount{"a", "b", 2}, CopySubtree{"b", "c"}}};
  EXPECT_EQ(perform<Committed>(spec, state, add).version, 1U);
  EXPECT_TRUE(same(*read(state, "a"), number(3)));
  EXPECT_TRUE(same(*read(state, "c"), number(2)));
}

// A copied subtree has a good path at its source; at its target one of its leaves may be longer than any path.
TEST(StoreSpec, ACopyThatMakesTooLongAPathIsRejected) {
  const StoreSpec spec;
  StoreState state;
  const std::string longest = "g." + std::string(1022, 'l');
  perform<Committed>(spec, state, swap(0, {{longest, number(1)}}));
  const StoreState before = state;
  EXPECT_EQ(perform<Rejected>(spec, state, Execute{{CopySubtree{"g", "to"}}}).reason, Rejection::kBadPath);
  EXPECT_EQ(StoreSpec::compare(state, before), 0);
  perform<Committed>(spec, state, Execute{{CopySubtree{"g", "h"}}});
}

// The write below the scalar is a fault already; the copy of what the body sees there then is a second one.
TEST(StoreSpec, ABodySeesItsWriteBelowAScalarAlthoughItWillBeRejected) {
  const StoreSpec spec;
  StoreState state;
  perform<Committed>(spec, state, swap(0, {{"g", number(1)}}));
  const Execute body{{Write{"g." + std::string(1022, 'l'), number(2)}, CopySubtree{"g", "to"}}};
  for (const Rejection either : {Rejection::kUnderScalar, Rejection::kBadPath}) {
    const StoreResponse response = Rejected{either};
    EXPECT_FALSE(spec.advance(state, body, &response).has_value()) << describe(response);
  }
  const StoreResponse committed = Committed{2, std::nullopt};
  EXPECT_TRUE(spec.advance(state, body, &committed).has_value());
}

TEST(StoreSpec, ReadsSeeScalarsCompositesAndAbsence) {
  const StoreSpec spec;
  StoreState state;
  perform<Committed>(spec, state, swap(0, {{"a", Subtree{{"x", std::int64_t{1}}, {"y.z", true}}}}));
  const auto snapshot = perform<SnapshotIs>(spec, state, SnapshotRead{{"a", "a.x", "a.y.z.w", "b"}});
  EXPECT_EQ(snapshot.version, 1U);
  EXPECT_EQ(snapshot.values[0]->size(), 2U);
  EXPECT_TRUE(same(*snapshot.values[1], number(1)));
  EXPECT_FALSE(snapshot.values[2].has_value());
  EXPECT_FALSE(snapshot.values[3].has_value());
}

}  // namespace
}  // namespace touchstone::model
