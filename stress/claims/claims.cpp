#include "stress/claims/claims.h"

#include "harness/reference_engine.h"
#include "harness/simple_engine.h"
#include "stress/claims/history_claims.h"
#include "stress/claims/store_claims.h"

namespace touchstone::harness {

std::optional<ClaimRegistry> claims_of(std::string_view engine) {
  ClaimRegistry registry{std::string(engine)};
  if (engine == SimpleEngine::kName) {
    stress::add_store_claims<SimpleEngine>(registry);
    stress::add_history_claim<SimpleEngine>(registry);
  } else if (engine == ReferenceEngine::kName) {
    stress::add_store_claims<ReferenceEngine>(registry);
    stress::add_history_claim<ReferenceEngine>(registry);
    stress::add_contract_claims(registry);
    stress::add_backoff_claims(registry);
    stress::add_ticket_claims(registry);
    stress::add_schedule_claims(registry);
    stress::add_segment_claims(registry);
  } else {
    return std::nullopt;
  }
  registry.sort();
  return registry;
}

}  // namespace touchstone::harness
