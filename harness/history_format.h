#pragma once
// Recorded histories from files: which formats there are, and what is wrong with a file that has none of them.
//
//   auto read = read_history("etcd_002.log", HistoryFormat::kAuto);
//   if (auto* bad = std::get_if<MalformedHistory>(&read)) fmt::print("{}\n", to_text(*bad));
//   else check(std::get<model::History>(read));
//
// Formats (docs/histories.md describes each):
//   etcd   `INFO  jepsen.util - PROCESS :invoke :cas [3 4]`; tabs or spaces; other lines are noise
//   kv     `{:process 4, :type :invoke, :f :append, :key "1", :value "x"}`
//   edn    Jepsen's and Knossos' registers: `{:process 0, :type :invoke, :f :write, :value 3}`, also of independent keys
//   jsonl  our own JSON lines
//   binary our own records of 32 bytes an event
//   elle   transactions on lists, in EDN or JSON (history_elle.h): read_any_history() alone takes them
// Rules: F1  the order of the lines is real time, unless the format carries times.
//        F2  an operation still open at the end of the file is pending.
//        F3  what cannot be understood, a completion without its invocation, a second invocation or completion of
//            one client are errors that name the line and what was expected there. Nothing is guessed.
// Thread safety: functions of their arguments.

#include <cstddef>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "model/history.h"
#include "model/transactions.h"

namespace touchstone::harness {

enum class HistoryFormat { kAuto, kEtcd, kKv, kEdn, kJsonLines, kBinary, kElle };

/// Their names, as parse_history_format() takes them.
inline constexpr const char* kHistoryFormats[] = {"auto", "etcd", "kv", "edn", "jsonl", "binary", "elle"};

struct MalformedHistory {
  std::string file;
  std::size_t line = 0;  ///< from 1; 0: the file as a whole
  std::string problem;
};

using HistoryOrError = std::variant<model::History, MalformedHistory>;
using AnyHistory = std::variant<model::History, model::TransactionHistory, MalformedHistory>;

std::optional<HistoryFormat> parse_history_format(std::string_view name);

/// The format of the first line that has one.
std::optional<HistoryFormat> detect_history_format(std::string_view text);

/// "-" is the standard input; a file is mapped into memory while it is read.
HistoryOrError read_history(const std::string& file, HistoryFormat format);

/// The same for text that is in memory already; `name` is what errors call it.
HistoryOrError parse_history(std::string_view text, const std::string& name, HistoryFormat format);

/// The same of operations or of transactions.
AnyHistory read_any_history(const std::string& file, HistoryFormat format);
AnyHistory parse_any_history(std::string_view text, const std::string& name, HistoryFormat format);

HistoryOrError parse_etcd_history(std::string_view text, const std::string& name);
HistoryOrError parse_kv_history(std::string_view text, const std::string& name);
HistoryOrError parse_edn_history(std::string_view text, const std::string& name);
HistoryOrError parse_binary_history(std::string_view text, const std::string& name);
HistoryOrError parse_jsonl_history(std::string_view text, const std::string& name);

/// "FILE:LINE: PROBLEM"
std::string to_text(const MalformedHistory& malformed);

}  // namespace touchstone::harness
