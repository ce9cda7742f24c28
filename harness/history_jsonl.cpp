#include "harness/history_jsonl.h"

#include <cstring>
#include <fstream>

#include "harness/history_json_value.h"
#include "harness/history_lines.h"

namespace touchstone::harness {
namespace {

using model::Function;
using model::History;
using model::HistoryKind;
using model::kNever;
using model::kNil;
using model::kNoVersion;
using model::Operation;
using model::Outcome;

constexpr const char* kFunctions[] = {"read", "write", "cas", "cas_version", "append"};
constexpr const char* kOutcomes[] = {"ok", "fail", "unknown", "pending"};

Json value_json(const History& history, model::ValueId value) {
  return value == kNil ? Json() : json_of(history.values.scalar(value));
}

Json header_json(const History& history) {
  Json header{{"touchstone", "history"}, {"version", 1}};
  header["kind"] = history.kind == HistoryKind::kCell ? "cell" : "store";
  if (history.kind == HistoryKind::kCell) {
    header["initial"] = value_json(history, history.initial);
  } else {
    header["strict"] = history.store_rules.strict;
    header["validate_reads"] = history.store_rules.validate_reads;
    header["gate_may_close"] = history.store_rules.gate_may_close;
  }
  return header;
}

void add_cell(const History& history, const Operation& it, Json& line) {
  line["key"] = json_of(history.keys.name(it.key));
  line["f"] = kFunctions[static_cast<int>(it.function)];
  if (it.function == Function::kCas) line["expected"] = value_json(history, it.expected);
  if (it.function == Function::kCasVersion) line["base"] = it.base;
  if (it.function != Function::kRead) line["value"] = value_json(history, it.argument);
  if (it.function == Function::kRead && it.completed()) line["value"] = value_json(history, it.observed);
  if (it.version != kNoVersion) line["version"] = it.version;
}

void add_call(const History& history, const Operation& it, Json& line) {
  const auto& call = history.store_calls[it.argument];
  const Json operation = json_of(call.operation);
  for (const auto& [name, value] : operation.items()) line[name] = value;
  if (call.response) line["result"] = json_of(*call.response);
}

Json line_json(const History& history, const Operation& it) {
  Json line{{"client", json_of(history.clients.name(it.client))}, {"call", it.invoked}};
  if (it.completed()) line["return"] = it.returned;
  line["outcome"] = kOutcomes[static_cast<int>(it.outcome)];
  history.kind == HistoryKind::kCell ? add_cell(history, it, line) : add_call(history, it, line);
  return line;
}

class JsonLinesParser {
 public:
  explicit JsonLinesParser(const std::string& name) : name_(name) {}

  HistoryOrError run(std::string_view text) {
    for (LineReader lines(text); const auto line = lines.next();) {
      if (trimmed(*line).empty()) continue;
      try {
        take(Json::parse(line->begin(), line->end()));
      } catch (const WrongJson& wrong) {
        return MalformedHistory{name_, lines.number(), wrong.what()};
      } catch (const Json::exception& wrong) {
        return MalformedHistory{name_, lines.number(),
                                std::string("expected a JSON object: ") + wrong.what()};
      }
    }
    if (!header_) return MalformedHistory{name_, 1, "expected the header {\"touchstone\":\"history\",...}"};
    return std::move(history_);
  }

 private:
  void take(const Json& line) {
    if (!line.is_object()) throw WrongJson("expected a JSON object");
    if (!header_) return take_header(line);
    Operation it;
    it.invoked = integer_member(line, "call");
    it.outcome = outcome_of(line);
    if (it.completed()) it.returned = integer_member(line, "return");
    if (it.returned < it.invoked) throw WrongJson("expected \"return\" not to be before \"call\"");
    if (it.returned == kNever && it.completed()) throw WrongJson("expected \"return\" to be a time");
    const std::string client = text_member(line, "client");
    history_.kind == HistoryKind::kCell ? take_cell(line, client, it) : take_call(line, client, it);
  }

