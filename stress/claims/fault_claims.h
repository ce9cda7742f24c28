#pragma once
// Claims F1 and F2: what an engine behind a command keeps when its process is stopped, or killed and started anew.
//
//   add_fault_claims(registry, description);
//
// What was asked and not answered when the process was killed has an unknown outcome, and the checker considers both.

#include "harness/claim.h"
#include "harness/foreign/foreign_engine.h"

namespace touchstone::stress {

/// Of the engine that harness::ForeignEngine uses; what it cannot be asked is reported as not claimed.
void add_fault_claims(harness::ClaimRegistry& registry, const harness::ForeignDescription& description);

}  // namespace touchstone::stress
