#pragma once
// One worker of a scenario: carries out its operations on a store, says what it called and was told, and checks what a worker alone
// can check.
//
//   ScenarioTally tally;
//   ScenarioRunner<P>(scenario, store, history, index, tally).run();
//   if (!tally.broken.empty()) ...
//
// Checked here, cited by number of the engine's own headers: E1 (which conflict earns the ticket, and how many an execute() meets), E4
// and B10 (bounds), E5 (no ticket is left when an execute() has ended), E6 (its effects are those of its commit), B1 (a retry waits at
// least its base), T1 (a holder is neither Busy nor in conflict), and that one snapshot says the same twice.
//
// Thread safety: each belongs to the thread of its worker.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/history.h"
#include "harness/explore/scenario.h"
#include "harness/reference_engine.h"

namespace touchstone::harness::explore {

/// What one worker did; its own thread's until that is joined.
struct ScenarioTally {
  std::vector<engine::Version> versions;
  std::map<std::string, std::int64_t> added;
  ScenarioCounts most;
  std::uint64_t commits = 0;  // of execute()
  std::uint64_t effects = 0;  // that reached the sink: each body emits one
  int more_closings = 0;  // of an execute(), than its bound without leases of others; with its own expiries
  std::string broken;     // the first that was
  bool ended = false;     // its thread did not crash

  void require(bool holds, const std::string& otherwise) {
    if (!holds && broken.empty()) broken = otherwise;
  }
};

/// What a counter holds.
inline std::int64_t counter_of(const std::optional<engine::Value>& value) {
  return value && value->is_scalar() ? value->integer() : 0;
}

std::string text_of(const engine::CommitResult& result);
std::string text_of(const engine::ExecuteResult& result);

template <class P>
class ScenarioRunner {
 public:
  ScenarioRunner(const Scenario& scenario, engine::Store<P>& store, ScenarioHistory& history,
                 std::size_t index, ScenarioTally& tally)
      : scenario_(scenario),
        store_(store),
        history_(history),
        index_(index),
        tally_(tally),
        worker_(store.worker({.failures = scenario.workers[index].failures})),
        conflicts_(scenario.workers[index].failures) {}

  void run() {
    for (const ScenarioOperation& operation : scenario_.workers[index_].operations) {
      for (std::uint32_t i = 0; i < operation.times; ++i) run(operation);
    }
    tally_.ended = true;
  }

 private:
  using Kind = ScenarioOperation::Kind;
  using Committed = engine::Committed;
  using TicketStatus = engine::TicketStatus;

  struct BodyThrew : std::runtime_error {
    using std::runtime_error::runtime_error;
  };

  void run(const ScenarioOperation& operation) {
    switch (operation.kind) {
      case Kind::add:
        return add(operation);
      case Kind::cas:
        return add_by_hand(operation);
      case Kind::read:
        return look(operation, true);
      case Kind::look:
        return look(operation, false);
      case Kind::pause:
        return P::sleep_until(P::now() + operation.think);
      case Kind::put:
        return put(operation);
      case Kind::leave:
        return give_back();
    }
  }

  // --- the history ---

  std::size_t invoke(model::StoreOperation operation) {
    return scenario_.linearizable ? history_.invoke(index_, std::move(operation)) : 0;
  }

  void answer(std::size_t call, model::StoreResponse response) {
    if (scenario_.linearizable) history_.answer(index_, call, std::move(response));
  }

  // --- execute() ---

