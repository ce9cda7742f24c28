// touchstone fuzz: looks for scenarios and schedules that break a promise, for as long as it is given.

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>

#include "harness/campaign.h"
#include "harness/campaign_option.h"
#include "harness/commands.h"
#include "harness/counted.h"
#include "harness/duration_option.h"
#include "harness/failure_report.h"
#include "harness/fuzzing/fuzzer.h"
#include "harness/option_checks.h"
#include "harness/progress.h"
#include "harness/seed.h"
#include "harness/verify_json.h"

namespace touchstone::harness {
namespace {

using fuzzing::FuzzFailure;
using fuzzing::FuzzOptions;
using fuzzing::FuzzReport;

struct Arguments {
  CampaignOptions campaign;
  std::string time;
  std::string seed;
  std::string corpus;
  std::string out = "touchstone-out/fuzz";
  std::size_t jobs = 1;
  std::uint64_t executions = 0;
  bool json = false;
};

constexpr std::chrono::minutes kUsualTime{1};
constexpr std::chrono::seconds kKeepEvery{20};
constexpr const char* kSubject = "reference";
constexpr const char* kClaim = "fuzz";

volatile std::sig_atomic_t g_interrupted = 0;  // NOLINT(readability-identifier-naming)

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
      "{}: {} in {:.1f} s{}, {} kept, {} of schedules, {}, seed {}\n",
      report.failures.empty() ? "nothing found" : "failed", counted(report.executions, "execution"),
      report.seconds,
      report.of_corpus == 0 ? "" : fmt::format(", after {} of the corpus", counted(report.of_corpus, "case")),
      counted(report.corpus, "case"), counted(report.features, "feature"),
      counted(report.failures.size(), "distinct failure"), report.seed.text());
  fmt::print(
      "{} of schedules; the next execution has a new feature with a chance of at most about {:.2g} "
      "(Good and "
      "Turing)\n",
      counted(report.schedules, "class", "classes"), report.chance_of_new());
  for (const FuzzFailure& failure : report.failures)
    fmt::print("  {:>12}, first in {}{}: {}\n", counted(failure.times, "time"),
               failure.first == 0 ? "a case of the corpus" : fmt::format("execution {}", failure.first),
               failure.known ? ", known from an earlier run" : "", failure.signature);
  if (report.interrupted)
    fmt::print("interrupted; the corpus is kept, and the same command goes on from it\n");
}

/// A campaign's results: every failure is a claim of its own, so that merging shards counts a signature once.
class Results {
 public:
  Results(const CampaignOptions& campaign, const CampaignKey& key, const Shard& shard)
      : results_(campaign.results.empty() ? nullptr
                                          : std::make_unique<CampaignResults>(campaign.results, key, shard)) {
  }

  void found(const FuzzFailure& failure) {
    if (!results_) return;
    std::ifstream scenario(failure.directory / "scenario.txt");
    ClaimReport claim{
        .claim = failure.directory.filename().string(),
        .promise = failure.signature,
        .technique = kClaim,
        .replay_class = ReplayClass::exact,
        .verdict = ClaimVerdict::violated,
        .tried = {},
        .reason = failure.message + "\n" + std::string{std::istreambuf_iterator<char>(scenario), {}},
        .replay = failure.replay};
    results_->add(claim.claim, json_of(claim));
  }

  /// What was tried by now: a shard that is killed loses only what it tried since.
  void tried(const FuzzReport& report) {
    if (!results_) return;
    ClaimReport claim{.claim = kClaim,
                      .promise = "every case keeps every promise, but for failures that are listed",
                      .technique = "scenarios and schedules",
                      .replay_class = ReplayClass::exact,
                      .verdict = ClaimVerdict::held,
                      .tried = {.schedules = report.executions},
                      .seconds = report.seconds,
                      .sampled = {{"features", report.looked_at, report.features,
                                   std::min<std::uint64_t>(report.features_once, report.looked_at)}}};
    results_->add(claim.claim, json_of(claim));
    kept_ = std::chrono::steady_clock::now();
  }

  void going_on(const FuzzReport& report) {
    if (std::chrono::steady_clock::now() - kept_ > kKeepEvery) tried(report);
  }

  void finish(const FuzzReport& report) {
    for (const FuzzFailure& failure : report.failures)
      if (failure.known) found(failure);
    tried(report);
    if (results_ && !report.interrupted) results_->finish();
  }

 private:
  std::unique_ptr<CampaignResults> results_;
  std::chrono::steady_clock::time_point kept_ = std::chrono::steady_clock::now();
};

/// What is wrong with the words, before anything runs.
struct Refused {
  std::string message;
};

