// Scenario files: any bytes as one.
//
// Danger: a file that is taken for something else than what it says, or that ends the tool. The oracle: what the parser accepts is printed
// and read again as the same scenario, and printing that gives the same text; what it refuses it names with a line that the file has.

#include <algorithm>

#include "fuzz/target.h"
#include "harness/explore/scenario.h"

namespace touchstone::fuzz {
namespace {

using harness::explore::FaultPlan;
using harness::explore::Scenario;
using harness::explore::ScenarioError;

bool same(const FaultPlan& a, const FaultPlan& b) {
  return a.point == b.point && a.stall == b.stall && a.crash == b.crash && a.times == b.times;
}

bool same(const engine::StoreOptions& a, const engine::StoreOptions& b) {
  return a.mode == b.mode && a.validate_reads == b.validate_reads && a.backoff == b.backoff &&
         a.backoff_base == b.backoff_base && a.ticket == b.ticket && a.policy == b.policy &&
         a.ticket_threshold == b.ticket_threshold && a.busy_limit == b.busy_limit &&
         a.lease_least == b.lease_least && a.lease_factor == b.lease_factor;
}

bool same(const Scenario& a, const Scenario& b) {
  return same(a.engine, b.engine) && a.paths == b.paths && a.puts == b.puts && a.initial == b.initial &&
         a.workers == b.workers && a.most_conflicts == b.most_conflicts && a.draws == b.draws &&
         a.expects_failure == b.expects_failure && a.linearizable == b.linearizable &&
         std::equal(a.faults.begin(), a.faults.end(), b.faults.begin(), b.faults.end(),
                    [](const FaultPlan& x, const FaultPlan& y) { return same(x, y); });
}

}  // namespace

const char* const kTarget = "scenario_text_fuzz";

std::optional<std::string> judge_text(const std::string& text) {
  const auto read = harness::explore::parse_scenario("input", text);
  if (const auto* error = std::get_if<ScenarioError>(&read)) {
    const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
    if (error->line > lines)
      return "refused for line " + std::to_string(error->line) + ", which it does not have";
    if (error->what.empty()) return "refused without a reason";
    return std::nullopt;
  }
  const auto& scenario = std::get<Scenario>(read);
  const std::string printed = to_text(scenario);
  const auto again = harness::explore::parse_scenario("printed", printed);
  if (const auto* error = std::get_if<ScenarioError>(&again))
    return "its own text is refused, line " + std::to_string(error->line) + ": " + error->what + "\n" +
           printed;
  if (!same(std::get<Scenario>(again), scenario)) return "its own text means something else:\n" + printed;
  if (to_text(std::get<Scenario>(again)) != printed) return "it is printed in two ways:\n" + printed;
  return std::nullopt;
}

std::optional<std::string> judge_input(std::span<const std::uint8_t> input) {
  return judge_text({input.begin(), input.end()});
}

}  // namespace touchstone::fuzz
