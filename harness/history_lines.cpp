#include "harness/history_lines.h"

#include <charconv>

namespace touchstone::harness {
namespace {

bool blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

}  // namespace

std::optional<std::string_view> LineReader::next() {
  if (rest_.empty()) return std::nullopt;
  ++number_;
  const std::size_t end = rest_.find('\n');
  std::string_view line = rest_.substr(0, end);
  rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view take_word(std::string_view& text) {
  text = trimmed(text);
  std::size_t length = 0;
  while (length < text.size() && !blank(text[length])) ++length;
  const std::string_view word = text.substr(0, length);
  text.remove_prefix(length);
  return word;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::string> OpenOperations::invoke(std::string_view client, model::Operation operation,
                                                  std::int64_t time) {
  const auto [entry, fresh] = open_.try_emplace(std::string(client), history_.operations.size());
  if (!fresh) return "client " + std::string(client) + " invokes while its last operation is still open";
  operation.client = history_.client(client);
  operation.invoked = time;
  operation.outcome = model::Outcome::kPending;
  history_.operations.push_back(operation);
  return std::nullopt;
}

model::Operation* OpenOperations::find(std::string_view client) {
  const auto entry = open_.find(std::string(client));
  return entry == open_.end() ? nullptr : &history_.operations[entry->second];
}

void OpenOperations::complete(std::string_view client, model::Outcome outcome, std::int64_t time) {
  const auto entry = open_.find(std::string(client));
  model::Operation& operation = history_.operations[entry->second];
  operation.outcome = outcome;
  if (operation.completed()) operation.returned = time;
  open_.erase(entry);
}

void OpenOperations::strike_out(std::string_view client) {
  const auto entry = open_.find(std::string(client));
  struck_out_.push_back(entry->second);
  open_.erase(entry);
}

void OpenOperations::finish() {
  if (struck_out_.empty()) return;
  std::vector<bool> gone(history_.operations.size());
  for (const std::size_t place : struck_out_) gone[place] = true;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < gone.size(); ++i) {
    if (!gone[i]) history_.operations[kept++] = history_.operations[i];
  }
  history_.operations.resize(kept);
}

}  // namespace touchstone::harness
