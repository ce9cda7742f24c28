#include "model/checker.h"

#include <algorithm>
#include <memory>
#include <span>

#include "model/contest.h"
#include "model/global_versions.h"
#include "model/parallel.h"
#include "model/polynomial.h"
#include "model/version_floors.h"

namespace touchstone::model {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kFirstTurn = 500;
constexpr std::uint64_t kTurnGrowth = 4;
/// After one partition was refuted the others get so many times the steps that were made until then.
constexpr std::uint64_t kPatience = 4;
/// So many partitions are begun at a time.
constexpr std::size_t kBlock = 4'096;
/// The clock is looked at after so many steps at most.
constexpr std::uint64_t kSlice = 20'000;
/// What takes less than about a millisecond is not worth a thread: so many operations, or steps of the searches.
constexpr std::size_t kOperationsWorthAThread = 20'000;
constexpr std::uint64_t kStepsWorthAThread = 20'000;

/// The operations of each partition (V2), of those that are still to be decided.
class Partitions {
 public:
  template <class Wanted>
  Partitions(const History& history, bool by_key, const Wanted& wanted) {
    const bool split = by_key && history.kind == HistoryKind::kCell;
    begin_.assign((split ? std::max<std::size_t>(history.keys.size(), 1) : 1) + 1, 0);
    const auto part_of = [&](const Operation& it) { return split ? it.key : KeyId{0}; };
    for (const Operation& it : history.operations) {
      if (wanted(part_of(it))) ++begin_[part_of(it) + 1];
    }
    for (std::size_t part = 1; part < begin_.size(); ++part) begin_[part] += begin_[part - 1];
    numbers_.resize(begin_.back());
    std::vector<std::size_t> next(begin_.begin(), begin_.end() - 1);
    for (OperationNumber number = 0; number < history.operations.size(); ++number) {
      const KeyId part = part_of(history.operations[number]);
      if (wanted(part)) numbers_[next[part]++] = number;
    }
  }

  std::size_t size() const { return begin_.size() - 1; }
  std::span<const OperationNumber> operator[](std::size_t part) const {
    return {numbers_.data() + begin_[part], begin_[part + 1] - begin_[part]};
  }

 private:
  std::vector<std::size_t> begin_;
  std::vector<OperationNumber> numbers_;
};

/// What became of one partition.
struct Decision {
  bool linearizable = false;
  std::unique_ptr<Refutation> refutation;
  const char* unknown = nullptr;  ///< why there is no answer
  std::vector<OperationNumber> witness;
  std::unique_ptr<Contest> contest;  ///< undecided: it needs another turn
  bool stuck = false;                ///< for want of memory
  std::uint64_t steps = 0;
  std::size_t configurations = 0;
};

class Checker {
 public:
  Checker(const History& history, const CheckOptions& options)
      : history_(history),
        options_(options),
        deadline_(deadline_of(options.budget)),
        // A budget of steps is counted over the partitions in their order.
        threads_(options.max_steps == ~std::uint64_t{0} ? threads_for(options.threads) : 1) {}

  Verdict run() {
    const bool by_key = options_.partition_by_key && history_.kind == HistoryKind::kCell;
    std::optional<VersionFloors> floors;
    if (by_key && options_.methods.versions && !options_.witness) floors.emplace(history_);
    if (floors && floors->count() == history_.keys.size()) {
      verdict_.partitions = floors->count();
      return conclude();
    }
    const Partitions parts(history_, by_key, [&](KeyId key) { return !floors || !floors->holds(key); });
    verdict_.partitions = floors ? floors->count() : 0;
    floors.reset();
    std::vector<std::uint32_t> order;
    for (std::uint32_t part = 0; part < parts.size(); ++part) {
      if (!parts[part].empty()) order.push_back(part);
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](auto a, auto b) { return parts[a].size() < parts[b].size(); });
    verdict_.partitions += static_cast<std::uint32_t>(order.size());
    begin(parts, order);
    search_in_turns();
    return conclude();
  }

 private:
  static Clock::time_point deadline_of(std::chrono::nanoseconds budget) {
    const Clock::time_point now = Clock::now();
    return budget > Clock::time_point::max() - now ? Clock::time_point::max() : now + budget;
  }

  /// Every partition: the polynomial methods, or a first turn of the searches. Blocks of consecutive partitions, so that what has
  /// been decided takes no room.
  void begin(const Partitions& parts, const std::vector<std::uint32_t>& order) {
    const bool worth = history_.operations.size() >= kOperationsWorthAThread;
    const unsigned threads = worth ? threads_ : 1;
    std::vector<std::optional<ValueScratch>> scratches(threads);
    for (std::size_t first = 0; first < order.size(); first += kBlock) {
      const std::size_t count = std::min(kBlock, order.size() - first);
      std::vector<Decision> decisions(count);
      for_each_in_parallel(count, threads, [&](std::size_t i, std::size_t thread) {
        if (!scratches[thread]) scratches[thread].emplace(history_);
        decisions[i] = begin_one(parts[order[first + i]], order[first + i], *scratches[thread]);
      });
      for (Decision& decision : decisions) take(std::move(decision));
    }
  }

