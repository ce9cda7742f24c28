#include "harness/explore/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <sstream>

#include "engine/path.h"

namespace touchstone::harness::explore {

namespace {

constexpr std::string_view kHeader = "touchstone-scenario 1";
constexpr std::size_t kMostWorkers = kMaxThreads - 1;  // the main thread is one
constexpr std::uint64_t kLongest = 1'000'000'000;      // of a time, in its own unit: twelve days at most

struct Malformed {
  std::string what;
};

using Words = std::vector<std::string>;

// In the order of ScenarioOperation's enumerations.
constexpr std::array<std::string_view, 7> kOperations = {"add", "cas",  "read", "pause",
                                                         "put", "look", "leave"};
constexpr std::array<std::string_view, 4> kContents = {"number", "text", "tree", "nothing"};
constexpr std::array<std::string_view, 3> kBases = {"now", "seen", "ahead"};
constexpr std::array<std::string_view, 2> kEnds = {"returns", "throws"};
constexpr std::array<std::string_view, 6> kFaultPoints = {"execute:body_done", "commit:begin",
                                                          "commit:locked",     "commit:admitted",
                                                          "commit:numbered",   "commit:installed"};

Words split(std::string_view text, std::string_view separators = " \t\r\v\f") {
  Words words;
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(separators), text.size()));
    if (text.empty()) return words;
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
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
  if (!ends("ms") && !ends("us")) throw Malformed{"not a time in ms or us: " + text};
  const std::uint64_t value = number(text.substr(0, text.size() - 2));
  if (value > kLongest) throw Malformed{"too long: " + text};
  if (ends("ms")) return std::chrono::milliseconds(value);
  return std::chrono::microseconds(value);
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

/// Which of these words it is.
template <class Names>
std::size_t one_of(const std::string& word, const Names& words, const char* what) {
  const auto* const found = std::find(std::begin(words), std::end(words), word);
  if (found == std::end(words)) throw Malformed{fmt::format("not {}: {}", what, word)};
  return static_cast<std::size_t>(found - std::begin(words));
}

/// What may be said once, so that nothing overrides what somebody wrote and did not see any more.
void say_once(const std::string& what, Words& said) {
  if (std::find(said.begin(), said.end(), what) != said.end()) throw Malformed{what + " is said twice"};
  said.push_back(what);
}

void read_engine(const Words& words, engine::StoreOptions& engine, Words& said) {
  for (std::size_t i = 1; i < words.size(); ++i) {
    const auto [key, value] = assignment(words[i]);
    say_once("engine " + key, said);
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

void check_path(const std::string& path) {
  if (const auto refused = engine::check_path(path)) throw Malformed{refused->what};
}

void add_once(std::vector<std::string>& all, const std::string& path) {
  if (std::find(all.begin(), all.end(), path) == all.end()) all.push_back(path);
}

void keep_apart(const std::string& path, const std::vector<std::string>& others, bool same_is_apart) {
  for (const std::string& other : others) {
    if (nested(path, other)) throw Malformed{fmt::format("{} and {} are parts of each other", path, other)};
    if (!same_is_apart && path == other) throw Malformed{path + " cannot both be added to and put"};
  }
}

void name_each_once(const std::vector<std::string>& named) {
  for (const std::string& path : named) {
    check_path(path);
    if (std::count(named.begin(), named.end(), path) != 1) throw Malformed{path + " is named twice"};
  }
}

/// Adds the counters that a line names to those of the scenario.
void add_counters(const std::vector<std::string>& named, Scenario& scenario) {
  name_each_once(named);
  for (const std::string& path : named) {
    keep_apart(path, scenario.paths, true);
    keep_apart(path, scenario.puts, false);
    add_once(scenario.paths, path);
  }
}

void add_paths(const ScenarioOperation& operation, Scenario& scenario) {
  using Kind = ScenarioOperation::Kind;
  if (operation.kind != Kind::put && operation.kind != Kind::look)
    return add_counters(operation.paths, scenario);
  name_each_once(operation.paths);
  if (operation.kind == Kind::look) return;
  for (const std::string& path : operation.paths) {
    keep_apart(path, scenario.paths, false);
    add_once(scenario.puts, path);
  }
}

/// NAME=VALUE of an operation; false if it has no such parameter.
bool read_parameter(const std::string& key, const std::string& value, ScenarioOperation& operation) {
  using Kind = ScenarioOperation::Kind;
  using Content = ScenarioOperation::Content;
  using Base = ScenarioOperation::Base;
  if (key == "times") {
    operation.times = static_cast<std::uint32_t>(at_least_one(key, value));
  } else if (key == "think") {
    operation.think = duration(value);
  } else if (operation.kind == Kind::add && key == "attempts") {
    operation.attempts = at_least_one(key, value);
  } else if (operation.kind == Kind::add && key == "within") {
    operation.within = duration(value);
  } else if (operation.kind == Kind::add && key == "body") {
    operation.throws = one_of(value, kEnds, "an end of a body") == 1;
  } else if (operation.kind == Kind::put && key == "as") {
    operation.content = static_cast<Content>(one_of(value, kContents, "a content"));
  } else if (operation.kind == Kind::put && key == "from") {
    operation.base = static_cast<Base>(one_of(value, kBases, "a version to put from"));
  } else if (operation.kind == Kind::put && key == "patient") {
    operation.patient = on_or_off(value);
  } else {
    return false;
  }
  return true;
}

ScenarioOperation read_operation(const Words& words) {
  using Kind = ScenarioOperation::Kind;
  ScenarioOperation operation;
  const std::string& kind = words.front();
  const auto* const known = std::find(kOperations.begin(), kOperations.end(), kind);
  if (known == kOperations.end()) throw Malformed{"no such operation: " + kind};
  operation.kind = static_cast<Kind>(known - kOperations.begin());
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::size_t equals = words[i].find('=');
    const bool parameter = equals != std::string::npos &&
                           read_parameter(words[i].substr(0, equals), words[i].substr(equals + 1), operation);
    if (parameter) continue;
    if (operation.kind == Kind::pause) {
      operation.think = duration(words[i]);
    } else if (operation.kind == Kind::leave) {
      throw Malformed{"leave names no path: " + words[i]};
    } else {
      operation.paths.push_back(words[i]);
    }
  }
  if (operation.kind != Kind::pause && operation.kind != Kind::leave && operation.paths.empty())
    throw Malformed{kind + " needs a path"};
  return operation;
}

/// worker NAME [failures=N]: OPERATION; OPERATION ...
void read_worker(std::string_view line, Scenario& scenario) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) throw Malformed{"a worker needs ':' before its operations"};
  const Words head = split(line.substr(0, colon));
  if (head.size() < 2) throw Malformed{"a worker needs a name"};
  ScenarioWorker worker{head[1], 0, {}};
  for (std::size_t i = 2; i < head.size(); ++i) {
    const auto [key, value] = assignment(head[i]);
    if (key != "failures") throw Malformed{"a worker has no parameter " + key};
    worker.failures = small(value);
  }
  for (const std::string& part : split(line.substr(colon + 1), ";")) {
    const Words words = split(part);
    if (words.empty()) continue;
    worker.operations.push_back(read_operation(words));
    add_paths(worker.operations.back(), scenario);
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
  if (std::find(kFaultPoints.begin(), kFaultPoints.end(), plan.point) == kFaultPoints.end())
    throw Malformed{
        fmt::format("no such fault point: {} (there are {})", plan.point, fmt::join(kFaultPoints, ", "))};
  scenario.faults.push_back(plan);
}

void read_line(std::string_view line, Scenario& scenario, Words& said) {
  const Words words = split(line);
  const std::string& what = words.front();
  if (what == "most_conflicts" || what == "draws" || what == "expect") say_once(what, said);
  if (what == "engine") {
    read_engine(words, scenario.engine, said);
  } else if (what == "initial") {
    const std::vector<std::string> named(words.begin() + 1, words.end());
    add_counters(named, scenario);
    for (const std::string& path : named) add_once(scenario.initial, path);
  } else if (what == "worker") {
    read_worker(line, scenario);
  } else if (what == "stall" || what == "crash") {
    read_fault(words, scenario);
  } else if (what == "most_conflicts" && words.size() == 2) {
    scenario.most_conflicts = small(words[1]);
  } else if (what == "draws" && words.size() == 2) {
    scenario.draws = static_cast<std::uint64_t>(at_least_one("draws", words[1]));
  } else if (what == "check" && words.size() == 2 && words[1] == "linearizable") {
    scenario.linearizable = true;
  } else if (what == "expect" && words.size() == 2 && (words[1] == "passed" || words[1] == "failed")) {
    scenario.expects_failure = words[1] == "failed";
  } else {
    throw Malformed{"not understood: " + std::string(line)};
  }
}

std::string text_of(engine::Duration time) {
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
  return us % 1'000 == 0 ? fmt::format("{}ms", us / 1'000) : fmt::format("{}us", us);
}