  void add(const ScenarioOperation& operation) {
    const engine::Contract contract{.inputs = operation.paths, .outputs = operation.paths};
    const auto process = store_.process("add", contract, [this, &operation](auto& context) {
      for (const std::string& path : operation.paths) context.set(path, counter_of(context.read(path)) + 1);
      if (operation.think != engine::Duration::zero()) P::sleep_until(P::now() + operation.think);
      context.emit("added", static_cast<std::int64_t>(index_));
      if (operation.throws) throw BodyThrew("as the scenario says");
    });
    model::Execute body;
    for (const std::string& path : operation.paths) body.body.emplace_back(model::AddInteger{path, 1});
    engine::Limits<P> limits;
    if (operation.attempts != 0) limits.attempts = operation.attempts;
    if (operation.within != engine::Duration::zero()) limits.deadline = P::now() + operation.within;
    // Who brings a ticket has nothing to fear but its lease; who brings too many conflicts earns one with the next.
    const int conflicts_left = worker_.ticket() != TicketStatus::none
                                   ? 0
                                   : std::max(scenario_.engine.ticket_threshold - conflicts_, 1);
    Called call([&] { return fmt::format("add {}", fmt::join(operation.paths, " ")); });
    const std::size_t recorded = invoke(std::move(body));
    std::optional<engine::ExecuteResult> result;
    try {
      result = store_.execute(worker_, process, limits);
      call.returned([&] { return text_of(*result); });
    } catch (const BodyThrew&) {
      call.returned([] { return std::string("the body threw"); });
    }
    answer(recorded, result ? to_model(*result) : model::StoreResponse(model::GaveUp{}));
    tally_.require(worker_.ticket() == TicketStatus::none, "a ticket is left when an execute() has ended");
    if (result && result->committed()) ++tally_.commits;
    tally_.require(tally_.effects == tally_.commits,
                   "the effects of an execute() are not those of its commit");
    if (result) {
      ended(operation, *result, conflicts_left);
    } else {
      tally_.require(operation.throws, "an exception of nobody's");
    }
    conflicts_ = worker_.failures();
  }

  void ended(const ScenarioOperation& operation, const engine::ExecuteResult& result, int conflicts_left) {
    const engine::Effort& effort = result.effort;
    if (const auto* committed = std::get_if<Committed>(&result.outcome)) {
      tally_.versions.push_back(committed->version);
      for (const std::string& path : operation.paths) ++tally_.added[path];
      tally_.require(worker_.failures() == 0, "a commit left failures behind");
    } else {
      const bool may_end = operation.attempts != 0 || operation.within != engine::Duration::zero();
      tally_.require(may_end, "an execute() did not commit");
    }
    tally_.most.most_conflicts = std::max(tally_.most.most_conflicts, effort.conflicts);
    tally_.most.most_attempts = std::max(tally_.most.most_attempts, effort.attempts);
    tally_.most.most_closings = std::max(tally_.most.most_closings, effort.closings_waited);
    check_bound(effort, conflicts_left);
    check_waits(operation, effort);
  }

  /// Acceptance B10.
  void check_bound(const engine::Effort& effort, int conflicts_left) {
    const engine::StoreOptions& engine = scenario_.engine;
    const int allowed = scenario_.most_conflicts.value_or(conflicts_left) + effort.expiries;
    if (!scenario_.most_conflicts && !engine.ticket) return;
    tally_.require(effort.conflicts <= allowed,
                   fmt::format("an execute() met more conflicts than allowed: {} (at most {})",
                               effort.conflicts, allowed));
    tally_.require(effort.attempts <= allowed + 1 + effort.expiries,
                   fmt::format("an execute() ran its body more often than allowed: {} (at most {})",
                               effort.attempts, allowed + 1 + effort.expiries));
    const int closings = engine.busy_limit + static_cast<int>(scenario_.workers.size()) - 1;
    if (!engine.ticket) return;
    tally_.more_closings = std::max(
        tally_.more_closings, effort.closings_waited - closings * (1 + effort.expiries) + effort.expiries);
  }

