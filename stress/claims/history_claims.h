#pragma once
// Claim S2, for any engine under test: what threads saw has an order that explains it.
//
//   add_history_claim<harness::ReferenceEngine>(registry);
//
// The run directory keeps the history of a late round, which `touchstone check` reads; of a violation, that of the smallest
// workload that still failed, and history.html, which a browser shows. (Of a run too long to be kept, latest.txt: its last calls.)

#include <fmt/format.h>

#include "harness/history_jsonl.h"
#include "harness/suite.h"
#include "harness/workload_shrink.h"
#include "stress/claims/claims.h"

namespace touchstone::stress {

/// Keeps workload and history where a person looks for them.
void keep(const harness::ClaimRun& run, const harness::Workload& workload, const model::History& history);

/// Of a violation: history.html beside it.
void keep_picture(const harness::ClaimRun& run, const model::History& history, const model::Verdict& verdict);

/// The same of a run that was checked while it went on. What is too long to be kept has no picture.
void keep(const harness::ClaimRun& run, const harness::Workload& workload,
          const harness::LiveVerdict& verdict);

/// A drawn run as a workload: as many steps for each client as one had begun when it ended.
harness::Workload redrawn(const std::vector<harness::Seed>& seeds, harness::WorkloadShape shape,
                          const harness::LiveVerdict& verdict);

/// Throws what a run that is not linearizable is to its claim; a violation with the smallest workload that still fails.
template <harness::EngineUnderTest E>
void report_unexplained(harness::ClaimRun& run, const harness::EngineSettings& settings,
                        const harness::Workload& workload, const harness::LiveVerdict& verdict,
                        harness::Stream& stream) {
  keep(run, workload, verdict);
  if (verdict.answer == model::Answer::kInconclusive) throw harness::ClaimInconclusive(verdict.explanation);
  std::string explanation = verdict.explanation;
  const auto small = harness::shrink_workload(
      workload,
      [&](const harness::Workload& smaller) {
        const auto again = harness::check_on_threads<E>(settings, smaller, stream);
        if (again.answer != model::Answer::kNotLinearizable) return false;
        explanation = again.explanation;
        keep(run, smaller, again);
        return true;
      },
      {.attempts = 20, .until = std::chrono::steady_clock::now() + std::chrono::seconds(8)});
  run.require(false, "{}\n(shrunk from {} steps to {} in {} runs)", explanation, workload.steps(),
              small.workload.steps(), small.runs);
}

// S2. The danger: an answer that no order of the calls explains: a lost update, a conflict that never was, a snapshot
// out of time. The oracle: the checker looks for one order that respects real time and in which the model agrees, while the
// clients run. Most runs are short, so that there is little to explain; one in sixteen is long, and ends at a violation.
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
    if (stream.chance(1, 16)) {
      shape.steps = static_cast<int>(stream.between(500, 4'000));
      std::vector<harness::Seed> seeds;
      for (int i = 0; i < shape.clients; ++i) seeds.emplace_back(stream.next());
      std::vector<harness::DrawnSteps> steps;
      for (const auto& own : seeds) steps.emplace_back(own, shape);
      const auto verdict = harness::check_on_threads<E>(settings, std::move(steps), stream);
      run.tried().operations += verdict.calls;
      if (verdict.answer != model::Answer::kLinearizable)
        report_unexplained<E>(run, settings, redrawn(seeds, shape, verdict), verdict, stream);
      return;
    }
    const auto workload = harness::draw_workload(stream, shape);
    const auto verdict = harness::check_on_threads<E>(settings, workload, stream);
    run.tried().operations += verdict.calls;
    if (verdict.answer != model::Answer::kLinearizable)
      report_unexplained<E>(run, settings, workload, verdict, stream);
    if (run.tried().rounds % 64 == 0) keep(run, workload, verdict.latest);
  });
}

template <harness::EngineUnderTest E>
void add_history_claim(harness::ClaimRegistry& registry) {
  registry.add({"S2", "threads: every recorded history is linearizable to the model", "threads, checker",
                harness::ReplayClass::workload, 10, every_history_is_linearizable<E>});
}

}  // namespace touchstone::stress
