// The generator of mutants on trial (ci/mutation): a campaign that makes no mutants of a line kills them all.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace touchstone::harness {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSample = R"(#pragma once
#include <atomic>
#include <mutex>
constexpr int kMost = 5;
struct Sample {
  bool full(int n) const { return n >= kMost; }
  int take(int n) {
    const std::lock_guard lock(mutex_);
    if (n == 0) return -1;
    note(n);  // n >= 1
    word_.store(n);
    return n + word_.load(std::memory_order_acquire);
  }
  void note(int n) {
    if (ready_ && n != 2) last_ = n;
  }
  std::mutex mutex_;
  std::atomic<int> word_{0};
  bool ready_ = true;
  int last_ = 0;
};
)";

/// Of lines 6, 8 to 12 and 15, and of the members.
constexpr const char* kMutants = R"(6: full: return: n >= kMost -> negated
6: full: comparison: >= -> <
6: full: comparison: >= -> >
6: full: constant: kMost -> kMost + 1
6: full: constant: kMost -> kMost - 1
8: take: guard: dropped
9: take: condition: n == 0 -> true
9: take: constant: 0 -> 1
9: take: statement: dropped
9: take: arithmetic: -1 -> not negated
9: take: constant: 1 -> 0
9: take: constant: 1 -> 2
10: take: exchange: after word_.store(n);
10: take: statement: dropped
11: take: statement: dropped
11: take: order: store seq_cst -> relaxed
11: take: order: store seq_cst -> release
12: take: return: n + word_.load(std::memory_order_acquire) -> 0
12: take: arithmetic: + -> -
12: take: order: load acquire -> relaxed
15: note: condition: ready_ && n != 2 -> true
15: note: logic: && -> ||
15: note: logic: ready_ -> true
15: note: logic: n != 2 -> true
15: note: constant: 2 -> 1
15: note: constant: 2 -> 3
15: note: statement: dropped
18: Sample: constant: 0 -> 1
19: Sample: constant: true -> false
20: Sample: constant: 0 -> 1
)";

class Generator : public testing::Test {
 protected:
  Generator() : top_(testing::TempDir() + "generator." + std::to_string(::getpid())) {
    fs::create_directories(top_ / "engine");
    fs::create_directories(top_ / "harness/mutants");
    std::ofstream(top_ / "engine/sample.h") << kSample;
    give_reasons("");
  }
  ~Generator() override { fs::remove_all(top_); }

  void give_reasons(const std::string& text) {
    std::ofstream(top_ / "harness/mutants/equivalent.txt") << text;
  }

  int call(const std::string& command) {
    output_.clear();
    FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
    std::array<char, 4096> buffer;
    while (std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe))
      output_.append(buffer.data(), n);
    const int status = ::pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  int run(const std::string& options) { return call("'" TOUCHSTONE_TOP "/ci/mutation' " + options); }
  int run_on_sample(const std::string& options) { return run("--top '" + top_.string() + "' " + options); }

  const fs::path top_;
  std::string output_;
};

/// The output's lines without the file, the class and the text of the line.
std::string in_short(const std::string& output) {
  std::string lines;
  std::size_t at = 0;
  for (std::size_t end = output.find('\n'); end != std::string::npos;
       at = end + 1, end = output.find('\n', at)) {
    std::string line = output.substr(at, end - at);
    line = line.substr(line.find(':') + 1);
    if (const auto scope = line.find("Sample::"); scope != std::string::npos) line.erase(scope, 8);
    std::size_t text = 0;  // behind the number, the function and the operator comes the change
    for (int part = 0; part < 3; ++part) text = line.find(": ", text) + 2;
    lines += line.substr(0, line.find(": ", text)) + '\n';
  }
  return lines;
}

TEST_F(Generator, MakesTheMutantsOfEveryOperatorOnASample) {
  ASSERT_EQ(run_on_sample("--list"), 0) << output_;
  EXPECT_EQ(in_short(output_), kMutants);
}