  /// Acceptance B1, as far as it is exact: after each conflict that earns no ticket the worker waits at least base * 2^n.
  void check_waits(const ScenarioOperation& operation, const engine::Effort& effort) {
    const engine::StoreOptions& engine = scenario_.engine;
    if (!engine.backoff || operation.within != engine::Duration::zero()) return;
    engine::Duration least{0};
    for (int n = conflicts_ + 1; n <= conflicts_ + effort.conflicts; ++n) {
      if (engine.ticket && n >= engine.ticket_threshold) break;
      least += engine.backoff_base * (std::int64_t{1} << std::min(n, engine.backoff_cap));
    }
    tally_.require(effort.waited >= least, "a retry did not wait as long as its base");
  }

  // --- commits by hand ---

  /// One attempt: counts if it commits, changes nothing if it does not.
  void add_by_hand(const ScenarioOperation& operation) {
    engine::WriteSet writes;
    model::CompareAndSwap recorded;
    {
      const std::size_t read = invoke(model::SnapshotRead{operation.paths});
      auto snapshot = store_.snapshot();
      model::SnapshotIs seen{snapshot.version(), {}};
      for (const std::string& path : operation.paths) {
        const auto value = snapshot.read(path);
        const std::int64_t next = counter_of(value) + 1;
        writes.set(path, next);
        recorded.writes.push_back({path, model::Subtree{{"", next}}});
        seen.values.push_back(to_model(value));
      }
      recorded.expected = seen.version;
      answer(read, std::move(seen));
    }
    const engine::Version base = recorded.expected;
    Called call([&] { return fmt::format("cas {} from {}", fmt::join(operation.paths, " "), base); });
    const engine::CommitResult result = commit(base, writes, std::move(recorded), [] { return false; });
    call.returned([&] { return text_of(result); });
    if (std::holds_alternative<Committed>(result)) {
      for (const std::string& path : operation.paths) ++tally_.added[path];
    }
    give_back();
  }

  void put(const ScenarioOperation& operation) {
    const bool fresh = operation.base == ScenarioOperation::Base::now;
    // The guarantee of Store::await_turn: what it says of its turn holds for a version that is read after it, until the lease ends.
    bool held = operation.patient && store_.await_turn(worker_) == TicketStatus::holding;
    const std::uint64_t expiries =
        held ? store_.statistics().expiries : 0;  // only then: to count is to look at the store
    // The turn may have run out before the count, which then has it already.
    held = held && worker_.ticket() == TicketStatus::holding;
    const auto in_its_turn = [&] {
      return held && fresh && scenario_.engine.policy == engine::Policy::ticket &&
             store_.statistics().expiries == expiries;
    };
    engine::Version base = seen_;
    if (operation.base != ScenarioOperation::Base::seen) {
      const std::size_t looked = invoke(model::ReadVersion{});
      base = store_.version();
      answer(looked, model::VersionIs{base});
      if (!fresh) base += 1'000'000;
    }
    model::CompareAndSwap recorded{.expected = base, .writes = {}, .reads = {}, .outputs = {}};
    for (const std::string& path : operation.paths)
      recorded.writes.push_back({path, content_of(operation.content)});
    const engine::WriteSet writes = to_engine(recorded.writes);
    Called call([&] { return fmt::format("put {} from {}", fmt::join(operation.paths, " "), base); });
    const engine::CommitResult result = commit(base, writes, std::move(recorded), in_its_turn);
    call.returned([&] { return text_of(result); });
    if (const auto* committed = std::get_if<Committed>(&result)) seen_ = committed->version;
  }

  /// A value that nobody else puts.
  std::optional<model::Subtree> content_of(ScenarioOperation::Content content) {
    const auto number = static_cast<std::int64_t>(index_ + 1) * 1'000 + ++puts_;
    switch (content) {
      case ScenarioOperation::Content::number:
        return model::Subtree{{"", number}};
      case ScenarioOperation::Content::text:
        return model::Subtree{{"", fmt::format("text {} of {}", puts_, scenario_.workers[index_].name)}};
      case ScenarioOperation::Content::tree:
        return model::Subtree{{"x", number}, {"y", number}};
      case ScenarioOperation::Content::nothing:
        break;
    }
    return std::nullopt;
  }

