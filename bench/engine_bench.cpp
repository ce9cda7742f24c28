// The reference engine beside a map under one mutex: the workloads of bench/workload.h for both, and what only the engine has:
// a commit by its path, snapshots, and one hot key under each way of handling contention.

#include "bench/peers/mutex_map.h"
#include "bench/peers/touchstone.h"

namespace touchstone::bench {
namespace {

using engine::Committed;
using engine::Version;
using engine::WriteSet;

/// compare_and_swap() of blind writes. Each thread has two footprints of its own and commits them in turn. `fast` expects the
/// current version; `merged` the version that wrote this footprint last, which the other one's commit has made stale.
struct PathBed {
  explicit PathBed(const Shape& shape) : footprint(shape.footprint) {
    for (int thread = 0; thread < shape.threads; ++thread) {
      for (const char* half : {"a", "b"}) {
        WriteSet& set = writes.emplace_back();
        for (std::uint32_t i = 0; i < footprint; ++i) {
          set.set("thread" + std::to_string(thread) + '.' + half + std::to_string(i), std::int64_t{i});
        }
        last.push_back(std::get<Committed>(store.compare_and_swap(store.version(), set)).version);
      }
    }
  }

  const std::uint32_t footprint;
  engine::Store<> store;
  std::vector<WriteSet> writes;  ///< two a thread
  std::vector<Version> last;     ///< the version that wrote each of them
};

void run_path(benchmark::State& state, const std::string& name, const Shape& shape, bool merged) {
  auto& bed = Stage::bed<PathBed>(name, shape);
  std::vector<Latencies> latencies(static_cast<std::size_t>(shape.threads));
  std::uint64_t commits = 0;
  for (auto _ : state) {
    const Window window = run_window(shape.threads, kWindow, [&](int thread, const StopSign& stop) {
      auto worker = bed.store.worker();
      const auto mine = std::make_unique<Latencies>();
      const std::size_t first = 2 * static_cast<std::size_t>(thread);
      std::uint64_t done = 0;
      for (; !stop.shown(); ++done) {
        const std::size_t turn = first + done % 2;
        const Ticks begin = ticks();
        const Version expected = merged ? bed.last[turn] : bed.store.version();
        const auto result = bed.store.compare_and_swap(expected, bed.writes[turn], &worker);
        mine->add(ticks() - begin);
        bed.last[turn] = std::get<Committed>(result).version;  // nobody else writes these paths
      }
      latencies[static_cast<std::size_t>(thread)].merge(*mine);
      return done;
    });
    state.SetIterationTime(window.seconds);
    commits += window.done;
  }
  Latencies all;
  for (const Latencies& of_thread : latencies) all.merge(of_thread);
  const engine::Statistics statistics = bed.store.statistics();
  state.counters["commits"] = benchmark::Counter(static_cast<double>(commits), benchmark::Counter::kIsRate);
  state.counters["p50_ns"] = nanoseconds_of(all.percentile(0.5));
  state.counters["p99_ns"] = nanoseconds_of(all.percentile(0.99));
  state.counters["fast_share"] =
      static_cast<double>(statistics.commits_fast) / static_cast<double>(statistics.commits());
}

void register_paths() {
  for (const bool merged : {false, true}) {
    for (const std::uint32_t footprint : {1u, 4u, 16u}) {
      for (const int threads : {1, 2, 8, 32}) {
        const Shape shape{.footprint = footprint, .threads = threads};
        const std::string name = std::string("cas/") + (merged ? "merged" : "fast") +
                                 "/n:" + std::to_string(footprint) + "/threads:" + std::to_string(threads);
        register_windowed(name, [=](benchmark::State& state) { run_path(state, name, shape, merged); });
      }
    }
  }
}

/// Opening a snapshot, reading keys of it by handle, and closing it, with nobody writing.
void read_snapshots(benchmark::State& state) {
  engine::Store<> store;
  std::vector<engine::Key<engine::NativePlatform>> keys;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    const std::string path = "zone." + std::to_string(i);
    store.compare_and_swap(store.version(), WriteSet{}.set(path, i));
    keys.push_back(store.key(path));
  }
  for (auto _ : state) {
    const auto snapshot = store.snapshot();
    for (const auto& key : keys) benchmark::DoNotOptimize(snapshot.read(key));
  }
  state.SetItemsProcessed(state.iterations() * std::max<std::int64_t>(state.range(0), 1));
}

/// A snapshot costs the same however many keys the store has.
void open_snapshots(benchmark::State& state) {
  engine::Store<> store;
  WriteSet writes;
  for (std::int64_t i = 0; i < state.range(0); ++i) writes.set("zone." + std::to_string(i), i);
  store.compare_and_swap(store.version(), writes);
  for (auto _ : state) benchmark::DoNotOptimize(store.snapshot());
}

/// One counter that everybody wants, with the ticket, with back-off only, and with neither.
template <class Id>
class WithoutTicket : public Touchstone<Id> {
 public:
  explicit WithoutTicket(const Population& population) : Touchstone<Id>(population, options()) {}

 private:
  static engine::StoreOptions options() {
    engine::StoreOptions options;
    options.ticket = false;
    return options;
  }
};

template <class Id>
class WithoutBackoff : public Touchstone<Id> {
 public:
  explicit WithoutBackoff(const Population& population) : Touchstone<Id>(population, options()) {}

 private:
  static engine::StoreOptions options() {
    engine::StoreOptions options;
    options.ticket = false;
    options.backoff = false;
    return options;
  }
};

void register_contention() {
  for (const int threads : {2, 8, 32}) {
    const Shape shape{.keys = 1000, .footprint = 1, .spread = Spread::hot, .threads = threads};
    register_shape<WithoutTicket<std::string>>("touchstone_without_ticket/dotted", shape);
    register_shape<WithoutBackoff<std::string>>("touchstone_without_backoff/dotted", shape);
  }
}

}  // namespace

void register_benchmarks() {
  register_peer<Touchstone>("touchstone");
  register_workloads<TouchstoneByPath<std::string>>("touchstone_by_path/dotted");
  register_workloads<TouchstoneCas<std::string>>("touchstone_cas/dotted");
  register_peer<MutexMap>("mutex_map");
  register_paths();
  register_contention();
  benchmark::RegisterBenchmark("snapshot/read", read_snapshots)->Arg(0)->Arg(1)->Arg(16)->Arg(1000);
  benchmark::RegisterBenchmark("snapshot/open_of", open_snapshots)->Arg(10)->Arg(1000)->Arg(100000);
}

}  // namespace touchstone::bench
