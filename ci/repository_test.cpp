// The repository polices itself: what people would otherwise have to remember in review. Each rule names its
// offender as file:line. The rules run over every file of the project's folders, tracked or not.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ci/source_tree.h"

namespace touchstone::ci {
namespace {

const std::vector<SourceFile>& tree() {
  static const std::vector<SourceFile> files = read_source_tree(TOUCHSTONE_TOP);
  return files;
}

void expect_none(const std::vector<std::string>& offenders) {
  for (const auto& offender : offenders) ADD_FAILURE() << offender;
}

/// Every line of a C++ file that matches, with comments and the contents of string literals taken out.
std::vector<std::string> lines_of_code_matching(const std::regex& pattern,
                                                const std::function<bool(const SourceFile&)>& applies) {
  std::vector<std::string> offenders;
  for (const auto& file : tree()) {
    if (!file.is_cpp() || !applies(file)) continue;
    for (std::size_t i = 0; i < file.code.size(); ++i)
      if (std::regex_search(file.code[i], pattern)) offenders.push_back(file.at(i) + ": " + file.lines[i]);
  }
  return offenders;
}

bool everywhere(const SourceFile&) {
  return true;
}

TEST(Repository, TreeWasRead) {
  EXPECT_GT(tree().size(), 20u);
  for (const char* folder : {"engine", "model", "harness", "ci"})
    EXPECT_TRUE(std::any_of(tree().begin(), tree().end(), [&](const auto& f) {
      return f.folder() == folder;
    })) << folder;
}

TEST(Repository, LayersPointOneWay) {
  expect_none(
      lines_of_code_matching(std::regex(R"(^\s*#\s*include\s*"(model|harness|stress|fuzz|bench|ci)/)"),
                             [](const auto& f) { return f.folder() == "engine" && !f.belongs_to_tests(); }));
  expect_none(
      lines_of_code_matching(std::regex(R"(^\s*#\s*include\s*"(engine|harness|stress|fuzz|bench|ci)/)"),
                             [](const auto& f) { return f.folder() == "model" && !f.belongs_to_tests(); }));
  // A unit test beside its subject may draw from the harness's seed; it still stays on its side of the fence.
  expect_none(
      lines_of_code_matching(std::regex(R"(^\s*#\s*include\s*"(model|stress|fuzz|bench|ci)/)"),
                             [](const auto& f) { return f.folder() == "engine" && f.belongs_to_tests(); }));
  expect_none(
      lines_of_code_matching(std::regex(R"(^\s*#\s*include\s*"(engine|stress|fuzz|bench|ci)/)"),
                             [](const auto& f) { return f.folder() == "model" && f.belongs_to_tests(); }));
  expect_none(lines_of_code_matching(std::regex(R"(^\s*#\s*include\s*"(stress|fuzz|bench)/)"),
                                     [](const auto& f) { return f.folder() == "harness"; }));
}

TEST(Repository, EngineAndModelStandOnTheirOwnLibrariesOnly) {
  // Standard headers have neither a dot nor a slash; the engine may also ask the system and Boost.
  expect_none(lines_of_code_matching(std::regex(R"(^\s*#\s*include\s*<[^>]*[./])"), [](const auto& f) {
    return f.folder() == "model" && !f.belongs_to_tests();
  }));
  expect_none(lines_of_code_matching(
      std::regex(R"(^\s*#\s*include\s*<(?!boost/|linux/|sys/|[a-z_0-9]+\.h>|[a-z_0-9]+>))"),
      [](const auto& f) {
        return f.folder() == "engine" && !f.belongs_to_tests() && f.path != "engine/etcd/gateway.cpp";
      }));
  // Decision 0013: etcd's gateway speaks JSON.
  expect_none(
      lines_of_code_matching(std::regex(R"(^\s*#\s*include\s*<(?!boost/|nlohmann/json\.hpp>|[a-z_0-9]+>))"),
                             [](const auto& f) { return f.path == "engine/etcd/gateway.cpp"; }));
}

TEST(Repository, IncludesAreRepositoryRooted) {
  expect_none(lines_of_code_matching(
      std::regex(R"re(^\s*#\s*include\s*"(?!(engine|model|harness|stress|fuzz|bench|ci|docs)/))re"),
      everywhere));
}

TEST(Repository, SourcesIncludeTheirOwnHeaderFirst) {
  std::set<std::string> headers;
  for (const auto& file : tree()) headers.insert(file.path);
  for (const auto& file : tree()) {
    if (file.extension() != ".cpp" || file.is_test()) continue;
    const std::string header = file.path.substr(0, file.path.size() - 4) + ".h";
    if (headers.count(header) == 0) continue;
    const auto first = std::find_if(file.code.begin(), file.code.end(), [](const std::string& line) {
      return line.find("#include") != std::string::npos;
    });
    EXPECT_TRUE(first != file.code.end() && first->find('"' + header + '"') != std::string::npos)
        << file.path;
  }
}

TEST(Repository, BannedCallsAreAbsent) {
  struct Ban {
    const char* pattern;
    const char* because;
    std::string_view shown_by = "";  ///< the test that shows it
  };
  const std::array<Ban, 12> bans = {{
      {R"(\b(s?rand|random_device|mt19937(_64)?|default_random_engine)\b(?!\s*=))",
       "every random choice derives from the seed"},
      {R"(\buniform_(int|real)_distribution\b|\bbernoulli_distribution\b|std::shuffle\b)",
       "std's distributions differ between libraries"},
      {R"(\batomic_thread_fence\b)", "g++ rejects stand-alone fences under ThreadSanitizer"},
      {R"(std::(format|expected|source_location)\b)", "clang 14 has none"},
      {R"(\b(strcpy|strcat|sprintf|vsprintf|gets|tmpnam|mktemp)\s*\()", "unbounded or racy"},
      {R"(using namespace std\s*;)", "names stay where they are"},
      {R"(\bLOCK_UN\b)", "a fork child's unlock would drop its parent's lock"},
      {R"(\bF_SETLKW?\b)", "any unrelated close drops a POSIX record lock"},
      {R"(\bmanaged_shared_memory\b)", "its open hangs after a kill", "stress/chaos/peers_crash_test.cpp"},
      {R"(\bTEST(_F|_P)?\s*\(\s*\w+\s*,\s*(DISABLED_|Test\d))", "a test's name is a claim, and it runs"},
      {R"(\bdetach\s*\(\s*\))", "a thread that nobody joins outlives its test"},
      {R"(\bsystem\s*\()", "a shell between us and the exit status"},
  }};
  for (const auto& ban : bans) {
    const auto offenders = lines_of_code_matching(std::regex(ban.pattern), [&ban](const auto& f) {
      return f.path != "ci/repository_test.cpp" && f.path != ban.shown_by;
    });
    for (const auto& offender : offenders) ADD_FAILURE() << offender << "\n  banned: " << ban.because;
  }
}

TEST(Repository, EngineWaitsAndReadsTheClockOnlyThroughItsPlatform) {
  expect_none(lines_of_code_matching(
      std::regex(
          R"(this_thread|steady_clock::now|system_clock::now|std::(mutex|thread|jthread|atomic)\b|sleep_for)"),
      [](const auto& f) {
        // Segments talk to the kernel about processes: they are not under the scheduler.
        return f.folder() == "engine" && !f.belongs_to_tests() &&
               f.path.find("native_platform") == std::string::npos && f.path.find("engine/segments") != 0;
      }));
}

TEST(Repository, NothingIsLeftForLater) {
  for (const auto& file : tree()) {
    if (file.path == "ci/repository_test.cpp") continue;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      static const std::regex marks(R"(\b(TODO|FIXME|XXX|HACK)\b)");
      if (std::regex_search(file.lines[i], marks)) ADD_FAILURE() << file.at(i) << ": " << file.lines[i];
    }
  }
}

TEST(Repository, SkipsAreNamedAndExpected) {
  for (const auto& file : tree()) {
    if (!file.is_cpp() || file.path == "ci/repository_test.cpp") continue;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      if (file.code[i].find("GTEST_SKIP") == std::string::npos) continue;
      const std::string next = i + 1 < file.lines.size() ? file.lines[i + 1] : "";
      EXPECT_NE((file.lines[i] + next).find("\"expected skip: "), std::string::npos) << file.at(i);
    }
  }
}

