// touchstone verify: checks every promise and prints the table.

#include <fmt/format.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <memory>

#include "harness/commands.h"
#include "harness/duration_option.h"
#include "harness/failure_report.h"
#include "harness/progress.h"
#include "harness/verify.h"
#include "harness/verify_table.h"

namespace touchstone::harness {
namespace {

struct Arguments {
  std::string engine = "reference";
  std::string budget = "100s";
  std::string out = "touchstone-out";
  std::string seed;
  std::vector<std::string> claims;
  bool json = false;
  bool list = false;
};

int wrong_usage(const std::string& message) {
  fmt::print(stderr, "touchstone verify: {}\n", message);
  return kExitUsage;
}

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
  const auto budget = parse_duration(arguments.budget);
  if (!budget)
    return wrong_usage(
        fmt::format("--budget \"{}\": expected a time such as 30s, 2m or 500ms", arguments.budget));
  if (!arguments.seed.empty()) {
    const auto seed = Seed::parse(arguments.seed);
    if (!seed)
      return wrong_usage(fmt::format(
          "--seed \"{}\": expected 0x and up to 16 hex digits, or a decimal number", arguments.seed));
    Seed::set_of_process(*seed);
  }
  VerifyOptions options;
  options.seed = Seed::of_process();
  options.budget = *budget;
  options.out = arguments.out;
  options.only = arguments.claims;
  options.tool = path_of_this_binary();
  options.started = [&] {
    if (arguments.json) return;
    fmt::print("seed {}\n{}", options.seed.text(), table_head());
    std::fflush(stdout);
  };
  print_replay_line_on_death();
  Progress progress(stderr);
  options.progress = [&](const Claim& claim, std::size_t at, std::size_t of, const std::string& said) {
    progress.show(fmt::format("[{}/{}] {} {} {}", at + 1, of, claim.name, claim.promise, said));
  };
  try {
    const auto report = verify(*registry, options, [&](const ClaimReport& claim) {
      progress.clear();
      if (arguments.json) return;
      fmt::print("{}", table_row(claim, options.seed));
      std::fflush(stdout);
    });
    fmt::print("{}", arguments.json ? to_json(report) + "\n" : table_foot(report));
    return report.exit_status();
  } catch (const CannotWriteRun& why) {
    progress.clear();
    fmt::print(stderr, "touchstone verify: --out \"{}\": {}\n", arguments.out, why.what());
    return kExitCannotWrite;
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
                      "engine, \"python3 mine.py\"; or etcd, etcd3, redis, postgres, rocksdb");
  command->add_option("--budget", arguments->budget, "how long to try, for example 30s, 2m")
      ->capture_default_str();
  command->add_option("--out", arguments->out, "run directory for report, histories and replay lines")
      ->capture_default_str();
  command->add_option("--seed", arguments->seed, "repeat a run: 0x and 16 hex digits");
  command->add_option("--claim", arguments->claims, "only this claim; may be repeated");
  command->add_flag("--json", arguments->json, "one object instead of the table");
  command->add_flag("--list", arguments->list, "name the claims and stop");
  command->callback([arguments, &exit_status] { exit_status = run(*arguments); });
}

}  // namespace touchstone::harness