TEST_F(Generator, SamplesEvenlyAndTheSameFromOneSeed) {
  ASSERT_EQ(run_on_sample("--list --sample 10 --seed 3"), 0) << output_;
  const std::string first = output_;
  for (const char* name :
       {": arithmetic: ", ": comparison: ", ": condition: ", ": constant: ", ": exchange: ", ": guard: ",
        ": logic: ", ": order: ", ": return: ", ": statement: "})
    EXPECT_NE(first.find(name), std::string::npos) << name << first;
  run_on_sample("--list --sample 10 --seed 3");
  EXPECT_EQ(output_, first);
  ASSERT_EQ(run_on_sample("--list --operator guard"), 0);
  EXPECT_EQ(in_short(output_), "8: take: guard: dropped\n");
}

TEST_F(Generator, AReasonOfAMutantThatIsNotMadeIsAnError) {
  const std::string known =
      "engine/sample.h | Sample::take | guard | const std::lock_guard lock(mutex_); | dropped\n";
  const std::string stale =
      "engine/sample.h | Sample::take | guard | const std::lock_guard lock(gone_); | dropped\n";
  give_reasons("# a comment\n" + known + "  one thread only\n");
  EXPECT_EQ(run_on_sample("--check"), 0) << output_;
  give_reasons(known + stale + "  one thread only\n");
  EXPECT_EQ(run_on_sample("--check"), 1);
  EXPECT_EQ(output_, "harness/mutants/equivalent.txt: no such mutant: " + stale);
}

TEST_F(Generator, ARuleIsAReasonOfAllThatItDescribesAndStaleWhenItDescribesNone) {
  give_reasons("/engine/.*[.]h/ | Sample::take | /order|guard/ | /.*/ | /.*/\n  one thread only\n");
  EXPECT_EQ(run_on_sample("--check"), 0) << output_;
  const std::string stale = "engine/sample.h | Sample::take | order | /.*gone_.*/ | /.*/\n";
  give_reasons(stale + "  one thread only\n");
  EXPECT_EQ(run_on_sample("--check"), 1);
  EXPECT_EQ(output_, "harness/mutants/equivalent.txt: no such mutant: " + stale);
}

TEST_F(Generator, RefusesFilesAndOperatorsThatAreNot) {
  EXPECT_EQ(run_on_sample("--list --files other.h"), 64);
  EXPECT_NE(output_.find("no such file of the engine: engine/other.h"), std::string::npos) << output_;
  EXPECT_EQ(run_on_sample("--list --operator twist"), 64);
  EXPECT_NE(output_.find("no such operator: twist"), std::string::npos) << output_;
}

/// A repository of its own around the sample, with a test of take() and none of the rest.
class GeneratedCampaign : public Generator {
 protected:
  GeneratedCampaign() {
    write("CMakePresets.json", R"({"version": 6, "configurePresets": [{"name": "dev", "generator": "Ninja",
      "binaryDir": "${sourceDir}/build", "cacheVariables": {"CMAKE_CXX_COMPILER": "clang++"}}]})");
    write("CMakeLists.txt", R"(cmake_minimum_required(VERSION 3.25)
project(Sample CXX)
set(CMAKE_CXX_STANDARD 20)
enable_testing()
include(GoogleTest)
find_package(GTest REQUIRED)
include_directories(.)
function(touchstone_test)
  add_executable(sample_test sample_test.cpp engine/sample.cpp)
  target_link_libraries(sample_test GTest::gtest_main)
  gtest_discover_tests(sample_test TEST_PREFIX unit/)
endfunction()
touchstone_test(NAME sample_test LABEL unit)
)");
    write("engine/sample.cpp", "#include \"engine/sample.h\"\n");
    write("sample_test.cpp", first_test_);
    EXPECT_EQ(call("git init -q '" + top_.string() + "'"), 0) << output_;
  }

  void write(const std::string& file, const std::string& text) { std::ofstream(top_ / file) << text; }

  std::vector<std::string> lines() const {
    std::ifstream in(top_ / "build/mutation/results.jsonl");
    std::vector<std::string> all;
    for (std::string line; std::getline(in, line);) all.push_back(line);
    return all;
  }

  static int count(const std::vector<std::string>& lines, const std::string& part) {
    return static_cast<int>(std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
      return line.find(part) != std::string::npos;
    }));
  }

  const std::string first_test_ = R"(#include <gtest/gtest.h>
