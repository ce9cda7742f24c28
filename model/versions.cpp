#include <algorithm>
#include <functional>
#include <queue>

#include "model/polynomial.h"

namespace touchstone::model {
namespace {

constexpr OperationNumber kNobody = ~OperationNumber{0};

bool is_mutation(const Operation& it) {
  return it.function != Function::kRead && it.outcome == Outcome::kOk;
}

class Versions {
 public:
  Versions(const History& history, std::span<const OperationNumber> numbers)
      : history_(history), numbers_(numbers) {}

  PolynomialResult run(bool witness) {
    PolynomialResult result;
    if (!applies()) return result;
    result.applies = true;
    result.linearizable = find_makers(result) && check_values(result) && check_real_time(result);
    if (result.linearizable && witness) result.witness = spell_out();
    return result;
  }

 private:
  const Operation& at(OperationNumber number) const { return history_.operations[number]; }

  bool applies() const {
    return std::all_of(numbers_.begin(), numbers_.end(), [&](OperationNumber number) {
      const Operation& it = at(number);
      if (it.function == Function::kRead && !it.completed()) return true;  // never needed
      return it.completed() && it.version != kNoVersion && it.function != Function::kAppend;
    });
  }

  bool refuse(PolynomialResult& result, std::vector<OperationNumber> certificate, std::string reason) const {
    result.certificate = std::move(certificate);
    result.reason = std::move(reason);
    return false;
  }

  /// Each version has one maker, and versions are dense.
  bool find_makers(PolynomialResult& result) {
    std::uint64_t mutations = 0;
    for (const OperationNumber number : numbers_) mutations += is_mutation(at(number)) ? 1 : 0;
    makers_.assign(mutations + 1, kNobody);
    for (const OperationNumber number : numbers_) {
      const Operation& it = at(number);
      if (!it.completed()) continue;
      if (it.version >= makers_.size()) {
        return refuse(result, {number},
                      "version " + std::to_string(it.version) + " is known, but only " +
                          std::to_string(mutations) + (mutations == 1 ? " mutation" : " mutations") +
                          " ever happened");
      }
      if (!is_mutation(it)) continue;
      if (it.version == 0) return refuse(result, {number}, "a mutation claims to have made version 0");
      OperationNumber& maker = makers_[it.version];
      if (maker != kNobody) {
        return refuse(result, {maker, number}, "two operations made version " + std::to_string(it.version));
      }
      maker = number;
    }
    return true;
  }

  ValueId value_at(std::uint64_t version) const {
    return version == 0 ? history_.initial : at(makers_[version]).argument;
  }

  bool check_values(PolynomialResult& result) const {
    for (const OperationNumber number : numbers_) {
      const Operation& it = at(number);
      if (!it.completed()) continue;
      const bool failed = it.outcome == Outcome::kFail;
      const std::uint64_t seen = is_mutation(it) ? it.version - 1 : it.version;
      std::string reason;
      if (it.function == Function::kRead && it.observed != value_at(seen)) {
        reason = "version " + std::to_string(seen) + " holds " + history_.values.describe(value_at(seen));
      } else if (it.function == Function::kCasVersion && (it.base == seen) == failed) {
        reason = "it compared version " + std::to_string(it.base) + " with version " + std::to_string(seen);
      } else if (it.function == Function::kCas && (it.expected == value_at(seen)) == failed) {
        reason = "it compared with version " + std::to_string(seen) + ", which holds " +
                 history_.values.describe(value_at(seen));
      }
      if (reason.empty()) continue;
      std::vector<OperationNumber> certificate{number};
      if (seen != 0) certificate.push_back(makers_[seen]);
      return refuse(result, std::move(certificate), std::move(reason));
    }
    return true;
  }

  /// Whatever returned before an operation was invoked saw no later version; and if the operation is the
  /// maker of its version, an earlier one.
  bool check_real_time(PolynomialResult& result) {
    by_invocation_.assign(numbers_.begin(), numbers_.end());
    const auto earlier = [&](OperationNumber a, OperationNumber b) { return at(a).invoked < at(b).invoked; };
    if (!std::is_sorted(by_invocation_.begin(), by_invocation_.end(), earlier)) {
      std::stable_sort(by_invocation_.begin(), by_invocation_.end(), earlier);
    }
    using Return = std::pair<std::int64_t, OperationNumber>;
    std::priority_queue<Return, std::vector<Return>, std::greater<>> open;
    OperationNumber latest = kNobody;  // of those that returned, the one with the greatest version
    for (const OperationNumber number : by_invocation_) {
      const Operation& it = at(number);
      if (!it.completed()) continue;
      for (; !open.empty() && open.top().first < it.invoked; open.pop()) {
        const OperationNumber closed = open.top().second;
        if (latest == kNobody || at(closed).version > at(latest).version) latest = closed;
      }
      const std::uint64_t allowed = it.version - (is_mutation(it) ? 1 : 0);
      if (latest != kNobody && at(latest).version > allowed) {
        return refuse(result, {latest, number},
                      "version " + std::to_string(at(latest).version) + " was known before this was invoked");
      }
      open.push({it.returned, number});
    }
    return true;
  }

  std::vector<OperationNumber> spell_out() const {
    std::vector<std::uint32_t> start(makers_.size() + 1, 0);
    for (const OperationNumber number : by_invocation_) {
      if (at(number).completed()) ++start[at(number).version + 1];
    }
    for (std::size_t i = 1; i < start.size(); ++i) start[i] += start[i - 1];
    std::vector<OperationNumber> witness(start.back());
    for (std::size_t version = 1; version < makers_.size(); ++version)
      witness[start[version]++] = makers_[version];
    for (const OperationNumber number : by_invocation_) {
      if (at(number).completed() && !is_mutation(at(number))) witness[start[at(number).version]++] = number;
    }
    return witness;
  }

  const History& history_;
  std::span<const OperationNumber> numbers_;
  std::vector<OperationNumber> makers_;
  std::vector<OperationNumber> by_invocation_;
};

}  // namespace

PolynomialResult check_versions(const History& history, std::span<const OperationNumber> numbers,
                                bool witness) {
  return Versions(history, numbers).run(witness);
}

}  // namespace touchstone::model
