#pragma once
// What `touchstone check` says of transactions.
//
//   const IsolationReport report = judge_isolation(history, model::Level::kStrictSerializable);
//   fmt::print("{}: {}\n", file, report.words());
//   fmt::print("{}\n", report.json(file).dump());
//
// The answer is about the level asked for; what holds instead and each anomaly are said whatever the answer is. Not thread-safe.

#include <string>
#include <vector>

#include "harness/history_json_value.h"
#include "model/checker.h"
#include "model/isolation.h"

namespace touchstone::harness {

struct IsolationReport {
  model::Answer answer = model::Answer::kInconclusive;  ///< kLinearizable: the level holds
  model::Level level = model::Level::kStrictSerializable;
  model::IsolationVerdict verdict;
  std::size_t transactions = 0;
  std::size_t clients = 0;
  double seconds = 0;

  /// "not strict-serializable", "serializable", "inconclusive".
  std::string verdict_words() const;

  /// The verdict, and lines for what holds and for each anomaly.
  std::string words() const;
  Json json(const std::string& file) const;
};

IsolationReport judge_isolation(const model::TransactionHistory& history, model::Level level);

/// Of a store's recorded history, whose clients read a snapshot and commit. With a reason if it has no such transactions.
IsolationReport judge_isolation(const model::History& history, model::Level level);

/// The names of all levels, the weakest first.
std::vector<std::string> level_names();
model::Level level_of(const std::string& name);

}  // namespace touchstone::harness
