#pragma once
// The replay line: what a person pastes to see a failure again. One format for everything.
//
//   replay: build/dev/bin/touchstone replay --claim A1 --class workload --seed 0x00000000000000ff
//   replay: TOUCHSTONE_SEED=0x00000000000000ff build/dev/bin/seed_test --gtest_filter=Seed.Parses # class
//   exact
//
//   ReplayLine line{ReplayClass::exact, seed, ClaimTarget{"B10"}, {{"schedule", "1.0.2"}}};
//   fmt::print("{}\n", to_text(line, "build/dev/bin/touchstone"));
//   auto again = parse_replay_line(text);            // a ReplayLine, or a ReplayError naming the bad word
//
// What follows `replay: ` is a shell command, run at the top of the repository. Options are names of lower
// case letters, digits and '-', with any value (quoted where the shell needs it): `--name value` behind a
// claim, `TOUCHSTONE_NAME=value` before a test.
//
// Thread safety: values. Errors: ReplayError, with the word that was wrong.
// Invariants: R1 parse(to_text(line)) == line for every line whose option names are legal and distinct.
//             R2 a line says its class; a claim's line without one is an error, never a guess.

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "harness/seed.h"

namespace touchstone::harness {

/// What repeating the line repeats.
enum class ReplayClass {
  exact,        ///< every decision: the same execution, step by step
  workload,     ///< the operations; real threads choose the interleaving again
  crash_point,  ///< the operations and the point at which a process is killed
};

std::string_view to_text(ReplayClass replay_class);
std::optional<ReplayClass> parse_replay_class(std::string_view text);

/// A claim that `touchstone verify` checks.
struct ClaimTarget {
  std::string claim;
  friend bool operator==(const ClaimTarget&, const ClaimTarget&) = default;
};

/// A test of a GoogleTest binary; an empty filter means all of them.
struct TestTarget {
  std::string binary;
  std::string filter;
  friend bool operator==(const TestTarget&, const TestTarget&) = default;
};

struct ReplayOption {
  std::string name;
  std::string value;
  friend bool operator==(const ReplayOption&, const ReplayOption&) = default;
};

struct ReplayLine {
  ReplayClass replay_class = ReplayClass::workload;
  Seed seed{0};
  std::variant<ClaimTarget, TestTarget> target;
  std::vector<ReplayOption> options;

  /// The option's value, or nothing.
  std::optional<std::string_view> option(std::string_view name) const;

  friend bool operator==(const ReplayLine&, const ReplayLine&) = default;
};

struct ReplayError {
  std::string what;  ///< a whole sentence, for a person
  std::string word;  ///< the part of the line that was wrong, perhaps empty
};

/// The command, without `replay: `. `tool` is how the line calls the command line tool.
std::string to_text(const ReplayLine& line, std::string_view tool = "touchstone");

/// Takes the command with or without `replay: ` before it.
std::variant<ReplayLine, ReplayError> parse_replay_line(std::string_view text);

/// The same from a command line that the shell has already split.
std::variant<ReplayLine, ReplayError> parse_replay_words(const std::vector<std::string>& words);

/// Splits as a POSIX shell would, with plain words and single quotes only.
std::variant<std::vector<std::string>, ReplayError> split_words(std::string_view text);

/// `word` if the shell takes it as it is, else in single quotes.
std::string quote_word(std::string_view word);

}  // namespace touchstone::harness
