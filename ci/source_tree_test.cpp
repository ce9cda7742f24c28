#include "ci/source_tree.h"

#include <gtest/gtest.h>

namespace touchstone::ci {
namespace {

TEST(SourceTree, BlanksCommentsAndStringsAndKeepsTheLines) {
  EXPECT_EQ(without_comments_and_strings("a; // why\nb"), "a;       \nb");
  EXPECT_EQ(without_comments_and_strings("a /* x\ny */ b"), "a     \n     b");
  EXPECT_EQ(without_comments_and_strings(R"(f("// \" no"); g)"), R"(f(          ); g)");
  EXPECT_EQ(without_comments_and_strings("f(R\"(a\")\"); g"), "f(R      ); g");
  EXPECT_EQ(without_comments_and_strings("1'000 '\"' x"), "1'000     x");
}

TEST(SourceTree, KeepsTheNameOfAnInclude) {
  EXPECT_EQ(without_comments_and_strings("#include \"a/b.h\"  // why"), "#include \"a/b.h\"        ");
}

}  // namespace
}  // namespace touchstone::ci
