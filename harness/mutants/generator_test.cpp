// The generator of mutants on trial (ci/mutation): a campaign that makes no mutants of a line kills them all.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

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

  int run(const std::string& options) {
    output_.clear();
    FILE* pipe = ::popen(("'" TOUCHSTONE_TOP "/ci/mutation' " + options + " 2>&1").c_str(), "r");
    std::array<char, 4096> buffer;
    while (std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe))
      output_.append(buffer.data(), n);
    const int status = ::pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

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

TEST_F(Generator, RefusesFilesAndOperatorsThatAreNot) {
  EXPECT_EQ(run_on_sample("--list --files other.h"), 64);
  EXPECT_NE(output_.find("no such file of the engine: engine/other.h"), std::string::npos) << output_;
  EXPECT_EQ(run_on_sample("--list --operator twist"), 64);
  EXPECT_NE(output_.find("no such operator: twist"), std::string::npos) << output_;
}

TEST_F(Generator, TheReasonsOfTheEnginesOwnMutantsAreNotStale) {
  EXPECT_EQ(run("--check"), 0) << output_;
}

}  // namespace
}  // namespace touchstone::harness
