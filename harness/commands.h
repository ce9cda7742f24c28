#pragma once
// The subcommands of `touchstone`, one function a file (harness/command_NAME.cpp). Each adds its subcommand
// to the application; when the user calls it, its callback runs and leaves the process's exit status in
// `exit_status`.
//
// Statuses that every subcommand shares (sysexits.h): 0 all well, 1 a claim or history failed, 2
// inconclusive, 64 wrong usage, 65 malformed input, 71 the system gave too little (threads), 73 an output that cannot be
// written, 70 a defect of the tool itself.

#include <CLI/App.hpp>
#include <chrono>
#include <string>

#include "harness/replay.h"

namespace touchstone::harness {

inline constexpr int kExitUsage = 64;
inline constexpr int kExitMalformed = 65;
inline constexpr int kExitInternal = 70;
inline constexpr int kExitSystem = 71;
inline constexpr int kExitCannotWrite = 73;

void add_check_command(CLI::App& app, int& exit_status);
void add_convert_command(CLI::App& app, int& exit_status);
void add_doctor_command(CLI::App& app, int& exit_status);
/// Also makes servers known to verify and replay.
void add_engines_command(CLI::App& app, int& exit_status);
void add_explore_command(CLI::App& app, int& exit_status);
void add_merge_command(CLI::App& app, int& exit_status);
void add_fuzz_command(CLI::App& app, int& exit_status);
void add_reap_command(CLI::App& app, int& exit_status);

void add_replay_command(CLI::App& app, int& exit_status);
void add_verify_command(CLI::App& app, int& exit_status);

/// What `touchstone replay` was asked for beside the line.
struct ReplayWishes {
  bool trace = false;     ///< show the interleaving though it passes
  bool minimize = false;  ///< make the scenario smaller, too
  std::string out = {};   ///< where to keep what explains the failure; empty: nowhere
  std::chrono::nanoseconds budget{0};
};

/// What a replay line of `touchstone explore` names in place of a claim of the suite; and how it is repeated.
inline constexpr const char* kExploreClaim = "explore";
int replay_exploration(const ReplayLine& line, const ReplayWishes& wishes);

/// What replays an exploration: null in a tool that is built without the explorer.
inline int (*exploration_replayer)(const ReplayLine&, const ReplayWishes&) = nullptr;

}  // namespace touchstone::harness