#include "engine/sample.h"
TEST(Take, AddsWhatItStored) { EXPECT_EQ(Sample{}.take(3), 6); }
)";
};

TEST_F(GeneratedCampaign, GoesOnAfterItWasKilledInTheMiddleOfALineAndTriesSurvivorsAgain) {
  const std::string campaign = "--operator statement return --jobs 1 ";
  ASSERT_EQ(run_on_sample(campaign), 1) << output_;
  const std::vector<std::string> whole = lines();
  ASSERT_EQ(whole.size(), 6u) << output_;
  EXPECT_FALSE(fs::exists(top_ / "build/mutation/do-not-compile.txt"))
      << "every mutant of the sample can be tried";
  EXPECT_EQ(count(whole, R"("verdict": "killed")"), 2) << output_;  // word_.store dropped, take() gives 0

  // Killed while it wrote the fourth verdict.
  write("build/mutation/results.jsonl",
        whole[0] + '\n' + whole[1] + '\n' + whole[2] + '\n' + whole[3].substr(0, 40));
  ASSERT_EQ(run_on_sample(campaign), 1) << output_;
  EXPECT_NE(output_.find("3 of 6 mutants to try"), std::string::npos) << output_;
  ASSERT_EQ(run_on_sample(campaign + "--score"), 1);
  EXPECT_EQ(output_.rfind("6 of 6 mutants tried.", 0), 0u) << output_;

  // A new test is tried on the survivors only.
  write("sample_test.cpp", first_test_ + R"(TEST(Take, RefusesNothing) { EXPECT_EQ(Sample{}.take(0), -1); }
TEST(Full, FromFiveOn) { EXPECT_TRUE(Sample{}.full(5)); }
)");
  ASSERT_EQ(run_on_sample(campaign + "--again"), 1) << output_;
  EXPECT_NE(output_.find("4 of 6 mutants to try"), std::string::npos) << output_;
  EXPECT_EQ(count(lines(), R"("check": "Take.RefusesNothing")"), 1) << output_;
  EXPECT_EQ(count(lines(), R"("check": "Full.FromFiveOn")"), 1) << output_;

  // A reason of a survivor is taken; one of a killed mutant is an error.
  const std::string unused =
      "engine/sample.h | Sample::note | statement | if (ready_ && n != 2) last_ = n; | dropped\n"
      "engine/sample.h | Sample::take | statement | note(n); | dropped\n";
  give_reasons(unused + "  nobody reads last_\n");
  EXPECT_EQ(run_on_sample(campaign + "--score"), 0) << output_;
  EXPECT_NE(output_.find("| 2 | nobody reads last_ |"), std::string::npos) << output_;
  const std::string killed =
      "engine/sample.h | Sample::full | return | bool full(int n) const { return n >= kMost; } | n >= kMost "
      "-> negated";
  give_reasons(unused + killed + "\n  nobody reads last_\n");
  EXPECT_EQ(run_on_sample(campaign + "--score"), 1);
  EXPECT_NE(output_.find("killed, so it is not equivalent: " + killed), std::string::npos) << output_;
}

TEST_F(Generator, TheReasonsOfTheEnginesOwnMutantsAreNotStale) {
  EXPECT_EQ(run("--check"), 0) << output_;
}

}  // namespace
}  // namespace touchstone::harness