  void take_header(const Json& line) {
    if (!line.contains("touchstone") || line.at("touchstone") != "history") {
      throw WrongJson("expected the header {\"touchstone\":\"history\",...}");
    }
    if (unsigned_member(line, "version") != 1) throw WrongJson("expected version 1 of the format");
    const std::string kind = text_member(line, "kind");
    if (kind != "cell" && kind != "store") throw WrongJson("expected \"kind\" to be cell or store");
    header_ = true;
    history_ = History(kind == "cell" ? HistoryKind::kCell : HistoryKind::kStore);
    if (line.contains("initial")) history_.initial = value_from(line.at("initial"));
    const auto flag = [&](const char* name, bool& out) {
      if (!line.contains(name)) return;
      if (!line.at(name).is_boolean())
        throw WrongJson(std::string("expected true or false as \"") + name + "\"");
      out = line.at(name).get<bool>();
    };
    flag("strict", history_.store_rules.strict);
    flag("validate_reads", history_.store_rules.validate_reads);
    flag("gate_may_close", history_.store_rules.gate_may_close);
  }

  static Outcome outcome_of(const Json& line) {
    const std::string text = text_member(line, "outcome");
    for (int i = 0; i < 4; ++i) {
      if (text == kOutcomes[i]) return static_cast<Outcome>(i);
    }
    throw WrongJson("expected \"outcome\" to be ok, fail, unknown or pending");
  }

  model::ValueId value_from(const Json& json) {
    return json.is_null() ? kNil : history_.value(scalar_from(json));
  }

  static Function function_of(const Json& line) {
    const std::string text = text_member(line, "f");
    for (int i = 0; i < 5; ++i) {
      if (text == kFunctions[i]) return static_cast<Function>(i);
    }
    throw WrongJson("expected \"f\" to be read, write, cas, cas_version or append");
  }

  void take_cell(const Json& line, const std::string& client, Operation it) {
    it.function = function_of(line);
    it.key = history_.key(text_member(line, "key"));
    it.client = history_.client(client);
    if (it.function == Function::kCas) it.expected = value_from(member(line, "expected"));
    if (it.function == Function::kCasVersion) it.base = unsigned_member(line, "base");
    if (it.function != Function::kRead) it.argument = value_from(member(line, "value"));
    if (it.function == Function::kRead && it.completed()) it.observed = value_from(member(line, "value"));
    if (line.contains("version")) it.version = unsigned_member(line, "version");
    const bool compares = it.function == Function::kCas || it.function == Function::kCasVersion;
    if (it.outcome == Outcome::kFail && !compares)
      throw WrongJson("only a compare-and-set has the outcome fail");
    history_.operations.push_back(it);
  }

  void take_call(const Json& line, const std::string& client, const Operation& it) {
    if (it.outcome == Outcome::kFail)
      throw WrongJson("a store's operation has the outcome ok, unknown or pending");
    std::optional<model::StoreResponse> response;
    if (it.completed()) response = store_response_from(member(line, "result"));
    history_.add_store(client, it.invoked, it.returned, store_operation_from(line), std::move(response));
    history_.operations.back().outcome = it.outcome;
  }

  const std::string& name_;
  History history_;
  bool header_ = false;
};

}  // namespace

void write_jsonl_history(const History& history, std::ostream& out) {
  out << header_json(history).dump() << '\n';
  for (const Operation& it : history.operations) out << line_json(history, it).dump() << '\n';
}

bool save_jsonl_history(const History& history, const std::string& file) {
  std::ofstream out(file, std::ios::binary);
  write_jsonl_history(history, out);
  out.flush();
  return out.good();
}

HistoryOrError parse_jsonl_history(std::string_view text, const std::string& name) {
  return JsonLinesParser(name).run(text);
}

}  // namespace touchstone::harness
