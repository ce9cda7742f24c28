// The tool as a person or a CI job calls it: statuses, the shape of its output, and what it says about wrong words.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
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
  EXPECT_EQ(touchstone("verify --budget 0s"), 64)
      << "in no time nothing is tried, and every claim would hold";
  EXPECT_NE(output_.find("--budget \"0s\": expected a time from 1ns on"), std::string::npos) << output_;
  EXPECT_EQ(touchstone("verify --claim Z9"), 64);
  EXPECT_NE(output_.find("\"Z9\""), std::string::npos) << output_;
  EXPECT_EQ(touchstone("verify --seed 0xg"), 64);
  EXPECT_EQ(touchstone("verify --what"), 64);
  EXPECT_EQ(touchstone("verify --rounds 99999999999999999999"), 64);
  EXPECT_NE(output_.find("--rounds: expected a whole number from 1 on"), std::string::npos) << output_;
  EXPECT_EQ(touchstone("verify --list --json"), 64);
  EXPECT_EQ(touchstone("replay no/such/file"), 64);
  EXPECT_NE(output_.find("neither a file nor a replay line: \"no/such/file\""), std::string::npos) << output_;
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

// The danger: machines that check the same thing, or leave something out. Three shards must try exactly what one run tries.
TEST_F(VerifyCommand, ShardsTryTogetherWhatOneRunTries) {
  const std::string words =
      "verify --engine simple --claim S1 --claim A2 --claim A3 --claim A6 --seed 0x5 --rounds 7 --out '' ";
  ASSERT_EQ(touchstone(words + "--json"), 0) << output_;
  const auto whole = nlohmann::json::parse(output_);
  for (const char* shard : {"1/3", "2/3", "3/3"})
    ASSERT_EQ(touchstone(words + "--results " + out_.string() + " --shard " + shard), 0) << output_;
  ASSERT_EQ(touchstone("merge --json " + out_.string()), 0) << output_;
  const auto merged = nlohmann::json::parse(output_);
  EXPECT_EQ(merged.at("part"), "3 of 3 shards");
  ASSERT_EQ(merged.at("claims").size(), whole.at("claims").size());
  for (std::size_t i = 0; i < whole.at("claims").size(); ++i) {
    const auto &one = merged.at("claims")[i], &other = whole.at("claims")[i];
    const auto find = [&](const auto& in) {
      for (const auto& claim : in.at("claims"))
        if (claim.at("claim") == one.at("claim")) return claim;
      return other;
    };
    EXPECT_EQ(one.at("tried"), find(whole).at("tried")) << one.at("claim");
    EXPECT_EQ(one.at("verdict"), "held") << one;
  }
}

TEST_F(VerifyCommand, RefusesShardsWithoutASeedAndWrongOnes) {
  // CI gives every test a seed.
  const ToolRun seedless =
      run_shell("unset TOUCHSTONE_SEED; '" TOUCHSTONE_TOOL "' verify --claim A3 --shard 1/2 --out ''");
  EXPECT_EQ(seedless.status, 64);
  EXPECT_NE(seedless.output.find("--seed is missing"), std::string::npos) << seedless.output;
  EXPECT_EQ(touchstone("verify --claim A3 --seed 1 --shard 3/2 --out ''"), 64);
  EXPECT_NE(output_.find("--shard \"3/2\""), std::string::npos) << output_;
  EXPECT_EQ(touchstone("merge /proc/nothing"), 65) << output_;
  EXPECT_EQ(touchstone("merge"), 64);
  EXPECT_EQ(
      run_shell("JOB_COMPLETION_INDEX=1 '" TOUCHSTONE_TOOL "' verify --claim A3 --seed 1 --out ''").status,
      64);
}

// The danger: an hour of checks is lost because somebody ended the run. It is ended when the first claim is decided and the
// second has hours to go.
TEST_F(VerifyCommand, AnInterruptedRunLeavesTheReportOfWhatWasDecided) {
  const std::string report = (out_ / "report.json").string();
  const std::string script =
      "'" TOUCHSTONE_TOOL "' verify --claim A3 --claim A10 --budget 5h --out " + out_.string() +
      " >/dev/null & run=$!; until grep -q '\"A3\"' " + report +
      " 2>/dev/null; do kill -0 $run || break; sleep 0.05; done; kill -TERM $run; wait $run; cat " + report;
  // The shell may say before it that its job was terminated.
  const std::string output = run_shell(script).output;
  const auto json = nlohmann::json::parse(output.substr(std::min(output.find('{'), output.size())));
  EXPECT_EQ(json.at("claims").size(), 1u);
  EXPECT_EQ(json.at("claims").at(0).at("verdict"), "held");
  EXPECT_EQ(json.at("unfinished"), 1);
}

