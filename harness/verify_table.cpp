#include "harness/verify_table.h"

#include <fmt/format.h>

namespace touchstone::harness {
namespace {

template <class Claim, class Promise, class Technique, class TriedText, class Verdict, class SeedText,
          class Class>
std::string row(const Claim& claim, const Promise& promise, const Technique& technique,
                const TriedText& tried, const Verdict& verdict, const SeedText& seed,
                const Class& replay_class) {
  return fmt::format("{:<5} {:<78} {:<56} {:<46} {:<12} {:<18} {}\n", claim, promise, technique, tried,
                     verdict, seed, replay_class);
}

}  // namespace

std::string table_head() {
  return row("claim", "promise", "technique", "tried", "verdict", "seed", "replay class");
}

std::string table_row(const ClaimReport& claim, Seed seed) {
  std::string text = row(claim.claim, claim.promise, claim.technique, to_text(claim.tried),
                         to_text(claim.verdict), seed.text(), to_text(claim.replay_class));
  for (const auto& note : claim.notes) text += "  note: " + note + "\n";
  if (claim.verdict == ClaimVerdict::held) return text;
  std::string reason = "  " + claim.reason;
  for (std::size_t at = 0; (at = reason.find('\n', at)) != std::string::npos; at += 3)
    reason.replace(at, 1, "\n  ");
  return text + reason + "\n  replay: " + claim.replay + "\n";
}

std::string table_foot(const VerifyReport& report) {
  return fmt::format("{} claims of the {} engine: {} held, {} violated, {} inconclusive; {:.0f} s; seed {}\n",
                     report.claims.size(), report.engine, report.count(ClaimVerdict::held),
                     report.count(ClaimVerdict::violated), report.count(ClaimVerdict::inconclusive),
                     report.seconds, report.seed.text());
}

}  // namespace touchstone::harness
