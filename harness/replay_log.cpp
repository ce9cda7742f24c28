#include "harness/replay_log.h"

#include <algorithm>

namespace touchstone::harness {
namespace {

/// Without terminal sequences (ESC [ ... letter) and the carriage returns of logs that came over a terminal.
std::string plain(const std::string& line) {
  std::string text;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b' && i + 1 < line.size() && line[i + 1] == '[') {
      i += 2;
      while (i < line.size() && !(line[i] >= '@' && line[i] <= '~')) ++i;
    } else if (line[i] != '\r') {
      text += line[i];
    }
  }
  return text;
}

}  // namespace

LoggedReplays find_replay_lines(std::istream& log) {
  constexpr std::string_view kMark = "replay: ";
  LoggedReplays logged;
  std::string raw;
  for (std::size_t number = 1; std::getline(log, raw); ++number) {
    const std::string line = plain(raw);
    const std::size_t mark = line.find(kMark);
    if (mark == std::string::npos) continue;
    const std::string text = line.substr(mark + kMark.size());
    auto parsed = parse_replay_line(text);
    if (const auto* error = std::get_if<ReplayError>(&parsed)) {
      logged.unreadable.push_back({number, *error});
      continue;
    }
    const auto& found = std::get<ReplayLine>(parsed);
    const auto same = [&found](const LoggedReplay& known) { return known.line == found; };
    if (std::none_of(logged.lines.begin(), logged.lines.end(), same))
      logged.lines.push_back({number, text, found});
  }
  return logged;
}

std::optional<std::filesystem::path> replay_log_of(const std::filesystem::path& given) {
  std::error_code unknown;
  if (!std::filesystem::is_directory(given, unknown))
    return std::filesystem::exists(given, unknown) ? std::optional(given) : std::nullopt;
  for (const char* name : {"replay.txt", "report.txt"}) {
    if (std::filesystem::exists(given / name, unknown)) return given / name;
  }
  return std::nullopt;
}

}  // namespace touchstone::harness
