// Jepsen's etcd log: a register with compare-and-set. See docs/histories.md.

#include "harness/history_format.h"
#include "harness/history_lines.h"

namespace touchstone::harness {
namespace {

using model::Function;
using model::Operation;
using model::Outcome;

constexpr std::string_view kMarker = "jepsen.util";

/// One line of interest: `PROCESS :TYPE :F VALUE` behind the marker and a dash.
struct EtcdLine {
  std::string_view process;
  std::string_view type;
  std::string_view function;
  std::string_view value;
};

/// Nothing if the line is noise: no marker, or no client's operation behind it.
std::optional<EtcdLine> cut(std::string_view line) {
  const std::size_t marker = line.find(kMarker);
  if (marker == std::string_view::npos) return std::nullopt;
  line.remove_prefix(marker + kMarker.size());
  if (take_word(line) != "-") return std::nullopt;
  EtcdLine out;
  out.process = take_word(line);
  if (!parse_integer(out.process)) return std::nullopt;
  out.type = take_word(line);
  if (out.type.empty() || out.type.front() != ':') return std::nullopt;
  out.function = take_word(line);
  out.value = trimmed(line);
  return out;
}

class EtcdParser {
 public:
  explicit EtcdParser(const std::string& name) : name_(name), open_(history_) {}

  HistoryOrError run(std::string_view text) {
    for (LineReader lines(text); const auto line = lines.next();) {
      const auto cut_line = cut(*line);
      if (!cut_line) continue;
      time_ = static_cast<std::int64_t>(lines.number());
      if (auto problem = take(*cut_line)) return MalformedHistory{name_, lines.number(), *std::move(problem)};
    }
    open_.finish();
    return std::move(history_);
  }

 private:
  using Problem = std::optional<std::string>;

  Problem take(const EtcdLine& line) {
    if (line.type == ":invoke") return invoke(line);
    if (line.type != ":ok" && line.type != ":fail" && line.type != ":info") {
      return "expected :invoke, :ok, :fail or :info, not " + std::string(line.type);
    }
    Operation* operation = open_.find(line.process);
    if (operation == nullptr)
      return "client " + std::string(line.process) + " completes what it did not invoke";
    const auto function = function_of(line.function);
    if (!function || *function != operation->function) {
      return "the completion's function " + std::string(line.function) + " is not the invocation's";
    }
    return complete(line, *operation);
  }

  static std::optional<Function> function_of(std::string_view word) {
    if (word == ":read") return Function::kRead;
    if (word == ":write") return Function::kWrite;
    if (word == ":cas") return Function::kCas;
    return std::nullopt;
  }

  Problem invoke(const EtcdLine& line) {
    const auto function = function_of(line.function);
    if (!function) return "expected :read, :write or :cas, not " + std::string(line.function);
    Operation operation;
    operation.function = *function;
    operation.key = history_.key("register");
    if (*function != Function::kRead && !read_arguments(line.value, operation)) return bad_value(line);
    return open_.invoke(line.process, operation, time_);
  }

  Problem complete(const EtcdLine& line, Operation& operation) {
    if (line.type == ":info") {
      open_.complete(line.process, Outcome::kUnknown, time_);
      return std::nullopt;
    }
    if (line.type == ":fail" && (operation.function != Function::kCas || line.value.substr(0, 1) == ":")) {
      open_.strike_out(line.process);  // it certainly did not happen
      return std::nullopt;
    }
    if (operation.function == Function::kRead) {
      const auto value = value_of(line.value);
      if (!value) return bad_value(line);
      operation.observed = *value;
    } else {
      Operation echoed = operation;
      if (!read_arguments(line.value, echoed)) return bad_value(line);
      if (echoed.argument != operation.argument || echoed.expected != operation.expected) {
        return "the completion's value " + std::string(line.value) + " is not the invocation's";
      }
    }
    open_.complete(line.process, line.type == ":ok" ? Outcome::kOk : Outcome::kFail, time_);
    return std::nullopt;
  }

  static Problem bad_value(const EtcdLine& line) {
    return "expected " + std::string(line.function == ":cas" ? "[number number]" : "a number or nil") +
           ", not " + (line.value.empty() ? "nothing" : std::string(line.value));
  }

  std::optional<model::ValueId> value_of(std::string_view word) {
    if (word == "nil") return model::kNil;
    const auto number = parse_integer(word);
    if (!number) return std::nullopt;
    return history_.value(*number);
  }

  bool read_arguments(std::string_view text, Operation& operation) {
    if (operation.function == Function::kWrite) {
      const auto value = value_of(text);
      operation.argument = value.value_or(model::kNil);
      return value.has_value();
    }
    if (text.size() < 2 || text.front() != '[' || text.back() != ']') return false;
    text = text.substr(1, text.size() - 2);
    const auto from = value_of(take_word(text));
    const auto to = value_of(take_word(text));
    if (!from || !to || !trimmed(text).empty()) return false;
    operation.expected = *from;
    operation.argument = *to;
    return true;
  }

  const std::string& name_;
  model::History history_;
  OpenOperations open_;
  std::int64_t time_ = 0;
};

}  // namespace

HistoryOrError parse_etcd_history(std::string_view text, const std::string& name) {
  return EtcdParser(name).run(text);
}

}  // namespace touchstone::harness
