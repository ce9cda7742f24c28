#pragma once
// Registers in EDN, as Jepsen writes and Knossos checks them: out as well as in, so that others can check our histories.
//
//   auto read = parse_edn_history(text, "history.edn");             // history_format.h
//   if (auto why = write_edn_history(history, stream)) puts(why->c_str());
//
// docs/histories.md describes the format. Written are histories of cells with reads, writes and compare-and-sets by value
// alone; what EDN registers cannot say (versions, appends, a store's calls) is an error, never left out. A history that
// was written reads back with the same verdict: the order of its lines is its real time. Thread safety: functions of
// their arguments.

#include <iosfwd>
#include <optional>
#include <string>

#include "model/history.h"

namespace touchstone::harness {

/// Why this history has no such form; nothing if it was written.
std::optional<std::string> write_edn_history(const model::History& history, std::ostream& out);

}  // namespace touchstone::harness
