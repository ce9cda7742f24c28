// `touchstone fuzz` as a person, a script or a scheduler calls it. The danger: what was found is lost, by an interruption, by a shard, or
// because a wrong word was taken for a right one. What it finds in engines with planted bugs is tried in harness/mutants; here a scenario
// promises too much, which fails on any engine.

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "harness/tool_run.h"

namespace touchstone::harness {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPromisesTooMuch =
    "touchstone-fuzz 1\ndecisions 1:0x0000000000000007::1:\ntouchstone-scenario 1\ninitial n m\n"
    "worker slow: add n m think=20ms\nworker fast: add n times=3\nmost_conflicts 0\n";

std::string last_line(std::string text) {
  text.erase(text.find_last_not_of('\n') + 1);
  return text.substr(text.find_last_of('\n') + 1);
}

class FuzzCommand : public testing::Test {
 protected:
  FuzzCommand() : base_(testing::TempDir() + "command_fuzz." + std::to_string(::getpid())) {
    fs::create_directories(base_);
  }
  ~FuzzCommand() override { fs::remove_all(base_); }

  int touchstone(const std::string& arguments, const std::string& environment = "") {
    ToolRun run = run_shell(environment + " '" TOUCHSTONE_TOOL "' " + arguments);
    output_ = std::move(run.output);
    return run.status;
  }

  /// Into this test's directories.
  int fuzz(const std::string& arguments, const std::string& environment = "") {
    return touchstone("fuzz --out " + path("out") + " " + arguments, environment);
  }

  nlohmann::json said() const { return nlohmann::json::parse(last_line(output_)); }

  std::string path(const std::string& name) const { return (base_ / name).string(); }

  void write(const std::string& name, const std::string& text) const {
    fs::create_directories((base_ / name).parent_path());
    std::ofstream(base_ / name) << text;
  }

  std::set<std::string> files(const std::string& name) const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(base_ / name)) names.insert(entry.path().filename());
    return names;
  }

  void expect_refused(const std::string& arguments, int status, const std::string& named) {
    EXPECT_EQ(fuzz(arguments), status) << arguments << "\n" << output_;
    EXPECT_NE(output_.find(named), std::string::npos) << arguments << "\n" << output_;
    EXPECT_EQ(output_.find("executions in"), std::string::npos) << "something ran: " << output_;
  }

  const fs::path base_;
  std::string output_;
};

TEST_F(FuzzCommand, EndsWithTheJsonLineAndTheseKeysInThisOrder) {
  write("corpus/mine.txt", kPromisesTooMuch);
  ASSERT_EQ(fuzz("--executions 200 --seed 5 --json --corpus " + path("corpus")), 1) << output_;
  const auto json = nlohmann::ordered_json::parse(last_line(output_));
  const auto keys = [](const auto& object) {
    std::string names;
    for (const auto& [key, value] : object.items()) names += key + " ";
    return names;
  };
  EXPECT_EQ(
      keys(json),
      "seed executions of_corpus seconds corpus features schedules chance_of_new interrupted failures ");
  EXPECT_EQ(json.at("seed"), "0x0000000000000005");
  EXPECT_EQ(json.at("executions"), 200);
  EXPECT_LE(json.at("schedules"), 200);
  EXPECT_GT(json.at("chance_of_new"), 0.0);
  ASSERT_EQ(json.at("failures").size(), 1u);
  EXPECT_EQ(keys(json.at("failures")[0]), "signature message times first known artifact replay ");
}

TEST_F(FuzzCommand, SaysWhatWasWrongWithItsWords) {
  expect_refused("--time soon", 64, "--time \"soon\"");
  expect_refused("--time 0s", 64, "--time \"0s\"");
  expect_refused("--seed 0xg", 64, "--seed \"0xg\"");
  expect_refused("--jobs 0", 64, "--jobs");
  expect_refused("--jobs 65", 64, "--jobs");
  expect_refused("--executions 0", 64, "--executions");
  expect_refused("--executions many", 64, "--executions");
  expect_refused("--seed 5 --shard 3/2", 64, "--shard \"3/2\"");
  expect_refused("--seed 5 --shard all", 64, "--shard \"all\"");
  expect_refused("--what", 64, "--what");
  EXPECT_EQ(fuzz("--shard 1/2 --executions 1", "env -u TOUCHSTONE_SEED"), 64);
  EXPECT_NE(output_.find("--seed is missing"), std::string::npos) << output_;
  EXPECT_FALSE(fs::exists(base_ / "out")) << "nothing ran";
}

TEST_F(FuzzCommand, RefusesFilesThatItCannotUse) {
  write("corpus/mine.txt", "touchstone-fuzz 1\nnonsense\n");
  expect_refused("--executions 1 --corpus " + path("corpus"), 65, "mine.txt:2: ");
  expect_refused("--executions 1 --corpus /proc/nothing", 73, "/proc/nothing");
  expect_refused("--executions 1 --seed 5 --results /proc/nothing", 73, "/proc/nothing");
  EXPECT_EQ(touchstone("fuzz --executions 1 --out /proc/nothing"), 73) << output_;
}

