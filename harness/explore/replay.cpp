#include "harness/explore/replay.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/explore/scheduler.h"
#include "harness/explore/trace.h"

namespace touchstone::harness::explore {

namespace {

constexpr std::size_t kMostCheckpoints = 48;

bool earlier(const Deviation& a, const Deviation& b) {
  return a.step != b.step ? a.step < b.step : a.ordinal < b.ordinal;
}

}  // namespace

void Fingerprint::add(const Event& event) {
  const auto mix = [this](std::uint64_t value) {
    state_ = (state_ ^ value) * 0x9e3779b97f4a7c15;
    state_ ^= state_ >> 29;
  };
  mix((std::uint64_t{event.object} << 32) | (std::uint64_t{event.thread} << 16) |
      (static_cast<std::uint64_t>(event.kind) << 8) | static_cast<std::uint64_t>(event.access));
  if (event.pointer) return;
  mix(may_be_address(event.before) ? 0 : event.before);
  mix(may_be_address(event.after) ? 0 : event.after);
}

std::uint16_t Fingerprint::folded() const {
  return static_cast<std::uint16_t>(state_ ^ (state_ >> 16) ^ (state_ >> 32) ^ (state_ >> 48));
}

Schedule schedule_of(const Scheduler& scheduler) {
  const std::vector<Event>& events = scheduler.events();
  const std::size_t decided = scheduler.decided_events();
  Schedule schedule;
  schedule.seed = scheduler.seed();
  schedule.fair_after = scheduler.fair_after();
  schedule.deviations = scheduler.deviations();
  schedule.distance = static_cast<std::uint32_t>(decided / kMostCheckpoints + 1);
  Fingerprint print;
  for (std::size_t i = 0; i < decided; ++i) {
    if (i != 0 && i % schedule.distance == 0) schedule.checkpoints.push_back(print.folded());
    print.add(events[i]);
  }
  schedule.checkpoints.push_back(print.folded());
  return schedule;
}

Replay::Replay(const Schedule& schedule, Mode mode) : schedule_(schedule), mode_(mode) {
  for (const Deviation& deviation : schedule.deviations) {
    if (deviation.thread < kMaxThreads) by_thread_[deviation.thread].push_back(deviation);
  }
  for (auto& deviations : by_thread_) std::stable_sort(deviations.begin(), deviations.end(), earlier);
}

void Replay::begin(Scheduler&) {
  next_.fill(0);
  seen_ = Fingerprint();
  verified_ = used_ = 0;
  diverged_ = false;
}

const Deviation* Replay::due(const Scheduler& scheduler) {
  const Deviation here{.thread = scheduler.running(),
                       .step = scheduler.task(scheduler.running()).steps,
                       .ordinal = scheduler.ordinal()};
  const std::vector<Deviation>& deviations = by_thread_[here.thread];
  std::size_t& next = next_[here.thread];
  while (next < deviations.size() && earlier(deviations[next], here)) ++next;
  if (next == deviations.size() || !deviations[next].same_place(here)) return nullptr;
  ++used_;
  return &deviations[next++];
}

ThreadId Replay::pick(Scheduler& scheduler) {
  if (mode_ == Mode::exact) verify_progress(scheduler);
  const Deviation* const deviation = due(scheduler);
  if (deviation == nullptr) return scheduler.default_thread();
  const bool possible = deviation->what == Choice::thread && deviation->pick < kMaxThreads &&
                        ((scheduler.enabled() >> deviation->pick) & 1) != 0;
  if (possible) return static_cast<ThreadId>(deviation->pick);
  if (mode_ == Mode::exact) {
    diverged(scheduler, fmt::format("{} should run now, but cannot",
                                    scheduler.thread_name(static_cast<ThreadId>(deviation->pick))));
  }
  return scheduler.default_thread();
}

std::uint64_t Replay::choose(Scheduler& scheduler, Choice what, std::uint64_t arity, std::uint64_t fallback) {
  const Deviation* const deviation = due(scheduler);
  if (deviation == nullptr) return fallback;
  if (deviation->what == what && (deviation->pick < arity || arity == 0)) return deviation->pick;
  if (mode_ == Mode::exact) {
    diverged(scheduler,
             fmt::format("a choice of {} was recorded, and there are {} ways now", deviation->pick, arity));
  }
  return fallback;
}

void Replay::verify_progress(Scheduler& scheduler) {
  const std::vector<Event>& events = scheduler.events();
  for (; verified_ < events.size() && !diverged_; ++verified_) {
    const std::size_t checkpoint = verified_ / schedule_.distance;
    const bool due_here = verified_ != 0 && verified_ % schedule_.distance == 0;
    if (due_here && (checkpoint >= schedule_.checkpoints.size() ||
                     schedule_.checkpoints[checkpoint - 1] != seen_.folded())) {
      diverged(scheduler, unlike_recorded(scheduler, verified_ - schedule_.distance));
      return;
    }
    seen_.add(events[verified_]);
  }
}

void Replay::end(Scheduler& scheduler) {
  if (mode_ == Mode::lenient || diverged_) return;
  verify_progress(scheduler);
  if (diverged_) return;
  if (used_ != schedule_.deviations.size()) {
    diverged(scheduler, fmt::format("{} of {} recorded deviations were never reached",
                                    schedule_.deviations.size() - used_, schedule_.deviations.size()));
  } else if (!schedule_.checkpoints.empty() && schedule_.checkpoints.back() != seen_.folded()) {
    diverged(scheduler,
             unlike_recorded(scheduler,
                             verified_ == 0 ? 0 : (verified_ - 1) / schedule_.distance * schedule_.distance));
  }
}

/// The first difference lies in the points [from, verified_); all before it are as recorded.
std::string Replay::unlike_recorded(const Scheduler& scheduler, std::size_t from) const {
  std::string happened;
  for (std::size_t i = from; i < verified_; ++i) {
    happened +=
        fmt::format("{}{}: {}", i == from ? "" : "; ", scheduler.thread_name(scheduler.events()[i].thread),
                    sentence_of(scheduler, scheduler.events()[i]));
  }
  if (from == verified_) happened = "nothing";
  return fmt::format(
      "point {} is the first that may differ; from there on this happened, and it is not what was recorded: "
      "{}",
      from + 1, happened);
}

void Replay::diverged(Scheduler& scheduler, const std::string& how) {
  diverged_ = true;
  const ThreadId running = scheduler.running();
  scheduler.diverge(fmt::format("the schedule does not fit this program: after step {} of {}: {}",
                                scheduler.task(running).steps, scheduler.thread_name(running), how));
}

}  // namespace touchstone::harness::explore
