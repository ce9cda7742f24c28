#pragma once
// The parts that the line formats have in common: cutting text into lines and words, and pairing each client's
// invocation with its completion.
//
//   for (LineReader lines(text); auto line = lines.next();) { ... lines.number() ... }
//   OpenOperations open(history);
//   if (auto problem = open.invoke("3", operation)) return malformed(*problem);
//   if (auto* operation = open.find("3")) { ...complete it... ; open.close("3"); }
//
// Not thread-safe; one for each file.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "model/history.h"

namespace touchstone::harness {

class LineReader {
 public:
  explicit LineReader(std::string_view text) : rest_(text) {}

  /// The next line without its end ("\n" or "\r\n"); nothing at the end of the text.
  std::optional<std::string_view> next();

  /// Of the line that next() gave last, from 1.
  std::size_t number() const { return number_; }

 private:
  std::string_view rest_;
  std::size_t number_ = 0;
};

std::string_view trimmed(std::string_view text);

/// Takes the next word, up to blanks, off the front of the text.
std::string_view take_word(std::string_view& text);

std::optional<std::int64_t> parse_integer(std::string_view text);

/// One open operation a client at most.
class OpenOperations {
 public:
  explicit OpenOperations(model::History& history) : history_(history) {}

  /// Files the operation of this client. What is wrong, if it has one open.
  std::optional<std::string> invoke(std::string_view client, model::Operation operation, std::int64_t time);

  /// The client's open operation. The pointer holds until the next invoke().
  model::Operation* find(std::string_view client);

  void complete(std::string_view client, model::Outcome outcome, std::int64_t time);

  /// The operation certainly did not happen: it is struck out.
  void strike_out(std::string_view client);

  /// Ends the file: what is open stays pending, what was struck out is removed.
  void finish();

 private:
  model::History& history_;
  std::unordered_map<std::string, std::size_t> open_;
  std::vector<std::size_t> struck_out_;
};

}  // namespace touchstone::harness
