#pragma once
// The results of a campaign over machines: a file of JSON lines for each attempt at a shard, in one directory or in many, and their union.
//
//   CampaignResults results("results", {.command = "verify", .seed = seed.text(), .subject = "reference"}, shard);
//   results.add("A3", json_of(claim_report));                                   // as soon as it is known
//   results.finish();
//
//   const auto read = read_campaign({"results", "results-of-the-other-machine"});
//   if (const auto* wrong = std::get_if<CampaignError>(&read)) ...
//   for (const CampaignRecord& record : std::get<Campaign>(read).records) ...
//
// A file's first line says which campaign, shard and program it is of, each further line one result, the last one that the shard has ended.
// Each line is one write(2), so that a kill cuts at most the last line short: it is left out and counted. A shard may be
// tried again: each attempt has a file of its own name; of a key's records of one shard counts that of an attempt that ended, else of the
// one that got further. Reading what was merged before, or the same file twice, changes nothing (C1).
//
// A record is a ClaimReport (verify_json.h), of whatever command, so that one `touchstone merge` makes one report of any of them
// (campaign_report.h). Here only its "verdict" and "tried" are looked at.
//
// Thread safety: a CampaignResults belongs to one thread, and is for one process. Errors: std::runtime_error of a file that cannot be
// written, with its name; CampaignError of results that do not go together.
// Invariants: C1 read_campaign() is idempotent, and blind to the order of its files. C2 no violated record is ever dropped.

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "harness/shard.h"

namespace touchstone::harness {

/// What all shards of a campaign have in common.
struct CampaignKey {
  std::string command;
  std::string seed;
  std::string subject;       ///< what it is about: an engine, a scenario
  std::string options = {};  ///< all that decide what is tried
  std::string program = program_hash();

  friend bool operator==(const CampaignKey&, const CampaignKey&) = default;

  /// Of the running binary: "0x" and 16 hex digits. The reference engine is compiled into it, so another engine is another hash.
  static std::string program_hash();

  /// Of a file, as an engine in a library of its own.
  static std::string file_hash(const std::filesystem::path& file);
};

class CampaignResults {
 public:
  /// Makes the directory and a new file, with its first line.
  CampaignResults(const std::filesystem::path& directory, const CampaignKey& key, const Shard& shard);
  ~CampaignResults();
  CampaignResults(const CampaignResults&) = delete;
  CampaignResults& operator=(const CampaignResults&) = delete;

  /// `key` names what this is the result of, within the shard.
  void add(std::string_view key, nlohmann::json result);
  void finish();

  const std::filesystem::path& file() const { return file_; }

 private:
  void write(const nlohmann::json& line);

  std::filesystem::path file_;
  int descriptor_ = -1;
};

struct CampaignRecord {
  std::uint32_t shard = 0;  ///< from 0 on
  std::string key;
  nlohmann::json result;
};

/// What came of a shard.
struct CampaignShard {
  std::uint32_t shard = 0;
  bool ended = false;
  std::size_t attempts = 0;
};

struct Campaign {
  CampaignKey key;
  std::uint32_t count = 1;
  std::vector<CampaignShard> shards;  ///< those with a file, by number
  std::vector<CampaignRecord>
      records;  ///< by key, then by shard; violated ones of one key and shard may be several
  std::size_t cut_lines = 0;

  std::vector<std::uint32_t> missing() const;  ///< from 0 on
  std::vector<std::uint32_t> unended() const;  ///< with a file, and without an attempt that ended
};

struct CampaignError {
  std::string what;  ///< names the files
};

/// All results in these directories and files.
std::variant<Campaign, CampaignError> read_campaign(const std::vector<std::filesystem::path>& sources);

/// The union as one file, which read_campaign() takes as it takes its parts.
void write_campaign(const Campaign& campaign, const std::filesystem::path& file);

}  // namespace touchstone::harness
