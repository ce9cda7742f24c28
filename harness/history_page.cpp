#include "harness/history_page.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <unordered_map>

#include "harness/page/embedded.h"
#include "model/cell_spec.h"
#include "model/explanation.h"
#include "model/weakening.h"

namespace touchstone::harness {
namespace {

using model::History;
using model::Operation;

/// Texts as numbers, in the order of their first appearance.
class Labels {
 public:
  std::size_t number(const std::string& text) {
    const auto [entry, fresh] = numbers_.try_emplace(text, texts_.size());
    if (fresh) texts_.push_back(text);
    return entry->second;
  }
  Json json() const { return texts_; }

 private:
  std::unordered_map<std::string, std::size_t> numbers_;
  std::vector<std::string> texts_;
};

std::string without(std::string text, const std::string& part) {
  if (const std::size_t at = text.find(part); at != std::string::npos) text.erase(at, part.size());
  return text;
}

/// The client has a row, and the key is in the hover: the label does without.
std::string label_of(const History& history, const Operation& it) {
  std::string text = describe(history, it);
  if (history.kind == model::HistoryKind::kCell && history.keys.size() > 1)
    text = without(std::move(text), " on " + history.keys.name(it.key));
  text = without(std::move(text), " by client " + history.clients.name(it.client));
  return without(std::move(text), " (outcome unknown)");
}

Json names(const model::NameTable& table) {
  Json out = Json::array();
  for (std::uint32_t i = 0; i < table.size(); ++i) out.push_back(table.name(i));
  return out;
}

/// The columns that operations and transactions have in common.
class Columns {
 public:
  explicit Columns(std::int64_t first) : first_(first) {}

  void add(model::ClientId client, std::size_t key, const std::string& label, std::int64_t invoked,
           std::int64_t returned, model::Outcome outcome, std::uint64_t version) {
    client_.push_back(client);
    key_.push_back(key);
    label_.push_back(labels_.number(label));
    call_.push_back(invoked - first_);
    ret_.push_back(returned == model::kNever ? Json() : Json(returned - first_));
    outcome_.push_back(outcome == model::Outcome::kOk ? 0 : outcome == model::Outcome::kFail ? 1 : 2);
    version_.push_back(version == model::kNoVersion ? Json() : Json(version));
  }

  void put(Json& data) {
    data["labels"] = labels_.json();
    data["client"] = std::move(client_);
    data["key"] = std::move(key_);
    data["label"] = std::move(label_);
    data["call"] = std::move(call_);
    data["ret"] = std::move(ret_);
    data["outcome"] = std::move(outcome_);
    data["version"] = std::move(version_);
    // Recorded times are nanoseconds, those of formats without times are lines.
    data["unit"] = first_ > 1'000'000'000 ? "ns" : "";
  }

