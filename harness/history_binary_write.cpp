#include <cstring>
#include <limits>
#include <ostream>
#include <vector>

#include "harness/history_binary.h"
#include "harness/history_binary_layout.h"
#include "harness/history_events.h"
#include "harness/history_json_value.h"

namespace touchstone::harness {
namespace {

using model::History;
using model::HistoryKind;
using model::Operation;

template <class Record>
void put(std::string& out, const Record& record) {
  const std::size_t size = out.size();
  out.resize(size + sizeof record);
  std::memcpy(out.data() + size, &record, sizeof record);
}

void put_text(std::string& out, const std::string& text) {
  put(out, static_cast<std::uint32_t>(text.size()));
  out += text;
}

void put_value(std::string& out, const model::Scalar& scalar) {
  const auto tagged = [&](TextTag tag, const auto& record) {
    put(out, static_cast<std::uint8_t>(tag));
    put(out, static_cast<std::uint32_t>(sizeof record));
    put(out, record);
  };
  if (const auto* flag = std::get_if<bool>(&scalar)) return tagged(TextTag::kBoolean, std::uint8_t{*flag});
  if (const auto* whole = std::get_if<std::int64_t>(&scalar)) return tagged(TextTag::kInteger, *whole);
  if (const auto* number = std::get_if<double>(&scalar)) return tagged(TextTag::kDouble, *number);
  put(out, static_cast<std::uint8_t>(TextTag::kString));
  put_text(out, std::get<std::string>(scalar));
}

class BinaryWriter {
 public:
  explicit BinaryWriter(const History& history) : history_(history) {}

  std::optional<std::string> run(std::ostream& out) {
    if (auto why = why_not()) return why;
    const auto events = events_of(history_);
    std::string body;
    body.reserve(events.size() * sizeof(BinaryEvent));
    std::vector<std::uint32_t> invoked(history_.operations.size());
    for (std::uint32_t i = 0; i < events.size(); ++i) {
      if (!events[i].completion) invoked[events[i].operation] = i;
      put(body, record(events[i], invoked[events[i].operation]));
    }
    std::string texts;
    for (model::ValueId id = 1; id <= own_values(); ++id) put_value(texts, history_.values.scalar(id));
    for (const std::string& call : calls_) put_value(texts, call);
    for (model::KeyId id = 0; id < history_.keys.size(); ++id) put_text(texts, history_.keys.name(id));
    for (model::ClientId id = 0; id < history_.clients.size(); ++id)
      put_text(texts, history_.clients.name(id));
    const std::uint64_t texts_at = sizeof(BinaryHeader) + body.size();
    std::string head;
    put(head, header(events.size(), texts_at, texts_at + texts.size()));
    out << head << body << texts;
    return std::nullopt;
  }

 private:
  std::optional<std::string> why_not() const {
    if (history_.kind != HistoryKind::kCell && history_.kind != HistoryKind::kStore)
      return "a binary history is of cells or of a store";
    if (history_.clients.size() >= kMostClients) return "a binary history has fewer than 16,777,216 clients";
    if (history_.operations.size() > std::numeric_limits<std::uint32_t>::max() / 2)
      return "a binary history has no more than 2,147,483,647 operations";
    return std::nullopt;
  }

  /// A store's history has calls for values.
  std::size_t own_values() const {
    return history_.kind == HistoryKind::kCell ? history_.values.size() - 1 : 0;
  }

  BinaryHeader header(std::uint64_t events, std::uint64_t texts_at, std::uint64_t size) const {
    BinaryHeader header{};
    std::memcpy(header.magic, kBinaryMagic.data(), sizeof header.magic);
    header.kind = history_.kind == HistoryKind::kStore ? 1 : 0;
    const model::StoreRules& rules = history_.store_rules;
    header.flags =
        (rules.strict ? 1U : 0U) | (rules.validate_reads ? 2U : 0U) | (rules.gate_may_close ? 4U : 0U);
    header.events = events;
    header.texts_at = texts_at;
    header.file_size = size;
    header.values = static_cast<std::uint32_t>(own_values() + calls_.size());
    header.keys = static_cast<std::uint32_t>(history_.keys.size());
    header.clients = static_cast<std::uint32_t>(history_.clients.size());
    header.initial = history_.initial;
    return header;
  }

  /// The number that this text of a call has as a value.
  std::uint32_t call_text(const Json& json) {
    calls_.push_back(json.dump());
    return static_cast<std::uint32_t>(own_values() + calls_.size());
  }

  BinaryEvent record(const HistoryEvent& event, std::uint32_t invocation) {
    const Operation& it = history_.operations[event.operation];
    const bool is_call = it.function == model::Function::kCall;
    BinaryEvent out{
        .time = event.time, .number = it.base, .what = 0, .key = it.key, .a = it.argument, .b = it.expected};
    if (!event.completion) {
      out.what = (it.client << 8U) | static_cast<std::uint32_t>(it.function);
      if (is_call) out.a = call_text(json_of(history_.store_calls[it.argument].operation));
      return out;
    }
    out = {.time = event.time,
           .number = it.version,
           .what = kCompletion + static_cast<std::uint32_t>(it.outcome),
           .key = invocation,
           .a = it.observed,
           .b = 0};
    if (is_call && it.completed()) out.a = call_text(json_of(*history_.store_calls[it.argument].response));
    return out;
  }

  const History& history_;
  std::vector<std::string> calls_;
};

}  // namespace

std::optional<std::string> write_binary_history(const History& history, std::ostream& out) {
  return BinaryWriter(history).run(out);
}

}  // namespace touchstone::harness
