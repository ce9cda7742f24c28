#include "stress/claims/history_claims.h"

#include <stdexcept>

namespace touchstone::stress {

void keep(const harness::ClaimRun& run, const harness::Workload& workload, const model::History& history) {
  if (run.artifact() == nullptr) return;
  run.artifact()->write("scenario.txt", harness::describe(workload));
  const auto file = run.artifact()->directory() / "history.jsonl";
  if (!harness::save_jsonl_history(history, file.string()))
    throw std::runtime_error("cannot write " + file.string());
}

}  // namespace touchstone::stress
