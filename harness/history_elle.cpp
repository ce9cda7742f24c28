#include "harness/history_elle.h"

#include <algorithm>
#include <unordered_map>

#include "harness/history_edn_value.h"

namespace touchstone::harness {
namespace {

using model::Outcome;
using model::Scalar;

using Problem = std::optional<std::string>;

/// JSON says in strings what EDN says in keywords and symbols.
const std::string* word(const Edn* it) {
  if (it == nullptr) return nullptr;
  const bool is_word =
      it->is(Edn::Kind::kKeyword) || it->is(Edn::Kind::kString) || it->is(Edn::Kind::kSymbol);
  return is_word ? &it->text : nullptr;
}

bool is_nil(const Edn* it) {
  return it == nullptr || it->is(Edn::Kind::kNil) || (it->is(Edn::Kind::kSymbol) && it->text == "null");
}

std::optional<Scalar> scalar_of(const Edn& it) {
  if (it.is(Edn::Kind::kInteger)) return it.integer;
  if (it.is(Edn::Kind::kString) || it.is(Edn::Kind::kKeyword)) return it.text;
  return std::nullopt;
}

bool is_micro_operations(const Edn* value) {
  if (value == nullptr || !value->is(Edn::Kind::kVector) || value->items.empty()) return false;
  const Edn& first = value->items.front();
  if (!first.is(Edn::Kind::kVector) || first.items.empty()) return false;
  const std::string* function = word(&first.items.front());
  return function != nullptr && (*function == "append" || *function == "r" || *function == "w");
}

struct MicroForm {
  bool append = false;
  std::string key;
  const Edn* value = nullptr;
};

/// [:append key value], [:r key nil] or [:r key [elements]].
Problem read_micro(const Edn& form, MicroForm& out) {
  static constexpr const char* kExpected = "expected [:append key value] or [:r key list]";
  if (!form.is(Edn::Kind::kVector) || form.items.size() < 2 || form.items.size() > 3) return kExpected;
  const std::string* function = word(&form.items[0]);
  if (function == nullptr || (*function != "append" && *function != "r"))
    return std::string(kExpected) + (function != nullptr ? ", not :" + *function : "");
  out.append = *function == "append";
  const Edn& key = form.items[1];
  if (key.is(Edn::Kind::kInteger)) {
    out.key = std::to_string(key.integer);
  } else if (const std::string* text = word(&key)) {
    out.key = *text;
  } else {
    return "expected a key that is a number, a string or a keyword";
  }
  out.value = form.items.size() == 3 ? &form.items[2] : nullptr;
  if (out.append && (out.value == nullptr || !scalar_of(*out.value)))
    return "expected a number or a string to append";
  return std::nullopt;
}

class ElleParser {
 public:
  explicit ElleParser(const std::string& name) : name_(name) {}

  TransactionsOrError run(std::string_view text) {
    const auto bad = each_edn_form(text, [this](Edn& map) {
      ++time_;
      return take(map);
    });
    if (bad) return MalformedHistory{name_, bad->line, bad->problem};
    for (const Recorded& it : recorded_) add(it);
    return std::move(history_);
  }

 private:
  struct Recorded {
    std::string process;
    std::int64_t invoked = 0;
    std::int64_t returned = model::kNever;
    Outcome outcome = Outcome::kPending;
    Edn value;
  };

  Problem take(Edn& map) {
    if (!map.is(Edn::Kind::kMap)) return "expected a map {:type ... :process ... :value ...}";
    const Edn* process = map.get("process");
    if (word(process) != nullptr) return std::nullopt;  // :nemesis and the like
    if (process == nullptr || !process->is(Edn::Kind::kInteger)) return "expected :process with a number";
    const std::string* type = word(map.get("type"));
    if (type == nullptr) return "expected :type with :invoke, :ok, :fail or :info";
    Edn* value = map.get("value");
    return *type == "invoke" ? invoke(std::to_string(process->integer), value)
                             : complete(std::to_string(process->integer), *type, value);
  }

