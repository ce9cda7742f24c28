#include "harness/explore/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "engine/path.h"

namespace touchstone::harness::explore {

namespace {

constexpr std::string_view kHeader = "touchstone-scenario 1";
constexpr std::size_t kMostWorkers = kMaxThreads - 1;  // the main thread is one

struct Malformed {
  std::string what;
};

using Words = std::vector<std::string>;

Words split(std::string_view text, char separator) {
  Words words;
  std::string word;
  std::istringstream in{std::string(text)};
  while (std::getline(in, word, separator)) {
    if (!word.empty()) words.push_back(word);
  }
  return words;
}

std::uint64_t number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) throw Malformed{"not a number: " + text};
  return value;
}

int small(const std::string& text) {
  const std::uint64_t value = number(text);
  if (value > 1'000'000) throw Malformed{"too large: " + text};
  return static_cast<int>(value);
}

int at_least_one(const std::string& key, const std::string& text) {
  const int value = small(text);
  if (value == 0) throw Malformed{key + " must be at least 1"};
  return value;
}

engine::Duration duration(const std::string& text) {
  const auto ends = [&text](std::string_view unit) { return text.ends_with(unit); };
  if (ends("ms")) return std::chrono::milliseconds(number(text.substr(0, text.size() - 2)));
  if (ends("us")) return std::chrono::microseconds(number(text.substr(0, text.size() - 2)));
  throw Malformed{"not a time in ms or us: " + text};
}

bool on_or_off(const std::string& text) {
  if (text != "on" && text != "off") throw Malformed{"neither on nor off: " + text};
  return text == "on";
}

/// `key=value`, split at the first '='.
std::pair<std::string, std::string> assignment(const std::string& word) {
  const std::size_t at = word.find('=');
  if (at == std::string::npos) throw Malformed{"expected key=value, found " + word};
  return {word.substr(0, at), word.substr(at + 1)};
}

void read_engine(const Words& words, engine::StoreOptions& engine) {
  for (std::size_t i = 1; i < words.size(); ++i) {
    const auto [key, value] = assignment(words[i]);
    if (key == "mode") {
      if (value != "smart" && value != "strict") throw Malformed{"no such mode: " + value};
      engine.mode = value == "strict" ? engine::Mode::strict : engine::Mode::smart;
    } else if (key == "validate_reads") {
      engine.validate_reads = on_or_off(value);
    } else if (key == "backoff") {
      engine.backoff = on_or_off(value);
    } else if (key == "base") {
      engine.backoff_base = duration(value);
    } else if (key == "ticket") {
      engine.ticket = on_or_off(value);
    } else if (key == "policy") {
      if (value != "ticket" && value != "key_queue") throw Malformed{"no such policy: " + value};
      engine.policy = value == "ticket" ? engine::Policy::ticket : engine::Policy::key_queue;
    } else if (key == "threshold") {
      engine.ticket_threshold = at_least_one(key, value);
    } else if (key == "busy_limit") {
      engine.busy_limit = at_least_one(key, value);
    } else if (key == "lease") {
      engine.lease_least = duration(value);
    } else if (key == "lease_factor") {
      engine.lease_factor = small(value);
    } else {
      throw Malformed{"the engine has no parameter " + key};
    }
  }
}

/// True if one is an ancestor of the other: a counter cannot have counters below it.
bool nested(const std::string& a, const std::string& b) {
  const auto& [shorter, longer] =
      std::minmax(a, b, [](const auto& x, const auto& y) { return x.size() < y.size(); });
  return longer.size() > shorter.size() && longer[shorter.size()] == '.' && longer.starts_with(shorter);
}

/// Adds what a line names to the paths of the scenario.
void add_paths(const std::vector<std::string>& named, Scenario& scenario) {
  for (const std::string& path : named) {
    if (const auto refused = engine::check_path(path)) throw Malformed{refused->what};
    for (const std::string& other : scenario.paths) {
      if (nested(path, other)) throw Malformed{fmt::format("{} and {} are parts of each other", path, other)};
    }
    if (std::find(scenario.paths.begin(), scenario.paths.end(), path) == scenario.paths.end())
      scenario.paths.push_back(path);
  }
  for (const std::string& path : named) {
    if (std::count(named.begin(), named.end(), path) != 1) throw Malformed{path + " is named twice"};
  }
}

