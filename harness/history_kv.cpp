// The put, get and append log of a key-value store, one EDN map a line. See docs/histories.md.

#include "harness/history_edn_value.h"
#include "harness/history_format.h"
#include "harness/history_lines.h"

namespace touchstone::harness {
namespace {

using model::Function;
using model::Operation;
using model::Outcome;

struct KvLine {
  std::string process;
  std::string type;
  std::string function;
  std::string key;
  const Edn* value = nullptr;
};

class KvParser {
 public:
  explicit KvParser(const std::string& name) : name_(name), open_(history_) {
    history_.initial = history_.value(std::string());
  }

  HistoryOrError run(std::string_view text) {
    const auto bad = each_edn_form(text, [this](const Edn& map) {
      ++time_;
      return take(map);
    });
    if (bad) return MalformedHistory{name_, bad->line, bad->problem};
    open_.finish();
    return std::move(history_);
  }

 private:
  using Problem = std::optional<std::string>;

  Problem take(const Edn& map) {
    if (!map.is(Edn::Kind::kMap)) return "expected a map {:process ... :type ... :f ... :key ... :value ...}";
    KvLine line;
    const Edn* process = map.get("process");
    if (process == nullptr || !process->is(Edn::Kind::kInteger)) return "expected :process with a number";
    line.process = std::to_string(process->integer);
    if (auto problem = word(map, "type", line.type)) return problem;
    if (auto problem = word(map, "f", line.function)) return problem;
    const Edn* key = map.get("key");
    if (key == nullptr || !key->is(Edn::Kind::kString)) return "expected :key with a string";
    line.key = key->text;
    line.value = map.get("value");
    if (line.function != "get" && line.function != "put" && line.function != "append") {
      return "expected :f with :get, :put or :append, not :" + line.function;
    }
    return line.type == "invoke" ? invoke(line) : complete(line);
  }

  static Problem word(const Edn& map, std::string_view name, std::string& out) {
    const Edn* value = map.get(name);
    if (value == nullptr || !value->is(Edn::Kind::kKeyword))
      return "expected :" + std::string(name) + " with a keyword";
    out = value->text;
    return std::nullopt;
  }

  static Function function_of(const KvLine& line) {
    if (line.function == "get") return Function::kRead;
    return line.function == "put" ? Function::kWrite : Function::kAppend;
  }

  Problem invoke(const KvLine& line) {
    Operation operation;
    operation.function = function_of(line);
    operation.key = history_.key(line.key);
    if (operation.function != Function::kRead) {
      if (line.value == nullptr || !line.value->is(Edn::Kind::kString))
        return "expected :value with a string";
      operation.argument = history_.value(line.value->text);
    }
    return open_.invoke(line.process, operation, time_);
  }

  Problem complete(const KvLine& line) {
    Operation* operation = open_.find(line.process);
    if (operation == nullptr) return "client " + line.process + " completes what it did not invoke";
    if (operation->function != function_of(line) || operation->key != history_.key(line.key)) {
      return "the completion's :f or :key is not the invocation's";
    }
    if (line.type == "info") {
      open_.complete(line.process, Outcome::kUnknown, time_);
      return std::nullopt;
    }
    if (line.type == "fail") {
      open_.strike_out(line.process);
      return std::nullopt;
    }
    if (line.type != "ok") return "expected :type with :invoke, :ok, :fail or :info, not :" + line.type;
    if (operation->function == Function::kRead) {
      if (line.value == nullptr || !line.value->is(Edn::Kind::kString))
        return "expected :value with the string read";
      operation->observed = history_.value(line.value->text);
    }
    open_.complete(line.process, Outcome::kOk, time_);
    return std::nullopt;
  }

  const std::string& name_;
  model::History history_;
  OpenOperations open_;
  std::int64_t time_ = 0;
};

}  // namespace

HistoryOrError parse_kv_history(std::string_view text, const std::string& name) {
  return KvParser(name).run(text);
}

}  // namespace touchstone::harness
