#include <algorithm>
#include <limits>

#include "model/polynomial.h"

namespace touchstone::model {
namespace {

constexpr std::int64_t kAlways = std::numeric_limits<std::int64_t>::min();
constexpr std::uint32_t kNone = ValueScratch::kNone;

/// A value's operations: its write and the reads that saw it.
struct Cluster {
  ValueId value = kNil;
  OperationNumber write = kNone;  ///< kNone: the initial value, or not yet found
  OperationNumber first = kNone;  ///< of the operation that returns first
  OperationNumber last = kNone;   ///< of the operation that is invoked last
  std::int64_t first_return = kNever;
  std::int64_t last_invocation = kAlways;
  bool read = false;

  bool forward() const { return first_return < last_invocation; }
  std::int64_t key() const { return std::min(first_return, last_invocation); }
};

class UniqueValues {
 public:
  UniqueValues(const History& history, std::span<const OperationNumber> numbers, ValueScratch& scratch)
      : history_(history), numbers_(numbers), scratch_(scratch) {}

  ~UniqueValues() {
    for (const Cluster& cluster : clusters_) scratch_[cluster.value] = kNone;
  }
  UniqueValues(const UniqueValues&) = delete;
  UniqueValues& operator=(const UniqueValues&) = delete;

  PolynomialResult run(bool witness) {
    PolynomialResult result;
    if (!gather_writes()) return result;
    result.applies = true;
    result.linearizable = gather_reads(result) && order(result);
    if (result.linearizable && witness) result.witness = spell_out();
    return result;
  }

 private:
  Cluster& cluster_of(ValueId value) {
    std::uint32_t& place = scratch_[value];
    if (place == kNone) {
      place = static_cast<std::uint32_t>(clusters_.size());
      clusters_.push_back({.value = value});
    }
    return clusters_[place];
  }

  void extend(Cluster& cluster, OperationNumber number) {
    const Operation& it = history_.operations[number];
    const std::int64_t returned = it.completed() ? it.returned : kNever;
    if (returned < cluster.first_return) {
      cluster.first_return = returned;
      cluster.first = number;
    }
    if (it.invoked > cluster.last_invocation) {
      cluster.last_invocation = it.invoked;
      cluster.last = number;
    }
  }

  /// False if the method does not apply.
  bool gather_writes() {
    Cluster& initial = cluster_of(history_.initial);
    initial.first_return = kAlways;
    for (const OperationNumber number : numbers_) {
      const Operation& it = history_.operations[number];
      if (it.version != kNoVersion) return false;
      if (it.function == Function::kRead) continue;
      if (it.function != Function::kWrite || it.argument == history_.initial) return false;
      Cluster& cluster = cluster_of(it.argument);
      if (cluster.write != kNone) return false;
      cluster.write = number;
      extend(cluster, number);
    }
    return true;
  }

  bool gather_reads(PolynomialResult& result) {
    for (const OperationNumber number : numbers_) {
      const Operation& it = history_.operations[number];
      if (it.function != Function::kRead || !it.completed()) continue;
      if (scratch_[it.observed] == kNone) {
        return refuse(result, {number}, "nobody ever writes " + history_.values.describe(it.observed));
      }
      Cluster& cluster = clusters_[scratch_[it.observed]];
      if (cluster.write != kNone && it.returned < history_.operations[cluster.write].invoked) {
        return refuse(result, {cluster.write, number},
                      history_.values.describe(it.observed) + " was read before its write was invoked");
      }
      cluster.read = true;
      extend(cluster, number);
    }
    return true;
  }

