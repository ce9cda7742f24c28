// touchstone reap: shows the shared memory of all owners, and removes what dead ones left.

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "engine/segments/name.h"
#include "engine/segments/reaper.h"
#include "harness/commands.h"
#include "harness/counted.h"
#include "harness/option_checks.h"

namespace touchstone::harness {
namespace {

using engine::ReapedGroup;
using engine::ReapedSegment;
using engine::ReapReport;
using engine::ReapVerdict;

struct Arguments {
  std::string directory = engine::kDefaultDirectory;
  std::string session;
  bool dry_run = false;
  bool json = false;
};

void print_row(const ReapedGroup& group, std::string_view key, std::string_view size, std::string_view age,
               ReapVerdict verdict, std::string_view why) {
  fmt::print("{:<34} {:>8} {:<24} {:>12} {:>9} {:<12} {}\n", group.session, group.pid, key, size, age,
             engine::name_of(verdict), why);
}

struct Totals {
  std::size_t segments = 0;
  std::uint64_t bytes = 0;
};

Totals totals_to_remove(const ReapReport& report) {
  Totals totals;
  for (const ReapedGroup& group : report.groups) {
    for (const ReapedSegment& segment : group.segments) {
      if (segment.verdict != ReapVerdict::would_remove) continue;
      ++totals.segments;
      totals.bytes += segment.bytes;
    }
  }
  return totals;
}

void print_table(const ReapReport& report, bool dry_run) {
  if (!report.groups.empty()) {
    fmt::print("{:<34} {:>8} {:<24} {:>12} {:>9} {:<12} {}\n", "session", "pid", "key", "bytes", "age",
               "verdict", "why");
  }
  for (const ReapedGroup& group : report.groups) {
    if (group.segments.empty()) print_row(group, "-", "-", "-", group.verdict, group.why);
    for (const ReapedSegment& segment : group.segments) {
      print_row(group, segment.encoded_key, fmt::to_string(segment.bytes),
                fmt::format("{} s", segment.age_seconds), segment.verdict, segment.why + "; " + group.why);
    }
  }
  const Totals would = totals_to_remove(report);
  fmt::print("{}: {} live, {} dead, {} foreign, {} failed; {}, {}\n", counted(report.groups.size(), "owner"),
             report.count(ReapVerdict::live),
             report.count(ReapVerdict::removed) + report.count(ReapVerdict::would_remove),
             report.count(ReapVerdict::foreign), report.count(ReapVerdict::failed),
             dry_run ? "would remove " + counted(would.segments, "segment")
                     : "removed " + counted(report.removed_names, "name"),
             counted(dry_run ? would.bytes : report.removed_bytes, "byte"));
  if (report.unparsable_names > 0)
    fmt::print("{} with \"theus:\", and of no segment: left alone\n",
               counted(report.unparsable_names, "more name begins", "more names begin"));
}

nlohmann::json to_json(const ReapedGroup& group) {
  nlohmann::json segments = nlohmann::json::array();
  for (const ReapedSegment& segment : group.segments) {
    segments.push_back({{"key", segment.encoded_key},
                        {"bytes", segment.bytes},
                        {"age_seconds", segment.age_seconds},
                        {"verdict", engine::name_of(segment.verdict)},
                        {"why", segment.why}});
  }
  return {{"session", group.session}, {"pid", group.pid},         {"verdict", engine::name_of(group.verdict)},
          {"why", group.why},         {"removed", group.removed}, {"segments", segments}};
}

void print_json(const ReapReport& report) {
  nlohmann::json groups = nlohmann::json::array();
  for (const ReapedGroup& group : report.groups) groups.push_back(to_json(group));
  const Totals would = totals_to_remove(report);
  const nlohmann::json all{{"groups", groups},
                           {"removed_names", report.removed_names},
                           {"removed_bytes", report.removed_bytes},
                           {"would_remove_segments", would.segments},
                           {"would_remove_bytes", would.bytes},
                           {"unparsable_names", report.unparsable_names}};
  // Keys may hold bytes that are no UTF-8.
  fmt::print("{}\n", all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

int run(const Arguments& arguments) {
  engine::ReapOptions options{.directory = arguments.directory,
                              .session = std::nullopt,
                              .dry_run = arguments.dry_run,
                              .list_segments = true};
  if (!arguments.session.empty()) {
    if (const auto checked = engine::check_session(arguments.session); !checked) {
      fmt::print(stderr, "touchstone reap: {}\n", engine::describe(checked.error()));
      return kExitUsage;
    }
    options.session = arguments.session;
  }
  const ReapReport report = engine::reap(options);
  if (report.error) {
    fmt::print(stderr, "touchstone reap: {}\n", engine::describe(*report.error));
    return kExitUsage;
  }
  if (arguments.json) {
    print_json(report);
  } else {
    print_table(report, arguments.dry_run);
  }
  return report.count(ReapVerdict::failed) == 0 ? 0 : 1;
}

}  // namespace

void add_reap_command(CLI::App& app, int& exit_status) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand("reap", "Remove the shared memory that dead owners left behind");
  command->add_option("--session", arguments->session, "Look at this session only")->check(not_empty);
  command->add_option("--directory", arguments->directory, "Where the names are")->capture_default_str();
  command->add_flag("--dry-run", arguments->dry_run, "Touch nothing, say what would be removed");
  command->add_flag("--json", arguments->json, "One JSON object instead of a table");
  command->callback([arguments, &exit_status] { exit_status = run(*arguments); });
}

}  // namespace touchstone::harness
