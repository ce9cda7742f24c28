#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

#include "harness/tool_run.h"

namespace touchstone::harness {
namespace {

namespace fs = std::filesystem;

ToolRun run_after(const std::string& writer, const std::string& arguments) {
  return run_shell(writer + TOUCHSTONE_TOOL + " check " + arguments);
}

ToolRun run(const std::string& arguments) {
  return run_after("", arguments);
}

class CheckCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "touchstone-check-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    good_ = file("good.log", "INFO  jepsen.util - 0 :invoke :write 1\nINFO  jepsen.util - 0 :ok :write 1\n");
    bad_ = file("bad.log", "INFO  jepsen.util - 0 :invoke :read nil\nINFO  jepsen.util - 0 :ok :read 1\n");
    broken_ =
        file("broken.log", "INFO  jepsen.util - 0 :invoke :read nil\nINFO  jepsen.util - 1 :ok :read 1\n");
  }

  void TearDown() override { fs::remove_all(folder_); }

  std::string file(const std::string& name, const std::string& text) const {
    const fs::path path = folder_ / name;
    std::ofstream(path) << text;
    return path.string();
  }

  fs::path folder_;
  std::string good_;
  std::string bad_;
  std::string broken_;
};

TEST_F(CheckCommand, ExitStatusSaysTheWorstVerdict) {
  EXPECT_EQ(run(good_).status, 0);
  EXPECT_EQ(run(bad_).status, 1);
  EXPECT_EQ(run(good_ + " " + bad_).status, 1);
}

// Danger: the log of a run was lost, or is of another format, and CI is green.
TEST_F(CheckCommand, AHistoryOfNoOperationsIsInconclusive) {
  const auto expect_inconclusive = [](const ToolRun& run) {
    EXPECT_EQ(run.status, 2) << run.output;
    EXPECT_NE(run.output.find("inconclusive"), std::string::npos) << run.output;
    EXPECT_NE(run.output.find("nothing was checked"), std::string::npos) << run.output;
  };
  const std::string empty = file("empty.log", "");
  for (const char* format : {"auto", "etcd", "kv", "edn", "elle", "elle --json"})
    expect_inconclusive(run(empty + " --format " + format));
  expect_inconclusive(run_after("echo noise | ", "- --format etcd"));
  expect_inconclusive(run(file("aborted.edn",
                               "{:process 0, :type :invoke, :value [[:append x 1]]}"
                               "{:process 0, :type :fail, :value [[:append x 1]]}") +
                          " --format elle"));
  EXPECT_EQ(run(good_).output.find("nothing was checked"), std::string::npos);
  EXPECT_EQ(run(empty + " " + bad_).status, 1);
}

TEST_F(CheckCommand, AVerdictThatCannotBePrintedIsNoSuccess) {
  for (const std::string option : {"", "--json "}) {
    const ToolRun full = run_shell("(" TOUCHSTONE_TOOL " check " + option + good_ + " > /dev/full)");
    EXPECT_EQ(full.status, 73);
    EXPECT_EQ(full.output, "touchstone: the standard output cannot be written\n");
  }
  EXPECT_EQ(run_shell(TOUCHSTONE_TOOL " --help > /dev/full").status, 73);
}

TEST_F(CheckCommand, AMalformedFileIsNamedWithItsLineAndTheOthersAreStillChecked) {
  const ToolRun mixed = run(broken_ + " " + bad_);
  EXPECT_EQ(mixed.status, 65);
  EXPECT_NE(mixed.output.find(broken_ + ":2: client 1 completes"), std::string::npos) << mixed.output;
  EXPECT_NE(mixed.output.find(bad_ + ": not-linearizable"), std::string::npos) << mixed.output;
}

// The writer never ends: only a verdict at the violation ends this.
TEST_F(CheckCommand, AnEndlessPipeGetsItsVerdictAtTheFirstViolation) {
  const std::string endless = "(cat " + bad_ + "; yes noise) | ";
  const ToolRun refuted = run_after(endless, "-");
  EXPECT_EQ(refuted.status, 1);
  EXPECT_NE(refuted.output.find("-: not-linearizable (1 operation, "), std::string::npos) << refuted.output;
  EXPECT_NE(refuted.output.find("\n  line 2: nothing explains read by client 0 = 1"), std::string::npos)
      << refuted.output;
  EXPECT_EQ(run_after("cat " + good_ + " | ", "-").status, 0);
  EXPECT_EQ(run_after("(cat " + broken_ + "; yes noise) | ", "-").status, 65);
}

