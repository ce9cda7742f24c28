#include "harness/duration_option.h"

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace touchstone::harness {

std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, double>, 7> kUnits = {
      {{"", 1e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}, {"m", 60e9}, {"h", 3600e9}}};
  constexpr double kLongest = 1e18;  // thirty years
  double number = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc{} || !(number >= 0)) return std::nullopt;
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  for (const auto& [name, nanoseconds] : kUnits)
    if (unit == name && number * nanoseconds >= 0.5 && number * nanoseconds <= kLongest)
      return std::chrono::nanoseconds(static_cast<std::int64_t>(std::llround(number * nanoseconds)));
  return std::nullopt;
}

}  // namespace touchstone::harness
