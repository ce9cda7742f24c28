#include "harness/explore/explorer.h"

#include <fmt/format.h>

#include <chrono>
#include <concepts>
#include <memory>
#include <stdexcept>
#include <unordered_set>

#include "engine/native_platform.h"
#include "harness/counted.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/dpor.h"
#include "harness/explore/history.h"
#include "harness/explore/plain_search.h"
#include "harness/explore/replay.h"
#include "harness/explore/shrink.h"
#include "harness/explore/trace.h"
#include "harness/seed.h"

namespace touchstone::harness::explore {

namespace {

constexpr std::uint64_t kProgressEvery = 32;  // executions between two looks at the clock
constexpr std::chrono::milliseconds kProgressPause{200};
constexpr std::uint64_t kSamples = 1'000;
constexpr std::uint64_t kTurnsFairEarly = 16;
constexpr std::uint64_t kEarly = 64;  // points

struct RequirementFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The schedule, one column a thread, and the history below it.
std::string draw(const Scheduler& scheduler) {
  const std::string history = draw_history(scheduler);
  return draw_columns(scheduler) + (history.empty() ? "" : "\n" + history);
}

/// One exploration: the scheduler, its settings, and the report it fills.
class Exploration {
 public:
  Exploration(const Body& body, const Options& options)
      : body_(body), options_(options), started_(std::chrono::steady_clock::now()) {
    report_.algorithm = options.algorithm;
    report_.seed = options.seed ? *options.seed : Seed::of_process().derive("explore").value();
    settings_.max_points = options.max_points;
    settings_.weak_memory = options.weak_memory;
    settings_.keep_notes = options.keep_trace;
    settings_.faults = options.faults;
    if (options.classes) {
      classes_ = options.classes;
    } else if (options.count_classes && samples(options.algorithm)) {
      classes_ = std::make_shared<ClassCounts>();
    }
  }

  Report sample(Strategy& strategy) {
    engine::SplitMix seeds(report_.seed, 0x657865637574696f);
    const std::uint64_t most = options_.executions.value_or(kSamples);
    for (std::uint64_t skipped = 0; skipped < options_.first; ++skipped) seeds.next();
    for (std::uint64_t number = options_.first; number < most && !ends(); number += options_.step) {
      settings_.seed = seeds.next();
      for (std::uint64_t skipped = 1; skipped < options_.step; ++skipped) seeds.next();
      // A script says every step itself.
      settings_.fair_after = strategy.stops_at_faults() ? options_.max_points : fair_after();
      const Outcome outcome = scheduler_.run(body_, strategy, settings_);
      count(outcome);
      if (classes_) classes_->add(class_hash());
      if (options_.keep_trace) report_.columns = draw(scheduler_);
      if (outcome.failure) {
        explain(*outcome.failure);
      } else if (report_.executions <= options_.determinism_checks && !strategy.stops_at_faults()) {
        run_again();
      }
      show_progress();
    }
    if (interrupted() && !report_.failure) report_.verdict = Verdict::inconclusive;
    report_.covered = fmt::format("{}sampled {}, {} memory", interrupted() ? "interrupted: " : "",
                                  counted(report_.executions, "execution"),
                                  options_.weak_memory ? "weak" : "sequentially consistent");
    return finish();
  }

  /// `Search`: a strategy with advance().
  template <class Search>
  Report exhaust(Search& search) {
    settings_.seed = report_.seed;
    settings_.note_await_candidates = std::same_as<Search, PartialOrderReduction>;
    const bool hashes = options_.count_classes || std::same_as<Search, PlainSearch>;
    bool more = true;
    while (more && !ends() && report_.executions < options_.executions.value_or(~std::uint64_t{0})) {
      const Outcome outcome = scheduler_.run(body_, search, settings_);
      count(outcome);
      if (hashes && outcome.ending != Ending::blocked) distinct_.insert(class_hash());
      if (options_.keep_trace) report_.columns = draw(scheduler_);
      if (outcome.failure) {
        explain(*outcome.failure);
      } else if (report_.executions <= options_.determinism_checks) {
        run_again();
      }
      more = search.advance();
      show_progress();
    }
    if (more && !report_.failure) report_.verdict = Verdict::inconclusive;
    report_.classes = hashes ? distinct_.size() : report_.executions - report_.blocked;
    report_.covered = coverage(!more);
    return finish();
  }

  Report replay_exactly(const Schedule& schedule) {
    settings_.seed = report_.seed = schedule.seed;
    settings_.fair_after = schedule.fair_after.value_or(settings_.fair_after);
    settings_.keep_notes = true;
    Replay strategy(schedule, Replay::Mode::exact);
    const Outcome outcome = scheduler_.run(body_, strategy, settings_);
    count(outcome);
    if (outcome.failure) {
      report_.verdict = Verdict::failed;
      report_.failure =
          Counterexample{*outcome.failure, schedule, 1, schedule.deviations.size(), 0, draw(scheduler_)};
    }
    report_.columns = draw(scheduler_);
    report_.covered = "replayed one schedule";
    return finish();
  }

 private:
  std::uint64_t class_hash() {
    return options_.weak_memory ? hasher_.graph_hash(scheduler_) : hasher_.hash(scheduler_);
  }

