#pragma once
// Claim S3, for any engine under test that declares snapshots: the isolation that its mode promises.
//
//   add_isolation_claim<harness::SimpleEngine>(registry);
//
// The run directory keeps the history of a violation, which `touchstone check --isolation LEVEL` judges again.

#include <string>
#include <variant>

#include "harness/transaction_run.h"
#include "model/isolation.h"
#include "model/store_transactions.h"
#include "stress/claims/history_claims.h"

namespace touchstone::stress {

// S3. The danger: commits that validate what they wrote against a snapshot that was none, or not at all: a lost update, a
// long fork, a stale read; and validated reads that are not. The oracle: cycles among the values that were seen.
template <harness::EngineUnderTest E>
void isolation_is_what_the_mode_says(harness::ClaimRun& run) {
  run.rounds([&](harness::Seed seed) {
    auto stream = seed.stream("S3");
    const bool validate = E::kCapabilities.validate_reads && stream.chance(1, 2);
    const harness::EngineSettings settings{
        .validate_reads = validate, .backoff = false, .seed = seed.value()};
    const auto history = harness::run_transactions<E>(settings, stream);
    run.tried().operations += history.operations.size();
    auto read = model::transactions_of(history);
    if (const auto* none = std::get_if<model::NoTransactions>(&read))
      throw harness::ClaimInconclusive(none->reason);
    const auto verdict = model::check_isolation(std::get<model::TransactionHistory>(read));
    if (!verdict.inapplicable.empty()) throw harness::ClaimInconclusive(verdict.inapplicable);
    const auto asked = validate ? model::Level::kStrictSerializable : model::Level::kStrongSnapshot;
    if (verdict.holds(asked)) return;
    keep(run, {}, history);
    std::string anomalies;
    for (const auto& anomaly : verdict.anomalies) anomalies += "\n" + anomaly.text;
    run.require(false, "not {}{}", model::name(asked), anomalies);
  });
}

template <harness::EngineUnderTest E>
void add_isolation_claim(harness::ClaimRegistry& registry) {
  constexpr const char* kPromise =
      "transactions: snapshot isolation; strict serializable with validated reads";
  if (!E::kCapabilities.snapshots) return registry.add_not_claimed({"S3", kPromise, "snapshots"});
  registry.add({"S3", kPromise, "threads, checker", harness::ReplayClass::workload, 4,
                isolation_is_what_the_mode_says<E>});
}

}  // namespace touchstone::stress
