#pragma once
// Which isolation levels a history of transactions keeps, and what breaks the others, in Adya's terms.
//
//   const IsolationVerdict verdict = check_isolation(history);
//   verdict.holds(Level::kSnapshot)                              // nothing in the history contradicts it
//   puts(verdict.anomalies.front().text.c_str());                // the shortest cycle, in words
//
// A level holds if the direct serialization graph has no cycle of the kinds that it forbids (edges: dependency_graph.h):
//   read uncommitted    G0: a cycle of ww                                             (PL-1, Adya 1999)
//   read committed      G1: aborted and intermediate reads, a cycle of ww and wr      (PL-2)
//   parallel snapshot   G-single: a cycle with one rw                                 (PL-2+; Cerone and Gotsman 2018)
//   snapshot            a cycle without two rw one behind the other                   (Cerone and Gotsman 2018, Theorem 10)
//   serializable        any cycle                                                     (PL-3)
// "session" adds the order in which each client made its transactions, "strong" (and "strict") real time. Without predicates
// repeatable read is serializable. An anomaly has the name of its cycle (G0, G1c, G-single, G-nonadjacent, G2-item; with -session or
// -realtime if it needs such an edge), and the popular one if it has one: lost update, write skew, long fork, ...
// Rules:
//   I1  A level that is said not to hold is refuted by the values that were seen. One that holds is not: the history shows no
//       contradiction (with what O4 of transaction_order.h says of appends that nobody read).
//   I2  For each kind of anomaly one cycle is given, the shortest; all of the work of looking for it is bounded, and what
//       it finds does not decide about a level: the components of the graph do.
//   I3  Where values do not tell the order (T2, T3 of transactions.h) there is no answer, and the reason is given.
// Cost: O(n + m) for the levels, n the values read and written; parallel snapshot, if snapshot fails, and the shortest cycles are
// bounded searches. Functions of their arguments: any thread.

#include <string>
#include <vector>

#include "model/transaction_order.h"

namespace touchstone::model {

enum class Level : std::uint8_t {
  kReadUncommitted,
  kReadCommitted,
  kParallelSnapshot,
  kSnapshot,
  kSessionSnapshot,
  kStrongSnapshot,
  kSerializable,
  kSessionSerializable,
  kStrictSerializable,
};

inline constexpr Level kLevels[] = {
    Level::kReadUncommitted, Level::kReadCommitted,       Level::kParallelSnapshot,
    Level::kSnapshot,        Level::kSessionSnapshot,     Level::kStrongSnapshot,
    Level::kSerializable,    Level::kSessionSerializable, Level::kStrictSerializable};

enum class AnomalyKind : std::uint8_t {
  kInternal,
  kGarbageRead,
  kDuplicateElements,
  kIncompatibleOrder,
  kG1a,
  kG1b,
  kLostUpdate,  ///< of appends that nobody read: without a cycle
  kG0,
  kG1c,
  kGSingle,
  kGNonadjacent,
  kG2Item,
};

/// The edge that a cycle cannot do without.
enum class Needs : std::uint8_t { kNothing, kSession, kRealTime };

/// One edge of a cycle, from its transaction to the next one's.
struct CycleEdge {
  TransactionNumber from = 0;
  Edge edge;
};

struct Anomaly {
  AnomalyKind kind = AnomalyKind::kG0;
  Needs needs = Needs::kNothing;
  std::string popular_name;                     ///< "write skew", "long fork", ...; "" if it has none
  std::vector<TransactionNumber> transactions;  ///< in the order of the cycle
  std::vector<CycleEdge> cycle;                 ///< empty where no cycle is needed
  std::string text;                             ///< name, transactions, and a sentence for each edge
};

struct IsolationVerdict {
  std::string inapplicable;  ///< I3; then no level is known to hold
  std::vector<Anomaly> anomalies;
  std::size_t committed = 0;
  bool exhausted =
      false;  ///< the bound of I2 was reached: parallel snapshot is not decided, and said not to hold

  bool holds(Level level) const { return (levels & (1U << static_cast<unsigned>(level))) != 0; }

  /// The levels that hold and that no other that holds implies.
  std::vector<Level> strongest() const;

  std::uint32_t levels = 0;  ///< bits
};

IsolationVerdict check_isolation(const TransactionHistory& history);

/// True if every history that keeps `stronger` keeps `weaker`.
bool implies(Level stronger, Level weaker);

const char* name(Level level);
const char* name(AnomalyKind kind);

/// "G-single-realtime (stale read)".
std::string title(const Anomaly& anomaly);

}  // namespace touchstone::model
