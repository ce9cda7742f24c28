#include "harness/fuzzing/fuzz_case.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace touchstone::harness::fuzzing {

namespace {

constexpr std::string_view kHeader = "touchstone-fuzz 1";
constexpr std::string_view kScenario = "touchstone-scenario ";
constexpr std::string_view kDecisions = "decisions ";
constexpr std::string_view kThen = "then ";
constexpr std::string_view kAfter = " after ";
constexpr std::string_view kWeakMemory = "weak-memory";

/// then ALGORITHM after N
bool read_tail(std::string_view text, FuzzCase& it) {
  const std::size_t at = text.find(kAfter);
  if (at == std::string_view::npos) return false;
  const auto algorithm = explore::parse_algorithm(text.substr(0, at));
  const std::string_view number = text.substr(at + kAfter.size());
  std::size_t after = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), after);
  if (!algorithm || !explore::samples(*algorithm) || error != std::errc{} ||
      end != number.data() + number.size())
    return false;
  it.tail = *algorithm;
  it.tail_after = after;
  return true;
}

bool read_line(std::string_view line, FuzzCase& it) {
  if (line.starts_with(kDecisions)) {
    const auto schedule = explore::Schedule::parse(line.substr(kDecisions.size()));
    if (schedule) it.decisions = *schedule;
    return schedule.has_value();
  }
  if (line.starts_with(kThen)) return read_tail(line.substr(kThen.size()), it);
  it.weak_memory = line == kWeakMemory;
  return it.weak_memory;
}

}  // namespace

std::string to_text(const FuzzCase& it) {
  explore::Schedule decisions = it.decisions;
  decisions.checkpoints.clear();
  decisions.distance = 1;
  std::string text = fmt::format("{}\n{}{}\n", kHeader, kDecisions, decisions.text());
  if (it.tail_after) text += fmt::format("{}{}{}{}\n", kThen, name_of(it.tail), kAfter, *it.tail_after);
  if (it.weak_memory) text += fmt::format("{}\n", kWeakMemory);
  return text + to_text(it.scenario);
}

std::variant<FuzzCase, explore::ScenarioError> parse_fuzz_case(std::string_view text) {
  FuzzCase it;
  std::size_t number = 0;
  while (!text.starts_with(kScenario)) {
    ++number;
    const std::string_view whole = text.substr(0, text.find('\n'));
    std::string_view line = whole.substr(0, whole.find('#'));
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
    if (text.size() == whole.size()) return explore::ScenarioError{number, "no scenario"};
    if (number == 1 && line != kHeader)
      return explore::ScenarioError{number, fmt::format("expected \"{}\"", kHeader)};
    if (number != 1 && !line.empty() && !read_line(line, it))
      return explore::ScenarioError{number, "not understood: " + std::string(line)};
    text.remove_prefix(whole.size() + 1);
  }
  if (number == 0) return explore::ScenarioError{1, fmt::format("expected \"{}\"", kHeader)};
  auto parsed = explore::parse_scenario("case", text);
  if (auto* error = std::get_if<explore::ScenarioError>(&parsed))
    return explore::ScenarioError{error->line + number, std::move(error->what)};
  it.scenario = std::get<explore::Scenario>(std::move(parsed));
  return it;
}

std::optional<explore::Scenario> well_formed(const explore::Scenario& scenario) {
  auto parsed = explore::parse_scenario("case", to_text(scenario));
  if (auto* good = std::get_if<explore::Scenario>(&parsed)) return std::move(*good);
  return std::nullopt;
}

std::size_t operations_of(const explore::Scenario& scenario) {
  std::size_t count = 0;
  for (const auto& worker : scenario.workers) {
    for (const auto& operation : worker.operations) count += operation.times;
  }
  return count;
}

std::size_t size_of(const FuzzCase& it) {
  return 16 * operations_of(it.scenario) + 8 * it.scenario.workers.size() + 8 * it.scenario.faults.size() +
         it.decisions.deviations.size();
}

}  // namespace touchstone::harness::fuzzing
