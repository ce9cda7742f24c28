#include "harness/fuzzing/case_shrink.h"

#include <utility>

namespace touchstone::harness::fuzzing {

namespace {

using explore::Scenario;
using explore::ScenarioOperation;

template <class List>
void erase_at(List& list, std::size_t at) {
  list.erase(list.begin() + static_cast<std::ptrdiff_t>(at));
}

class Simpler {
 public:
  explicit Simpler(const Scenario& scenario) : whole_(scenario) {}

  std::vector<Scenario> all() {
    workers();
    for (std::size_t i = 0; i < whole_.faults.size(); ++i)
      with([&](Scenario& it) { erase_at(it.faults, i); });
    options();
    operations();
    for (std::size_t i = 0; i < whole_.initial.size(); ++i)
      with([&](Scenario& it) { erase_at(it.initial, i); });
    for (std::size_t i = 0; i < whole_.faults.size(); ++i)
      if (whole_.faults[i].times != 1) with([&](Scenario& it) { it.faults[i].times = 1; });
    return std::move(all_);
  }

 private:
  template <class Change>
  void with(const Change& change) {
    all_.push_back(whole_);
    change(all_.back());
  }

  void workers() {
    for (std::size_t i = 0; i < whole_.workers.size(); ++i) {
      if (whole_.workers.size() > 1) with([&](Scenario& it) { erase_at(it.workers, i); });
      if (whole_.workers[i].failures != 0) with([&](Scenario& it) { it.workers[i].failures = 0; });
    }
  }

  void options() {
    const engine::StoreOptions usual;
    const engine::StoreOptions& now = whole_.engine;
    const auto unless = [&](bool already, auto engine::StoreOptions::*option, auto value) {
      if (!already) with([&](Scenario& it) { it.engine.*option = value; });
    };
    unless(now.mode == usual.mode, &engine::StoreOptions::mode, usual.mode);
    unless(now.policy == usual.policy, &engine::StoreOptions::policy, usual.policy);
    unless(!now.validate_reads, &engine::StoreOptions::validate_reads, false);
    unless(now.ticket, &engine::StoreOptions::ticket, true);
    unless(now.ticket_threshold == usual.ticket_threshold, &engine::StoreOptions::ticket_threshold,
           usual.ticket_threshold);
    unless(now.busy_limit == usual.busy_limit, &engine::StoreOptions::busy_limit, usual.busy_limit);
    unless(now.lease_least == usual.lease_least, &engine::StoreOptions::lease_least, usual.lease_least);
    unless(now.lease_factor == usual.lease_factor, &engine::StoreOptions::lease_factor, usual.lease_factor);
    unless(!now.backoff, &engine::StoreOptions::backoff, false);
    unless(now.backoff_base == engine::Duration::zero(), &engine::StoreOptions::backoff_base,
           engine::Duration::zero());
  }

  void operations() {
    for (std::size_t w = 0; w < whole_.workers.size(); ++w) {
      for (std::size_t i = 0; i < whole_.workers[w].operations.size(); ++i) {
        if (whole_.workers[w].operations.size() > 1)
          with([&](Scenario& it) { erase_at(it.workers[w].operations, i); });
        parts(w, i);
      }
    }
  }

  void parts(std::size_t worker, std::size_t number) {
    const ScenarioOperation& now = whole_.workers[worker].operations[number];
    const auto change = [&](bool needed, const auto& how) {
      if (needed) with([&](Scenario& it) { how(it.workers[worker].operations[number]); });
    };
    for (std::size_t i = 0; i < now.paths.size(); ++i)
      change(now.paths.size() > 1, [i](ScenarioOperation& it) { erase_at(it.paths, i); });
    change(now.times > 1, [](ScenarioOperation& it) { it.times = 1; });
    change(now.times > 2, [](ScenarioOperation& it) { --it.times; });
    change(now.think != engine::Duration::zero() && now.kind != ScenarioOperation::Kind::pause,
           [](ScenarioOperation& it) { it.think = {}; });
    change(now.attempts != 0, [](ScenarioOperation& it) { it.attempts = 0; });
    change(now.within != engine::Duration::zero(), [](ScenarioOperation& it) { it.within = {}; });
    change(now.throws, [](ScenarioOperation& it) { it.throws = false; });
    change(now.patient, [](ScenarioOperation& it) { it.patient = false; });
    change(now.content != ScenarioOperation::Content::number,
           [](ScenarioOperation& it) { it.content = ScenarioOperation::Content::number; });
    change(now.base != ScenarioOperation::Base::now,
           [](ScenarioOperation& it) { it.base = ScenarioOperation::Base::now; });
  }

  const Scenario& whole_;
  std::vector<Scenario> all_;
};

}  // namespace

std::vector<Scenario> simpler(const Scenario& scenario) {
  return Simpler(scenario).all();
}

FuzzCase shrink_scenario(FuzzCase failing, const Trial& trial, std::size_t most_trials) {
  std::size_t trials = 0;
  if (failing.weak_memory) {
    FuzzCase strong = failing;
    strong.weak_memory = false;
    if (auto again = trial(strong)) failing = std::move(*again);
  }
  bool smaller = true;
  while (smaller && trials < most_trials) {
    smaller = false;
    for (Scenario& candidate : simpler(failing.scenario)) {
      if (++trials > most_trials) break;
      FuzzCase changed = failing;
      auto good = well_formed(candidate);
      if (!good) continue;
      changed.scenario = std::move(*good);
      auto again = trial(changed);
      if (!again) continue;
      failing = std::move(*again);
      smaller = true;
      break;
    }
  }
  return failing;
}

}  // namespace touchstone::harness::fuzzing
