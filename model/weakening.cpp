#include "model/weakening.h"

#include <algorithm>
#include <numeric>

namespace touchstone::model {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMostRounds = 4;

/// The same tables with the same numbers, and no operations.
History same_tables(const History& from) {
  History to(from.kind);
  for (std::uint32_t i = 0; i < from.clients.size(); ++i) to.clients.id(from.clients.name(i));
  for (std::uint32_t i = 0; i < from.keys.size(); ++i) to.keys.id(from.keys.name(i));
  for (ValueId i = 1; i < from.values.size(); ++i) to.values.id(from.values.scalar(i));
  to.initial = from.initial;
  to.store_calls = from.store_calls;
  to.store_rules = from.store_rules;
  return to;
}

class Weakening {
 public:
  Weakening(const History& history, const Refutation& refutation, const WeakeningLimits& limits)
      : given_(history),
        limits_(limits),
        steps_left_(limits.steps),
        deadline_(Clock::now() + limits.time),
        work_(same_tables(history)) {
    for (OperationNumber number = 0; number < history.operations.size(); ++number) {
      const Operation& it = history.operations[number];
      if (history.kind == HistoryKind::kCell && it.key != refutation.key) continue;  // K1
      all_.push_back(number);
    }
  }

  std::vector<OperationNumber> partial() {
    if (!cut()) return {};
    const std::vector<Kept> kept = until(last_ - 1);
    load(kept);
    CheckOptions options;
    options.max_steps = limits_.steps;
    options.budget = limits_.time;
    std::vector<OperationNumber> witness = check(work_, options).witness;
    for (OperationNumber& number : witness) number = kept[number].origin;
    return witness;
  }

  std::optional<Heart> run() {
    if (!cut()) return std::nullopt;
    prefix_ = kept_.size();
    if (prefix_ <= limits_.operations) {
      for (int round = 0; round < kMostRounds && round_changes(); ++round) {
      }
    }
    return finish();
  }

 private:
  struct Kept {
    Operation operation;
    OperationNumber origin = 0;
    bool answered = true;  ///< of a call: its response is known
    bool free = false;     ///< a change at any time or never
    bool begin = false;    ///< widened
    bool end = false;
  };

  bool observes(const Kept& it) const {
    if (!it.operation.completed()) return false;
    if (given_.kind == HistoryKind::kCell)
      return it.operation.function == Function::kRead || it.operation.outcome == Outcome::kFail;
    const auto& call = given_.store_calls[it.operation.argument];
    return it.answered && StoreSpec::observes_only(call.operation, &*call.response);
  }

  void forget_outcome(Kept& it) const {
    it.operation.outcome = Outcome::kUnknown;
    it.operation.returned = kNever;
    it.operation.version = kNoVersion;
    it.answered = false;
  }

  /// Makes the working history of these.
  void load(const std::vector<Kept>& kept) {
    work_.operations.clear();
    for (const Kept& it : kept) {
      work_.operations.push_back(it.operation);
      if (given_.kind != HistoryKind::kStore) continue;
      auto& response = work_.store_calls[it.operation.argument].response;
      response = it.answered ? given_.store_calls[it.operation.argument].response : std::nullopt;
    }
  }

  /// True if it certainly is refuted.
  bool refuted(const std::vector<Kept>& kept) {
    if (trials_ == limits_.trials || steps_left_ == 0 || Clock::now() >= deadline_) {
      exhausted_ = true;
      return false;
    }
    ++trials_;
    load(kept);
    CheckOptions options;
    options.witness = false;
    options.max_steps = std::min(steps_left_, limits_.steps_each);
    options.budget = deadline_ - Clock::now();
    const Verdict verdict = check(work_, options);
    steps_left_ -= std::min(steps_left_, verdict.steps);
    return verdict.answer == Answer::kNotLinearizable;
  }

  std::vector<Kept> until(std::int64_t time) const {
    std::vector<Kept> kept;
    for (const OperationNumber number : all_) {
      Kept it{given_.operations[number], number};
      if (it.operation.invoked > time) continue;
      it.answered = it.operation.completed();
      if (it.operation.completed() && it.operation.returned > time) {
        if (observes(it)) continue;
        forget_outcome(it);
        it.operation.outcome = Outcome::kPending;
      }
      kept.push_back(it);
    }
    return kept;
  }

  /// K2. False if not even the whole is refuted within the limits.
  bool cut() {
    std::vector<std::int64_t> returns;
    for (const OperationNumber number : all_) {
      if (given_.operations[number].completed()) returns.push_back(given_.operations[number].returned);
    }
    std::sort(returns.begin(), returns.end());
    returns.erase(std::unique(returns.begin(), returns.end()), returns.end());
    if (returns.empty() || !refuted(until(returns.back()))) return false;
    std::size_t low = 0;
    std::size_t high = returns.size() - 1;
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      refuted(until(returns[middle])) ? high = middle : low = middle + 1;
    }
    kept_ = until(returns[high]);
    last_ = returns[high];
    first_ = kept_.front().operation.invoked;
    for (const Kept& it : kept_) first_ = std::min(first_, it.operation.invoked);
    return true;
  }

