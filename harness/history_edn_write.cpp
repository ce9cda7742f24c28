#include <charconv>
#include <cmath>
#include <ostream>
#include <unordered_map>

#include "harness/history_edn.h"
#include "harness/history_events.h"
#include "harness/history_lines.h"

namespace touchstone::harness {
namespace {

using model::Function;
using model::History;
using model::Operation;
using model::Outcome;

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '\n':
        out += "\\n";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\r':
        out += "\\r";
        break;
      case '"':
      case '\\':
        out += '\\';
        [[fallthrough]];
      default:
        out += c;
    }
  }
  return out + '"';
}

std::string text_of(double number) {
  if (std::isnan(number)) return "##NaN";
  if (std::isinf(number)) return number > 0 ? "##Inf" : "##-Inf";
  char digits[32];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, number);
  std::string text(digits, end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string text_of(const model::Scalar& scalar) {
  if (const auto* flag = std::get_if<bool>(&scalar)) return *flag ? "true" : "false";
  if (const auto* whole = std::get_if<std::int64_t>(&scalar)) return std::to_string(*whole);
  if (const auto* number = std::get_if<double>(&scalar)) return text_of(*number);
  return quoted(std::get<std::string>(scalar));
}

class EdnWriter {
 public:
  EdnWriter(const History& history, std::ostream& out) : history_(history), out_(out) {
    keyed_ = history.keys.size() > 1 || (history.keys.size() == 1 && history.keys.name(0) != "register");
    for (model::ClientId id = 0; id < history.clients.size(); ++id) {
      const auto number = parse_integer(history.clients.name(id));
      numbered_ = numbered_ && number && *number >= 0 && std::to_string(*number) == history.clients.name(id);
    }
  }

  std::optional<std::string> run() {
    if (auto why = why_not()) return why;
    if (history_.initial != model::kNil) write_initial();
    for (const HistoryEvent& event : events_of(history_)) write(event);
    return std::nullopt;
  }

 private:
  /// What the format cannot say.
  std::optional<std::string> why_not() const {
    if (history_.kind != model::HistoryKind::kCell) return "an EDN history is of registers, not of a store";
    std::vector<const Operation*> open(history_.clients.size(), nullptr);
    for (const Operation& it : history_.operations) {
      if (it.function != Function::kRead && it.function != Function::kWrite && it.function != Function::kCas)
        return "an EDN register has no " + describe(history_, it);
      if (it.version != model::kNoVersion)
        return "an EDN register has no versions, as in " + describe(history_, it);
    }
    for (const HistoryEvent& event : events_of(history_)) {
      const Operation& it = history_.operations[event.operation];
      const Operation*& current = open[it.client];
      if (!event.completion && current != nullptr)
        return "a client has one operation open at a time in EDN, unlike that of " + describe(history_, it);
      current = event.completion ? nullptr : &it;
    }
    return std::nullopt;
  }

  std::string process_of(const Operation& it) const {
    return numbered_ ? history_.clients.name(it.client) : std::to_string(it.client);
  }

  /// A key that looks like a number is one.
  std::string with_key(model::KeyId key, const std::string& value) const {
    if (!keyed_) return value;
    const std::string& name = history_.keys.name(key);
    const auto number = parse_integer(name);
    const bool plain = number && std::to_string(*number) == name;
    return '[' + (plain ? name : quoted(name)) + ' ' + value + ']';
  }

  std::string value(model::ValueId id) const {
    return id == model::kNil ? "nil" : text_of(history_.values.scalar(id));
  }

  void line(const std::string& process, const char* type, const char* function, const std::string& value,
            const char* more = "") {
    out_ << "{:process " << process << ", :type :" << type << ", :f :" << function << ", :value " << value
         << more << "}\n";
  }

  /// The registers of an EDN history begin with nil: a client of its own writes what they hold at first.
  void write_initial() {
    std::int64_t process = static_cast<std::int64_t>(history_.clients.size());
    for (model::ClientId id = 0; numbered_ && id < history_.clients.size(); ++id)
      process = std::max(process, parse_integer(history_.clients.name(id)).value_or(0) + 1);
    for (model::KeyId key = 0; key < history_.keys.size(); ++key) {
      for (const char* type : {"invoke", "ok"})
        line(std::to_string(process), type, "write", with_key(key, value(history_.initial)));
    }
  }

  void write(const HistoryEvent& event) {
    static constexpr const char* kWords[] = {"read", "write", "cas"};
    const Operation& it = history_.operations[event.operation];
    std::string said = value(it.argument);
    if (it.function == Function::kCas) said = '[' + value(it.expected) + ' ' + said + ']';
    if (it.function == Function::kRead)
      said = event.completion && it.completed() ? value(it.observed) : "nil";
    const char* type = "invoke";
    if (event.completion)
      type = it.outcome == Outcome::kOk ? "ok" : it.outcome == Outcome::kFail ? "fail" : "info";
    const bool failed = event.completion && it.outcome == Outcome::kFail;
    line(process_of(it), type, kWords[static_cast<int>(it.function)], with_key(it.key, said),
         failed ? ", :error :mismatch" : "");
  }

  const History& history_;
  std::ostream& out_;
  bool keyed_ = false;
  bool numbered_ = true;  ///< the clients' names are numbers
};

}  // namespace

std::optional<std::string> write_edn_history(const History& history, std::ostream& out) {
  return EdnWriter(history, out).run();
}

}  // namespace touchstone::harness
