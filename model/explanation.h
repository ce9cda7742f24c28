#pragma once
// A verdict in words, for a person who has to find the bug.
//
//   const Verdict verdict = check(history);
//   puts(explain(history, verdict).c_str());
//
//   not-linearizable: nothing explains read of x by client 2 = 1: the cell held 2
//   at read of x by client 2 = 1
//
// Each refuted partition: its reason, the operation that nothing explains, the operations that contradict each other
// where the method knows them, and the worlds that were possible until then, each with why it fails. Nothing is said twice.
// Functions of their arguments: any thread.

#include <string>

#include "model/checker.h"

namespace touchstone::model {

std::string explain(const History& history, const Verdict& verdict);

}  // namespace touchstone::model
