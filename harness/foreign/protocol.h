#pragma once
// The line protocol's words: one JSON object a line, requests out, answers back (docs/foreign.md has the table).
//
//   Json request = request_for(operation);              // {"op": "commit", "expected": 3, "writes": [["a", 1]], ...}
//   StoreResponse response = response_to(operation, answer);
//
// Functions of their arguments: any thread. An answer that is none: ForeignFailure (garbage), naming the words that are wrong.

#include <nlohmann/json.hpp>

#include "harness/foreign/foreign_engine.h"

namespace touchstone::harness {

inline constexpr int kProtocolVersion = 1;

nlohmann::json request_for(const model::StoreOperation& operation);

/// Throws OutcomeUnknown where the answer says so.
model::StoreResponse response_to(const model::StoreOperation& operation, const nlohmann::json& answer);

std::optional<model::Subtree> value_of(const nlohmann::json& value);

/// The field, which must be a number from 0 on.
std::uint64_t whole_number(const nlohmann::json& answer, const char* field);

ForeignDescription description_of(const nlohmann::json& answer);

}  // namespace touchstone::harness
