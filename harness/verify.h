#pragma once
// Checks every claim of a registry within a budget, and reports.
//
//   VerifyOptions options{.budget = std::chrono::minutes(2), .out = "touchstone-out"};
//   VerifyReport report = verify(registry, options, [](const ClaimReport& one) { ... });
//   fmt::print("{}", to_table(report));
//   return report.exit_status();
//
// Each claim runs in a process of its own (isolated.h): a crash or a hang is a violation with a replay line, and the
// others still run. The budget is divided by weight; a claim that finishes early leaves its time to the rest.
//
// Thread safety: one thread, in a process that has no other.

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "harness/claim.h"

namespace touchstone::harness {

enum class ClaimVerdict {
  held,
  violated,
  inconclusive,
  elsewhere,  ///< another shard of the campaign checks it
};
std::string_view to_text(ClaimVerdict verdict);

struct ClaimReport {
  std::string claim;
  std::string promise;
  std::string technique;
  ReplayClass replay_class = ReplayClass::workload;
  ClaimVerdict verdict = ClaimVerdict::inconclusive;
  Tried tried;
  std::string reason = {};              ///< of a verdict that is violated or inconclusive
  std::vector<std::string> notes = {};  ///< what a reader should know beside the verdict
  std::string replay = {};              ///< the line, of such a verdict
  double seconds = 0;
  std::vector<Sampled> sampled = {};  ///< by a sampler of schedules: what it has not seen
  Figures figures = {};
};

struct VerifyReport {
  std::string engine;
  Seed seed{0};
  std::vector<ClaimReport> claims;
  double seconds = 0;
  std::size_t planned = 0;  ///< claims of the run
  std::vector<NotClaimed> not_claimed = {};
  std::string part = {};  ///< of a campaign: which shard, or of which it was merged

  std::size_t count(ClaimVerdict verdict) const;

  /// Planned and not checked: of a run that goes on, or was interrupted.
  std::size_t unfinished() const { return planned > claims.size() ? planned - claims.size() : 0; }

  /// 1 if a claim was violated, else 2 if one is inconclusive, else 0.
  int exit_status() const;
};

struct VerifyOptions {
  Seed seed{0};
  std::chrono::nanoseconds budget = std::chrono::seconds(100);
  std::filesystem::path out = "touchstone-out";  ///< empty: keep nothing
  std::vector<std::string> only;                 ///< claims by name; empty: all
  std::string tool = "touchstone";               ///< how a replay line calls the tool
  Shard shard = {};
  std::optional<std::uint64_t> rounds =
      {};  ///< of every check in all shards, whatever time it takes; `budget` is then patience
  std::chrono::nanoseconds patience =
      std::chrono::seconds(60);        ///< beyond its share, until a claim counts as hung
  std::function<void()> started = {};  ///< the claims are known and the run directory can be written
  std::function<void(const Claim&, std::size_t, std::size_t, const std::string&)> progress = {};
};

struct CannotWriteRun : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Before anything is checked, what an earlier run left in `out` is removed and a report is written there, and again after
/// each claim: so whoever interrupts or kills the run keeps what was decided. A name in `only` that is no claim:
/// std::invalid_argument. An `out` that cannot be written: CannotWriteRun.
VerifyReport verify(const ClaimRegistry& registry, const VerifyOptions& options,
                    const std::function<void(const ClaimReport&)>& finished = {});

/// What the claim cannot repeat of a replay line: a part it does not have, an option that nothing reads, a round that is no
/// number.
std::optional<ReplayError> refused_of(const Claim& claim, const ReplayLine& line);

/// Runs one claim in this process, as a replay line says. A line that refused_of() names: std::invalid_argument.
struct Replayed {
  ClaimVerdict verdict = ClaimVerdict::held;
  std::string reason;
  Tried tried;
  std::vector<std::string> notes;
};
Replayed replay(const Claim& claim, const ReplayLine& line, std::chrono::nanoseconds share,
                Artifact* artifact);

/// The report's files in `out`: report.json, report.txt, and a directory for each claim.
void write_report(const VerifyReport& report, const std::filesystem::path& out);

}  // namespace touchstone::harness
