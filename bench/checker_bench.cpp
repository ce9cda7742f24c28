// How fast the checker is, and how much memory it takes beside its input, on the histories by which checkers are
// compared. Prints one line a case: processor time (the best of a few runs), the mark to beat, steps of the general searches,
// bytes an operation at the peak. `checker_bench [--quick] [--seeds N] [--only TEXT] [HISTORIES]`, where HISTORIES is the folder of the public
// recordings; without it those cases are left out. Everything else is made from the seed, but for the history of a
// real mutex and map, which is recorded here. With --seeds the cases that are made from the seed are made so many times, each from
// another seed, and median and maximum are printed. The cases of many keys are measured with one thread and with two, by the
// clock on the wall.

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <mutex>
#include <new>
#include <thread>
#include <unordered_map>

#include "harness/history_format.h"
#include "harness/history_random.h"
#include "model/checker.h"

namespace {

std::atomic<std::size_t> allocated{0};
std::atomic<std::size_t> peak{0};

void count(std::size_t bytes) {
  const std::size_t now = allocated.fetch_add(bytes) + bytes;
  std::size_t seen = peak.load();
  while (now > seen && !peak.compare_exchange_weak(seen, now)) {
  }
}

}  // namespace

void* operator new(std::size_t size) {
  void* place = std::malloc(size);
  if (place == nullptr) throw std::bad_alloc();
  count(malloc_usable_size(place));
  return place;
}

void operator delete(void* place) noexcept {
  if (place != nullptr) allocated.fetch_sub(malloc_usable_size(place));
  std::free(place);
}

void operator delete(void* place, std::size_t) noexcept {
  operator delete(place);
}