// A failure is explained once; what an earlier run has explained is known, and still a failure.
TEST_F(FuzzCommand, GoesOnFromWhatAnEarlierRunHasFound) {
  write("corpus/mine.txt", kPromisesTooMuch);
  const std::string words = "--executions 1000 --seed 5 --corpus " + path("corpus");
  ASSERT_EQ(fuzz(words + " --json"), 1) << output_;
  const auto first = said();
  ASSERT_EQ(first.at("failures").size(), 1u) << output_;
  EXPECT_EQ(first.at("failures")[0].at("known"), false);
  const std::string artifact = first.at("failures")[0].at("artifact");
  const auto made = fs::last_write_time(fs::path(artifact) / "scenario.txt");
  ASSERT_EQ(fuzz(words + " --json"), 1) << output_;
  const auto again = said();
  EXPECT_EQ(again.at("failures")[0].at("known"), true);
  EXPECT_EQ(again.at("failures")[0].at("replay"), first.at("failures")[0].at("replay"));
  EXPECT_EQ(fs::last_write_time(fs::path(artifact) / "scenario.txt"), made) << "explained anew";
  EXPECT_GE(again.at("features").get<int>() * 10, first.at("features").get<int>() * 9);
  ASSERT_EQ(fuzz(words), 1) << output_;
  EXPECT_NE(output_.find("known from an earlier run"), std::string::npos) << output_;
  EXPECT_EQ(touchstone("replay " + artifact), 1) << output_;
}

// A bound is a bound: what a script pays for. Reading the corpus is no part of it, and is told beside it.
TEST_F(FuzzCommand, RunsAsManyAsItIsToldAndNotOneMore) {
  ASSERT_EQ(fuzz("--executions 300 --seed 5 --json"), 0) << output_;
  EXPECT_EQ(said().at("executions"), 300);
  EXPECT_EQ(said().at("of_corpus"), 0);
  const std::size_t kept = files("out/corpus").size();
  ASSERT_EQ(fuzz("--executions 1 --seed 6"), 0) << output_;
  EXPECT_NE(output_.find("nothing found: 1 execution in "), std::string::npos) << output_;
  EXPECT_NE(output_.find(", after " + std::to_string(kept) + " cases of the corpus, "), std::string::npos)
      << output_;
  write("corpus/mine.txt", kPromisesTooMuch);
  ASSERT_EQ(fuzz("--executions 1 --seed 6 --corpus " + path("corpus")), 1) << output_;
  EXPECT_NE(output_.find("1 time, first in a case of the corpus: "), std::string::npos) << output_;
}

TEST_F(FuzzCommand, KeepsEverythingWhenItIsInterrupted) {
  ASSERT_EQ(fuzz("--executions 1000 --seed 5 --json"), 0) << output_;
  const auto before = said();
  const std::string log = path("log");
  const ToolRun run =
      run_shell("bash -c '\"" TOUCHSTONE_TOOL "\" fuzz --executions 1000000000 --seed 6 --out " +
                path("out") + " --results " + path("results") + " >" + log + " & until grep -q seed " + log +
                "; do sleep 0.02; done; sleep 0.3; kill -INT $!; wait $!'");
  EXPECT_EQ(run.status, 0) << run.output;
  const std::string printed = run_shell("cat " + log).output;
  EXPECT_NE(printed.find("interrupted; the corpus is kept, and the same command goes on from it"),
            std::string::npos)
      << printed;
  EXPECT_EQ(touchstone("merge " + path("results")), 2) << "it did not end: " << output_;
  ASSERT_EQ(fuzz("--executions 1 --seed 7 --json"), 0) << output_;
  EXPECT_GE(said().at("features").get<int>() * 10, before.at("features").get<int>() * 9) << output_;
}

