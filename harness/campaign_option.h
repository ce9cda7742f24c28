#pragma once
// --shard and --results, as every seeded command has them.
//
//   CampaignOptions campaign;
//   add_campaign_options(*command, campaign);
//   ...
//   const ChosenShard shard = shard_of(campaign, !seed.empty());        // the seed's option was given
//   if (const auto* wrong = std::get_if<ShardError>(&shard)) return wrong_usage(wrong->what);
//
// Shards without one seed would be so many campaigns: with several, a seed must be given, as an option or as TOUCHSTONE_SEED.
// One thread.

#include <CLI/App.hpp>
#include <cstdlib>
#include <string>

#include "harness/shard.h"

namespace touchstone::harness {

struct CampaignOptions {
  std::string shard;
  std::string results;
};

inline void add_campaign_options(CLI::App& command, CampaignOptions& campaign) {
  command.add_option("--shard", campaign.shard,
                     "i/n: this part of a campaign; else as parallel, Slurm, Kubernetes or GTest say");
  command.add_option("--results", campaign.results, "directory of JSON lines for touchstone merge");
}

inline ChosenShard shard_of(const CampaignOptions& campaign, bool seed_given) {
  ChosenShard chosen = choose_shard(campaign.shard);
  const auto* shard = std::get_if<Shard>(&chosen);
  if (shard != nullptr && !shard->whole() && !seed_given && std::getenv("TOUCHSTONE_SEED") == nullptr)
    return ShardError{"shard " + shard->text() + (shard->source.empty() ? "" : " by " + shard->source) +
                      ": all shards of a campaign have one seed: --seed is missing"};
  return chosen;
}

}  // namespace touchstone::harness
