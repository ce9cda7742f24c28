#pragma once
// What the workers of a scenario called and were told, in the model's words, and the model's judgement of it.
//
//   ScenarioHistory history(workers);
//   const std::size_t call = history.invoke(worker, model::ReadVersion{});
//   ... store.version() ...
//   history.answer(worker, call, model::VersionIs{version});
//   std::optional<std::string> wrong = refute(history.calls(), rules);      // nothing: some order explains it
//
// Rules: C1 an interval is never too short: the invocation is counted before anything of the call, the answer after all of it, on one
// clock that only goes up. C2 a call without an answer may have happened or not: its thread has ended for good.
//
// Thread safety: invoke and answer by one thread at a time for each worker; the rest after all of them.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/history.h"

namespace touchstone::harness::explore {

struct ScenarioCall {
  std::size_t worker;  // in the order of the file; the number of workers: the main thread
  std::int64_t invoked;
  std::int64_t answered = model::kNever;
  model::StoreOperation operation;
  std::optional<model::StoreResponse> response;
};

class ScenarioHistory {
 public:
  explicit ScenarioHistory(std::size_t workers) : calls_(workers + 1) {}

  std::size_t invoke(std::size_t worker, model::StoreOperation operation) {
    std::vector<ScenarioCall>& mine = calls_[worker];
    mine.push_back({worker, tick(), model::kNever, std::move(operation), std::nullopt});
    return mine.size() - 1;
  }

  void answer(std::size_t worker, std::size_t call, model::StoreResponse response) {
    ScenarioCall& it = calls_[worker][call];
    it.response = std::move(response);
    it.answered = tick();
  }

  /// All of them, worker by worker.
  std::vector<ScenarioCall> calls() const;

 private:
  /// A sequentially consistent read-modify-write is a full barrier: on real threads nothing of the call leaks out of its interval.
  std::int64_t tick() { return clock_.fetch_add(1); }

  std::atomic<std::int64_t> clock_{0};
  std::vector<std::vector<ScenarioCall>> calls_;  // by worker
};

/// As the checker, the pictures and `touchstone check` take it.
model::History history_of(const std::vector<ScenarioCall>& calls, const model::StoreRules& rules);

/// Why no order explains them, if none does. A search that meets its budget refutes nothing.
std::optional<std::string> refute(const std::vector<ScenarioCall>& calls, const model::StoreRules& rules);

}  // namespace touchstone::harness::explore
