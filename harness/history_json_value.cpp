#include "harness/history_json_value.h"

#include <charconv>
#include <cmath>
#include <cstring>

namespace touchstone::harness {
namespace {

using model::Subtree;

template <class... Cases>
struct Overload : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overload(Cases...) -> Overload<Cases...>;

std::string hex_of(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  for (const char c : bytes) {
    out += kHex[static_cast<unsigned char>(c) >> 4U];
    out += kHex[static_cast<unsigned char>(c) & 15U];
  }
  return out;
}

std::string bytes_from_hex(const std::string& hex) {
  std::string out;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    unsigned value = 0;
    const char* begin = hex.data() + i;
    const std::size_t length = std::min<std::size_t>(2, hex.size() - i);
    const auto [end, error] = std::from_chars(begin, begin + length, value, 16);
    if (error != std::errc() || end != begin + 2) throw WrongJson("expected pairs of hex digits");
    out += static_cast<char>(value);
  }
  return out;
}

bool is_utf8(const std::string& bytes) {
  try {
    static_cast<void>(Json(bytes).dump());
    return true;
  } catch (const Json::type_error&) {
    return false;
  }
}

Json tree_json(const Subtree& tree) {
  if (tree.size() == 1 && tree.begin()->first.empty()) return json_of(tree.begin()->second);
  Json leaves = Json::array();
  for (const auto& [path, scalar] : tree) leaves.push_back(Json::array({json_of(path), json_of(scalar)}));
  return Json{{"$leaves", leaves}};
}

/// null is absent.
Json value_json(const std::optional<Subtree>& value) {
  return value ? tree_json(*value) : Json();
}

std::optional<Subtree> value_from(const Json& json) {
  if (json.is_null()) return std::nullopt;
  if (!json.is_object() || !json.contains("$leaves")) return Subtree{{"", scalar_from(json)}};
  Subtree tree;
  for (const Json& leaf : json.at("$leaves")) {
    if (!leaf.is_array() || leaf.size() != 2) throw WrongJson("expected [path, scalar] in $leaves");
    tree.emplace(text_from(leaf[0]), scalar_from(leaf[1]));
  }
  return tree;
}

Json texts(const std::vector<std::string>& all) {
  Json out = Json::array();
  for (const std::string& one : all) out.push_back(json_of(one));
  return out;
}

std::vector<std::string> texts_from(const Json& line, const char* name) {
  std::vector<std::string> out;
  if (!line.contains(name)) return out;
  if (!line.at(name).is_array())
    throw WrongJson(std::string("expected an array of paths as \"") + name + "\"");
  for (const Json& one : line.at(name)) out.push_back(text_from(one));
  return out;
}

Json write_json(const model::Write& write) {
  return Json{{"path", json_of(write.path)}, {"value", value_json(write.value)}};
}

model::Write write_from(const Json& json) {
  return {text_member(json, "path"), value_from(member(json, "value"))};
}

Json step_json(const model::BodyStep& step) {
  return std::visit(
      Overload{[](const model::AddInteger& it) {
                 return Json{{"add", json_of(it.path)}, {"amount", it.delta}};
               },
               [](const model::CopySubtree& it) {
                 return Json{{"copy", json_of(it.from)}, {"to", json_of(it.to)}};
               },
               [](const model::MoveAmount& it) {
                 return Json{{"move", json_of(it.from)}, {"to", json_of(it.to)}, {"amount", it.amount}};
               },
               [](const model::Write& it) { return write_json(it); }},
      step);
}

model::BodyStep body_step_from(const Json& json) {
  if (json.contains("add"))
    return model::AddInteger{text_member(json, "add"), integer_member(json, "amount")};
  if (json.contains("copy")) return model::CopySubtree{text_member(json, "copy"), text_member(json, "to")};
  if (json.contains("move")) {
    return model::MoveAmount{text_member(json, "move"), text_member(json, "to"),
                             integer_member(json, "amount")};
  }
  return write_from(json);
}

constexpr const char* kPaths[] = {"fast", "merged", "empty"};
constexpr const char* kRejections[] = {"empty_path", "bad_path", "under_scalar", "future_version"};

template <class Enum, std::size_t kSize>
Enum enum_from(const Json& json, const char* const (&names)[kSize], const char* what) {
  for (std::size_t i = 0; i < kSize && json.is_string(); ++i) {
    if (json.get_ref<const std::string&>() == names[i]) return static_cast<Enum>(i);
  }
  throw WrongJson(std::string("expected ") + what);
}

}  // namespace

const Json& member(const Json& object, const char* name) {
  if (!object.is_object() || !object.contains(name))
    throw WrongJson(std::string("expected a member \"") + name + "\"");
  return object.at(name);
}

std::uint64_t unsigned_member(const Json& object, const char* name) {
  const Json& value = member(object, name);
  if (!value.is_number_unsigned())
    throw WrongJson(std::string("expected a number from 0 as \"") + name + "\"");
  return value.get<std::uint64_t>();
}

std::int64_t integer_member(const Json& object, const char* name) {
  const Json& value = member(object, name);
  if (!value.is_number_integer()) throw WrongJson(std::string("expected a whole number as \"") + name + "\"");
  return value.get<std::int64_t>();
}

std::string text_member(const Json& object, const char* name) {
  return text_from(member(object, name));
}

Json json_of(const std::string& bytes) {
  return is_utf8(bytes) ? Json(bytes) : Json{{"$bytes", hex_of(bytes)}};
}

std::string text_from(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  if (json.is_object() && json.contains("$bytes") && json.at("$bytes").is_string()) {
    return bytes_from_hex(json.at("$bytes").get<std::string>());
  }
  throw WrongJson("expected a string");
}

