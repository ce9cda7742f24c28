#pragma once
// From a case that failed in a round to an artifact directory: its scenario made small, then its schedule, then drawn.
//
//   Explainer explainer("out", "build/dev/bin/touchstone");
//   std::optional<Explained> it = explainer.explain(failing, claim);       // nothing: it did not fail again
//   FuzzFailure failure = explainer.keep(*it);
//
// Every step runs in a child: the failure may be a crash. Then its claim begins with kDied, its decisions are those that were noted until
// then, and there is neither trace nor history.
//
// Thread safety: one thread, in a process that has only one.

#include <filesystem>
#include <optional>
#include <string>

#include "harness/fuzzing/case_runner.h"
#include "harness/fuzzing/children.h"
#include "harness/fuzzing/fuzzer.h"

namespace touchstone::harness::fuzzing {

inline constexpr std::string_view kDied = "died: ";

/// How long a child may be about one execution.
inline constexpr std::chrono::seconds kPatience{20};

struct Explained {
  FuzzCase small;
  Drawn drawn;
};

class Explainer {
 public:
  Explainer(std::filesystem::path out, std::string tool) : out_(std::move(out)), tool_(std::move(tool)) {}

  std::optional<Explained> explain(const FuzzCase& failing, const std::string& claim);

  /// Writes the directory; the failure that it shows, without its counts.
  FuzzFailure keep(const Explained& it) const;

  /// Where a signature's artifact is, made or not.
  std::filesystem::path directory_of(const std::string& signature) const;

 private:
  static constexpr std::size_t kSamples = 48;      // of a smaller scenario, beside the old schedule
  static constexpr std::size_t kMostTrials = 250;  // of a scenario

  std::optional<FuzzCase> fails_again(const FuzzCase& it, const std::string& claim);
  FuzzCase shrink_decisions(FuzzCase failing, const std::string& claim);

  std::filesystem::path out_;
  std::string tool_;
  SharedProgress progress_{1};
  Shared<DecisionLog> log_{1};
};

}  // namespace touchstone::harness::fuzzing
