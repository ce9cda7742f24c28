#include "harness/explore/seeker.h"

#include <algorithm>

#include "engine/native_platform.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/replay.h"
#include "harness/seed.h"

namespace touchstone::harness::explore {

namespace {

/// Repeats a schedule up to an event, then goes on at random.
class Climb final : public Strategy {
 public:
  Climb(const Schedule& known, std::size_t events, std::uint64_t seed)
      : known_(known, Replay::Mode::lenient), events_(events), random_(seed, 0x636c696d62) {}

  void begin(Scheduler& scheduler) override { known_.begin(scheduler); }

  ThreadId pick(Scheduler& scheduler) override {
    if (scheduler.events().size() < events_) return known_.pick(scheduler);
    ThreadMask mask = scheduler.enabled();
    // Mostly go on: starvation needs long runs of one thread, which a fair coin at every point seldom gives.
    const bool goes_on = ((mask >> scheduler.running()) & 1) != 0 && random_.below(kStay) != 0;
    if (goes_on) return scheduler.running();
    for (std::uint64_t skip = random_.below(static_cast<std::uint64_t>(std::popcount(mask))); skip != 0;
         --skip) {
      mask &= mask - 1;
    }
    return lowest(mask);
  }

  std::uint64_t choose(Scheduler& scheduler, Choice what, std::uint64_t arity,
                       std::uint64_t fallback) override {
    if (scheduler.events().size() < events_) return known_.choose(scheduler, what, arity, fallback);
    return what == Choice::fault ? fallback : random_.below(arity);
  }

 private:
  static constexpr std::uint64_t kStay = 8;

  Replay known_;
  std::size_t events_;
  engine::SplitMix random_;
};

}  // namespace

void score(std::uint64_t badness) {
  the_scheduler().score(badness);
}

Seeking seek(const Body& body, const SeekOptions& options) {
  engine::SplitMix random(options.seed ? *options.seed : Seed::of_process().derive("seek").value(),
                          0x7365656b);
  Scheduler scheduler;
  Seeking found;
  Settings settings{.seed = random.next(), .max_points = options.max_points};
  std::size_t rose_at = 0;  // events
  while (found.executions < options.executions && found.best < options.goal && !found.failure) {
    const std::size_t back = random.below(4) == 0 ? static_cast<std::size_t>(random.below(rose_at + 1)) : 0;
    Climb climb(found.schedule, rose_at - back, random.next());
    const Outcome outcome = scheduler.run(body, climb, settings);
    ++found.executions;
    found.failure = outcome.failure;
    if (scheduler.best_score() <= found.best && !outcome.failure) continue;
    found.best = std::max(found.best, scheduler.best_score());
    found.schedule = schedule_of(scheduler);
    rose_at = scheduler.best_score_at();
  }
  return found;
}

}  // namespace touchstone::harness::explore
