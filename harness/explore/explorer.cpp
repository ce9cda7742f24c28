#include "harness/explore/explorer.h"

#include <fmt/format.h>

#include <chrono>
#include <ostream>
#include <stdexcept>
#include <unordered_map>

#include "engine/native_platform.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/replay.h"
#include "harness/explore/shrink.h"
#include "harness/explore/trace.h"
#include "harness/seed.h"

namespace touchstone::harness::explore {

namespace {

constexpr std::uint64_t kProgressEvery = 4096;

struct RequirementFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

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
  }

  Report sample(Strategy& strategy) {
    engine::SplitMix seeds(report_.seed, 0x657865637574696f);
    while (report_.executions < options_.executions && !report_.failure) {
      settings_.seed = seeds.next();
      const Outcome outcome = scheduler_.run(body_, strategy, settings_);
      count(outcome);
      if (options_.count_classes) ++classes_[hasher_.hash(scheduler_)];
      if (options_.keep_trace) report_.columns = draw_columns(scheduler_);
      if (outcome.failure) {
        explain(*outcome.failure);
      } else if (report_.executions <= options_.determinism_checks && !strategy.stops_at_faults()) {
        run_again();
      }
      if (options_.progress && report_.executions % kProgressEvery == 0) options_.progress(finish());
    }
    report_.covered = fmt::format("sampled {} executions, {} memory", report_.executions,
                                  options_.weak_memory ? "weak" : "sequentially consistent");
    return finish();
  }

  Report replay_exactly(const Schedule& schedule) {
    settings_.seed = schedule.seed;
    settings_.keep_notes = true;
    Replay strategy(schedule, Replay::Mode::exact);
    const Outcome outcome = scheduler_.run(body_, strategy, settings_);
    count(outcome);
    if (outcome.failure) {
      report_.verdict = Verdict::failed;
      report_.failure = Counterexample{*outcome.failure,           schedule, 1,
                                       schedule.deviations.size(), 0,        draw_columns(scheduler_)};
    }
    report_.columns = draw_columns(scheduler_);
    report_.covered = "replayed one schedule";
    return finish();
  }

 private:
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
      found.columns = draw_columns(scheduler_);
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
    found.columns = draw_columns(scheduler_);
    report_.failure = std::move(found);
  }

  Report finish() {
    report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
    if (options_.count_classes && samples(options_.algorithm)) {
      report_.classes = classes_.size();
      std::uint64_t once = 0;
      for (const auto& [hash, times] : classes_) once += times == 1 ? 1 : 0;
      report_.chance_of_new =
          static_cast<double>(once) / static_cast<double>(std::max<std::uint64_t>(report_.executions, 1));
    }
    return report_;
  }

  const Body& body_;
  const Options& options_;
  std::chrono::steady_clock::time_point started_;
  Scheduler scheduler_;
  Settings settings_;
  Report report_;
  TraceHasher hasher_;
  std::unordered_map<std::uint64_t, std::uint32_t> classes_;
};

}  // namespace

void require(bool holds, const std::string& claim) {
  if (!holds) throw RequirementFailed(claim);
}

void assume(bool holds) {
  Operation op{.kind = Kind::assume, .operand = holds ? 1U : 0U};
  if (!holds) the_scheduler().perform(op);
}

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::passed:
      return "passed";
    case Verdict::failed:
      return "failed";
    case Verdict::inconclusive:
      return "inconclusive";
  }
  return "";
}

Report explore(const Body& body, const Options& options) {
  const std::unique_ptr<Strategy> strategy = make_sampler(options.algorithm);
  return Exploration(body, options).sample(*strategy);
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

std::string Report::json() const {
  return fmt::format(
      R"({{"algorithm":"{}","executions":{},"blocked":{},"classes":{},"points":{},"seconds":{:.6f},"verdict":"{}","seed":"0x{:016x}"}})",
      name_of(algorithm), executions, blocked, classes, points, seconds, name_of(verdict), seed);
}

std::ostream& operator<<(std::ostream& out, const Report& report) {
  out << fmt::format(
      "{}: {} by {}: {} executions ({} blocked, {} cut), {} points, {:.3f} s, seed 0x{:016x}\n",
      name_of(report.verdict), report.covered, name_of(report.algorithm), report.executions, report.blocked,
      report.cut, report.points, report.seconds, report.seed);
  if (!report.failure) return out;
  const Counterexample& found = *report.failure;
  return out << fmt::format(
             "{}: {}\n\n{}\nfound in execution {} with {} deviations, shrunk to {} ({} preemptions) in {} "
             "replays\n"
             "schedule {}\n",
             name_of(found.failure.kind), found.failure.message, found.columns, found.found_after,
             found.switches, found.schedule.deviations.size(), found.schedule.preemptions(), found.replays,
             found.schedule.text());
}

}  // namespace touchstone::harness::explore
