#pragma once
// --html and --junit, as every command that makes a report has them.
//
//   ReportFiles files;
//   files.add_options(*command);
//   files.write(report, {.tool = path_of_this_binary()});
//
// One thread. Errors: std::runtime_error with the file that cannot be written.

#include <CLI/App.hpp>
#include <filesystem>
#include <string>

#include "harness/artifact.h"
#include "harness/report_page.h"

namespace touchstone::harness {

struct ReportFiles {
  std::string html;
  std::string junit;

  void add_options(CLI::App& command) {
    command.add_option("--html", html, "the report as one page for any browser, with its pictures");
    command.add_option("--junit", junit, "the report as JUnit XML, for a CI server");
  }

  void write(const VerifyReport& report, const ReportPageOptions& page) const {
    if (!html.empty()) save(html, report_page(report, page));
    if (!junit.empty()) save(junit, junit_of(report));
  }

 private:
  static void save(const std::filesystem::path& file, const std::string& text) {
    const auto folder = file.parent_path();
    Artifact(folder.empty() ? "." : folder).write(file.filename().string(), text);
  }
};

}  // namespace touchstone::harness
