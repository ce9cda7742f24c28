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
// acceptance B10; with `check linearizable` the history has an order that the model explains. Values.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/options.h"
#include "harness/explore/explorer.h"
#include "harness/explore/scenario_history.h"

namespace touchstone::harness::explore {

struct ScenarioOperation {
  enum class Kind : std::uint8_t { add, cas, read, pause, put, look, leave };
  enum class Content : std::uint8_t { number, text, tree, nothing };  // of a put
  enum class Base : std::uint8_t { now, seen, ahead };                // what version a put expects

  Kind kind = Kind::add;
  std::vector<std::string> paths;
  std::uint32_t times = 1;
  engine::Duration think{};   // inside the body, between two looks; or the length of a pause
  bool throws = false;        // the body of an add
  int attempts = 0;           // of an add at most; 0: any number
  engine::Duration within{};  // an add's deadline; 0: none
  Content content = Content::number;
  Base base = Base::now;
  bool patient = false;  // a put waits for its turn first, if it has earned one

  friend bool operator==(const ScenarioOperation&, const ScenarioOperation&) = default;
};

struct ScenarioWorker {
  std::string name;
  int failures = 0;  // consecutive conflicts that it begins with
  std::vector<ScenarioOperation> operations;

  friend bool operator==(const ScenarioWorker&, const ScenarioWorker&) = default;
};

struct Scenario {
  std::string name;
  std::string text;
  engine::StoreOptions engine;
  std::vector<std::string> paths;    // its counters: none is a part of another
  std::vector<std::string> puts;     // what else is written: no counter is a part of it, nor it of one
  std::vector<std::string> initial;  // those that hold 0 before the workers start
  std::vector<ScenarioWorker> workers;
  std::vector<FaultPlan> faults;
  std::optional<int> most_conflicts;  // of one execute(); the bound of B10 unless given
  std::uint64_t draws = 1;
  bool expects_failure = false;
  bool linearizable = false;  // its histories are judged by the model
};

struct ScenarioError {
  std::size_t line;
  std::string what;
};

std::variant<Scenario, ScenarioError> parse_scenario(std::string_view name, std::string_view text);

/// The same scenario as text: what parse_scenario() reads again.
std::string to_text(const Scenario& scenario);

/// What its executions came to, gathered while they ran and checked at their end: the most of any since it was made.
struct ScenarioCounts {
  int most_conflicts = 0;
  int most_attempts = 0;
  int most_closings = 0;
  std::uint64_t grants = 0;
  std::uint64_t expiries = 0;
  std::uint64_t busy = 0;
  std::uint64_t restarts = 0;
  std::vector<ScenarioCall> calls;  // of the last execution, if it is `check linearizable`
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
