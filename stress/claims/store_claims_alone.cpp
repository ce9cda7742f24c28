// The claims that a mutant of the store is held to.

#include "harness/reference_engine.h"
#include "stress/claims/store_claims.h"

namespace touchstone::harness {

std::optional<ClaimRegistry> claims_of(std::string_view engine) {
  ClaimRegistry registry{std::string(engine)};
  stress::add_store_claims<ReferenceEngine>(registry);
  return registry;
}

}  // namespace touchstone::harness
