#include "model/checker.h"

#include <algorithm>
#include <memory>
#include <numeric>
#include <span>

#include "model/general_search.h"
#include "model/global_versions.h"
#include "model/polynomial.h"
#include "model/version_floors.h"

namespace touchstone::model {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kFirstTurn = 500;
constexpr std::uint64_t kTurnGrowth = 4;
/// After one partition was refuted the others get so many times the steps that were made until then.
constexpr std::uint64_t kPatience = 4;
/// The breadth-first search begins with so narrow a frontier, and takes so many times the last one if it must.
constexpr std::size_t kFirstWidth = 8;
constexpr std::size_t kWidening = 4;
/// The clock is looked at after so many steps at most.
constexpr std::uint64_t kSlice = 20'000;
constexpr std::size_t kMostOfOneUnknownClass = 65'535;

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

/// One partition in the hands of the general searches.
class Contest {
 public:
  Contest(const History& history, std::span<const OperationNumber> numbers, KeyId key,
          const CheckOptions& options)
      : history_(history),
        key_(key),
        problem_(make_problem(history, numbers)),
        breadth_wanted_(options.methods.breadth_first),
        search_{options.reductions, options.witness, options.max_memory / 2, kFirstWidth} {
    // What is not needed is not made: most partitions are decided in the first search's first turn.
    if (options.methods.depth_first) begin_depth_first();
  }

  /// Not to be moved: the searches refer to the problem.
  Contest(const Contest&) = delete;
  Contest& operator=(const Contest&) = delete;

  bool too_many_unknown() const {
    return std::any_of(problem_.unknown.begin(), problem_.unknown.end(),
                       [](const UnknownClass& it) { return it.operations.size() > kMostOfOneUnknownClass; });
  }

  /// Both searches in turn, for so many steps each.
  Progress run(std::uint64_t steps) {
    if (depth_) {
      const Progress progress = depth_->run(steps);
      if (decided(progress, Method::kDepthFirst)) return progress;
    }
    if (breadth_wanted_ && !breadth_) begin_breadth_first();
    if (breadth_ && !breadth_out_of_memory_) {
      const Progress progress = breadth_->run(steps);
      if (decided(progress, Method::kBreadthFirst)) return progress;
      if (progress == Progress::kTooNarrow) widen();
      breadth_out_of_memory_ = progress == Progress::kOutOfMemory;
    }
    return !depth_ && breadth_out_of_memory_ ? Progress::kOutOfMemory : Progress::kRunning;
  }

  std::vector<OperationNumber> witness() const {
    if (method_ == Method::kDepthFirst) return spell_out(problem_, *depth_automaton_, depth_->effects());
    return spell_out(problem_, *breadth_automaton_, breadth_->effects());
  }

  Refutation refutation(const History& history) {
    Dead dead = method_ == Method::kDepthFirst ? depth_->dead() : breadth_->dead();
    Refutation out;
    out.key = key_;
    out.method = method_;
    const std::uint32_t failing = Problem::operation_of(problem_.events[dead.event]);
    out.failing = problem_.operations[failing].number;
    out.worlds = std::move(dead.worlds);
    out.reason = "nothing explains " + describe(history, history.operations[*out.failing]);
    if (!out.worlds.empty()) out.reason += ": " + out.worlds.front().reason;
    return out;
  }

  KeyId key() const { return key_; }
  std::size_t size() const { return problem_.operations.size(); }
  std::uint64_t steps() const {
    return steps_before_ + (depth_ ? depth_->steps() : 0) + (breadth_ ? breadth_->steps() : 0);
  }
  std::size_t configurations() const {
    return (depth_ ? depth_->configurations() : 0) + (breadth_ ? breadth_->configurations() : 0);
  }

 private:
  void begin_depth_first() {
    depth_automaton_ = make_automaton(history_, problem_.representatives);
    depth_ = std::make_unique<DepthFirst>(problem_, *depth_automaton_, search_);
  }

  void begin_breadth_first() {
    breadth_automaton_ = make_automaton(history_, problem_.representatives);
    breadth_ = std::make_unique<BreadthFirst>(problem_, *breadth_automaton_, search_);
  }

  /// The frontier was too narrow: again from the start, with a wider one.
  void widen() {
    steps_before_ += breadth_->steps();
    search_.width *= kWidening;
    breadth_ = std::make_unique<BreadthFirst>(problem_, *breadth_automaton_, search_);
  }

  bool decided(Progress progress, Method method) {
    if (progress != Progress::kExplained && progress != Progress::kRefuted) return false;
    method_ = method;
    return true;
  }

