#pragma once
// The sequential specification of the store: what one worker alone would see.
//
//   StoreSpec spec{StoreRules{.strict = false}};
//   StoreState state;
//   StoreOperation operation = CompareAndSwap{.expected = 0, .writes = {{"user", Subtree{{"", 7}}}}};
//   StoreResponse response = engine_did(operation);
//   if (auto no = spec.advance(state, operation, &response)) FAIL() << no->reason;
//
// Rules, cited by number in the code:
//   M1  A path is 1..1024 bytes of non-empty components separated by dots. Others: Rejected.
//   M2  The state maps leaf paths to scalars; no leaf is a proper dotted prefix of another. Writing a path
//       replaces its subtree; an empty composite has no leaves; an erase is a write, also of what is absent.
//   M3  Writing below a scalar (after the earlier writes of the same set) is Rejected{under_scalar}.
//   M4  Versions are dense: a commit of a non-empty set at version n makes n+1. It stamps the paths named, the
//       leaves put below them, and the live leaves it removed.
//   M5  A commit conflicts if a path of its footprint, an ancestor or a descendant was stamped after
//       `expected`; in strict mode if any commit came after `expected`. The conflict names that path ("" in
//       strict mode) and its stamp.
//   M6  expected > current is Rejected{future_version}. An empty set commits at `expected` and changes nothing.
//   M7  Busy is legal for a non-empty set while the gate may be closed (the ticket's own specification says
//       when that is), and changes nothing.
//   M8  Whatever is not Committed changes nothing.
//   M9  A body sees the store with its own writes over it, also those that the commit will reject: one below a scalar
//       hides that scalar from the steps after it. So a copy may put leaves where M1 forbids a path, and then the call
//       has two faults; either may be the answer.
// Execute is one atomic step: in the default mode record it so only for bodies that read nothing but what
// they write; any other body is recorded as a SnapshotRead followed by a CompareAndSwap.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "model/spec.h"
#include "model/value.h"

namespace touchstone::model {

// --- operations ---

struct Write {
  std::string path;
  std::optional<Subtree> value;  ///< nothing erases the path
};

struct ReadPath {
  std::string path;
};

struct ReadVersion {};

/// One snapshot, and the paths read from it.
struct SnapshotRead {
  std::vector<std::string> paths;
};

struct CompareAndSwap {
  std::uint64_t expected = 0;
  std::vector<Write> writes;
  std::vector<std::string> reads;    ///< part of the footprint where the rules validate reads
  std::vector<std::string> outputs;  ///< declared outputs, part of the footprint too
};

/// An absent or non-integer value counts as 0; wraps around.
struct AddInteger {
  std::string path;
  std::int64_t delta = 0;
};

/// Copies the subtree at `from` to `to`; an absent one erases.
struct CopySubtree {
  std::string from;
  std::string to;
};

struct MoveAmount {
  std::string from;
  std::string to;
  std::int64_t amount = 0;
};

using BodyStep = std::variant<AddInteger, CopySubtree, MoveAmount, Write>;

/// A process whose body is data: the steps see the writes of the earlier ones.
struct Execute {
  std::vector<BodyStep> body;
};

using StoreOperation = std::variant<ReadPath, ReadVersion, SnapshotRead, CompareAndSwap, Execute>;

// --- responses ---

/// What a path held; nothing if absent.
struct ValueRead {
  std::optional<Subtree> value;
};

struct VersionIs {
  std::uint64_t version = 0;
};

/// The snapshot's version, and the value of each path asked for, in order.
struct SnapshotIs {
  std::uint64_t version = 0;
  std::vector<std::optional<Subtree>> values;
};

enum class CommitPath { kFast, kMerged, kEmpty };

struct Committed {
  std::uint64_t version = 0;
  std::optional<CommitPath> path;  ///< nothing: not recorded (an execute() does not say)
};

struct Conflict {
  std::string path;  ///< "" is the global version (strict mode)
  std::uint64_t expected = 0;
  std::uint64_t found = 0;
};

struct Busy {};

enum class Rejection { kEmptyPath, kBadPath, kUnderScalar, kFutureVersion };

struct Rejected {
  Rejection reason = Rejection::kBadPath;
};

/// An execute() that ended without a commit: deadline, stop, attempt limit, exception.
struct GaveUp {};

using StoreResponse =
    std::variant<ValueRead, VersionIs, SnapshotIs, Committed, Conflict, Busy, Rejected, GaveUp>;

// --- the specification ---

struct StoreState {
  std::uint64_t version = 0;
  std::map<std::string, Scalar> leaves;          ///< M2
  std::map<std::string, std::uint64_t> changed;  ///< M4: path to the version that stamped it; absent is 0
};

struct StoreRules {
  bool strict = false;
  bool validate_reads = false;
  bool gate_may_close = true;  ///< M7
};

class StoreSpec {
 public:
  using State = StoreState;
  using Operation = StoreOperation;
  using Response = StoreResponse;

  explicit StoreSpec(StoreRules rules = {}) : rules_(rules) {}

  std::optional<Illegal> advance(State& state, const Operation& operation, const Response* response) const;
  Response perform(State& state, const Operation& operation) const;

  /// True if the operation with this response changes no state, wherever it is legal.
  static bool observes_only(const Operation& operation, const Response* response);

  /// A total order of states, for tables.
  static int compare(const State& left, const State& right);

  const StoreRules& rules() const { return rules_; }

 private:
  StoreRules rules_;
};

/// What `path` holds in this state (M2).
std::optional<Subtree> read(const StoreState& state, const std::string& path);

/// Why the path is none, if it is none (M1).
std::optional<Rejection> flaw_of(const std::string& path);

/// The writes that a body makes on this state.
std::vector<Write> run_body(const StoreState& state, const Execute& execute);

std::string describe(const StoreOperation& operation);
std::string describe(const StoreResponse& response);
std::string describe(const StoreState& state);

}  // namespace touchstone::model
