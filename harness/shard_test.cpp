// The division of a campaign on trial: a number that two shards take is work done twice, and one that none takes is a bug not found.

#include "harness/shard.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace touchstone::harness {
namespace {

using Variables = std::map<std::string, std::string>;

ChosenShard chosen(std::string_view option, const Variables& variables) {
  return choose_shard(option, [&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

std::string shard_in(const Variables& variables) {
  const auto shard = chosen("", variables);
  if (const auto* wrong = std::get_if<ShardError>(&shard)) return wrong->what;
  return std::get<Shard>(shard).text();
}

TEST(Shard, IsEverythingUnlessSomethingSaysOtherwise) {
  EXPECT_EQ(shard_in({}), "1/1");
  EXPECT_TRUE(std::get<Shard>(chosen("", {})).whole());
}

TEST(Shard, ReadsTheConventionOfEachScheduler) {
  EXPECT_EQ(shard_in({{"GTEST_SHARD_INDEX", "0"}, {"GTEST_TOTAL_SHARDS", "3"}}), "1/3");
  EXPECT_EQ(
      shard_in(
          {{"SLURM_ARRAY_TASK_ID", "7"}, {"SLURM_ARRAY_TASK_COUNT", "4"}, {"SLURM_ARRAY_TASK_MIN", "5"}}),
      "3/4");
  EXPECT_EQ(shard_in({{"SLURM_ARRAY_TASK_ID", "9"},
                      {"SLURM_ARRAY_TASK_COUNT", "4"},
                      {"SLURM_ARRAY_TASK_MIN", "1"},
                      {"SLURM_ARRAY_TASK_STEP", "4"}}),
            "3/4");
  EXPECT_EQ(shard_in({{"JOB_COMPLETION_INDEX", "7"}, {"TOUCHSTONE_SHARDS", "8"}}), "8/8");
  EXPECT_EQ(shard_in({{"PARALLEL_SEQ", "2"}, {"PARALLEL_JOBSLOT", "1"}, {"TOUCHSTONE_SHARDS", "8"}}), "2/8");
}

TEST(Shard, IsNoneOfParallelsJobsUnlessTheirNumberIsSaid) {
  EXPECT_EQ(shard_in({{"PARALLEL_SEQ", "2"}, {"PARALLEL_JOBSLOT", "1"}}), "1/1");
}

TEST(Shard, PrefersTheOption) {
  const Variables variables = {{"GTEST_SHARD_INDEX", "0"}, {"GTEST_TOTAL_SHARDS", "3"}};
  EXPECT_EQ(std::get<Shard>(chosen("2/8", variables)).text(), "2/8");
  EXPECT_TRUE(std::get<Shard>(chosen("1/1", variables)).whole());
}

TEST(Shard, NamesTheVariableOrTheWordThatIsWrong) {
  const std::pair<Variables, const char*> cases[] = {
      {{{"GTEST_SHARD_INDEX", "3"}, {"GTEST_TOTAL_SHARDS", "3"}},
       "GTEST_SHARD_INDEX makes this shard 4 of 3"},
      {{{"GTEST_SHARD_INDEX", "x"}, {"GTEST_TOTAL_SHARDS", "3"}}, "GTEST_SHARD_INDEX is \"x\""},
      {{{"JOB_COMPLETION_INDEX", "1"}}, "set TOUCHSTONE_SHARDS"},
      {{{"PARALLEL_SEQ", "0"}, {"TOUCHSTONE_SHARDS", "8"}}, "PARALLEL_SEQ"},
      {{{"SLURM_ARRAY_TASK_ID", "4"},
        {"SLURM_ARRAY_TASK_COUNT", "2"},
        {"SLURM_ARRAY_TASK_MIN", "1"},
        {"SLURM_ARRAY_TASK_STEP", "2"}},
       "SLURM_ARRAY_TASK_ID is 4"},
      {{{"GTEST_SHARD_INDEX", "0"},
        {"GTEST_TOTAL_SHARDS", "3"},
        {"PARALLEL_SEQ", "2"},
        {"TOUCHSTONE_SHARDS", "3"}},
       "GTEST_SHARD_INDEX says 1/3 and PARALLEL_SEQ says 2/3"}};
  for (const auto& [variables, said] : cases)
    EXPECT_NE(shard_in(variables).find(said), std::string::npos) << shard_in(variables);
  for (const char* option : {"0/3", "4/3", "x/3", "1/", "/3", "3", "1/3/", "-1/3", "1/99999999999"})
    EXPECT_TRUE(std::holds_alternative<ShardError>(chosen(option, {}))) << option;
}

TEST(Shard, DealsOutEachNumberAndEachNameOnce) {
  for (const std::uint32_t count : {1u, 2u, 3u, 7u}) {
    std::map<std::uint32_t, int> owned;
    for (int number = 0; number < 1000; ++number) {
      int takers = 0, owners = 0;
      for (std::uint32_t index = 0; index < count; ++index) {
        const Shard shard{index, count};
        takers += shard.takes(static_cast<std::uint64_t>(number)) ? 1 : 0;
        if (!shard.owns("name" + std::to_string(number))) continue;
        ++owners;
        ++owned[index];
      }
      EXPECT_EQ(takers, 1) << number;
      EXPECT_EQ(owners, 1) << number;
    }
    for (const auto& [index, names] : owned) EXPECT_GT(names, 500 / static_cast<int>(count)) << index;
  }
}

}  // namespace
}  // namespace touchstone::harness
