#pragma once
// The sequential specification of priority, by the ticket and by the queue per key: who is in the queue, and whose turn it is.
//
//   TicketSpec spec;
//   TicketState state;
//   for (int i = 0; i < 5; ++i) standing = spec.perform(state, {worker, TicketEvent::kConflicted});
//   // std::get<TicketStanding>(standing).place == Place::kHolding
//   auto refused = spec.perform(state, {other, TicketEvent::kSubmitted});  // Admission::kBusy
//
// Rules, cited by number in the code:
//   T1  A worker counts its consecutive conflicts. A success resets the count. Busy never counts.
//   T2  The conflict that makes the count `grant_at` (5) puts the worker into the queue; so does waiting out
//       `busy_limit` (8) closings of the gate in one execute().
//   T3  The queue is first come, first served: a worker's age is given when it first joins and kept until a
//       success or until it leaves. The oldest holds the gate as soon as nobody else does.
//   T4  Every holding has a new fencing number, one more than the last.
//   T5  While the gate is held, a submitted commit of anybody else is Busy; the holder's is admitted.
//   T6  The holder's success, and a worker's leaving, give the gate up; the next in the queue has it at once.
//   T7  An expired holder loses the gate, keeps its age, and joins again with its next conflict or Busy; its
//       lease is doubled each time. Nothing it does later can touch its successor's holding.
// By key, a worker queues for the paths that its commit validates, and "the gate" is the gate of these:
//   T8  Two workers are in each other's way if a path of one is a path of the other, or above or below one. A
//       turn begins when nobody in its way holds or is older; turns out of each other's way go on at once. Busy
//       is only who is in a holder's way.
//   T9  A worker in the queue, or in its turn, whose commit of other paths conflicts or is Busy, gives up its
//       place for the old ones and queues for these, with its age.
// The model leaves out: time (an expiry is an event), the length of a lease beyond its number of doublings.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "model/spec.h"

namespace touchstone::model {

using WorkerId = std::uint32_t;

enum class TicketEvent {
  kConflicted,  ///< its commit conflicted
  kCommitted,   ///< its commit succeeded
  kSubmitted,   ///< it brings a non-empty commit to the gate
  kWaitedOut,   ///< it waited out one closing of the gate
  kExpired,     ///< its lease ran out
  kLeft,        ///< it ended without a commit: exception, cancel, nothing to write, destroyed handle
  kSentBack,    ///< its commit was Busy
};

struct TicketOperation {
  WorkerId worker = 0;
  TicketEvent event = TicketEvent::kSubmitted;
  std::set<std::string> paths = {};  ///< by key: what its commit validates, or would have next
};

enum class Place { kFree, kQueued, kHolding };

struct TicketStanding {
  Place place = Place::kFree;
  std::uint64_t fence = 0;  ///< of its holding; 0 otherwise

  friend bool operator==(const TicketStanding&, const TicketStanding&) = default;
};

enum class Admission { kAdmitted, kBusy };

/// A standing after every event but kSubmitted, which is answered by an admission.
using TicketResponse = std::variant<TicketStanding, Admission>;

struct TicketWorker {
  std::uint32_t conflicts = 0;
  std::uint32_t closings = 0;
  std::uint32_t expiries = 0;
  std::uint64_t age = 0;  ///< 0: never joined since its last success
  bool queued = false;
  std::uint64_t fence = 0;      ///< of its turn; 0: it has none
  std::set<std::string> paths;  ///< by key: what it queues for, or holds

  friend bool operator==(const TicketWorker&, const TicketWorker&) = default;
};

struct TicketState {
  std::map<WorkerId, TicketWorker> workers;
  std::uint64_t fence = 0;
  std::uint64_t last_age = 0;

  friend bool operator==(const TicketState&, const TicketState&) = default;
};

struct TicketRules {
  std::uint32_t grant_at = 5;
  std::uint32_t busy_limit = 8;
  bool by_key = false;
};

class TicketSpec {
 public:
  using State = TicketState;
  using Operation = TicketOperation;
  using Response = TicketResponse;

  explicit TicketSpec(TicketRules rules = {}) : rules_(rules) {}

  std::optional<Illegal> advance(State& state, const Operation& operation, const Response* response) const;
  Response perform(State& state, const Operation& operation) const;

  static bool observes_only(const Operation& operation, const Response* response);
  static int compare(const State& left, const State& right);

  /// The oldest whose turn keeps out a commit of these paths by this worker (T5, T8).
  std::optional<WorkerId> barred_by(const State& state, WorkerId worker,
                                    const std::set<std::string>& paths) const;

 private:
  bool in_the_way(const std::set<std::string>& some, const std::set<std::string>& others) const;
  void grant(State& state) const;
  void join(State& state, WorkerId id, const std::set<std::string>& paths) const;
  void retire(State& state, WorkerId id) const;

  TicketRules rules_;
};

/// The queue without the holders, oldest first.
std::vector<WorkerId> queue_of(const TicketState& state);

/// Whose turn it is, oldest first: with the ticket one at most.
std::vector<WorkerId> holders_of(const TicketState& state);

TicketStanding standing_of(const TicketState& state, WorkerId worker);

std::string describe(const TicketOperation& operation);
std::string describe(const TicketResponse& response);
std::string describe(const TicketState& state);

}  // namespace touchstone::model
