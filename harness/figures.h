#pragma once
// What a check has measured that is better seen than read. The report draws it (report_page.h).
//
//   run.figures().contention = Contention{...};
//   run.figures().counts.push_back({"what reapers found", {{"removed", 12}, {"live", 3}}});
//
// Values. Times are milliseconds from the run's begin; of a controlled run they are virtual, so that they replay.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace touchstone::harness {

/// What one worker went through.
struct WorkerEffort {
  std::string name;
  std::uint64_t commits = 0;
  std::uint64_t retries = 0;  ///< attempts that failed validation
  double waited = 0;          ///< in back-off and at the gate

  friend bool operator==(const WorkerEffort&, const WorkerEffort&) = default;
};

/// A turn: from the body's begin, behind the closed gate, until its execution had ended.
struct GateWindow {
  std::string worker;
  double begin = 0;
  double end = 0;

  friend bool operator==(const GateWindow&, const GateWindow&) = default;
};

/// Counters by name, in the order in which they are to be shown.
struct NamedCounts {
  std::string title;
  std::vector<std::pair<std::string, std::uint64_t>> counts;

  friend bool operator==(const NamedCounts&, const NamedCounts&) = default;
};

struct ContendedRun {
  std::vector<WorkerEffort> workers;
  std::vector<GateWindow> windows;
  NamedCounts answers;  ///< commits by path, and what did not commit
  double end = 0;

  friend bool operator==(const ContendedRun&, const ContendedRun&) = default;
};

/// One crowd twice.
struct Contention {
  std::string crowd;  ///< who they are, in a sentence
  ContendedRun with_ticket;
  ContendedRun without_ticket;

  friend bool operator==(const Contention&, const Contention&) = default;
};

struct Figures {
  std::optional<Contention> contention;
  std::vector<NamedCounts> counts;

  bool empty() const { return !contention && counts.empty(); }
  friend bool operator==(const Figures&, const Figures&) = default;
};

}  // namespace touchstone::harness