TEST(Repository, FilesStayUnderFiveHundredLines) {
  for (const auto& file : tree()) {
    if (file.is_cpp() || file.is_script()) {
      EXPECT_LE(file.lines.size(), 500u) << file.path;
    }
  }
}

TEST(Repository, HeadersAreIncludedOnce) {
  for (const auto& file : tree()) {
    if (file.extension() != ".h") continue;
    const bool once = std::any_of(file.lines.begin(), file.lines.end(),
                                  [](const std::string& line) { return line == "#pragma once"; });
    EXPECT_TRUE(once) << file.path << " has no #pragma once";
  }
}

TEST(Repository, NoFileIsNamedAfterNothing) {
  static const std::regex vague(R"((^|[/_])(util|utils|helper|helpers|common|misc|manager)([_.]|/))");
  for (const auto& file : tree()) EXPECT_FALSE(std::regex_search(file.path, vague)) << file.path;
}

TEST(Repository, NoFileNamesAMachine) {
  // A path of somebody's machine works on that machine only.
  static const std::regex machine(R"((^|[\s"'=(])/(work|home|root|Users|mnt)/)");
  for (const auto& file : tree()) {
    if (file.path == "ci/repository_test.cpp") continue;
    for (std::size_t i = 0; i < file.lines.size(); ++i)
      if (std::regex_search(file.lines[i], machine)) ADD_FAILURE() << file.at(i) << ": " << file.lines[i];
  }
}

TEST(Repository, TestsPutTheirFilesWhereTheyAreLookedFor) {
  for (const auto& file : tree()) {
    if (!file.is_cpp() || file.path == "ci/repository_test.cpp") continue;
    for (std::size_t i = 0; i < file.lines.size(); ++i)
      EXPECT_EQ(file.lines[i].find("\"/tmp"), std::string::npos)
          << file.at(i) << ": use testing::TempDir(), which ctest watches";
  }
}

/// The CMakeLists.txt files of a file's folder and its parents, as one text.
std::string build_files_for(const SourceFile& file) {
  std::string text;
  for (const auto& candidate : tree()) {
    if (candidate.name() != "CMakeLists.txt") continue;
    const std::string folder = candidate.path.substr(0, candidate.path.size() - candidate.name().size());
    if (file.path.compare(0, folder.size(), folder) == 0) text += candidate.text;
  }
  return text;
}

TEST(Repository, EverySourceIsBuiltAndEveryHeaderIncluded) {
  std::string all;
  for (const auto& file : tree())
    if (file.is_cpp()) all += file.text;
  for (const auto& file : tree()) {
    if (file.extension() == ".cpp") {
      EXPECT_NE(build_files_for(file).find(file.name()), std::string::npos)
          << file.path << " is in no CMakeLists.txt: no build compiles it";
    } else if (file.extension() == ".h") {
      EXPECT_NE(all.find("#include \"" + file.path + "\""), std::string::npos)
          << file.path << " is included nowhere";
    }
  }
}

TEST(Repository, EveryScriptIsNamedSomewhere) {
  for (const auto& script : tree()) {
    if (!script.is_script() || script.path == ".ci/run") continue;
    const bool named = std::any_of(tree().begin(), tree().end(), [&](const auto& other) {
      return other.path != script.path && other.text.find(script.path) != std::string::npos;
    });
    EXPECT_TRUE(named) << script.path << " is named nowhere: nobody finds it";
    EXPECT_NE(script.text.find("set -euo pipefail"), std::string::npos) << script.path;
  }
}

TEST(Repository, EveryTestSourceIsRegisteredWithCtest) {
  for (const auto& file : tree()) {
    if (!file.is_test()) continue;
    const std::string build = build_files_for(file);
    const std::regex registered(R"(touchstone_test\([^)]*\b)" +
                                std::regex_replace(file.name(), std::regex(R"(\.)"), "\\.") + R"(\b)");
    EXPECT_TRUE(std::regex_search(build, registered)) << file.path << " is in no touchstone_test()";
  }
}

TEST(Repository, EveryTestHasExactlyOneLabel) {
  const std::set<std::string> known = {"unit",  "model", "property", "schedule", "stress",
                                       "chaos", "fuzz",  "bench",    "engines",  "meta"};
  FILE* pipe = ::popen("ctest --test-dir '" TOUCHSTONE_BUILD "' --show-only=json-v1 2>/dev/null", "r");
  ASSERT_NE(pipe, nullptr);
  std::string text;
  std::array<char, 65536> buffer;
  while (std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) text.append(buffer.data(), n);
  ::pclose(pipe);
  const auto tests = nlohmann::json::parse(text).at("tests");
  EXPECT_GT(tests.size(), 20u);
  for (const auto& test : tests) {
    const std::string name = test.at("name");
    if (name.find("_NOT_BUILT") != std::string::npos) continue;  // ctest fails it by itself
    std::vector<std::string> labels;
    for (const auto& property : test.at("properties"))
      if (property.at("name") == "LABELS") labels = property.at("value").get<std::vector<std::string>>();
    EXPECT_TRUE(labels.size() == 1 && known.count(labels.front()) == 1) << name;
  }
}

}  // namespace
}  // namespace touchstone::ci