TEST_F(VerifyCommand, WritesThePageAndTheFileForACiServer) {
  const std::string page = (out_ / "elsewhere/page.html").string(), xml = (out_ / "elsewhere/a.xml").string();
  ASSERT_EQ(touchstone("verify --claim A3 --claim A9 --seed 0x2 --out " + (out_ / "run").string() +
                       " --html " + page + " --junit " + xml),
            0)
      << output_;
  EXPECT_EQ(run_shell("grep -c '<tr id=' " + page).output, "2\n");
  EXPECT_EQ(run_shell("cmp " + page + " " + (out_ / "run/report.html").string()).status, 0);
  EXPECT_EQ(run_shell("grep -c '<testcase ' " + xml).output, "2\n");
  EXPECT_EQ(touchstone("verify --claim A3 --out '' --html /proc/nothing/page.html"), 73) << output_;
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
  EXPECT_EQ(touchstone("replay --list --claim A3 --class exact --seed 0x5"), 64);
  EXPECT_NE(output_.find("--list and --nth are for a log"), std::string::npos) << output_;
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
  EXPECT_EQ(touchstone("replay < " + log), 0) << output_;
  EXPECT_NE(output_.find("the standard input:1, 1 of 2 replay lines"), std::string::npos) << output_;
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
  for (const char* words : {"replay - < /dev/null", "replay < /dev/null"}) {
    EXPECT_EQ(touchstone(words), 65);
    EXPECT_NE(output_.find("the standard input has no replay line"), std::string::npos) << output_;
  }
  std::ofstream(out_ / "ci.log")
      << "replay: touchstone replay --claim A3 --class exact --seed 0x5 --round 0\n";
  EXPECT_EQ(touchstone("replay --nth 2 " + (out_ / "ci.log").string()), 64);
  EXPECT_NE(output_.find("--nth 2"), std::string::npos) << output_;
  const std::string log = (out_ / "ci.log").string();
  for (const std::string& words : {"--what " + log, log + " --what", "--what - <" + log, log + " " + log}) {
    EXPECT_EQ(touchstone("replay " + words), 64) << words;
    EXPECT_NE(output_.find("neither an option nor the only log: \""), std::string::npos) << output_;
  }
  std::ofstream(out_ / "test.log") << "replay: TOUCHSTONE_SEED=0x5 build/none # class exact\n";
  EXPECT_EQ(touchstone("replay --out kept --nth 1 " + (out_ / "test.log").string()), 64);
  EXPECT_NE(output_.find("this line is a test's"), std::string::npos) << output_;
  const ToolRun no_terminal = run_shell("setsid '" TOUCHSTONE_TOOL "' replay --gdb < " + log);
  EXPECT_EQ(no_terminal.status, 64) << no_terminal.output;
  EXPECT_NE(no_terminal.output.find("--gdb: the standard input is the log"), std::string::npos)
      << no_terminal.output;
}

TEST_F(VerifyCommand, ReplaySaysAtOnceWhetherAnExactLineFailsAgain) {
  EXPECT_EQ(touchstone("replay --claim A3 --class exact --seed 0x5 --round 0"), 0) << output_;
  EXPECT_NE(output_.find("\nit does not fail again ("), std::string::npos) << output_;
}

// Only a schedule that is drawn needs one.
TEST_F(VerifyCommand, ReplayNeedsNoTemporaryDirectoryUnlessItDraws) {
  const std::string tool = "TMPDIR=/no/such/directory '" TOUCHSTONE_TOOL "' replay --claim ";
  const ToolRun plain = run_shell(tool + "A3 --class exact --seed 0x5 --round 0");
  EXPECT_EQ(plain.status, 0) << plain.output;
  const ToolRun drawn = run_shell(tool +
                                  "B4 --class exact --seed 1 --part schedules --body last-two-conflicts "
                                  "--schedule 1:0x1::1: --trace");
  EXPECT_EQ(drawn.status, 71) << drawn.output;
  EXPECT_NE(drawn.output.find("--trace needs a temporary directory"), std::string::npos) << drawn.output;
}

TEST_F(VerifyCommand, ReplaySaysThatAScheduleIsOfAnotherProgram) {
  EXPECT_EQ(touchstone("replay --claim B4 --class exact --seed 1 --part schedules --body last-two-conflicts "
                       "--schedule 1:0x1::1:"),
            2)
      << output_;
  EXPECT_NE(output_.find("\nthe schedule is of another program"), std::string::npos) << output_;
  EXPECT_EQ(output_.find("it fails again"), std::string::npos) << output_;
}

TEST_F(VerifyCommand, ReplayRefusesToDrawOrMinimizeWhatHasNoSchedule) {
  EXPECT_EQ(touchstone("replay --claim A3 --class exact --seed 0x5 --trace"), 64);
  EXPECT_NE(output_.find("--trace shows a schedule"), std::string::npos) << output_;
  EXPECT_EQ(touchstone("replay --claim A3 --class exact --seed 0x5 --minimize"), 64);
  EXPECT_NE(output_.find("--minimize"), std::string::npos) << output_;
  EXPECT_EQ(touchstone("replay --trace TOUCHSTONE_SEED=0x7 " TOUCHSTONE_TOOL), 64);
}

TEST_F(VerifyCommand, ReplayRunsUnderGdbOrSaysThatThereIsNone) {
  const std::string line = "replay --gdb --claim A3 --class exact --seed 0x5 --round 0";
  const std::string empty = "PATH=/nonexistent '" TOUCHSTONE_TOOL "' " + line;
  EXPECT_EQ(run_shell(empty).status, 71);
  EXPECT_NE(run_shell(empty).output.find("apt-get install gdb"), std::string::npos);
  if (run_shell("command -v gdb").status != 0)
    GTEST_SKIP() << "expected skip: gdb is not installed (apt-get install gdb), so nothing runs under it";
  const ToolRun under = run_shell("echo 'info inferiors' | '" TOUCHSTONE_TOOL "' " + line);
  EXPECT_NE(under.output.find("/touchstone"), std::string::npos) << under.output;
  EXPECT_NE(under.output.find("(gdb)"), std::string::npos) << under.output;
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
  EXPECT_EQ(parse_duration("1ns"), std::chrono::nanoseconds(1));
  for (const char* wrong :
       {"", "s", "-1s", "1 s", "1x", "nan", "inf", "1e9999h", "99999999h", "0", "0s", "0.0h", "0.4ns"})
    EXPECT_FALSE(parse_duration(wrong)) << wrong;
}

}  // namespace
}  // namespace touchstone::harness
