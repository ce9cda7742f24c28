#include "engine/etcd/base64.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>

namespace touchstone::engine {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::uint32_t value_of(char digit) {
  const std::size_t at = kDigits.find(digit);
  if (at == std::string_view::npos) throw std::invalid_argument("no digit of base 64");
  return static_cast<std::uint32_t>(at);
}

}  // namespace

std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t taken = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < taken; ++k)
      group |= std::uint32_t{static_cast<unsigned char>(bytes[i + k])} << (16 - 8 * k);
    for (std::size_t k = 0; k < 4; ++k)
      text.push_back(k <= taken ? kDigits[group >> (18 - 6 * k) & 63] : '=');
  }
  return text;
}

std::string from_base64(std::string_view text) {
  if (text.size() % 4 != 0) throw std::invalid_argument("base 64 comes in groups of four");
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::string_view digits = text.substr(i, 4);
    if (i + 4 == text.size()) digits = digits.substr(0, digits.find('='));
    if (digits.size() < 2) throw std::invalid_argument("a group of base 64 has two digits at least");
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < digits.size(); ++k) group |= value_of(digits[k]) << (18 - 6 * k);
    for (std::size_t k = 0; k + 1 < digits.size(); ++k)
      bytes.push_back(static_cast<char>(group >> (16 - 8 * k)));
  }
  return bytes;
}

}  // namespace touchstone::engine
