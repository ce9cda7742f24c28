#include <fmt/format.h>

#include "harness/report_page.h"
#include "harness/report_pictures.h"

namespace touchstone::harness {
namespace {

/// The first line, for a list of failures.
std::string message_of(const ClaimReport& claim) {
  return escaped(claim.reason.substr(0, claim.reason.find('\n')));
}

std::string outcome_of(const ClaimReport& claim) {
  const std::string replay = claim.replay.empty() ? "" : "\nreplay: " + claim.replay;
  switch (claim.verdict) {
    case ClaimVerdict::violated:
      return fmt::format("    <failure type=\"violated\" message=\"{}\">{}</failure>\n", message_of(claim),
                         escaped(claim.reason + replay));
    case ClaimVerdict::inconclusive:
      return fmt::format("    <error type=\"inconclusive\" message=\"{}\">{}</error>\n", message_of(claim),
                         escaped(claim.reason + replay));
    case ClaimVerdict::elsewhere:
      return "    <skipped message=\"another shard of the campaign checks it\"/>\n";
    case ClaimVerdict::held:
      break;
  }
  return "";
}

std::string said_of(const ClaimReport& claim) {
  std::string text = claim.technique + "; " + to_text(claim.tried) + "\n";
  for (const auto& note : claim.notes) text += "note: " + note + "\n";
  return fmt::format("    <system-out>{}</system-out>\n", escaped(text));
}

}  // namespace

std::string junit_of(const VerifyReport& report) {
  const std::string counts =
      fmt::format("tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3f}\"",
                  report.claims.size() + report.unfinished(), report.count(ClaimVerdict::violated),
                  report.count(ClaimVerdict::inconclusive) + report.unfinished(),
                  report.count(ClaimVerdict::elsewhere), report.seconds);
  std::string text = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {0}>\n<testsuite name=\"touchstone verify\" "
      "{0}>\n"
      "  <properties>\n    <property name=\"engine\" value=\"{1}\"/>\n    <property name=\"seed\" "
      "value=\"{2}\"/>\n"
      "    <property name=\"part\" value=\"{3}\"/>\n  </properties>\n",
      counts, escaped(report.engine), report.seed.text(), escaped(report.part));
  for (const ClaimReport& claim : report.claims)
    text += fmt::format(
        "  <testcase classname=\"touchstone.{}\" name=\"{} {}\" time=\"{:.3f}\">\n{}{}  </testcase>\n",
        escaped(report.engine), escaped(claim.claim), escaped(claim.promise), claim.seconds,
        outcome_of(claim), said_of(claim));
  for (std::size_t i = 0; i < report.unfinished(); ++i)
    text += fmt::format(
        "  <testcase classname=\"touchstone.{}\" name=\"not checked {}\">\n    <error type=\"unfinished\" "
        "message=\"the run ended before this claim\"/>\n  </testcase>\n",
        escaped(report.engine), i + 1);
  return text + "</testsuite>\n</testsuites>\n";
}

}  // namespace touchstone::harness
