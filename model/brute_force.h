#pragma once
// The slow and plain judge of small histories: it tries every order.
//
//   bool yes = is_linearizable_by_trying_everything(history);   // up to about eight operations
//
// It shares nothing with the checker but the specifications: no partitions, no windows, no reductions. Its
// answer is the definition (Herlihy and Wing 1990): some completion of the history, with every operation of
// unknown outcome either happening or not, has a legal sequential order that keeps real time.

#include "model/history.h"

namespace touchstone::model {

bool is_linearizable_by_trying_everything(const History& history);

}  // namespace touchstone::model
