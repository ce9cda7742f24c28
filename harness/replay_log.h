#pragma once
// Finds the replay lines in what a person has at hand: the log of a CI job, the output of a test, an artifact directory.
//
//   std::ifstream log("ci.log");
//   LoggedReplays logged = find_replay_lines(log);       // logged.lines[0].text, found in line logged.lines[0].number
//
// A log may put anything before `replay: ` (times, job names, ctest's numbers) and colours around it. Each line counts once, however often
// it is printed. Thread safety: values.

#include <filesystem>
#include <istream>
#include <optional>
#include <vector>

#include "harness/replay.h"

namespace touchstone::harness {

struct LoggedReplay {
  std::size_t number = 0;  ///< of the line of the log, from 1
  std::string text;        ///< what follows `replay: `
  ReplayLine line;
};

/// What says `replay: ` and cannot be read, as a log that was cut off.
struct UnreadableReplay {
  std::size_t number = 0;
  ReplayError error;
};

struct LoggedReplays {
  std::vector<LoggedReplay> lines;  ///< different ones, in the order of the log
  std::vector<UnreadableReplay> unreadable;
};

LoggedReplays find_replay_lines(std::istream& log);

/// The file to look through for a path that a person gives: itself, or of an artifact directory its line, or of a run's directory its
/// report. Nothing if there is none.
std::optional<std::filesystem::path> replay_log_of(const std::filesystem::path& given);

}  // namespace touchstone::harness
