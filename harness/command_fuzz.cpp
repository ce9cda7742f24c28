// touchstone fuzz: looks for scenarios and schedules that break a promise, for as long as it is given.

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "harness/commands.h"
#include "harness/duration_option.h"
#include "harness/failure_report.h"
#include "harness/fuzzing/fuzzer.h"
#include "harness/progress.h"
#include "harness/seed.h"

namespace touchstone::harness {
namespace {

using fuzzing::FuzzFailure;
using fuzzing::FuzzOptions;
using fuzzing::FuzzReport;

struct Arguments {
  std::string time;
  std::string seed;
  std::string corpus;
  std::string out = "touchstone-out/fuzz";
  std::size_t jobs = 1;
  std::uint64_t executions = 0;
  bool json = false;
};

constexpr std::chrono::minutes kUsualTime{1};

volatile std::sig_atomic_t g_interrupted = 0;  // NOLINT(readability-identifier-naming)

int wrong_usage(const std::string& message) {
  fmt::print(stderr, "touchstone fuzz: {}\n", message);
  return kExitUsage;
}

/// The libFuzzer binary beside this one, where the build has it.
std::filesystem::path libfuzzer() {
  std::error_code none;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", none);
  const auto binary = self.parent_path() / "scenario_fuzz";
  // Another engine than the tool's, as a mutant's, has none.
  return self.filename() == "touchstone" && std::filesystem::exists(binary, none) ? binary : "";
}

void print_failure(const FuzzFailure& failure) {
  fmt::print("{}\n  {}\n  {}\n  replay: {}\n", failure.signature, failure.message, failure.directory.string(),
             failure.replay);
  std::fflush(stdout);
}

void print_report(const FuzzReport& report) {
  for (const FuzzFailure& failure : report.failures)
    if (failure.known) print_failure(failure);
  fmt::print(
      "{}: {} executions in {:.1f} s, {} cases kept, {} features of schedules, {} distinct failures, seed "
      "{}\n",
      report.failures.empty() ? "nothing found" : "failed", report.executions, report.seconds, report.corpus,
      report.features, report.failures.size(), report.seed.text());
  for (const FuzzFailure& failure : report.failures)
    fmt::print("  {:>6} times, first in execution {}{}: {}\n", failure.times, failure.first,
               failure.known ? ", known from an earlier run" : "", failure.signature);
  if (report.interrupted)
    fmt::print("interrupted; the corpus is kept, and the same command goes on from it\n");
}

int run(const Arguments& arguments) {
  FuzzOptions options;
  if (!arguments.time.empty()) {
    options.time = parse_duration(arguments.time);
    if (!options.time)
      return wrong_usage(
          fmt::format("--time \"{}\": expected a time such as 30s, 10m or 500ms", arguments.time));
  }
  if (arguments.executions != 0) options.executions = arguments.executions;
  if (!options.time && !options.executions) options.time = kUsualTime;
  if (!arguments.seed.empty()) {
    const auto seed = Seed::parse(arguments.seed);
    if (!seed)
      return wrong_usage(fmt::format(
          "--seed \"{}\": expected 0x and up to 16 hex digits, or a decimal number", arguments.seed));
    Seed::set_of_process(*seed);
  }
  options.seed = Seed::of_process();
  options.jobs = arguments.jobs;
  options.out = arguments.out;
  options.corpus =
      arguments.corpus.empty() ? options.out / "corpus" : std::filesystem::path(arguments.corpus);
  options.tool = path_of_this_binary();
  options.libfuzzer = libfuzzer();
  Progress progress(stderr);
  options.progress = [&](const FuzzReport& now) {
    progress.show(fmt::format("{} executions, {:.0f}/s, {:.0f} s, {} cases, {} features, {} failures",
                              now.executions,
                              static_cast<double>(now.executions) / std::max(now.seconds, 1e-9), now.seconds,
                              now.corpus, now.features, now.failures.size()));
  };
  if (!arguments.json) {
    fmt::print("seed {}\n", options.seed.text());
    std::fflush(stdout);
    options.found = [&](const FuzzFailure& failure) {
      progress.clear();
      print_failure(failure);
    };
  }
  g_interrupted = 0;
  auto* const before = std::signal(SIGINT, [](int) { g_interrupted = 1; });
  options.interrupted = [] { return g_interrupted != 0; };
  try {
    const FuzzReport report = fuzzing::fuzz(options);
    std::signal(SIGINT, before);
    progress.clear();
    if (arguments.json) {
      fmt::print("{}\n", to_json(report));
    } else {
      print_report(report);
    }
    return report.exit_status();
  } catch (const fuzzing::MalformedCase& malformed) {
    progress.clear();
    fmt::print(stderr, "touchstone fuzz: {}\n", malformed.what());
    return kExitMalformed;
  } catch (const std::filesystem::filesystem_error& why) {
    progress.clear();
    fmt::print(stderr, "touchstone fuzz: {}\n", why.what());
    return kExitCannotWrite;
  }
}

}  // namespace

void add_fuzz_command(CLI::App& app, int& exit_status) {
  exploration_replayer = replay_exploration;  // what it prints
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "fuzz", "Look for scenarios and schedules that break a promise, and make them small");
  command->add_option("--time", arguments->time, "how long, for example 30s, 10m (1m)");
  command->add_option("--executions", arguments->executions, "how many; with --time whichever ends first")
      ->check(CLI::PositiveNumber);
  command->add_option("--seed", arguments->seed, "0x and hex digits, or decimal");
  command->add_option("--corpus", arguments->corpus,
                      "directory of cases to go on from and to add to (OUT/corpus)");
  command->add_option("--out", arguments->out, "where each distinct failure has its directory")
      ->capture_default_str();
  command->add_option("--jobs", arguments->jobs, "processes side by side")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "last line of output: the result as JSON");
  command->callback([arguments, &exit_status] { exit_status = run(*arguments); });
}

}  // namespace touchstone::harness
