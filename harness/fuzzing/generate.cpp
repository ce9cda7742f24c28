#include "harness/fuzzing/generate.h"

#include <algorithm>
#include <array>
#include <utility>

namespace touchstone::harness::fuzzing {

namespace {

using explore::Algorithm;
using explore::Choice;
using explore::Deviation;
using explore::FaultPlan;
using explore::Scenario;
using explore::ScenarioOperation;
using explore::ScenarioWorker;
using Kind = ScenarioOperation::Kind;
using namespace std::chrono_literals;

constexpr std::size_t kMostWorkers = 4;
constexpr std::size_t kMostOperations = 5;  // of a worker
constexpr std::size_t kMostDeviations = 400;
constexpr std::size_t kLongestPrefix = 200;  // events, before a sampler takes over

constexpr std::array<const char*, 3> kCounters = {"n", "m", "d.c"};
constexpr std::array<const char*, 6> kPuts = {"a", "a.b", "a.b.c", "a.d", "e", "e.x"};
constexpr std::array<const char*, 6> kStallPoints = {"execute:body_done", "commit:begin",
                                                     "commit:locked",     "commit:admitted",
                                                     "commit:numbered",   "commit:installed"};
constexpr std::array<Algorithm, 4> kTails = {Algorithm::random, Algorithm::pct, Algorithm::pos,
                                             Algorithm::urw};

template <class Table>
std::vector<std::string> some_of(const Table& table, Draws& draws) {
  std::vector<std::string> some;
  for (const char* entry : table) {
    if (draws.chance(1, 2)) some.emplace_back(entry);
  }
  if (some.empty()) some.emplace_back(draws.pick(table));
  return some;
}

engine::StoreOptions draw_engine(Draws& draws) {
  engine::StoreOptions engine;
  if (draws.chance(1, 6)) engine.mode = engine::Mode::strict;
  engine.validate_reads = draws.chance(1, 4);
  engine.backoff = draws.chance(1, 3);
  if (!engine.backoff || draws.chance(1, 2)) engine.backoff_base = 0ms;
  engine.ticket = !draws.chance(1, 5);
  if (draws.chance(1, 3)) engine.policy = engine::Policy::key_queue;
  if (draws.chance(2, 3)) engine.ticket_threshold = 1 + static_cast<int>(draws.below(3));
  if (draws.chance(1, 3)) engine.busy_limit = 1 + static_cast<int>(draws.below(4));
  if (draws.chance(1, 3)) engine.lease_least = std::chrono::milliseconds(1 + draws.below(20));
  if (draws.chance(1, 6)) engine.lease_factor = static_cast<int>(draws.below(3));
  return engine;
}

FaultPlan draw_fault(Draws& draws) {
  FaultPlan fault;
  fault.crash = draws.chance(1, 3);
  // A thread may die where it holds nothing; elsewhere what it held stays held, as in a real process, and all is over.
  fault.point = fault.crash ? kStallPoints.front() : draws.pick(kStallPoints);
  if (!fault.crash) fault.stall = std::chrono::milliseconds(1 + draws.below(120));
  fault.times = 1 + static_cast<std::uint32_t>(draws.below(2));
  return fault;
}

void draw_parameters(ScenarioOperation& operation, Draws& draws) {
  if (operation.kind == Kind::add) {
    operation.throws = draws.chance(1, 5);
    operation.attempts = draws.chance(1, 6) ? 1 + static_cast<int>(draws.below(3)) : 0;
    operation.within = draws.chance(1, 8) ? std::chrono::milliseconds(1 + draws.below(60)) : 0ms;
  }
  if (operation.kind == Kind::put) {
    operation.content = static_cast<ScenarioOperation::Content>(draws.below(4));
    operation.base = static_cast<ScenarioOperation::Base>(draws.chance(1, 12) ? 2 : draws.below(2));
    operation.patient = draws.chance(1, 4);
  }
  const bool waits = operation.kind == Kind::pause || draws.chance(1, 6);
  operation.think =
      waits && operation.kind != Kind::leave ? std::chrono::milliseconds(1 + draws.below(30)) : 0ms;
  operation.times = draws.chance(1, 4) ? 2 + static_cast<std::uint32_t>(draws.below(2)) : 1;
}

ScenarioOperation draw_operation(Draws& draws, const Swarm& swarm) {
  ScenarioOperation operation = draws.pick(swarm.kinds);
  if (operation.kind != Kind::pause && operation.kind != Kind::leave) {
    std::vector<std::string> pool = operation.kind == Kind::put ? swarm.puts : swarm.counters;
    if (operation.kind == Kind::look) pool.insert(pool.end(), swarm.puts.begin(), swarm.puts.end());
    for (std::size_t i = 1 + draws.below(3); i != 0; --i) {
      const std::string& path = draws.pick(pool);
      if (std::find(operation.paths.begin(), operation.paths.end(), path) == operation.paths.end())
        operation.paths.push_back(path);
    }
  }
  if (operation.kind == Kind::read) operation.paths.resize(1);  // others need not be added to together
  draw_parameters(operation, draws);
  return operation;
}

ScenarioWorker draw_worker(Draws& draws, const Swarm& swarm, std::size_t number) {
  ScenarioWorker worker{std::string(1, static_cast<char>('A' + number % 26)), 0, {}};
  if (swarm.most_failures > 0)
    worker.failures = static_cast<int>(draws.below(static_cast<std::uint64_t>(swarm.most_failures) + 1));
  for (std::size_t i = 1 + draws.below(3); i != 0; --i)
    worker.operations.push_back(draw_operation(draws, swarm));
  return worker;
}

void draw_tail(FuzzCase& it, Draws& draws, std::size_t after) {
  it.decisions.seed = draws.below(0);
  it.tail = draws.pick(kTails);
  it.tail_after = after;
}

/// The last word: what cannot be written down as a scenario becomes the one that it was made from.
FuzzCase settled(FuzzCase changed, const FuzzCase& before) {
  changed.decisions.fair_after.reset();
  if (changed.decisions.deviations.size() > kMostDeviations)
    changed.decisions.deviations.resize(kMostDeviations);
  auto good = well_formed(changed.scenario);
  if (!good) return before;
  changed.scenario = std::move(*good);
  return changed;
}

ScenarioWorker& any_worker(Scenario& scenario, Draws& draws) {
  return draws.pick(scenario.workers);
}

// --- changes of the scenario ---

void add_operation(Scenario& scenario, Draws& draws, const Swarm& swarm) {
  ScenarioWorker& worker = any_worker(scenario, draws);
  if (worker.operations.size() >= kMostOperations) return;
  const auto at = static_cast<std::ptrdiff_t>(draws.below(worker.operations.size() + 1));
  worker.operations.insert(worker.operations.begin() + at, draw_operation(draws, swarm));
}

void remove_operation(Scenario& scenario, Draws& draws) {
  ScenarioWorker& worker = any_worker(scenario, draws);
  if (worker.operations.size() < 2) return;
  worker.operations.erase(worker.operations.begin() +
                          static_cast<std::ptrdiff_t>(draws.below(worker.operations.size())));
}

void copy_operation(Scenario& scenario, Draws& draws) {
  const ScenarioWorker& from = any_worker(scenario, draws);
  ScenarioOperation operation = from.operations[draws.below(from.operations.size())];
  ScenarioWorker& to = any_worker(scenario, draws);
  if (to.operations.size() < kMostOperations) to.operations.push_back(std::move(operation));
}

void add_worker(Scenario& scenario, Draws& draws, const Swarm& swarm) {
  if (scenario.workers.size() < kMostWorkers)
    scenario.workers.push_back(draw_worker(draws, swarm, scenario.workers.size()));
}

void remove_worker(Scenario& scenario, Draws& draws) {
  if (scenario.workers.size() > 2)
    scenario.workers.erase(scenario.workers.begin() +
                           static_cast<std::ptrdiff_t>(draws.below(scenario.workers.size())));
}

void change_fault(Scenario& scenario, Draws& draws) {
  if (!scenario.faults.empty() && draws.chance(1, 2)) {
    scenario.faults.pop_back();
  } else if (scenario.faults.size() < 2) {
    scenario.faults.push_back(draw_fault(draws));
  }
}

void change_scenario(Scenario& scenario, Draws& draws, const Swarm& swarm) {
  switch (draws.below(10)) {
    case 0:
    case 1:
      return add_operation(scenario, draws, swarm);
    case 2:
      return remove_operation(scenario, draws);
    case 3:
      return copy_operation(scenario, draws);
    case 4: {
      ScenarioWorker& worker = any_worker(scenario, draws);
      draws.pick(worker.operations) = draw_operation(draws, swarm);
      return;
    }
    case 5: {
      ScenarioWorker& worker = any_worker(scenario, draws);
      return draw_parameters(draws.pick(worker.operations), draws);
    }
    case 6:
      return draws.chance(1, 2) ? add_worker(scenario, draws, swarm) : remove_worker(scenario, draws);
    case 7:
      any_worker(scenario, draws).failures =
          static_cast<int>(draws.below(static_cast<std::uint64_t>(scenario.engine.ticket_threshold)));
      return;
    case 8:
      return change_fault(scenario, draws);
    default:
      scenario.engine = draws.chance(1, 2) ? swarm.engine : draw_engine(draws);
  }
}

// --- changes of the decisions ---

Deviation draw_deviation(const std::vector<Deviation>& near, Draws& draws, std::size_t threads) {
  Deviation it;
  if (!near.empty()) it = draws.pick(near);
  it.thread = static_cast<explore::ThreadId>(draws.below(threads + 1));
  const std::uint64_t range = it.step + 40;
  it.step = static_cast<std::uint32_t>(draws.chance(1, 2) ? draws.below(range) : it.step);
  it.ordinal = 0;
  it.what = Choice::thread;
  it.pick = draws.below(threads + 1);
  return it;
}

void change_decisions(FuzzCase& it, Draws& draws) {
  std::vector<Deviation>& all = it.decisions.deviations;
  const auto place = [&all](std::size_t at) { return all.begin() + static_cast<std::ptrdiff_t>(at); };
  switch (draws.below(6)) {
    case 0:
      all.insert(place(draws.below(all.size() + 1)), draw_deviation(all, draws, it.scenario.workers.size()));
      return;
    case 1:
      if (!all.empty()) all.erase(place(draws.below(all.size())));
      return;
    case 2: {
      if (all.empty()) return;
      const std::size_t from = draws.below(all.size());
      all.erase(place(from), place(from + 1 + draws.below(all.size() - from)));
      return;
    }
    case 3:
      if (!all.empty()) draws.pick(all).pick = draws.below(it.scenario.workers.size() + 1);
      return;
    case 4:
      it.decisions.seed = draws.below(0);
      return;
    default:  // as before up to some event, then at random
      draw_tail(it, draws, draws.below(kLongestPrefix));
  }
}

}  // namespace

Swarm draw_swarm(Draws& draws) {
  Swarm swarm;
  swarm.engine = draw_engine(draws);
  constexpr std::array<Kind, 7> kAll = {Kind::add, Kind::cas,  Kind::read, Kind::pause,
                                        Kind::put, Kind::look, Kind::leave};
  for (const Kind kind : kAll) {
    if (!draws.chance(1, 2)) continue;
    ScenarioOperation operation;
    operation.kind = kind;
    swarm.kinds.push_back(operation);
  }
  ScenarioOperation writes;
  writes.kind = draws.chance(1, 2) ? Kind::add : Kind::put;
  for (int i = 0; i < 2; ++i) swarm.kinds.push_back(writes);
  swarm.counters = some_of(kCounters, draws);
  swarm.puts = some_of(kPuts, draws);
  if (draws.chance(1, 3)) swarm.faults.push_back(draw_fault(draws));
  if (draws.chance(1, 2)) swarm.most_failures = swarm.engine.ticket_threshold - 1;
  swarm.weak_memory = draws.chance(1, 4);
  return swarm;
}

FuzzCase generate(Draws& draws, const Swarm& swarm) {
  FuzzCase it;
  it.scenario.engine = swarm.engine;
  it.scenario.faults = swarm.faults;
  it.scenario.linearizable = true;
  it.weak_memory = swarm.weak_memory;
  if (draws.chance(2, 3)) it.scenario.initial = swarm.counters;
  for (std::size_t i = 0, all = 2 + draws.below(kMostWorkers - 1); i < all; ++i)
    it.scenario.workers.push_back(draw_worker(draws, swarm, i));
  draw_tail(it, draws, 0);
  return settled(it, it);
}

FuzzCase mutate(const FuzzCase& it, Draws& draws, const Swarm& swarm) {
  FuzzCase changed = it;
  const bool decisions = draws.chance(1, 2);
  for (std::size_t i = 1 + draws.below(3); i != 0; --i) {
    if (decisions) {
      change_decisions(changed, draws);
    } else {
      change_scenario(changed.scenario, draws, swarm);
    }
  }
  if (draws.chance(1, 32)) changed.weak_memory = !changed.weak_memory;
  return settled(std::move(changed), it);
}

FuzzCase cross(const FuzzCase& it, const FuzzCase& other, Draws& draws) {
  FuzzCase both = it;
  if (draws.chance(1, 2)) {
    both.decisions = other.decisions;
    both.tail = other.tail;
    both.tail_after = other.tail_after;
    return settled(std::move(both), it);
  }
  for (std::size_t i = 0; i < other.scenario.workers.size(); ++i) {
    if (!draws.chance(1, 2)) continue;
    if (i < both.scenario.workers.size()) {
      both.scenario.workers[i].operations = other.scenario.workers[i].operations;
    } else {
      both.scenario.workers.push_back(other.scenario.workers[i]);
    }
  }
  return settled(std::move(both), it);
}

FuzzCase decode(std::span<const std::uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  auto parsed = parse_fuzz_case(text);
  if (auto* written = std::get_if<FuzzCase>(&parsed)) return std::move(*written);
  Draws draws(bytes);
  const Swarm swarm = draw_swarm(draws);
  return generate(draws, swarm);
}

}  // namespace touchstone::harness::fuzzing
