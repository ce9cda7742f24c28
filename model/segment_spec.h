#pragma once
// The sequential specification of shared memory segments: which names exist, and who may make them go.
//
//   SegmentSpec spec;
//   SegmentState state;
//   spec.perform(state, StartMain{.process = 1, .pid = 4711, .session = "s"});
//   auto named = spec.perform(state, Allocate{.process = 1, .key = "frame", .content = 7});  // Named
//   spec.perform(state, Kill{1});
//   auto reaped = spec.perform(state, Reap{.process = 2});   // Reaped{{"theus:s:4711:frame"}}
//
// Rules, cited by number in the code:
//   G1  A segment's name is theus:{session}:{pid}:{key}, with the pid of the process that allocates it. In
//       the key '/', NUL, '%', control bytes and a leading '~' are percent-encoded; 255 bytes in all at most.
//       An empty key and a session that is empty or has ':', '/' or NUL are errors.
//   G2  Only a main allocates, replaces and frees, and only its own; a fork child is a worker until
//       become_main(). An existing name is never adopted.
//   G3  Attachers read the generation that they attached, whatever comes later.
//   G4  An orderly end of a main removes its segments; a kill, and the end of a worker, remove nothing.
//   G5  (Rule R) A reaper removes exactly the segments whose owner is dead. Liveness is the process's, not
//       its pid's: a pid may be in use again.
// A `process` is one run of one process and never used again; a `pid` is what the system calls it.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "model/spec.h"

namespace touchstone::model {

using ProcessId = std::uint32_t;

// --- operations ---

struct StartMain {
  ProcessId process = 0;
  std::uint32_t pid = 0;
  std::string session;
};

/// A child by fork, or a pool worker: no main until it becomes one.
struct Fork {
  ProcessId parent = 0;
  ProcessId child = 0;
  std::uint32_t pid = 0;
};

struct BecomeMain {
  ProcessId process = 0;
};

struct Allocate {
  ProcessId process = 0;
  std::string key;
  std::uint64_t content = 0;
};

struct Replace {
  ProcessId process = 0;
  std::string key;
  std::uint64_t content = 0;
};

/// By name, so that a process may try it on another's.
struct Free {
  ProcessId process = 0;
  std::string name;
};

struct Attach {
  ProcessId process = 0;
  std::string name;
};

struct Shutdown {
  ProcessId process = 0;
};

struct Kill {
  ProcessId process = 0;
};

/// Removes the orphans of one session, or of all.
struct Reap {
  ProcessId process = 0;
  std::optional<std::string> session;
};

/// The names that exist, sorted.
struct List {};

using SegmentOperation =
    std::variant<StartMain, Fork, BecomeMain, Allocate, Replace, Free, Attach, Shutdown, Kill, Reap, List>;

// --- responses ---

struct Done {
  friend bool operator==(const Done&, const Done&) = default;
};

struct Named {
  std::string name;
  friend bool operator==(const Named&, const Named&) = default;
};

struct Attached {
  std::uint64_t generation = 0;
  std::uint64_t content = 0;
  friend bool operator==(const Attached&, const Attached&) = default;
};

struct Names {
  std::vector<std::string> names;
  friend bool operator==(const Names&, const Names&) = default;
};

enum class Refusal { kNotMain, kNotCreator, kExists, kNoSuchSegment, kBadKey, kBadSession };

struct Refused {
  Refusal reason = Refusal::kNotMain;
  friend bool operator==(const Refused&, const Refused&) = default;
};

using SegmentResponse = std::variant<Done, Named, Attached, Names, Refused>;

// --- the specification ---

struct Process {
  std::uint32_t pid = 0;
  std::string session;
  bool main = false;
  bool alive = true;
  friend bool operator==(const Process&, const Process&) = default;
};

struct Segment {
  ProcessId owner = 0;
  std::uint64_t generation = 1;
  std::uint64_t content = 0;
  friend bool operator==(const Segment&, const Segment&) = default;
};

struct SegmentState {
  std::map<ProcessId, Process> processes;
  std::map<std::string, Segment> segments;
  friend bool operator==(const SegmentState&, const SegmentState&) = default;
};

class SegmentSpec {
 public:
  using State = SegmentState;
  using Operation = SegmentOperation;
  using Response = SegmentResponse;

  std::optional<Illegal> advance(State& state, const Operation& operation, const Response* response) const;
  Response perform(State& state, const Operation& operation) const;

  static bool observes_only(const Operation& operation, const Response* response);
  static int compare(const State& left, const State& right);
};

/// G1; nothing if the key or the session will not do.
std::optional<std::string> segment_name(const std::string& session, std::uint32_t pid,
                                        const std::string& key);

bool good_session(const std::string& session);

std::string describe(const SegmentOperation& operation);
std::string describe(const SegmentResponse& response);
std::string describe(const SegmentState& state);

}  // namespace touchstone::model
