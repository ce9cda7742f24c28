// Runs a scenario on a store, on whichever platform.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <system_error>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/history.h"
#include "harness/explore/scenario.h"

namespace touchstone::harness::explore {

namespace {

using engine::CommitResult;
using engine::Committed;
using engine::Version;

std::string text_of(const CommitResult& result) {
  if (const auto* committed = std::get_if<Committed>(&result))
    return fmt::format("committed {}", committed->version);
  if (const auto* conflict = std::get_if<engine::Conflict>(&result)) {
    return fmt::format("conflict: {} changed at {}", conflict->path.empty() ? "the store" : conflict->path,
                       conflict->found);
  }
  return std::holds_alternative<engine::Busy>(result) ? "busy" : "rejected";
}

std::string text_of(const engine::ExecuteResult& result) {
  const auto* committed = std::get_if<Committed>(&result.outcome);
  const engine::Effort& effort = result.effort;
  std::string text = committed != nullptr ? fmt::format("committed {}", committed->version) : "not committed";
  if (effort.conflicts != 0) text += fmt::format(", {} conflicts", effort.conflicts);
  if (effort.closings_waited != 0) text += fmt::format(", {} closings of the gate", effort.closings_waited);
  if (effort.expiries != 0) text += fmt::format(", {} leases ran out", effort.expiries);
  return text;
}

template <class P>
class Run {
 public:
  explicit Run(const Scenario& scenario)
      : scenario_(scenario), store_(scenario.engine), tallies_(scenario.workers.size()) {
    engine::WriteSet writes;
    for (const std::string& path : scenario.initial) writes.set(path, 0);
    if (!scenario.initial.empty()) store_.compare_and_swap(0, writes);
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
    std::set<Version> versions;
    std::map<std::string, std::int64_t> added;
    std::size_t commits = scenario_.initial.empty() ? 0 : 1;
    for (const Tally& tally : tallies_) {
      if (!tally.broken.empty()) return tally.broken;
      versions.insert(tally.versions.begin(), tally.versions.end());
      commits += tally.versions.size();
      for (const auto& [path, times] : tally.added) added[path] += times;
    }
    const bool dense =
        versions.size() + (scenario_.initial.empty() ? 0 : 1) == commits && store_.version() == commits;
    if (!dense) return fmt::format("{} commits, but the store is at version {}", commits, store_.version());
    for (const auto& [path, times] : added) {
      const std::int64_t value = value_of(store_.read(path));
      if (value != times) return fmt::format("{} is {}, after {} additions", path, value, times);
    }
    return std::nullopt;
  }

  ScenarioCounts counts() const {
    ScenarioCounts most;
    for (const Tally& tally : tallies_) {
      most.most_conflicts = std::max(most.most_conflicts, tally.most.most_conflicts);
      most.most_attempts = std::max(most.most_attempts, tally.most.most_attempts);
      most.most_closings = std::max(most.most_closings, tally.most.most_closings);
    }
    return most;
  }

 private:
  /// What one worker did; its own thread's until that is joined.
  struct Tally {
    std::vector<Version> versions;
    std::map<std::string, std::int64_t> added;
    ScenarioCounts most;
    std::string broken;
  };

  static std::int64_t value_of(const std::optional<engine::Value>& value) {
    return value && value->is_scalar() ? value->integer() : 0;
  }

  typename P::thread start(std::size_t index) {
    const auto work = [this, index] { run_worker(scenario_.workers[index], tallies_[index]); };
    if constexpr (std::same_as<P, ControlledPlatform>) {
      return P::thread::named(scenario_.workers[index].name.c_str(), work);
    } else {
      return typename P::thread(work);
    }
  }

  void run_worker(const ScenarioWorker& plan, Tally& tally) {
    engine::Worker<P> worker(store_.worker({.failures = plan.failures}));
    int failures = plan.failures;
    for (const ScenarioOperation& operation : plan.operations) {
      for (std::uint32_t i = 0; i < operation.times; ++i) {
        switch (operation.kind) {
          case ScenarioOperation::Kind::add:
            add(worker, operation, std::exchange(failures, 0), tally);
            break;
          case ScenarioOperation::Kind::cas:
            add_by_hand(worker, operation, tally);
            break;
          case ScenarioOperation::Kind::read:
            read_twice(operation, tally);
            break;
          case ScenarioOperation::Kind::pause:
            P::sleep_until(P::now() + operation.think);
            break;
        }
      }
    }
  }

