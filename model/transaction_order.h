#pragma once
// What the values of a history of transactions tell: which committed, the versions of each key in their order, which version each
// read saw; and what no order explains.
//
//   TransactionOrder order(history);
//   if (!order.inapplicable().empty()) ...             // values are not unique, or a commit tells no version (T2, T3)
//   for (const VersionRead& read : order.reads()) ...
//   DependencyGraph graph = order.graph();
//
// Rules, cited by number in the code:
//   O1  A transaction of unknown outcome committed if a committed one saw a value of it; otherwise it is left out.
//   O2  Of a read behind own writes what is before them makes the edges. That own writes are last is checked, and the whole list tells
//       the order, as any other read does: it is the version that the transaction made.
//   O3  Position p of a key is the state behind its first p versions. Versions that were made by aborted transactions are found, and
//       make no edges.
//   O4  Appends that nobody read come behind all that were read, in an order that is open. Edges are those of every such order;
//       so a cycle always refutes, and serializability is decided exactly. Of levels that forbid concurrent writers only what
//       the edges and the lost updates of two readers of one version show is found.
// Cost: O(values read + writes), expected (hash tables). The history must outlive it. Not thread-safe while it is built.

#include <string>
#include <unordered_map>
#include <vector>

#include "model/dependency_graph.h"

namespace touchstone::model {

/// What needs no cycle to be wrong.
enum class DirectFault : std::uint8_t {
  kInternal,           ///< it does not see its own writes, or sees them before it made them
  kGarbage,            ///< nobody wrote the value
  kDuplicate,          ///< a list with one element twice
  kIncompatibleOrder,  ///< two reads of which neither is the beginning of the other
  kAbortedRead,        ///< Adya's G1a
  kIntermediateRead,   ///< Adya's G1b
  kLostUpdate,         ///< two transactions read one version and both replaced it
};

struct DirectFinding {
  DirectFault fault = DirectFault::kInternal;
  KeyId key = 0;
  ValueId value = kNil;
  TransactionNumber reader = 0;
  TransactionNumber other = 0;  ///< the writer, or the other reader; the reader itself where there is none
};

struct Version {
  static constexpr TransactionNumber kNobody = ~TransactionNumber{0};

  TransactionNumber writer = kNobody;  ///< kNobody: a garbage read, found as such
  ValueId value = kNil;
  bool last = true;  ///< of its writer's on this key
};

struct VersionRead {
  TransactionNumber reader = 0;
  KeyId key = 0;
  std::uint32_t position = 0;  ///< O3
};

class TransactionOrder {
 public:
  explicit TransactionOrder(const TransactionHistory& history);

  const std::string& inapplicable() const { return inapplicable_; }
  const std::vector<TransactionNumber>& committed() const { return committed_; }
  const std::vector<DirectFinding>& findings() const { return findings_; }
  const std::vector<VersionRead>& reads() const { return reads_; }

  /// The version at a position of a key, from 1.
  const Version& version(KeyId key, std::uint32_t position) const {
    return keys_[key].versions[position - 1];
  }

  DependencyGraph graph() const;

 private:
  struct KeyVersions {
    std::vector<Version> versions;
    std::uint32_t ordered = 0;                  ///< the others were never read (O4)
    std::uint32_t longest = ~std::uint32_t{0};  ///< the external read with the most elements, among external_
  };

  /// What a committed transaction saw of a key that others left (O2).
  struct External {
    TransactionNumber reader = 0;
    KeyId key = 0;
    ValueId value = kNil;
    std::uint32_t first = 0;
    std::uint32_t count = 0;  ///< of elements that others left
    std::uint32_t whole = 0;  ///< with its own behind them
  };

  struct Writer {
    TransactionNumber transaction = 0;
    bool last = true;
  };

  /// True if the version makes edges (O3).
  bool counts(const Version& it) const { return it.writer != Version::kNobody && counts_[it.writer]; }

  const Writer* writer_of(KeyId key, ValueId value) const;
  void index_writes();
  void gather_reads();
  void take_read(TransactionNumber reader, const MicroOperation& read, const std::vector<ValueId>& own);
  void order_lists();
  void order_registers();
  void place_lists();
  void place_registers();
  void judge_elements(const External& read);
  void judge_seen(const External& read, ValueId value, bool newest);
  void settle_committed();
  void add_unread();
  void find_lost_updates();
  void report(DirectFault fault, KeyId key, ValueId value, TransactionNumber reader, TransactionNumber other);
  bool is_prefix(const External& read, const External& of) const;
  void connect_key(KeyId key, DependencyGraph& graph) const;
  void connect_unread(KeyId key, const std::vector<TransactionNumber>& readers, DependencyGraph& graph) const;

  const TransactionHistory& history_;
  std::string inapplicable_;
  std::unordered_map<std::uint64_t, Writer> writers_;  ///< by key and value
  std::vector<bool> counts_;                           ///< by transaction: it is committed
  std::vector<TransactionNumber> committed_;
  std::vector<External> external_;
  std::vector<VersionRead> reads_;
  std::vector<KeyVersions> keys_;
  std::vector<DirectFinding> findings_;
};

}  // namespace touchstone::model
