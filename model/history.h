#pragma once
// A recorded history: what clients called, when, and what they were told.
//
//   History history(HistoryKind::kCell);
//   Operation put{.invoked = 10, .returned = 20, .client = history.client("1"), .key = history.key("x")};
//   put.function = Function::kWrite;
//   put.argument = history.value(Scalar{std::int64_t{7}});
//   history.operations.push_back(put);                           // any order; the checker sorts
//   history.add_store("1", 10, 20, ReadVersion{}, VersionIs{0});  // of a kStore history
//
// Rules, cited by number by the checker and the formats:
//   H1  Times are any clock of one total order (nanoseconds, line numbers). Intervals are closed: operations
//       that touch (one returns at the very time at which another is invoked) are concurrent.
//   H2  kOk: it happened, and the response is what is recorded. kFail: it happened as an observation and
//       changed nothing (a compare-and-set that found another value). kUnknown and kPending: it may have
//       taken effect at any time after its invocation, or never; `returned` is kNever. What certainly did not
//       happen is not recorded at all.
//   H3  A client has one operation open at a time; after an unknown outcome it never appears again. The
//       checker does not need this; the formats hold it.
//   H4  A cell history is of independent keys (reads, writes, compare-and-sets, appends of values; `initial`
//       before the first write), so it is checked key by key. Every other kind is one partition.
//   H5  A version in a cell history is the number of the mutation of that key: 0 initially, dense.
// Single-threaded; a value that moves cheaply. Values, keys and clients are numbers into its own tables.

#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "model/segment_spec.h"
#include "model/store_spec.h"
#include "model/ticket_spec.h"
#include "model/value.h"

namespace touchstone::model {

enum class HistoryKind : std::uint8_t { kCell, kStore, kTicket, kSegment };

enum class Outcome : std::uint8_t { kOk, kFail, kUnknown, kPending };

enum class Function : std::uint8_t {
  kRead,
  kWrite,
  kCas,         ///< by value: `expected` to `argument`
  kCasVersion,  ///< by version: from `base` to `argument`
  kAppend,      ///< to a string; nil counts as ""
  kCall,        ///< an operation of another specification: `argument` is its number among the calls
};

using ValueId = std::uint32_t;
using KeyId = std::uint32_t;
using ClientId = std::uint32_t;

inline constexpr ValueId kNil = 0;  ///< no value: what a register holds before its first write
inline constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
inline constexpr std::uint64_t kNoVersion = std::numeric_limits<std::uint64_t>::max();

struct Operation {
  std::int64_t invoked = 0;
  std::int64_t returned = kNever;
  ClientId client = 0;
  KeyId key = 0;
  ValueId argument = kNil;  ///< what a write, a compare-and-set or an append brings; the number of a call
  ValueId expected = kNil;  ///< of kCas
  ValueId observed = kNil;  ///< what a read saw
  Function function = Function::kRead;
  Outcome outcome = Outcome::kOk;
  std::uint64_t base = kNoVersion;     ///< of kCasVersion
  std::uint64_t version = kNoVersion;  ///< what a read saw, a mutation made, a failed kCasVersion found (H5)

  bool completed() const { return outcome == Outcome::kOk || outcome == Outcome::kFail; }
};

template <class Specification>
struct Call {
  typename Specification::Operation operation;
  std::optional<typename Specification::Response> response;  ///< nothing: nobody saw it (H2)
};

/// Names in order of first appearance, as numbers.
class NameTable {
 public:
  std::uint32_t id(std::string_view name);
  std::optional<std::uint32_t> find(std::string_view name) const;
  const std::string& name(std::uint32_t id) const { return names_[id]; }
  std::size_t size() const { return names_.size(); }

 private:
  std::deque<std::string> names_;
  std::unordered_map<std::string_view, std::uint32_t> ids_;
};

/// Scalars as numbers from 1; 0 is kNil.
class ValueTable {
 public:
  ValueTable();
  ValueId id(const Scalar& value);
  const Scalar& scalar(ValueId id) const { return values_[id]; }
  std::string describe(ValueId id) const { return id == kNil ? "nil" : model::describe(values_[id]); }
  std::size_t size() const { return values_.size(); }

 private:
  std::deque<Scalar> values_;
  std::unordered_map<std::int64_t, ValueId> whole_;
  std::unordered_map<std::string_view, ValueId> texts_;
  std::unordered_map<std::uint64_t, ValueId> doubles_;  ///< by their bits
  ValueId flags_[2] = {kNil, kNil};
};

struct History {
  explicit History(HistoryKind kind_of_history = HistoryKind::kCell) : kind(kind_of_history) {}

  History(History&&) = default;
  History& operator=(History&&) = default;
  History(const History&) = delete;  // the tables point into themselves
  History& operator=(const History&) = delete;

  ClientId client(std::string_view name) { return clients.id(name); }
  KeyId key(std::string_view name) { return keys.id(name); }
  ValueId value(const Scalar& scalar) { return values.id(scalar); }

  /// Appends a call of another specification; without a response its outcome is unknown and `returned` counts
  /// for nothing.
  void add_store(std::string_view client_name, std::int64_t invoked, std::int64_t returned,
                 StoreOperation operation, std::optional<StoreResponse> response);
  void add_ticket(std::string_view client_name, std::int64_t invoked, std::int64_t returned,
                  TicketOperation operation, std::optional<TicketResponse> response);
  void add_segment(std::string_view client_name, std::int64_t invoked, std::int64_t returned,
                   SegmentOperation operation, std::optional<SegmentResponse> response);

  HistoryKind kind;
  std::vector<Operation> operations;
  NameTable clients;
  NameTable keys;
  ValueTable values;
  ValueId initial = kNil;  ///< of every cell

  std::vector<Call<StoreSpec>> store_calls;
  std::vector<Call<TicketSpec>> ticket_calls;
  std::vector<Call<SegmentSpec>> segment_calls;
  StoreRules store_rules;
  TicketRules ticket_rules;
};

/// "write(3) by client 2", "read of x by client 1 = nil".
std::string describe(const History& history, const Operation& operation);

}  // namespace touchstone::model
