#include "harness/verify_table.h"

#include <fmt/format.h>

#include "harness/counted.h"
#include "harness/mutant_table.h"

namespace touchstone::harness {
namespace {

template <class Claim, class Verdict, class TriedText, class Class, class SeedText>
std::string row(const Claim& claim, const Verdict& verdict, const TriedText& tried, const Class& replay_class,
                const SeedText& seed) {
  return fmt::format("{:<5} {:<12} {:<57} {:<12} {}\n", claim, verdict, tried, replay_class, seed);
}

}  // namespace

std::string remainders(const std::vector<Sampled>& sampled) {
  std::string text;
  for (const Sampled& it : sampled)
    text += fmt::format("{}{} {:.2g} %", text.empty() ? "" : ", ", it.what, 100 * it.remainder());
  return text;
}

std::string table_head() {
  return row("claim", "verdict", "tried", "replay class", "seed") +
         "      what is promised (technique)\n"
         "      unseen: the chance that a sampler's next schedule is of a class it has not met (Good and "
         "Turing)\n"
         "      kills: the planted bugs that the claim's checks are shown to find (docs/mutants.md)\n\n";
}

/// Two lines, so that a terminal of 120 columns holds them.
std::string table_row(const ClaimReport& claim, Seed seed) {
  std::string text = row(claim.claim, to_text(claim.verdict), to_text(claim.tried),
                         to_text(claim.replay_class), seed.text()) +
                     fmt::format("      {} ({})\n", claim.promise, claim.technique);
  for (const auto& note : claim.notes) text += "      note: " + note + "\n";
  if (!claim.sampled.empty()) text += "      unseen: " + remainders(claim.sampled) + "\n";
  if (const std::string mutants = mutant_numbers(claim.claim); !mutants.empty())
    text += "      kills: " + mutants + "\n";
  if (claim.verdict == ClaimVerdict::held || claim.verdict == ClaimVerdict::elsewhere) return text;
  for (std::size_t begin = 0, end = 0; end != std::string::npos; begin = end + 1) {
    end = claim.reason.find('\n', begin);
    text += "      " + claim.reason.substr(begin, end - begin) + '\n';
  }
  return text + "      replay: " + claim.replay + '\n';
}

std::string table_foot(const VerifyReport& report) {
  std::string text, others;
  for (const auto& promise : report.not_claimed)
    text += fmt::format("{:<5} {:<12} the engine does not declare {}\n      {}\n", promise.name,
                        "not claimed", promise.lacks, promise.promise);
  if (!report.not_claimed.empty()) others += fmt::format(", {} not claimed", report.not_claimed.size());
  if (report.unfinished() != 0) others += fmt::format(", {} not checked", report.unfinished());
  if (const auto count = report.count(ClaimVerdict::elsewhere); count != 0)
    others += fmt::format(", {} left to other shards", count);
  return text +
         fmt::format("{} of the {} engine{}: {} held, {} violated, {} inconclusive{}; {:.0f} s; seed {}\n",
                     counted(report.claims.size(), "claim"), report.engine,
                     report.part.empty() ? "" : ", " + report.part, report.count(ClaimVerdict::held),
                     report.count(ClaimVerdict::violated), report.count(ClaimVerdict::inconclusive), others,
                     report.seconds, report.seed.text());
}

}  // namespace touchstone::harness
