#pragma once
// Our own histories as JSON lines: a header, then one operation a line. docs/histories.md is the description.
//
//   write_jsonl_history(history, stream);                       // std::ostream
//   bool written = save_jsonl_history(history, "history.jsonl");
//   auto read = parse_jsonl_history(text, "history.jsonl");     // history_format.h
//
// What is written reads back equal: every kind of history, every outcome, strings of any bytes (as {"$bytes": hex}
// where they are not UTF-8), every double (as {"$double": bits in hex} where it is not finite). Thread safety:
// functions of their arguments.

#include <iosfwd>
#include <string>

#include "harness/history_format.h"

namespace touchstone::harness {

void write_jsonl_history(const model::History& history, std::ostream& out);

/// False if the file cannot be written; errno says why.
bool save_jsonl_history(const model::History& history, const std::string& file);

}  // namespace touchstone::harness