Json json_of(const model::Scalar& scalar) {
  return std::visit(Overload{[](bool it) { return Json(it); }, [](std::int64_t it) { return Json(it); },
                             [](const std::string& it) { return json_of(it); },
                             [](double it) {
                               if (std::isfinite(it)) return Json(it);
                               std::uint64_t bits = 0;
                               std::memcpy(&bits, &it, sizeof bits);
                               std::string text(16, '0');
                               for (int i = 15; i >= 0; --i, bits >>= 4U)
                                 text[i] = "0123456789abcdef"[bits & 15U];
                               return Json{{"$double", text}};
                             }},
                    scalar);
}

model::Scalar scalar_from(const Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > INT64_MAX)
    throw WrongJson("expected a 64-bit integer");
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number_float()) return json.get<double>();
  if (json.is_object() && json.contains("$double") && json.at("$double").is_string()) {
    const std::string& text = json.at("$double").get_ref<const std::string&>();
    std::uint64_t bits = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bits, 16);
    if (error != std::errc() || end != text.data() + text.size()) throw WrongJson("expected 16 hex digits");
    double value = 0;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  return text_from(json);
}

Json json_of(const model::StoreOperation& operation) {
  return std::visit(Overload{[](const model::ReadPath& it) {
                               return Json{{"f", "read"}, {"path", json_of(it.path)}};
                             },
                             [](const model::ReadVersion&) {
                               return Json{{"f", "version"}};
                             },
                             [](const model::SnapshotRead& it) {
                               return Json{{"f", "snapshot"}, {"paths", texts(it.paths)}};
                             },
                             [](const model::CompareAndSwap& it) {
                               Json writes = Json::array();
                               for (const model::Write& write : it.writes)
                                 writes.push_back(write_json(write));
                               Json out{{"f", "commit"}, {"expected", it.expected}, {"writes", writes}};
                               if (!it.reads.empty()) out["reads"] = texts(it.reads);
                               if (!it.outputs.empty()) out["outputs"] = texts(it.outputs);
                               return out;
                             },
                             [](const model::Execute& it) {
                               Json body = Json::array();
                               for (const model::BodyStep& step : it.body) body.push_back(step_json(step));
                               return Json{{"f", "execute"}, {"body", body}};
                             }},
                    operation);
}

model::StoreOperation store_operation_from(const Json& line) {
  const std::string function = text_member(line, "f");
  if (function == "read") return model::ReadPath{text_member(line, "path")};
  if (function == "version") return model::ReadVersion{};
  if (function == "snapshot") return model::SnapshotRead{texts_from(line, "paths")};
  if (function == "commit") {
    model::CompareAndSwap swap;
    swap.expected = unsigned_member(line, "expected");
    for (const Json& write : member(line, "writes")) swap.writes.push_back(write_from(write));
    swap.reads = texts_from(line, "reads");
    swap.outputs = texts_from(line, "outputs");
    return swap;
  }
  if (function == "execute") {
    model::Execute execute;
    for (const Json& step : member(line, "body")) execute.body.push_back(body_step_from(step));
    return execute;
  }
  throw WrongJson("expected \"f\" to be read, version, snapshot, commit or execute");
}

Json json_of(const model::StoreResponse& response) {
  return std::visit(
      Overload{[](const model::ValueRead& it) {
                 return Json{{"value", value_json(it.value)}};
               },
               [](const model::VersionIs& it) {
                 return Json{{"version", it.version}};
               },
               [](const model::SnapshotIs& it) {
                 Json values = Json::array();
                 for (const auto& value : it.values) values.push_back(value_json(value));
                 return Json{{"version", it.version}, {"values", values}};
               },
               [](const model::Committed& it) {
                 Json out{{"committed", it.version}};
                 if (it.path) out["path"] = kPaths[static_cast<int>(*it.path)];
                 return out;
               },
               [](const model::Conflict& it) {
                 return Json{{"conflict", json_of(it.path)}, {"expected", it.expected}, {"found", it.found}};
               },
               [](const model::Busy&) {
                 return Json{{"busy", true}};
               },
               [](const model::Rejected& it) {
                 return Json{{"rejected", kRejections[static_cast<int>(it.reason)]}};
               },
               [](const model::GaveUp&) {
                 return Json{{"gave_up", true}};
               }},
      response);
}

model::StoreResponse store_response_from(const Json& json) {
  if (json.contains("values")) {
    model::SnapshotIs snapshot{unsigned_member(json, "version"), {}};
    for (const Json& value : json.at("values")) snapshot.values.push_back(value_from(value));
    return snapshot;
  }
  if (json.contains("value")) return model::ValueRead{value_from(json.at("value"))};
  if (json.contains("version")) return model::VersionIs{unsigned_member(json, "version")};
  if (json.contains("committed")) {
    model::Committed committed{unsigned_member(json, "committed"), std::nullopt};
    if (json.contains("path")) {
      committed.path = enum_from<model::CommitPath>(json.at("path"), kPaths, "fast, merged or empty");
    }
    return committed;
  }
  if (json.contains("conflict")) {
    return model::Conflict{text_member(json, "conflict"), unsigned_member(json, "expected"),
                           unsigned_member(json, "found")};
  }
  if (json.contains("busy")) return model::Busy{};
  if (json.contains("rejected")) {
    return model::Rejected{
        enum_from<model::Rejection>(json.at("rejected"), kRejections, "a reason of rejection")};
  }
  if (json.contains("gave_up")) return model::GaveUp{};
  throw WrongJson(
      "expected a result with value, version, values, committed, conflict, busy, rejected or gave_up");
}

}  // namespace touchstone::harness
