// touchstone explore: searches the schedules of a scenario, or of a canonical program, and shows what breaks.

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "harness/artifact.h"
#include "harness/campaign.h"
#include "harness/campaign_option.h"
#include "harness/commands.h"
#include "harness/counted.h"
#include "harness/explore/builtin.h"
#include "harness/explore/explorer.h"
#include "harness/explore/scenario.h"
#include "harness/explore/scenario_shrink.h"
#include "harness/explore_natively.h"
#include "harness/failure_report.h"
#include "harness/input_option.h"
#include "harness/interruptible.h"
#include "harness/option_checks.h"
#include "harness/replay.h"
#include "harness/seed.h"
#include "harness/verify_json.h"

namespace touchstone::harness {
namespace {

using explore::Algorithm;
using explore::Report;
using explore::Scenario;
using explore::Verdict;

constexpr const char* kClearRest = "\x1b[K";  // of a terminal's line
constexpr const char* kAlgorithms =
    "portfolio, random, pct, pos, urw, dpor (optimal), source-dpor, plain or bounded";

constexpr std::string_view kBuiltin = "builtin:";  // before a program's name, where a scenario could be

struct Arguments {
  std::string scenario;
  std::string builtin;
  std::string algorithm;
  std::uint64_t executions = 0;
  std::string seed;
  std::string schedule;
  std::optional<std::uint32_t> preemptions;
  bool weak_memory = false;
  bool native = false;
  bool trace = false;
  bool json = false;
  bool list = false;
  CampaignOptions campaign;
  const char* command = "explore";  // or "replay"
  std::string keep_in;              // its --out
};

struct Refused {
  int status;
  std::string what;
};

Scenario load(const std::string& path) {
  if (const std::string wrong = readable_input(path); !wrong.empty()) throw Refused{kExitUsage, wrong};
  std::ifstream file(path);
  if (!file) throw Refused{kExitUsage, "cannot read the scenario " + path};
  std::ostringstream text;
  text << file.rdbuf();
  auto parsed = explore::parse_scenario(path, text.str());
  if (auto* error = std::get_if<explore::ScenarioError>(&parsed)) {
    throw Refused{kExitMalformed, fmt::format("{}:{}: {}", path, error->line, error->what)};
  }
  return std::get<Scenario>(std::move(parsed));
}

Shard shard_of(const Arguments& arguments) {
  if (!arguments.schedule.empty()) return {};  // a schedule says everything
  const auto chosen = shard_of(arguments.campaign, !arguments.seed.empty());
  if (const auto* wrong = std::get_if<ShardError>(&chosen)) throw Refused{kExitUsage, wrong->what};
  return std::get<Shard>(chosen);
}

void take_shard(const Arguments& arguments, explore::Options& options) {
  const Shard shard = shard_of(arguments);
  if (shard.whole()) return;
  if (!explore::samples(options.algorithm))
    throw Refused{kExitUsage, fmt::format("shard {}: {} searches one tree, which is not divided: choose an "
                                          "algorithm that samples, or --shard 1/1",
                                          shard.text(), name_of(options.algorithm))};
  options.first = shard.index;
  options.step = shard.count;
}

explore::Options options_of(const Arguments& arguments, Algorithm usual) {
  explore::Options options;
  options.algorithm = usual;
  if (!arguments.algorithm.empty()) {
    const auto algorithm = explore::parse_algorithm(arguments.algorithm);
    if (!algorithm)
      throw Refused{kExitUsage,
                    fmt::format("no such algorithm: {} (there are {})", arguments.algorithm, kAlgorithms)};
    options.algorithm = *algorithm;
  }
  if (!arguments.seed.empty()) {
    const auto seed = Seed::parse(arguments.seed);
    if (!seed) throw Refused{kExitUsage, "not a seed: " + arguments.seed};
    options.seed = seed->value();
  }
  if (arguments.executions != 0) options.executions = arguments.executions;
  if (arguments.preemptions) {
    if (options.algorithm != Algorithm::bounded)
      throw Refused{kExitUsage, "--preemptions is the bound of --algorithm bounded"};
    options.preemptions = *arguments.preemptions;
  }
  options.weak_memory = arguments.weak_memory;
  options.interrupted = &Interruptible::interrupted;
  take_shard(arguments, options);
  options.keep_trace = arguments.trace || !arguments.keep_in.empty();
  options.count_classes = explore::samples(options.algorithm) && arguments.schedule.empty();
  if (!arguments.json && ::isatty(STDERR_FILENO) != 0) {
    options.progress = [](const Report& report) {
      const std::string fresh =
          report.chance_of_new ? fmt::format(", next is new with chance {:.3f}", *report.chance_of_new) : "";
      fmt::print(stderr, "\r{}, {:.0f}/s{}{}", counted(report.executions, "execution"),
                 static_cast<double>(report.executions) / std::max(report.seconds, 1e-9), fresh, kClearRest);
      std::fflush(stderr);
    };
  }
  return options;
}

/// The reductions know sequential consistency only: with stale reads the tree is searched without them.
void make_sound(explore::Options& options) {
  const bool reduces = options.algorithm == Algorithm::dpor || options.algorithm == Algorithm::source_dpor;
  if (!options.weak_memory || !reduces) return;
  fmt::print(stderr, "{} needs sequential consistency: searching plainly\n", name_of(options.algorithm));
  options.algorithm = Algorithm::plain;
}

std::string replay_of(const Arguments& arguments, const Report& report, const std::string& target) {
  ReplayLine line{ReplayClass::exact, Seed(report.failure->schedule.seed), ClaimTarget{kExploreClaim}, {}};
  line.options.push_back({"scenario", target.starts_with(kBuiltin) ? target : path_from_the_top(target)});
  line.options.push_back({"schedule", report.failure->schedule.text()});
  if (arguments.weak_memory) line.options.push_back({"weak-memory", "on"});
  return to_text(line, path_of_this_binary());
}

/// The exploration as one claim: that nothing breaks the scenario's promise.
ClaimReport claim_of(const Arguments& arguments, const Report& report, const std::string& target) {
  ClaimReport claim{.claim = kExploreClaim,
                    .promise = target,
                    .technique = report.covered,
                    .replay_class = ReplayClass::exact,
                    .verdict = ClaimVerdict::held,
                    .tried = {}};
  claim.tried.schedules = report.executions;
  claim.seconds = report.seconds;
  if (report.chance_of_new)
    claim.sampled.push_back({target, report.executions, report.classes, report.seen_once});
  if (report.failure) claim.replay = replay_of(arguments, report, target);
  if (report.failure_expected) {
    // Which shard meets it is a matter of chance.
    claim.verdict = report.verdict == Verdict::failed ? ClaimVerdict::held : ClaimVerdict::elsewhere;
  } else if (report.verdict == Verdict::failed) {
    claim.verdict = ClaimVerdict::violated;
    claim.reason = report.failure->failure.message + "\n" + report.failure->columns;
  } else if (report.verdict == Verdict::inconclusive) {
    claim.verdict = ClaimVerdict::inconclusive;
    claim.reason = report.covered;
  }
  return claim;
}

void keep_results(const Arguments& arguments, const Report& report, const std::string& target) {
  if (arguments.campaign.results.empty()) return;
  try {
    CampaignResults results(
        arguments.campaign.results,
        {.command = kExploreClaim,
         .seed = Seed(report.seed).text(),
         .subject = target,
         .options =
             fmt::format("{}{} executions{}", name_of(report.algorithm),
                         arguments.executions == 0 ? " usual" : fmt::format(" {}", arguments.executions),
                         arguments.weak_memory ? ", weak memory" : "")},
        shard_of(arguments));
    results.add(kExploreClaim, json_of(claim_of(arguments, report, target)));
    results.finish();
  } catch (const std::runtime_error& why) {
    throw Refused{kExitCannotWrite, fmt::format("--results: {}", why.what())};
  }
}

bool of_another_program(const Report& report) {
  return report.failure && report.failure->failure.kind == explore::FailureKind::nondeterministic;
}

Report run(const Arguments& arguments, const explore::Body& body, const explore::Options& options) {
  if (arguments.schedule.empty()) {
    const Interruptible interruptible;
    Report report = explore::explore(body, options);
    if (options.progress) fmt::print(stderr, "\r{}", kClearRest);
    return report;
  }
  const auto schedule = explore::Schedule::parse(arguments.schedule);
  if (!schedule) throw Refused{kExitUsage, "not a schedule: " + arguments.schedule};
  Report report = explore::replay(body, *schedule, options);
  if (of_another_program(report)) report.verdict = Verdict::inconclusive;
  return report;
}

const char* whether_it_fails_again(const Report& report) {
  if (!report.failure) return "it does not fail again: the program, or the scenario, is another one";
  return of_another_program(report) ? "the schedule is of another program, so it says nothing of this one"
                                    : "it fails again";
}

void print_report(const Arguments& arguments, const Report& report, const std::string& target) {
  if (!arguments.json) std::cout << report;
  if (!arguments.json && report.classes != 0) fmt::print("{}\n", counted(report.classes, "class", "classes"));
  if (!arguments.json && report.chance_of_new) {
    fmt::print("the next schedule is new with a chance of about {:.4f} (Good and Turing)\n",
               *report.chance_of_new);
  }
  if (arguments.trace && !report.failure) std::cout << '\n' << report.columns;
  std::cout.flush();
  // Where all the rest of the output is: a pipe into `touchstone replay` must find it. With --json that belongs to the script.
  if (report.failure)
    fmt::print(arguments.json ? stderr : stdout, "replay: {}\n", replay_of(arguments, report, target));
  std::fflush(stdout);
  if (arguments.json) std::cout << report.json() << '\n';
  if (!arguments.json && !arguments.schedule.empty()) std::cout << whether_it_fails_again(report) << '\n';
  std::cout.flush();
  keep_results(arguments, report, target);
}

/// What was repeated, in a directory that `touchstone replay` takes in its turn. `scenario`: its text; empty for a program.
void keep(const Arguments& arguments, const Report& report, const std::string& scenario,
          const std::string& target) {
  if (arguments.keep_in.empty()) return;
  try {
    const Artifact artifact(arguments.keep_in);
    const std::string file = (artifact.directory() / "scenario.txt").string();
    if (!scenario.empty()) artifact.write("scenario.txt", scenario);
    artifact.write("schedule.txt", arguments.schedule + "\n");
    artifact.write("trace.txt", report.failure ? fmt::format("{}\n\n{}", report.failure->failure.message,
                                                             report.failure->columns)
                                               : report.columns);
    Report again = report;
    if (!again.failure) again.failure.emplace();
    again.failure->schedule = *explore::Schedule::parse(arguments.schedule);
    artifact.write("replay.txt",
                   "replay: " + replay_of(arguments, again, scenario.empty() ? target : file) + "\n");
  } catch (const std::runtime_error& why) {
    throw Refused{kExitCannotWrite, fmt::format("--out \"{}\": {}", arguments.keep_in, why.what())};
  }
}

int status_of(const Report& report, bool expects_failure) {
  if (report.verdict == Verdict::inconclusive) return 2;
  return (report.verdict == Verdict::failed) == expects_failure ? 0 : 1;
}

int explore_builtin(const Arguments& arguments) {
  const explore::Builtin* const builtin = explore::find_builtin(arguments.builtin);
  if (builtin == nullptr)
    throw Refused{kExitUsage, "no such program: " + arguments.builtin + " (--list shows all)"};
  explore::Options options = options_of(arguments, builtin->algorithm());
  options.weak_memory = options.weak_memory || builtin->weak_memory;
  make_sound(options);
  const Report report = run(arguments, builtin->body, options);
  print_report(arguments, report, "builtin:" + builtin->name);
  keep(arguments, report, "", "builtin:" + builtin->name);
  return status_of(report, false);
}

int explore_scenario(const Arguments& arguments) {
  const Scenario scenario = load(arguments.scenario);
  if (arguments.native) return explore_natively(scenario, arguments.executions, arguments.json);
  explore::Options options = options_of(arguments, Algorithm::portfolio);
  options.faults = scenario.faults;
  options.draws = scenario.draws;
  make_sound(options);
  Report report = run(arguments, explore::controlled_body(scenario), options);
  report.failure_expected = scenario.expects_failure && arguments.schedule.empty();
  print_report(arguments, report, scenario.name);
  keep(arguments, report, scenario.text, scenario.name);
  return status_of(report, report.failure_expected);
}

int run_command(const Arguments& arguments) {
  try {
    if (arguments.list) {
      for (const explore::Builtin& builtin : explore::builtins()) {
        fmt::print("{:<24} {:>8}  {}\n", builtin.name, builtin.classes, builtin.states);
      }
      return 0;
    }
    if (arguments.builtin.empty() == arguments.scenario.empty()) {
      throw Refused{kExitUsage, "name one scenario file, or one program with --builtin"};
    }
    return arguments.builtin.empty() ? explore_scenario(arguments) : explore_builtin(arguments);
  } catch (const Refused& refused) {
    fmt::print(stderr, "touchstone {}: {}\n", arguments.command, refused.what);
    return refused.status;
  }
}

/// Why a line cannot be repeated as an exploration, or nothing.
std::string wrong_with(const ReplayLine& line) {
  if (line.option("native")) return wrong_with_native(line);
  for (const ReplayOption& option : line.options) {
    if (option.name != "scenario" && option.name != "schedule" && option.name != "weak-memory")
      return fmt::format("explore repeats nothing by this option: \"--{}\"", option.name);
  }
  for (const char* name : {"scenario", "schedule"})
    if (!line.option(name)) return fmt::format("the line has no {}: --{} is missing", name, name);
  if (line.option("weak-memory").value_or("on") != "on")
    return fmt::format("weak memory is on or not named: \"{}\"", *line.option("weak-memory"));
  if (line.replay_class != ReplayClass::exact)
    return fmt::format("a schedule is repeated exactly: \"{}\"", to_text(line.replay_class));
  const std::string text(*line.option("schedule"));
  const auto schedule = explore::Schedule::parse(text);
  if (!schedule) return fmt::format("not a schedule: \"{}\"", text);
  if (schedule->seed != line.seed.value())
    return fmt::format("the schedule has another seed: \"{}\"", line.seed.text());
  return "";
}

/// The scenario and the schedule of a failure made smaller, shown, and kept where that is wished.
int minimize(const Arguments& arguments, const ReplayWishes& wishes) {
  constexpr std::uint64_t kSamples = 400;  // of a candidate
  try {
    const Scenario scenario = load(arguments.scenario);
    const auto schedule = explore::Schedule::parse(arguments.schedule);
    const auto options_for = [&](const Scenario& it) {
      explore::Options options;
      options.seed = schedule->seed;
      options.executions = kSamples;
      options.weak_memory = arguments.weak_memory;
      options.faults = it.faults;
      options.draws = it.draws;
      return options;
    };
    const Report failing =
        explore::replay(explore::controlled_body(scenario), *schedule, options_for(scenario));
    if (!failing.failure) return 0;
    const auto deadline = std::chrono::steady_clock::now() + wishes.budget;
    const explore::SmallerScenario smaller = explore::shrink_scenario(
        scenario.text, failing,
        [&](const Scenario& it) { return explore::explore(explore::controlled_body(it), options_for(it)); },
        [&] { return std::chrono::steady_clock::now() < deadline; });
    fmt::print("\nsmaller, after {}:\n\n{}\n", counted(smaller.tried, "scenario"), smaller.text);
    const std::string file = wishes.out.empty() ? "smaller.scenario" : wishes.out + "/smaller.scenario";
    if (!wishes.out.empty()) Artifact(wishes.out).write("smaller.scenario", smaller.text);
    std::cout << smaller.report;
    std::cout.flush();
    if (wishes.out.empty()) {
      fmt::print("--out DIRECTORY keeps it, with a replay line\n");
    } else {
      fmt::print("replay: {}\n", replay_of(arguments, smaller.report, file));
      Artifact(wishes.out)
          .write("replay.txt", "replay: " + replay_of(arguments, smaller.report, file) + "\n");
    }
    return 1;
  } catch (const Refused& refused) {
    fmt::print(stderr, "touchstone replay: {}\n", refused.what);
    return refused.status;
  } catch (const std::runtime_error& why) {
    fmt::print(stderr, "touchstone replay: --out \"{}\": {}\n", wishes.out, why.what());
    return kExitCannotWrite;
  }
}

int replay_native_line(const std::string& file, const ReplayWishes& wishes) {
  try {
    if (wishes.minimize || wishes.trace || !wishes.out.empty())
      throw Refused{kExitUsage,
                    "--minimize, --trace and --out are for a schedule, and real threads left none"};
    return replay_natively(load(file), wishes.budget);
  } catch (const Refused& refused) {
    fmt::print(stderr, "touchstone replay: {}\n", refused.what);
    return refused.status;
  }
}

}  // namespace

int replay_exploration(const ReplayLine& line, const ReplayWishes& wishes) {
  Arguments arguments;
  arguments.command = "replay";
  if (const std::string wrong = wrong_with(line); !wrong.empty()) {
    fmt::print(stderr, "touchstone replay: {}\n", wrong);
    return kExitUsage;
  }
  const std::string target(line.option("scenario").value_or(""));
  if (line.option("native")) return replay_native_line(target, wishes);
  if (target.starts_with(kBuiltin)) {
    arguments.builtin = target.substr(kBuiltin.size());
  } else {
    arguments.scenario = target;
  }
  arguments.schedule = line.option("schedule").value_or("");
  arguments.weak_memory = line.option("weak-memory").has_value();
  arguments.trace = wishes.trace;
  if (!wishes.minimize) arguments.keep_in = wishes.out;  // else what is smaller is kept there
  if (wishes.minimize && arguments.scenario.empty()) {
    fmt::print(stderr,
               "touchstone replay: --minimize makes a scenario smaller, and this is a program: \"{}\"\n",
               target);
    return kExitUsage;
  }
  const int status = run_command(arguments);
  return status == 1 && wishes.minimize ? minimize(arguments, wishes) : status;
}

void add_explore_command(CLI::App& app, int& exit_status) {
  exploration_replayer = replay_exploration;
  auto arguments = std::make_shared<Arguments>();
  CLI::App* command =
      app.add_subcommand("explore", "Search the schedules of a scenario for one that breaks a promise");
  command->add_option("SCENARIO", arguments->scenario,
                      "scenario file: docs/schedules.md, harness/scenarios/");
  auto* const builtin = command->add_option("--builtin", arguments->builtin, "a canonical program instead");
  command->add_flag("--list", arguments->list, "show the canonical programs and their numbers of classes");
  auto* const algorithm = command->add_option("--algorithm", arguments->algorithm, kAlgorithms);
  auto* const executions =
      command->add_option("--executions", arguments->executions, "how many to sample, or at most to search")
          ->check(positive_number);
  auto* const preemptions =
      command->add_option("--preemptions", arguments->preemptions, "bound of the bounded search (2)");
  auto* const seed = command->add_option("--seed", arguments->seed, "0x and hex digits, or decimal");
  add_campaign_options(*command, arguments->campaign);
  auto* const schedule =
      command->add_option("--schedule", arguments->schedule, "replay exactly this schedule");
  auto* const weak = command->add_flag("--weak-memory", arguments->weak_memory,
                                       "loads may see stale values, as the memory orders allow");
  auto* const native = command->add_flag(
      "--native", arguments->native, "run the scenario on real threads instead, once or --executions times");
  auto* const trace =
      command->add_flag("--trace", arguments->trace, "show the last interleaving though it passed");
  command->add_flag("--json", arguments->json, "last line of output: the result as JSON");
  // Real threads choose for themselves, and a schedule says everything.
  for (CLI::Option* other : {builtin, algorithm, seed, schedule}) other->check(not_empty);
  for (CLI::Option* other : {builtin, algorithm, preemptions, seed, schedule, weak, trace})
    native->excludes(other);
  for (CLI::Option* other : {algorithm, executions, preemptions, seed}) schedule->excludes(other);
  for (const char* name : {"--shard", "--results"}) {
    native->excludes(command->get_option(name));
    schedule->excludes(command->get_option(name));
  }
  command->callback([arguments, &exit_status] { exit_status = run_command(*arguments); });
}

}  // namespace touchstone::harness