const char* text_of(bool on) {
  return on ? "on" : "off";
}

std::string text_of(const engine::StoreOptions& engine) {
  const engine::StoreOptions usual;
  std::string text;
  const auto say = [&text](bool differs, std::string_view key, const std::string& value) {
    if (differs) text += fmt::format(" {}={}", key, value);
  };
  say(engine.mode != usual.mode, "mode", engine.mode == engine::Mode::strict ? "strict" : "smart");
  say(engine.validate_reads != usual.validate_reads, "validate_reads", text_of(engine.validate_reads));
  say(engine.backoff != usual.backoff, "backoff", text_of(engine.backoff));
  say(engine.backoff_base != usual.backoff_base, "base", text_of(engine.backoff_base));
  say(engine.ticket != usual.ticket, "ticket", text_of(engine.ticket));
  say(engine.policy != usual.policy, "policy",
      engine.policy == engine::Policy::key_queue ? "key_queue" : "ticket");
  say(engine.ticket_threshold != usual.ticket_threshold, "threshold",
      std::to_string(engine.ticket_threshold));
  say(engine.busy_limit != usual.busy_limit, "busy_limit", std::to_string(engine.busy_limit));
  say(engine.lease_least != usual.lease_least, "lease", text_of(engine.lease_least));
  say(engine.lease_factor != usual.lease_factor, "lease_factor", std::to_string(engine.lease_factor));
  return text.empty() ? "" : "engine" + text + "\n";
}

