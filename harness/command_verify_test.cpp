// The tool as a person or a CI job calls it: statuses, the shape of its output, and what it says about wrong words.

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "harness/duration_option.h"
#include "harness/tool_run.h"

namespace touchstone::harness {
namespace {

class VerifyCommand : public testing::Test {
 protected:
  VerifyCommand() : out_(testing::TempDir() + "command_verify." + std::to_string(::getpid())) {}
  ~VerifyCommand() override { std::filesystem::remove_all(out_); }

  int touchstone(const std::string& arguments) {
    ToolRun run = run_shell("'" TOUCHSTONE_TOOL "' " + arguments);
    output_ = std::move(run.output);
    return run.status;
  }

  std::filesystem::path out_;
  std::string output_;
};

TEST_F(VerifyCommand, ChecksTheTrivialEngine) {
  EXPECT_EQ(touchstone("verify --engine simple --budget 500ms --seed 0x1 --json --out " + out_.string()), 0)
      << output_;
  const auto json = nlohmann::json::parse(output_);
  EXPECT_EQ(json.at("seed"), "0x0000000000000001");
  EXPECT_GE(json.at("held").get<int>(), 9);
  EXPECT_TRUE(std::filesystem::exists(out_ / "report.json"));
}

TEST_F(VerifyCommand, PrintsTheSeedFirstAndATableWithoutProgressWhenPiped) {
  EXPECT_EQ(touchstone("verify --claim A3 --claim A9 --seed 0x2 --out " + out_.string()), 0) << output_;
  EXPECT_EQ(output_.find("seed 0x0000000000000002\nclaim "), 0u) << output_;
  EXPECT_NE(output_.find("\nA3 "), std::string::npos) << output_;
  EXPECT_EQ(output_.find('\r'), std::string::npos) << "progress in a pipe";
}

TEST_F(VerifyCommand, SaysWhatWasWrongWithItsWords) {
  EXPECT_EQ(touchstone("verify --engine other"), 64);
  EXPECT_NE(output_.find("no engine is named \"other\""), std::string::npos) << output_;
  EXPECT_EQ(touchstone("verify --budget soon"), 64);
  EXPECT_NE(output_.find("--budget \"soon\""), std::string::npos) << output_;
  EXPECT_EQ(touchstone("verify --claim Z9"), 64);
  EXPECT_NE(output_.find("\"Z9\""), std::string::npos) << output_;
  EXPECT_EQ(touchstone("verify --seed 0xg"), 64);
  EXPECT_EQ(touchstone("verify --what"), 64);
}

TEST_F(VerifyCommand, RefusesAnUnknownClaimBeforeItPrintsATable) {
  EXPECT_EQ(touchstone("verify --claim Z9 --out " + out_.string()), 64);
  EXPECT_EQ(output_.find("seed "), std::string::npos) << output_;
  EXPECT_FALSE(std::filesystem::exists(out_)) << "nothing ran";
}

TEST_F(VerifyCommand, RefusesAnOutputThatCannotBeWrittenBeforeItChecksAnything) {
  EXPECT_EQ(touchstone("verify --claim A3 --out /proc/nothing"), 73);
  EXPECT_NE(output_.find("--out \"/proc/nothing\""), std::string::npos) << output_;
  EXPECT_EQ(output_.find("A3"), std::string::npos) << output_;
}

TEST_F(VerifyCommand, RemovesWhatAnEarlierRunLeftAndNothingElse) {
  const std::string run = "verify --engine simple --claim A3 --out " + out_.string();
  std::filesystem::create_directories(out_ / "A7");
  ASSERT_EQ(touchstone(run), 0) << output_;
  EXPECT_TRUE(std::filesystem::exists(out_ / "A7")) << "no run made this directory";
  std::filesystem::create_directories(out_ / "notes");
  ASSERT_EQ(touchstone(run), 0) << output_;
  EXPECT_FALSE(std::filesystem::exists(out_ / "A7")) << "an artifact of the run before";
  EXPECT_TRUE(std::filesystem::exists(out_ / "notes"));
}

// The danger: an hour of checks is lost because somebody ended the run. It is ended when the first claim is decided and the
// second has hours to go.
TEST_F(VerifyCommand, AnInterruptedRunLeavesTheReportOfWhatWasDecided) {
  const std::string report = (out_ / "report.json").string();
  const std::string script =
      "'" TOUCHSTONE_TOOL "' verify --claim A3 --claim A10 --budget 5h --out " + out_.string() +
      " >/dev/null & run=$!; until grep -q '\"A3\"' " + report +
      " 2>/dev/null; do kill -0 $run || break; sleep 0.05; done; kill -TERM $run; wait $run; cat " + report;
  const auto json = nlohmann::json::parse(run_shell(script).output);
  EXPECT_EQ(json.at("claims").size(), 1u);
  EXPECT_EQ(json.at("claims").at(0).at("verdict"), "held");
  EXPECT_EQ(json.at("unfinished"), 1);
}

TEST_F(VerifyCommand, ReplayTakesTheLineQuotedOrNot) {
  const std::string words = "replay --claim A3 --class exact --seed 0x5 --round 0 --engine reference";
  EXPECT_EQ(touchstone(words), 0) << output_;
  EXPECT_NE(output_.find("seed 0x0000000000000005\nA3: "), std::string::npos) << output_;
  EXPECT_EQ(touchstone("replay 'replay: build/dev/bin/touchstone " + words + "'"), 0) << output_;
  EXPECT_NE(output_.find("held (1 round"), std::string::npos) << output_;
}

TEST_F(VerifyCommand, ReplayNamesWhatItCannotRepeat) {
  EXPECT_EQ(touchstone("replay --claim A3 --class often --seed 1"), 64);
  EXPECT_NE(output_.find("\"often\""), std::string::npos) << output_;
  EXPECT_EQ(touchstone("replay --claim Z9 --class exact --seed 1"), 64);
  EXPECT_NE(output_.find("\"Z9\""), std::string::npos) << output_;
  EXPECT_EQ(touchstone("replay TOUCHSTONE_SEED=1 build/none/bin/none"), 65);
  EXPECT_NE(output_.find("build/none/bin/none"), std::string::npos) << output_;
  EXPECT_EQ(touchstone("replay"), 64);
}

TEST_F(VerifyCommand, ReplayFindsTheLineInALogOrADirectory) {
  const std::string of_a3 =
      "touchstone replay --claim A3 --class exact --seed 0x5 --round 0 --engine reference";
  const std::string of_a9 =
      "touchstone replay --claim A9 --class exact --seed 0x6 --round 0 --engine reference";
  std::filesystem::create_directories(out_ / "A3");
  std::ofstream(out_ / "ci.log") << "12: replay: " << of_a3 << "\nnoise\n12: replay: " << of_a9 << '\n';
  std::ofstream(out_ / "A3/replay.txt") << "a reason\nreplay: " << of_a3 << '\n';
  const std::string log = (out_ / "ci.log").string();
  EXPECT_EQ(touchstone("replay - < " + log), 0) << output_;
  EXPECT_NE(output_.find(":1, 1 of 2 replay lines"), std::string::npos) << output_;
  EXPECT_NE(output_.find("A3: "), std::string::npos) << output_;
  EXPECT_EQ(touchstone("replay --nth 2 " + log), 0) << output_;
  EXPECT_NE(output_.find("A9: "), std::string::npos) << output_;
  EXPECT_EQ(touchstone("replay --list " + log), 0) << output_;
  EXPECT_EQ(output_, "1  line 1: " + of_a3 + "\n2  line 3: " + of_a9 + "\n");
  EXPECT_EQ(touchstone("replay " + (out_ / "A3").string()), 0) << output_;
  EXPECT_NE(output_.find("seed 0x0000000000000005\nA3: "), std::string::npos) << output_;
}

TEST_F(VerifyCommand, ReplaySaysWhatALogLacks) {
  std::filesystem::create_directories(out_);
  EXPECT_EQ(touchstone("replay " + out_.string()), 65);
  EXPECT_NE(output_.find("without replay.txt or report.txt"), std::string::npos) << output_;
  EXPECT_EQ(touchstone("replay - < /dev/null"), 65);
  EXPECT_NE(output_.find("has no replay line"), std::string::npos) << output_;
  std::ofstream(out_ / "ci.log")
      << "replay: touchstone replay --claim A3 --class exact --seed 0x5 --round 0\n";
  EXPECT_EQ(touchstone("replay --nth 2 " + (out_ / "ci.log").string()), 64);
  EXPECT_NE(output_.find("--nth 2"), std::string::npos) << output_;
}

// The danger: a line that was mistyped repeats something else, or nothing, and ends with `held`.
TEST_F(VerifyCommand, ReplayRefusesWhatNothingReads) {
  const std::pair<const char*, const char*> cases[] = {
      {"--claim A3 --claim A9 --class exact --seed 1", "\"--claim\""},
      {"--claim A3 --class exact --class exact --seed 1", "\"--class\""},
      {"--claim A3 --class exact --seed 1 --seed 2", "\"--seed\""},
      {"--claim A3 --class exact --seed 1 --round 1 --round 2", "\"round\""},
      {"--claim A3 --class exact --seed 1 --round one", "\"one\""},
      {"--claim A3 --class exact --seed 1 --round -1", "\"-1\""},
      {"--claim A3 --class exact --seed 1 --round 1x", "\"1x\""},
      {"--claim A3 --class exact --seed 1 --round 99999999999999999999", "\"99999999999999999999\""},
      {"--claim A3 --class exact --seed 1 --rounds 1", "\"--rounds\""},
      {"--claim A3 --class exact --seed 1 --schedule 1:0", "\"--schedule\""},
      {"--claim B4 --class exact --seed 1 --part nothing", "\"nothing\""},
      {"--claim B4 --class exact --seed 1 --part schedules --schedule 1:0", "without --body"},
      {"--claim C4 --class crash-point --seed 1 --operation a --crash-point soon", "\"soon\""}};
  for (const auto& [words, named] : cases) {
    EXPECT_EQ(touchstone(std::string("replay ") + words), 64) << words << output_;
    EXPECT_NE(output_.find(named), std::string::npos) << output_;
  }
  EXPECT_EQ(
      touchstone("replay --claim B4 --class exact --seed 1 --part schedules --body none --schedule 1:0"), 2)
      << output_;
}

TEST(Duration, ReadsUnitsAndRefusesTheRest) {
  using std::chrono::milliseconds;
  EXPECT_EQ(parse_duration("2m"), milliseconds(120'000));
  EXPECT_EQ(parse_duration("1.5s"), milliseconds(1500));
  EXPECT_EQ(parse_duration("90"), milliseconds(90'000));
  EXPECT_EQ(parse_duration("250ms"), milliseconds(250));
  for (const char* wrong : {"", "s", "-1s", "1 s", "1x", "nan", "inf", "1e9999h", "99999999h"})
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
}

}  // namespace
}  // namespace touchstone::harness
