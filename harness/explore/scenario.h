#pragma once
// A contention scenario as a small text file, run under the explorer or on native threads.
//
//   auto parsed = parse_scenario(text);                          // a Scenario, or a ScenarioError naming its line
//   Report report = explore(controlled_body(scenario), options_of(scenario));
//   NativeResult ended = run_natively(scenario);                 // the same file on real threads
//
// The format, version 1, is described in docs/schedules.md; shipped ones are in harness/scenarios/. Checked in every
// execution: every execute() commits unless the file says otherwise; each counter's value is the number of additions
// that committed; versions are dense and unique; conflicts, body runs and gate closings keep within the bound of
// acceptance B10. Values.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/options.h"
#include "harness/explore/explorer.h"

namespace touchstone::harness::explore {

struct ScenarioOperation {
  enum class Kind : std::uint8_t { add, cas, read, pause };

  Kind kind;
  std::vector<std::string> paths;
  std::uint32_t times = 1;
  engine::Duration think{};  // inside the body; or the length of a pause
};

struct ScenarioWorker {
  std::string name;
  int failures = 0;  // consecutive conflicts that it begins with
  std::vector<ScenarioOperation> operations;
};

struct Scenario {
  std::string name;
  std::string text;
  engine::StoreOptions engine;
  std::vector<std::string> paths;    // all that it names
  std::vector<std::string> initial;  // those that hold 0 before the workers start
  std::vector<ScenarioWorker> workers;
  std::vector<FaultPlan> faults;
  std::optional<int> most_conflicts;  // of one execute(); the bound of B10 unless given
  std::uint64_t draws = 1;
  bool expects_failure = false;
};

struct ScenarioError {
  std::size_t line;
  std::string what;
};

std::variant<Scenario, ScenarioError> parse_scenario(std::string_view name, std::string_view text);

/// What one execution of it came to, gathered while it ran and checked at its end.
struct ScenarioCounts {
  int most_conflicts = 0;
  int most_attempts = 0;
  int most_closings = 0;
};

std::function<void()> controlled_body(const Scenario& scenario, ScenarioCounts* counts = nullptr);

/// How a run on real threads ended.
struct Held {};
struct Broken {
  std::string what;
};
struct NotStarted {  // the machine gave too few threads; those that it gave have run and are gone
  std::string why;
};
using NativeResult = std::variant<Held, Broken, NotStarted>;

/// Runs it once on real threads.
NativeResult run_natively(const Scenario& scenario);

}  // namespace touchstone::harness::explore
