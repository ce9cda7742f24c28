// The explorer's speed on the canonical programs, beside the same program without any scheduler.
//
// points/s: scheduling points a second. executions/s: whole re-runs of the body. The plain baseline runs the same
// operations one thread after another on std::atomic: the ratio is what control costs.

#include <benchmark/benchmark.h>

#include <atomic>

#include "harness/explore/builtin.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/dpor.h"
#include "harness/explore/explorer.h"
#include "harness/explore/replay.h"
#include "harness/explore/sampling.h"
#include "harness/explore/shrink.h"

namespace touchstone::harness::explore {
namespace {

using P = ControlledPlatform;

void plain_cas_3x2(benchmark::State& state) {
  std::int64_t points = 0;
  for (auto _ : state) {
    std::atomic<int> counter{0};
    for (int i = 0; i < 6; ++i) {
      int seen = counter.load();
      while (!counter.compare_exchange_strong(seen, seen + 1)) {
      }
    }
    benchmark::DoNotOptimize(counter);
    points += 12;
  }
  state.counters["points"] = benchmark::Counter(static_cast<double>(points), benchmark::Counter::kIsRate);
}
BENCHMARK(plain_cas_3x2);

void sample(benchmark::State& state, const char* program, Algorithm algorithm, bool weak) {
  const auto body = find_builtin(program)->body;
  const std::unique_ptr<Strategy> strategy = make_sampler(algorithm);
  Scheduler scheduler;
  Settings settings{.weak_memory = weak};
  std::uint64_t points = 0;
  for (auto _ : state) {
    ++settings.seed;
    points += scheduler.run(body, *strategy, settings).points;
  }
  state.counters["points"] = benchmark::Counter(static_cast<double>(points), benchmark::Counter::kIsRate);
  state.counters["executions"] =
      benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK_CAPTURE(sample, cas_3x2_random, "cas-3x2", Algorithm::random, false);
BENCHMARK_CAPTURE(sample, cas_3x2_random_weak, "cas-3x2", Algorithm::random, true);
BENCHMARK_CAPTURE(sample, committers_3_random, "committers-3", Algorithm::random, false);
BENCHMARK_CAPTURE(sample, committers_3_pct, "committers-3", Algorithm::pct, false);
BENCHMARK_CAPTURE(sample, committers_3_pos, "committers-3", Algorithm::pos, false);
BENCHMARK_CAPTURE(sample, committers_3_urw, "committers-3", Algorithm::urw, false);
BENCHMARK_CAPTURE(sample, treiber_3_random, "treiber-3", Algorithm::random, false);

void exhaust_program(benchmark::State& state, const char* program, Reduction reduction) {
  const auto body = find_builtin(program)->body;
  Scheduler scheduler;
  const Settings settings{.note_await_candidates = true};
  std::uint64_t executions = 0;
  for (auto _ : state) {
    PartialOrderReduction search(reduction);
    do {
      scheduler.run(body, search, settings);
      ++executions;
    } while (search.advance());
  }
  state.counters["traces"] = benchmark::Counter(static_cast<double>(executions), benchmark::Counter::kIsRate);
}
BENCHMARK_CAPTURE(exhaust_program, committers_3_optimal, "committers-3", Reduction::optimal)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(exhaust_program, cas_3x2_source, "cas-3x2", Reduction::source)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(exhaust_program, cas_3x2_optimal, "cas-3x2", Reduction::optimal)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(exhaust_program, treiber_3_source, "treiber-3", Reduction::source)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(exhaust_program, treiber_3_optimal, "treiber-3", Reduction::optimal)
    ->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(exhaust_program, lastzero_15_optimal, "lastzero-15", Reduction::optimal)
    ->Unit(benchmark::kMillisecond);

/// 8 threads of optimistic increments that validate before they lock: loses updates on almost every schedule. About 5,000 switches.
void validates_too_early() {
  constexpr int kIncrements = 175;
  P::atomic<int> version{0};
  P::mutex mutex;
  std::vector<P::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < kIncrements; ++n) {
        int seen = version.load();
        while (version.load() != seen) seen = version.load();
        mutex.lock();
        version.store(seen + 1);
        mutex.unlock();
      }
    });
  }
  for (P::thread& thread : threads) thread.join();
  require(version.load() == 8 * kIncrements, "an increment was lost");
}

void shrink_a_long_failure(benchmark::State& state) {
  Scheduler scheduler;
  const std::function<void()> body = validates_too_early;
  const std::unique_ptr<Strategy> strategy = make_sampler(Algorithm::random);
  Settings settings{.max_points = 60'000};
  double switches = 0;
  double preemptions = 0;
  for (auto _ : state) {
    state.PauseTiming();
    ++settings.seed;
    const Outcome outcome = scheduler.run(body, *strategy, settings);
    const Schedule failing = schedule_of(scheduler);
    state.ResumeTiming();
    if (!outcome.failure) {
      state.SkipWithError("the schedule did not fail");
      break;
    }
    const Shrunk shrunk = shrink(scheduler, body, settings, failing, *outcome.failure);
    switches += static_cast<double>(failing.deviations.size());
    preemptions = std::max(preemptions, static_cast<double>(shrunk.schedule.preemptions()));
  }
  state.counters["switches"] = switches / static_cast<double>(state.iterations());
  state.counters["most_preemptions"] = preemptions;
}
BENCHMARK(shrink_a_long_failure)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace touchstone::harness::explore

BENCHMARK_MAIN();