  Decision begin_one(std::span<const OperationNumber> numbers, KeyId key, ValueScratch& scratch) const {
    if (auto decision = decide_at_once(numbers, key, scratch)) return *std::move(decision);
    Decision decision;
    if (Clock::now() >= deadline_) {
      decision.unknown = "the time budget ran out before every partition had a turn";
      return decision;
    }
    decision.contest = std::make_unique<Contest>(history_, numbers, key, options_);
    take_turn(decision, kFirstTurn, options_.max_memory);
    return decision;
  }

  /// The polynomial methods, cheapest first (V3).
  std::optional<Decision> decide_at_once(std::span<const OperationNumber> numbers, KeyId key,
                                         ValueScratch& scratch) const {
    if (history_.kind == HistoryKind::kStore && options_.methods.global_versions) return decide_by_commits();
    if (history_.kind != HistoryKind::kCell || !options_.partition_by_key) return std::nullopt;
    if (options_.methods.versions) {
      if (auto decision = accept(check_versions(history_, numbers, options_.witness), key, Method::kVersions))
        return decision;
    }
    if (!options_.methods.unique_values) return std::nullopt;
    return accept(check_unique_values(history_, numbers, scratch, options_.witness), key,
                  Method::kUniqueValues);
  }

  std::optional<Decision> decide_by_commits() const {
    GlobalVersionsResult result = check_global_versions(history_, options_.witness);
    if (!result.applies) return std::nullopt;
    Decision decision;
    if (result.linearizable) {
      decision.linearizable = true;
      decision.witness = std::move(result.witness);
      return decision;
    }
    Refutation refutation;
    refutation.method = Method::kGlobalVersions;
    refutation.failing = result.failing;
    refutation.worlds.push_back({result.state, {}, {}, result.reason});
    refutation.reason =
        "nothing explains " + describe(history_, history_.operations[result.failing]) + ": " + result.reason;
    decision.refutation = std::make_unique<Refutation>(std::move(refutation));
    return decision;
  }

  std::optional<Decision> accept(PolynomialResult result, KeyId key, Method method) const {
    if (!result.applies) return std::nullopt;
    Decision decision;
    if (result.linearizable) {
      decision.linearizable = true;
      decision.witness = std::move(result.witness);
      return decision;
    }
    Refutation refutation;
    refutation.key = key;
    refutation.method = method;
    refutation.failing = *std::max_element(
        result.certificate.begin(), result.certificate.end(), [&](OperationNumber a, OperationNumber b) {
          return history_.operations[a].returned < history_.operations[b].returned;
        });
    refutation.certificate = std::move(result.certificate);
    refutation.reason = std::move(result.reason);
    decision.refutation = std::make_unique<Refutation>(std::move(refutation));
    return decision;
  }

  /// V5, V6: in each round every undecided partition has the same turn and the same share of the memory. What a round leaves is
  /// gathered in the order of the partitions, so it does not matter who was done first.
  void search_in_turns() {
    bool refuted = false;
    std::uint64_t steps_when_refuted = 0;
    for (std::uint64_t turn = kFirstTurn * kTurnGrowth; !waiting_.empty(); turn *= kTurnGrowth) {
      const std::size_t share = options_.max_memory / waiting_.size();
      std::vector<Decision> decisions(waiting_.size());
      const bool worth = turn * waiting_.size() >= kStepsWorthAThread;
      std::uint64_t spent = verdict_.steps;  // with one thread only
      for_each_in_parallel(waiting_.size(), worth ? threads_ : 1, [&](std::size_t i, std::size_t) {
        Decision& decision = decisions[i];
        decision.contest = std::move(waiting_[i]);
        for (std::uint64_t left = turn; left != 0 && decision.contest && Clock::now() < deadline_;) {
          if (threads_ == 1 && spent + decision.steps >= options_.max_steps) break;
          const std::uint64_t slice = std::min(left, kSlice);
          if (!take_turn(decision, slice, share)) break;
          left -= slice;
        }
        if (threads_ == 1) spent += decision.steps;
      });
      waiting_.clear();
      for (Decision& decision : decisions) take(std::move(decision));
      if (waiting_.empty()) break;
      if (out_of_budget()) {
        give_up(budget_words());
        break;
      }
      const bool stuck =
          std::all_of(decisions.begin(), decisions.end(), [](const Decision& it) { return it.stuck; });
      if (stuck) {
        give_up("the memory budget of " + std::to_string(options_.max_memory >> 20U) + " MiB ran out");
        break;
      }
      if (!refuted && !verdict_.refutations.empty()) {
        refuted = true;
        steps_when_refuted = verdict_.steps;
      }
      if (refuted && verdict_.steps > kPatience * steps_when_refuted) break;
    }
  }

