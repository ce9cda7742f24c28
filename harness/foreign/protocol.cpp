#include "harness/foreign/protocol.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace touchstone::harness {
namespace {

using Json = nlohmann::json;
using Kind = ForeignFailure::Kind;
using model::Rejection;
using model::Scalar;
using model::Subtree;

std::string shown(const Json& json) {
  std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > 200) text = text.substr(0, 200) + "...";
  return text;
}

[[noreturn]] void garbage(const Json& answer, const std::string& expected) {
  throw ForeignFailure(Kind::garbage,
                       fmt::format("the engine answered {}: expected {}", shown(answer), expected));
}

Json json_of(const Scalar& scalar) {
  return std::visit([](const auto& value) { return Json(value); }, scalar);
}

Json json_of(const std::optional<Subtree>& value) {
  if (!value) return nullptr;
  if (value->size() == 1 && value->begin()->first.empty()) return json_of(value->begin()->second);
  Json leaves = Json::object();
  for (const auto& [path, scalar] : *value) leaves[path] = json_of(scalar);
  return leaves;
}

std::optional<Scalar> scalar_of(const Json& value) {
  if (value.is_boolean()) return Scalar(value.get<bool>());
  if (value.is_number_float()) return Scalar(value.get<double>());
  if (value.is_number_integer()) return Scalar(value.get<std::int64_t>());
  if (value.is_string()) return Scalar(value.get<std::string>());
  return std::nullopt;
}

constexpr std::array<std::pair<const char*, Rejection>, 4> kRejections = {
    {{"empty-path", Rejection::kEmptyPath},
     {"bad-path", Rejection::kBadPath},
     {"under-scalar", Rejection::kUnderScalar},
     {"future-version", Rejection::kFutureVersion}}};

constexpr std::array<std::pair<const char*, model::CommitPath>, 3> kPaths = {
    {{"fast", model::CommitPath::kFast},
     {"merged", model::CommitPath::kMerged},
     {"empty", model::CommitPath::kEmpty}}};

/// One of these words.
template <class Words>
auto word_of(const Json& answer, const char* field, const Words& words) {
  for (const auto& [word, meaning] : words)
    if (answer.at(field) == word) return meaning;
  std::string all;
  for (const auto& [word, meaning] : words) all += fmt::format("{}\"{}\"", all.empty() ? "" : ", ", word);
  garbage(answer, fmt::format("\"{}\" to be one of {}", field, all));
}

std::string text_of(const Json& answer, const char* field) {
  if (answer.contains(field) && answer.at(field).is_string()) return answer.at(field);
  garbage(answer, fmt::format("a text in \"{}\"", field));
}

model::StoreResponse commit_answer(const model::CompareAndSwap& asked, const Json& answer) {
  if (answer.contains("committed")) {
    model::Committed committed{whole_number(answer, "committed"), {}};
    if (answer.contains("took")) committed.path = word_of(answer, "took", kPaths);
    return committed;
  }
  if (answer.contains("conflict"))
    return model::Conflict{text_of(answer, "conflict"), asked.expected, whole_number(answer, "found")};
  if (answer.contains("busy")) return model::Busy{};
  garbage(answer, R"("committed", "conflict", "busy" or "rejected" of a commit)");
}

}  // namespace

std::uint64_t whole_number(const Json& answer, const char* field) {
  if (answer.contains(field) && answer.at(field).is_number_unsigned()) return answer.at(field);
  garbage(answer, fmt::format("a whole number in \"{}\"", field));
}

std::optional<Subtree> value_of(const Json& value) {
  if (value.is_null()) return std::nullopt;
  if (auto scalar = scalar_of(value)) return Subtree{{"", *std::move(scalar)}};
  if (!value.is_object()) garbage(value, "a value: null, a scalar, or an object of paths and scalars");
  Subtree composite;
  for (const auto& [path, leaf] : value.items()) {
    auto scalar = scalar_of(leaf);
    if (!scalar) garbage(value, "scalars in a composite");
    composite.emplace(path, *std::move(scalar));
  }
  return composite;
}

Json request_for(const model::StoreOperation& operation) {
  if (const auto* read = std::get_if<model::ReadPath>(&operation))
    return {{"op", "read"}, {"path", read->path}};
  if (const auto* snapshot = std::get_if<model::SnapshotRead>(&operation))
    return {{"op", "snapshot"}, {"paths", snapshot->paths}};
  if (std::holds_alternative<model::ReadVersion>(operation)) return {{"op", "version"}};
  const auto* swap = std::get_if<model::CompareAndSwap>(&operation);
  if (swap == nullptr) throw std::logic_error("bodies are for engines in C++");
  Json writes = Json::array();
  for (const auto& write : swap->writes) writes.push_back(Json::array({write.path, json_of(write.value)}));
  return {{"op", "commit"}, {"expected", swap->expected}, {"writes", writes}, {"reads", swap->reads}};
}

model::StoreResponse response_to(const model::StoreOperation& operation, const Json& answer) {
  if (answer.contains("unknown")) throw OutcomeUnknown("the engine answered that it does not know");
  if (answer.contains("error"))
    throw ForeignFailure(Kind::refused, "the engine answered an error: " + shown(answer.at("error")));
  if (answer.contains("rejected")) return model::Rejected{word_of(answer, "rejected", kRejections)};
  if (const auto* swap = std::get_if<model::CompareAndSwap>(&operation)) return commit_answer(*swap, answer);
  if (std::holds_alternative<model::ReadVersion>(operation))
    return model::VersionIs{whole_number(answer, "version")};
  if (std::holds_alternative<model::ReadPath>(operation)) {
    if (!answer.contains("value")) garbage(answer, "\"value\" of a read");
    return model::ValueRead{value_of(answer.at("value"))};
  }
  const auto& asked = std::get<model::SnapshotRead>(operation);
  model::SnapshotIs seen{whole_number(answer, "version"), {}};
  if (!answer.contains("values") || !answer.at("values").is_array() ||
      answer.at("values").size() != asked.paths.size())
    garbage(answer, fmt::format("{} \"values\" of a snapshot", asked.paths.size()));
  for (const auto& value : answer.at("values")) seen.values.push_back(value_of(value));
  return seen;
}

ForeignDescription description_of(const Json& answer) {
  if (whole_number(answer, "protocol") != kProtocolVersion)
    throw ForeignFailure(Kind::cannot_start, fmt::format("speaks version {} of the protocol, not {}",
                                                         shown(answer.at("protocol")), kProtocolVersion));
  ForeignDescription description{text_of(answer, "name"), {}, true, false};
  if (!answer.contains("can") || !answer.at("can").is_array()) garbage(answer, "an array in \"can\"");
  const std::pair<const char*, bool Capabilities::*> flags[] = {
      {"strict", &Capabilities::strict},       {"validate_reads", &Capabilities::validate_reads},
      {"erase", &Capabilities::erase},         {"composites", &Capabilities::composites},
      {"ticket", &Capabilities::ticket},       {"took", &Capabilities::commit_path},
      {"snapshots", &Capabilities::snapshots}, {"pins", &Capabilities::pins},
      {"rejects", &Capabilities::rejects}};
  for (const auto& word : answer.at("can")) {
    bool known = word == "durable";
    if (known) description.durable = true;
    for (const auto& [name, flag] : flags) {
      if (word != name) continue;
      description.capabilities.*flag = true;
      known = true;
    }
    if (!known) garbage(word, "a capability that docs/foreign.md names");
  }
  return description;
}

}  // namespace touchstone::harness
