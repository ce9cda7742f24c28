#pragma once
// The libFuzzer binary of the same cases, for code coverage, where it is built: lends it the corpus and takes back what it found.
//
//   LibFuzzerRun found = run_libfuzzer("build/fuzz/bin/scenario_fuzz", corpus, "out/libfuzzer", seed, until);
//   found.cases                                               // new ones, and those that it failed on
//
// Thread safety: one thread.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "harness/fuzzing/fuzz_case.h"
#include "harness/seed.h"

namespace touchstone::harness::fuzzing {

struct LibFuzzerRun {
  std::uint64_t executions = 0;
  std::vector<FuzzCase> cases;
};

/// `work` is emptied first and removed at the end.
LibFuzzerRun run_libfuzzer(const std::filesystem::path& binary, const std::filesystem::path& corpus,
                           const std::filesystem::path& work, Seed seed,
                           std::chrono::steady_clock::time_point until);

}  // namespace touchstone::harness::fuzzing
