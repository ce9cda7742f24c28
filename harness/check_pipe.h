#pragma once
// `touchstone check` on a pipe: a verdict at the first violation, while the other end goes on writing.
//
//   const PipeVerdict verdict = check_pipe(STDIN_FILENO, "-", HistoryFormat::kAuto, limits);
//   std::visit(..., verdict)
//
// What is no stream (history_stream.h) is read to its end and given back as a history. Not thread-safe: it reads the
// descriptor.

#include <variant>

#include "harness/history_stream.h"

namespace touchstone::harness {

using PipeVerdict = std::variant<StreamVerdict, model::History, model::TransactionHistory, MalformedHistory>;

PipeVerdict check_pipe(int descriptor, const std::string& name, HistoryFormat format,
                       const StreamLimits& limits);

}  // namespace touchstone::harness
