// Runs a scenario on a store, on whichever platform.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <system_error>

#include "harness/counted.h"
#include "harness/explore/scenario.h"
#include "harness/explore/scenario_worker.h"

namespace touchstone::harness::explore {

std::string text_of(const engine::CommitResult& result) {
  if (const auto* committed = std::get_if<engine::Committed>(&result))
    return fmt::format("committed {}", committed->version);
  if (const auto* conflict = std::get_if<engine::Conflict>(&result)) {
    return fmt::format("conflict: {} changed at {}", conflict->path.empty() ? "the store" : conflict->path,
                       conflict->found);
  }
  return std::holds_alternative<engine::Busy>(result) ? "busy" : "rejected";
}

std::string text_of(const engine::ExecuteResult& result) {
  const auto* committed = std::get_if<engine::Committed>(&result.outcome);
  const engine::Effort& effort = result.effort;
  std::string text = committed != nullptr ? fmt::format("committed {}", committed->version) : "not committed";
  if (effort.conflicts != 0) text += ", " + counted(effort.conflicts, "conflict");
  if (effort.closings_waited != 0) text += ", " + counted(effort.closings_waited, "closing") + " of the gate";
  if (effort.expiries != 0) text += ", " + counted(effort.expiries, "lease") + " ran out";
  return text;
}

namespace {

template <class P>
class Run {
 public:
  explicit Run(const Scenario& scenario)
      : scenario_(scenario),
        store_(with_sink(scenario.engine)),
        history_(scenario.workers.size()),
        tallies_(scenario.workers.size()) {
    if (scenario.initial.empty()) return;
    model::CompareAndSwap opening;
    for (const std::string& path : scenario.initial)
      opening.writes.push_back({path, model::Subtree{{"", std::int64_t{0}}}});
    const std::size_t call = history_.invoke(tallies_.size(), opening);
    history_.answer(tallies_.size(), call, to_model(store_.compare_and_swap(0, to_engine(opening.writes))));
  }

  /// Why one of the threads could not be started, if one could not.
  std::optional<std::string> start_and_join() {
    std::vector<typename P::thread> threads;
    threads.reserve(scenario_.workers.size());
    std::optional<std::string> refused;
    for (std::size_t i = 0; i < scenario_.workers.size() && !refused; ++i) {
      try {
        threads.push_back(start(i));
      } catch (const std::system_error& error) {
        refused =
            fmt::format("cannot start thread {} of {}: {}", i + 1, scenario_.workers.size(), error.what());
      }
    }
    for (typename P::thread& thread : threads) thread.join();
    return refused;
  }

  /// What is not as it must be.
  std::optional<std::string> check() {
    for (const ScenarioTally& tally : tallies_) {
      if (!tally.broken.empty()) return tally.broken;
    }
    const auto crashed = static_cast<std::size_t>(std::count_if(
        tallies_.begin(), tallies_.end(), [](const ScenarioTally& tally) { return !tally.ended; }));
    std::optional<std::string> broken = check_sums(may_crash_after_install() ? crashed : 0);
    if (!broken) broken = check_gate(crashed != 0);
    if (!broken) broken = check_closings();
    if (!broken && scenario_.linearizable) broken = check_history();
    return broken;
  }

  /// The most of these and of what `counts` has already.
  void gather(ScenarioCounts& counts) {
    for (const ScenarioTally& tally : tallies_) {
      counts.most_conflicts = std::max(counts.most_conflicts, tally.most.most_conflicts);
      counts.most_attempts = std::max(counts.most_attempts, tally.most.most_attempts);
      counts.most_closings = std::max(counts.most_closings, tally.most.most_closings);
    }
    const engine::Statistics statistics = store_.statistics();
    counts.grants = std::max(counts.grants, statistics.grants);
    counts.expiries = std::max(counts.expiries, statistics.expiries);
    counts.busy = std::max(counts.busy, statistics.busy);
    counts.restarts = std::max(counts.restarts, statistics.restarts);
    if (scenario_.linearizable) counts.calls = history_.calls();
  }

 private:
  /// Effects arrive on the thread of whoever caused them.
  engine::StoreOptions with_sink(engine::StoreOptions options) {
    options.sink = [this](const engine::Effect& effect) {
      ++tallies_[static_cast<std::size_t>(effect.payload.integer())].effects;
    };
    return options;
  }

  typename P::thread start(std::size_t index) {
    const auto work = [this, index] {
      ScenarioRunner<P>(scenario_, store_, history_, index, tallies_[index]).run();
    };
    if constexpr (std::same_as<P, ControlledPlatform>) {
      return P::thread::named(scenario_.workers[index].name.c_str(), work);
    } else {
      return typename P::thread(work);
    }
  }

  /// Whether a thread that crashed may have committed what it was about to be told of.
  bool may_crash_after_install() const {
    return std::any_of(scenario_.faults.begin(), scenario_.faults.end(), [](const FaultPlan& plan) {
      return plan.crash && plan.point != "execute:body_done" && plan.point != "commit:begin";
    });
  }

