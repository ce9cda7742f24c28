// touchstone replay: runs again exactly what a replay line names. Exits 1 when it fails again, 0 when it does not.

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <stdexcept>

#include "harness/commands.h"
#include "harness/duration_option.h"
#include "harness/failure_report.h"
#include "harness/verify.h"

namespace touchstone::harness {
namespace {

struct Arguments {
  std::string budget = "60s";
  std::string out;
};

int refuse(const ReplayError& error) {
  fmt::print(stderr, "touchstone replay: {}{}\n", error.what,
             error.word.empty() ? "" : fmt::format(": \"{}\"", error.word));
  return kExitUsage;
}

/// Becomes the test binary; returns only when it cannot.
int become(const ReplayLine& line, const TestTarget& test) {
  // The line's own text carries the environment; the words before the binary are NAME=value.
  const auto words = std::get<std::vector<std::string>>(split_words(to_text(line)));
  std::vector<std::string> arguments;
  for (const auto& word : words) {
    if (word == "#") break;
    const auto equals = word.find('=');
    if (arguments.empty() && word != test.binary && equals != std::string::npos) {
      ::setenv(word.substr(0, equals).c_str(), word.substr(equals + 1).c_str(), 1);
    } else {
      arguments.push_back(word);
    }
  }
  std::vector<char*> pointers;
  for (auto& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  ::execv(test.binary.c_str(), pointers.data());
  fmt::print(stderr,
             "touchstone replay: cannot run {}: {} (run it at the top of the repository, after a build)\n",
             test.binary, std::strerror(errno));
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
  const auto registry = claims_of(engine);
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

}  // namespace

void add_replay_command(CLI::App& app, int& exit_status) {
  auto arguments = std::make_shared<Arguments>();
  auto* command = app.add_subcommand("replay", "Run again exactly what a replay line names");
  command->add_option("--budget", arguments->budget, "how long to repeat a workload")->capture_default_str();
  command->add_option("--out", arguments->out, "where to keep what explains the failure");
  command->allow_extras();
  command->footer("LINE is what follows `replay: ` in any failure, quoted or not.");
  command->callback([arguments, command, &exit_status] {
    const auto parsed = parse(command->remaining());
    if (const auto* error = std::get_if<ReplayError>(&parsed)) {
      exit_status = refuse(*error);
      return;
    }
    const auto& line = std::get<ReplayLine>(parsed);
    if (const auto* test = std::get_if<TestTarget>(&line.target)) {
      exit_status = become(line, *test);
    } else {
      exit_status = replay_claim(line, std::get<ClaimTarget>(line.target).claim, *arguments);
    }
  });
}

}  // namespace touchstone::harness