  /// Every execution is scheduled fairly in the end; one in kTurnsFairEarly soon, for livelocks that chance breaks up.
  std::uint64_t fair_after() const {
    engine::SplitMix random(settings_.seed, 0x66616972);
    const std::uint64_t late = settings_.max_points / 2;
    return random.below(kTurnsFairEarly) == 0 ? std::min(late, random.below(kEarly)) : late;
  }

  void count(const Outcome& outcome) {
    ++report_.executions;
    report_.points += outcome.points;
    if (outcome.ending == Ending::blocked) ++report_.blocked;
    if (outcome.ending == Ending::cut) ++report_.cut;
  }

  /// The same schedule must do the same. What it did is in the scheduler.
  void run_again() {
    const Schedule schedule = schedule_of(scheduler_);
    Replay strategy(schedule, Replay::Mode::exact);
    const Outcome outcome = scheduler_.run(body_, strategy, settings_);
    if (outcome.failure) explain(*outcome.failure);
  }

  /// Shrinks the execution that the scheduler has just run, and draws it.
  void explain(const Failure& failure) {
    Counterexample found{
        failure, schedule_of(scheduler_), report_.executions, scheduler_.deviations().size(), 0, ""};
    report_.verdict = Verdict::failed;
    if (!options_.shrink) {
      found.columns = draw(scheduler_);
      report_.failure = std::move(found);
      return;
    }
    if (failure.kind != FailureKind::nondeterministic) {
      Shrunk shrunk = shrink(scheduler_, body_, settings_, found.schedule, failure);
      found.schedule = std::move(shrunk.schedule);
      found.failure = std::move(shrunk.failure);
      found.replays = shrunk.replays;
    }
    settings_.keep_notes = true;
    Replay strategy(found.schedule, Replay::Mode::lenient);
    scheduler_.run(body_, strategy, settings_);
    settings_.keep_notes = false;
    found.columns = draw(scheduler_);
    report_.failure = std::move(found);
  }

  bool interrupted() const { return options_.interrupted != nullptr && *options_.interrupted != 0; }
  bool ends() const { return report_.failure || interrupted(); }

  void show_progress() {
    if (!options_.progress || report_.executions % kProgressEvery != 0) return;
    const auto now = std::chrono::steady_clock::now();
    if (now < progress_due_) return;
    progress_due_ = now + kProgressPause;
    options_.progress(finish());
  }

  std::string coverage(bool complete) const {
    const char* const memory = options_.weak_memory ? "weak" : "sequentially consistent";
    if (!complete)
      return fmt::format("{} of a search that {}", counted(report_.executions, "execution"),
                         interrupted() ? "was interrupted" : "did not end");
    if (options_.algorithm == Algorithm::bounded) {
      return fmt::format("bounded: every schedule with at most {}, {} memory",
                         counted(options_.preemptions, "preemption"), memory);
    }
    return fmt::format("exhausted: every {}, {} memory, draws as the seed says",
                       options_.algorithm == Algorithm::plain ? "schedule" : "class of equivalent schedules",
                       memory);
  }

  Report finish() {
    report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
    if (classes_) {
      report_.classes = classes_->classes();
      report_.seen_once = classes_->once();
      report_.chance_of_new = classes_->chance_of_new();
    }
    return report_;
  }

  const Body& body_;
  const Options& options_;
  std::chrono::steady_clock::time_point started_;
  std::chrono::steady_clock::time_point progress_due_;
  Scheduler scheduler_;
  Settings settings_;
  Report report_;
  TraceHasher hasher_;
  std::shared_ptr<ClassCounts> classes_;        // of a sampler that counts
  std::unordered_set<std::uint64_t> distinct_;  // of a search that counts
};

}  // namespace

void require(bool holds, const std::string& claim) {
  if (!holds) throw RequirementFailed(claim);
}

void assume(bool holds) {
  Operation op{.kind = Kind::assume, .operand = holds ? 1U : 0U};
  if (!holds) the_scheduler().perform(op);
}

Report explore(const Body& body, const Options& options) {
  Exploration exploration(body, options);
  switch (options.algorithm) {
    case Algorithm::dpor:
    case Algorithm::source_dpor: {
      const bool optimal = options.algorithm == Algorithm::dpor;
      PartialOrderReduction search(optimal ? Reduction::optimal : Reduction::source, options.rules);
      return exploration.exhaust(search);
    }
    case Algorithm::plain:
    case Algorithm::bounded: {
      PlainLimits limits{.draws = options.draws};
      if (options.algorithm == Algorithm::bounded) limits.preemptions = options.preemptions;
      PlainSearch search(limits);
      return exploration.exhaust(search);
    }
    default: {
      const std::unique_ptr<Strategy> strategy = make_sampler(options.algorithm);
      return exploration.sample(*strategy);
    }
  }
}

Report explore_with(const Body& body, const Options& options, Strategy& strategy) {
  return Exploration(body, options).sample(strategy);
}

Report portfolio(const Body& body, Options options) {
  options.algorithm = Algorithm::portfolio;
  return explore(body, options);
}

Report exhaust(const Body& body, Options options) {
  options.algorithm = Algorithm::dpor;
  return explore(body, options);
}

Report replay(const Body& body, const Schedule& schedule, Options options) {
  return Exploration(body, options).replay_exactly(schedule);
}

}  // namespace touchstone::harness::explore
