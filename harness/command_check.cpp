// touchstone check: verdicts on recorded histories.

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "harness/check_pipe.h"
#include "harness/commands.h"
#include "harness/counted.h"
#include "harness/duration_option.h"
#include "harness/history_format.h"
#include "harness/history_json_value.h"
#include "harness/history_page.h"
#include "harness/input_option.h"
#include "harness/isolation_report.h"
#include "model/explanation.h"

namespace touchstone::harness {
namespace {

constexpr int kExitRefuted = 1;
constexpr int kExitInconclusive = 2;

struct CheckArguments {
  std::vector<std::string> files;
  std::string format = "auto";
  std::chrono::nanoseconds budget = std::chrono::seconds(60);
  std::string
      isolation;  ///< the level asked of transactions; "" asks for linearizability, and strict serializability
  std::string page;  ///< the file to write the picture to; "" for none
  bool json = false;
  unsigned jobs = 0;  ///< threads; 0 for as many as the machine has
};

/// What is printed of one file.
struct Report {
  model::Answer answer = model::Answer::kInconclusive;
  std::string reason;
  std::size_t operations = 0;
  std::optional<std::size_t> clients;  ///< nothing: a stream forgets them
  double seconds = 0;
  std::string explanation;  ///< lines
};

void print_json(const std::string& file, const Report& report) {
  Json line;
  line["file"] = json_of(file);
  line["verdict"] = name(report.answer);
  line["operations"] = report.operations;
  if (report.clients) line["clients"] = *report.clients;
  line["seconds"] = report.seconds;
  line["reason"] = json_of(report.reason);
  if (!report.explanation.empty()) line["explanation"] = json_of(report.explanation);
  fmt::print("{}\n", line.dump());
}

void print_words(const std::string& file, const Report& report) {
  const std::string clients = report.clients ? ", " + counted(*report.clients, "client") : "";
  fmt::print("{}: {} ({}{}, {:.6f} s)\n", file, name(report.answer), counted(report.operations, "operation"),
             clients, report.seconds);
  for (const std::string* text : {&report.reason, &report.explanation}) {
    std::string indented = *text;
    for (std::size_t at = 0; (at = indented.find('\n', at)) != std::string::npos; at += 3)
      indented.replace(at, 1, "\n  ");
    if (!indented.empty()) fmt::print("  {}\n", indented);
  }
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

class CheckRun {
 public:
  explicit CheckRun(const CheckArguments& arguments) : arguments_(arguments) {}

  int run() {
    if (!arguments_.page.empty() && arguments_.files.size() != 1) {
      fmt::print(stderr, "touchstone check: --html is for one history\n");
      return kExitUsage;
    }
    for (const std::string& file : arguments_.files) check_file(file);
    if (malformed_) return kExitMalformed;
    if (unwritten_) return kExitCannotWrite;
    if (refuted_) return kExitRefuted;
    return inconclusive_ ? kExitInconclusive : 0;
  }

 private:
  void check_file(const std::string& file) {
    const bool needs_all = !arguments_.page.empty() || !arguments_.isolation.empty();
    if (file == "-" && !needs_all) return check_standard_input();
    take(file, read_any_history(file, *parse_history_format(arguments_.format)));
  }

  /// A verdict as soon as there is one, if the format allows it.
  void check_standard_input() {
    const auto begin = std::chrono::steady_clock::now();
    const StreamLimits limits{.search = {.budget = arguments_.budget}};
    auto verdict = check_pipe(STDIN_FILENO, "-", *parse_history_format(arguments_.format), limits);
    if (auto* bad = std::get_if<MalformedHistory>(&verdict)) return take("-", std::move(*bad));
    if (auto* history = std::get_if<model::History>(&verdict)) return take("-", std::move(*history));
    if (auto* history = std::get_if<model::TransactionHistory>(&verdict))
      return take("-", std::move(*history));
    const auto& stream = std::get<StreamVerdict>(verdict);
    const std::string line = stream.line == 0 ? "" : "line " + std::to_string(stream.line) + ": ";
    print("-",
          {stream.answer, line + stream.reason, stream.operations, std::nullopt, seconds_since(begin), ""});
  }

  void take(const std::string& file, const AnyHistory& read) {
    if (const auto* bad = std::get_if<MalformedHistory>(&read)) {
      fmt::print(stderr, "touchstone check: {}\n", to_text(*bad));
      malformed_ = true;
      return;
    }
    const auto level = level_of(arguments_.isolation);
    if (const auto* transactions = std::get_if<model::TransactionHistory>(&read))
      return take_transactions(file, *transactions, level);
    const auto& history = std::get<model::History>(read);
    if (!arguments_.isolation.empty()) return print(file, judge_isolation(history, level));
    const auto begin = std::chrono::steady_clock::now();
    const model::Verdict verdict = model::check(
        history,
        {.budget = arguments_.budget, .threads = arguments_.jobs, .witness = !arguments_.page.empty()});
    const double seconds = seconds_since(begin);
    if (!arguments_.page.empty()) save(page_data(history, verdict, file));
    print(file, {verdict.answer, verdict.reason, history.operations.size(), history.clients.size(), seconds,
                 explain_more(history, verdict)});
  }

  void take_transactions(const std::string& file, const model::TransactionHistory& history,
                         model::Level level) {
    const IsolationReport report = judge_isolation(history, level);
    if (!arguments_.page.empty()) save(page_data(history, report, file));
    print(file, report);
  }

  void save(const Json& data) {
    if (save_page(data, arguments_.page)) return;
    fmt::print(stderr, "touchstone check: {} cannot be written: {}\n", arguments_.page, std::strerror(errno));
    unwritten_ = true;
  }

  /// That nothing is wrong with nothing is true and says nothing: a log that was lost must not pass.
  void print(const std::string& file, Report report) {
    if (report.operations == 0) report.answer = model::Answer::kInconclusive;
    (arguments_.json ? print_json : print_words)(file, report);
    count(report.answer);
  }

  void print(const std::string& file, const IsolationReport& report) {
    arguments_.json ? fmt::print("{}\n", report.json(file).dump())
                    : fmt::print("{}: {}\n", file, report.words());
    count(report.answer);
  }

  void count(model::Answer answer) {
    std::fflush(stdout);
    refuted_ = refuted_ || answer == model::Answer::kNotLinearizable;
    inconclusive_ = inconclusive_ || answer == model::Answer::kInconclusive;
  }

  const CheckArguments& arguments_;
  bool malformed_ = false;
  bool unwritten_ = false;
  bool refuted_ = false;
  bool inconclusive_ = false;
};

}  // namespace

void add_check_command(CLI::App& app, int& exit_status) {
  auto arguments = std::make_shared<CheckArguments>();
  CLI::App* command = app.add_subcommand(
      "check", "Decide whether recorded histories are linearizable, or how isolated transactions are");
  command
      ->add_option("files", arguments->files, "Histories; - is the standard input, checked while it comes in")
      ->required()
      ->check(readable_input);
  command->add_option("--format", arguments->format, "auto, etcd, kv, edn, jsonl, binary or elle")
      ->check(
          CLI::IsMember(std::vector<std::string>(std::begin(kHistoryFormats), std::end(kHistoryFormats))));
  command->add_option_function<std::string>(
      "--budget",
      [arguments](const std::string& text) {
        const auto budget = parse_duration(text);
        if (!budget)
          throw CLI::ValidationError(
              "--budget", "expected a time from 1ns on, such as 60s or 500ms, not \"" + text + "\"");
        arguments->budget = *budget;
      },
      "Time for each file (60s)");
  command
      ->add_option(
          "--isolation", arguments->isolation,
          "Ask this level of the transactions in the history (strict-serializable), from read-uncommitted up")
      ->check(CLI::IsMember(level_names()));
  command
      ->add_option("-j,--jobs", arguments->jobs, "Check keys on so many threads (as many as the machine has)")
      ->check(CLI::Range(1, 1024));
  command->add_flag("--json", arguments->json, "One JSON object a line");
  command->add_option("--html", arguments->page,
                      "Write a picture of the history, one page for any browser, to this file");
  command->callback([arguments, &exit_status] { exit_status = CheckRun(*arguments).run(); });
}

}  // namespace touchstone::harness
