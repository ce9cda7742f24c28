#include "model/transactions.h"

#include <algorithm>

namespace touchstone::model {
namespace {

constexpr std::uint32_t kLongest = 8;

std::string list_words(const TransactionHistory& history, const MicroOperation& read) {
  std::string text = "[";
  const std::uint32_t skipped = read.count > kLongest ? read.count - kLongest : 0;
  if (skipped != 0) text += "... ";
  for (std::uint32_t i = skipped; i < read.count; ++i) {
    if (i != skipped) text += " ";
    text += history.values.describe(history.elements[read.first + i]);
  }
  return text + "]";
}

std::string words(const TransactionHistory& history, const MicroOperation& it) {
  const std::string& key = history.keys.name(it.key);
  const bool lists = history.objects == Objects::kLists;
  if (it.kind == MicroOperation::Kind::kWrite)
    return (lists ? "append " : "write ") + key + " " + history.values.describe(it.value);
  if (!it.known) return "read " + key;
  return "read " + key + " " + (lists ? list_words(history, it) : history.values.describe(it.value));
}

}  // namespace

TransactionBuilder::TransactionBuilder(TransactionHistory& history, std::string_view client,
                                       std::int64_t invoked)
    : history_(history) {
  transaction_.client = history.clients.id(client);
  transaction_.invoked = invoked;
  transaction_.first = static_cast<std::uint32_t>(history.operations.size());
}

MicroOperation& TransactionBuilder::add(MicroOperation::Kind kind, std::string_view key) {
  MicroOperation& it = history_.operations.emplace_back();
  it.kind = kind;
  it.key = history_.keys.id(key);
  return it;
}

void TransactionBuilder::write(std::string_view key, const Scalar& value) {
  add(MicroOperation::Kind::kWrite, key).value = history_.values.id(value);
}

void TransactionBuilder::read_list(std::string_view key, const std::vector<Scalar>& elements) {
  MicroOperation& it = add(MicroOperation::Kind::kRead, key);
  it.first = static_cast<std::uint32_t>(history_.elements.size());
  it.count = static_cast<std::uint32_t>(elements.size());
  for (const Scalar& element : elements) history_.elements.push_back(history_.values.id(element));
}

void TransactionBuilder::read_value(std::string_view key, const std::optional<Scalar>& value) {
  add(MicroOperation::Kind::kRead, key).value = value ? history_.values.id(*value) : kNil;
}

void TransactionBuilder::read_unknown(std::string_view key) {
  add(MicroOperation::Kind::kRead, key).known = false;
}

void TransactionBuilder::end(std::int64_t returned, Outcome outcome, std::uint64_t version) {
  transaction_.outcome = outcome;
  transaction_.returned = outcome == Outcome::kOk || outcome == Outcome::kFail ? returned : kNever;
  transaction_.version = version;
  transaction_.count = static_cast<std::uint32_t>(history_.operations.size()) - transaction_.first;
  history_.transactions.push_back(transaction_);
}

std::string describe(const TransactionHistory& history, TransactionNumber number) {
  const Transaction& it = history.transactions[number];
  std::string text = "T" + std::to_string(number) + " (client " + history.clients.name(it.client) + "): ";
  for (std::uint32_t i = 0; i < it.count; ++i) {
    if (i != 0) text += ", ";
    text += words(history, history.operations[it.first + i]);
  }
  return text;
}

}  // namespace touchstone::model
