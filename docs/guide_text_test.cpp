// The documents show exactly the code that is compiled and run.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace touchstone {
namespace {

using Block = std::vector<std::string>;

/// The lines between each line that is `begin` and the next that is `end`, blanks around them aside.
std::vector<Block> blocks_between(const std::string& file, const std::string& begin, const std::string& end) {
  std::ifstream stream(std::string(TOUCHSTONE_TOP) + "/docs/" + file);
  EXPECT_TRUE(stream) << file;
  std::vector<Block> blocks;
  bool inside = false;
  for (std::string line; std::getline(stream, line);) {
    const auto first = line.find_first_not_of(' ');
    const std::string bare = first == std::string::npos ? "" : line.substr(first);
    if (!inside && bare == begin) {
      blocks.emplace_back();
      inside = true;
    } else if (inside && bare == end) {
      inside = false;
    } else if (inside) {
      blocks.back().push_back(line);
    }
  }
  EXPECT_FALSE(inside) << file << " has a block without an end";
  return blocks;
}

/// Without the indentation that all lines share.
std::string flush_left(const Block& block) {
  std::size_t indent = std::string::npos;
  for (const auto& line : block) {
    if (!line.empty()) indent = std::min(indent, line.find_first_not_of(' '));
  }
  std::ostringstream text;
  for (const auto& line : block) text << (line.empty() ? line : line.substr(indent)) << '\n';
  return text.str();
}

// Danger: an example in a document that no longer compiles, or says something else than what was run. The oracle: block by block, the
// document's text is the test's text.
void shows(const std::string& document, const std::string& test, const std::string& mark, std::size_t least) {
  const auto shown = blocks_between(document, "```cpp", "```");
  const auto run = blocks_between(test, "// " + mark + ": begin", "// " + mark + ": end");
  ASSERT_EQ(shown.size(), run.size());
  ASSERT_GE(shown.size(), least);
  for (std::size_t i = 0; i < shown.size(); ++i)
    EXPECT_EQ(flush_left(shown[i]), flush_left(run[i])) << document << ", block " << i + 1;
}

TEST(GuideText, ShowsTheExamplesThatRun) {
  shows("guide.md", "guide_test.cpp", "guide", 5);
}

TEST(AdoptText, ShowsTheEngineThatRuns) {
  shows("adopt.md", "adopt_test.cpp", "adopt", 2);
}

}  // namespace
}  // namespace touchstone
