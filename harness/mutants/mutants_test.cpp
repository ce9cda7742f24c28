// The testers on trial. A harness that finds nothing in a correct engine cannot be told from a broken one; so an engine
// with a planted bug must be caught by the named check, the failure must print a replay line, and that line, run by a
// shell at the top of the repository, must fail again.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include "harness/replay.h"

namespace touchstone::harness {
namespace {

struct Outcome {
  int status;
  std::string output;
};

Outcome run(const std::string& command) {
  FILE* pipe = ::popen(("cd '" TOUCHSTONE_TOP "' && (" + command + "\n) 2>&1").c_str(), "r");
  std::string output;
  std::array<char, 4096> buffer;
  while (std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), n);
  const int status = ::pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output};
}

std::string replay_line_in(const std::string& output) {
  const std::string mark = "replay: ";
  const auto at = output.find(mark);
  if (at == std::string::npos) return "";
  return output.substr(at + mark.size(), output.find('\n', at) - at - mark.size());
}

/// `check` is what the mutant's binary is told; `target` names the claim or test that must catch it.
void expect_killed(const std::string& number, const std::string& check, const std::string& target) {
  const std::filesystem::path home = std::filesystem::path(TOUCHSTONE_MUTANTS) / number;
  ASSERT_TRUE(std::filesystem::exists(home / "planted"));
  ASSERT_FALSE(std::filesystem::exists(home / "does-not-apply")) << "the patch no longer applies";
  const Outcome first = run("'" TOUCHSTONE_BIN "/mutant_" + number + "' " + check);
  ASSERT_NE(first.status, 0) << "the mutant survived:\n" << first.output;
  const std::string line = replay_line_in(first.output);
  ASSERT_NE(line.find(target), std::string::npos) << "no replay line of " << target << ":\n" << first.output;
  ASSERT_TRUE(std::holds_alternative<ReplayLine>(parse_replay_line(line))) << line;
  const Outcome again = run(line);
  EXPECT_NE(again.status, 0) << "the replay passed: " << line << "\n" << again.output;
  EXPECT_EQ(replay_line_in(again.output), line);
}

TEST(Mutant04, OfTheStoreIsKilledAndItsReplayFailsAgain) {
  expect_killed("04", "verify --claim A5 --out ''", "--claim A5");
}

TEST(Mutant22, OfTheTicketIsKilledAndItsReplayFailsAgain) {
  expect_killed("22", "verify --claim B7 --out ''", "--claim B7");
}

TEST(Mutant50, OfTheSegmentsIsKilledAndItsReplayFailsAgain) {
  expect_killed("50", "--gtest_filter=AcceptanceC1.AForkChildThatBecomesAMainAllocatesUnderItsOwnPid",
                "AcceptanceC1.AForkChildThatBecomesAMainAllocatesUnderItsOwnPid");
}

/// `fuzz` finds the bug from each of these seeds, and what it keeps of it fails again: by its line, and as a directory.
void expect_fuzzed(const std::string& number, const std::vector<int>& seeds) {
  const std::filesystem::path out =
      testing::TempDir() + "fuzzed." + number + "." + std::to_string(::getpid());
  for (const int seed : seeds) {
    std::filesystem::remove_all(out);
    const Outcome found = run("'" TOUCHSTONE_BIN "/mutant_" + number + "' fuzz --executions 3000 --seed " +
                              std::to_string(seed) + " --out '" + out.string() + "'");
    EXPECT_EQ(found.status, 1) << "not found from seed " << seed << ":\n" << found.output;
    const std::string line = replay_line_in(found.output);
    ASSERT_NE(line.find("--class exact"), std::string::npos) << found.output;
    const Outcome again = run(line);
    EXPECT_EQ(again.status, 1) << "the replay passed: " << line << "\n" << again.output;
    const auto directory = std::filesystem::path(line.substr(line.find(" --scenario ") + 12)).parent_path();
    for (const char* file :
         {"case.txt", "scenario.txt", "schedule.txt", "trace.txt", "history.jsonl", "replay.txt"})
      EXPECT_TRUE(std::filesystem::exists(directory / file)) << directory / file;
    const Outcome kept =
        run("'" TOUCHSTONE_BIN "/mutant_" + number + "' replay '" + directory.string() + "'");
    EXPECT_EQ(kept.status, 1) << kept.output;
  }
  std::filesystem::remove_all(out);
}

TEST(Mutant04, OfTheStoreIsFoundByFuzzingFromDifferentSeeds) {
  expect_fuzzed("04", {1, 2});
}

TEST(Mutant22, OfTheTicketIsFoundByFuzzingFromDifferentSeeds) {
  expect_fuzzed("22", {1, 2});
}

/// The text of the page's blocks for a shell, with the programs of this build.
std::vector<std::string> commands_of(const std::string& page) {
  std::ifstream stream(std::string(TOUCHSTONE_TOP) + "/docs/" + page);
  std::vector<std::string> blocks;
  bool inside = false;
  for (std::string line; std::getline(stream, line);) {
    if (line == "```sh") {
      blocks.emplace_back();
      inside = true;
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      const std::string built = std::regex_replace(line, std::regex("build/dev/bin"), TOUCHSTONE_BIN);
      blocks.back() += built + '\n';
    }
  }
  return blocks;
}

void expect_as_documented(const std::string& page) {
  const auto blocks = commands_of(page);
  ASSERT_GE(blocks.size(), 2);
  for (const std::string& block : blocks) {
    const Outcome walked = run("bash -eu <<'WALK'\n" + block + "WALK\n");
    EXPECT_EQ(walked.status, 0) << block << walked.output;
  }
}

// The danger: the page that a person follows with a red job in hand tells of commands that no longer do what it says.
TEST(Reproducing, AsTheDocumentWalksItLeadsFromALogToTheFailure) {
  expect_as_documented("reproduce.md");
}

TEST(Campaigns, AreSharedAndMergedAsTheDocumentShows) {
  expect_as_documented("campaigns.md");
}

}  // namespace
}  // namespace touchstone::harness
