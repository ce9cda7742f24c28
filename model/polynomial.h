#pragma once
// The methods that decide a partition of cells in polynomial time, where its operations allow it.
//
//   PolynomialResult result = check_versions(history, numbers, witness);
//   if (!result.applies) result = check_unique_values(history, numbers, scratch, witness);
//   if (!result.applies) ...                             // the general searches
//
// check_versions (O(n log c) for c clients): every operation tells the version it saw or made, so the order
// is
//   given; what remains is that it agrees with real time and with the values. (Gibbons and Korach 1997,
//   Theorem 4.13: the write order is known.)
// check_unique_values (O(n log n)): reads and writes only, each value written once, so it is known whom each
// read
//   read from. A value's operations are one cluster with f = its first return and s = its last invocation.
//   Cluster B must come before A if f(B) < s(A); there is an order if and only if no two must come before
//   each other and no read returned before its write was invoked. (Gibbons and Korach 1997, Theorem 4.2; with
//   closed intervals the comparisons are strict. A longer cycle contains a cycle of two: the cluster with the
//   smallest f in it must come before all others of the cycle.)
// Both take the operations of one key in any order, and are exact: `applies` is false where they cannot tell.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/checker.h"

namespace touchstone::model {

struct PolynomialResult {
  bool applies = false;
  bool linearizable = false;
  std::vector<OperationNumber> witness;
  std::vector<OperationNumber> certificate;  ///< the operations that contradict each other
  std::string reason;
};

/// Room that check_unique_values() uses and leaves clean: one number for each value of the history.
class ValueScratch {
 public:
  explicit ValueScratch(const History& history) : cluster_(history.values.size(), kNone) {}

  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  std::uint32_t& operator[](ValueId value) { return cluster_[value]; }

 private:
  std::vector<std::uint32_t> cluster_;
};

PolynomialResult check_versions(const History& history, std::span<const OperationNumber> numbers,
                                bool witness);

PolynomialResult check_unique_values(const History& history, std::span<const OperationNumber> numbers,
                                     ValueScratch& scratch, bool witness);

}  // namespace touchstone::model
