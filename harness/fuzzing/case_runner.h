#pragma once
// Runs one case under the explorer and says what it came to.
//
//   CaseRunner runner;
//   const CaseResult result = runner.run(it);
//   if (result.failed) ... result.claim, result.message ...
//   result.features                                             // until the next run
//   FuzzCase same = runner.concrete(it);                        // the same execution, every decision written down
//
// A failure's claim is its message without what differs from one execution to another: numbers, paths, and whatever follows a colon.
// Its signature adds the racing locations: for the last preemption, the place in the preempted thread and the place in another one
// that touched the same word meanwhile.
//
// Thread safety: one thread.

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "harness/explore/explorer.h"
#include "harness/explore/trace.h"
#include "harness/fuzzing/fuzz_case.h"
#include "harness/fuzzing/schedule_coverage.h"

namespace touchstone::harness::fuzzing {

struct CaseResult {
  bool failed = false;
  std::string claim;
  std::string message;
  std::uint64_t points = 0;
  std::span<const Feature> features;
};

/// A failure as it is shown and kept.
struct Drawn {
  std::string signature;  ///< claim, then the racing locations
  explore::Schedule schedule;
  std::string trace;
  std::string history;  ///< JSON lines, for `touchstone check`
  std::string message;
};

/// The decisions of an execution while it runs, in memory that outlives the process (SharedProgress): for what kills it.
struct DecisionLog {
  static constexpr std::size_t kMost = 2'000;

  std::atomic<std::size_t> size{0};
  std::array<explore::Deviation, kMost> decisions;

  void add(const explore::Deviation& decision) {
    const std::size_t at = size.load();
    if (at == kMost) return;
    decisions[at] = decision;
    size.store(at + 1);
  }
};

class CaseRunner {
 public:
  CaseResult run(const FuzzCase& it, DecisionLog* log = nullptr);

  /// Of the execution that has just run: equal for equivalent schedules, and for few others.
  std::uint64_t class_of_schedule();

  /// Of the execution that has just run.
  FuzzCase concrete(const FuzzCase& it) const;

  /// The failing case with its schedule shrunk to fewest preemptions.
  FuzzCase shrink_schedule(const FuzzCase& failing);

  /// Runs it exactly as its schedule says and draws it. Nothing if it does not fail, or not with this claim.
  std::optional<Drawn> draw(const FuzzCase& it, const std::string& claim);

 private:
  const explore::Settings& settle(const FuzzCase& it);

  explore::Scheduler scheduler_;
  explore::Settings settings_;  // of the last execution: the scheduler refers to them
  explore::ScenarioCounts counts_;
  ScheduleCoverage coverage_;
  explore::TraceHasher hasher_;
};

/// The message without what is only of this execution.
std::string claim_of(const explore::Failure& failure, const explore::Scenario& scenario);

/// "engine/commit.h:190", of an access that noted its place.
std::string location_of(const explore::Event& event);

/// "engine/commit.h:190 against engine/commit.h:232"; empty without a preemption that mattered.
std::string racing_locations(const explore::Scheduler& scheduler);

}  // namespace touchstone::harness::fuzzing