// Two clients read both keys, and each writes another one.
TEST_F(CheckCommand, SaysWhichIsolationLevelTransactionsKeep) {
  const std::string skew = file("skew.edn",
                                "{:process 0, :type :invoke, :value [[:r x nil] [:r y nil] [:append x 1]]}\n"
                                "{:process 1, :type :invoke, :value [[:r x nil] [:r y nil] [:append y 2]]}\n"
                                "{:process 0, :type :ok, :value [[:r x []] [:r y []] [:append x 1]]}\n"
                                "{:process 1, :type :ok, :value [[:r x []] [:r y []] [:append y 2]]}\n");
  const ToolRun strict = run(skew);
  EXPECT_EQ(strict.status, 1);
  EXPECT_NE(strict.output.find(": not strict-serializable (2 transactions, 2 clients, "), std::string::npos);
  EXPECT_NE(strict.output.find("\n  keeps strong-snapshot-isolation\n  G2-item (write skew)\n"),
            std::string::npos)
      << strict.output;
  EXPECT_EQ(run("--isolation snapshot-isolation " + skew).status, 0);
  EXPECT_EQ(run("--isolation serializable " + skew).status, 1);
  EXPECT_EQ(run_after("cat " + skew + " | ", "--isolation snapshot-isolation -").status, 0);
  const ToolRun json = run("--json " + skew);
  EXPECT_NE(
      json.output.find("\"keeps\":[\"strong-snapshot-isolation\"],\"anomalies\":[{\"name\":\"G2-item (write "
                       "skew)\",\"transactions\":[0,1],"),
      std::string::npos)
      << json.output;
}

TEST_F(CheckCommand, JudgesTheTransactionsOfAStore) {
  const std::string header = "{\"touchstone\":\"history\",\"version\":1,\"kind\":\"store\"}\n";
  const std::string snapshot =
      "\"call\":1,\"return\":2,\"outcome\":\"ok\",\"f\":\"snapshot\",\"paths\":[\"x\",\"y\"],"
      "\"result\":{\"version\":0,\"values\":[null,null]}}\n";
  const auto commit = [](const char* path, int version) {
    return std::string(
               "\"call\":3,\"return\":4,\"outcome\":\"ok\",\"f\":\"commit\",\"expected\":0,\"writes\":[{"
               "\"path\":\"") +
           path + "\",\"value\":7}],\"result\":{\"committed\":" + std::to_string(version) +
           ",\"path\":\"merged\"}}\n";
  };
  const std::string skew =
      file("skew.jsonl", header + "{\"client\":\"0\"," + snapshot + "{\"client\":\"1\"," + snapshot +
                             "{\"client\":\"0\"," + commit("x", 1) + "{\"client\":\"1\"," + commit("y", 2));
  const ToolRun judged = run("--isolation strong-snapshot-isolation " + skew);
  EXPECT_EQ(judged.status, 0) << judged.output;
  EXPECT_NE(judged.output.find("G2-item (write skew)"), std::string::npos) << judged.output;
  EXPECT_EQ(run_after("cat " + good_ + " | ", "--isolation serializable -").status, 2);
  const ToolRun unfit = run("--isolation serializable " + good_);
  EXPECT_EQ(unfit.status, 2);
  EXPECT_NE(unfit.output.find("it is no history of a store"), std::string::npos) << unfit.output;
}

TEST_F(CheckCommand, WritesAPictureOfOneHistory) {
  const std::string page = (folder_ / "page.html").string();
  EXPECT_EQ(run(bad_ + " --html " + page).status, 1);
  std::ifstream in(page);
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  EXPECT_EQ(text.find("<!doctype html>"), 0U);
  EXPECT_NE(text.find("nobody ever writes 1"), std::string::npos);
  fs::remove(page);
  EXPECT_EQ(run_after("cat " + bad_ + " | ", "- --html " + page).status, 1);
  EXPECT_TRUE(fs::exists(page));
  EXPECT_EQ(run(bad_ + " " + good_ + " --html " + page).status, 64);
  const ToolRun nowhere = run(good_ + " --html " + (folder_ / "no" / "page.html").string());
  EXPECT_EQ(nowhere.status, 73);
  EXPECT_NE(nowhere.output.find("cannot be written"), std::string::npos) << nowhere.output;
}

