#include "model/history.h"

#include <cstring>
#include <utility>

namespace touchstone::model {
namespace {

std::string cell_words(const History& history, const Operation& operation) {
  const auto value = [&](ValueId id) { return history.values.describe(id); };
  switch (operation.function) {
    case Function::kRead:
      return "read";
    case Function::kWrite:
      return "write(" + value(operation.argument) + ")";
    case Function::kCas:
      return "cas(" + value(operation.expected) + " -> " + value(operation.argument) + ")";
    case Function::kCasVersion:
      return "cas(version " + std::to_string(operation.base) + " -> " + value(operation.argument) + ")";
    case Function::kAppend:
      return "append(" + value(operation.argument) + ")";
    case Function::kCall:
      break;
  }
  return "call";
}

std::string call_words(const History& history, const Operation& operation) {
  const auto words = [](const auto& call) {
    return describe(call.operation) + (call.response ? " = " + describe(*call.response) : std::string());
  };
  switch (history.kind) {
    case HistoryKind::kStore:
      return words(history.store_calls[operation.argument]);
    case HistoryKind::kTicket:
      return words(history.ticket_calls[operation.argument]);
    case HistoryKind::kSegment:
      return words(history.segment_calls[operation.argument]);
    case HistoryKind::kCell:
      break;
  }
  return "call";
}

Operation call_record(ClientId client, std::int64_t invoked, std::int64_t returned, std::size_t number,
                      bool seen) {
  Operation record;
  record.invoked = invoked;
  record.returned = seen ? returned : kNever;
  record.client = client;
  record.argument = static_cast<ValueId>(number);
  record.function = Function::kCall;
  record.outcome = seen ? Outcome::kOk : Outcome::kUnknown;
  return record;
}

}  // namespace

std::uint32_t NameTable::id(std::string_view name) {
  if (const auto known = ids_.find(name); known != ids_.end()) return known->second;
  const auto id = static_cast<std::uint32_t>(names_.size());
  ids_.emplace(names_.emplace_back(name), id);
  return id;
}

std::optional<std::uint32_t> NameTable::find(std::string_view name) const {
  const auto known = ids_.find(name);
  if (known == ids_.end()) return std::nullopt;
  return known->second;
}

ValueTable::ValueTable() : values_(1) {}

ValueId ValueTable::id(const Scalar& value) {
  const auto next = static_cast<ValueId>(values_.size());
  ValueId* slot = nullptr;
  if (const auto* whole = std::get_if<std::int64_t>(&value)) {
    slot = &whole_.try_emplace(*whole, kNil).first->second;
  } else if (const auto* text = std::get_if<std::string>(&value)) {
    if (const auto known = texts_.find(*text); known != texts_.end()) return known->second;
    values_.push_back(value);
    texts_.emplace(std::get<std::string>(values_.back()), next);
    return next;
  } else if (const auto* number = std::get_if<double>(&value)) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, number, sizeof bits);
    slot = &doubles_.try_emplace(bits, kNil).first->second;
  } else {
    slot = &flags_[std::get<bool>(value) ? 1 : 0];
  }
  if (*slot == kNil) {
    values_.push_back(value);
    *slot = next;
  }
  return *slot;
}

void History::add_store(std::string_view client_name, std::int64_t invoked, std::int64_t returned,
                        StoreOperation operation, std::optional<StoreResponse> response) {
  operations.push_back(
      call_record(client(client_name), invoked, returned, store_calls.size(), response.has_value()));
  store_calls.push_back({std::move(operation), std::move(response)});
}

void History::add_ticket(std::string_view client_name, std::int64_t invoked, std::int64_t returned,
                         TicketOperation operation, std::optional<TicketResponse> response) {
  operations.push_back(
      call_record(client(client_name), invoked, returned, ticket_calls.size(), response.has_value()));
  ticket_calls.push_back({operation, std::move(response)});
}

void History::add_segment(std::string_view client_name, std::int64_t invoked, std::int64_t returned,
                          SegmentOperation operation, std::optional<SegmentResponse> response) {
  operations.push_back(
      call_record(client(client_name), invoked, returned, segment_calls.size(), response.has_value()));
  segment_calls.push_back({std::move(operation), std::move(response)});
}

std::string describe(const History& history, const Operation& operation) {
  std::string out =
      operation.function == Function::kCall ? call_words(history, operation) : cell_words(history, operation);
  if (history.kind == HistoryKind::kCell && history.keys.size() > 1) {
    out += " on " + history.keys.name(operation.key);
  }
  out += " by client " + history.clients.name(operation.client);
  if (operation.outcome == Outcome::kUnknown || operation.outcome == Outcome::kPending) {
    return out + " (outcome unknown)";
  }
  if (operation.function == Function::kRead) out += " = " + history.values.describe(operation.observed);
  if (operation.outcome == Outcome::kFail) out += " failed";
  if (operation.version != kNoVersion) out += " at version " + std::to_string(operation.version);
  return out;
}

}  // namespace touchstone::model