  /// Every operation has its form.
  static Problem judge(const Edn* value, bool completed) {
    if (value == nullptr || !value->is(Edn::Kind::kVector))
      return "expected :value with a vector of operations";
    for (const Edn& form : value->items) {
      MicroForm it;
      if (auto problem = read_micro(form, it)) return problem;
      if (it.append || is_nil(it.value)) continue;
      if (!completed) return "expected nil as the result of a read that is only invoked";
      if (!it.value->is(Edn::Kind::kVector)) return "expected the list that was read";
      const auto& elements = it.value->items;
      if (!std::all_of(elements.begin(), elements.end(),
                       [](const Edn& element) { return scalar_of(element).has_value(); }))
        return "expected numbers or strings in the list that was read";
    }
    return std::nullopt;
  }

  Problem invoke(const std::string& process, Edn* value) {
    if (auto problem = judge(value, false)) return problem;
    if (!open_.try_emplace(process, recorded_.size()).second)
      return "client " + process + " invokes while its last transaction is still open";
    recorded_.push_back({process, time_, model::kNever, Outcome::kPending, std::move(*value)});
    return std::nullopt;
  }

  Problem complete(const std::string& process, const std::string& type, Edn* value) {
    const auto open = open_.find(process);
    if (open == open_.end()) return "client " + process + " completes what it did not invoke";
    Recorded& it = recorded_[open->second];
    if (type == "ok") {
      if (auto problem = judge(value, true)) return problem;
      if (auto problem = same_operations(it.value, *value)) return problem;
      it.value = std::move(*value);
      it.outcome = Outcome::kOk;
    } else if (type == "fail") {
      it.outcome = Outcome::kFail;
    } else if (type == "info") {
      it.outcome = Outcome::kUnknown;
    } else {
      return "expected :type with :invoke, :ok, :fail or :info, not :" + type;
    }
    it.returned = time_;
    open_.erase(open);
    return std::nullopt;
  }

  static Problem same_operations(const Edn& invoked, const Edn& completed) {
    static constexpr const char* kOther = "the completion's operations are not the invocation's";
    if (invoked.items.size() != completed.items.size()) return kOther;
    for (std::size_t i = 0; i < invoked.items.size(); ++i) {
      MicroForm before;
      MicroForm after;
      if (read_micro(invoked.items[i], before) || read_micro(completed.items[i], after)) return kOther;
      if (before.append != after.append || before.key != after.key) return kOther;
      if (before.append && model::compare(*scalar_of(*before.value), *scalar_of(*after.value)) != 0)
        return kOther;
    }
    return std::nullopt;
  }

  void add(const Recorded& recorded) {
    model::TransactionBuilder transaction = history_.begin(recorded.process, recorded.invoked);
    for (const Edn& form : recorded.value.items) {
      MicroForm it;
      read_micro(form, it);
      if (it.append) {
        transaction.append(it.key, *scalar_of(*it.value));
      } else if (is_nil(it.value)) {
        transaction.read_unknown(it.key);
      } else {
        std::vector<Scalar> elements;
        for (const Edn& element : it.value->items) elements.push_back(*scalar_of(element));
        transaction.read_list(it.key, elements);
      }
    }
    transaction.end(recorded.returned, recorded.outcome);
  }

  const std::string& name_;
  model::TransactionHistory history_;
  std::vector<Recorded> recorded_;
  std::unordered_map<std::string, std::size_t> open_;
  std::int64_t time_ = 0;
};

}  // namespace

TransactionsOrError parse_elle_history(std::string_view text, const std::string& name) {
  return ElleParser(name).run(text);
}

bool is_elle_history(std::string_view text) {
  EdnReader reader(text);
  reader.enter();
  for (;;) {
    const EdnOrProblem next = reader.next();
    const auto* map = std::get_if<Edn>(&next);
    if (map == nullptr) return false;
    const Edn* value = map->get("value");
    if (!is_nil(value)) return is_micro_operations(value);
  }
}

}  // namespace touchstone::harness
