#pragma once
// The libFuzzer binary of the same cases, for code coverage, where it is built: lends it the corpus and takes back what it found.
//
//   LibFuzzerRun found = run_libfuzzer({.binary = "build/fuzz/bin/scenario_fuzz", .corpus = corpus, .work = "out/libfuzzer", ...});
//   found.cases                                               // new ones, and those that it failed on
//
// Thread safety: one thread.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "harness/fuzzing/fuzz_case.h"
#include "harness/seed.h"

namespace touchstone::harness::fuzzing {

struct LibFuzzerPlan {
  std::filesystem::path binary;
  std::filesystem::path corpus;
  std::filesystem::path work;  ///< emptied first and removed at the end
  Seed seed{0};
  std::chrono::seconds time{0};
  std::function<bool()> interrupted = {};  ///< then it ends early, with what it has
};

struct LibFuzzerRun {
  std::uint64_t executions = 0;
  std::vector<FuzzCase> cases;
};

LibFuzzerRun run_libfuzzer(const LibFuzzerPlan& plan);

}  // namespace touchstone::harness::fuzzing
