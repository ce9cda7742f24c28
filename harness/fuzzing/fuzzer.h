#pragma once
// Finds bugs for a living: changes cases, keeps what reaches new schedules, and makes each distinct failure small.
//
//   FuzzReport report = fuzz({.seed = seed, .time = std::chrono::minutes(10), .jobs = 2, .corpus = "corpus", .out = "out"});
//   report.failures.front().signature, .directory, .replay
//
// It runs in rounds of a thousand executions, each of a job in a process of its own: a case that kills it is found again by its number in the
// round, and is a failure like any other. Every round has a swarm of its own (generate.h). Rounds of several jobs go side by side from the
// same corpus, and what they found is joined in the order of the jobs.
//
// The corpus is run first, whatever `executions` says: they are those of the rounds, and never more than that. libFuzzer, which counts by
// itself, is left out then.
//
// Z1  What a round does follows from the seed, its number and the corpus alone. So with a number of executions the whole run repeats;
//     a time ends it where the machine has got to.
// Z2  One artifact directory for each signature (case_runner.h), with a replay line of class exact. A signature that an earlier run
//     left there is known: counted, not explained again.
//
// Z3  Of a campaign, a shard does the rounds that it takes, and its share of `executions`. It starts from the corpus too, and what it adds,
//     there and in `out`, is in folders of its own (folder_of): no shard sees another one's. A run of the whole reads these folders too.
//
// Thread safety: one thread, in a process that has only one. Errors: MalformedCase; std::filesystem::filesystem_error, std::runtime_error.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "harness/replay.h"
#include "harness/seed.h"
#include "harness/shard.h"

namespace touchstone::harness::fuzzing {

/// A file of the corpus that is no case: its name, the line, what is wrong.
struct MalformedCase : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct FuzzFailure {
  std::string signature;
  std::string message;
  std::filesystem::path directory;
  std::string replay;       ///< the line, without "replay: "
  std::uint64_t times = 0;  ///< in this run
  std::uint64_t first = 0;  ///< execution of this run that showed it first; 0: a case of the corpus did
  bool known = false;       ///< from an earlier run
};

struct FuzzReport {
  Seed seed{0};
  std::uint64_t executions = 0;  ///< without those of the corpus as it was read
  std::uint64_t of_corpus = 0;
  std::uint64_t rounds = 0;
  double seconds = 0;
  std::size_t corpus = 0;
  std::size_t features = 0;
  std::uint64_t looked_at = 0;    ///< executions, the corpus's too, without libFuzzer's, which tells of none
  std::size_t features_once = 0;  ///< that one of these had
  std::uint64_t schedules = 0;    ///< classes of equivalent ones; from a million on no more are counted
  std::vector<FuzzFailure> failures;  ///< those that were seen in this run
  bool interrupted = false;

  /// At most about the chance that the next execution has a feature that none had: it has so many of them (Good and Turing).
  double chance_of_new() const {
    return looked_at <= features_once ? 1.0
                                      : static_cast<double>(features_once) / static_cast<double>(looked_at);
  }

  int exit_status() const { return failures.empty() ? 0 : 1; }
};

struct FuzzOptions {
  Seed seed{0};
  std::optional<std::chrono::nanoseconds> time = {};
  std::optional<std::uint64_t> executions = {};
  std::size_t jobs = 1;
  std::filesystem::path corpus;
  std::filesystem::path out;  ///< where the artifact directories are made
  Shard shard = {};
  std::string tool;  ///< how replay lines call it
  std::filesystem::path libfuzzer =
      {};  ///< a binary of scenario_fuzz, which then has the last quarter of the time
  std::function<void(const FuzzReport&)> progress = {};
  std::function<void(const FuzzFailure&)> found = {};
  std::function<bool()> interrupted = {};
};

/// Where a shard keeps what it finds: "out/shard-0002-of-0008"; of the whole: `directory` itself.
std::filesystem::path folder_of(const Shard& shard, const std::filesystem::path& directory);

FuzzReport fuzz(const FuzzOptions& options);

std::string to_json(const FuzzReport& report);

}  // namespace touchstone::harness::fuzzing
