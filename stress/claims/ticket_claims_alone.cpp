// The claims that a mutant of the contention manager is held to.

#include "stress/claims/claims.h"

namespace touchstone::harness {

std::optional<ClaimRegistry> claims_of(std::string_view engine) {
  ClaimRegistry registry{std::string(engine)};
  stress::add_ticket_claims(registry);
  stress::add_schedule_claims(registry);
  return registry;
}

}  // namespace touchstone::harness
