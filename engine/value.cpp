#include "engine/value.h"

#include <cstdio>

namespace touchstone::engine {
namespace {

struct ScalarText {
  std::string operator()(bool v) const { return v ? "true" : "false"; }
  std::string operator()(std::int64_t v) const { return std::to_string(v); }
  std::string operator()(double v) const {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.17g", v);
    return digits;
  }
  std::string operator()(const std::string& v) const { return '"' + v + '"'; }
};

/// Made in place: nothing is destroyed when that throws.
struct ScalarCopy {
  template <class T>
  Scalar operator()(const T& v) const {
    return Scalar(std::in_place_type<T>, v);
  }
};

}  // namespace

Value::Data Value::copy(const Data& from) {
  if (const auto* scalar = std::get_if<Scalar>(&from)) return std::visit(ScalarCopy{}, *scalar);
  return std::get<Composite>(from);
}

std::string to_text(const Scalar& scalar) {
  return std::visit(ScalarText{}, scalar);
}

std::string to_text(const Value& value) {
  if (value.is_scalar()) return to_text(value.scalar());
  std::string text = "{";
  for (const auto& [name, part] : value.composite()) {
    if (text.size() > 1) text += ", ";
    text += name + ": " + to_text(part);
  }
  return text + "}";
}

}  // namespace touchstone::engine
