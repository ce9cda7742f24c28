#pragma once
// Prints the replay line however a run ends: a failed check, an abort, a fatal signal, a sanitizer's report.
//
//   print_replay_line_on_death();                       // once, at the start of main
//   announce_replay({ReplayClass::workload, seed, ClaimTarget{"A1"}, {}});
//   ...                                                  // whatever kills the process here prints the line
//   withdraw_replay();                                   // this run is over
//
// In a test binary test_main.cpp does all this; a test that knows more than its seed says so:
//
//   describe_replay(ReplayClass::exact, {{"schedule", "1.0.2"}});
//
// Thread safety: announce, describe and withdraw belong to one thread; printing may come from any thread and
// from a signal handler, and is async-signal-safe. Invariant: F1 a line is printed at most once per
// announcement.

#include <string>
#include <vector>

#include "harness/replay.h"

namespace touchstone::harness {

/// From now on a death prints this line.
void announce_replay(const ReplayLine& line);

/// Adds to the line announced last: its class, and the options that lead to this very failure.
void describe_replay(ReplayClass replay_class, std::vector<ReplayOption> options = {});

void withdraw_replay();

/// Prints the announced line to standard error, unless it was printed before or there is none.
void print_announced_replay() noexcept;

/// Installs handlers for fatal signals, and callbacks for whichever sanitizer is linked in.
void print_replay_line_on_death();

/// How a replay line calls this process's binary: from the top of the repository where it lies in build/,
/// else by its whole path.
std::string path_of_this_binary();

/// A file as a line names it: by its whole path, unless the line is pasted where this process works.
std::string path_from_the_top(const std::string& file);

}  // namespace touchstone::harness
