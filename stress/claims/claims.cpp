#include "stress/claims/claims.h"

#include "harness/foreign/foreign_engine.h"
#include "harness/reference_engine.h"
#include "harness/servers/server_claims.h"
#include "harness/simple_engine.h"
#include "stress/claims/bound_claim.h"
#include "stress/claims/fault_claims.h"
#include "stress/claims/history_claims.h"
#include "stress/claims/isolation_claims.h"
#include "stress/claims/store_claims.h"

namespace touchstone::harness {
namespace {

void add_foreign_claims(ClaimRegistry& registry, const std::string& words) {
  ForeignDescription description;
  try {
    description = describe_foreign(words);
  } catch (const ForeignFailure& why) {
    throw EngineUnusable(why.what());
  }
  ForeignEngine::use(words, description);
  stress::add_store_claims<ForeignEngine>(registry);
  stress::add_history_claim<ForeignEngine>(registry);
  stress::add_isolation_claim<ForeignEngine>(registry);
  stress::add_bound_claim<ForeignEngine>(registry);
  stress::add_fault_claims(registry, description);
}

}  // namespace

std::optional<ClaimRegistry> claims_of(std::string_view engine) {
  ClaimRegistry registry{std::string(engine)};
  if (engine == SimpleEngine::kName) {
    stress::add_store_claims<SimpleEngine>(registry);
    stress::add_history_claim<SimpleEngine>(registry);
    stress::add_isolation_claim<SimpleEngine>(registry);
  } else if (engine == ReferenceEngine::kName) {
    stress::add_store_claims<ReferenceEngine>(registry);
    stress::add_history_claim<ReferenceEngine>(registry);
    stress::add_isolation_claim<ReferenceEngine>(registry);
    stress::add_contract_claims(registry);
    stress::add_backoff_claims(registry);
    stress::add_ticket_claims(registry);
    stress::add_contention_claims(registry);
    stress::add_schedule_claims(registry);
    stress::add_segment_claims(registry);
  } else if (auto servers = claims_of_servers != nullptr ? claims_of_servers(engine) : std::nullopt) {
    return servers;
  } else if (names_foreign(std::string(engine))) {
    add_foreign_claims(registry, std::string(engine));
  } else {
    return std::nullopt;
  }
  registry.sort();
  return registry;
}

}  // namespace touchstone::harness
