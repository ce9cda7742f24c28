#include "model/segment_spec.h"

#include <gtest/gtest.h>

namespace touchstone::model {
namespace {

SegmentResponse perform(SegmentState& state, const SegmentOperation& operation) {
  return SegmentSpec().perform(state, operation);
}

TEST(SegmentSpec, NamesCarryTheAllocatingPid) {
  SegmentState state;
  perform(state, StartMain{1, 100, "s"});
  perform(state, Fork{1, 2, 200});
  EXPECT_EQ(perform(state, Allocate{1, "k", 7}), SegmentResponse(Named{"theus:s:100:k"}));
  EXPECT_EQ(perform(state, Allocate{2, "k", 7}), SegmentResponse(Refused{Refusal::kNotMain}));
  perform(state, BecomeMain{2});
  EXPECT_EQ(perform(state, Allocate{2, "k", 7}), SegmentResponse(Named{"theus:s:200:k"}));
}

TEST(SegmentSpec, KeysAreEncodedAndBounded) {
  EXPECT_EQ(segment_name("s", 1, "a/b%c"), "theus:s:1:a%2Fb%25c");
  EXPECT_EQ(segment_name("s", 1, "~ctl"), "theus:s:1:%7Ectl");
  EXPECT_EQ(segment_name("s", 1, "a~:b"), "theus:s:1:a~:b");
  EXPECT_EQ(segment_name("s", 1, std::string("\0\n", 2)), "theus:s:1:%00%0A");
  EXPECT_FALSE(segment_name("s", 1, "").has_value());
  EXPECT_FALSE(segment_name("a:b", 1, "k").has_value());
  EXPECT_TRUE(segment_name("s", 1, std::string(245, 'k')).has_value());
  EXPECT_FALSE(segment_name("s", 1, std::string(246, 'k')).has_value());
}

TEST(SegmentSpec, TheReaperRemovesExactlyWhatTheDeadOwned) {
  SegmentState state;
  perform(state, StartMain{1, 100, "s"});
  perform(state, StartMain{2, 200, "s"});
  perform(state, Allocate{1, "dead", 7});
  perform(state, Allocate{2, "live", 8});
  perform(state, Kill{1});
  perform(state, StartMain{3, 100, "t"});  // the pid is in use again: that makes nothing live
  EXPECT_EQ(perform(state, Reap{3, std::nullopt}), SegmentResponse(Names{{"theus:s:100:dead"}}));
  EXPECT_EQ(perform(state, List{}), SegmentResponse(Names{{"theus:s:200:live"}}));
}

TEST(SegmentSpec, AChildsEndRemovesNothingOfItsParents) {
  SegmentState state;
  perform(state, StartMain{1, 100, "s"});
  perform(state, Allocate{1, "k", 7});
  perform(state, Fork{1, 2, 200});
  perform(state, Shutdown{2});
  EXPECT_EQ(perform(state, Attach{1, "theus:s:100:k"}), SegmentResponse(Attached{1, 7}));
  perform(state, Shutdown{1});
  EXPECT_EQ(perform(state, List{}), SegmentResponse(Names{}));
}

TEST(SegmentSpec, OnlyTheCreatorFreesAndReplaces) {
  SegmentState state;
  perform(state, StartMain{1, 100, "s"});
  perform(state, StartMain{2, 200, "s"});
  perform(state, Allocate{1, "k", 7});
  EXPECT_EQ(perform(state, Free{2, "theus:s:100:k"}), SegmentResponse(Refused{Refusal::kNotCreator}));
  perform(state, Replace{1, "k", 9});
  EXPECT_EQ(perform(state, Attach{2, "theus:s:100:k"}), SegmentResponse(Attached{2, 9}));
  const SegmentResponse adopted = Named{"theus:s:100:k"};
  EXPECT_TRUE(SegmentSpec().advance(state, Allocate{1, "k", 1}, &adopted).has_value());
}

}  // namespace
}  // namespace touchstone::model