  void add(engine::Worker<P>& worker, const ScenarioOperation& operation, int failures_before, Tally& tally) {
    const engine::Contract contract{.inputs = operation.paths, .outputs = operation.paths};
    const auto process = store_.process("add", contract, [&operation](auto& context) {
      for (const std::string& path : operation.paths) context.set(path, value_of(context.read(path)) + 1);
      if (operation.think != engine::Duration::zero()) P::sleep_until(P::now() + operation.think);
    });
    Called call([&] { return fmt::format("add {}", fmt::join(operation.paths, " ")); });
    const engine::ExecuteResult result = store_.execute(worker, process);
    const engine::Effort& effort = result.effort;
    call.returned([&] { return text_of(result); });
    if (!result.committed()) {
      tally.broken = "an execute() did not commit";
      return;
    }
    tally.versions.push_back(std::get<Committed>(result.outcome).version);
    for (const std::string& path : operation.paths) ++tally.added[path];
    tally.most.most_conflicts = std::max(tally.most.most_conflicts, effort.conflicts);
    tally.most.most_attempts = std::max(tally.most.most_attempts, effort.attempts);
    tally.most.most_closings = std::max(tally.most.most_closings, effort.closings_waited);
    check_bound(effort, failures_before, tally);
  }

  /// Acceptance B10.
  void check_bound(const engine::Effort& effort, int failures_before, Tally& tally) const {
    const engine::StoreOptions& engine = scenario_.engine;
    const int allowed =
        scenario_.most_conflicts.value_or(std::max(engine.ticket_threshold - failures_before, 0)) +
        effort.expiries;
    if (!scenario_.most_conflicts && !engine.ticket) return;
    if (effort.conflicts > allowed) {
      tally.broken =
          fmt::format("an execute() met {} conflicts where {} are allowed", effort.conflicts, allowed);
    } else if (effort.attempts > allowed + 1 + effort.expiries) {
      tally.broken = fmt::format("an execute() ran its body {} times where {} are allowed", effort.attempts,
                                 allowed + 1 + effort.expiries);
    }
    const int closings = engine.busy_limit + static_cast<int>(scenario_.workers.size()) - 1;
    if (engine.ticket && effort.closings_waited > closings * (1 + effort.expiries)) {
      tally.broken = fmt::format("an execute() waited out {} closings of the gate where {} are allowed",
                                 effort.closings_waited, closings * (1 + effort.expiries));
    }
  }

  /// One attempt: counts if it commits, changes nothing if it does not.
  void add_by_hand(engine::Worker<P>& worker, const ScenarioOperation& operation, Tally& tally) {
    engine::WriteSet writes;
    Version base = 0;
    {
      auto snapshot = store_.snapshot();
      base = snapshot.version();
      for (const std::string& path : operation.paths) writes.set(path, value_of(snapshot.read(path)) + 1);
    }
    Called call([&] { return fmt::format("cas {} from {}", fmt::join(operation.paths, " "), base); });
    const CommitResult result = store_.compare_and_swap(base, writes, &worker);
    call.returned([&] { return text_of(result); });
    if (const auto* committed = std::get_if<Committed>(&result)) {
      if (committed->version <= base) tally.broken = "a commit's version is not above its base";
      tally.versions.push_back(committed->version);
      for (const std::string& path : operation.paths) ++tally.added[path];
    }
    worker.give_back();
  }

  /// One snapshot says the same twice, and all of a set of paths that are always added to together agree.
  void read_twice(const ScenarioOperation& operation, Tally& tally) {
    Called call([&] { return fmt::format("read {}", fmt::join(operation.paths, " ")); });
    auto snapshot = store_.snapshot();
    std::set<std::int64_t> seen;
    for (int round = 0; round < 2; ++round) {
      for (const std::string& path : operation.paths) seen.insert(value_of(snapshot.read(path)));
    }
    call.returned([&] { return fmt::format("{} at {}", fmt::join(seen, " and "), snapshot.version()); });
    if (seen.size() > 1) tally.broken = "a snapshot shows half of a commit";
  }

  const Scenario& scenario_;
  engine::Store<P> store_;
  std::vector<Tally> tallies_;
};

}  // namespace

std::function<void()> controlled_body(const Scenario& scenario, ScenarioCounts* counts) {
  return [scenario, counts] {
    Run<ControlledPlatform> run(scenario);
    run.start_and_join();
    if (const std::optional<std::string> broken = run.check()) require(false, *broken);
    if (counts == nullptr) return;
    const ScenarioCounts now = run.counts();
    counts->most_conflicts = std::max(counts->most_conflicts, now.most_conflicts);
    counts->most_attempts = std::max(counts->most_attempts, now.most_attempts);
    counts->most_closings = std::max(counts->most_closings, now.most_closings);
  };
}

NativeResult run_natively(const Scenario& scenario) {
  Run<engine::NativePlatform> run(scenario);
  if (const std::optional<std::string> refused = run.start_and_join()) return NotStarted{*refused};
  if (const std::optional<std::string> broken = run.check()) return Broken{*broken};
  return Held{};
}

}  // namespace touchstone::harness::explore
