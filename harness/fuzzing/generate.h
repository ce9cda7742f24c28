#pragma once
// New cases, and changes of whole parts of them: operations, workers, options, decisions.
//
//   const Swarm swarm = draw_swarm(draws);                // what may be drawn, for a while
//   FuzzCase it = generate(draws, swarm);
//   FuzzCase changed = mutate(it, draws, swarm);
//   FuzzCase both = cross(it, other, draws);              // this scenario's workers with some of that one's, or its decisions
//   FuzzCase any = decode(bytes);
//
// Swarm testing (Groce et al., ISSTA 2012): a run that leaves out half of the operations reaches states that a run of all of them
// seldom does, because they get in each other's way. Whatever these return is well formed. Functions of their arguments.

#include "harness/fuzzing/draws.h"
#include "harness/fuzzing/fuzz_case.h"

namespace touchstone::harness::fuzzing {

struct Swarm {
  engine::StoreOptions engine;
  std::vector<explore::ScenarioOperation> kinds;  ///< one of each that may be drawn
  std::vector<std::string> counters;
  std::vector<std::string> puts;
  std::vector<explore::FaultPlan> faults;
  int most_failures = 0;  ///< that a worker may begin with
  bool weak_memory = false;
};

Swarm draw_swarm(Draws& draws);
FuzzCase generate(Draws& draws, const Swarm& swarm);
FuzzCase mutate(const FuzzCase& it, Draws& draws, const Swarm& swarm);
FuzzCase cross(const FuzzCase& it, const FuzzCase& other, Draws& draws);

/// What bytes mean; any bytes mean something.
FuzzCase decode(std::span<const std::uint8_t> bytes);

}  // namespace touchstone::harness::fuzzing
