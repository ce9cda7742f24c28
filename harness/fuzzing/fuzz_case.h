#pragma once
// What the fuzzers try: a scenario, and the decisions of one execution of it (threads, time, draws, stale reads, faults).
//
//   FuzzCase it = decode(bytes);                       // any bytes: a text like the one below, else the choices of the generator
//   std::string text = to_text(it);                    // what corpora and regressions hold
//   auto again = parse_fuzz_case(text);                // a FuzzCase, or what is wrong with which line
//
//   touchstone-fuzz 1
//   decisions 1:0x0000000000000007:!1.24>2:1:          # a schedule (docs/schedules.md), without checkpoints
//   then pos after 40                                  # from that event on a sampler decides, with the schedule's seed
//   weak-memory
//   touchstone-scenario 1                              # the rest is a scenario file
//   ...
//
// Decisions that no longer apply are passed over, so a scenario and its decisions may be changed one without the other. Values.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "harness/explore/sampling.h"
#include "harness/explore/scenario.h"

namespace touchstone::harness::fuzzing {

struct FuzzCase {
  explore::Scenario scenario;
  explore::Schedule decisions;
  explore::Algorithm tail = explore::Algorithm::random;
  std::optional<std::size_t> tail_after;  // events; nothing: the default policy decides the rest
  bool weak_memory = false;
};

std::string to_text(const FuzzCase& it);
std::variant<FuzzCase, explore::ScenarioError> parse_fuzz_case(std::string_view text);

/// A scenario in which every list is as its lines say: nothing if it is none.
std::optional<explore::Scenario> well_formed(const explore::Scenario& scenario);

/// By which one of two cases is preferred that show the same.
std::size_t size_of(const FuzzCase& it);

/// Operations, times their repetitions.
std::size_t operations_of(const explore::Scenario& scenario);

}  // namespace touchstone::harness::fuzzing
