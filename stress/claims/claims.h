#pragma once
// The claims of the source as checks, by room. Each function adds its claims to the registry of one engine.
//
//   ClaimRegistry registry("reference");
//   add_store_claims<harness::ReferenceEngine>(registry);     // A1..A13, S1, S2: any engine under test
//   add_contract_claims(registry);                            // what only the reference engine has
//
// Thread safety: one thread. acceptance.md's numbers are the claims' names.

#include "harness/claim.h"
#include "model/store_spec.h"

namespace touchstone::stress {

void add_contract_claims(harness::ClaimRegistry& registry);
void add_backoff_claims(harness::ClaimRegistry& registry);
void add_ticket_claims(harness::ClaimRegistry& registry);
void add_contention_claims(harness::ClaimRegistry& registry);  ///< a part of B10, with the report's picture
void add_schedule_claims(harness::ClaimRegistry& registry);  ///< parts of the B claims that are there already
void add_segment_claims(harness::ClaimRegistry& registry);   ///< C1 to C12: all of the next three, too
void add_segment_liveness_claims(harness::ClaimRegistry& registry);
void add_segment_hostile_claims(harness::ClaimRegistry& registry);
void add_worker_pool_claims(harness::ClaimRegistry& registry);  ///< needs C1

/// A scalar as a subtree.
inline model::Subtree leaf(std::int64_t value) {
  return {{"", value}};
}

inline std::vector<model::Write> write(const std::string& path, std::int64_t value) {
  return {{path, leaf(value)}};
}

/// The answer as T, or a violation that shows the answer.
template <class T>
T expect(const harness::ClaimRun& run, const model::StoreResponse& response, std::string_view what) {
  run.require(std::holds_alternative<T>(response), "{}: answered {}", what, model::describe(response));
  return std::get<T>(response);
}

}  // namespace touchstone::stress
