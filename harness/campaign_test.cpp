// Results of many machines on trial: killed shards, half-written files, repeated attempts, and files that do not belong together. The danger
// is a campaign that says "held" although a shard never ran, or loses the one failure that it found.

#include "harness/campaign.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace touchstone::harness {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

Json held(std::uint64_t rounds) {
  return {{"verdict", "held"}, {"tried", {{"rounds", rounds}}}};
}

Json violated(const std::string& replay) {
  return {{"verdict", "violated"}, {"tried", {{"rounds", 1}}}, {"replay", replay}};
}

class CampaignFiles : public testing::Test {
 protected:
  CampaignFiles() : base_(testing::TempDir() + "campaign." + std::to_string(::getpid())) {}
  ~CampaignFiles() override { fs::remove_all(base_); }

  /// Results of a shard, with what `fill` adds.
  template <class Fill>
  fs::path shard(std::uint32_t number, Fill fill, const std::string& folder = "a",
                 const CampaignKey& key = {"verify", "0x1", "simple"}, std::uint32_t count = 3) {
    CampaignResults results(base_ / folder, key, {number, count});
    fill(results);
    return results.file();
  }

  Campaign read(const std::vector<std::string>& folders = {"a"}) {
    const auto all = read_any(folders);
    if (const auto* wrong = std::get_if<CampaignError>(&all)) {
      ADD_FAILURE() << wrong->what;
      return {};
    }
    return std::get<Campaign>(all);
  }

  std::variant<Campaign, CampaignError> read_any(const std::vector<std::string>& names) {
    std::vector<fs::path> paths;
    for (const auto& name : names) paths.push_back(base_ / name);
    return read_campaign(paths);
  }

  std::string refusal(const std::vector<std::string>& names = {"a"}) {
    const auto all = read_any(names);
    const auto* wrong = std::get_if<CampaignError>(&all);
    return wrong == nullptr ? "it was read" : wrong->what;
  }

  const fs::path base_;
};

void whole(CampaignResults& results) {
  results.add("A3", held(5));
  results.finish();
}

std::string text_of(const Campaign& campaign) {
  std::string text;
  for (const auto& it : campaign.records)
    text += std::to_string(it.shard) + " " + it.key + " " + it.result.dump() + "\n";
  for (const auto& it : campaign.shards)
    text += std::to_string(it.shard) + (it.ended ? " ended\n" : " cut\n");
  return text;
}

TEST_F(CampaignFiles, AreOneListByKeyAndShardWhateverTheirOrder) {
  shard(2, whole);
  shard(0, whole);
  shard(1, whole, "b");
  const Campaign campaign = read({"b", "a"});
  EXPECT_EQ(text_of(campaign), text_of(read({"a", "b"})));
  ASSERT_EQ(campaign.records.size(), 3u);
  EXPECT_EQ(campaign.records[1].shard, 1u);
  EXPECT_TRUE(campaign.missing().empty());
  EXPECT_TRUE(campaign.unended().empty());
}

TEST_F(CampaignFiles, NameTheShardsThatAreMissingOrWereKilled) {
  shard(1, [](CampaignResults& results) { results.add("A3", held(2)); });
  const Campaign campaign = read();
  EXPECT_EQ(campaign.missing(), (std::vector<std::uint32_t>{0, 2}));
  EXPECT_EQ(campaign.unended(), std::vector<std::uint32_t>{1});
  EXPECT_EQ(campaign.records.size(), 1u) << "what it had decided counts";
}

// Danger: a kill in the middle of a write. Each prefix of a file must be read, up to the last whole line.
TEST_F(CampaignFiles, AreReadAfterAKillAtAnyByte) {
  const fs::path file = shard(0, whole);
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const std::size_t header = text.find('\n') + 1;
  for (std::size_t length = header; length <= text.size(); ++length) {
    std::ofstream(file, std::ios::trunc) << text.substr(0, length);
    const Campaign campaign = read();
    const auto lines = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(length), '\n');
    EXPECT_EQ(campaign.records.size(), lines >= 2 ? 1u : 0u) << length;
    EXPECT_EQ(campaign.unended().empty(), lines == 3) << length;
    EXPECT_EQ(campaign.cut_lines, text[length - 1] == '\n' ? 0u : 1u) << length;
  }
  std::ofstream(file, std::ios::trunc) << text.substr(0, header - 2);
  EXPECT_EQ(refusal(), "no results: " + file.string() + " was cut off in its first line");
}

