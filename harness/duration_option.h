#pragma once
// Times on a command line: "2m", "1.5s", "250ms", "90" (seconds).
//
//   if (auto budget = parse_duration("2m")) ...
//
// Pure. Times of nothing (in which nothing can be tried) or less, other units and trailing characters are none.

#include <chrono>
#include <optional>
#include <string_view>

namespace touchstone::harness {

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);

}  // namespace touchstone::harness
