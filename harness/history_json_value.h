#pragma once
// The parts of a store's history as JSON, in both directions.
//
//   Json json = json_of(scalar);
//   model::Scalar scalar = scalar_from(json);          // throws WrongJson where the JSON is something else
//
// Everything that is read throws WrongJson, which says what was expected; the readers of files turn it into a
// MalformedHistory. Nothing here outlives a line.

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "model/history.h"

namespace touchstone::harness {

using Json = nlohmann::ordered_json;

struct WrongJson : std::runtime_error {
  using std::runtime_error::runtime_error;
};

Json json_of(const std::string& bytes);
Json json_of(const model::Scalar& scalar);
Json json_of(const model::StoreOperation& operation);
Json json_of(const model::StoreResponse& response);

std::string text_from(const Json& json);
model::Scalar scalar_from(const Json& json);
model::StoreOperation store_operation_from(const Json& line);
model::StoreResponse store_response_from(const Json& json);

/// The member; throws if there is none.
const Json& member(const Json& object, const char* name);
std::uint64_t unsigned_member(const Json& object, const char* name);
std::int64_t integer_member(const Json& object, const char* name);
std::string text_member(const Json& object, const char* name);

}  // namespace touchstone::harness
