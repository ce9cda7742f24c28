#pragma once
// The report of `touchstone verify` as one page for any browser, and as JUnit XML for a CI server.
//
//   std::ofstream("report.html") << report_page(report, {.tool = path, .histories = histories_in(run_directory)});
//   std::ofstream("junit.xml") << junit_of(report);
//
// The page is self-contained: no script, style, font or picture from elsewhere. Claim by claim: the verdict, the technique, how much was tried,
// what samplers have not met (Good and Turing), the planted bugs behind it, how to repeat it; then the pictures of what was measured; and, of a
// claim whose history was refused, that history's own page (history_page.h) inside.
//
// Pure functions but for histories_in(). Any text is escaped, whatever it holds.

#include <filesystem>
#include <map>
#include <string>

#include "harness/verify.h"

namespace touchstone::harness {

struct ReportPageOptions {
  std::string tool = "touchstone";                    ///< how a command line calls it
  std::map<std::string, std::string> histories = {};  ///< a claim's page of its history
};

std::string report_page(const VerifyReport& report, const ReportPageOptions& options);

/// The pages of the histories that claims have kept in a run directory, which are written there too (CLAIM/history.html). What cannot be
/// read as a history is left out.
std::map<std::string, std::string> histories_in(const std::filesystem::path& run_directory,
                                                const VerifyReport& report);

/// The command that checks this claim again as it was checked here: of a failure its replay line.
std::string how_to_repeat(const ClaimReport& claim, const VerifyReport& report, const std::string& tool);

/// A test case a claim: violated is a failure, inconclusive an error, elsewhere skipped.
std::string junit_of(const VerifyReport& report);

}  // namespace touchstone::harness
