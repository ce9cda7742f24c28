#include "harness/explore_natively.h"

#include <fmt/format.h>

#include <cstdio>
#include <functional>
#include <optional>
#include <variant>

#include "harness/commands.h"
#include "harness/counted.h"
#include "harness/failure_report.h"
#include "harness/interruptible.h"
#include "harness/seed.h"

namespace touchstone::harness {
namespace {

using explore::Report;
using explore::Scenario;
using explore::Verdict;

struct NativeRuns {
  Report report;
  std::string broken;      // what breach of a promise was met, or nothing
  std::string no_threads;  // why the machine gave none, or nothing
};

/// For as long as they hold and `goes_on` after so many.
NativeRuns run_while(const Scenario& scenario, const std::function<bool(std::uint64_t)>& goes_on) {
  NativeRuns runs;
  const auto started = std::chrono::steady_clock::now();
  do {
    const explore::NativeResult ended = explore::run_natively(scenario);
    if (const auto* refused = std::get_if<explore::NotStarted>(&ended)) {
      runs.no_threads = refused->why;
      return runs;
    }
    if (const auto* found = std::get_if<explore::Broken>(&ended)) runs.broken = found->what;
    ++runs.report.executions;
  } while (runs.broken.empty() && goes_on(runs.report.executions));
  runs.report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  runs.report.verdict = runs.broken.empty() ? Verdict::passed : Verdict::failed;
  return runs;
}

void print_replay(const Scenario& scenario, std::FILE* out) {
  const ReplayLine line{ReplayClass::workload,
                        Seed(0),
                        ClaimTarget{kExploreClaim},
                        {{"scenario", path_from_the_top(scenario.name)}, {"native", "on"}}};
  fmt::print(out, "replay: {}\n", to_text(line, path_of_this_binary()));
}

int refused(const char* command, const NativeRuns& runs) {
  fmt::print(stderr, "touchstone {}: {}\n", command, runs.no_threads);
  return kExitSystem;
}

}  // namespace

int explore_natively(const Scenario& scenario, std::uint64_t executions, bool json) {
  const Interruptible interruptible;
  NativeRuns runs = run_while(
      scenario, [&](std::uint64_t ran) { return ran < executions && Interruptible::interrupted == 0; });
  if (!runs.no_threads.empty()) return refused("explore", runs);
  const bool failed = !runs.broken.empty();
  const bool cut_short = !failed && runs.report.executions < executions;
  if (cut_short) runs.report.verdict = Verdict::inconclusive;
  if (!json || failed) {
    fmt::print(json ? stderr : stdout, "{}: {}{} in {} on native threads{}\n", scenario.name,
               failed && scenario.expects_failure ? "failed as expected: " : "",
               failed ? runs.broken : "held", counted(runs.report.executions, "execution"),
               cut_short ? ", then it was interrupted" : "");
  }
  if (failed) print_replay(scenario, json ? stderr : stdout);
  if (json) fmt::print("{}\n", runs.report.json("native"));
  return cut_short ? 2 : failed == scenario.expects_failure ? 0 : 1;
}

int replay_natively(const Scenario& scenario, std::chrono::nanoseconds budget) {
  const auto deadline = std::chrono::steady_clock::now() + budget;
  const NativeRuns runs =
      run_while(scenario, [&](std::uint64_t) { return std::chrono::steady_clock::now() < deadline; });
  if (!runs.no_threads.empty()) return refused("replay", runs);
  if (runs.broken.empty()) {
    fmt::print("it did not fail in {:.2f} s: it may take longer, or another machine\n", runs.report.seconds);
    return 0;
  }
  fmt::print("{}\nit fails again, after {:.2f} s\n", runs.broken, runs.report.seconds);
  print_replay(scenario, stdout);
  return 1;
}

std::string wrong_with_native(const ReplayLine& line) {
  for (const ReplayOption& option : line.options) {
    if (option.name != "scenario" && option.name != "native")
      return fmt::format("real threads repeat nothing by this option: \"--{}\"", option.name);
  }
  if (*line.option("native") != "on")
    return fmt::format("native is on or not named: \"{}\"", *line.option("native"));
  if (!line.option("scenario")) return "the line has no scenario: --scenario is missing";
  if (line.replay_class != ReplayClass::workload)
    return fmt::format("on real threads a workload is repeated: \"{}\"", to_text(line.replay_class));
  return "";
}

}  // namespace touchstone::harness
