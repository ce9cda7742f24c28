#pragma once
// The order of a store's commits is known, because each tells its version; the rest follows greedily.
//
//   GlobalVersionsResult result = check_global_versions(history, witness);
//   if (!result.applies) ...                          // the general searches
//
// Goes through the history in the order of the invocations and lets commit_order.h, which says how and why it is right, forget what
// it has placed. Where commits of unknown outcome leave a choice the method does not apply, nor does it refute what they may explain.
//
// Cost: O(n c) for c clients; memory 4 bytes an operation, what is open at once, and one state.

#include <optional>
#include <string>
#include <vector>

#include "model/checker.h"

namespace touchstone::model {

struct GlobalVersionsResult {
  bool applies = false;
  bool linearizable = false;
  std::vector<OperationNumber> witness;
  OperationNumber failing = 0;
  std::string state;   ///< where it failed
  std::string reason;  ///< and why
};

/// Of a kStore history.
GlobalVersionsResult check_global_versions(const History& history, bool witness);

}  // namespace touchstone::model
