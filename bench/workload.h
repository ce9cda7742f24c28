#pragma once
// The workloads, once for all peers: read-modify-write of 1, 4 and 16 keys, its latency, and snapshots beside writers.
//
//   template <class Id> class MutexMap { ... };                    // satisfies Peer; Id: std::uint64_t or std::string
//   void register_benchmarks() { register_peer<MutexMap>("mutex_map"); }      // the binary's; bench/main.cpp calls it
//
//   rmw/mutex_map/dotted/keys:1000/n:4/zipf/threads:2              // what a benchmark is called
//
// One iteration is one window (bench/window.h) of all threads. After each benchmark the sum of all keys must be what the commits
// added: a peer that loses updates is reported as an error, not as fast.
//
// Thread safety: a Session belongs to one thread, a peer to all of them.

#include <benchmark/benchmark.h>

#include <concepts>
#include <memory>
#include <numeric>
#include <optional>

#include "bench/latency.h"
#include "bench/population.h"
#include "bench/window.h"

namespace touchstone::bench {

template <class P>
concept Peer = requires(P& peer, typename P::Session& session, std::uint32_t footprint,
                        std::span<const std::uint32_t> keys, const StopSign& stop) {
  requires std::constructible_from<P, const Population&>;  // all keys hold 0
  requires std::constructible_from<typename P::Session, P&>;
  // Adds one to every key of the footprint, atomically, retrying until that is done. Returns the attempts that failed.
  { session.add(footprint) } -> std::same_as<int>;
  // The sum of the keys at one moment; nothing if the window closed before it could be had.
  { session.sum(keys, stop) } -> std::same_as<std::optional<std::int64_t>>;
  // With all threads at rest: the sum of all keys.
  { peer.total() } -> std::same_as<std::int64_t>;
};

/// Filled by the binary; bench/main.cpp calls it.
void register_benchmarks();

/// The seed of this process's draws.
harness::Seed draws_seed();

/// The population and peer in use. Google Benchmark calls a benchmark several times to find its length; a million keys are made
/// for the first of them only.
class Stage {
 public:
  template <class Bed>
  static Bed& bed(const std::string& name, const Shape& shape) {
    if (current().name != name) {
      current() = {};
      current() = {name, std::make_shared<Bed>(shape)};
    }
    return *static_cast<Bed*>(current().bed.get());
  }
  static void clear() { current() = {}; }

 private:
  struct Current {
    std::string name;
    std::shared_ptr<void> bed;
  };
  static Current& current();
};

template <Peer P>
struct Bed {
  explicit Bed(const Shape& shape) : population(shape, draws_seed()), peer(population) {}

  const Population population;
  P peer;
  std::uint64_t commits = 0;  ///< since the beginning, of all windows
  std::uint64_t failures = 0;

