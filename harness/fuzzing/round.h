#pragma once
// One round: executions of changed cases in a child, and what it tells its parent.
//
//   std::string text = run_round(plan, corpus, runner, counter);              // in the child
//   RoundResult result = parse_round(text);                                   // in the parent
//
// The counter is raised before each execution, so that the parent knows which one killed the child; the same plan with `stop_before` then
// tells that case instead of running it. Z1 of fuzzer.h: the same plan and corpus do the same.
//
// Thread safety: one thread.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/fuzzing/case_runner.h"
#include "harness/fuzzing/corpus.h"
#include "harness/seed.h"

namespace touchstone::harness::fuzzing {

struct RoundPlan {
  Seed seed{0};
  std::uint64_t executions = 0;
  std::optional<std::uint64_t> stop_before;
  std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
};

struct RoundResult {
  struct Kept {
    FuzzCase it;
    std::vector<Feature> features;
  };
  struct Failed {
    FuzzCase it;
    std::string claim;
    std::uint64_t execution = 0;  // of the round
  };

  std::uint64_t executions = 0;
  std::vector<Kept> kept;
  std::vector<Failed> failed;                  // one for each claim
  std::map<std::string, std::uint64_t> times;  // by claim
  std::vector<std::uint64_t> schedules;        // the class of each execution
  std::vector<Feature> once;                   // features that one execution of the round had
  std::vector<Feature> often;                  // those that several had
  std::optional<FuzzCase> next;                // what stop_before asked for
};

std::string run_round(const RoundPlan& plan, Corpus& corpus, std::atomic<std::uint64_t>& counter);

/// Runs these cases as they are, in order, and keeps of them what is new: how a corpus is read.
std::string run_cases(const std::vector<FuzzCase>& cases, Corpus& corpus,
                      std::atomic<std::uint64_t>& counter);

RoundResult parse_round(const std::string& text);

}  // namespace touchstone::harness::fuzzing
