#pragma once
// The values of the model's store: scalars, and subtrees as flat maps.
//
//   Scalar one = std::int64_t{1};
//   Subtree leaf{{"", one}};                      // a scalar is a subtree with the one leaf ""
//   Subtree composite{{"a", one}, {"b.c", one}};  // a composite: relative dotted paths to scalars
//   bool equal = same(leaf, composite);           // false
//   std::string words = describe(composite);      // {a: 1, b.c: 1}
//
// Plain values without identity: any thread may use its own. Doubles are compared by their bits, so that a
// NaN read back equals the NaN written and -0.0 differs from 0.0.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>

namespace touchstone::model {

using Scalar = std::variant<bool, std::int64_t, double, std::string>;

/// Relative leaf path to scalar. The empty path is the scalar at the root itself and then stands alone; an
/// empty map is an empty composite.
using Subtree = std::map<std::string, Scalar>;

/// A total order: by kind, then by value; doubles by their bits. Negative, zero or positive.
int compare(const Scalar& left, const Scalar& right);
int compare(const Subtree& left, const Subtree& right);

inline bool same(const Scalar& left, const Scalar& right) {
  return compare(left, right) == 0;
}
inline bool same(const Subtree& left, const Subtree& right) {
  return compare(left, right) == 0;
}

std::string describe(const Scalar& value);
std::string describe(const Subtree& value);

/// Quotes the text and escapes quotes, backslashes and control bytes.
std::string quoted(std::string_view text);

}  // namespace touchstone::model
