#pragma once
// What the words behind an option must be, where CLI11 takes too much: it reads -1 and 99999999999999999999 as the largest number, and
// refuses 0 with a range of 300 digits.
//
//   command->add_option("--executions", executions)->check(positive_number);
//   command->add_option("--seed", seed)->check(not_empty);               // --seed "$UNSET" would draw one
//
// Functions of their argument: nothing if it is right, else why not, which CLI11 prints after the option's name.

#include <charconv>
#include <cstdint>
#include <string>

namespace touchstone::harness {

/// A whole number from 1 on, in 64 bits.
inline std::string positive_number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole && value != 0 ? "" : "expected a whole number from 1 on, not \"" + text + "\"";
}

inline std::string not_empty(const std::string& text) {
  return text.empty() ? "is empty: leave it out, or give it a value" : "";
}

}  // namespace touchstone::harness
