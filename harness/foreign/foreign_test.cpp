// Engines that this project did not compile, through the tool, as their authors would try it: sound ones hold, a planted
// lost update is found and replays, and whatever an engine does wrong is named within its patience, with nothing left.

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>

#include "harness/replay.h"
#include "harness/tool_run.h"

namespace touchstone::harness {
namespace {

const std::string kExamples = TOUCHSTONE_TOP "/docs/examples/";
const std::string kOdd = "python3 " TOUCHSTONE_TOP "/harness/foreign/odd_engine.py ";

class ForeignEngines : public testing::Test {
 protected:
  ForeignEngines() : out_(testing::TempDir() + "foreign." + std::to_string(::getpid())) {}
  ~ForeignEngines() override { std::filesystem::remove_all(out_); }

  /// The report, or null with the output as a failure.
  nlohmann::json verify(const std::string& engine, const std::string& options, int expected_status) {
    const ToolRun run = run_shell("'" TOUCHSTONE_TOOL "' verify --json --engine " + quote_word(engine) +
                                  " --out " + out_.string() + " " + options);
    output_ = run.output;
    EXPECT_EQ(run.status, expected_status) << output_;
    return nlohmann::json::parse(run.output, nullptr, false);
  }

  /// What the one claim of the report is told.
  std::string reason_of(const std::string& engine, const std::string& claim,
                        const char* effort = "--budget 500ms") {
    const auto report = verify(engine, std::string(effort) + " --claim " + claim, 1);
    if (!report.is_object()) return output_;
    return report.at("claims").at(0).at("reason");
  }

  static bool names(const nlohmann::json& list, const std::string& claim) {
    for (const auto& entry : list)
      if (entry.at("claim") == claim) return true;
    return false;
  }

