#pragma once
// What the store answers. Results are types: std::visit them, or ask std::holds_alternative.

#include <cstdint>
#include <exception>
#include <string>
#include <variant>

#include "engine/error.h"
#include "engine/platform.h"

namespace touchstone::engine {

/// A commit version: dense, 0 before the first commit.
using Version = std::uint64_t;

/// How a commit was validated: `fast` when nothing was committed since its expected version, `merged` when
/// only its own footprint was unchanged, `empty` when it wrote nothing and made no version.
enum class CommitPath : std::uint8_t { empty, fast, merged };

struct Committed {
  Version version = 0;
  CommitPath path = CommitPath::empty;
};

/// Where a worker stands with the priority ticket.
enum class TicketStatus : std::uint8_t { none, queued, holding };

/// Somebody else wrote the footprint since the expected version.
struct Conflict {
  std::string path;  ///< the path that changed; empty in strict mode, where the global version is what counts
  Version expected;
  Version found;        ///< the version that changed it
  TicketStatus ticket;  ///< what the caller's failures have earned it
};

/// The admission gate is closed for another worker's ticket ("System Busy"). Not a conflict: nothing was
/// decided.
struct Busy {
  Duration retry_after;  ///< the gate's lease ends after this at the latest
};

using CommitResult = std::variant<Committed, Conflict, Busy, Rejected>;

/// execute() ended early; nothing was committed and its ticket was given back.
struct Cancelled {};
struct DeadlineExceeded {};
struct AttemptsExhausted {};

/// What one execute() went through.
struct Effort {
  int attempts = 0;         ///< body runs
  int conflicts = 0;        ///< attempts that failed validation
  int expiries = 0;         ///< of its own leases
  int closings_waited = 0;  ///< waits for the gate to open, and turns of others before its own in the queue
  Duration waited{0};       ///< in back-off and at the gate
};

struct ExecuteResult {
  std::variant<Committed, Cancelled, DeadlineExceeded, AttemptsExhausted, Rejected> outcome{};
  Effort effort{};
  std::exception_ptr effect_error{};  ///< what the sink threw, if it did; the commit stands

  bool committed() const { return std::holds_alternative<Committed>(outcome); }
};

}  // namespace touchstone::engine