  const History& history_;
  KeyId key_;
  Problem problem_;
  bool breadth_wanted_;
  SearchOptions search_;
  std::unique_ptr<Automaton> depth_automaton_;
  std::unique_ptr<Automaton> breadth_automaton_;
  std::unique_ptr<DepthFirst> depth_;
  std::unique_ptr<BreadthFirst> breadth_;
  std::uint64_t steps_before_ = 0;  ///< of narrower searches
  bool breadth_out_of_memory_ = false;
  Method method_ = Method::kNothingToDo;
};

class Checker {
 public:
  Checker(const History& history, const CheckOptions& options)
      : history_(history), options_(options), deadline_(deadline_of(options.budget)), scratch_(history) {}

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
    std::vector<std::size_t> order(parts.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](auto a, auto b) { return parts[a].size() < parts[b].size(); });
    for (const std::size_t part : order) {
      if (parts[part].empty()) continue;
      ++verdict_.partitions;
      if (!decide_at_once(parts[part], static_cast<KeyId>(part)))
        begin_search(parts[part], static_cast<KeyId>(part));
    }
    search_in_turns();
    return conclude();
  }

 private:
  static Clock::time_point deadline_of(std::chrono::nanoseconds budget) {
    const Clock::time_point now = Clock::now();
    return budget > Clock::time_point::max() - now ? Clock::time_point::max() : now + budget;
  }

  /// The polynomial methods, cheapest first (V3).
  bool decide_at_once(std::span<const OperationNumber> numbers, KeyId key) {
    if (history_.kind == HistoryKind::kStore && options_.methods.global_versions) return decide_by_commits();
    if (history_.kind != HistoryKind::kCell || !options_.partition_by_key) return false;
    if (options_.methods.versions &&
        accept(check_versions(history_, numbers, options_.witness), key, Method::kVersions)) {
      return true;
    }
    return options_.methods.unique_values &&
           accept(check_unique_values(history_, numbers, scratch_, options_.witness), key,
                  Method::kUniqueValues);
  }

  bool decide_by_commits() {
    GlobalVersionsResult result = check_global_versions(history_, options_.witness);
    if (!result.applies) return false;
    if (result.linearizable) {
      add_witness(std::move(result.witness));
      return true;
    }
    Refutation refutation;
    refutation.method = Method::kGlobalVersions;
    refutation.failing = result.failing;
    refutation.worlds.push_back({result.state, {}, {}, result.reason});
    refutation.reason =
        "nothing explains " + describe(history_, history_.operations[result.failing]) + ": " + result.reason;
    verdict_.refutations.push_back(std::move(refutation));
    return true;
  }

  bool accept(PolynomialResult result, KeyId key, Method method) {
    if (!result.applies) return false;
    if (result.linearizable) {
      add_witness(std::move(result.witness));
      return true;
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
    verdict_.refutations.push_back(std::move(refutation));
    return true;
  }

  /// Gives a partition its first turn; most need no second.
  void begin_search(std::span<const OperationNumber> numbers, KeyId key) {
    auto contest = std::make_unique<Contest>(history_, numbers, key, options_);
    if (contest->too_many_unknown()) {
      give_up("too many operations of unknown outcome are alike");
    } else if (!take_turn(*contest, kFirstTurn)) {
      waiting_.push_back(std::move(contest));
    }
  }

  /// V5.
  void search_in_turns() {
    bool refuted = false;
    std::uint64_t steps_when_refuted = 0;
    for (std::uint64_t turn = kFirstTurn * kTurnGrowth; !waiting_.empty(); turn *= kTurnGrowth) {
      for (auto& contest : waiting_) {
        bool done = false;
        for (std::uint64_t left = turn; left != 0 && !done && !out_of_budget();) {
          const std::uint64_t slice = std::min(left, kSlice);
          done = take_turn(*contest, slice);
          left -= slice;
        }
        if (done) contest.reset();
      }
      waiting_.erase(std::remove(waiting_.begin(), waiting_.end(), nullptr), waiting_.end());
      if (waiting_.empty()) break;
      if (out_of_budget()) {
        give_up(budget_words());
        break;
      }
      if (!refuted && !verdict_.refutations.empty()) {
        refuted = true;
        steps_when_refuted = verdict_.steps;
      }
      if (refuted && verdict_.steps > kPatience * steps_when_refuted) break;
    }
  }

  /// True if the partition needs no further turn.
  bool take_turn(Contest& contest, std::uint64_t steps) {
    const std::uint64_t before = contest.steps();
    const Progress progress = contest.run(steps);
    verdict_.steps += contest.steps() - before;
    verdict_.configurations = std::max<std::uint64_t>(verdict_.configurations, contest.configurations());
    switch (progress) {
      case Progress::kRunning:
      case Progress::kTooNarrow:
        return false;
      case Progress::kExplained:
        if (options_.witness) add_witness(contest.witness());
        return true;
      case Progress::kRefuted:
        verdict_.refutations.push_back(contest.refutation(history_));
        return true;
      case Progress::kOutOfMemory:
        give_up("the memory budget of " + std::to_string(options_.max_memory >> 20U) + " MiB ran out");
        return true;
    }
    return true;
  }

  bool out_of_budget() const { return verdict_.steps >= options_.max_steps || Clock::now() >= deadline_; }

  std::string budget_words() const {
    const std::string which = verdict_.steps >= options_.max_steps ? "step" : "time";
    return "the " + which + " budget ran out with " + std::to_string(waiting_.size()) + " of " +
           std::to_string(verdict_.partitions) + " partitions undecided";
  }

  void give_up(const std::string& reason) {
    if (unknown_.empty()) unknown_ = reason;
  }

  void add_witness(std::vector<OperationNumber> part) {
    if (options_.witness) witnesses_.push_back(std::move(part));
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
  ValueScratch scratch_;
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
