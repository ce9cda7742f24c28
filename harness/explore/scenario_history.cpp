#include "harness/explore/scenario_history.h"

#include "model/checker.h"

namespace touchstone::harness::explore {

namespace {

constexpr std::uint64_t kMostSteps = 100'000;  // of the general searches: a few milliseconds

}  // namespace

std::vector<ScenarioCall> ScenarioHistory::calls() const {
  std::vector<ScenarioCall> all;
  for (const auto& mine : calls_) all.insert(all.end(), mine.begin(), mine.end());
  return all;
}

model::History history_of(const std::vector<ScenarioCall>& calls, const model::StoreRules& rules) {
  model::History history(model::HistoryKind::kStore);
  history.store_rules = rules;
  for (const ScenarioCall& call : calls)
    history.add_store(std::to_string(call.worker), call.invoked, call.answered, call.operation,
                      call.response);
  return history;
}

std::optional<std::string> refute(const std::vector<ScenarioCall>& calls, const model::StoreRules& rules) {
  const model::History history = history_of(calls, rules);
  // Steps and no clock: the same history has the same verdict every time.
  const model::Verdict verdict =
      model::check(history, {.budget = std::chrono::hours(1), .max_steps = kMostSteps, .witness = false});
  if (verdict.answer != model::Answer::kNotLinearizable) return std::nullopt;
  const model::Refutation& first = verdict.refutations.front();
  std::string why = first.reason;
  if (first.failing) {
    const model::Operation& failing = history.operations[*first.failing];
    why += (why.empty() ? "" : ": ") + model::describe(history, failing);
  }
  if (!first.worlds.empty()) why += ": " + first.worlds.front().reason;
  return why;
}

}  // namespace touchstone::harness::explore