FuzzOptions options_of(const Arguments& arguments) {
  FuzzOptions options;
  if (!arguments.time.empty()) {
    options.time = parse_duration(arguments.time);
    if (!options.time)
      throw Refused{fmt::format("--time \"{}\": expected a time from 1ns on, such as 30s, 10m or 500ms",
                                arguments.time)};
  }
  if (arguments.executions != 0) options.executions = arguments.executions;
  if (!options.time && !options.executions) options.time = kUsualTime;
  if (!arguments.seed.empty()) {
    const auto seed = Seed::parse(arguments.seed);
    if (!seed)
      throw Refused{fmt::format("--seed \"{}\": expected 0x and up to 16 hex digits, or a decimal number",
                                arguments.seed)};
    Seed::set_of_process(*seed);
  }
  const auto shard = shard_of(arguments.campaign, !arguments.seed.empty());
  if (const auto* wrong = std::get_if<ShardError>(&shard)) throw Refused{wrong->what};
  options.shard = std::get<Shard>(shard);
  options.seed = Seed::of_process();
  options.jobs = arguments.jobs;
  options.out = arguments.out;
  options.corpus =
      arguments.corpus.empty() ? options.out / "corpus" : std::filesystem::path(arguments.corpus);
  options.tool = path_of_this_binary();
  options.libfuzzer = libfuzzer();
  return options;
}

/// All that decides what is tried. (The time does not: it decides how much.)
CampaignKey key_of(const Arguments& arguments, const FuzzOptions& options) {
  return {.command = kClaim,
          .seed = options.seed.text(),
          .subject = kSubject,
          .options =
              fmt::format("--jobs {}{}", options.jobs,
                          options.executions ? fmt::format(" --executions {}", arguments.executions) : "")};
}

FuzzReport run(const Arguments& arguments, FuzzOptions options, Progress& progress) {
  g_interrupted = 0;
  auto* const before = std::signal(SIGINT, [](int) { g_interrupted = 1; });
  options.interrupted = [] { return g_interrupted != 0; };
  Results results(arguments.campaign, key_of(arguments, options), options.shard);
  if (!arguments.json) {
    fmt::print("seed {}\n{}", options.seed.text(), options.shard.announced());
    std::fflush(stdout);
  }
  options.progress = [&](const FuzzReport& now) {
    progress.show(fmt::format("{}, {:.0f}/s, {:.0f} s, {}, {}, {}", counted(now.executions, "execution"),
                              static_cast<double>(now.executions) / std::max(now.seconds, 1e-9), now.seconds,
                              counted(now.corpus, "case"), counted(now.features, "feature"),
                              counted(now.failures.size(), "failure")));
    results.going_on(now);
  };
  options.found = [&](const FuzzFailure& failure) {
    results.found(failure);
    progress.clear();
    if (!arguments.json) print_failure(failure);
  };
  FuzzReport report = fuzzing::fuzz(options);
  std::signal(SIGINT, before);
  results.finish(report);
  return report;
}

int run(const Arguments& arguments) {
  Progress progress(stderr);
  const auto refuse = [&](const std::string& message, int status) {
    progress.clear();
    fmt::print(stderr, "touchstone fuzz: {}\n", message);
    return status;
  };
  try {
    const FuzzReport report = run(arguments, options_of(arguments), progress);
    progress.clear();
    if (arguments.json) {
      fmt::print("{}\n", to_json(report));
    } else {
      print_report(report);
    }
    return report.exit_status();
  } catch (const Refused& refused) {
    return refuse(refused.message, kExitUsage);
  } catch (const fuzzing::MalformedCase& malformed) {
    return refuse(malformed.what(), kExitMalformed);
  } catch (const std::runtime_error& why) {
    return refuse(why.what(), kExitCannotWrite);
  }
}

}  // namespace

void add_fuzz_command(CLI::App& app, int& exit_status) {
  exploration_replayer = replay_exploration;  // what it prints
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command = app.add_subcommand(
      "fuzz", "Look for scenarios and schedules that break a promise, and make them small");
  command->add_option("--time", arguments->time, "how long, for example 30s, 10m (1m)");
  command
      ->add_option("--executions", arguments->executions,
                   "how many, not counting those that read the corpus; with --time whichever ends first")
      ->check(positive_number);
  command->add_option("--seed", arguments->seed, "0x and hex digits, or decimal");
  command->add_option("--corpus", arguments->corpus,
                      "directory of cases to go on from and to add to (OUT/corpus)");
  command->add_option("--out", arguments->out, "where each distinct failure has its directory")
      ->capture_default_str();
  command->add_option("--jobs", arguments->jobs, "processes side by side")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  add_campaign_options(*command, arguments->campaign);
  command->add_flag("--json", arguments->json, "last line of output: the result as JSON");
  command->callback([arguments, &exit_status] { exit_status = run(*arguments); });
}

}  // namespace touchstone::harness
