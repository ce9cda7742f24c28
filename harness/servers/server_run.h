#pragma once
// Clients of a transactional server on native threads, and what they were told: histories for the checkers, counts of
// conflicts.
//
//   model::History cells = record_cells(server, level, stream, {});              // linearizability, key by key
//   model::TransactionHistory lists = record_transactions(server, level, stream, {});
//   ServerContention contended = measure_contention(server, level, ContentionPolicy::ticket, stream);
//
// What is lost is unknown in the history, and its client goes on under another name. Thread safety: one thread, which also
// makes the faults; the clients' threads start and end inside.

#include <cstdint>
#include <functional>

#include "harness/seed.h"
#include "harness/servers/contention_layer.h"
#include "harness/servers/transactional.h"
#include "model/history.h"
#include "model/transactions.h"

namespace touchstone::harness {

struct ServerRunShape {
  int clients = 6;
  int transactions = 40;  ///< of each client
  int keys = 4;
  std::size_t fault_every =
      0;  ///< calls that have ended between two faults; an odd one, which mends, comes after two seconds at the latest
  std::function<void(std::size_t)> fault = {};  ///< the nth, on the caller's thread
  std::function<void()> ended = {};  ///< the clients have: the faults may, before what is read last
};

model::History record_cells(Server& server, const ServerLevel& level, Stream& stream,
                            const ServerRunShape& shape);

model::TransactionHistory record_transactions(Server& server, const ServerLevel& level, Stream& stream,
                                              const ServerRunShape& shape);

struct ServerContention {
  std::uint64_t commits = 0;
  std::uint64_t conflicts = 0;
  std::uint64_t most_in_a_row = 0;  ///< conflicts of one client
  double seconds = 0;
};

/// Eight clients that add to one counter.
ServerContention measure_contention(Server& server, const ServerLevel& level, ContentionPolicy policy,
                                    Stream& stream);

/// Attempts until every client has committed something again; nothing if one has not within `bound`.
std::optional<int> attempts_until_progress(Server& server, const ServerLevel& level, int clients, int bound);

}  // namespace touchstone::harness
