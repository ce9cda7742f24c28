// The tables of planted bugs are complete and fit the tree as it is now: a bug that nobody plants any more, a patch that no longer
// applies, or a check that was renamed away would otherwise show only in the next campaign (ci/mutants).

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace touchstone::harness {
namespace {

namespace fs = std::filesystem;
const fs::path kTop = TOUCHSTONE_TOP;

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct Row {
  std::string number, check, what;
};

/// The rows of all tables, in order of their numbers.
std::vector<Row> rows() {
  std::vector<Row> all;
  for (const char* table : {"store.txt", "contention.txt", "segments.txt"}) {
    std::ifstream in(kTop / "harness/mutants" / table);
    for (std::string line; std::getline(in, line);) {
      std::smatch parts;
      if (std::regex_match(line, parts, std::regex(R"((\d\d) \| (.+) \| (.+))"))) {
        all.push_back({parts[1], parts[2], parts[3]});
      } else {
        EXPECT_EQ(line.front(), '#') << table << ": " << line;
      }
    }
  }
  std::sort(all.begin(), all.end(), [](const Row& a, const Row& b) { return a.number < b.number; });
  return all;
}

TEST(MutantTable, HasARowForEveryBugOfTheList) {
  std::vector<std::string> listed, found;
  for (const auto& [first, last] : {std::pair{1, 17}, {20, 49}, {50, 65}})
    for (int n = first; n <= last; ++n) listed.push_back((n < 10 ? "0" : "") + std::to_string(n));
  for (const Row& row : rows()) found.push_back(row.number);
  EXPECT_EQ(found, listed);
}

TEST(MutantTable, HasOnePatchARowAndAllOfThemApply) {
  std::multiset<std::string> patches, numbers;
  for (const Row& row : rows()) numbers.insert(row.number);
  for (const auto& entry : fs::directory_iterator(kTop / "harness/mutants")) {
    if (entry.path().extension() != ".patch") continue;
    patches.insert(entry.path().filename().string().substr(0, 2));
    const std::string apply = "cd '" TOUCHSTONE_TOP "' && git apply --check '" + entry.path().string() + "'";
    FILE* pipe = ::popen(apply.c_str(), "r");
    ASSERT_NE(pipe, nullptr);
    EXPECT_EQ(::pclose(pipe), 0) << entry.path().filename() << " no longer applies";
  }
  EXPECT_EQ(patches, numbers);
}

// A check is a regular expression for ctest -R; read as one for sources, it must find its test.
TEST(MutantTable, NamesChecksThatExist) {
  std::string tests;
  for (const char* folder : {"engine", "model", "harness", "stress"}) {
    for (const auto& entry : fs::recursive_directory_iterator(kTop / folder)) {
      const std::string name = entry.path().filename().string();
      if (name.size() > 9 && name.substr(name.size() - 9) == "_test.cpp") tests += text_of(entry.path());
    }
  }
  for (const Row& row : rows()) {
    const std::string declared = std::regex_replace(row.check, std::regex(R"(\\\.)"), ", ");
    EXPECT_TRUE(std::regex_search(tests, std::regex("TEST(_F|_P)?\\((" + declared + ")\\)"))) << row.check;
  }
}

// docs/mutants.md is what ci/mutants --table has written; a row that was changed since has not been shown killed.
TEST(MutantTable, IsThePageOfTheDocumentation) {
  const std::string page = text_of(kTop / "docs/mutants.md");
  for (const Row& row : rows()) {
    std::string check = std::regex_replace(row.check, std::regex(R"(\\\.)"), ".");
    check = std::regex_replace(check, std::regex(R"(\|)"), "\\|");
    const std::string cells = "| " + row.number + " | " + row.what + " | `" + check + "` | ";
    EXPECT_NE(page.find(cells), std::string::npos) << "not as it was shown killed: " << cells;
  }
}

}  // namespace
}  // namespace touchstone::harness