// The binary beside a tool of this name is given the corpus and the rest of the time, and what it leaves is judged and kept. A script
// stands for it, so that every build tries the hand-over.
TEST_F(FuzzCommand, HandsItsCorpusToLibFuzzerAndTakesBackWhatThatFound) {
  fs::create_directories(base_ / "bin");
  fs::copy_file(TOUCHSTONE_TOOL, base_ / "bin" / "touchstone");
  write("bin/crash", kPromisesTooMuch);
  write("bin/scenario_fuzz", "#!/bin/bash\necho \"$*\" >" + path("words") +
                                 "\nfor last; do :; done\nls \"$last\" | grep -c '^case-' >" + path("cases") +
                                 "\nfresh=${*: -2:1}\ncp " + path("bin/crash") +
                                 " \"$fresh/crash-1\"\n"
                                 "echo 'stat::number_of_executed_units: 123456789' >&2\nexit 77\n");
  fs::permissions(base_ / "bin" / "scenario_fuzz", fs::perms::owner_all);
  const ToolRun run =
      run_shell("'" + path("bin/touchstone") + "' fuzz --time 500ms --seed 5 --json --out " + path("out"));
  EXPECT_EQ(run.status, 1) << run.output;
  const auto json = nlohmann::json::parse(last_line(run.output));
  EXPECT_GT(json.at("executions"), 123456789);
  ASSERT_EQ(json.at("failures").size(), 1u) << run.output;
  EXPECT_NE(json.at("failures")[0].at("message").get<std::string>().find("more conflicts than allowed: "),
            std::string::npos)
      << run.output;
  EXPECT_GT(std::stoi(run_shell("cat " + path("cases")).output), 50);
  const std::string words = run_shell("cat " + path("words")).output;
  EXPECT_NE(words.find("-max_total_time=1 -seed="), std::string::npos) << words;
  EXPECT_FALSE(fs::exists(base_ / "out" / "libfuzzer")) << "its directory is left";
  fs::remove(path("words"));
  const ToolRun bound = run_shell("'" + path("bin/touchstone") +
                                  "' fuzz --time 1h --executions 10 --seed 5 --json --out " + path("bound"));
  EXPECT_EQ(nlohmann::json::parse(last_line(bound.output)).at("executions"), 10) << bound.output;
  EXPECT_FALSE(fs::exists(path("words"))) << "libFuzzer keeps no number of executions";
}

// The danger: shards that try the same, or overwrite what another one keeps.
TEST_F(FuzzCommand, ShardsTryTogetherAsMuchAsOneRunAndMergeToOneReport) {
  const std::string words = "--executions 2500 --seed 5 --results " + path("results");
  for (const char* shard : {"1/3", "2/3", "3/3"}) ASSERT_EQ(fuzz(words + " --shard " + shard), 0) << output_;
  ASSERT_EQ(touchstone("merge --json " + path("results")), 0) << output_;
  const auto claim = said().at("claims").at(0);
  EXPECT_EQ(said().at("part"), "3 of 3 shards");
  EXPECT_EQ(claim.at("claim"), "fuzz");
  EXPECT_EQ(claim.at("tried").at("schedules"), 2500);
  EXPECT_EQ(claim.at("sampled").at(0).at("executions"), 2500);
  EXPECT_EQ(files("out/corpus"),
            (std::set<std::string>{"shard-0001-of-0003", "shard-0002-of-0003", "shard-0003-of-0003"}));
  EXPECT_NE(files("out/corpus/shard-0001-of-0003"), files("out/corpus/shard-0002-of-0003"));
  ASSERT_EQ(fuzz("--executions 1 --seed 5 --json"), 0) << output_;
  EXPECT_GT(said().at("corpus"), files("out/corpus/shard-0001-of-0003").size())
      << "the whole goes on from all shards";
}

TEST_F(FuzzCommand, AFailureThatTwoShardsFindIsOneClaimOfTheReport) {
  write("corpus/mine.txt", kPromisesTooMuch);
  const std::string words =
      "--executions 200 --seed 5 --corpus " + path("corpus") + " --results " + path("results");
  EXPECT_EQ(fuzz(words + " --shard 1/2"), 1) << output_;
  EXPECT_EQ(touchstone("merge " + path("results")), 1) << output_;
  EXPECT_NE(output_.find("shard 2/2 is missing"), std::string::npos) << output_;
  EXPECT_EQ(fuzz(words + " --shard 2/2"), 1) << output_;
  EXPECT_EQ(touchstone("merge --json " + path("results")), 1) << output_;
  const auto merged = said();
  EXPECT_EQ(merged.at("violated"), 1);
  EXPECT_EQ(merged.at("held"), 1);
  const auto& failure = merged.at("claims").at(0);
  EXPECT_NE(failure.at("notes").dump().find("shard 2/2 too: replay: "), std::string::npos) << failure;
  EXPECT_NE(failure.at("reason").get<std::string>().find("worker "), std::string::npos)
      << "the scenario is in it: " << failure;
}

TEST_F(FuzzCommand, TakesItsShardFromTheScheduler) {
  const std::pair<const char*, const char*> schedulers[] = {
      {"PARALLEL_SEQ", "PARALLEL_SEQ=2 TOUCHSTONE_SHARDS=3"},
      {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_ID=2 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_COUNT=3"},
      {"JOB_COMPLETION_INDEX", "JOB_COMPLETION_INDEX=1 TOUCHSTONE_SHARDS=3"},
      {"GTEST_SHARD_INDEX", "GTEST_SHARD_INDEX=1 GTEST_TOTAL_SHARDS=3"}};
  for (const auto& [variable, environment] : schedulers) {
    EXPECT_EQ(fuzz("--executions 10 --seed 5", environment), 0) << output_;
    EXPECT_NE(output_.find(std::string("shard 2/3 by ") + variable + "\n"), std::string::npos) << output_;
  }
}

}  // namespace
}  // namespace touchstone::harness