/// Registers under many keys, so many operations (20,000) that threads are started. `wrong` keys end with a read of what nobody wrote.
std::string many_keys(int wrong) {
  constexpr int kKeys = 40, kRounds = 260;
  std::string text = "{\"touchstone\":\"history\",\"version\":1,\"kind\":\"cell\",\"initial\":null}\n";
  const auto line = [&](int client, int key, int time, const char* function, int value) {
    text += "{\"client\":\"" + std::to_string(client) + "\",\"call\":" + std::to_string(time) +
            ",\"return\":" + std::to_string(time + 15) + ",\"outcome\":\"ok\",\"key\":\"k" +
            std::to_string(key) + "\",\"f\":\"" + function + "\",\"value\":" + std::to_string(value) + "}\n";
  };
  for (int key = 0; key < kKeys; ++key) {
    for (int round = 0; round < kRounds; ++round) {
      line(2 * key, key, 20 * round, "write", round % 5);
      line(2 * key + 1, key, 20 * round + 4, "read", round % 5);
    }
    if (key < wrong) line(2 * key, key, 20 * kRounds, "read", 7);
  }
  return text;
}

/// The output without the times that it took.
std::string without_seconds(const std::string& output) {
  return std::regex_replace(output, std::regex("[0-9]+\\.[0-9]+ s\\)|\"seconds\":[^,]+"), "*");
}

// Danger: keys are gathered in the order in which threads finish, so that the same file gets another text or even another verdict on
// another machine.
TEST_F(CheckCommand, SaysTheSameOnAnyNumberOfThreads) {
  const std::string all = file("all.jsonl", many_keys(0)), few = file("few.jsonl", many_keys(7));
  for (const std::string& arguments : {all, few}) {
    const ToolRun alone = run("--jobs 1 " + arguments);
    EXPECT_EQ(alone.status, arguments == all ? 0 : 1) << alone.output;
    EXPECT_EQ(alone.output.find("more keys") == std::string::npos, arguments == all) << alone.output;
    for (const char* jobs : {"--jobs 2 ", "-j 4 "}) {
      const ToolRun several = run(jobs + arguments);
      EXPECT_EQ(several.status, alone.status) << jobs;
      EXPECT_EQ(without_seconds(several.output), without_seconds(alone.output)) << jobs;
    }
  }
}

TEST_F(CheckCommand, RefusesANumberOfThreadsThatIsNone) {
  for (const std::string jobs : {"0", "-1", "1025", "1.5", "many", "''", "2x", "99999999999999999999"}) {
    const ToolRun refused = run("--jobs " + jobs + " " + good_);
    EXPECT_EQ(refused.status, 64) << jobs;
    EXPECT_NE(refused.output.find("--jobs: Value "), std::string::npos) << refused.output;
    EXPECT_NE(refused.output.find("not in range 1 to 1024"), std::string::npos) << refused.output;
    EXPECT_EQ(refused.output.find("linearizable"), std::string::npos)
        << "nothing is checked: " << refused.output;
  }
}

TEST_F(CheckCommand, WrongUsageExitsWith64) {
  EXPECT_EQ(run("").status, 64);
  EXPECT_EQ(run(good_ + " --format xml").status, 64);
  EXPECT_EQ(run(good_ + " --budget soon").status, 64);
  EXPECT_EQ(run(good_ + " --budget 0s").status, 64);
  EXPECT_EQ(run(good_ + " --isolation chaos").status, 64);
  EXPECT_EQ(run((folder_ / "nowhere").string()).status, 64);
}

TEST_F(CheckCommand, PrintsOneJsonObjectALine) {
  const ToolRun json = run("--json " + good_ + " " + bad_);
  EXPECT_EQ(json.output.find("{\"file\":\"" + good_ +
                             "\",\"verdict\":\"linearizable\",\"operations\":1,\"clients\":1,\"seconds\":"),
            0U)
      << json.output;
  EXPECT_NE(json.output.find("\"verdict\":\"not-linearizable\""), std::string::npos) << json.output;
  EXPECT_NE(
      json.output.find(
          "\"reason\":\"nobody ever writes 1\",\"explanation\":\"  read by client 0 = 1\\nclient 0  |- read"),
      std::string::npos)
      << json.output;
}

}  // namespace
}  // namespace touchstone::harness
