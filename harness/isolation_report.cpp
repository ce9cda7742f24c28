#include "harness/isolation_report.h"

#include "harness/counted.h"

#include <fmt/format.h>

#include <chrono>

#include "model/store_transactions.h"

namespace touchstone::harness {
namespace {

std::vector<std::string> strongest_names(const model::IsolationVerdict& verdict) {
  std::vector<std::string> names;
  for (const model::Level level : verdict.strongest()) names.emplace_back(model::name(level));
  return names;
}

std::string keeps_words(const model::IsolationVerdict& verdict) {
  const auto names = strongest_names(verdict);
  if (names.empty()) return "keeps no isolation level";
  std::string text = "keeps " + names.front();
  for (std::size_t i = 1; i < names.size(); ++i) text += " and " + names[i];
  return text;
}

std::string indented(const std::string& text) {
  std::string out = "\n  ";
  for (const char c : text) {
    out += c;
    if (c == '\n') out += "  ";
  }
  return out;
}

}  // namespace

std::string IsolationReport::verdict_words() const {
  if (answer == model::Answer::kInconclusive) return "inconclusive";
  return (answer == model::Answer::kLinearizable ? "" : "not ") + std::string(model::name(level));
}

std::string IsolationReport::words() const {
  std::string text = fmt::format("{} ({}, {}, {:.6f} s)", verdict_words(),
                                 counted(transactions, "transaction"), counted(clients, "client"), seconds);
  if (!verdict.inapplicable.empty()) return text + indented(verdict.inapplicable);
  if (verdict.committed == 0) return text + indented(model::kNothingWasChecked);
  if (!verdict.anomalies.empty()) text += indented(keeps_words(verdict));
  if (verdict.exhausted)
    text += indented("parallel-snapshot-isolation is not decided: there is too much to search");
  for (const model::Anomaly& anomaly : verdict.anomalies) text += indented(anomaly.text);
  return text;
}

Json IsolationReport::json(const std::string& file) const {
  Json line;
  line["file"] = json_of(file);
  line["verdict"] = verdict_words();
  line["transactions"] = transactions;
  line["clients"] = clients;
  line["seconds"] = seconds;
  line["keeps"] = strongest_names(verdict);
  line["anomalies"] = Json::array();
  for (const model::Anomaly& anomaly : verdict.anomalies) {
    Json& out = line["anomalies"].emplace_back();
    out["name"] = model::title(anomaly);
    out["transactions"] = anomaly.transactions;
    out["text"] = json_of(anomaly.text);
  }
  line["reason"] = json_of(verdict.committed == 0 && verdict.inapplicable.empty() ? model::kNothingWasChecked
                                                                                  : verdict.inapplicable);
  return line;
}

IsolationReport judge_isolation(const model::TransactionHistory& history, model::Level level) {
  IsolationReport report;
  const auto begin = std::chrono::steady_clock::now();
  report.verdict = model::check_isolation(history);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  report.level = level;
  report.transactions = history.transactions.size();
  report.clients = history.clients.size();
  const bool undecided = report.verdict.exhausted && level == model::Level::kParallelSnapshot;
  if (report.verdict.inapplicable.empty() && report.verdict.committed != 0 && !undecided)
    report.answer =
        report.verdict.holds(level) ? model::Answer::kLinearizable : model::Answer::kNotLinearizable;
  return report;
}

IsolationReport judge_isolation(const model::History& history, model::Level level) {
  const auto transactions = model::transactions_of(history);
  if (const auto* fit = std::get_if<model::TransactionHistory>(&transactions))
    return judge_isolation(*fit, level);
  IsolationReport report;
  report.level = level;
  report.verdict.inapplicable = std::get<model::NoTransactions>(transactions).reason;
  report.clients = history.clients.size();
  return report;
}

std::vector<std::string> level_names() {
  std::vector<std::string> names;
  for (const model::Level level : model::kLevels) names.emplace_back(model::name(level));
  return names;
}

model::Level level_of(const std::string& name) {
  for (const model::Level level : model::kLevels) {
    if (name == model::name(level)) return level;
  }
  return model::Level::kStrictSerializable;
}

}  // namespace touchstone::harness