std::string text_of(const ScenarioOperation& operation) {
  using Kind = ScenarioOperation::Kind;
  constexpr engine::Duration kNone{};
  std::string text(kOperations[static_cast<std::size_t>(operation.kind)]);
  for (const std::string& path : operation.paths) text += " " + path;
  if (operation.kind == Kind::pause) text += " " + text_of(operation.think);
  if (operation.kind != Kind::pause && operation.think != kNone) text += " think=" + text_of(operation.think);
  if (operation.times != 1) text += fmt::format(" times={}", operation.times);
  if (operation.attempts != 0) text += fmt::format(" attempts={}", operation.attempts);
  if (operation.within != kNone) text += " within=" + text_of(operation.within);
  if (operation.throws) text += " body=throws";
  if (operation.content != ScenarioOperation::Content::number)
    text += fmt::format(" as={}", kContents[static_cast<std::size_t>(operation.content)]);
  if (operation.base != ScenarioOperation::Base::now)
    text += fmt::format(" from={}", kBases[static_cast<std::size_t>(operation.base)]);
  if (operation.patient) text += " patient=on";
  return text;
}

}  // namespace

std::string to_text(const Scenario& scenario) {
  std::string text = std::string(kHeader) + "\n" + text_of(scenario.engine);
  if (!scenario.initial.empty()) text += fmt::format("initial {}\n", fmt::join(scenario.initial, " "));
  for (const ScenarioWorker& worker : scenario.workers) {
    text += "worker " + worker.name;
    if (worker.failures != 0) text += fmt::format(" failures={}", worker.failures);
    const char* separator = ": ";
    for (const ScenarioOperation& operation : worker.operations) {
      text += separator + text_of(operation);
      separator = "; ";
    }
    text += "\n";
  }
  for (const FaultPlan& fault : scenario.faults) {
    text +=
        fault.crash ? "crash " + fault.point : fmt::format("stall {} {}", fault.point, text_of(fault.stall));
    text += fault.times == 1 ? "\n" : fmt::format(" times={}\n", fault.times);
  }
  if (scenario.most_conflicts) text += fmt::format("most_conflicts {}\n", *scenario.most_conflicts);
  if (scenario.draws != 1) text += fmt::format("draws {}\n", scenario.draws);
  if (scenario.linearizable) text += "check linearizable\n";
  if (scenario.expects_failure) text += "expect failed\n";
  return text;
}

std::variant<Scenario, ScenarioError> parse_scenario(std::string_view name, std::string_view text) {
  Scenario scenario;
  scenario.name = name;
  scenario.text = text;
  std::istringstream in{std::string(text)};
  std::string line;
  std::size_t number_of_line = 0;
  bool headed = false;
  Words said;
  while (std::getline(in, line)) {
    ++number_of_line;
    line.erase(std::min(line.find('#'), line.size()));
    const Words words = split(line);
    if (words.empty()) continue;
    if (!headed) {
      headed = fmt::format("{}", fmt::join(words, " ")) == kHeader;
      if (!headed) return ScenarioError{number_of_line, fmt::format("expected \"{}\"", kHeader)};
      continue;
    }
    try {
      read_line(line, scenario, said);
    } catch (const Malformed& malformed) {
      return ScenarioError{number_of_line, malformed.what};
    }
  }
  if (!headed) return ScenarioError{number_of_line, fmt::format("expected \"{}\"", kHeader)};
  if (scenario.workers.empty()) return ScenarioError{number_of_line, "no worker"};
  // Initial ones first, as to_text() writes them: what a file means does not hang on the order of its lines.
  std::vector<std::string> paths = scenario.initial;
  for (const std::string& path : scenario.paths) add_once(paths, path);
  scenario.paths = std::move(paths);
  return scenario;
}

}  // namespace touchstone::harness::explore
