#pragma once
// The transactions in a store's recorded history, so that their isolation can be judged.
//
//   auto transactions = transactions_of(history);                 // of a kStore history
//   if (auto* bad = std::get_if<NoTransactions>(&transactions)) puts(bad->reason.c_str());
//   else check_isolation(std::get<TransactionHistory>(transactions));
//
// Rules:
//   S1  A client's snapshot and its next commit with that snapshot's version as `expected` are one transaction: its reads are
//       the values that the snapshot showed (never what the versions say it should have shown), its writes those of the commit. A
//       snapshot without such a commit is a transaction that reads, a commit without one a transaction that writes.
//   S2  Committed is committed, at that version. Conflict, Busy and Rejected are aborted; no response is unknown. (Of a refused commit
//       the snapshot is judged, too: it is a transaction of its own.)
//   S3  Keys are plain paths: none is above another; values are scalars, and none is written twice to a path (T3 of transactions.h).
//       Nothing is erased. A body (Execute) does not tell what it read, and is none. Single reads and versions are passed over.
// Cost: O(n log n). Functions of their arguments: any thread.

#include <string>
#include <variant>

#include "model/transactions.h"

namespace touchstone::model {

/// Why the history has no transactions that can be judged.
struct NoTransactions {
  std::string reason;
};

std::variant<TransactionHistory, NoTransactions> transactions_of(const History& history);

}  // namespace touchstone::model
