// touchstone merge: one report of the results that the shards of a campaign have left.

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <memory>
#include <stdexcept>

#include "harness/campaign_report.h"
#include "harness/commands.h"
#include "harness/failure_report.h"
#include "harness/report_files.h"
#include "harness/verify_json.h"
#include "harness/verify_table.h"

namespace touchstone::harness {
namespace {

struct Arguments {
  std::vector<std::string> sources;
  std::string out;
  ReportFiles files;
  bool json = false;
};

int refuse(const std::string& message, int status) {
  fmt::print(stderr, "touchstone merge: {}\n", message);
  return status;
}

void print_table(const VerifyReport& report) {
  fmt::print("{}", table_head());
  for (const ClaimReport& claim : report.claims) fmt::print("{}", table_row(claim, report.seed));
  fmt::print("{}", table_foot(report));
}

int run(const Arguments& arguments) {
  const auto read = read_campaign({arguments.sources.begin(), arguments.sources.end()});
  if (const auto* wrong = std::get_if<CampaignError>(&read)) return refuse(wrong->what, kExitMalformed);
  const auto& campaign = std::get<Campaign>(read);
  VerifyReport report;
  try {
    report = report_of(campaign);
  } catch (const std::runtime_error& why) {
    return refuse(why.what(), kExitMalformed);
  }
  try {
    if (!arguments.out.empty()) write_campaign(campaign, arguments.out);
    arguments.files.write(report, {.tool = path_of_this_binary()});
  } catch (const std::runtime_error& why) {
    return refuse(why.what(), kExitCannotWrite);
  }
  if (arguments.json) {
    fmt::print("{}\n", to_json(report));
  } else {
    print_table(report);
  }
  std::fflush(stdout);
  const std::string lacks = lacks_of(campaign);
  for (std::size_t begin = 0, end = 0; begin < lacks.size(); begin = end + 1) {
    end = lacks.find('\n', begin);
    fmt::print(stderr, "touchstone merge: {}\n", lacks.substr(begin, end - begin));
  }
  return exit_status_of(campaign, report);
}

}  // namespace

void add_merge_command(CLI::App& app, int& exit_status) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("merge", "Make one report of what the shards of a campaign have found");
  command->add_option("results", arguments->sources, "directories of results, or files of them")->required();
  command->add_option("--out", arguments->out, "the union as one file, which merge takes again");
  command->add_flag("--json", arguments->json, "one object instead of the table");
  arguments->files.add_options(*command);
  command->callback([arguments, &exit_status] { exit_status = run(*arguments); });
}

}  // namespace touchstone::harness
