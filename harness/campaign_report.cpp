#include "harness/campaign_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>

#include "harness/counted.h"
#include "harness/verify_json.h"

namespace touchstone::harness {
namespace {

/// How much a verdict says: the worst of a claim's shards is the claim's.
int gravity(ClaimVerdict verdict) {
  switch (verdict) {
    case ClaimVerdict::violated:
      return 3;
    case ClaimVerdict::inconclusive:
      return 2;
    case ClaimVerdict::held:
      return 1;
    case ClaimVerdict::elsewhere:
      break;
  }
  return 0;
}

void add_counts(NamedCounts& all, const NamedCounts& more) {
  for (const auto& [name, count] : more.counts) {
    const auto known = std::find_if(all.counts.begin(), all.counts.end(),
                                    [&name = name](const auto& it) { return it.first == name; });
    if (known != all.counts.end()) {
      known->second += count;
    } else {
      all.counts.emplace_back(name, count);
    }
  }
}

void add_figures(Figures& all, const Figures& more) {
  if (!all.contention) all.contention = more.contention;
  for (const NamedCounts& named : more.counts) {
    const auto known = std::find_if(all.counts.begin(), all.counts.end(),
                                    [&](const NamedCounts& it) { return it.title == named.title; });
    if (known != all.counts.end()) {
      add_counts(*known, named);
    } else {
      all.counts.push_back(named);
    }
  }
}

void add_sampled(std::vector<Sampled>& all, const Sampled& more) {
  const auto known =
      std::find_if(all.begin(), all.end(), [&](const Sampled& it) { return it.what == more.what; });
  if (known == all.end()) {
    all.push_back(more);
    return;
  }
  known->executions += more.executions;
  known->classes += more.classes;
  known->once += more.once;
}

void add(ClaimReport& all, const ClaimReport& more, std::uint32_t shard, std::uint32_t count) {
  if (gravity(more.verdict) > gravity(all.verdict)) {
    all.verdict = more.verdict;
    all.reason = more.reason;
    all.replay = more.replay;
    all.replay_class = more.replay_class;
  } else if (more.verdict == ClaimVerdict::violated && more.replay != all.replay) {
    all.notes.push_back(fmt::format("shard {}/{} too: replay: {}", shard + 1, count, more.replay));
  }
  all.tried.rounds += more.tried.rounds;
  all.tried.operations += more.tried.operations;
  all.tried.schedules += more.tried.schedules;
  all.tried.kills += more.tried.kills;
  all.seconds += more.seconds;
  for (const auto& note : more.notes)
    if (std::find(all.notes.begin(), all.notes.end(), note) == all.notes.end()) all.notes.push_back(note);
  for (const Sampled& it : more.sampled) add_sampled(all.sampled, it);
  add_figures(all.figures, more.figures);
}

ClaimReport claim_in(const CampaignRecord& record) {
  try {
    return claim_of(record.result);
  } catch (const nlohmann::json::exception& why) {
    throw std::runtime_error(fmt::format("shard {}: what is said of {} cannot be read: {}", record.shard + 1,
                                         record.key, why.what()));
  }
}

/// A2 before A10.
bool in_order(const ClaimReport& a, const ClaimReport& b) {
  const auto letters = [](const std::string& name) {
    return name.substr(0, name.find_first_of("0123456789"));
  };
  if (letters(a.claim) != letters(b.claim)) return letters(a.claim) < letters(b.claim);
  return a.claim.size() != b.claim.size() ? a.claim.size() < b.claim.size() : a.claim < b.claim;
}

}  // namespace

VerifyReport report_of(const Campaign& campaign) {
  VerifyReport report{.engine = campaign.key.subject,
                      .seed = Seed::parse(campaign.key.seed).value_or(Seed(0))};
  std::map<std::string, ClaimReport> claims;
  for (const CampaignRecord& record : campaign.records) {
    const ClaimReport claim = claim_in(record);
    const auto [known, fresh] = claims.try_emplace(record.key, claim);
    if (!fresh) add(known->second, claim, record.shard, campaign.count);
  }
  for (auto& [key, claim] : claims) {
    if (claim.verdict == ClaimVerdict::elsewhere) {
      claim.verdict = ClaimVerdict::inconclusive;
      claim.reason = "not checked: the shard that does is missing";
    }
    report.seconds += claim.seconds;
    report.claims.push_back(std::move(claim));
  }
  std::sort(report.claims.begin(), report.claims.end(), in_order);
  report.planned = report.claims.size();
  report.part = fmt::format("{} of {}", campaign.shards.size() - campaign.unended().size(),
                            counted(campaign.count, "shard"));
  return report;
}

int exit_status_of(const Campaign& campaign, const VerifyReport& report) {
  const int status = report.exit_status();
  const bool whole = campaign.missing().empty() && campaign.unended().empty();
  return status == 0 && (!whole || report.claims.empty()) ? 2 : status;
}

std::string lacks_of(const Campaign& campaign) {
  std::string text;
  for (const std::uint32_t shard : campaign.missing())
    text += fmt::format("shard {}/{} is missing\n", shard + 1, campaign.count);
  for (const std::uint32_t shard : campaign.unended())
    text += fmt::format("shard {}/{} did not end: what it had decided by then counts\n", shard + 1,
                        campaign.count);
  if (campaign.cut_lines > 0)
    text += fmt::format("{} cut off in a line: that line is left out\n",
                        counted(campaign.cut_lines, "file was", "files were"));
  return text;
}

}  // namespace touchstone::harness
