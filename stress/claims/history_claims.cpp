#include "stress/claims/history_claims.h"

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <stdexcept>

#include "harness/history_page.h"

namespace touchstone::stress {

void keep(const harness::ClaimRun& run, const harness::Workload& workload, const model::History& history) {
  if (run.artifact() == nullptr) return;
  run.artifact()->write("scenario.txt", workload.steps() > 0 ? harness::describe(workload)
                                                             : "the clients of harness/transaction_run.h\n");
  const auto file = run.artifact()->directory() / "history.jsonl";
  if (!harness::save_jsonl_history(history, file.string()))
    throw std::runtime_error("cannot write " + file.string());
}

void keep_picture(const harness::ClaimRun& run, const model::History& history,
                  const model::Verdict& verdict) {
  if (run.artifact() == nullptr) return;
  std::ostringstream page;
  harness::write_page(harness::page_data(history, verdict, "S2"), page);
  run.artifact()->write("history.html", page.str());
}

void keep(const harness::ClaimRun& run, const harness::Workload& workload,
          const harness::LiveVerdict& verdict) {
  if (verdict.whole) {
    keep(run, workload, verdict.latest);
    if (verdict.answer == model::Answer::kNotLinearizable)
      keep_picture(run, verdict.latest, *verdict.verdict);
  } else if (run.artifact() != nullptr) {
    std::filesystem::remove(run.artifact()->directory() / "history.jsonl");  // of a round that held
    run.artifact()->write("latest.txt", verdict.explanation + "\n");
  }
}

harness::Workload redrawn(const std::vector<harness::Seed>& seeds, harness::WorkloadShape shape,
                          const harness::LiveVerdict& verdict) {
  shape.steps = std::min(shape.steps, static_cast<int>(verdict.most_of_one_client));
  harness::Workload workload;
  for (const auto& seed : seeds) {
    harness::DrawnSteps steps(seed, shape);
    auto& own = workload.clients.emplace_back();
    while (const harness::Step* step = steps()) own.push_back(*step);
  }
  return workload;
}

}  // namespace touchstone::stress
