#include "stress/claims/history_claims.h"

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

}  // namespace touchstone::stress
