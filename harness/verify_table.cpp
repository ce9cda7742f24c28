#include "harness/verify_table.h"

#include <fmt/format.h>

namespace touchstone::harness {
namespace {

template <class Claim, class Verdict, class TriedText, class Class, class SeedText>
std::string row(const Claim& claim, const Verdict& verdict, const TriedText& tried, const Class& replay_class,
                const SeedText& seed) {
  return fmt::format("{:<5} {:<12} {:<57} {:<12} {}\n", claim, verdict, tried, replay_class, seed);
}

}  // namespace

std::string table_head() {
  return row("claim", "verdict", "tried", "replay class", "seed") + "      what is promised (technique)\n\n";
}

/// Two lines, so that a terminal of 120 columns holds them.
std::string table_row(const ClaimReport& claim, Seed seed) {
  std::string text = row(claim.claim, to_text(claim.verdict), to_text(claim.tried),
                         to_text(claim.replay_class), seed.text()) +
                     fmt::format("      {} ({})\n", claim.promise, claim.technique);
  for (const auto& note : claim.notes) text += "      note: " + note + "\n";
  if (claim.verdict == ClaimVerdict::held) return text;
  for (std::size_t begin = 0, end = 0; end != std::string::npos; begin = end + 1) {
    end = claim.reason.find('\n', begin);
    text += "      " + claim.reason.substr(begin, end - begin) + '\n';
  }
  return text + "      replay: " + claim.replay + '\n';
}

std::string table_foot(const VerifyReport& report) {
  const std::string unfinished =
      report.unfinished() == 0 ? "" : fmt::format(", {} not checked", report.unfinished());
  std::string text;
  for (const auto& promise : report.not_claimed)
    text += fmt::format("{:<5} {:<12} the engine does not declare {}\n      {}\n", promise.name,
                        "not claimed", promise.lacks, promise.promise);
  const std::string not_claimed =
      report.not_claimed.empty() ? "" : fmt::format(", {} not claimed", report.not_claimed.size());
  return text +
         fmt::format("{} {} of the {} engine: {} held, {} violated, {} inconclusive{}{}; {:.0f} s; seed {}\n",
                     report.claims.size(), report.claims.size() == 1 ? "claim" : "claims", report.engine,
                     report.count(ClaimVerdict::held), report.count(ClaimVerdict::violated),
                     report.count(ClaimVerdict::inconclusive), not_claimed, unfinished, report.seconds,
                     report.seed.text());
}

}  // namespace touchstone::harness
