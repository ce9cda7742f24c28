#pragma once
// The pictures of the report, as SVG that the tool makes itself: no script, no font, no file from elsewhere; colours come from the page's
// style, which knows light and dark.
//
//   html += picture_of_waits(contention);
//
// Each is one <svg> element with a title; every shape and text lies within its view box. Pure functions; any text is escaped.

#include <string>
#include <string_view>

#include "harness/figures.h"

namespace touchstone::harness {

/// `text` for an element or an attribute of HTML or XML. Characters that XML cannot hold become '?'.
std::string escaped(std::string_view text);

std::string picture_of_retries(const Contention& contention);  ///< a worker a row: with the ticket, without
std::string picture_of_waits(const Contention& contention);    ///< the same of milliseconds
std::string picture_of_turns(
    const ContendedRun& run);  ///< the gate's windows on a time line, a lane a worker
std::string picture_of_answers(
    const Contention& contention);                         ///< commits by path, with the ticket and without
std::string picture_of_counts(const NamedCounts& counts);  ///< a bar each

}  // namespace touchstone::harness
