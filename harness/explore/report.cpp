#include <fmt/format.h>

#include <ostream>

#include "harness/counted.h"
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
  out << fmt::format("{}: {} by {}: {} ({} blocked, {} cut), {}, {:.3f} s, seed 0x{:016x}\n",
                     verdict_of(report), report.covered, name_of(report.algorithm),
                     counted(report.executions, "execution"), report.blocked, report.cut,
                     counted(report.points, "point"), report.seconds, report.seed);
  if (!report.failure) return out;
  const Counterexample& found = *report.failure;
  return out << fmt::format(
             "{}: {}\n\n{}\nfound in execution {} with {}, shrunk to {} ({}) in {}\n"
             "schedule {}\n",
             name_of(found.failure.kind), found.failure.message, found.columns, found.found_after,
             counted(found.switches, "deviation"), found.schedule.deviations.size(),
             counted(found.schedule.preemptions(), "preemption"), counted(found.replays, "replay"),
             found.schedule.text());
}

}  // namespace touchstone::harness::explore