  /// False if another turn makes no sense before the next round: it is decided, or there is too little memory.
  bool take_turn(Decision& decision, std::uint64_t steps, std::size_t memory) const {
    Contest& contest = *decision.contest;
    const std::uint64_t before = contest.steps();
    const Progress progress = contest.run(steps, memory);
    decision.steps += contest.steps() - before;
    decision.configurations = std::max(decision.configurations, contest.configurations());
    decision.stuck = progress == Progress::kOutOfMemory;
    switch (progress) {
      case Progress::kRunning:
      case Progress::kTooNarrow:
        return true;
      case Progress::kOutOfMemory:
        return false;
      case Progress::kExplained:
        decision.linearizable = true;
        if (options_.witness) decision.witness = contest.witness();
        break;
      case Progress::kRefuted:
        decision.refutation = std::make_unique<Refutation>(contest.refutation());
        break;
    }
    decision.contest.reset();
    return false;
  }

  void take(Decision decision) {
    verdict_.steps += decision.steps;
    verdict_.configurations = std::max<std::uint64_t>(verdict_.configurations, decision.configurations);
    if (decision.refutation) verdict_.refutations.push_back(std::move(*decision.refutation));
    if (decision.contest) waiting_.push_back(std::move(decision.contest));
    if (decision.unknown != nullptr) give_up(decision.unknown);
    if (decision.linearizable && options_.witness) witnesses_.push_back(std::move(decision.witness));
  }

  bool out_of_budget() const { return verdict_.steps >= options_.max_steps || Clock::now() >= deadline_; }

  std::string budget_words() const {
    const std::string which = verdict_.steps >= options_.max_steps ? "step" : "time";
    return "the " + which + " budget ran out with " + std::to_string(waiting_.size()) + " of " +
           std::to_string(verdict_.partitions) +
           (verdict_.partitions == 1 ? " partition undecided" : " partitions undecided");
  }

  void give_up(const std::string& reason) {
    if (unknown_.empty()) unknown_ = reason;
  }

  /// One witness from those of the partitions: every operation takes effect at the latest invocation up to
  /// its place, which is within its interval, and those moments order all partitions alike.
  std::vector<OperationNumber> merge() {
    if (witnesses_.size() == 1) return std::move(witnesses_.front());
    std::vector<std::pair<std::int64_t, OperationNumber>> points;
    for (const auto& part : witnesses_) {
      std::int64_t latest = std::numeric_limits<std::int64_t>::min();
      for (const OperationNumber number : part) {
        latest = std::max(latest, history_.operations[number].invoked);
        points.emplace_back(latest, number);
      }
    }
    std::stable_sort(points.begin(), points.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<OperationNumber> merged;
    merged.reserve(points.size());
    for (const auto& [point, number] : points) merged.push_back(number);
    return merged;
  }

  Verdict conclude() {
    if (!verdict_.refutations.empty()) {
      verdict_.answer = Answer::kNotLinearizable;
      verdict_.reason = verdict_.refutations.front().reason;
    } else if (!unknown_.empty()) {
      verdict_.answer = Answer::kInconclusive;
      verdict_.reason = unknown_;
    } else {
      verdict_.answer = Answer::kLinearizable;
      if (history_.operations.empty()) verdict_.reason = kNothingWasChecked;
      if (options_.witness) verdict_.witness = merge();
    }
    return std::move(verdict_);
  }

  const History& history_;
  const CheckOptions& options_;
  Clock::time_point deadline_;
  unsigned threads_;
  std::vector<std::unique_ptr<Contest>> waiting_;
  std::vector<std::vector<OperationNumber>> witnesses_;
  std::string unknown_;
  Verdict verdict_;
};

}  // namespace

Verdict check(const History& history, const CheckOptions& options) {
  return Checker(history, options).run();
}

const char* name(Answer answer) {
  switch (answer) {
    case Answer::kLinearizable:
      return "linearizable";
    case Answer::kNotLinearizable:
      return "not-linearizable";
    case Answer::kInconclusive:
      break;
  }
  return "inconclusive";
}

const char* name(Method method) {
  switch (method) {
    case Method::kVersions:
      return "versions";
    case Method::kUniqueValues:
      return "unique values";
    case Method::kGlobalVersions:
      return "global versions";
    case Method::kDepthFirst:
      return "depth first";
    case Method::kBreadthFirst:
      return "breadth first";
    case Method::kNothingToDo:
      break;
  }
  return "nothing to do";
}

}  // namespace touchstone::model
