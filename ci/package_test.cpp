// What leaves the build: the installed tree as another project finds it, the Debian package, the manual page, the completion. The danger is
// a header or a library that is needed and not installed: inside the repository nobody would notice.

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>

#include "harness/tool_run.h"

namespace touchstone::ci {
namespace {

namespace fs = std::filesystem;
using harness::run_shell;
using harness::ToolRun;

class Package : public testing::Test {
 protected:
  Package() : base_(testing::TempDir() + "package." + std::to_string(::getpid())) {
    fs::create_directories(base_);
  }
  ~Package() override { fs::remove_all(base_); }

  ToolRun install() const {
    return run_shell("cmake --install '" TOUCHSTONE_BUILD "' --prefix '" + (base_ / "usr").string() + "'");
  }

  /// Another project's configuration and build against what was installed.
  ToolRun build_outside(const std::string& source) const {
    const std::string build = "'" + (base_ / "build").string() + "'";
    return run_shell("(cmake -G Ninja -S '" + source + "' -B " + build + " -DCMAKE_PREFIX_PATH='" +
                     (base_ / "usr").string() +
                     "' -DCMAKE_CXX_COMPILER='" TOUCHSTONE_COMPILER "' && cmake --build " + build + ")");
  }

  const fs::path base_;
};

TEST_F(Package, IsFoundAndUsedByAnotherProject) {
  const ToolRun installed = install();
  ASSERT_EQ(installed.status, 0) << installed.output;
  const ToolRun built = build_outside(TOUCHSTONE_TOP "/ci/outside");
  ASSERT_EQ(built.status, 0) << built.output;
  const ToolRun ran = run_shell("'" + (base_ / "build/outside").string() + "'");
  EXPECT_EQ(ran.status, 0) << ran.output;
  EXPECT_EQ(run_shell("'" + (base_ / "usr/bin/touchstone").string() + "' --version").status, 0);
}

TEST_F(Package, NamesAComponentThatItDoesNotHave) {
  ASSERT_EQ(install().status, 0);
  std::ofstream(base_ / "CMakeLists.txt")
      << "cmake_minimum_required(VERSION 3.25)\nproject(asks LANGUAGES CXX)\n"
         "find_package(Touchstone CONFIG REQUIRED COMPONENTS engine oracle)\n";
  const ToolRun configured = build_outside(base_.string());
  EXPECT_NE(configured.status, 0);
  EXPECT_NE(configured.output.find("oracle"), std::string::npos) << configured.output;
}

std::set<std::string> options_in(const std::string& text) {
  const std::regex option("--[a-z-]+");
  return {std::sregex_token_iterator(text.begin(), text.end(), option), std::sregex_token_iterator()};
}

/// The options of each subcommand: those at the beginning of a line of its help.
std::map<std::string, std::set<std::string>> options_of_the_tool() {
  std::map<std::string, std::set<std::string>> all;
  const std::regex entry("(?:^|\n)  (--[a-z-]+)");
  for (const char* command :
       {"check", "convert", "doctor", "engines", "explore", "fuzz", "merge", "reap", "replay", "verify"}) {
    const std::string help = run_shell(std::string("'" TOUCHSTONE_TOOL "' ") + command + " --help").output;
    auto& options = all[command];
    for (auto it = std::sregex_iterator(help.begin(), help.end(), entry); it != std::sregex_iterator(); ++it)
      options.insert((*it)[1]);
    EXPECT_FALSE(options.empty()) << command;
  }
  return all;
}

TEST(ManualPage, HasExactlyTheToolsSubcommandsAndOptions) {
  std::ifstream file(TOUCHSTONE_TOP "/docs/touchstone.1");
  std::string page{std::istreambuf_iterator<char>(file), {}};
  page = std::regex_replace(page, std::regex(R"(\\-)"), "-");
  std::map<std::string, std::set<std::string>> shown;
  const std::regex section(R"(\.SS ([a-z]+)[^\n]*\n([^]*?)(?=\n\.S[SH]))");
  for (auto it = std::sregex_iterator(page.begin(), page.end(), section); it != std::sregex_iterator(); ++it)
    shown[(*it)[1]] = options_in((*it)[2]);
  EXPECT_EQ(shown, options_of_the_tool());
}

/// What bash would offer after these words, the last of which is being typed.
std::string completions(const std::string& words) {
  return run_shell("bash -c 'source " TOUCHSTONE_TOP "/harness/shell/touchstone.bash; COMP_WORDS=(" + words +
                   "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _touchstone " TOUCHSTONE_TOOL
                   "; echo \"${COMPREPLY[@]}\"'")
      .output;
}

TEST(Completion, OffersSubcommandsOptionsAndTheirValues) {
  EXPECT_EQ(completions("touchstone re"), "reap replay\n");
  EXPECT_EQ(completions("touchstone verify --s"), "--seed --shard\n");
  EXPECT_EQ(completions("touchstone check --format e"), "etcd edn elle\n");
  EXPECT_EQ(completions("touchstone verify --nothing"), "\n");
}

}  // namespace
}  // namespace touchstone::ci
