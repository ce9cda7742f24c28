#include "harness/history_edn.h"

#include "harness/history_edn_value.h"
#include "harness/history_format.h"
#include "harness/history_lines.h"

namespace touchstone::harness {
namespace {

using model::Function;
using model::Operation;
using model::Outcome;

using Problem = std::optional<std::string>;

std::optional<Function> function_of(std::string_view word) {
  if (word == "read") return Function::kRead;
  if (word == "write") return Function::kWrite;
  if (word == "cas") return Function::kCas;
  return std::nullopt;
}

bool is_pair(const Edn* value) {
  return value != nullptr && value->is(Edn::Kind::kVector) && value->items.size() == 2;
}

/// True if this invocation's value is a key and a value, not a value.
bool is_keyed(Function function, const Edn* value) {
  if (!is_pair(value)) return false;
  return function != Function::kCas || is_pair(&value->items[1]);
}

class EdnParser {
 public:
  explicit EdnParser(const std::string& name) : name_(name), open_(history_) {}

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
  struct Event {
    std::string process;
    std::string type;
    Function function = Function::kRead;
    const Edn* value = nullptr;
    bool mismatch = false;  ///< `:error :mismatch`: a compare-and-set that saw another value
  };

  Problem take(const Edn& map) {
    if (!map.is(Edn::Kind::kMap)) return "expected a map {:process ... :type ... :f ... :value ...}";
    const Edn* process = map.get("process");
    if (process == nullptr) return "expected :process with a number";
    if (process->is(Edn::Kind::kKeyword)) return std::nullopt;  // :nemesis and the like
    if (!process->is(Edn::Kind::kInteger)) return "expected :process with a number";
    const Edn* type = map.get("type");
    if (type == nullptr || !type->is(Edn::Kind::kKeyword)) return "expected :type with a keyword";
    const Edn* f = map.get("f");
    if (f == nullptr || !f->is(Edn::Kind::kKeyword)) return "expected :f with a keyword";
    const auto function = function_of(f->text);
    if (!function) return "expected :f with :read, :write or :cas, not :" + f->text;
    const Edn* error = map.get("error");
    const Event event{std::to_string(process->integer), type->text, *function, map.get("value"),
                      error != nullptr && error->is_keyword("mismatch")};
    return event.type == "invoke" ? invoke(event) : complete(event);
  }

  /// Takes the key off the value, if this history has keys.
  Problem unwrap(const Edn*& value, std::string& key) const {
    if (!*keyed_) {
      key = "register";
      return std::nullopt;
    }
    if (!is_pair(value)) return "expected :value with [key value], as in the first operation";
    const Edn& name = value->items[0];
    if (name.is(Edn::Kind::kInteger)) {
      key = std::to_string(name.integer);
    } else if (name.is(Edn::Kind::kString) || name.is(Edn::Kind::kKeyword)) {
      key = name.text;
    } else {
      return "expected a key that is a number, a string or a keyword";
    }
    value = &value->items[1];
    return std::nullopt;
  }

  Problem invoke(const Event& event) {
    if (!keyed_) keyed_ = is_keyed(event.function, event.value);
    Operation operation;
    operation.function = event.function;
    const Edn* value = event.value;
    std::string key;
    if (auto problem = unwrap(value, key)) return problem;
    operation.key = history_.key(key);
    if (auto problem = take_arguments(value, operation)) return problem;
    return open_.invoke(event.process, operation, time_);
  }

  Problem complete(const Event& event) {
    Operation* operation = open_.find(event.process);
    if (operation == nullptr) return "client " + event.process + " completes what it did not invoke";
    if (operation->function != event.function) return "the completion's :f is not the invocation's";
    if (event.type == "info") {
      open_.complete(event.process, Outcome::kUnknown, time_);
      return std::nullopt;
    }
    if (event.type == "fail" && !(event.function == Function::kCas && event.mismatch)) {
      open_.strike_out(event.process);  // it certainly did not happen
      return std::nullopt;
    }
    if (event.type != "ok" && event.type != "fail")
      return "expected :type with :invoke, :ok, :fail or :info, not :" + event.type;
    const Edn* value = event.value;
    std::string key;
    if (auto problem = unwrap(value, key)) return problem;
    if (history_.key(key) != operation->key) return "the completion's key is not the invocation's";
    if (operation->function == Function::kRead) {
      if (auto problem = take_value(value, operation->observed)) return problem;
    } else {
      Operation echoed = *operation;
      if (auto problem = take_arguments(value, echoed)) return problem;
      if (echoed.argument != operation->argument || echoed.expected != operation->expected)
        return "the completion's :value is not the invocation's";
    }
    open_.complete(event.process, event.type == "ok" ? Outcome::kOk : Outcome::kFail, time_);
    return std::nullopt;
  }

  Problem take_arguments(const Edn* value, Operation& operation) {
    if (operation.function == Function::kRead) return std::nullopt;
    if (operation.function == Function::kWrite) return take_value(value, operation.argument);
    if (!is_pair(value)) return "expected :value with [old new]";
    if (auto problem = take_value(&value->items[0], operation.expected)) return problem;
    return take_value(&value->items[1], operation.argument);
  }

  Problem take_value(const Edn* value, model::ValueId& out) {
    out = model::kNil;
    if (value == nullptr || value->is(Edn::Kind::kNil)) return std::nullopt;
    if (value->is(Edn::Kind::kInteger)) {
      out = history_.value(value->integer);
    } else if (value->is(Edn::Kind::kBoolean)) {
      out = history_.value(value->integer != 0);
    } else if (value->is(Edn::Kind::kDouble)) {
      out = history_.value(value->number);
    } else if (value->is(Edn::Kind::kString)) {
      out = history_.value(value->text);
    } else {
      return "expected a number, a string, a boolean or nil as the register's value";
    }
    return std::nullopt;
  }

  const std::string& name_;
  model::History history_;
  OpenOperations open_;
  std::optional<bool> keyed_;  ///< nothing until the first invocation tells
  std::int64_t time_ = 0;
};

}  // namespace

HistoryOrError parse_edn_history(std::string_view text, const std::string& name) {
  return EdnParser(name).run(text);
}

}  // namespace touchstone::harness
