#include "harness/explore/shrink.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "harness/explore/replay.h"

namespace touchstone::harness::explore {

namespace {

constexpr std::size_t kMostReplays = 2'000;

class Shrinker {
 public:
  Shrinker(Scheduler& scheduler, const std::function<void()>& body, const Settings& settings,
           Schedule failing, Failure failure)
      : scheduler_(scheduler),
        body_(body),
        settings_(settings),
        best_{std::move(failing), std::move(failure), 0} {}

  Shrunk run() {
    if (!accept({})) reduce();
    return std::move(best_);
  }

 private:
  /// Removes ever smaller runs of deviations until none can be removed alone.
  void reduce() {
    std::size_t chunk = std::max<std::size_t>(best_.schedule.deviations.size() / 2, 1);
    while (best_.replays < kMostReplays) {
      bool removed = false;
      for (std::size_t at = 0; at < best_.schedule.deviations.size() && best_.replays < kMostReplays;) {
        if (accept(without(at, chunk))) {
          removed = true;
        } else {
          at += chunk;
        }
      }
      if (chunk == 1 && !removed) return;
      if (!removed || chunk > best_.schedule.deviations.size()) chunk = std::max<std::size_t>(chunk / 2, 1);
    }
  }

  std::vector<Deviation> without(std::size_t at, std::size_t count) const {
    std::vector<Deviation> rest = best_.schedule.deviations;
    const std::size_t end = std::min(at + count, rest.size());
    rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(at),
               rest.begin() + static_cast<std::ptrdiff_t>(end));
    return rest;
  }

  bool accept(std::vector<Deviation> deviations) {
    ++best_.replays;
    Schedule trial{.seed = best_.schedule.seed, .deviations = std::move(deviations), .checkpoints = {}};
    Replay replay(trial, Replay::Mode::lenient);
    const Outcome outcome = scheduler_.run(body_, replay, settings_);
    if (!outcome.failure || !same_failure(*outcome.failure, best_.failure)) return false;
    Schedule happened = schedule_of(scheduler_);
    if (weight(happened) >= weight(best_.schedule)) return false;
    best_.schedule = std::move(happened);
    best_.failure = *outcome.failure;
    return true;
  }

  static std::pair<std::size_t, std::size_t> weight(const Schedule& schedule) {
    return {schedule.preemptions(), schedule.deviations.size()};
  }

  Scheduler& scheduler_;
  const std::function<void()>& body_;
  const Settings& settings_;
  Shrunk best_;
};

}  // namespace

bool same_failure(const Failure& a, const Failure& b) {
  if (a.kind != b.kind) return false;
  return a.kind != FailureKind::exception || a.message == b.message;
}

Shrunk shrink(Scheduler& scheduler, const std::function<void()>& body, const Settings& settings,
              Schedule failing, Failure failure) {
  return Shrinker(scheduler, body, settings, std::move(failing), std::move(failure)).run();
}

}  // namespace touchstone::harness::explore
