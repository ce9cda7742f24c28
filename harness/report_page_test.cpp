// The report of record on trial, loaded in a browser: a page that shows a violated claim as held, draws outside of its picture, or needs a
// network, is worse than a table.

#include "harness/report_page.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "harness/history_jsonl.h"
#include "harness/page_in_browser.h"
#include "harness/parsed_history.h"
#include "harness/report_pictures.h"

namespace touchstone::harness {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHostile = "<b>\"it's\" & </script><script>x</script> \x01";

ContendedRun some_run(double end) {
  return {{{"slow", 3, 12, 410.5}, {"fast 1", 90, 3, 20}, {"a worker whose name is long", 0, 0, 0}},
          {{"slow", 100, 121}, {"slow", end - 0.5, end}},
          {"Commits by path", {{"fast", 10}, {"merged", 3}, {"conflict", 15}, {"busy", 0}}},
          end};
}

ClaimReport claim(const std::string& name, ClaimVerdict verdict) {
  ClaimReport it{
      .claim = name, .promise = "keeps " + name, .technique = "steps", .verdict = verdict, .tried = {}};
  it.tried.rounds = 4;
  return it;
}

VerifyReport some_report() {
  VerifyReport report{.engine = "reference", .seed = Seed(7), .seconds = 1.5, .planned = 5};
  report.claims.push_back(claim("A1", ClaimVerdict::held));
  report.claims.push_back(claim("B7", ClaimVerdict::held));
  report.claims.back().sampled = {{"two-rivals", 400, 80, 20}};
  report.claims.push_back(claim("B10", ClaimVerdict::elsewhere));
  report.claims.back().figures.contention = Contention{"A crowd", some_run(300), some_run(900)};
  report.claims.back().figures.counts = {
      {"What reapers found", {{"removed", 12}, {"live", 3}, {"failed", 0}}}};
  report.claims.push_back(claim("C4", ClaimVerdict::inconclusive));
  report.claims.back().reason = "no ptrace";
  report.claims.push_back(claim("S2", ClaimVerdict::violated));
  report.claims.back().reason = kHostile;
  report.claims.back().replay = "touchstone replay --claim S2 --class workload --seed 0x7";
  return report;
}

void expect_has(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << part << " is not in " << text.substr(0, 3000);
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t times = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++times;
  return times;
}

TEST(ReportPage, HasARowForEachClaimWithWhatStandsBehindIt) {
  const std::string page = report_page(some_report(), {.tool = "bin/touchstone"});
  EXPECT_EQ(count(page, "<tr id="), 5u);
  expect_has(page, "two-rivals <b>5 %</b>");
  expect_has(page, ">22</span>");  // of the planted bugs behind B7
  expect_has(page, "bin/touchstone verify --engine reference --claim A1 --seed 0x0000000000000007");
  expect_has(page, "<code>touchstone replay --claim S2 --class workload --seed 0x7</code>");
  expect_has(page, "<title>touchstone verify: violated</title>");
}

TEST(ReportPage, LoadsNothingAndStaysWellFormedWhateverAClaimSays) {
  const std::string page = report_page(some_report(), {.histories = {{"S2", "<p title=\"x\">a page</p>"}}});
  EXPECT_EQ(count(page, "<script>"), 1u);
  EXPECT_EQ(count(page, "</script>"), 1u);
  EXPECT_EQ(count(page, "src=") + count(page, "href=") + count(page, "@import") + count(page, "url("), 0u);
  EXPECT_EQ(count(page, "http:") + count(page, "https:"), 0u);
  EXPECT_EQ(count(page, "<!--"), 0u);
  EXPECT_EQ(count(page, "\x01"), 0u);
  expect_has(page, "srcdoc=\"&lt;p title=&quot;x&quot;&gt;a page");
}

TEST(ReportPictures, ShowAWorkersRetriesAndWaitsWithAndWithoutTheTicket) {
  const Contention contention{"A crowd", some_run(300), some_run(900)};
  const std::string retries = picture_of_retries(contention);
  EXPECT_EQ(count(retries, "class=\"with\" data-value=\"12\""), 1u);
  EXPECT_EQ(count(retries, "class=\"without\" data-value=\"12\""), 1u);
  EXPECT_EQ(count(picture_of_waits(contention), "data-value=\"410\""), 2u);
  EXPECT_EQ(count(picture_of_turns(contention.with_ticket), "class=\"window\""), 2u);
  EXPECT_EQ(count(picture_of_turns({}), "class=\"window\""), 0u);
}

/// The report with a history that was refused in its run directory, loaded in headless Chromium.
class ReportInABrowser : public PageInABrowser {
 protected:
  std::string saved() {
    const model::History history = parsed(
        "INFO  jepsen.util - 0 :invoke :write 1\nINFO  jepsen.util - 0 :ok :write 1\n"
        "INFO  jepsen.util - 1 :invoke :read nil\nINFO  jepsen.util - 1 :ok :read 2\n");
    fs::create_directories(folder() / "S2");
    EXPECT_TRUE(save_jsonl_history(history, (folder() / "S2/history.jsonl").string()));
    const auto report = some_report();
    const auto histories = histories_in(folder(), report);
    EXPECT_EQ(histories.size(), 1u);
    EXPECT_TRUE(fs::exists(folder() / "S2/history.html"));
    const fs::path file = folder() / "report.html";
    std::ofstream(file) << report_page(report, {.histories = histories});
    return file.string();
  }
};

TEST_F(ReportInABrowser, ShowsClaimsPicturesAndTheRefusedHistory) {
  const std::string file = saved();
  const std::string light = shown(file, "light");
  expect_has(light, "data-claims=\"5\"");
  expect_has(light, "data-shown=\"5\"");
  expect_has(light, "data-pictures=\"retries waits turns answers counts\"");
  expect_has(light, "data-outside=\"0\"");
  expect_has(light, "data-histories=\"1\"");
  expect_has(light, "data-theme=\"light\"");
  expect_has(light, "data-wider=\"false\"");
  const std::string dark = shown(file, "dark&show=violated");
  expect_has(dark, "data-theme=\"dark\"");
  expect_has(dark, "data-shown=\"1\"");
}

TEST(JUnit, TellsFailuresErrorsAndSkipsApart) {
  auto report = some_report();
  report.planned = 6;
  const fs::path file = testing::TempDir() + "junit." + std::to_string(::getpid()) + ".xml";
  std::ofstream(file) << junit_of(report);
  const ToolRun read = run_shell(
      "python3 -c 'import sys, xml.etree.ElementTree as E; s = E.parse(sys.argv[1]).getroot()[0]; "
      "print(s.attrib); "
      "[print(c.attrib[\"name\"], \"|\", *[(x.tag, x.attrib.get(\"message\")) for x in c]) for c in "
      "s.iter(\"testcase\")]' " +
      file.string());
  fs::remove(file);
  EXPECT_EQ(read.status, 0) << read.output;
  expect_has(read.output, "'tests': '6', 'failures': '1', 'errors': '2', 'skipped': '1', 'time': '1.500'");
  expect_has(read.output, "A1 keeps A1 | ('system-out', None)");
  expect_has(read.output, "C4 keeps C4 | ('error', 'no ptrace')");
  expect_has(read.output, "S2 keeps S2 | ('failure', ");
}

}  // namespace
}  // namespace touchstone::harness
