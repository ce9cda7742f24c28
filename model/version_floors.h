#pragma once
// All keys of a versioned history at once, in one pass over the operations and nothing sorted.
//
//   VersionFloors floors(history);
//   if (floors.holds(key)) ...              // this key is linearizable, and its versions tell it
//
// For each version of each key a few numbers are kept: the latest invocation and the earliest return of the
// operations that saw or made it. The order by version agrees with real time if and only if no operation of a
// version returned before an operation of an earlier version was invoked, and no read of a version before its
// maker. (The same theorem as check_versions(), which explains a failure; this one only says yes.)
// holds() is false also where the method does not apply: check_versions() and the others decide then.
//
// Cost: O(n), 32 bytes a version; a key has room for its share of the operations at once, and grows beyond. Single-threaded.

#include <cstdint>
#include <limits>
#include <vector>

#include "model/history.h"

namespace touchstone::model {

class VersionFloors {
 public:
  /// Of a kCell history.
  explicit VersionFloors(const History& history);

  bool holds(KeyId key) const { return key < holds_.size() && holds_[key] != 0; }

  /// How many keys hold.
  std::uint32_t count() const;

 private:
  static constexpr ValueId kUnseen = ~ValueId{0};

  struct Seen {
    std::int64_t last_invocation = std::numeric_limits<std::int64_t>::min();
    std::int64_t first_return = kNever;
    std::int64_t made_invocation = kNever;
    ValueId made = kUnseen;
    ValueId read = kUnseen;
  };

  void take(const Operation& operation);
  static bool agrees(const std::vector<Seen>& versions);

  std::vector<std::uint8_t> holds_;
  std::vector<std::vector<Seen>> seen_;  ///< by key and version
  std::uint64_t most_ = 0;               ///< all keys together cannot have more versions
  std::uint64_t total_ = 0;
};

}  // namespace touchstone::model
