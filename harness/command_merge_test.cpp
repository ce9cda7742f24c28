// Campaigns as schedulers run them: GNU parallel with two local workers, one of which is killed on the way, and a Slurm of one node. The danger
// is in what no unit test sees: a variable that is called otherwise, a kill that leaves a report which looks whole.

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "harness/tool_run.h"

namespace touchstone::harness {
namespace {

namespace fs = std::filesystem;

class MergeCommand : public testing::Test {
 protected:
  MergeCommand() : base_(testing::TempDir() + "command_merge." + std::to_string(::getpid())) {
    fs::create_directories(base_);
  }
  ~MergeCommand() override { fs::remove_all(base_); }

  std::string results() const { return (base_ / "results").string(); }

  int merge(const std::string& options = "") {
    const ToolRun run = run_shell("'" TOUCHSTONE_TOOL "' merge " + options + " " + results());
    output_ = run.output;
    return run.status;
  }

  std::string script(const std::string& text) const {
    const fs::path file = base_ / "job.sh";
    std::ofstream(file) << "#!/bin/bash\n" << text;
    fs::permissions(file, fs::perms::owner_all);
    return file.string();
  }

  const fs::path base_;
  std::string output_;
};

constexpr const char* kVerify =
    "'" TOUCHSTONE_TOOL "' verify --engine simple --claim A3 --claim A6 --claim S1 --seed 0x5 --out '' ";

// The shard that is killed has hours for its last claim, so that nothing but the kill ends it, and is killed when an earlier claim is decided.
TEST_F(MergeCommand, JoinsWhatParallelRanThoughAWorkerWasKilled) {
  if (run_shell("command -v parallel").status != 0)
    GTEST_SKIP()
        << "expected skip: GNU parallel is not installed (apt-get install parallel), so nothing shares work";
  const std::string job =
      script(std::string("if [[ $PARALLEL_SEQ != 2 ]]; then exec ") + kVerify + "--budget 300ms --results " +
             results() + "; fi\n" + kVerify + "--budget 5h --results " + results() +
             " & run=$!\nuntil grep -q '\"key\"' " + results() +
             "/shard-0002-of-0004.*.jsonl 2>/dev/null; do kill -0 $run || break; sleep 0.02; done\nkill -9 "
             "$run; wait $run\n");
  const std::string workers = "TOUCHSTONE_SHARDS=4 parallel --will-cite -N0 -j2 " + job + " ::: 1 2 3 4";
  const ToolRun ran = run_shell("HOME=" + base_.string() + " " + workers);
  EXPECT_EQ(ran.status, 1) << "one job failed: " << ran.output;
  EXPECT_EQ(merge(), 2);
  EXPECT_NE(output_.find("shard 2/4 did not end"), std::string::npos) << output_;
  EXPECT_NE(output_.find("3 of 4 shards"), std::string::npos) << output_;

  const ToolRun again = run_shell(std::string("PARALLEL_SEQ=2 TOUCHSTONE_SHARDS=4 ") + kVerify +
                                  "--budget 300ms --results " + results());
  EXPECT_EQ(again.status, 0) << again.output;
  EXPECT_NE(again.output.find("shard 2/4 by PARALLEL_SEQ"), std::string::npos) << again.output;
  EXPECT_EQ(merge("--json --out " + (base_ / "all.jsonl").string()), 0) << output_;
  const auto whole = nlohmann::json::parse(output_);
  EXPECT_EQ(whole.at("part"), "4 of 4 shards");
  EXPECT_EQ(whole.at("held"), 3);
  EXPECT_EQ(merge("--json " + (base_ / "all.jsonl").string()), 0) << output_;
  EXPECT_EQ(nlohmann::json::parse(output_), whole) << "merging what was merged changes something";
}

TEST_F(MergeCommand, NamesTheShardsThatNeverRan) {
  ASSERT_EQ(run_shell(std::string(kVerify) + "--rounds 6 --shard 3/3 --results " + results()).status, 0);
  EXPECT_EQ(merge(), 2);
  EXPECT_NE(output_.find("shard 1/3 is missing"), std::string::npos) << output_;
  EXPECT_NE(output_.find("shard 2/3 is missing"), std::string::npos) << output_;
  EXPECT_EQ(output_.find("shard 3/3"), std::string::npos) << output_;
}

TEST_F(MergeCommand, RefusesResultsOfAnotherProgram) {
  ASSERT_EQ(run_shell(std::string(kVerify) + "--rounds 6 --shard 1/2 --results " + results()).status, 0);
  ASSERT_EQ(run_shell(std::string(kVerify) + "--rounds 6 --shard 2/2 --results " + results()).status, 0);
  ASSERT_EQ(
      run_shell("sed -i '1s/\"program\":\"0x[0-9a-f]*\"/\"program\":\"0x1\"/' " + results() + "/shard-0002*")
          .status,
      0);
  EXPECT_EQ(merge(), 65);
  EXPECT_NE(output_.find("the program is "), std::string::npos) << output_;
}

TEST_F(MergeCommand, SaysThatAFileIsEmpty) {
  std::ofstream(base_ / "results");
  EXPECT_EQ(merge(), 65);
  EXPECT_EQ(output_, "touchstone merge: no results: " + results() + " is empty\n");
}

TEST_F(MergeCommand, SumsWhatShardsOfAnExplorationSampled) {
  for (const char* shard : {"1/2", "2/2"})
    ASSERT_EQ(
        run_shell(
            "'" TOUCHSTONE_TOOL "' explore " TOUCHSTONE_TOP
            "/harness/scenarios/two-committers.scenario --seed 5 --algorithm pos --executions 101 --shard " +
            std::string(shard) + " --results " + results())
            .status,
        0);
  EXPECT_EQ(merge("--json"), 0) << output_;
  const auto claim = nlohmann::json::parse(output_).at("claims").at(0);
  EXPECT_EQ(claim.at("tried").at("schedules"), 101);
  EXPECT_EQ(claim.at("sampled").at(0).at("executions"), 101);
  EXPECT_EQ(run_shell("'" TOUCHSTONE_TOOL "' explore --builtin cas-2x1 --seed 5 --shard 1/2").status, 64)
      << "a tree is not divided";
}

// The danger: a command that comes later draws from a seed and cannot be divided.
TEST_F(MergeCommand, GoesWithEveryCommandThatTakesASeed) {
  const std::string listed =
      run_shell("'" TOUCHSTONE_TOOL "' --help | sed -n '/^Subcommands:/,$s/^  \\([a-z][a-z]*\\) .*/\\1/p'")
          .output;
  std::istringstream commands(listed);
  std::string seeded;
  for (std::string command; commands >> command;) {
    const std::string help = run_shell("'" TOUCHSTONE_TOOL "' " + command + " --help").output;
    if (help.find("--seed") == std::string::npos) continue;
    seeded += command + " ";
    EXPECT_NE(help.find("--shard"), std::string::npos) << command;
    EXPECT_NE(help.find("--results"), std::string::npos) << command;
    EXPECT_EQ(run_shell("'" TOUCHSTONE_TOOL "' " + command + " --seed 1 --shard 3/2 " +
                        (command == "explore" ? "--builtin cas-2x1" : ""))
                  .status,
              64)
        << command;
  }
  EXPECT_EQ(seeded, "engines explore fuzz verify ");
}

TEST_F(MergeCommand, JoinsWhatASlurmArrayRan) {
  if (run_shell("PATH=$PATH:/usr/sbin command -v slurmctld slurmd sbatch munged").status != 0 ||
      ::getuid() != 0)
    GTEST_SKIP()
        << "expected skip: no Slurm, or not root (apt-get install slurmctld slurmd slurm-client munge)";
  const std::string job = script(kVerify + std::string("--rounds 6 --results ") + results() + "\n");
  const std::string command =
      "HOME=" + base_.string() +
      " '" TOUCHSTONE_TOP "/ci/slurm' timeout 120 sbatch --wait --chdir=" + base_.string() +
      " --output=" + (base_ / "out.%a").string() + " --array=1-3 " + job;
  const ToolRun ran = run_shell(command);
  EXPECT_EQ(ran.status, 0) << ran.output;
  EXPECT_NE(run_shell("cat " + (base_ / "out.2").string()).output.find("shard 2/3 by SLURM_ARRAY_TASK_ID"),
            std::string::npos);
  EXPECT_EQ(merge(), 0) << output_;
  EXPECT_NE(output_.find("3 of 3 shards"), std::string::npos) << output_;
}

}  // namespace
}  // namespace touchstone::harness