  /// Says so if updates were lost or came twice.
  void check(benchmark::State& state) {
    const auto expected = static_cast<std::int64_t>(commits * population.shape().footprint);
    if (peer.total() != expected) state.SkipWithError("the sum of all keys is not what the commits added");
  }
};

/// Sums of one window over its threads.
struct Tally {
  std::atomic<std::uint64_t> failures{0};
  std::atomic<std::uint64_t> torn{0};
};

/// Commits footprints in the thread's order until the sign shows.
template <class Session, class Each>
std::uint64_t commit_until(const StopSign& stop, Session& session, std::span<const std::uint32_t> order,
                           Tally& tally, Each each) {
  std::uint64_t done = 0;
  std::uint64_t failures = 0;
  for (std::size_t i = 0; !stop.shown(); i = i + 1 == order.size() ? 0 : i + 1) {
    failures += static_cast<std::uint64_t>(each(session, order[i]));
    ++done;
  }
  tally.failures += failures;
  return done;
}

/// What a peer wants to tell of itself beside the common counters.
template <class P>
void annotate(P& peer, benchmark::State& state) {
  if constexpr (requires { peer.annotate(state.counters); }) peer.annotate(state.counters);
}

template <Peer P>
void run_rmw(benchmark::State& state, const std::string& name, const Shape& shape) {
  auto& bed = Stage::bed<Bed<P>>(name, shape);
  std::uint64_t commits = 0;
  double cpu_seconds = 0;
  Tally tally;
  for (auto _ : state) {
    const Window window = run_window(shape.threads, kWindow, [&](int thread, const StopSign& stop) {
      typename P::Session session(bed.peer);
      return commit_until(stop, session, bed.population.order(thread), tally,
                          [](auto& s, std::uint32_t footprint) { return s.add(footprint); });
    });
    state.SetIterationTime(window.seconds);
    commits += window.done;
    cpu_seconds += window.cpu_seconds;
  }
  bed.commits += commits;
  bed.check(state);
  state.counters["commits"] = benchmark::Counter(static_cast<double>(commits), benchmark::Counter::kIsRate);
  const auto divisor = static_cast<double>(std::max<std::uint64_t>(commits, 1));
  state.counters["failed_per_commit"] = static_cast<double>(tally.failures.load()) / divisor;
  state.counters["cpu_ns"] = 1e9 * cpu_seconds / divisor;
  annotate(bed.peer, state);
}

template <Peer P>
void run_latency(benchmark::State& state, const std::string& name, const Shape& shape) {
  auto& bed = Stage::bed<Bed<P>>(name, shape);
  std::vector<Latencies> latencies(static_cast<std::size_t>(shape.threads));
  Tally tally;
  for (auto _ : state) {
    const Window window = run_window(shape.threads, kWindow, [&](int thread, const StopSign& stop) {
      typename P::Session session(bed.peer);
      const auto mine = std::make_unique<Latencies>();
      const auto timed = [&mine](auto& s, std::uint32_t footprint) {
        const Ticks begin = ticks();
        const int failures = s.add(footprint);
        mine->add(ticks() - begin);
        return failures;
      };
      const auto done = commit_until(stop, session, bed.population.order(thread), tally, timed);
      latencies[static_cast<std::size_t>(thread)].merge(*mine);
      return done;
    });
    state.SetIterationTime(window.seconds);
    bed.commits += window.done;
  }
  bed.check(state);
  Latencies all;
  for (const Latencies& of_thread : latencies) all.merge(of_thread);
  for (const auto& [label, share] : {std::pair{"p50_ns", 0.5}, {"p99_ns", 0.99}, {"p99.9_ns", 0.999}}) {
    state.counters[label] = nanoseconds_of(all.percentile(share));
  }
  state.counters["clock_ns"] = nanoseconds_of(clock_cost());
}

/// One reader takes snapshots of the first `read` keys beside threads - 1 writers.
template <Peer P>
void run_snapshots(benchmark::State& state, const std::string& name, const Shape& shape, std::uint32_t read) {
  auto& bed = Stage::bed<Bed<P>>(name, shape);
  std::vector<std::uint32_t> keys(read);
  std::iota(keys.begin(), keys.end(), 0);
  std::uint64_t snapshots = 0;
  std::uint64_t commits = 0;
  Tally tally;
  const auto read_until = [&](const StopSign& stop) {
    typename P::Session session(bed.peer);
    std::uint64_t done = 0;
    while (!stop.shown()) {
      const auto sum = session.sum(keys, stop);
      if (!sum) break;
      if (read == shape.keys && *sum % shape.footprint != 0) tally.torn += 1;
      ++done;
    }
    return done;
  };
  for (auto _ : state) {
    const Window window = run_window(shape.threads, kWindow, [&](int thread, const StopSign& stop) {
      if (thread == 0) return read_until(stop);
      typename P::Session session(bed.peer);
      return commit_until(stop, session, bed.population.order(thread), tally,
                          [](auto& s, std::uint32_t footprint) { return s.add(footprint); });
    });
    state.SetIterationTime(window.seconds);
    snapshots += window.by_thread[0];
    commits += window.done - window.by_thread[0];
  }
  bed.commits += commits;
  bed.check(state);
  if (tally.torn != 0) state.SkipWithError("a snapshot saw a part of a commit");
  state.counters["commits"] = benchmark::Counter(static_cast<double>(commits), benchmark::Counter::kIsRate);
  state.counters["snapshots"] =
      benchmark::Counter(static_cast<double>(snapshots), benchmark::Counter::kIsRate);
}

template <class Run>
void register_windowed(const std::string& name, Run run) {
  benchmark::RegisterBenchmark(name.c_str(), run)->UseManualTime()->Unit(benchmark::kMillisecond);
}

template <Peer P>
void register_shape(const std::string& peer, const Shape& shape) {
  const std::string rest = peer + '/' + name_of(shape);
  register_windowed("rmw/" + rest, [=](benchmark::State& state) { run_rmw<P>(state, "rmw/" + rest, shape); });
  register_windowed("latency/" + rest,
                    [=](benchmark::State& state) { run_latency<P>(state, "latency/" + rest, shape); });
}

template <Peer P>
void register_snapshots(const std::string& peer) {
  for (const int threads : {2, 8}) {
    for (const std::uint32_t read : {16u, 1000u}) {
      const Shape shape{.keys = 1000, .footprint = 1, .spread = Spread::uniform, .threads = threads};
      const std::string name =
          "snapshots/" + peer + "/read:" + std::to_string(read) + "/threads:" + std::to_string(threads);
      register_windowed(name, [=](benchmark::State& state) { run_snapshots<P>(state, name, shape, read); });
    }
  }
}

template <Peer P>
void register_workloads(const std::string& peer) {
  for (const std::uint32_t keys : {1'000u, 1'000'000u}) {
    for (const std::uint32_t footprint : {1u, 4u, 16u}) {
      for (const Spread spread : {Spread::disjoint, Spread::uniform, Spread::zipf, Spread::hot}) {
        for (const int threads : {1, 2, 8, 32}) {
          register_shape<P>(peer, {keys, footprint, spread, threads});
        }
      }
    }
  }
  register_snapshots<P>(peer);
}

/// Every workload with integer ids and with dotted paths.
template <template <class> class P>
void register_peer(const std::string& peer) {
  register_workloads<P<std::uint64_t>>(peer + "/ids");
  register_workloads<P<std::string>>(peer + "/dotted");
}

}  // namespace touchstone::bench