  /// Drops observations, frees changes, widens what is left. True if something changed.
  bool round_changes() {
    const std::size_t before = changes_;
    std::vector<std::size_t> places(kept_.size());
    std::iota(places.begin(), places.end(), std::size_t{0});
    gone_.assign(kept_.size(), false);
    reduce(places, [this](std::size_t place, std::vector<Kept>& trial, std::vector<bool>& gone) {
      Kept& it = trial[place];
      if (observes(it)) {
        gone[place] = true;  // K3
      } else {
        if (it.free) return false;
        forget_outcome(it);  // K4 and K5
        it.operation.invoked = first_;
        it.free = true;
      }
      return true;
    });
    remove_gone();
    for (std::size_t place = 0; place < kept_.size(); ++place) {
      try_one(place, [this](Kept& it) {
        if (observes(it) || !it.operation.completed()) return false;
        forget_outcome(it);
        return true;
      });
      try_one(place, [this](Kept& it) {
        if (it.free || it.begin || it.operation.invoked == first_) return false;
        it.operation.invoked = first_;
        return it.begin = true;
      });
      try_one(place, [this](Kept& it) {
        if (!it.operation.completed() || it.end || it.operation.returned == last_) return false;
        it.operation.returned = last_;
        return it.end = true;
      });
    }
    return changes_ != before && !exhausted_;
  }

  /// Weakens all of these places together, or each half by itself.
  template <class Weaken>
  void reduce(const std::vector<std::size_t>& places, const Weaken& weaken_one) {
    if (places.empty() || exhausted_) return;
    std::vector<Kept> trial = kept_;
    std::vector<bool> gone = gone_;
    bool changed = false;
    for (const std::size_t place : places) changed = weaken_one(place, trial, gone) || changed;
    if (!changed) return;
    std::vector<Kept> left;
    for (std::size_t i = 0; i < trial.size(); ++i) {
      if (!gone[i]) left.push_back(trial[i]);
    }
    if (refuted(left)) {
      kept_ = std::move(trial);
      gone_ = std::move(gone);
      ++changes_;
      return;
    }
    if (places.size() == 1) return;
    const auto middle = places.begin() + static_cast<std::ptrdiff_t>(places.size() / 2);
    // What is late matters more often, so what is early goes first.
    reduce({places.begin(), middle}, weaken_one);
    reduce({middle, places.end()}, weaken_one);
  }

  template <class Weaken>
  void try_one(std::size_t place, const Weaken& weaken_one) {
    if (exhausted_) return;
    std::vector<Kept> trial = kept_;
    if (!weaken_one(trial[place]) || !refuted(trial)) return;
    kept_ = std::move(trial);
    ++changes_;
  }

  void remove_gone() {
    std::vector<Kept> left;
    for (std::size_t i = 0; i < kept_.size(); ++i) {
      if (!gone_[i]) left.push_back(kept_[i]);
    }
    kept_ = std::move(left);
  }

  Heart finish() {
    Heart heart{std::move(work_), {}, {}, {}, {}};
    heart.history.operations.clear();
    for (const Kept& it : kept_) {
      if (it.operation.completed() && it.operation.returned == last_ && !it.end)
        heart.failing = static_cast<OperationNumber>(heart.origin.size());
      heart.history.operations.push_back(it.operation);
      heart.origin.push_back(it.origin);
      heart.matters.push_back(!it.free);
      heart.widened_begin.push_back(it.begin || it.free || it.operation.invoked == first_);
      heart.widened_end.push_back(it.end);
      if (given_.kind != HistoryKind::kStore) continue;
      auto& response = heart.history.store_calls[it.operation.argument].response;
      response = it.answered ? given_.store_calls[it.operation.argument].response : std::nullopt;
    }
    heart.prefix = prefix_;
    heart.minimal = !exhausted_ && prefix_ <= limits_.operations;
    return heart;
  }

  const History& given_;
  WeakeningLimits limits_;
  std::uint64_t steps_left_;
  Clock::time_point deadline_;
  std::vector<OperationNumber> all_;
  History work_;
  std::vector<Kept> kept_;
  std::vector<bool> gone_;
  std::size_t prefix_ = 0;
  std::size_t trials_ = 0;
  std::size_t changes_ = 0;
  bool exhausted_ = false;
  std::int64_t first_ = 0;
  std::int64_t last_ = 0;
};

}  // namespace

std::vector<OperationNumber> longest_partial(const History& history, const Refutation& refutation,
                                             const WeakeningLimits& limits) {
  if (history.kind != HistoryKind::kCell && history.kind != HistoryKind::kStore) return {};
  return Weakening(history, refutation, limits).partial();
}

std::optional<Heart> weaken(const History& history, const Refutation& refutation,
                            const WeakeningLimits& limits) {
  if (history.kind != HistoryKind::kCell && history.kind != HistoryKind::kStore) return std::nullopt;
  return Weakening(history, refutation, limits).run();
}

}  // namespace touchstone::model
