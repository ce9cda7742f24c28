// What an etcd store does with a write set, without etcd: the same as the store in memory.

#include "engine/etcd/plan.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "engine/etcd/keys.h"
#include "engine/store.h"

namespace touchstone::engine {
namespace {

/// A state that is written as a commit in etcd writes it: nothing may stand at what must be bare; all below a named path goes, and
/// then the plan's leaves come.
class PlannedState {
 public:
  std::optional<ErrorCode> commit(const WriteSet& writes) {
    const auto planned = plan_of(writes);
    if (const auto* refused = std::get_if<Rejected>(&planned)) return refused->code;
    const auto& plan = std::get<EtcdPlan>(planned);
    for (const std::string& path : plan.bare) {
      if (leaves_.count(path) != 0) return ErrorCode::under_scalar;
    }
    for (const std::string& path : plan.named) {
      leaves_.erase(path);
      leaves_.erase(leaves_.lower_bound(below(path)), leaves_.lower_bound(beyond(path)));
    }
    for (const auto& [path, scalar] : plan.puts) leaves_.insert_or_assign(path, scalar);
    return std::nullopt;
  }

  std::optional<Value> read(const std::string& path) const { return value_at(leaves_, path); }

 private:
  Leaves leaves_;
};

std::optional<ErrorCode> refusal(const CommitResult& result) {
  const auto* refused = std::get_if<Rejected>(&result);
  return refused ? std::optional(refused->code) : std::nullopt;
}

rc::Gen<std::string> any_name() {
  return rc::gen::weightedElement<std::string>({{4, "a"}, {4, "b"}, {1, "a-"}, {1, "a/"}});
}

rc::Gen<std::string> any_path() {
  return rc::gen::element<std::string>("a", "b", "a.a", "a.b", "b.a", "a-", "a/", "a.a.b", "a.b.a", "a/.b");
}

rc::Gen<Value> any_scalar() {
  return rc::gen::map(rc::gen::pair(rc::gen::inRange(0, 4), rc::gen::inRange(0, 3)), [](const auto& drawn) {
    const auto& [type, number] = drawn;
    if (type == 0) return Value(number != 0);
    if (type == 1) return Value(number);
    return type == 2 ? Value(number / 2.0) : Value(std::string(static_cast<std::size_t>(number), 't'));
  });
}

rc::Gen<Value> any_value(int depth) {
  if (depth == 0) return any_scalar();
  const auto composite = rc::gen::map(
      rc::gen::resize(3, rc::gen::container<std::vector<std::pair<std::string, Value>>>(rc::gen::pair(
                             any_name(), rc::gen::lazy([depth] { return any_value(depth - 1); })))),
      [](const auto& parts) {
        Composite made;
        for (const auto& [name, part] : parts) made.insert_or_assign(name, part);
        return Value(std::move(made));
      });
  return rc::gen::oneOf(any_scalar(), composite);
}

rc::Gen<WriteSet> any_writes() {
  const auto entry = rc::gen::pair(any_path(), rc::gen::maybe(any_value(2)));
  return rc::gen::map(
      rc::gen::resize(4, rc::gen::container<std::vector<std::pair<std::string, rc::Maybe<Value>>>>(entry)),
      [](const auto& entries) {
        WriteSet writes;
        for (const auto& [path, value] : entries) {
          if (value) {
            writes.set(path, *value);
          } else {
            writes.erase(path);
          }
        }
        return writes;
      });
}

std::string to_text(const std::optional<ErrorCode>& refused) {
  return refused ? name_of(*refused) : "committed";
}

std::string to_text(const std::optional<Value>& value) {
  return value ? to_text(*value) : "nothing";
}

std::string to_text(const WriteSet& writes) {
  std::string text;
  for (const auto& [path, value] : writes.entries()) text += " " + path + "=" + to_text(value);
  return text;
}

RC_GTEST_PROP(EtcdPlan, LeavesWhatTheStoreInMemoryLeaves, ()) {
  Store<> store;
  PlannedState planned;
  for (const WriteSet& writes :
       *rc::gen::resize(6, rc::gen::container<std::vector<WriteSet>>(any_writes()))) {
    RC_LOG() << "write" << to_text(writes) << "\n";
    const auto refused = refusal(store.compare_and_swap(store.version(), writes));
    RC_ASSERT(to_text(planned.commit(writes)) == to_text(refused));
    for (const char* path :
         {"a", "b", "a-", "a/", "a.a", "a.b", "b.a", "b.b", "a.a.a", "a.a.b", "a.b.a", "a.a/", "a/.b"}) {
      RC_LOG() << "read " << path << "\n";
      RC_ASSERT(to_text(planned.read(path)) == to_text(store.read(path)));
    }
  }
}

TEST(EtcdPlan, NamesWhatIsWrittenAndWhatMustBeBareAboveIt) {
  const auto plan =
      std::get<EtcdPlan>(plan_of(WriteSet{}.set("a.b.c", 1).erase("d.e.f").set("d", 2).erase("g")));
  EXPECT_EQ(plan.named, (std::set<std::string>{"a.b.c", "d", "d.e.f", "g"}));
}

TEST(EtcdPlan, AsksForNothingBareAboveWhatAnEarlierWriteCovers) {
  const auto plan = std::get<EtcdPlan>(plan_of(WriteSet{}.erase("a").set("a.b.c", 1).set("x.y.z", 2)));
  EXPECT_EQ(plan.bare, (std::set<std::string>{"x", "x.y"}));
  EXPECT_EQ(plan.puts, (Leaves{{"a.b.c", std::int64_t{1}}, {"x.y.z", std::int64_t{2}}}));
}

TEST(EtcdPlan, SaysWhatIsWrongWithAName) {
  const auto refused =
      std::get<Rejected>(plan_of(WriteSet{}.set("a", Composite{{"b", Composite{{"x.y", 1}}}})));
  EXPECT_EQ(refused.code, ErrorCode::bad_path);
  EXPECT_EQ(refused.what, "a composite's name is empty or has a dot: \"x.y\" below a.b");
  EXPECT_EQ(std::get<Rejected>(plan_of(WriteSet{}.set("a", Composite{{"", 1}}))).what,
            "a composite's name is empty or has a dot: \"\" below a");
  const auto too_long = plan_of(WriteSet{}.set("a", Composite{{std::string(kMaxPathBytes - 1, 'n'), 1}}));
  EXPECT_EQ(std::get<Rejected>(too_long).code, ErrorCode::bad_path);
  EXPECT_TRUE(std::holds_alternative<EtcdPlan>(
      plan_of(WriteSet{}.set("a", Composite{{std::string(kMaxPathBytes - 2, 'n'), 1}}))));
}

TEST(EtcdPlan, RefusesWhatTheStoreInMemoryRefuses) {
  for (const WriteSet& writes :
       {WriteSet{}.set("", 1), WriteSet{}.erase("a..b"), WriteSet{}.set("a", Composite{{"", 1}}),
        WriteSet{}.set("a", Composite{{"b", Composite{{"x.y", 1}}}}), WriteSet{}.set("a", 1).set("a.b", 2),
        WriteSet{}.set("a", Composite{{"b", 1}}).erase("a.b.c"),
        WriteSet{}.set(std::string(kMaxPathBytes + 1, 'p'), 1)}) {
    const auto expected = refusal(Store<>().compare_and_swap(0, writes));
    ASSERT_TRUE(expected) << to_text(writes);
    EXPECT_EQ(PlannedState().commit(writes), expected) << to_text(writes);
  }
}

TEST(EtcdPlan, KnowsThePathsAboveOne) {
  EXPECT_EQ(ancestors_of("a"), (std::vector<std::string>{}));
  EXPECT_EQ(ancestors_of("a.b.c"), (std::vector<std::string>{"a", "a.b"}));
}

TEST(EtcdPlan, AWriteHidesTheScalarAboveIt) {
  Leaves leaves = {{"a", std::int64_t{1}}, {"a.b", std::int64_t{2}}, {"a-", std::int64_t{3}}};
  apply(leaves, {"a.b.c", Value(4)});
  EXPECT_EQ(leaves, (Leaves{{"a.b.c", std::int64_t{4}}, {"a-", std::int64_t{3}}}));
  apply(leaves, {"a", std::nullopt});
  EXPECT_EQ(leaves, (Leaves{{"a-", std::int64_t{3}}}));
}

/// Bytes in etcd outlive the program that wrote them.
TEST(EtcdScalar, HasTheBytesThatItHadBefore) {
  EXPECT_EQ(encode_scalar(true), std::string("b\x01"));
  EXPECT_EQ(encode_scalar(std::int64_t{258}), std::string("i\x02\x01\0\0\0\0\0\0", 9));
  EXPECT_EQ(encode_scalar(1.0), std::string("r\0\0\0\0\0\0\xf0\x3f", 9));
  EXPECT_EQ(encode_scalar(std::string("t\0x", 3)), std::string("tt\0x", 4));
}

TEST(EtcdScalar, ComesBackAsItWas) {
  for (const Scalar& scalar : {Scalar(true), Scalar(false), Scalar(std::int64_t{-1}), Scalar(-0.5),
                               Scalar(std::string()), Scalar(std::string("b"))})
    EXPECT_EQ(decode_scalar(encode_scalar(scalar)), scalar);
}

TEST(EtcdScalar, OfAnotherSizeOrTypeIsRefused) {
  for (const std::string& bytes : {std::string(), std::string("x1"), std::string("b"), std::string("b\1\1"),
                                   std::string("i1234567"), std::string("i123456789"), std::string("r")})
    EXPECT_THROW(decode_scalar(bytes), std::invalid_argument) << bytes;
}

/// The layout that store.h promises: other programs read it.
TEST(EtcdKeys, AreThoseOfTheList) {
  const EtcdKeys keys{"s"};
  EXPECT_EQ(keys.clock(), "s/clock");
  EXPECT_EQ(keys.leaf("a.b"), "s/leaf/a.b");
  EXPECT_EQ(keys.stamp("a"), "s/stamp/a");
  EXPECT_EQ(keys.queued(42), "s/queue/00000000000000000042");
  EXPECT_EQ(keys.leaves_below("a").begin, "s/leaf/a.");
  EXPECT_EQ(keys.leaves_below("a").end, "s/leaf/a/");
  EXPECT_EQ(keys.stamps_below("a").begin, "s/stamp/a.");
  EXPECT_EQ(keys.stamps_below("a").end, "s/stamp/a/");
}

TEST(EtcdKeys, OfTheQueueStandInTheOrderOfAges) {
  const EtcdKeys keys{"s"};
  EXPECT_LT(keys.queued(9), keys.queued(10));
  EXPECT_LE(keys.queue().begin, keys.queued(0));
  EXPECT_GT(keys.queue().end, keys.queued(std::numeric_limits<std::int64_t>::max()));
  EXPECT_EQ(keys.older(10).begin, keys.queue().begin);
  EXPECT_EQ(keys.older(10).end, keys.queued(10));
}

}  // namespace
}  // namespace touchstone::engine
