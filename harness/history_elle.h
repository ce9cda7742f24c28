#pragma once
// Transactions that append to lists, as Jepsen writes and Elle checks them; in EDN or in JSON.
//
//   auto read = parse_elle_history(text, "history.edn");
//   if (auto* bad = std::get_if<MalformedHistory>(&read)) fmt::print("{}\n", to_text(*bad));
//   else model::check_isolation(std::get<model::TransactionHistory>(read));
//
//   {:type :invoke, :process 0, :value [[:append 3 1] [:r 4 nil]]}
//   {"type":"ok","process":0,"value":[["append",3,1],["r",4,[1,2]]]}
//
// docs/histories.md describes the format. Transactions are numbered in the order of their invocations; the order of the
// maps is real time. What is wrong is an error that names the line (F3 of history_format.h). Functions of their arguments.

#include <string_view>

#include "harness/history_format.h"
#include "model/transactions.h"

namespace touchstone::harness {

using TransactionsOrError = std::variant<model::TransactionHistory, MalformedHistory>;

TransactionsOrError parse_elle_history(std::string_view text, const std::string& name);

/// True if the text's first operation with a value has micro-operations as its value.
bool is_elle_history(std::string_view text);

}  // namespace touchstone::harness
