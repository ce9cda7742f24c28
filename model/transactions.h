#pragma once
// A recorded history of transactions on many keys: what each read and wrote, when, and how it ended.
//
//   TransactionHistory history(Objects::kLists);
//   TransactionBuilder t1 = history.begin("1", 10);
//   t1.append("x", 1);
//   t1.read_list("y", {3, 4});
//   t1.end(20, Outcome::kOk);
//   IsolationVerdict verdict = check_isolation(history);     // isolation.h
//
// Rules, cited by number by the checker and the formats:
//   T1  Times are as in history.h: closed intervals of one clock. kOk: committed. kFail: aborted, nothing of it may be seen.
//       kUnknown and kPending: committed if anybody saw something of it, else left out.
//   T2  Lists: a write appends a value, a read gives the whole list; no value is appended twice to a key. Then the longest read
//       of a key tells the order of its versions, and every read says whose append it saw last (Kingsbury and Alvaro 2020).
//   T3  Registers: a read gives the last value; no value is written twice to a key; each committed transaction that writes tells
//       its commit version, and those order the versions of every key. nil is what a key held before.
//   T4  The operations of a transaction are in the order in which it made them. A read without a result says nothing.
// Single-threaded; a value that moves cheaply.

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/history.h"

namespace touchstone::model {

enum class Objects : std::uint8_t { kLists, kRegisters };

using TransactionNumber = std::uint32_t;

struct MicroOperation {
  enum class Kind : std::uint8_t { kRead, kWrite };

  Kind kind = Kind::kRead;
  bool known = true;  ///< a read's result is
  KeyId key = 0;
  ValueId value = kNil;  ///< written or appended; what a register's read saw
  std::uint32_t first =
      0;  ///< of a list's read: its elements are TransactionHistory::elements[first, first + count)
  std::uint32_t count = 0;
};

struct Transaction {
  ClientId client = 0;
  std::int64_t invoked = 0;
  std::int64_t returned = kNever;
  Outcome outcome = Outcome::kPending;
  std::uint64_t version = kNoVersion;  ///< of the commit (T3)
  std::uint32_t first = 0;  ///< its operations are TransactionHistory::operations[first, first + count)
  std::uint32_t count = 0;
};

struct TransactionHistory;

/// Adds one transaction; those of one history are added one after the other.
class TransactionBuilder {
 public:
  void append(std::string_view key, const Scalar& value) { write(key, value); }
  void write(std::string_view key, const Scalar& value);
  void read_list(std::string_view key, const std::vector<Scalar>& elements);
  void read_value(std::string_view key, const std::optional<Scalar>& value);
  void read_unknown(std::string_view key);
  void end(std::int64_t returned, Outcome outcome, std::uint64_t version = kNoVersion);

 private:
  friend struct TransactionHistory;
  TransactionBuilder(TransactionHistory& history, std::string_view client, std::int64_t invoked);
  MicroOperation& add(MicroOperation::Kind kind, std::string_view key);

  TransactionHistory& history_;
  Transaction transaction_;
};

struct TransactionHistory {
  explicit TransactionHistory(Objects objects_of_history = Objects::kLists) : objects(objects_of_history) {}

  TransactionHistory(TransactionHistory&&) = default;
  TransactionHistory& operator=(TransactionHistory&&) = default;
  TransactionHistory(const TransactionHistory&) = delete;  // the tables point into themselves
  TransactionHistory& operator=(const TransactionHistory&) = delete;

  TransactionBuilder begin(std::string_view client, std::int64_t invoked) { return {*this, client, invoked}; }

  Objects objects;
  std::vector<Transaction> transactions;
  std::vector<MicroOperation> operations;
  std::vector<ValueId> elements;
  NameTable clients;
  NameTable keys;
  ValueTable values;
};

/// "T3 (client 2): append x 1, read y [3 4]". Long lists are cut.
std::string describe(const TransactionHistory& history, TransactionNumber number);

}  // namespace touchstone::model
