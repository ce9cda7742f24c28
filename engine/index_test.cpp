// Paths as the store holds them: cells with numbers and parents, and what may be said of a path in another order, twice, or in place of
// something else.

#include "engine/index.h"

#include <gtest/gtest.h>

#include "engine/store.h"

namespace touchstone::engine {
namespace {

using Native = NativePlatform;

TEST(Index, ACellKnowsItsPathAndTheRootHasNone) {
  Index<Native> index;
  EXPECT_EQ(index.intern("left.arm.x")->path(), "left.arm.x");
  EXPECT_EQ(index.find("left")->path(), "left");
  EXPECT_EQ(index.root()->path(), "");
}

TEST(Index, APathThatIsNoneIsAnErrorWithItsCode) {
  Store<> store;
  try {
    store.key("a..b");
    FAIL() << "it was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_path);
    EXPECT_EQ(error.rejected(), (Rejected{ErrorCode::bad_path, error.what()}));
  }
}

// W5: the order of locks, in which ancestors come before descendants.
TEST(Index, EveryPathHasALargerNumberThanAllAboveIt) {
  Index<Native> index;
  for (const char* path : {"a", "b", "a.x", "c.deep.er", "b.y", "a.x.z"}) {
    const Cell<Native>* cell = index.intern(path);
    for (; cell->parent != nullptr; cell = cell->parent) EXPECT_GT(cell->id, cell->parent->id) << path;
  }
}

// Danger: paths that differ in a dot only, and meet in the table. Of 254 of them some do, whatever the hash.
TEST(Index, TellsADotFromAnyOtherByte) {
  Index<Native> index;
  for (const char* path : {"x.x", "x.y", "y.x", "y.y"}) index.intern(path);
  for (int byte = 1; byte < 256; ++byte) {
    if (byte == '.') continue;
    for (const char* path : {"x.x", "x.y", "y.x", "y.y"}) {
      std::string other = path;
      other[1] = static_cast<char>(byte);
      EXPECT_EQ(index.find(other), nullptr) << byte;
    }
  }
}

TEST(Index, AnAncestorIsAboveAndNotTheSame) {
  Index<Native> index;
  const Cell<Native>*a = index.intern("a"), *deep = index.intern("a.x.z"), *b = index.intern("b");
  EXPECT_TRUE(is_ancestor(a, deep));
  EXPECT_TRUE(is_ancestor<Native>(index.find("a.x"), deep));
  EXPECT_TRUE(is_ancestor<Native>(index.root(), a));
  EXPECT_FALSE(is_ancestor(a, a)) << "a proper one";
  EXPECT_FALSE(is_ancestor(deep, a));
  EXPECT_FALSE(is_ancestor(a, b));
  EXPECT_FALSE(is_ancestor(b, deep));
}

// The committer locks in this order, and each once.
TEST(WriteSet, IsResolvedToOneWriteACellInTheOrderOfTheirNumbers) {
  Index<Native> index;
  const std::vector<std::string> paths{"a", "b", "c", "d"};
  for (const std::string& path : paths) index.intern(path);
  const auto resolved = [&](const std::string& order) {
    std::vector<Write<Native>> writes;
    for (std::size_t i = 0; i < order.size(); ++i)
      writes.emplace_back(index.intern(order.substr(i, 1)), bits_of(static_cast<int>(i)));
    EXPECT_FALSE(resolve(writes, index));
    std::string text;
    for (const auto& write : writes) text += write.cell->path() + std::to_string(write.datum.bits());
    return text;
  };
  EXPECT_EQ(resolved("abcd"), "a0b1c2d3");
  EXPECT_EQ(resolved("dcba"), "a3b2c1d0");
  EXPECT_EQ(resolved("bac"), "a1b0c2") << "the end is in order";
  EXPECT_EQ(resolved("abbc"), "a0b2c3");
  EXPECT_EQ(resolved("cacab"), "a3b4c2");
  EXPECT_TRUE(WriteSet{}.empty());
  EXPECT_FALSE(WriteSet{}.erase("a").empty());
}

// A write that was made below a scalar stays one, though the scalar goes and the same path is written again.
TEST(WriteSet, AppliesInOrderAlsoToAPathThatIsWrittenAgain) {
  Store<> store;
  store.compare_and_swap(0, WriteSet{}.set("a", 1));
  const auto refused = store.compare_and_swap(1, WriteSet{}.set("a.x", 1).erase("a").set("a.x", 2));
  ASSERT_TRUE(std::holds_alternative<Rejected>(refused));
  EXPECT_EQ(std::get<Rejected>(refused).code, ErrorCode::under_scalar);
}

// Danger: the leaves of a composite are written below a path that holds a scalar now, which is refused to any other leaf.
TEST(Composite, TakesThePlaceOfAScalarAndTheReverse) {
  Store<> store;
  const auto commits = [&](const WriteSet& writes) {
    return std::holds_alternative<Committed>(store.compare_and_swap(store.version(), writes));
  };
  const Composite deep{{"x", 1}, {"y", Composite{{"z", 2}}}};
  ASSERT_TRUE(commits(WriteSet{}.set("a", 1)));
  EXPECT_TRUE(commits(WriteSet{}.set("a", deep)));
  EXPECT_EQ(store.read("a"), Value(deep));
  EXPECT_TRUE(commits(WriteSet{}.set("a", 3)));
  EXPECT_EQ(store.read("a"), Value(3));
  EXPECT_TRUE(commits(WriteSet{}.set("a", deep).set("a.x", 4).set("a.y", Composite{{"w", 5}})));
  EXPECT_EQ(to_text(*store.read("a")), "{x: 4, y: {w: 5}}");
}

TEST(WriteSet, IsEmptyUntilItIsGivenAWrite) {
  EXPECT_TRUE(WriteSet().empty());
  EXPECT_FALSE(WriteSet().erase("a").empty());
}

TEST(Value, TakesTheValueOfAnotherAndLeavesThatAsItIs) {
  const Value tree(Composite{{"a", 1}, {"b", "text"}});
  Value taken(7);
  taken = tree;
  EXPECT_EQ(taken, tree);
  taken = Value(8);
  EXPECT_EQ(to_text(tree), "{a: 1, b: \"text\"}");
}

// Danger: declared paths are looked up by their numbers, and a contract may name them in any order.
TEST(Contract, NamesItsPathsInAnyOrderAndAsOftenAsItLikes) {
  Store<> store({.validate_reads = true});
  for (const char* path : {"in.one", "in.two", "out.one", "out.two"}) store.key(path);
  auto worker = store.worker();
  const Contract contract{.inputs = {"in.two", "in.one", "in.two"},
                          .outputs = {"out.two", "out.one", "out.two"}};
  const auto process = store.process("p", contract, [](Context<Native>& context) {
    for (const char* path : {"in.one", "in.two", "in.one.deep"}) context.read(path);
    for (const char* path : {"out.one.x", "out.two.x", "out.one.y"}) context.set(path, 1);
  });
  EXPECT_TRUE(store.execute(worker, process).committed());
  EXPECT_EQ(to_text(*store.read("out")), "{one: {x: 1, y: 1}, two: {x: 1}}");
  EXPECT_EQ(process.name(), "p");
}

// A path that is only asked for takes no memory for good, unless the commit has to see that somebody makes it (a phantom).
TEST(Contract, ReadsMakeAPathOnlyIfTheyAreValidated) {
  for (const bool validate : {false, true}) {
    Store<> store({.validate_reads = validate});
    auto worker = store.worker();
    const auto process = store.process("p", {.inputs = {"in"}, .outputs = {"out"}},
                                       [](Context<Native>& context) { EXPECT_FALSE(context.read("in.x")); });
    EXPECT_TRUE(store.execute(worker, process).committed());
    EXPECT_FALSE(store.read("in.y"));
    EXPECT_EQ(store.statistics().paths, validate ? 3u : 2u);
  }
}

}  // namespace
}  // namespace touchstone::engine
