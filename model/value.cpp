#include "model/value.h"

#include <cstring>
#include <sstream>

namespace touchstone::model {
namespace {

int order(bool less, bool greater) {
  return less ? -1 : (greater ? 1 : 0);
}

std::uint64_t bits_of(double value) {
  std::uint64_t bits = 0;
  static_assert(sizeof bits == sizeof value);
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

}  // namespace

int compare(const Scalar& left, const Scalar& right) {
  if (left.index() != right.index()) return order(left.index() < right.index(), true);
  if (const auto* number = std::get_if<double>(&left)) {
    const std::uint64_t a = bits_of(*number);
    const std::uint64_t b = bits_of(std::get<double>(right));
    return order(a<b, a> b);
  }
  return order(left < right, right < left);
}

int compare(const Subtree& left, const Subtree& right) {
  auto a = left.begin();
  auto b = right.begin();
  for (; a != left.end() && b != right.end(); ++a, ++b) {
    if (const int by_path = a->first.compare(b->first); by_path != 0) return by_path;
    if (const int by_value = compare(a->second, b->second); by_value != 0) return by_value;
  }
  return order(b != right.end(), a != left.end());
}

std::string quoted(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4U];
      out += kHex[byte & 15U];
    } else {
      out += c;
    }
  }
  return out += '"';
}

std::string describe(const Scalar& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return std::to_string(*whole);
  if (const auto* text = std::get_if<std::string>(&value)) return quoted(*text);
  std::ostringstream out;
  out.precision(17);
  out << std::get<double>(value);
  return out.str();
}

std::string describe(const Subtree& value) {
  if (value.size() == 1 && value.begin()->first.empty()) return describe(value.begin()->second);
  std::string out = "{";
  for (const auto& [path, scalar] : value) {
    if (out.size() > 1) out += ", ";
    out += path + ": " + describe(scalar);
  }
  return out + "}";
}

}  // namespace touchstone::model