namespace touchstone::bench {
namespace {

using harness::HistoryShape;
using harness::Stream;
using model::CheckOptions;
using model::History;
using model::Verdict;

namespace fs = std::filesystem;

struct Measured {
  double milliseconds = 1e300;
  double on_the_wall = 1e300;
  std::size_t bytes = 0;  ///< at the peak, beside the input
  Verdict verdict;
};

/// Of this process: what others do on the machine does not count.
double processor_milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

CheckOptions without_witness(CheckOptions options) {
  options.witness = false;
  if (options.threads == 0) options.threads = 1;
  return options;
}

double wall_milliseconds() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Measured measure(const History& history, const CheckOptions& options, int runs) {
  Measured best;
  for (int run = 0; run < runs; ++run) {
    const std::size_t before = allocated.load();
    peak.store(before);
    const double begin = processor_milliseconds();
    const double begin_on_the_wall = wall_milliseconds();
    Verdict verdict = model::check(history, without_witness(options));
    best.milliseconds = std::min(best.milliseconds, processor_milliseconds() - begin);
    best.on_the_wall = std::min(best.on_the_wall, wall_milliseconds() - begin_on_the_wall);
    best.bytes = peak.load() - before;
    best.verdict = std::move(verdict);
  }
  return best;
}

void print(const std::string& label, std::size_t operations, double mark, const Measured& it) {
  fmt::print("{:<44} {:>8} ops {:>10.3f} ms  mark {:>7.1f}  {:>9} steps {:>8.1f} B/op  {}\n", label,
             operations, it.milliseconds, mark, it.verdict.steps,
             static_cast<double>(it.bytes) / static_cast<double>(std::max<std::size_t>(operations, 1)),
             name(it.verdict.answer));
  std::fflush(stdout);
}

void run(const std::string& label, const History& history, double mark, int runs = 3,
         const CheckOptions& options = {}) {
  print(label, history.operations.size(), mark, measure(history, options, runs));
}

/// One thread and two, a few times in turn: the machine's other work meets both.
void run_on_threads(const std::string& label, const History& history) {
  Measured by_threads[2];
  for (int round = 0; round < 5; ++round) {
    for (unsigned threads = 1; threads <= 2; ++threads) {
      CheckOptions options;
      options.threads = threads;
      Measured& best = by_threads[threads - 1];
      Measured one = measure(history, options, 1);
      if (one.on_the_wall < best.on_the_wall) best = std::move(one);
    }
  }
  fmt::print(
      "{:<44} {:>8} ops {:>10.3f} ms on the wall with 1 thread, {:.3f} with 2: {:.2f} times; {:.3f} and "
      "{:.3f} ms of "
      "processors {:>8.1f} B/op\n",
      label, history.operations.size(), by_threads[0].on_the_wall, by_threads[1].on_the_wall,
      by_threads[0].on_the_wall / by_threads[1].on_the_wall, by_threads[0].milliseconds,
      by_threads[1].milliseconds,
      static_cast<double>(by_threads[1].bytes) / static_cast<double>(history.operations.size()));
  std::fflush(stdout);
}

/// How many seeds each random case is made from; 0 for the process's own, and the best of a few runs.
int seeds = 0;
/// Of the random cases only those whose label has this in it.
std::string only;

void run_seeds(const std::string& label, const HistoryShape& shape, double mark) {
  std::vector<double> milliseconds;
  std::vector<double> bytes;
  std::vector<double> steps;
  int undecided = 0;
  for (int i = 0; i < seeds; ++i) {
    Stream stream = harness::Seed::of_process().stream("checker_bench/" + label + "/" + std::to_string(i));
    const History history = harness::random_history(shape, stream);
    const Measured one = measure(history, {}, 1);
    milliseconds.push_back(one.milliseconds);
    bytes.push_back(static_cast<double>(one.bytes) / static_cast<double>(history.operations.size()));
    steps.push_back(static_cast<double>(one.verdict.steps));
    undecided += one.verdict.answer == model::Answer::kInconclusive ? 1 : 0;
  }
  for (auto* list : {&milliseconds, &bytes, &steps}) std::sort(list->begin(), list->end());
  const std::size_t middle = milliseconds.size() / 2;
  fmt::print(
      "{:<44} {:>8} ops {:>10.3f} ms, at most {:>10.3f}  mark {:>7.1f}  {:>9.0f} steps, at most {:>10.0f}  "
      "{:>6.1f} B/op, at most "
      "{:>6.1f}  {} undecided\n",
      label, shape.operations, milliseconds[middle], milliseconds.back(), mark, steps[middle], steps.back(),
      bytes[middle], bytes.back(), undecided);
  std::fflush(stdout);
}

void run_random(const std::string& label, const HistoryShape& shape, double mark, int runs = 3) {
  if (label.find(only) == std::string::npos) return;
  if (seeds > 0) return run_seeds(label, shape, mark);
  Stream stream = harness::Seed::of_process().stream("checker_bench/" + label);
  run(label, harness::random_history(shape, stream), mark, runs);
}

History recorded(const fs::path& file) {
  auto read = harness::read_history(file.string(), harness::HistoryFormat::kAuto);
  if (const auto* bad = std::get_if<harness::MalformedHistory>(&read)) {
    fmt::print(stderr, "{}\n", to_text(*bad));
    std::exit(65);
  }
  return std::get<History>(std::move(read));
}

void run_recorded(const fs::path& folder) {
  Measured sum;
  sum.milliseconds = 0;
  double worst = 0;
  std::size_t operations = 0;
  for (const auto& entry : fs::directory_iterator(folder / "etcd")) {
    if (entry.path().extension() != ".log") continue;
    const History history = recorded(entry.path());
    const Measured one = measure(history, {}, 21);
    sum.milliseconds += one.milliseconds;
    sum.verdict.steps += one.verdict.steps;
    worst = std::max(worst, one.milliseconds);
    operations += history.operations.size();
  }
  sum.verdict.answer = model::Answer::kInconclusive;
  print("all etcd logs, sum (every answer)", operations, 3, sum);
  fmt::print("{:<44} {:>23.3f} ms  mark {:>7.1f}\n", "the worst etcd log", worst, 1.0);
  CheckOptions whole;
  whole.partition_by_key = false;
  for (const char* file : {"c10-ok.txt", "c10-bad.txt"}) {
    run(std::string(file) + " by key", recorded(folder / "kv" / file), 1, 5);
    run(std::string(file) + " without partitioning", recorded(folder / "kv" / file), 50, 3, whole);
  }
}

/// Eight threads on one map under one mutex; times are the machine's.
History real_map(std::size_t threads, std::size_t operations, std::size_t keys) {
  std::mutex mutex;
  std::unordered_map<std::uint64_t, std::int64_t> map;
  struct Event {
    std::int64_t invoked, returned, value;
    std::uint32_t key;
    bool write;
  };
  std::vector<std::vector<Event>> events(threads);
  const auto work = [&](std::size_t thread) {
    Stream stream = harness::Seed::of_process().stream("checker_bench/map/" + std::to_string(thread));
    const auto now = [] { return std::chrono::steady_clock::now().time_since_epoch().count(); };
    for (std::size_t i = 0; i < operations / threads; ++i) {
      Event event{0, 0, 0, static_cast<std::uint32_t>(stream.below(keys)), stream.chance(1, 2)};
      event.value = event.write ? static_cast<std::int64_t>(i * threads + thread) : -1;
      event.invoked = now();
      {
        const std::lock_guard lock(mutex);
        if (event.write) {
          map[event.key] = event.value;
        } else if (const auto held = map.find(event.key); held != map.end()) {
          event.value = held->second;
        }
      }
      event.returned = now();
      events[thread].push_back(event);
    }
  };
  std::vector<std::thread> running;
  for (std::size_t thread = 0; thread < threads; ++thread) running.emplace_back(work, thread);
  for (auto& thread : running) thread.join();
  History history;
  for (std::size_t key = 0; key < keys; ++key) history.key(std::to_string(key));
  for (std::size_t thread = 0; thread < threads; ++thread) {
    const auto client = history.client(std::to_string(thread));
    for (const Event& event : events[thread]) {
      model::Operation it;
      it.invoked = event.invoked;
      it.returned = event.returned;
      it.client = client;
      it.key = event.key;
      const auto value = event.value < 0 ? model::kNil : history.value(event.value);
      it.function = event.write ? model::Function::kWrite : model::Function::kRead;
      (event.write ? it.argument : it.observed) = value;
      history.operations.push_back(it);
    }
  }
  return history;
}

int main_of(bool quick, const fs::path& recordings) {
  if (!recordings.empty()) run_recorded(recordings);
  const std::size_t many = quick ? 20'000 : 1'000'000;
  run_random("5 values, 20 clients, 1 key", {.operations = 1000, .clients = 20, .values = 5}, 20, 5);
  run_random("5 values, 30 clients, 1 key", {.operations = 1000, .clients = 30, .values = 5}, 100, 5);
  run_random("5 values and cas, 20 clients, 1 key",
             {.operations = 1000, .clients = 20, .values = 5, .compare_and_sets = true}, 20, 3);
  run_random("5 values and cas, 30 clients, 1 key",
             {.operations = 1000, .clients = 30, .values = 5, .compare_and_sets = true}, 100, 3);
  run_random("5 values, 30 clients, 1 key, long", {.operations = many / 10, .clients = 30, .values = 5}, 580,
             1);
  run_random("5 values, 10 clients, 1 key, very long", {.operations = many, .clients = 10, .values = 5}, 1150,
             1);
  run_random("unique values, 30 clients, 1 key", {.operations = many, .clients = 30, .values = 0}, 200);
  if (seeds == 0 && only.empty()) {
    const History map = real_map(8, many, 1000);
    run("real map, 8 threads, 1,000 keys", map, 250);
    run_on_threads("real map, 8 threads, 1,000 keys", map);
    Stream stream = harness::Seed::of_process().stream("checker_bench/many keys");
    run_on_threads(
        "5 values and cas, 30 clients, 100 keys",
        harness::random_history(
            {.operations = many, .clients = 30, .keys = 100, .values = 5, .compare_and_sets = true}, stream));
  }
  run_random("versions, 30 clients, 100 keys",
             {.operations = many,
              .clients = 30,
              .keys = 100,
              .values = 0,
              .compare_and_sets = true,
              .versions = true},
             40);
  run_random("unknown outcomes 5 %, cas, 10 clients",
             {.operations = quick ? 1000UL : 10'000UL,
              .clients = 10,
              .values = 5,
              .compare_and_sets = true,
              .unknown_permille = 50},
             1072, 1);
  return 0;
}

}  // namespace
}  // namespace touchstone::bench

int main(int argc, char** argv) {
  bool quick = false;
  std::filesystem::path recordings;
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--quick") {
      quick = true;
    } else if (std::string(argv[i]) == "--seeds" && i + 1 < argc) {
      touchstone::bench::seeds = std::atoi(argv[++i]);
    } else if (std::string(argv[i]) == "--only" && i + 1 < argc) {
      touchstone::bench::only = argv[++i];
    } else {
      recordings = argv[i];
    }
  }
  return touchstone::bench::main_of(quick, recordings);
}
