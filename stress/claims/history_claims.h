#pragma once
// Claim S2, for any engine under test: what threads saw has an order that explains it.
//
//   add_history_claim<harness::ReferenceEngine>(registry);
//
// The run directory keeps the history of the last round, which `touchstone check` reads; of a violation, that of the smallest
// workload that still failed, and history.html, which a browser shows.

#include <fmt/format.h>

#include "harness/history_jsonl.h"
#include "harness/suite.h"
#include "harness/workload_shrink.h"
#include "model/explanation.h"
#include "stress/claims/claims.h"

namespace touchstone::stress {

/// Keeps workload and history where a person looks for them.
void keep(const harness::ClaimRun& run, const harness::Workload& workload, const model::History& history);

/// Of a violation: history.html beside it.
void keep_picture(const harness::ClaimRun& run, const model::History& history, const model::Verdict& verdict);

// S2. The danger: an answer that no order of the calls explains: a lost update, a conflict that never was, a snapshot
// out of time. The oracle: the checker looks for one order that respects real time and in which the model agrees.
template <harness::EngineUnderTest E>
void every_history_is_linearizable(harness::ClaimRun& run) {
  run.rounds([&](harness::Seed seed) {
    auto stream = seed.stream("S2");
    harness::EngineSettings settings{.strict = E::kCapabilities.strict && stream.chance(1, 4),
                                     .validate_reads = E::kCapabilities.validate_reads && stream.chance(1, 4),
                                     .ticket = stream.chance(3, 4),
                                     .backoff = false,
                                     .seed = seed.value()};
    harness::WorkloadShape shape{.clients = static_cast<int>(stream.between(2, 6)),
                                 .steps = static_cast<int>(stream.between(5, 40)),
                                 .capabilities = E::kCapabilities};
    shape.reads = settings.validate_reads;
    const auto workload = harness::draw_workload(stream, shape);
    const auto history = harness::run_on_threads<E>(settings, workload, stream);
    run.tried().operations += history.operations.size();
    const auto verdict = model::check(history, {.budget = std::chrono::seconds(20)});
    if (verdict.answer == model::Answer::kLinearizable) {
      if (run.tried().rounds % 64 == 0) keep(run, workload, history);
      return;
    }
    if (verdict.answer == model::Answer::kInconclusive) {
      keep(run, workload, history);
      throw harness::ClaimInconclusive(model::explain(history, verdict));
    }
    std::string explanation = model::explain(history, verdict);
    keep(run, workload, history);
    keep_picture(run, history, verdict);
    const auto small = harness::shrink_workload(
        workload,
        [&](const harness::Workload& smaller) {
          const auto again = harness::run_on_threads<E>(settings, smaller, stream);
          const auto judged = model::check(again, {.budget = std::chrono::seconds(1)});
          if (judged.answer != model::Answer::kNotLinearizable) return false;
          explanation = model::explain(again, judged);
          keep(run, smaller, again);
          keep_picture(run, again, judged);
          return true;
        },
        {.attempts = 20, .until = std::chrono::steady_clock::now() + std::chrono::seconds(8)});
    run.require(false, "{}\n(shrunk from {} steps to {} in {} runs)", explanation, workload.steps(),
                small.workload.steps(), small.runs);
  });
}

template <harness::EngineUnderTest E>
void add_history_claim(harness::ClaimRegistry& registry) {
  registry.add({"S2", "threads: every recorded history is linearizable to the model", "threads, checker",
                harness::ReplayClass::workload, 10, every_history_is_linearizable<E>});
}

}  // namespace touchstone::stress
