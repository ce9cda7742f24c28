#pragma once
// Random histories of cells: made by simulated clients on a right cell, and then, if asked, made wrong.
//
//   HistoryShape shape{.operations = 1000, .clients = 20, .values = 5};
//   shape.compare_and_sets = true;
//   Stream stream = Seed::of_process().stream("history");
//   model::History history = random_history(shape, stream);   // linearizable: shape.wrong is 0
//
// A closed loop of clients: each invokes, takes effect at a random later moment, and returns at a later one
// yet. With `wrong` > 0 some responses are replaced by arbitrary ones; the history may or may not be
// linearizable then. Times are the numbers of the events. A function of its arguments.

#include <cstdint>

#include "harness/seed.h"
#include "model/history.h"

namespace touchstone::harness {

struct HistoryShape {
  std::size_t operations = 5;
  std::size_t clients = 3;
  std::size_t keys = 1;
  std::size_t values = 2;  ///< 0: every written value is new
  bool compare_and_sets = false;
  bool appends = false;           ///< values are strings, the initial one is ""
  bool versions = false;          ///< responses tell versions, compare-and-sets are by version
  unsigned unknown_permille = 0;  ///< of the operations
  unsigned wrong_permille = 0;    ///< of the responses
};

model::History random_history(const HistoryShape& shape, Stream& stream);

/// The same, crowded: every operation has a client of its own, so any number is open at once, and times lie so close
/// that intervals touch. The initial value may be one of the others. With `wrong_permille` > 0 up to two responses are
/// wrong.
model::History random_crowded_history(const HistoryShape& shape, Stream& stream);

/// The same for one store of a few dotted paths: commits from fresh and stale versions, executes, reads, snapshots.
struct StoreHistoryShape {
  std::size_t operations = 5;
  std::size_t clients = 3;
  bool strict = false;
  bool validate_reads = false;
  unsigned unknown_permille = 0;
  unsigned wrong_permille = 0;
};

model::History random_store_history(const StoreHistoryShape& shape, Stream& stream);

}  // namespace touchstone::harness