  /// `in_its_turn()` afterwards: whether it could neither conflict nor be Busy.
  template <class InItsTurn>
  engine::CommitResult commit(engine::Version base, const engine::WriteSet& writes,
                              model::CompareAndSwap operation, const InItsTurn& in_its_turn) {
    const TicketStatus before = worker_.ticket();
    const std::size_t recorded = invoke(std::move(operation));
    engine::CommitResult result = store_.compare_and_swap(base, writes, &worker_);
    answer(recorded, to_model(result));
    if (const auto* committed = std::get_if<Committed>(&result)) {
      tally_.require(committed->version > base, "a commit's version is not above its base");
      tally_.versions.push_back(committed->version);
      conflicts_ = 0;
    } else if (const auto* conflict = std::get_if<engine::Conflict>(&result)) {
      tally_.require(!in_its_turn(), "a commit conflicted in its own turn");
      conflicted(before, conflict->ticket);
    } else if (std::holds_alternative<engine::Busy>(result)) {
      tally_.require(!in_its_turn(), "a commit was Busy in its own turn");
      tally_.require(scenario_.engine.ticket, "a commit was Busy, and there are no tickets");
    }
    return result;
  }

  /// E1: the conflict that makes the threshold earns the ticket, no earlier one does.
  void conflicted(TicketStatus before, TicketStatus after) {
    if (before != TicketStatus::none) return;
    ++conflicts_;
    const bool earned = scenario_.engine.ticket && conflicts_ >= scenario_.engine.ticket_threshold;
    if (scenario_.engine.lease_least == engine::Duration::zero()) return;  // it may have run out already
    tally_.require(earned == (after != TicketStatus::none),
                   fmt::format("conflict {} in a row {} a ticket, and {} earn it", conflicts_,
                               earned ? "did not earn" : "earned", scenario_.engine.ticket_threshold));
  }

  void give_back() {
    if (worker_.ticket() != TicketStatus::none) conflicts_ = 0;
    worker_.give_back();
    conflicts_ = worker_.failures();
  }

  // --- snapshots ---

  /// One snapshot says the same twice; and, of counters that are always added to together, that all agree.
  void look(const ScenarioOperation& operation, bool agree) {
    Called call(
        [&] { return fmt::format("{} {}", agree ? "read" : "look at", fmt::join(operation.paths, " ")); });
    const std::size_t recorded = invoke(model::SnapshotRead{operation.paths});
    auto snapshot = store_.snapshot();
    model::SnapshotIs first{snapshot.version(), {}};
    for (const std::string& path : operation.paths) first.values.push_back(to_model(snapshot.read(path)));
    if (operation.think != engine::Duration::zero()) P::sleep_until(P::now() + operation.think);
    std::set<std::string> seen;
    for (std::size_t i = 0; i < operation.paths.size(); ++i) {
      const auto again = to_model(snapshot.read(operation.paths[i]));
      const auto& before = first.values[i];
      tally_.require(again.has_value() == before.has_value() && (!again || model::same(*again, *before)),
                     "a snapshot says two things");
      seen.insert(again ? model::describe(*again) : "0");
    }
    tally_.require(!agree || seen.size() <= 1, "a snapshot shows half of a commit");
    call.returned([&] { return fmt::format("{} at {}", fmt::join(seen, " and "), snapshot.version()); });
    seen_ = first.version;
    answer(recorded, std::move(first));
  }

  const Scenario& scenario_;
  engine::Store<P>& store_;
  ScenarioHistory& history_;
  const std::size_t index_;
  ScenarioTally& tally_;
  engine::Worker<P> worker_;
  int conflicts_;             // in a row, as the rules count them
  engine::Version seen_ = 0;  // the newest that this worker knows
  std::int64_t puts_ = 0;
};

}  // namespace touchstone::harness::explore
