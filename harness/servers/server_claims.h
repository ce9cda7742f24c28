#pragma once
// Claims about servers that others wrote: `touchstone verify --engine redis`.
//
//   claims_of_servers = server_claims;            // the tool does this once; its registry then knows these names
//
// K1, K2, ...: linearizable key by key, for each level of use. I1, I2, ...: the isolation that the level documents. N1 to N5:
// the same under faults, and progress when they end. "redis+bugs" is the same server with what its adapter leaves out on
// purpose: there every claim must fail.
//
// Each check starts its server in a scratch directory, on loopback or on hosts of its own, and ends it by its own id.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/claim.h"

namespace touchstone::harness {

/// Nothing: no server has this name. Throws EngineUnusable when the server is known and not here.
std::optional<ClaimRegistry> server_claims(std::string_view name);

/// Of engine/etcd/store.h, "etcd-store" on one node, "etcd-store3" on three, "etcd-store3+bugs"; as server_claims(). Defined by
/// stress/claims, where the claims of any store are.
std::optional<ClaimRegistry> etcd_store_claims(std::string_view name);

/// Set by a tool that is built with servers.
inline std::optional<ClaimRegistry> (*claims_of_servers)(std::string_view) = nullptr;

}  // namespace touchstone::harness
