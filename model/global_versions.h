#pragma once
// The order of a store's commits is known, because each tells its version; the rest follows greedily.
//
//   GlobalVersionsResult result = check_global_versions(history, witness);
//   if (!result.applies) ...                          // the general searches
//
// The commits are replayed by version on one state. Everything else observes: it is placed at the earliest state
// where it is legal, as soon as all that returned before its invocation is placed. Placing as early as possible is
// never wrong, because an observation changes nothing and only lets others follow. A commit that would have to
// come before something still unplaced that returned before its invocation refutes the history. A version that no
// known commit made must be that of a commit of unknown outcome; where exactly one is open that could have made it, it is that
// one, otherwise the method does not apply. Nor does it refute what such a commit may explain.
//
// Cost: for each version the observations open at that time, so O(n c) for c clients; memory O(n), one state.
// (Known order of writes: Gibbons and Korach 1997, Theorem 4.13; the greedy placing is the least solution of
// lower bounds.)

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
