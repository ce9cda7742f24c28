#include <fmt/format.h>

#include <ostream>

#include "harness/explore/explorer.h"

namespace touchstone::harness::explore {

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed:
      return "passed";
    case Verdict::failed:
      return "failed";
    case Verdict::inconclusive:
      return "inconclusive";
  }
  return "";
}

std::string Report::json(std::string_view how) const {
  return fmt::format(
      R"({{"algorithm":"{}","executions":{},"blocked":{},"classes":{},"points":{},"seconds":{:.6f},"verdict":"{}","seed":"0x{:016x}"}})",
      how, executions, blocked, classes, points, seconds, name_of(verdict), seed);
}

namespace {

const char* verdict_of(const Report& report) {
  if (!report.failure_expected || report.verdict == Verdict::inconclusive) return name_of(report.verdict);
  return report.verdict == Verdict::failed ? "failed as expected" : "passed, though a failure is expected";
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Report& report) {
  out << fmt::format(
      "{}: {} by {}: {} executions ({} blocked, {} cut), {} points, {:.3f} s, seed 0x{:016x}\n",
      verdict_of(report), report.covered, name_of(report.algorithm), report.executions, report.blocked,
      report.cut, report.points, report.seconds, report.seed);
  if (!report.failure) return out;
  const Counterexample& found = *report.failure;
  return out << fmt::format(
             "{}: {}\n\n{}\nfound in execution {} with {} deviations, shrunk to {} ({} preemptions) in {} "
             "replays\n"
             "schedule {}\n",
             name_of(found.failure.kind), found.failure.message, found.columns, found.found_after,
             found.switches, found.schedule.deviations.size(), found.schedule.preemptions(), found.replays,
             found.schedule.text());
}

}  // namespace touchstone::harness::explore
