#pragma once
// Values: a scalar, or a composite of named values.
//
//   Value v = Composite{{"x", 1}, {"pose", Composite{{"yaw", 0.5}}}};
//   std::int64_t x = v.at("x").integer();
//
// A composite is only a way to read or write a subtree: the state itself is a map from leaf paths to scalars,
// so an empty composite has no leaves, and writing it equals erasing.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>

namespace touchstone::engine {

using Scalar = std::variant<bool, std::int64_t, double, std::string>;

class Value;
using Composite = std::map<std::string, Value, std::less<>>;

class Value {
 public:
  Value(bool v) : data_(Scalar(v)) {}
  Value(int v) : data_(Scalar(std::int64_t{v})) {}
  Value(std::int64_t v) : data_(Scalar(v)) {}
  Value(double v) : data_(Scalar(v)) {}
  Value(const char* v) : data_(Scalar(std::string(v))) {}
  Value(std::string v) : data_(Scalar(std::move(v))) {}
  Value(Scalar v) : data_(std::move(v)) {}
  Value(Composite v) : data_(std::move(v)) {}

  // Written out, because libstdc++ 12 takes a variant with a string for one that always has a value: its copying constructor
  // destroys what was never made when there is no memory for the string.
  Value(const Value& other) : data_(copy(other.data_)) {}
  Value& operator=(const Value& other) { return *this = Value(other); }
  Value(Value&&) noexcept = default;
  Value& operator=(Value&&) noexcept = default;
  ~Value() = default;

  bool is_scalar() const { return std::holds_alternative<Scalar>(data_); }
  const Scalar& scalar() const { return std::get<Scalar>(data_); }
  Scalar& scalar() { return std::get<Scalar>(data_); }
  const Composite& composite() const { return std::get<Composite>(data_); }
  Composite& composite() { return std::get<Composite>(data_); }

  /// These throw std::bad_variant_access when the value is of another type, at() std::out_of_range for an
  /// unknown name.
  bool boolean() const { return std::get<bool>(scalar()); }
  std::int64_t integer() const { return std::get<std::int64_t>(scalar()); }
  double real() const { return std::get<double>(scalar()); }
  const std::string& text() const { return std::get<std::string>(scalar()); }
  const Value& at(const std::string& name) const { return composite().at(name); }

  friend bool operator==(const Value&, const Value&);

 private:
  using Data = std::variant<Scalar, Composite>;

  static Data copy(const Data& from);

  Data data_;
};

inline bool operator==(const Value& a, const Value& b) {
  return a.data_ == b.data_;
}

/// As a person writes it: 1, 0.5, true, "text", {x: 1}.
std::string to_text(const Scalar& scalar);
std::string to_text(const Value& value);

}  // namespace touchstone::engine
