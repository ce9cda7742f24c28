#pragma once
// The report of `touchstone verify` as text: one row a claim, as it is decided, the notes on it, and the reasons of what did not
// hold.
//
//   fmt::print("{}", table_head());
//   for each claim: fmt::print("{}", table_row(report, seed));
//   fmt::print("{}", table_foot(whole));
//
// Pure functions.

#include <string>

#include "harness/verify.h"

namespace touchstone::harness {

/// "two-workers 0.8 %, three-workers 12 %"
std::string remainders(const std::vector<Sampled>& sampled);

std::string table_head();
std::string table_row(const ClaimReport& claim, Seed seed);
std::string table_foot(const VerifyReport& report);

}  // namespace touchstone::harness
