// touchstone replay: runs again exactly what a replay line names, given as words or found in a log or an artifact directory. Exits 1 when it
// fails again, 0 when it does not, 2 when that could not be told.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>

#include "harness/commands.h"
#include "harness/counted.h"
#include "harness/duration_option.h"
#include "harness/failure_report.h"
#include "harness/option_checks.h"
#include "harness/replay_log.h"
#include "harness/verify.h"

namespace touchstone::harness {
namespace {

struct Arguments {
  std::string budget = "60s";
  std::string out;
  std::size_t nth = 1;
  bool list = false;
  bool minimize = false;
  bool trace = false;
  bool gdb = false;
};

int refuse(const ReplayError& error) {
  fmt::print(stderr, "touchstone replay: {}{}\n", error.what,
             error.word.empty() ? "" : fmt::format(": \"{}\"", error.word));
  return kExitUsage;
}

int refuse(const std::string& what) {
  return refuse(ReplayError{what, ""});
}

/// Becomes the program that these words of a shell start, under gdb if that is wished; returns only when it cannot. Words before it are
/// NAME=value.
int become(const std::vector<std::string>& words, bool gdb) {
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
  const std::string program = arguments.front();
  if (::access(program.c_str(), X_OK) != 0) {
    fmt::print(stderr,
               "touchstone replay: cannot run {}: {} (run it at the top of the repository, after a build)\n",
               program, std::strerror(errno));
    return kExitMalformed;
  }
  if (gdb) arguments.insert(arguments.begin(), {"gdb", "--args"});
  std::vector<char*> pointers;
  for (auto& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  ::execvp(pointers.front(), pointers.data());
  if (gdb) {
    fmt::print(stderr, "touchstone replay: --gdb: cannot run gdb: {} (apt-get install gdb)\n",
               std::strerror(errno));
    return kExitSystem;
  }
  fmt::print(stderr, "touchstone replay: cannot run {}: {}\n", program, std::strerror(errno));
  return kExitMalformed;
}

/// The words that start this line again in `tool`, with what else was asked for.
std::vector<std::string> words_for(const std::string& tool, const ReplayLine& line,
                                   const Arguments& arguments) {
  auto words = std::get<std::vector<std::string>>(split_words(to_text(line, tool)));
  words.insert(words.end(), {"--budget", arguments.budget});
  if (!arguments.out.empty()) words.insert(words.end(), {"--out", arguments.out});
  if (arguments.minimize) words.push_back("--minimize");
  if (arguments.trace) words.push_back("--trace");
  return words;
}

/// A directory that goes when this ends, for a schedule that only the artifact shows.
class Shown {
 public:
  Shown() {
    std::error_code missing;
    const auto base = std::filesystem::temp_directory_path(missing);
    std::string pattern = (base / "touchstone-trace-XXXXXX").string();
    if (!missing && ::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~Shown() {
    std::error_code gone;
    if (!path_.empty()) std::filesystem::remove_all(path_, gone);
  }
  Shown(const Shown&) = delete;
  Shown& operator=(const Shown&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

void print_file(const std::filesystem::path& file) {
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!text.empty()) fmt::print("{}{}", text, text.back() == '\n' ? "" : "\n");
}

bool of_another_program(const Replayed& ended) {
  return ended.verdict == ClaimVerdict::violated &&
         ended.reason.find("does not fit this program") != std::string::npos;
}

/// Whether it reproduces, in words.
std::string judged(const Replayed& ended, const ReplayLine& line, double seconds) {
  if (of_another_program(ended))
    return fmt::format("the schedule is of another program, so it says nothing of this one ({:.2f} s)",
                       seconds);
  if (ended.verdict == ClaimVerdict::violated) return fmt::format("it fails again, after {:.2f} s", seconds);
  if (ended.verdict != ClaimVerdict::held) return "whether it fails again could not be decided";
  return line.replay_class == ReplayClass::exact
             ? fmt::format("it does not fail again ({:.2f} s): the program, or the line, is another one",
                           seconds)
             : fmt::format("it did not fail in {:.2f} s: it may take longer, or another machine", seconds);
}

int replay_claim(const ReplayLine& line, const std::string& name, const Arguments& arguments) {
  const auto budget = parse_duration(arguments.budget);
  if (!budget) return refuse({"--budget: expected a time from 1ns on, such as 30s", arguments.budget});
  if (name == kExploreClaim && exploration_replayer != nullptr)
    return exploration_replayer(line, {arguments.trace, arguments.minimize, arguments.out, *budget});
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
  if (arguments.minimize)
    return refuse(
        "--minimize makes a scenario smaller, and this line has none: its schedule was shrunk when it was "
        "found");
  if (arguments.trace && !line.option("schedule"))
    return refuse("--trace shows a schedule, and this line has none: what real threads did was not recorded");
  Seed::set_of_process(line.seed);
  fmt::print("seed {}\n{}: {}\n", line.seed.text(), claim->name, claim->promise);
  std::fflush(stdout);
  print_replay_line_on_death();
  std::optional<Shown> shown;
  if (arguments.out.empty() && arguments.trace && shown.emplace().path().empty()) {
    fmt::print(stderr, "touchstone replay: --trace needs a temporary directory, and TMPDIR is none\n");
    return kExitSystem;
  }
  Artifact artifact(shown ? shown->path() : std::filesystem::path(arguments.out));
  const bool keeps = !arguments.out.empty() || arguments.trace;
  const auto begin = std::chrono::steady_clock::now();
  const Replayed ended = replay(*claim, line, *budget, keeps ? &artifact : nullptr);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  fmt::print("{} ({})\n", to_text(ended.verdict), to_text(ended.tried));
  for (const auto& note : ended.notes) fmt::print("note: {}\n", note);
  if (ended.verdict == ClaimVerdict::held) {
    if (arguments.trace) print_file(artifact.directory() / "schedule.txt");
    fmt::print("{}\n", judged(ended, line, seconds));
    return 0;
  }
  fmt::print("{}\n{}\nreplay: {}\n", ended.reason, judged(ended, line, seconds),
             to_text(line, path_of_this_binary()));
  return ended.verdict == ClaimVerdict::violated && !of_another_program(ended) ? 1 : 2;
}

/// A line in one word, as somebody quoted it, or the shell's words.
std::variant<ReplayLine, ReplayError> parse(const std::vector<std::string>& words) {
  if (words.size() == 1) return parse_replay_line(words.front());
  if (!words.empty() && words.front() == "replay:")
    return parse_replay_words({words.begin() + 1, words.end()});
  return parse_replay_words(words);
}

int repeat(const ReplayLine& line, const Arguments& arguments) {
  if (std::holds_alternative<TestTarget>(line.target)) {
    if (arguments.minimize || arguments.trace || !arguments.out.empty())
      return refuse(
          "--minimize, --trace and --out are for a claim or a schedule, and this line is a test's: it prints "
          "what it has");
    return become(std::get<std::vector<std::string>>(split_words(to_text(line))), arguments.gdb);
  }
  if (arguments.gdb)
    return become(words_for(std::filesystem::read_symlink("/proc/self/exe").string(), line, arguments), true);
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
  if (claim && name_of(words.front()) != name_of(path_of_this_binary()))
    return become(words_for(words.front(), logged.line, arguments), arguments.gdb);
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
    fmt::print(stderr, "touchstone replay: --nth {}: {} has {}\n", arguments.nth, name,
               counted(logged.lines.size(), "replay line"));
    return kExitUsage;
  }
  const LoggedReplay& chosen = logged.lines[arguments.nth - 1];
  fmt::print("{}:{}, {} of {} (--list shows them, --nth N takes another)\n{}\n", name, chosen.number,
             arguments.nth, counted(logged.lines.size(), "replay line"), chosen.text);
  std::fflush(stdout);
  return repeat_logged(chosen, arguments);
}

/// A log on the standard input has used it up, and whoever debugs wants to type.
bool take_the_terminal() {
  const int terminal = ::open("/dev/tty", O_RDWR | O_CLOEXEC);
  const bool taken = terminal >= 0 && ::dup2(terminal, STDIN_FILENO) == STDIN_FILENO;
  if (terminal > STDIN_FILENO) ::close(terminal);
  return taken;
}

int repeat_from_input(const Arguments& arguments) {
  std::stringstream log;
  log << std::cin.rdbuf();
  if (arguments.gdb && !arguments.list && !take_the_terminal())
    return refuse("--gdb: the standard input is the log, and there is no terminal: give the log as a file");
  return repeat_from(log, "the standard input", arguments);
}

/// The word beside a log that is no option and no second log; or nothing, where nobody meant a log. (What is not known is left among the
/// words, because a line may be given as such.)
std::optional<std::string> stray_word(const std::vector<std::string>& words) {
  const auto of_a_line = [](const std::string& word) {
    return word == "replay" || word == "--claim" || word.find('=') != std::string::npos;
  };
  const auto is_log = [](const std::string& word) {
    std::error_code unknown;
    return word == "-" || std::filesystem::exists(word, unknown);
  };
  if (words.size() < 2 || std::any_of(words.begin(), words.end(), of_a_line)) return std::nullopt;
  const auto log = std::find_if(words.begin(), words.end(), is_log);
  if (log == words.end()) return std::nullopt;
  return log == words.begin() ? words[1] : words.front();
}

/// One word without what every line has: somebody meant a file.
bool names_a_file(const std::string& word) {
  return !word.empty() && word.find_first_of(" \t\n=") == std::string::npos;
}

int run(const std::vector<std::string>& words, const Arguments& arguments) {
  const bool piped = words.empty() && ::isatty(STDIN_FILENO) == 0;
  if (piped || (words.size() == 1 && words.front() == "-")) return repeat_from_input(arguments);
  if (words.empty())
    return refuse("what to repeat? A replay line, or a file or a pipe in which there is one");
  if (const auto stray = stray_word(words)) return refuse({"neither an option nor the only log", *stray});
  std::error_code unknown;
  if (words.size() != 1 || !std::filesystem::exists(words.front(), unknown)) {
    if (words.size() == 1 && names_a_file(words.front()))
      return refuse({"neither a file nor a replay line", words.front()});
    if (arguments.list || arguments.nth != 1)
      return refuse("--list and --nth are for a log, and this is a line");
    return repeat_words(words, arguments);
  }
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
      ->check(positive_number)
      ->capture_default_str();
  command->add_flag("--list", arguments->list, "only show the lines in a log");
  command->add_flag("--minimize", arguments->minimize, "of an explored scenario: make it smaller, too");
  command->add_flag("--trace", arguments->trace, "of a schedule: draw the interleaving though it passes");
  command->add_flag("--gdb", arguments->gdb, "under gdb, which must be installed");
  command->allow_extras();
  command->footer(
      "LINE is what follows `replay: ` in any failure, quoted or not; or a file or the standard input in "
      "which there is one: a CI job's log; or an artifact directory.");
  command->callback(
      [arguments, command, &exit_status] { exit_status = run(command->remaining(), *arguments); });
}

}  // namespace touchstone::harness