  /// Clusters by their place in an order, if there is one: what must come first has the smaller key, and of
  /// equal keys the backward zone.
  bool order(PolynomialResult& result) {
    for (std::uint32_t i = 0; i < clusters_.size(); ++i) {
      if (matters(clusters_[i])) order_.push_back(i);
    }
    std::sort(order_.begin(), order_.end(), [&](std::uint32_t a, std::uint32_t b) {
      const Cluster& left = clusters_[a];
      const Cluster& right = clusters_[b];
      if (left.key() != right.key()) return left.key() < right.key();
      return !left.forward() && right.forward();
    });
    const Cluster* zone = nullptr;  // the forward zone before
    for (const std::uint32_t place : order_) {
      const Cluster& cluster = clusters_[place];
      if (zone != nullptr && cluster.first_return < zone->last_invocation &&
          zone->first_return < cluster.last_invocation) {
        return refuse_pair(result, *zone, cluster);
      }
      if (cluster.forward()) zone = &cluster;
    }
    return true;
  }

  /// A write whose outcome nobody knows and whose value nobody saw may as well not have happened.
  bool matters(const Cluster& cluster) const {
    if (cluster.write == kNone || cluster.read) return true;
    return history_.operations[cluster.write].completed();
  }

  bool refuse(PolynomialResult& result, std::vector<OperationNumber> certificate, std::string reason) {
    result.certificate = std::move(certificate);
    result.reason = std::move(reason);
    return false;
  }

  bool refuse_pair(PolynomialResult& result, const Cluster& left, const Cluster& right) {
    std::vector<OperationNumber> certificate;
    for (const OperationNumber number : {left.first, left.last, right.first, right.last}) {
      const bool known = std::find(certificate.begin(), certificate.end(), number) != certificate.end();
      if (number != kNone && !known) certificate.push_back(number);
    }
    const std::string a = history_.values.describe(left.value);
    const std::string b = history_.values.describe(right.value);
    return refuse(result, std::move(certificate),
                  "the cell must have held " + a + " both before and after it held " + b);
  }

  std::vector<OperationNumber> spell_out() const {
    std::vector<std::uint32_t> rank(clusters_.size(), kNone);
    for (std::uint32_t i = 0; i < order_.size(); ++i) rank[order_[i]] = i;
    std::vector<std::uint32_t> start(order_.size() + 1, 0);
    const auto cluster_of_read = [&](OperationNumber number) {
      return rank[scratch_[history_.operations[number].observed]];
    };
    const auto is_read = [&](OperationNumber number) {
      return history_.operations[number].function == Function::kRead &&
             history_.operations[number].completed();
    };
    for (std::uint32_t i = 0; i < order_.size(); ++i)
      start[i + 1] = clusters_[order_[i]].write != kNone ? 1 : 0;
    for (const OperationNumber number : numbers_) {
      if (is_read(number)) ++start[cluster_of_read(number) + 1];
    }
    for (std::size_t i = 1; i < start.size(); ++i) start[i] += start[i - 1];
    std::vector<OperationNumber> witness(start.back());
    for (std::uint32_t i = 0; i < order_.size(); ++i) {
      if (clusters_[order_[i]].write != kNone) witness[start[i]++] = clusters_[order_[i]].write;
    }
    for (const OperationNumber number : numbers_) {
      if (is_read(number)) witness[start[cluster_of_read(number)]++] = number;
    }
    return in_real_time(std::move(witness));
  }

  /// Reads of one value stand together, behind their write; among themselves they keep real time.
  std::vector<OperationNumber> in_real_time(std::vector<OperationNumber> witness) const {
    const auto is_read = [&](OperationNumber number) {
      return history_.operations[number].function == Function::kRead;
    };
    for (auto begin = witness.begin(); begin != witness.end();) {
      const auto end = std::find_if_not(begin, witness.end(), is_read);
      std::stable_sort(begin, end, [&](OperationNumber a, OperationNumber b) {
        return history_.operations[a].invoked < history_.operations[b].invoked;
      });
      begin = std::find_if(end, witness.end(), is_read);
    }
    return witness;
  }

  const History& history_;
  std::span<const OperationNumber> numbers_;
  ValueScratch& scratch_;
  std::vector<Cluster> clusters_;
  std::vector<std::uint32_t> order_;
};

}  // namespace

PolynomialResult check_unique_values(const History& history, std::span<const OperationNumber> numbers,
                                     ValueScratch& scratch, bool witness) {
  return UniqueValues(history, numbers, scratch).run(witness);
}

}  // namespace touchstone::model
