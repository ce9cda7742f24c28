// touchstone replay: runs again exactly what a replay line names, given as words or found in a log or an artifact directory. Exits 1 when it
// fails again, 0 when it does not.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>

#include "harness/commands.h"
#include "harness/duration_option.h"
#include "harness/failure_report.h"
#include "harness/replay_log.h"
#include "harness/verify.h"

namespace touchstone::harness {
namespace {

struct Arguments {
  std::string budget = "60s";
  std::string out;
  std::size_t nth = 1;
  bool list = false;
};

int refuse(const ReplayError& error) {
  fmt::print(stderr, "touchstone replay: {}{}\n", error.what,
             error.word.empty() ? "" : fmt::format(": \"{}\"", error.word));
  return kExitUsage;
}

/// Becomes the program that these words of a shell start; returns only when it cannot. Words before it are NAME=value.
int become(const std::vector<std::string>& words) {
  std::vector<std::string> arguments;
  for (const auto& word : words) {
    if (word == "#") break;
    const auto equals = word.find('=');
    if (arguments.empty() && equals != std::string::npos) {
      ::setenv(word.substr(0, equals).c_str(), word.substr(equals + 1).c_str(), 1);
    } else {
      arguments.push_back(word);
    }
  }
  std::vector<char*> pointers;
  for (auto& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  ::execv(pointers.front(), pointers.data());
  fmt::print(stderr,
             "touchstone replay: cannot run {}: {} (run it at the top of the repository, after a build)\n",
             pointers.front(), std::strerror(errno));
  return kExitMalformed;
}

int replay_claim(const ReplayLine& line, const std::string& name, const Arguments& arguments) {
  if (name == kExploreClaim && exploration_replayer != nullptr) return exploration_replayer(line);
  const auto budget = parse_duration(arguments.budget);
  if (!budget) {
    fmt::print(stderr, "touchstone replay: --budget \"{}\": expected a time such as 30s\n", arguments.budget);
    return kExitUsage;
  }
  const std::string engine(line.option("engine").value_or("reference"));
  std::optional<ClaimRegistry> registry;
  try {
    registry = claims_of(engine);
  } catch (const EngineUnusable& why) {
    fmt::print(stderr, "touchstone replay: --engine \"{}\": {}\n", engine, why.what());
    return kExitMalformed;
  }
  if (!registry) return refuse({"no engine has this name", engine});
  const Claim* claim = registry->find(name);
  if (claim == nullptr) return refuse({"the engine " + engine + " has no claim of this name", name});
  if (const auto refused = refused_of(*claim, line)) return refuse(*refused);
  Seed::set_of_process(line.seed);
  fmt::print("seed {}\n{}: {}\n", line.seed.text(), claim->name, claim->promise);
  std::fflush(stdout);
  print_replay_line_on_death();
  Artifact artifact(arguments.out);
  const Replayed ended = replay(*claim, line, *budget, arguments.out.empty() ? nullptr : &artifact);
  fmt::print("{} ({})\n", to_text(ended.verdict), to_text(ended.tried));
  for (const auto& note : ended.notes) fmt::print("note: {}\n", note);
  if (ended.verdict == ClaimVerdict::held) return 0;
  fmt::print("{}\nreplay: {}\n", ended.reason, to_text(line, path_of_this_binary()));
  return ended.verdict == ClaimVerdict::violated ? 1 : 2;
}

/// A line in one word, as somebody quoted it, or the shell's words.
std::variant<ReplayLine, ReplayError> parse(const std::vector<std::string>& words) {
  if (words.size() == 1) return parse_replay_line(words.front());
  if (!words.empty() && words.front() == "replay:")
    return parse_replay_words({words.begin() + 1, words.end()});
  return parse_replay_words(words);
}

int repeat(const ReplayLine& line, const Arguments& arguments) {
  if (std::holds_alternative<TestTarget>(line.target))
    return become(std::get<std::vector<std::string>>(split_words(to_text(line))));
  return replay_claim(line, std::get<ClaimTarget>(line.target).claim, arguments);
}

int repeat_words(const std::vector<std::string>& words, const Arguments& arguments) {
  const auto parsed = parse(words);
  if (const auto* error = std::get_if<ReplayError>(&parsed)) return refuse(*error);
  return repeat(std::get<ReplayLine>(parsed), arguments);
}

/// A claim's line names the tool that found it: another one than this, as of another engine, is what must repeat it.
int repeat_logged(const LoggedReplay& logged, const Arguments& arguments) {
  const auto words = std::get<std::vector<std::string>>(split_words(logged.text));
  const auto name_of = [](const std::string& path) { return std::filesystem::path(path).filename(); };
  const bool claim = std::holds_alternative<ClaimTarget>(logged.line.target);
  if (claim && name_of(words.front()) != name_of(path_of_this_binary())) return become(words);
  return repeat(logged.line, arguments);
}

void print_lines(const LoggedReplays& logged) {
  for (std::size_t i = 0; i < logged.lines.size(); ++i)
    fmt::print("{}  line {}: {}\n", i + 1, logged.lines[i].number, logged.lines[i].text);
}

/// Repeats what a log says, which `name` means to a person.
int repeat_from(std::istream& log, const std::string& name, const Arguments& arguments) {
  const LoggedReplays logged = find_replay_lines(log);
  for (const UnreadableReplay& bad : logged.unreadable)
    fmt::print(stderr, "touchstone replay: {}:{}: {}: \"{}\"\n", name, bad.number, bad.error.what,
               bad.error.word);
  if (logged.lines.empty()) {
    fmt::print(stderr, "touchstone replay: {} has no replay line: expected \"replay: \" and a command\n",
               name);
    return kExitMalformed;
  }
  if (arguments.list) {
    print_lines(logged);
    return 0;
  }
  if (arguments.nth < 1 || arguments.nth > logged.lines.size()) {
    fmt::print(stderr, "touchstone replay: --nth {}: {} has {} replay lines\n", arguments.nth, name,
               logged.lines.size());
    return kExitUsage;
  }
  const LoggedReplay& chosen = logged.lines[arguments.nth - 1];
  fmt::print("{}:{}, {} of {} replay lines (--list shows them, --nth N takes another)\n{}\n", name,
             chosen.number, arguments.nth, logged.lines.size(), chosen.text);
  std::fflush(stdout);
  return repeat_logged(chosen, arguments);
}

int run(const std::vector<std::string>& words, const Arguments& arguments) {
  if (words.size() == 1 && words.front() == "-")
    return repeat_from(std::cin, "the standard input", arguments);
  std::error_code unknown;
  if (words.size() != 1 || !std::filesystem::exists(words.front(), unknown))
    return repeat_words(words, arguments);
  const auto file = replay_log_of(words.front());
  if (!file) {
    fmt::print(stderr, "touchstone replay: {} is a directory without replay.txt or report.txt\n",
               words.front());
    return kExitMalformed;
  }
  std::ifstream log(*file);
  if (!log) {
    fmt::print(stderr, "touchstone replay: cannot read {}\n", file->string());
    return kExitMalformed;
  }
  return repeat_from(log, file->string(), arguments);
}

}  // namespace

void add_replay_command(CLI::App& app, int& exit_status) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("replay", "Run again exactly what a replay line names");
  command->add_option("--budget", arguments->budget, "how long to repeat a workload")->capture_default_str();
  command->add_option("--out", arguments->out, "where to keep what explains the failure");
  command->add_option("--nth", arguments->nth, "of the lines in a log, which to repeat")
      ->capture_default_str();
  command->add_flag("--list", arguments->list, "only show the lines in a log");
  command->allow_extras();
  command->footer(
      "LINE is what follows `replay: ` in any failure, quoted or not; or a file, or - for the standard "
      "input, in which there is "
      "one: a CI job's log; or an artifact directory.");
  command->callback(
      [arguments, command, &exit_status] { exit_status = run(command->remaining(), *arguments); });
}

}  // namespace touchstone::harness
