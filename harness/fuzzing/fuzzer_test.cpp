// The fuzzer as a whole, on the engine as it is: it repeats itself from its seed, goes on from its corpus, and reports what its children
// die of. What it finds in engines with planted bugs is tried in harness/mutants.

#include "harness/fuzzing/fuzzer.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>

#include "harness/fuzzing/children.h"

namespace touchstone::harness::fuzzing {
namespace {

namespace fs = std::filesystem;

class Fuzzing : public testing::Test {
 protected:
  ~Fuzzing() override { fs::remove_all(out_); }

  FuzzReport run(std::uint64_t executions, std::size_t jobs, const std::string& name) {
    return fuzz({.seed = Seed::of_process(),
                 .executions = executions,
                 .jobs = jobs,
                 .corpus = out_ / name,
                 .out = out_,
                 .tool = "touchstone"});
  }

  std::set<std::string> files(const std::string& name) const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(out_ / name)) names.insert(entry.path().filename());
    return names;
  }

  const fs::path out_ = testing::TempDir() + "fuzzing." + std::to_string(::getpid());
};

TEST_F(Fuzzing, RepeatsItselfFromItsSeed) {
  const FuzzReport first = run(2'500, 2, "first");
  const FuzzReport second = run(2'500, 2, "second");
  EXPECT_EQ(first.executions, 2'500);
  EXPECT_TRUE(first.failures.empty()) << to_json(first);
  EXPECT_GT(first.features, 300);
  EXPECT_EQ(second.features, first.features);
  EXPECT_EQ(files("second"), files("first"));
}

TEST_F(Fuzzing, GoesOnFromItsCorpus) {
  const FuzzReport first = run(2'000, 1, "corpus");
  const std::size_t kept = files("corpus").size();
  const FuzzReport again = run(1, 1, "corpus");  // reading it is the first of all
  EXPECT_GE(again.features * 10, first.features * 9);
  EXPECT_EQ(again.executions, 1);
  EXPECT_EQ(again.of_corpus, kept);
}

TEST_F(Fuzzing, RefusesACorpusThatItDoesNotUnderstand) {
  fs::create_directories(out_ / "bad");
  std::ofstream(out_ / "bad" / "mine.txt")
      << "touchstone-fuzz 1\nnonsense\ntouchstone-scenario 1\nworker A: add n\n";
  try {
    run(1, 1, "bad");
    FAIL() << "it was taken";
  } catch (const MalformedCase& malformed) {
    EXPECT_NE(std::string(malformed.what()).find("mine.txt:2: not understood: nonsense"), std::string::npos)
        << malformed.what();
  }
}

// What a case does to its process must not be done to the fuzzer's.
TEST(Children, SayHowTheyEnded) {
  SharedProgress progress(4);
  const auto ends = run_children({[] { return std::string("whole"); },
                                  []() -> std::string {
                                    ::raise(SIGKILL);
                                    return "";
                                  },
                                  []() -> std::string { ::_exit(3); },
                                  []() -> std::string {
                                    while (true) ::pause();
                                  }},
                                 progress, std::chrono::seconds(1));
  ASSERT_EQ(ends.size(), 4);
  EXPECT_TRUE(ends[0].returned);
  EXPECT_EQ(ends[0].text, "whole");
  EXPECT_EQ(ends[1].text, "signal 9 (Killed)");
  EXPECT_EQ(ends[2].text, "exit status 3");
  EXPECT_EQ(ends[3].text, "hung");
}

}  // namespace
}  // namespace touchstone::harness::fuzzing
