#pragma once
// The picture of a history: one self-contained page, that any browser shows without a network.
//
//   write_page(page_data(history, verdict, "etcd_002.log"), stream);
//
// A row for each client; real time, the order of the events, or versions; zoom, pan, search, filters; the linearization, or the longest
// partial one, with the state behind each step on hover; the failing operation and those that contradict it. The page draws only what
// is visible, so that 100,000 operations stay smooth. Its parts are in harness/page/.
//
// The data is columns, one entry for each operation: client, key, label (numbers into `clients`, `keys`, `labels`), call, ret (from the
// history's first time; null: unknown), outcome (0 ok, 1 failed, 2 unknown), version (or null); and order (the linearization), state (for each
// step of it a number into `states`), heart and failing (numbers of operations), verdict, reason and explanation. Whatever the history
// holds, the page stays well-formed: bytes that are no UTF-8 are replaced, and no text of it can end the script.
// Cost: O(n) beside the longest partial linearization (weakening.h). Functions of their arguments.

#include <iosfwd>
#include <string>

#include "harness/isolation_report.h"
#include "model/checker.h"

namespace touchstone::harness {

/// Of a verdict that was asked for a witness, so that there is one to draw.
Json page_data(const model::History& history, const model::Verdict& verdict, const std::string& title);

/// Of transactions: the operations are transactions, the heart is the first anomaly.
Json page_data(const model::TransactionHistory& history, const IsolationReport& report,
               const std::string& title);

void write_page(const Json& data, std::ostream& out);

/// False if the file cannot be written.
bool save_page(const Json& data, const std::string& file);

}  // namespace touchstone::harness
