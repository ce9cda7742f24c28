#pragma once
// What a write set does to a state that is a map from leaf paths to scalars, and how such a state is written into etcd's keys.
//
//   auto plan = plan_of(WriteSet{}.set("a", Composite{{"x", 1}}));     // or why not
//   Leaves leaves = ...;  apply(leaves, entry);  value_at(leaves, "a");
//
// Pure.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>

#include "engine/writes.h"

namespace touchstone::engine {

using Leaves = std::map<std::string, Scalar>;

struct EtcdPlan {
  Leaves puts;                  ///< what the named paths hold afterwards
  std::set<std::string> named;  ///< the paths written, whose stamps move
  std::set<std::string> bare;   ///< must hold no scalar in the store: a write goes below them
};

/// Writes apply in order. Rejected: a path that is none, a composite's bad name, a write below a scalar of the same set.
std::variant<EtcdPlan, Rejected> plan_of(const WriteSet& writes);

/// One write over a state. A scalar above its path is hidden by it.
void apply(Leaves& leaves, const WriteSet::Entry& write);

std::optional<Value> value_at(const Leaves& leaves, const std::string& path);

/// "a" and "a.b" of "a.b.c".
std::vector<std::string> ancestors_of(const std::string& path);

/// All that lies below a path is in ["a.", "a/"), because '/' follows '.'.
inline std::string below(const std::string& path) {
  return path + '.';
}
inline std::string beyond(const std::string& path) {
  return path + '/';
}

std::string encode_scalar(const Scalar& scalar);

/// Throws std::invalid_argument for what encode_scalar does not make.
Scalar decode_scalar(std::string_view bytes);

}  // namespace touchstone::engine