// The danger: a disk that was full, or a kill right after the file was made, is blamed on something else.
TEST_F(CampaignFiles, ThatAreEmptyAreNamed) {
  fs::create_directories(base_ / "a");
  std::ofstream(base_ / "a" / "one.jsonl");
  EXPECT_EQ(refusal(), "no results: " + (base_ / "a" / "one.jsonl").string() + " is empty");
  std::ofstream(base_ / "a" / "two.jsonl");
  EXPECT_EQ(refusal(), "no results: " + (base_ / "a" / "one.jsonl").string() +
                           " is empty, and 1 more file says nothing");
  shard(1, whole);
  EXPECT_EQ(read().missing(), (std::vector<std::uint32_t>{0, 2}))
      << "beside results an empty file is no harm";
}

TEST_F(CampaignFiles, CountAShardThatWasTriedAgainOnce) {
  shard(0, [](CampaignResults& results) { results.add("A3", held(100)); });
  shard(0, whole);
  shard(0, [](CampaignResults& results) { results.add("A9", held(7)); });
  const Campaign campaign = read();
  ASSERT_EQ(campaign.records.size(), 2u);
  EXPECT_EQ(campaign.records[0].result.at("tried").at("rounds"), 5) << "the attempt that ended counts";
  EXPECT_EQ(campaign.records[1].key, "A9");
  EXPECT_EQ(campaign.shards.at(0).attempts, 3u);
}

TEST_F(CampaignFiles, KeepAFailureOfAnAttemptThatWasKilled) {
  shard(0, [](CampaignResults& results) { results.add("A3", violated("the line")); });
  shard(0, whole);
  const Campaign campaign = read();
  ASSERT_EQ(campaign.records.size(), 1u);
  EXPECT_EQ(campaign.records[0].result.at("replay"), "the line");
}

TEST_F(CampaignFiles, ChangeNothingWhenTheyAreReadTwiceOrMergedBefore) {
  shard(0, whole);
  shard(0, [](CampaignResults& results) { results.add("A3", violated("the line")); });
  const fs::path file = shard(2, [](CampaignResults& results) { results.add("A3", held(3)); });
  const Campaign once = read();
  fs::create_directories(base_ / "copy");
  fs::copy_file(file, base_ / "copy" / "of-a-file.jsonl");
  EXPECT_EQ(text_of(read({"a", "a", "copy"})), text_of(once));
  write_campaign(once, base_ / "merged" / "all.jsonl");
  EXPECT_EQ(text_of(read({"merged"})), text_of(once));
  EXPECT_EQ(text_of(read({"merged", "a"})), text_of(once));
}

TEST_F(CampaignFiles, OfAnotherProgramSeedSubjectOrDivisionAreRefusedByName) {
  shard(0, whole);
  const CampaignKey key{"verify", "0x1", "simple"};
  CampaignKey other = key;
  other.program = "0x0000000000000001";
  shard(1, whole, "program", other);
  EXPECT_NE(refusal({"a", "program"}).find("the program is \"" + key.program + "\" in "), std::string::npos)
      << refusal({"a", "program"});
  shard(1, whole, "seed", {"verify", "0x2", "simple"});
  EXPECT_NE(refusal({"a", "seed"}).find("the seed is \"0x1\" in "), std::string::npos);
  shard(1, whole, "subject", {"verify", "0x1", "reference"});
  EXPECT_NE(refusal({"a", "subject"}).find("the subject is \"simple\" in "), std::string::npos);
  shard(1, whole, "options", {"verify", "0x1", "simple", "--rounds 3"});
  EXPECT_NE(refusal({"a", "options"}).find("the line of options is \"\" in "), std::string::npos)
      << refusal({"a", "options"});
  shard(1, whole, "division", key, 4);
  EXPECT_NE(refusal({"a", "division"}).find("the number of shards is \"3\" in "), std::string::npos);
}

TEST_F(CampaignFiles, AreRefusedWhereTheyAreNoResults) {
  EXPECT_NE(refusal({"nothing"}).find("cannot read"), std::string::npos);
  fs::create_directories(base_ / "empty");
  EXPECT_NE(refusal({"empty"}).find("holds no results"), std::string::npos);
  std::ofstream(base_ / "text.jsonl") << "{\"some\":1}\n";
  EXPECT_NE(refusal({"text.jsonl"}).find("text.jsonl:1: not a line"), std::string::npos)
      << refusal({"text.jsonl"});
  std::ofstream(shard(0, whole), std::ios::app) << "{\"key\n{\"ended\":true}\n";
  EXPECT_NE(refusal().find(":4: not JSON, and not the last line"), std::string::npos) << refusal();
}

}  // namespace
}  // namespace touchstone::harness
