#include "harness/fuzzing/case_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <set>
#include <sstream>

#include "harness/explore/history.h"
#include "harness/explore/replay.h"
#include "harness/explore/shrink.h"
#include "harness/history_jsonl.h"

namespace touchstone::harness::fuzzing {

namespace {

using explore::Choice;
using explore::Deviation;
using explore::Event;
using explore::Replay;
using explore::Scheduler;
using explore::Strategy;

/// The decisions of a case: a schedule as far as it applies, then a sampler, if it has one.
class Decisions final : public Strategy {
 public:
  explicit Decisions(const FuzzCase& it, DecisionLog* log = nullptr)
      : log_(log),
        known_(it.decisions, Replay::Mode::lenient),
        tail_(it.tail_after ? make_sampler(it.tail) : nullptr),
        after_(it.tail_after.value_or(0)) {}

  void begin(Scheduler& scheduler) override {
    known_.begin(scheduler);
    if (tail_) tail_->begin(scheduler);
  }

  explore::ThreadId pick(Scheduler& scheduler) override { return of(scheduler).pick(scheduler); }

  std::uint64_t choose(Scheduler& scheduler, Choice what, std::uint64_t arity,
                       std::uint64_t fallback) override {
    const std::uint64_t pick = of(scheduler).choose(scheduler, what, arity, fallback);
    if (log_ != nullptr && pick != fallback) note(scheduler, what, pick);
    return pick;
  }

  void end(Scheduler& scheduler) override {
    if (tail_) tail_->end(scheduler);
  }

 private:
  Strategy& of(const Scheduler& scheduler) {
    if (tail_ && scheduler.events().size() >= after_) return *tail_;
    return known_;
  }

  void note(const Scheduler& scheduler, Choice what, std::uint64_t pick) {
    log_->add({what, false, scheduler.running(), scheduler.task(scheduler.running()).steps,
               scheduler.ordinal(), pick});
  }

