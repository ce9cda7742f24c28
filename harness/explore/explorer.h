#pragma once
// Explores the schedules of a body.
//
//   EXPECT_TRUE(passes(portfolio(body)));              // expect.h: samples 1,000 schedules; prints itself when it fails
//   EXPECT_TRUE(passes(exhaust(body)));                // every class of equivalent schedules, once
//   Report again = replay(body, report.failure->schedule);
//
// A body makes its state, starts ControlledPlatform threads, joins them, and checks; it is run again for
// every execution, so it must do the same whenever the scheduler decides the same. The first executions of
// every exploration are run twice to prove that. A requirement that fails, an exception, a race on a cell, a
// deadlock, a wait that nobody ends and an execution that does not end are failures; the report then holds
// the schedule shrunk to fewest preemptions, drawn as one column a thread.
//
// Everything derives from Options::seed. One exploration runs on the calling thread; explorations on several
// OS threads are independent.

#include <csignal>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/explore/class_counts.h"
#include "harness/explore/dpor.h"
#include "harness/explore/sampling.h"
#include "harness/explore/schedule.h"
#include "harness/explore/scheduler.h"

namespace touchstone::harness::explore {

using Body = std::function<void()>;

/// A failed requirement of a body.
void require(bool holds, const std::string& claim);

/// If it does not hold, the calling thread stops for good, the others go on, and the execution counts as
/// blocked.
void assume(bool holds);

struct Options {
  Algorithm algorithm = Algorithm::portfolio;
  std::optional<std::uint64_t> seed;        // the process's, unless given
  std::optional<std::uint64_t> executions;  // 1,000 for a sampler, no limit for a tree search
  std::uint64_t max_points = 20'000;        // of one execution
  std::uint32_t preemptions = 2;            // of the bounded search
  std::uint64_t draws = 1;                  // values tried for a draw, by the plain and bounded searches
  bool weak_memory = false;
  bool count_classes = false;  // by a hash of every execution: always so for the plain and bounded searches
  std::shared_ptr<ClassCounts> classes =
      {};  // where a sampler counts, beside what is there: implies count_classes
  std::uint64_t first = 0,
                step = 1;  // of the sampler's executions takes number first, first + step, ... (shard.h)
  bool shrink = true;
  bool keep_trace = false;  // of the last execution, though it passed
  std::uint32_t determinism_checks = 3;
  RaceRules rules;  // for tests of the reductions only
  std::vector<FaultPlan> faults;
  std::function<void(const struct Report&)> progress;  // now and then, from the exploring thread
  const volatile std::sig_atomic_t* interrupted =
      nullptr;  // ends after the execution in which it is no more 0
};

enum class Verdict : std::uint8_t {
  passed,
  failed,
  inconclusive,  // a tree search that met its limit, or what was interrupted
};

const char* name_of(Verdict verdict);

struct Counterexample {
  Failure failure;
  Schedule schedule;            // shrunk
  std::size_t found_after = 0;  // executions
  std::size_t switches = 0;     // deviations of the execution that was found
  std::size_t replays = 0;      // it took to shrink it
  std::string columns;
};

struct Report {
  Verdict verdict = Verdict::passed;
  Algorithm algorithm = Algorithm::portfolio;
  std::uint64_t seed = 0;
  std::uint64_t executions = 0;
  std::uint64_t blocked = 0;
  std::uint64_t cut = 0;
  std::uint64_t classes = 0;
  std::uint64_t seen_once = 0;  // of the classes, by a sampler
  std::uint64_t points = 0;
  double seconds = 0;
  std::optional<double> chance_of_new;  // Good and Turing: classes seen once / executions
  std::string covered;                  // what exactly was explored
  std::optional<Counterexample> failure;
  std::string columns;            // with Options::keep_trace
  bool failure_expected = false;  // for print only: what it shows is meant to fail

  explicit operator bool() const { return verdict == Verdict::passed; }
  std::string json() const { return json(name_of(algorithm)); }
  std::string json(std::string_view how) const;
};

std::ostream& operator<<(std::ostream& out, const Report& report);

/// Samples, or searches, as options.algorithm says.
Report explore(const Body& body, const Options& options);

/// The same loop with a strategy of the caller's.
Report explore_with(const Body& body, const Options& options, Strategy& strategy);

Report portfolio(const Body& body, Options options = {});

/// Every equivalence class of schedules exactly once (optimal dynamic partial order reduction).
Report exhaust(const Body& body, Options options = {});

/// Exactly that schedule; a program that no longer fits it fails as nondeterministic, naming the first
/// divergence.
Report replay(const Body& body, const Schedule& schedule, Options options = {});

}  // namespace touchstone::harness::explore
