#pragma once
// The report of `touchstone verify` as JSON: what --json prints, what a shard keeps of each claim, and what a claim's own process tells.
//
//   fmt::print("{}\n", to_json(report));
//   ClaimReport same = claim_of(json_of(claim));             // V1
//
// Pure functions. Errors: claim_of() of what json_of() did not make: nlohmann::json::exception.
// Invariant: V1 claim_of() is the inverse of json_of(), but for texts that were no UTF-8.

#include <nlohmann/json.hpp>
#include <string>

#include "harness/verify.h"

namespace touchstone::harness {

nlohmann::json json_of(const ClaimReport& claim);
ClaimReport claim_of(const nlohmann::json& json);

nlohmann::json json_of(const Tried& tried);
Tried tried_of(const nlohmann::json& json);
nlohmann::json json_of(const std::vector<Sampled>& sampled);
std::vector<Sampled> sampled_of(const nlohmann::json& json);
nlohmann::json json_of(const Figures& figures);
Figures figures_of(const nlohmann::json& json);

std::string to_json(const VerifyReport& report);

/// In one line; a byte that is no UTF-8 is replaced.
std::string dumped(const nlohmann::json& json);

}  // namespace touchstone::harness