  DecisionLog* log_;
  Replay known_;
  std::unique_ptr<Strategy> tail_;
  std::size_t after_;
};

/// A file's name from the folder of the project on.
std::string_view rooted(std::string_view file) {
  for (const std::string_view folder : {"engine/", "harness/", "stress/", "fuzz/"}) {
    const std::size_t at = file.rfind(folder);
    if (at != std::string_view::npos) return file.substr(at);
  }
  return file.substr(file.rfind('/') + 1);
}

/// In the project's own files: a lock guard of std's says nothing about where it is used.
bool in_program(const Event& event) {
  return event.slot != 0 && event.site.file != nullptr &&
         rooted(event.site.file).find('/') != std::string_view::npos;
}

}  // namespace

const explore::Settings& CaseRunner::settle(const FuzzCase& it) {
  const explore::Options usual;  // what `touchstone replay` uses
  settings_ = {};
  settings_.seed = it.decisions.seed;
  settings_.max_points = usual.max_points;
  settings_.fair_after = it.decisions.fair_after.value_or(usual.max_points / 2);
  settings_.weak_memory = it.weak_memory;
  settings_.faults = it.scenario.faults;
  return settings_;
}

CaseResult CaseRunner::run(const FuzzCase& it, DecisionLog* log) {
  counts_ = {};
  Decisions decisions(it, log);
  const explore::Outcome outcome =
      scheduler_.run(controlled_body(it.scenario, &counts_), decisions, settle(it));
  CaseResult result;
  result.points = outcome.points;
  result.features = coverage_.collect(scheduler_, counts_);
  result.failed = outcome.failure.has_value();
  if (outcome.failure) {
    result.claim = claim_of(*outcome.failure, it.scenario);
    result.message = outcome.failure->message;
  }
  return result;
}

std::uint64_t CaseRunner::class_of_schedule() {
  return settings_.weak_memory ? hasher_.graph_hash(scheduler_) : hasher_.hash(scheduler_);
}

FuzzCase CaseRunner::concrete(const FuzzCase& it) const {
  FuzzCase same = it;
  same.decisions = schedule_of(scheduler_);
  same.tail_after.reset();
  return same;
}

FuzzCase CaseRunner::shrink_schedule(const FuzzCase& failing) {
  const explore::Settings& settings = settle(failing);
  const explore::Body body = controlled_body(failing.scenario);
  Decisions decisions(failing);
  const explore::Outcome outcome = scheduler_.run(body, decisions, settings);
  if (!outcome.failure) return failing;
  FuzzCase smaller = concrete(failing);
  smaller.decisions =
      explore::shrink(scheduler_, body, settings, smaller.decisions, *outcome.failure).schedule;
  return smaller;
}

std::optional<Drawn> CaseRunner::draw(const FuzzCase& it, const std::string& claim) {
  counts_ = {};
  settle(it);
  settings_.keep_notes = true;
  Replay exact(it.decisions, Replay::Mode::exact);
  const explore::Outcome outcome = scheduler_.run(controlled_body(it.scenario, &counts_), exact, settings_);
  if (!outcome.failure || claim_of(*outcome.failure, it.scenario) != claim) return std::nullopt;
  Drawn drawn;
  const std::string where = racing_locations(scheduler_);
  drawn.signature = claim + (where.empty() ? "" : "; " + where);
  drawn.schedule = it.decisions;
  drawn.message = outcome.failure->message;
  drawn.trace = draw_columns(scheduler_) + "\n" + draw_history(scheduler_);
  const engine::StoreOptions& engine = it.scenario.engine;
  std::ostringstream history;
  write_jsonl_history(explore::history_of(counts_.calls, {.strict = engine.mode == engine::Mode::strict,
                                                          .validate_reads = engine.validate_reads,
                                                          .gate_may_close = engine.ticket}),
                      history);
  drawn.history = history.str();
  return drawn;
}

std::string claim_of(const explore::Failure& failure, const explore::Scenario& scenario) {
  std::set<std::string> paths(scenario.paths.begin(), scenario.paths.end());
  paths.insert(scenario.puts.begin(), scenario.puts.end());
  std::string claim = name_of(failure.kind);
  if (failure.kind != explore::FailureKind::exception) return claim;
  claim += ":";
  std::istringstream words(failure.message.substr(0, failure.message.find(':')));
  for (std::string word; words >> word;) {
    const bool number = word.find_first_not_of("0123456789,") == std::string::npos;
    claim += number ? " N" : paths.contains(word) ? " PATH" : " " + word;
  }
  return claim;
}

std::string location_of(const Event& event) {
  return fmt::format("{}:{}", rooted(event.site.file), event.site.line);
}

std::string racing_locations(const Scheduler& scheduler) {
  const std::vector<Event>& events = scheduler.events();
  const std::size_t decided = scheduler.decided_events();
  const auto& deviations = scheduler.deviations();
  const auto last = std::find_if(deviations.rbegin(), deviations.rend(), [](const Deviation& it) {
    return it.what == Choice::thread && it.preemption;
  });
  if (last == deviations.rend()) return "";
  // The preempted thread's own events: those up to the preemption, and from where it goes on.
  std::size_t left = 0;
  std::size_t steps = 0;
  for (; left < decided && steps < last->step; ++left) steps += events[left].thread == last->thread ? 1 : 0;
  std::size_t back = left;
  while (back < decided && events[back].thread != last->thread) ++back;
  for (std::size_t theirs = back; theirs-- > left;) {
    if (!in_program(events[theirs]) || events[theirs].access != explore::Access::write) continue;
    const auto meets = [&](const Event& mine) {
      return mine.thread == last->thread && in_program(mine) && mine.slot == events[theirs].slot;
    };
    for (std::size_t mine = left; mine-- > 0;) {
      if (meets(events[mine]))
        return fmt::format("{} against {}", location_of(events[mine]), location_of(events[theirs]));
    }
    for (std::size_t mine = back; mine < decided; ++mine) {
      if (meets(events[mine]))
        return fmt::format("{} before {}", location_of(events[theirs]), location_of(events[mine]));
    }
  }
  return "";
}

}  // namespace touchstone::harness::fuzzing
