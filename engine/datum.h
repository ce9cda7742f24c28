#pragma once
// A scalar as a cell holds it: a kind and 64 bits. The bits of a text point to a node that holds the characters.
//
//   Datum<P> datum(Scalar("abc"));   ...   cell.bits = datum.release();
//
// Thread safety: as any value. A Datum owns its node until release().

#include <bit>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "engine/platform.h"
#include "engine/result.h"
#include "engine/value.h"

namespace touchstone::engine {

/// What a cell can hold, and `composite`, which only a write can.
enum class Kind : std::uint8_t { none, boolean, integer, real, text, composite };

/// A value outside its cell: an older one in a version chain, or the characters of a text.
template <Platform P>
struct Node {
  Version version = 0;  ///< written once, before the node is published
  Kind kind = Kind::none;
  std::uint64_t bits = 0;
  std::string text;
  typename P::template atomic<Node*> older{nullptr};
  Node* next = nullptr;  ///< in the NodeList that owns it
};

/// A kind and bits that somebody else owns.
struct Bits {
  std::uint64_t bits = 0;
  Kind kind = Kind::none;
};

constexpr Bits bits_of(bool v) {
  return {v ? 1u : 0u, Kind::boolean};
}
constexpr Bits bits_of(std::int64_t v) {
  return {static_cast<std::uint64_t>(v), Kind::integer};
}
constexpr Bits bits_of(int v) {
  return bits_of(std::int64_t{v});
}
constexpr Bits bits_of(double v) {
  return {std::bit_cast<std::uint64_t>(v), Kind::real};
}

template <class T>
inline constexpr Kind kKindOf = bits_of(T{}).kind;

/// Back from bits_of().
template <class T>
T number_of(std::uint64_t bits) {
  if constexpr (std::is_same_v<T, double>) {
    return std::bit_cast<double>(bits);
  } else {
    return static_cast<T>(bits);
  }
}

/// The scalar that a kind and its bits mean. For a text the caller keeps the node from being freed.
template <Platform P>
std::optional<Scalar> decode(Bits from) {
  switch (from.kind) {
    case Kind::none:
    case Kind::composite:
      return std::nullopt;
    case Kind::boolean:
      return Scalar(from.bits != 0);
    case Kind::integer:
      return Scalar(static_cast<std::int64_t>(from.bits));
    case Kind::real:
      return Scalar(std::bit_cast<double>(from.bits));
    case Kind::text:
      return Scalar(std::bit_cast<const Node<P>*>(from.bits)->text);
  }
  return std::nullopt;
}

/// What a write writes: a scalar, a composite, or nothing.
template <Platform P>
class Datum {
 public:
  Datum() = default;  ///< nothing: an erase, or a path whose leaves are written one by one
  explicit Datum(Bits plain) : bits_(plain) {}

  explicit Datum(const Scalar& scalar) {
    if (const auto* text = std::get_if<std::string>(&scalar)) {
      auto node = std::make_unique<Node<P>>();
      node->text = *text;
      node->kind = Kind::text;
      node->bits = std::bit_cast<std::uint64_t>(node.get());
      bits_ = {std::bit_cast<std::uint64_t>(node.release()), Kind::text};
    } else {
      bits_ = std::visit(PlainBits{}, scalar);
    }
  }

  explicit Datum(Composite&& parts)
      : bits_{std::bit_cast<std::uint64_t>(new Composite(std::move(parts))), Kind::composite} {}

  static Datum of(std::optional<Value>&& value) {
    if (!value) return Datum();
    return value->is_scalar() ? Datum(value->scalar()) : Datum(std::move(value->composite()));
  }

  Datum(Datum&& other) noexcept : bits_(other.release()) {}
  Datum& operator=(Datum&& other) noexcept {
    std::swap(bits_, other.bits_);
    return *this;
  }
  ~Datum() {
    if (bits_.kind >= Kind::text) free();
  }

  Kind kind() const { return bits_.kind; }
  std::uint64_t bits() const { return bits_.bits; }

  std::optional<Value> value() const {
    if (kind() == Kind::composite) return Value(composite());
    if (auto scalar = decode<P>(bits_)) return Value(std::move(*scalar));
    return std::nullopt;
  }

  /// The node of a text.
  Node<P>* node() const { return std::bit_cast<Node<P>*>(bits_.bits); }

  Composite& composite() const { return *std::bit_cast<Composite*>(bits_.bits); }

  /// Gives the bits, and with them a text's node, to the caller.
  Bits release() { return std::exchange(bits_, {}); }

 private:
  struct PlainBits {
    Bits operator()(const std::string&) const { return {}; }
    template <class T>
    Bits operator()(T v) const {
      return bits_of(v);
    }
  };

  [[gnu::noinline]] void free() noexcept {
    if (kind() == Kind::text) {
      delete node();
    } else {
      delete &composite();
    }
  }

  [[no_unique_address]] Bits bits_;
};

}  // namespace touchstone::engine
