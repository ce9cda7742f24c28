#pragma once
// What a store can be told. The default is what the source promises: Smart CAS, back-off and the priority
// ticket, all on.

#include <functional>
#include <string>

#include "engine/result.h"
#include "engine/value.h"

namespace touchstone::engine {

enum class Mode : std::uint8_t {
  smart,  ///< a stale expected version conflicts only when the footprint changed
  strict  ///< any stale expected version conflicts
};

/// What the turn of a worker with priority keeps others from.
enum class Policy : std::uint8_t {
  ticket,  ///< every commit, as the source says (engine/ticket.h)
  key_queue  ///< commits that overlap what this worker commits (engine/key_queue.h); in strict mode that is every commit
};

/// Something a committed body wants the world to know: an event, an outbox entry.
struct Effect {
  std::string topic;
  Value payload;
  Version version;  ///< of the commit that caused it
};

struct StoreOptions {
  Mode mode = Mode::smart;
  bool validate_reads = false;  ///< serializable instead of snapshot isolation

  bool backoff = true;
  Duration backoff_base = std::chrono::milliseconds(1);
  int backoff_cap = 5;  ///< the wait stops growing after this retry: 32 ms with a base of 1 ms

  bool ticket = true;  ///< workers that fail too often get priority
  Policy policy = Policy::ticket;
  int ticket_threshold = 5;  ///< consecutive conflicts that earn the ticket
  int busy_limit = 8;        ///< gate closings waited out that earn it too
  Duration lease_least =
      std::chrono::milliseconds(50);  ///< the window; longer for a holder whose attempts are long
  int lease_factor = 4;               ///< of the holder's longest attempt
  int lease_renewals = 3;             ///< for a holder that loops by hand

  std::uint64_t seed = 0;  ///< of the jitter

  /// Receives the effects of each committed body, once, in program order, on the committing thread.
  std::function<void(const Effect&)> sink = {};
};

}  // namespace touchstone::engine