  /// Versions are dense and unique, and each counter is the number of its additions; but for this many commits that nobody was told of.
  std::optional<std::string> check_sums(std::size_t untold) {
    std::set<engine::Version> versions;
    std::map<std::string, std::int64_t> added;
    const std::size_t opening = scenario_.initial.empty() ? 0 : 1;
    std::size_t commits = opening;
    for (const ScenarioTally& tally : tallies_) {
      versions.insert(tally.versions.begin(), tally.versions.end());
      commits += tally.versions.size();
      for (const auto& [path, times] : tally.added) added[path] += times;
    }
    const std::uint64_t version = store_.version();
    if (versions.size() + opening != commits || version < commits || version > commits + untold)
      return fmt::format("the store is at version {}, and its commits are {}", version, commits);
    for (const auto& [path, times] : added) {
      const std::int64_t value = counter_of(store_.read(path));
      if (value < times || value > times + static_cast<std::int64_t>(untold))
        return fmt::format("{} is {}, and its additions are {}", path, value, times);
    }
    return std::nullopt;
  }

  /// Nobody is Busy where nobody ever had a ticket, and when all are gone the gate is open.
  std::optional<std::string> check_gate(bool crashed) {
    const engine::Statistics statistics = store_.statistics();
    if (statistics.busy != 0 && statistics.grants == 0)
      return "a commit was Busy, and nobody ever had a ticket";
    if (crashed) return std::nullopt;  // its turn ends with its lease
    const std::size_t looked = history_.invoke(tallies_.size(), model::ReadVersion{});
    model::CompareAndSwap last{.expected = store_.version(), .writes = {}, .reads = {}, .outputs = {}};
    history_.answer(tallies_.size(), looked, model::VersionIs{last.expected});
    last.writes.push_back({"last", model::Subtree{{"", std::int64_t{1}}}});
    const engine::WriteSet writes = to_engine(last.writes);
    const engine::Version expected = last.expected;
    const std::size_t call = history_.invoke(tallies_.size(), std::move(last));
    const engine::CommitResult result = store_.compare_and_swap(expected, writes);
    history_.answer(tallies_.size(), call, to_model(result));
    if (std::holds_alternative<engine::Committed>(result)) return std::nullopt;
    return "all workers are gone, and a commit is answered: " + text_of(result);
  }

  /// Acceptance B10: whoever is in the queue waits for the turns of older ones, one of each, and one more for each lease that runs out, because
  /// its owner keeps its age.
  std::optional<std::string> check_closings() {
    int more = 0;
    for (const ScenarioTally& tally : tallies_) more = std::max(more, tally.more_closings);
    if (more == 0) return std::nullopt;
    const std::uint64_t expiries = store_.statistics().expiries;
    if (static_cast<std::uint64_t>(more) <= expiries) return std::nullopt;
    return fmt::format(
        "an execute() waited out more closings of the gate than allowed: {} too many (leases that ran out: "
        "{})",
        more, expiries);
  }

  std::optional<std::string> check_history() {
    std::vector<std::string> paths = scenario_.paths;
    paths.insert(paths.end(), scenario_.puts.begin(), scenario_.puts.end());
    const std::size_t call = history_.invoke(tallies_.size(), model::SnapshotRead{paths});
    const auto snapshot = store_.snapshot();
    model::SnapshotIs seen{snapshot.version(), {}};
    for (const std::string& path : paths) seen.values.push_back(to_model(snapshot.read(path)));
    history_.answer(tallies_.size(), call, std::move(seen));
    const engine::StoreOptions& engine = scenario_.engine;
    const auto why = refute(history_.calls(), {.strict = engine.mode == engine::Mode::strict,
                                               .validate_reads = engine.validate_reads,
                                               .gate_may_close = engine.ticket});
    if (!why) return std::nullopt;
    return "no order explains the history: " + *why;
  }

  const Scenario& scenario_;
  engine::Store<P> store_;
  ScenarioHistory history_;
  std::vector<ScenarioTally> tallies_;
};

}  // namespace

std::function<void()> controlled_body(const Scenario& scenario, ScenarioCounts* counts) {
  return [scenario, counts] {
    Run<ControlledPlatform> run(scenario);
    run.start_and_join();
    const std::optional<std::string> broken = run.check();
    if (counts != nullptr) {
      const InArena kept(nullptr);  // it outlives the execution
      run.gather(*counts);
    }
    if (broken) require(false, *broken);
  };
}

NativeResult run_natively(const Scenario& scenario) {
  Run<engine::NativePlatform> run(scenario);
  if (const std::optional<std::string> refused = run.start_and_join()) return NotStarted{*refused};
  if (const std::optional<std::string> broken = run.check()) return Broken{*broken};
  return Held{};
}

}  // namespace touchstone::harness::explore