ScenarioOperation read_operation(const Words& words, std::size_t at) {
  using Kind = ScenarioOperation::Kind;
  ScenarioOperation operation{Kind::add, {}, 1, {}};
  const std::string& kind = words.at(at);
  if (kind == "add") {
    operation.kind = Kind::add;
  } else if (kind == "cas") {
    operation.kind = Kind::cas;
  } else if (kind == "read") {
    operation.kind = Kind::read;
  } else if (kind == "pause") {
    operation.kind = Kind::pause;
  } else {
    throw Malformed{"no such operation: " + kind};
  }
  for (std::size_t i = at + 1; i < words.size(); ++i) {
    if (words[i].starts_with("times=")) {
      operation.times = static_cast<std::uint32_t>(at_least_one("times", words[i].substr(6)));
    } else if (words[i].starts_with("think=")) {
      operation.think = duration(words[i].substr(6));
    } else if (operation.kind == Kind::pause) {
      operation.think = duration(words[i]);
    } else {
      operation.paths.push_back(words[i]);
    }
  }
  if (operation.kind != Kind::pause && operation.paths.empty()) throw Malformed{kind + " needs a path"};
  return operation;
}

/// worker NAME [failures=N]: OPERATION; OPERATION ...
void read_worker(std::string_view line, Scenario& scenario) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) throw Malformed{"a worker needs ':' before its operations"};
  const Words head = split(line.substr(0, colon), ' ');
  if (head.size() < 2) throw Malformed{"a worker needs a name"};
  ScenarioWorker worker{head[1], 0, {}};
  for (std::size_t i = 2; i < head.size(); ++i) {
    const auto [key, value] = assignment(head[i]);
    if (key != "failures") throw Malformed{"a worker has no parameter " + key};
    worker.failures = small(value);
  }
  for (const std::string& part : split(line.substr(colon + 1), ';')) {
    const Words words = split(part, ' ');
    if (words.empty()) continue;
    worker.operations.push_back(read_operation(words, 0));
    add_paths(worker.operations.back().paths, scenario);
  }
  if (worker.operations.empty()) throw Malformed{"worker " + worker.name + " has nothing to do"};
  if (scenario.workers.size() == kMostWorkers)
    throw Malformed{fmt::format("worker {}: more than {} workers", worker.name, kMostWorkers)};
  scenario.workers.push_back(std::move(worker));
}

/// stall POINT TIME [times=N] | crash POINT [times=N]
void read_fault(const Words& words, Scenario& scenario) {
  FaultPlan plan;
  plan.crash = words[0] == "crash";
  if (words.size() < (plan.crash ? 2U : 3U))
    throw Malformed{words[0] + " needs a fault point" + (plan.crash ? "" : " and a time")};
  plan.point = words[1];
  if (!plan.crash) plan.stall = duration(words[2]);
  for (std::size_t i = plan.crash ? 2 : 3; i < words.size(); ++i) {
    const auto [key, value] = assignment(words[i]);
    if (key != "times") throw Malformed{"a fault has no parameter " + key};
    plan.times = static_cast<std::uint32_t>(at_least_one(key, value));
  }
  scenario.faults.push_back(plan);
}

void read_line(std::string_view line, Scenario& scenario) {
  const Words words = split(line, ' ');
  const std::string& what = words.front();
  if (what == "engine") {
    read_engine(words, scenario.engine);
  } else if (what == "initial") {
    scenario.initial.insert(scenario.initial.end(), words.begin() + 1, words.end());
    add_paths(scenario.initial, scenario);
  } else if (what == "worker") {
    read_worker(line, scenario);
  } else if (what == "stall" || what == "crash") {
    read_fault(words, scenario);
  } else if (what == "most_conflicts" && words.size() == 2) {
    scenario.most_conflicts = small(words[1]);
  } else if (what == "draws" && words.size() == 2) {
    scenario.draws = static_cast<std::uint64_t>(at_least_one("draws", words[1]));
  } else if (what == "expect" && words.size() == 2 && (words[1] == "passed" || words[1] == "failed")) {
    scenario.expects_failure = words[1] == "failed";
  } else {
    throw Malformed{"not understood: " + std::string(line)};
  }
}

}  // namespace

std::variant<Scenario, ScenarioError> parse_scenario(std::string_view name, std::string_view text) {
  Scenario scenario;
  scenario.name = name;
  scenario.text = text;
  std::istringstream in{std::string(text)};
  std::string line;
  std::size_t number_of_line = 0;
  bool headed = false;
  while (std::getline(in, line)) {
    ++number_of_line;
    line.erase(std::min(line.find('#'), line.size()));
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (!headed) {
      headed = line.starts_with(kHeader);
      if (!headed) return ScenarioError{number_of_line, fmt::format("expected \"{}\"", kHeader)};
      continue;
    }
    try {
      read_line(line, scenario);
    } catch (const Malformed& malformed) {
      return ScenarioError{number_of_line, malformed.what};
    }
  }
  if (!headed) return ScenarioError{number_of_line, fmt::format("expected \"{}\"", kHeader)};
  if (scenario.workers.empty()) return ScenarioError{number_of_line, "no worker"};
  return scenario;
}

}  // namespace touchstone::harness::explore
