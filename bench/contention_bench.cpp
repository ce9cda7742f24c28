// Many workers that all want one counter, with bodies of a millisecond: what each way of handling contention costs the whole, and what
// it does to the unluckiest.
//
//   finite/<policy>/workers:64      320 commits, the same number each; `over_ideal` is the time against all bodies in a row
//   slow/<policy>                   one worker with a body of 100 ms among 7 of 1 ms, for 4 s; `gap_in_bodies` is the slow one's
//                                   longest time without a commit, in lengths of its body
//   bystander/<policy>              one worker on a key of its own, without a pause, beside 64 on the counter, for 1 s
//
// Policies: `ticket` is the default, `key_queue` reserves only the paths that a worker with priority wants; `backoff` lacks the ticket, `none` both; `mutex` holds a lock during the body and never conflicts.
// A body sleeps, as one that asks a service does: the ideal is the sum of the bodies as they really were.
//
// With TOUCHSTONE_BENCH_WORKERS=FILE the finite runs append a line a worker to FILE: policy, workers, worker, its commits,
// conflicts, most conflicts of one commit, milliseconds waited, longest commit in milliseconds.

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <fstream>
#include <mutex>

#include "bench/workload.h"
#include "engine/store.h"

namespace touchstone::bench {
namespace {

using Platform = engine::NativePlatform;
using Nanoseconds = std::chrono::nanoseconds;
using std::chrono::milliseconds;

constexpr int kCommits = 320;  ///< of all workers of a finite run
constexpr milliseconds kBody{1};
constexpr milliseconds kSlowBody{100};

struct Policy {
  const char* name;
  bool backoff;
  bool ticket;
  bool lock;  ///< a mutex around everything
  engine::Policy policy = engine::Policy::ticket;
};

constexpr Policy kPolicies[] = {{"ticket", true, true, false},
                                {"key_queue", true, true, false, engine::Policy::key_queue},
                                {"backoff", true, false, false},
                                {"none", false, false, false},
                                {"mutex", false, false, true}};

double in_milliseconds(Nanoseconds d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

/// What one worker went through.
struct Fate {
  int commits = 0;
  int conflicts = 0;
  int most_conflicts = 0;      ///< of one commit
  Nanoseconds waited{0};       ///< in back-off, at the gate or for the mutex
  Nanoseconds longest{0};      ///< from the first attempt to the commit
  Nanoseconds bodies{0};       ///< of the attempts that committed
  Nanoseconds longest_gap{0};  ///< without a commit, also at the end
};

/// When a worker has done enough.
struct Until {
  int commits = INT_MAX;
  Clock::time_point time = engine::kForever;
};

/// One store, the counter, and a policy.
class Arena {
 public:
  explicit Arena(const Policy& policy) : policy_(policy), store_(options(policy)) {
    store_.compare_and_swap(0,
                            engine::WriteSet{}.set("counter", std::int64_t{0}).set("own", std::int64_t{0}));
  }

  /// Adds one to `path`, with a body of that length.
  Fate work(const std::string& path, Nanoseconds body, const Until& until) {
    Fate fate;
    Nanoseconds last_body{0};
    auto worker = store_.worker();
    const auto key = store_.key(path);
    const engine::Contract contract{.inputs = {}, .outputs = {path}};
    const auto process = store_.process("add", contract, [&](engine::Context<Platform>& ctx) {
      const auto begin = Clock::now();
      const std::int64_t seen = *ctx.get<std::int64_t>(key);
      if (body != Nanoseconds(0)) std::this_thread::sleep_for(body);
      ctx.set(key, seen + 1);
      last_body = Clock::now() - begin;
    });
    const engine::Limits<Platform> limits{.deadline = until.time};
    auto last = Clock::now();
    while (fate.commits < until.commits) {
      const auto begin = Clock::now();
      std::unique_lock lock(mutex_, std::defer_lock);
      if (policy_.lock && path == "counter") lock.lock();
      const Nanoseconds locked = Clock::now() - begin;
      const engine::ExecuteResult result = store_.execute(worker, process, limits);
      const auto now = Clock::now();
      fate.longest_gap = std::max<Nanoseconds>(fate.longest_gap, now - last);
      fate.longest = std::max<Nanoseconds>(fate.longest, now - begin);
      fate.conflicts += result.effort.conflicts;
      fate.most_conflicts = std::max(fate.most_conflicts, result.effort.conflicts);
      fate.waited += result.effort.waited + locked;
      if (!result.committed()) break;
      last = now;
      ++fate.commits;
      fate.bodies += last_body;
    }
    return fate;
  }

  std::int64_t counter() { return store_.read("counter")->integer(); }

 private:
  static engine::StoreOptions options(const Policy& policy) {
    engine::StoreOptions options;
    options.backoff = policy.backoff;
    options.ticket = policy.ticket;
    options.policy = policy.policy;
    return options;
  }

  const Policy policy_;
  std::mutex mutex_;
  engine::Store<> store_;
};

/// Runs `fate_of(worker)` on a thread each and joins them.
template <class FateOf>
std::vector<Fate> run_workers(int workers, Nanoseconds& elapsed, FateOf fate_of) {
  std::vector<Fate> fates(static_cast<std::size_t>(workers));
  Clock::time_point begin;
  std::barrier start(workers, [&begin]() noexcept { begin = Clock::now(); });
  std::vector<std::thread> threads;
  for (std::size_t w = 0; w < fates.size(); ++w) {
    threads.emplace_back([&, w] {
      start.arrive_and_wait();
      fates[w] = fate_of(w);
    });
  }
  for (auto& thread : threads) thread.join();
  elapsed = Clock::now() - begin;
  return fates;
}

void write_fates(const Policy& policy, const std::vector<Fate>& fates) {
  const char* file = std::getenv("TOUCHSTONE_BENCH_WORKERS");
  if (file == nullptr) return;
  std::ofstream out(file, std::ios::app);
  for (std::size_t w = 0; w < fates.size(); ++w) {
    const Fate& fate = fates[w];
    out << policy.name << ',' << fates.size() << ',' << w << ',' << fate.commits << ',' << fate.conflicts
        << ',' << fate.most_conflicts << ',' << in_milliseconds(fate.waited) << ','
        << in_milliseconds(fate.longest) << '\n';
  }
}

/// The counters that all runs have in common.
void report(benchmark::State& state, const std::vector<Fate>& fates) {
  Fate worst;
  int conflicts = 0;
  int commits = 0;
  for (const Fate& fate : fates) {
    worst.most_conflicts = std::max(worst.most_conflicts, fate.most_conflicts);
    worst.longest = std::max(worst.longest, fate.longest);
    conflicts += fate.conflicts;
    commits += fate.commits;
  }
  state.counters["conflicts_max"] = worst.most_conflicts;
  state.counters["conflicts_per_commit"] = static_cast<double>(conflicts) / std::max(commits, 1);
  state.counters["longest_ms"] = in_milliseconds(worst.longest);
}

void run_finite(benchmark::State& state, const Policy& policy, int workers) {
  for (auto _ : state) {
    Arena arena(policy);
    Nanoseconds elapsed{0};
    const auto fates = run_workers(workers, elapsed, [&](std::size_t) {
      return arena.work("counter", kBody, {.commits = kCommits / workers});
    });
    state.SetIterationTime(std::chrono::duration<double>(elapsed).count());
    Nanoseconds ideal{0};
    for (const Fate& fate : fates) ideal += fate.bodies;
    if (arena.counter() != kCommits) state.SkipWithError("updates were lost");
    report(state, fates);
    state.counters["over_ideal"] = in_milliseconds(elapsed) / in_milliseconds(ideal);
    write_fates(policy, fates);
  }
}

/// Worker 0 is `odd` and the others want the counter, until the time is over.
template <class Odd>
std::vector<Fate> run_odd_one(benchmark::State& state, Arena& arena, int others, Nanoseconds length,
                              Odd odd) {
  Nanoseconds elapsed{0};
  const Until until{.time = Clock::now() + length};
  auto fates = run_workers(others + 1, elapsed, [&](std::size_t w) {
    return w == 0 ? odd(until) : arena.work("counter", kBody, until);
  });
  state.SetIterationTime(std::chrono::duration<double>(elapsed).count());
  return fates;
}

void run_slow(benchmark::State& state, const Policy& policy) {
  for (auto _ : state) {
    Arena arena(policy);
    const auto slow = [&](const Until& until) { return arena.work("counter", kSlowBody, until); };
    const auto fates = run_odd_one(state, arena, 7, milliseconds(4000), slow);
    report(state, {fates[0]});
    state.counters["slow_commits"] = fates[0].commits;
    state.counters["all_commits"] = static_cast<double>(arena.counter());
    state.counters["gap_in_bodies"] = in_milliseconds(fates[0].longest_gap) / in_milliseconds(kSlowBody);
  }
}

void run_bystander(benchmark::State& state, const Policy& policy) {
  for (auto _ : state) {
    Arena arena(policy);
    const auto bystander = [&](const Until& until) { return arena.work("own", Nanoseconds(0), until); };
    const auto fates = run_odd_one(state, arena, 64, milliseconds(1000), bystander);
    report(state, {fates.begin() + 1, fates.end()});
    state.counters["bystander_commits"] = fates[0].commits;
    state.counters["bystander_gap_ms"] = in_milliseconds(fates[0].longest_gap);
    state.counters["hot_commits"] = static_cast<double>(arena.counter());
  }
}

}  // namespace

void register_benchmarks() {
  for (const Policy& policy : kPolicies) {
    for (const int workers : {8, 16, 32, 64}) {
      const std::string name = std::string("finite/") + policy.name + "/workers:" + std::to_string(workers);
      register_windowed(name, [=](benchmark::State& state) { run_finite(state, policy, workers); });
    }
    const std::string rest = std::string("/") + policy.name;
    register_windowed("slow" + rest, [=](benchmark::State& state) { run_slow(state, policy); });
    register_windowed("bystander" + rest, [=](benchmark::State& state) { run_bystander(state, policy); });
  }
}

}  // namespace touchstone::bench
