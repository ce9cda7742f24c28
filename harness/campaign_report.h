#pragma once
// One report of all shards of a campaign.
//
//   const auto read = read_campaign({"results"});
//   VerifyReport report = report_of(std::get<Campaign>(read));
//   return exit_status_of(campaign, report);                       // never 0 where a shard is missing or was killed
//
// What the shards of a claim have tried is summed; the worst verdict counts, with the reason and the replay line of the first shard that has it.
// A claim that every shard which could speak has left to another is inconclusive: who should have checked it is missing. The remainder of
// samplers (Good and Turing) is at most the sum of classes seen once over the sum of executions, because shards do not know which classes the
// others have met.
//
// Pure functions. Errors: a record that is no ClaimReport: std::runtime_error that names it.

#include <string>

#include "harness/campaign.h"
#include "harness/verify.h"

namespace touchstone::harness {

VerifyReport report_of(const Campaign& campaign);

int exit_status_of(const Campaign& campaign, const VerifyReport& report);

/// A line for each shard that is missing or was killed, and for lines that were cut off; empty if there is nothing to say.
std::string lacks_of(const Campaign& campaign);

}  // namespace touchstone::harness
