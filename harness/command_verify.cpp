// touchstone verify: checks every promise and prints the table.

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>

#include "harness/campaign.h"
#include "harness/campaign_option.h"
#include "harness/commands.h"
#include "harness/duration_option.h"
#include "harness/failure_report.h"
#include "harness/option_checks.h"
#include "harness/progress.h"
#include "harness/report_files.h"
#include "harness/verify.h"
#include "harness/verify_json.h"
#include "harness/verify_table.h"

namespace touchstone::harness {
namespace {

struct Arguments {
  std::string engine = "reference";
  std::string budget = "100s";
  std::string out = "touchstone-out";
  std::string seed;
  std::vector<std::string> claims;
  std::uint64_t rounds = 0;
  CampaignOptions campaign;
  ReportFiles files;
  bool json = false;
  bool list = false;
};

int wrong_usage(const std::string& message) {
  fmt::print(stderr, "touchstone verify: {}\n", message);
  return kExitUsage;
}

/// Everything but the seed that decides what is tried. (The budget does not: it decides how much.)
std::string options_text(const Arguments& arguments) {
  std::string text = arguments.rounds == 0 ? "" : fmt::format("--rounds {}", arguments.rounds);
  std::vector<std::string> claims = arguments.claims;
  std::sort(claims.begin(), claims.end());
  for (const auto& claim : claims) text += fmt::format("{}--claim {}", text.empty() ? "" : " ", claim);
  std::error_code unknown;
  if (std::filesystem::is_regular_file(arguments.engine, unknown))
    text += fmt::format("{}engine {}", text.empty() ? "" : " ", CampaignKey::file_hash(arguments.engine));
  return text;
}

/// What is wrong with the words, before anything runs.
struct Refused {
  std::string message;
};

VerifyOptions options_of(const Arguments& arguments) {
  VerifyOptions options;
  const auto budget = parse_duration(arguments.budget);
  if (!budget)
    throw Refused{fmt::format("--budget \"{}\": expected a time from 1ns on, such as 30s, 2m or 500ms",
                              arguments.budget)};
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
  options.budget = *budget;
  options.out = arguments.out;
  options.only = arguments.claims;
  options.tool = path_of_this_binary();
  if (arguments.rounds != 0) options.rounds = arguments.rounds;
  return options;
}

/// One run, its table, its files.
class Run {
 public:
  Run(const Arguments& arguments, const ClaimRegistry& registry, VerifyOptions options)
      : arguments_(arguments), registry_(registry), options_(std::move(options)), progress_(stderr) {
    options_.started = [this] { started(); };
    options_.progress = [this](const Claim& claim, std::size_t at, std::size_t of, const std::string& said) {
      progress_.show(fmt::format("[{}/{}] {} {} {}", at + 1, of, claim.name, claim.promise, said));
    };
  }

  int run() {
    const auto report = verify(registry_, options_, [this](const ClaimReport& claim) { finished(claim); });
    if (results_) results_->finish();
    const ReportPageOptions page{.tool = options_.tool, .histories = histories_in(options_.out, report)};
    if (!options_.out.empty()) Artifact(options_.out).write(kPage, report_page(report, page));
    arguments_.files.write(report, page);
    fmt::print("{}", arguments_.json ? to_json(report) + "\n" : table_foot(report));
    return report.exit_status();
  }

  void clear() { progress_.clear(); }

 private:
  static constexpr const char* kPage = "report.html";

  /// The claims are known, and the run directory is there.
  void started() {
    if (!options_.out.empty()) std::filesystem::remove(options_.out / kPage);  // an earlier run's
    if (!arguments_.campaign.results.empty())
      results_.emplace(arguments_.campaign.results,
                       CampaignKey{.command = "verify",
                                   .seed = options_.seed.text(),
                                   .subject = registry_.engine(),
                                   .options = options_text(arguments_)},
                       options_.shard);
    if (arguments_.json) return;
    fmt::print("seed {}\n{}{}", options_.seed.text(), options_.shard.announced(), table_head());
    std::fflush(stdout);
  }

  void finished(const ClaimReport& claim) {
    progress_.clear();
    if (results_) results_->add(claim.claim, json_of(claim));
    if (arguments_.json) return;
    fmt::print("{}", table_row(claim, options_.seed));
    std::fflush(stdout);
  }

  const Arguments& arguments_;
  const ClaimRegistry& registry_;
  VerifyOptions options_;
  Progress progress_;
  std::optional<CampaignResults> results_;
};

int run(const Arguments& arguments) {
  std::optional<ClaimRegistry> registry;
  try {
    registry = claims_of(arguments.engine);
  } catch (const EngineUnusable& why) {
    fmt::print(stderr, "touchstone verify: --engine \"{}\": {}\n", arguments.engine, why.what());
    return kExitMalformed;
  }
  if (!registry) return wrong_usage(fmt::format("no engine is named \"{}\"", arguments.engine));
  if (arguments.list) {
    for (const auto& claim : registry->claims()) fmt::print("{:<5} {}\n", claim.name, claim.promise);
    for (const auto& promise : registry->not_claimed())
      fmt::print("{:<5} {} (not claimed: the engine does not declare {})\n", promise.name, promise.promise,
                 promise.lacks);
    return 0;
  }
  try {
    Run run(arguments, *registry, options_of(arguments));
    print_replay_line_on_death();
    try {
      return run.run();
    } catch (const CannotWriteRun& why) {
      run.clear();
      fmt::print(stderr, "touchstone verify: --out \"{}\": {}\n", arguments.out, why.what());
    } catch (const std::runtime_error& why) {
      run.clear();
      fmt::print(stderr, "touchstone verify: {}\n", why.what());
    }
    return kExitCannotWrite;
  } catch (const Refused& refused) {
    return wrong_usage(refused.message);
  } catch (const std::invalid_argument& unknown) {
    return wrong_usage(fmt::format("no claim is named \"{}\" (--list names them)", unknown.what()));
  }
}

}  // namespace

void add_verify_command(CLI::App& app, int& exit_status) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("verify", "Check every promise against an engine and print the table");
  command->add_option("--engine", arguments->engine,
                      "reference; simple, the suite's own trivial engine; ./libmine.so; or the command of an "
                      "engine, \"python3 mine.py\"; or etcd, etcd3, redis, postgres, rocksdb; "
                      "or etcd-store, etcd-store3, the contract kept in etcd");
  command->add_option("--budget", arguments->budget, "how long to try, for example 30s, 2m")
      ->capture_default_str();
  command->add_option("--out", arguments->out, "run directory for report, histories and replay lines")
      ->capture_default_str();
  command->add_option("--seed", arguments->seed, "repeat a run: 0x and 16 hex digits");
  auto* const claim = command->add_option("--claim", arguments->claims, "only this claim; may be repeated");
  command->add_option("--rounds", arguments->rounds, "so many rounds of each check, whatever time they take")
      ->check(positive_number);
  add_campaign_options(*command, arguments->campaign);
  arguments->files.add_options(*command);
  auto* const json = command->add_flag("--json", arguments->json, "one object instead of the table");
  auto* const list = command->add_flag("--list", arguments->list, "name the claims and stop");
  for (CLI::Option* other : {json, claim}) list->excludes(other);
  command->callback([arguments, &exit_status] { exit_status = run(*arguments); });
}

}  // namespace touchstone::harness
