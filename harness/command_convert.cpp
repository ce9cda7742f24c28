// touchstone convert: a recorded history in another format.

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "harness/commands.h"
#include "harness/history_binary.h"
#include "harness/history_edn.h"
#include "harness/history_format.h"
#include "harness/history_jsonl.h"
#include "harness/input_option.h"

namespace touchstone::harness {
namespace {

struct ConvertArguments {
  std::string input;
  std::string output;
  std::string from = "auto";
  std::string to;
};

/// The format that a file's name asks for.
std::string format_of(const std::string& file) {
  const auto ends = [&](const std::string& end) {
    return file.size() >= end.size() && file.compare(file.size() - end.size(), end.size(), end) == 0;
  };
  if (ends(".jsonl")) return "jsonl";
  if (ends(".edn")) return "edn";
  if (ends(".tsh")) return "binary";
  return "";
}

/// Why the history has no such form; nothing if it was written.
std::optional<std::string> write(const model::History& history, const std::string& format,
                                 std::ostream& out) {
  if (format == "edn") return write_edn_history(history, out);
  if (format == "binary") return write_binary_history(history, out);
  if (history.kind != model::HistoryKind::kCell && history.kind != model::HistoryKind::kStore)
    return "JSON lines are of cells or of a store";
  write_jsonl_history(history, out);
  return std::nullopt;
}

int complain(int status, const std::string& what) {
  fmt::print(stderr, "touchstone convert: {}\n", what);
  return status;
}

int run(const ConvertArguments& arguments) {
  const std::string to = arguments.to.empty() ? format_of(arguments.output) : arguments.to;
  if (to.empty()) return complain(kExitUsage, "--to jsonl, edn or binary is needed for " + arguments.output);
  const auto read = read_history(arguments.input, *parse_history_format(arguments.from));
  if (const auto* bad = std::get_if<MalformedHistory>(&read)) return complain(kExitMalformed, to_text(*bad));
  // Into memory first: a history that has no such form must not leave half a file.
  std::ostringstream text;
  if (const auto why = write(std::get<model::History>(read), to, text))
    return complain(kExitMalformed, arguments.input + " cannot be written as " + to + ": " + *why);
  const std::string bytes = std::move(text).str();
  if (arguments.output == "-") {
    std::fwrite(bytes.data(), 1, bytes.size(), stdout);  // main() looks whether it arrived
    return 0;
  }
  std::ofstream out(arguments.output, std::ios::binary);
  out << bytes;
  out.flush();
  if (out.good()) return 0;
  return complain(kExitCannotWrite, arguments.output + " cannot be written: " + std::strerror(errno));
}

}  // namespace

void add_convert_command(CLI::App& app, int& exit_status) {
  auto arguments = std::make_shared<ConvertArguments>();
  CLI::App* command = app.add_subcommand("convert", "Write a recorded history in another format");
  command->add_option("input", arguments->input, "The history; - is the standard input")
      ->required()
      ->check(readable_input);
  command->add_option("output", arguments->output, "The file to write; - is the standard output")->required();
  command->add_option("--from", arguments->from, "auto, etcd, kv, edn, jsonl or binary")
      ->check(
          CLI::IsMember(std::vector<std::string>(std::begin(kHistoryFormats), std::end(kHistoryFormats))));
  command
      ->add_option("--to", arguments->to, "jsonl, edn or binary; otherwise by the name: .jsonl, .edn, .tsh")
      ->check(CLI::IsMember({"jsonl", "edn", "binary"}));
  command->callback([arguments, &exit_status] { exit_status = run(*arguments); });
}

}  // namespace touchstone::harness