  const std::filesystem::path out_;
  std::string output_;
};

TEST_F(ForeignEngines, TheShippedEngineInCHoldsWhatItDeclaresAndClaimsNoMore) {
  const auto report = verify(TOUCHSTONE_REGISTER_ENGINE, "--budget 2s", 0);
  ASSERT_TRUE(report.is_object()) << output_;
  for (const char* claim : {"S1", "S2", "S3", "A1", "A2", "A3", "A7", "A11"})
    EXPECT_TRUE(names(report.at("claims"), claim)) << claim;
  for (const char* claim : {"A5", "A6", "A10", "A12", "B10", "F1", "F2"}) {
    EXPECT_TRUE(names(report.at("not_claimed"), claim)) << claim;
    EXPECT_FALSE(names(report.at("claims"), claim)) << claim;
  }
}

TEST_F(ForeignEngines, TheShippedEngineInPythonHoldsWithItsLock) {
  const auto report = verify("python3 " + kExamples + "lossy_engine.py --sound", "--budget 3s", 0);
  ASSERT_TRUE(report.is_object()) << output_;
  EXPECT_EQ(report.at("violated"), 0);
}

// Danger: the suite passes an engine that loses updates. The engine looks at the versions, lets others pass, and writes. The
// replay line is pasted as it stands, and fails again.
TEST_F(ForeignEngines, ThePlantedLostUpdateIsFoundShrunkAndReplayed) {
  const auto report =
      verify("python3 " + kExamples + "lossy_engine.py", "--budget 5s --claim S1 --claim S2", 1);
  ASSERT_TRUE(report.is_object()) << output_;
  const auto& alone = report.at("claims").at(0);
  EXPECT_EQ(alone.at("verdict"), "held") << "one client alone cannot see it: " << alone.at("reason");
  const auto& crowd = report.at("claims").at(1);
  EXPECT_EQ(crowd.at("verdict"), "violated");
  EXPECT_NE(crowd.at("reason").get<std::string>().find("shrunk from"), std::string::npos) << crowd;
  EXPECT_TRUE(std::filesystem::exists(out_ / "S2/history.jsonl"));
  const ToolRun judged = run_shell("'" TOUCHSTONE_TOOL "' check " + (out_ / "S2/history.jsonl").string());
  EXPECT_EQ(judged.status, 1) << judged.output;
  const std::string replay = crowd.at("replay");
  const ToolRun again = run_shell("cd " TOUCHSTONE_TOP " && " + replay);
  EXPECT_EQ(again.status, 1) << replay << "\n" << again.output;
  EXPECT_NE(again.output.find("not-linearizable"), std::string::npos) << again.output;
}

TEST_F(ForeignEngines, TheLostUpdateIsNamedInTheIsolationOfItsTransactions) {
  const std::string reason = reason_of("python3 " + kExamples + "lossy_engine.py", "S3");
  EXPECT_NE(reason.find("not strong-snapshot"), std::string::npos) << reason;
}

TEST_F(ForeignEngines, WhateverACommandDoesWrongIsNamed) {
  EXPECT_NE(reason_of(kOdd + "crash", "S2").find("died: exit status 3"), std::string::npos) << output_;
  EXPECT_NE(output_.find("out of ideas"), std::string::npos) << "the end of its standard error: " << output_;
  EXPECT_NE(reason_of(kOdd + "hang", "A7").find("no answer to \"commit\" within 1000 ms"), std::string::npos)
      << output_;
  EXPECT_NE(reason_of(kOdd + "garbage", "S2").find("no JSON object: \"not JSON at all\""), std::string::npos)
      << output_;
  EXPECT_NE(reason_of(kOdd + "no-id", "S2").find("without the \"id\""), std::string::npos) << output_;
  EXPECT_NE(reason_of(kOdd + "wrong-word", "S1").find("expected \"committed\""), std::string::npos)
      << output_;
}

TEST_F(ForeignEngines, WhateverALibraryDoesWrongIsNamed) {
  const auto reason = [this](const std::string& how, const std::string& claim) {
    ::setenv("ODD_LIBRARY", how.c_str(), 1);
    return reason_of(TOUCHSTONE_ODD_LIBRARY, claim);
  };
  EXPECT_NE(reason("crash", "A7").find("signal 11"), std::string::npos) << output_;
  EXPECT_NE(reason("hang", "A7").find("commit of client 0 did not return within 1000 ms"), std::string::npos)
      << output_;
  EXPECT_NE(reason("bad-status", "A7").find("status 99"), std::string::npos) << output_;
  EXPECT_NE(reason("bad-kind", "A7").find("kind 77"), std::string::npos) << output_;
  EXPECT_NE(reason("failed", "A7").find("TOUCHSTONE_FAILED"), std::string::npos) << output_;
}

TEST_F(ForeignEngines, WhatCannotBePutUnderTheSuiteIsRefusedWithAReason) {
  const std::pair<std::string, std::string> cases[] = {{"wrong-version", "version 2"},
                                                       {"lacking", "snapshot, pin, pin_read, unpin"},
                                                       {"crash-at-once", "signal 11"}};
  for (const auto& [how, said] : cases) {
    ::setenv("ODD_LIBRARY", how.c_str(), 1);
    verify(TOUCHSTONE_ODD_LIBRARY, "", 65);
    EXPECT_NE(output_.find(said), std::string::npos) << output_;
  }
  verify("./nothing.so", "", 65);
  EXPECT_NE(output_.find("cannot open"), std::string::npos) << output_;
  verify("cat", "", 65);
  EXPECT_NE(output_.find("expected a text in \"name\""), std::string::npos) << output_;
  verify("false", "", 65);
  EXPECT_NE(output_.find("exit status 1"), std::string::npos) << output_;
  verify("no-such-program --fast", "", 64);
  EXPECT_NE(output_.find("no engine is named"), std::string::npos) << output_;
}

// Danger: a kill's lost answers are guessed, and a sound engine is blamed; or an engine that answers before its log is written
// passes.
TEST_F(ForeignEngines, AKilledEngineKeepsWhatItAnsweredOrIsFound) {
  const auto sound = verify(kOdd + "sound", "--rounds 2 --claim F1 --claim F2", 0);
  ASSERT_TRUE(sound.is_object()) << output_;
  EXPECT_GT(sound.at("claims").at(1).at("tried").at("kills"), 0) << output_;
  EXPECT_NE(reason_of(kOdd + "forgets", "F2", "--rounds 40").find("not-linearizable"), std::string::npos)
      << output_;
}

// Danger: a ticket is declared and believed. What this engine does is sound; only its slow client never wins.
TEST_F(ForeignEngines, ATicketThatIsDeclaredAndMissingIsFound) {
  EXPECT_NE(reason_of(kOdd + "no-ticket", "B10").find("conflicts in a row"), std::string::npos) << output_;
}

TEST_F(ForeignEngines, NoProcessOutlivesTheTool) {
  reason_of(kOdd + "hang", "S2");
  std::string left;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "cmdline");
    const std::string words{std::istreambuf_iterator<char>(file), {}};
    if (words.find("odd_engine.py") != std::string::npos && words.find("verify") == std::string::npos &&
        words.find("hang") != std::string::npos)
      left += entry.path().string() + " ";
  }
  EXPECT_EQ(left, "");
}

}  // namespace
}  // namespace touchstone::harness