 private:
  std::int64_t first_;
  Labels labels_;
  Json client_ = Json::array();
  Json key_ = Json::array();
  Json label_ = Json::array();
  Json call_ = Json::array();
  Json ret_ = Json::array();
  Json outcome_ = Json::array();
  Json version_ = Json::array();
};

/// The state behind each step of the linearization: of cells the step's key.
void put_states(const History& history, const std::vector<model::OperationNumber>& order, Json& data) {
  Labels states;
  Json state = Json::array();
  model::CellState cells;
  model::StoreState store;
  const model::CellSpec cell_spec(history);
  const model::StoreSpec store_spec(history.store_rules);
  for (const model::OperationNumber number : order) {
    const Operation& it = history.operations[number];
    std::string text;
    if (history.kind == model::HistoryKind::kCell) {
      if (!cell_spec.advance(cells, it)) {
        const auto cell = cells.find(it.key);
        text = cell != cells.end() ? model::describe(cell->second.value)
                                   : history.values.describe(history.initial);
      }
    } else if (history.kind == model::HistoryKind::kStore) {
      const auto& call = history.store_calls[it.argument];
      if (!store_spec.advance(store, call.operation, call.response ? &*call.response : nullptr))
        text = "version " + std::to_string(store.version);
    }
    state.push_back(states.number(text));
  }
  data["state"] = std::move(state);
  data["states"] = states.json();
}

std::uint64_t version_of(const History& history, const Operation& it) {
  if (history.kind != model::HistoryKind::kStore) return it.version;
  const auto& response = history.store_calls[it.argument].response;
  if (!response) return model::kNoVersion;
  if (const auto* committed = std::get_if<model::Committed>(&*response)) return committed->version;
  if (const auto* snapshot = std::get_if<model::SnapshotIs>(&*response)) return snapshot->version;
  if (const auto* version = std::get_if<model::VersionIs>(&*response)) return version->version;
  return model::kNoVersion;
}

/// The partitions' linearizations as one: each step takes effect at the latest invocation up to it.
std::vector<model::OperationNumber> merged(const History& history,
                                           const std::vector<std::vector<model::OperationNumber>>& partials) {
  std::vector<std::pair<std::int64_t, model::OperationNumber>> points;
  for (const auto& partial : partials) {
    std::int64_t latest = std::numeric_limits<std::int64_t>::min();
    for (const model::OperationNumber number : partial) {
      latest = std::max(latest, history.operations[number].invoked);
      points.emplace_back(latest, number);
    }
  }
  std::stable_sort(points.begin(), points.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<model::OperationNumber> order;
  for (const auto& point : points) order.push_back(point.second);
  return order;
}

void put_refutations(const History& history, const model::Verdict& verdict, Json& data) {
  Json heart = Json::array();
  Json failing = Json::array();
  std::vector<model::OperationNumber> order = verdict.witness;
  std::vector<std::vector<model::OperationNumber>> partials;
  for (const model::Refutation& refutation : verdict.refutations) {
    std::optional<model::OperationNumber> last = refutation.failing;
    for (const model::OperationNumber number : refutation.certificate) heart.push_back(number);
    if (refutation.certificate.empty()) {
      if (const auto weakened = weaken(history, refutation)) {
        last = weakened->origin[weakened->failing];
        for (std::size_t i = 0; i < weakened->origin.size(); ++i)
          if (weakened->matters[i]) heart.push_back(weakened->origin[i]);
      }
    }
    if (last) failing.push_back(*last);
    partials.push_back(longest_partial(history, refutation));
  }
  if (!partials.empty()) order = merged(history, partials);
  data["heart"] = std::move(heart);
  data["failing"] = std::move(failing);
  data["order"] = order;
  put_states(history, order, data);
}

template <class Items>
std::int64_t first_time(const Items& items) {
  std::int64_t first = items.empty() ? 0 : items.front().invoked;
  for (const auto& it : items) first = std::min(first, it.invoked);
  return first;
}

void put_heading(const std::string& title, const std::string& verdict, const std::string& reason,
                 const std::string& explanation, Json& data) {
  data["title"] = title;
  data["verdict"] = verdict;
  data["reason"] = reason;
  data["explanation"] = explanation;
}

void replace(std::string& text, const std::string& what, std::string_view by) {
  text.replace(text.find(what), what.size(), by);
}

}  // namespace

Json page_data(const History& history, const model::Verdict& verdict, const std::string& title) {
  Json data;
  put_heading(title, name(verdict.answer), verdict.reason, explain_more(history, verdict), data);
  data["clients"] = names(history.clients);
  data["keys"] = names(history.keys);
  Columns columns(first_time(history.operations));
  for (const Operation& it : history.operations)
    columns.add(it.client, it.key, label_of(history, it), it.invoked,
                it.completed() ? it.returned : model::kNever, it.outcome, version_of(history, it));
  columns.put(data);
  put_refutations(history, verdict, data);
  return data;
}

Json page_data(const model::TransactionHistory& history, const IsolationReport& report,
               const std::string& title) {
  Json data;
  std::string words = report.words();
  const std::size_t line = words.find('\n');
  put_heading(title, report.verdict_words(), report.verdict.inapplicable,
              line == std::string::npos ? "" : words.substr(line + 1), data);
  data["clients"] = names(history.clients);
  data["keys"] = Json::array({"all"});
  Columns columns(first_time(history.transactions));
  for (model::TransactionNumber number = 0; number < history.transactions.size(); ++number) {
    const model::Transaction& it = history.transactions[number];
    columns.add(it.client, 0,
                without(describe(history, number), " (client " + history.clients.name(it.client) + ")"),
                it.invoked, it.returned, it.outcome, it.version);
  }
  columns.put(data);
  data["order"] = data["state"] = data["states"] = Json::array();
  data["heart"] = data["failing"] = Json::array();
  if (!report.verdict.anomalies.empty() && report.answer == model::Answer::kNotLinearizable) {
    data["heart"] = report.verdict.anomalies.front().transactions;
    data["failing"] = Json::array({report.verdict.anomalies.front().transactions.front()});
  }
  return data;
}

void write_page(const Json& data, std::ostream& out) {
  std::string text = data.dump(-1, ' ', false, Json::error_handler_t::replace);
  // "</script" or "<!--" in a text would end or change the element that the data is in; in JSON a < may be escaped.
  for (std::size_t at = 0; (at = text.find('<', at)) != std::string::npos; at += 6)
    text.replace(at, 1, "\\u003c");
  std::string page(embedded::page_html);
  replace(page, "/*STYLE*/", embedded::page_css);
  replace(page, "/*SCRIPT*/", embedded::page_js);
  const std::size_t place = page.find("/*DATA*/");
  out << std::string_view(page).substr(0, place) << text << std::string_view(page).substr(place + 8);
}

bool save_page(const Json& data, const std::string& file) {
  std::ofstream out(file, std::ios::binary);
  write_page(data, out);
  out.flush();
  return out.good();
}

}  // namespace touchstone::harness
