#pragma once
// The linearizability checker: is there an order of the operations that explains what everybody saw?
//
//   Verdict verdict = check(history, CheckOptions{.budget = std::chrono::seconds(60)});
//   if (verdict.answer == Answer::kLinearizable) assert(!verify_witness(history, verdict.witness));
//   if (verdict.answer == Answer::kNotLinearizable) puts(verdict.refutations.front().reason.c_str());
//   if (verdict.answer == Answer::kInconclusive) puts(verdict.reason.c_str());  // which budget ran out
//
// Rules, cited by number in the code:
//   V1  Three answers. Yes comes with a witness that verify_witness() replays against the plain
//       specification; no with the partition, the operation whose return nothing explains, and what was
//       possible until then; inconclusive with the reason. A budget that runs out never makes a yes or a no.
//   V2  A cell history is checked key by key (locality: Herlihy and Wing 1990), every other as a whole.
//   V3  Per partition the cheapest sound method decides: observed versions, unique values (zones: Gibbons and
//       Korach 1997), then two general searches under alternating budgets (after Wing and Gong 1993, Lowe
//       2014).
//   V4  The searches' configurations hold one bit per operation open at the time, not per operation of the
//       history, and are compared exactly, never by their hashes alone.
//   V5  Partitions are searched in turns with growing budgets, so that a hard one does not hide an easy
//       refutation.
//   V6  Partitions are checked on several threads. The verdict, its refutations and its counts do not depend on how many, unless the
//       time runs out; a small history starts none. A budget of steps is counted on one thread.
//   V7  The searches of all partitions together hold no more than the memory budget, beside 80 bytes an operation; where it runs
//       out the verdict is inconclusive.
// check() may run on any number of threads, also on one history that nobody changes meanwhile.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/history.h"

namespace touchstone::model {

enum class Answer { kLinearizable, kNotLinearizable, kInconclusive };

/// Why a yes about an empty history says nothing.
inline constexpr const char* kNothingWasChecked = "it has no operations: nothing was checked";

enum class Method { kNothingToDo, kVersions, kUniqueValues, kGlobalVersions, kDepthFirst, kBreadthFirst };

/// Which methods may be used; tests compare them by switching all but one off.
struct Methods {
  bool versions = true;
  bool unique_values = true;
  bool global_versions = true;
  bool depth_first = true;
  bool breadth_first = true;
};

/// Which reductions the general searches make (window.h, R1 to R5); tests switch them off one by one.
struct Reductions {
  bool eager_observers = true;
  bool lazy_burial = true;
  bool symmetry = true;
  bool dominance = true;
  bool look_ahead = true;
};

struct CheckOptions {
  std::chrono::nanoseconds budget = std::chrono::seconds(60);
  std::uint64_t max_steps = ~std::uint64_t{0};     ///< of the general searches, over all partitions
  std::size_t max_memory = std::size_t{2} << 30U;  ///< of all general searches together, in bytes (V7)
  unsigned threads = 0;                            ///< at most so many; 0 for as many as the machine has (V6)
  bool partition_by_key = true;
  bool witness = true;
  Methods methods = {};
  Reductions reductions = {};
};

/// A number into History::operations.
using OperationNumber = std::uint32_t;

/// One way the world could have been when the operation failed to be explained.
struct World {
  std::string state;
  std::vector<OperationNumber> taken;    ///< open operations that had taken effect
  std::vector<OperationNumber> waiting;  ///< open operations that could still
  std::string reason;                    ///< why the failing operation does not fit this state
};

struct Refutation {
  KeyId key = 0;  ///< the partition, in a history of cells
  Method method = Method::kNothingToDo;
  std::optional<OperationNumber> failing;    ///< the first return that no order explains
  std::vector<OperationNumber> certificate;  ///< the few operations that contradict each other, where known
  std::vector<World> worlds;                 ///< not all, if there were many
  std::string reason;
};

struct Verdict {
  Answer answer = Answer::kInconclusive;
  std::vector<OperationNumber> witness;  ///< an order that explains everything; without what never happened
  std::vector<Refutation> refutations;   ///< one for each partition that was refuted
  std::string reason;                    ///< also of a yes that says nothing: there were no operations
  std::uint64_t steps = 0;               ///< specification steps tried by the general searches
  std::uint64_t configurations = 0;      ///< the most that were held at once
  std::uint32_t partitions = 0;
};

Verdict check(const History& history, const CheckOptions& options = {});

/// Why the order is no witness: an operation is missing, repeated, out of real time, or has another response
/// than the specification. Nothing if it is one.
std::optional<std::string> verify_witness(const History& history,
                                          const std::vector<OperationNumber>& witness);

const char* name(Answer answer);
const char* name(Method method);

}  // namespace touchstone::model
