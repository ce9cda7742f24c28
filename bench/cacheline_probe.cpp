// Where do the two CPUs of this machine sit right now? Two threads, each on a CPU of its own, hand one cache line to and fro; the
// time one way moves with the host's choice of cores (tens of nanoseconds within one cache, hundreds between sockets), and every
// figure of two threads moves with it. bench/compare asks before and after each run and compares only what was measured alike.
//
//   cacheline_probe          prints "<one way in ns> <one uncontended compare-and-swap in ns>"; 69: there is only one CPU

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <vector>

#include "bench/window.h"

namespace touchstone::bench {
namespace {

constexpr int kRounds = 15;
constexpr int kTurns = 5'000;

double nanoseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
}

std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

void stay_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

struct alignas(128) Line {
  std::atomic<int> turn{0};
};

/// Answers each even number with the next odd one.
void answer(Line& line) {
  for (int turn = 0; turn < kRounds * kTurns; ++turn) {
    // Acquire and release: partners are the loads and stores of the asking thread.
    while (line.turn.load(std::memory_order_acquire) != 2 * turn + 1) {
    }
    line.turn.store(2 * turn + 2, std::memory_order_release);
  }
}

/// The least of several rounds: others may take the CPUs away, but nobody makes a line travel faster than it does.
double one_way(const std::vector<int>& cpus) {
  Line line;
  std::thread partner([&] {
    stay_on(cpus[1]);
    answer(line);
  });
  stay_on(cpus[0]);
  double least = 0;
  for (int round = 0; round < kRounds; ++round) {
    const auto begin = Clock::now();
    for (int turn = round * kTurns; turn < (round + 1) * kTurns; ++turn) {
      line.turn.store(2 * turn + 1, std::memory_order_release);
      while (line.turn.load(std::memory_order_acquire) != 2 * turn + 2) {
      }
    }
    const double each = nanoseconds_since(begin) / (2.0 * kTurns);
    least = round == 0 ? each : std::min(least, each);
  }
  partner.join();
  return least;
}

double uncontended_cas() {
  constexpr int kTimes = 100'000;
  double least = 0;
  std::atomic<int> word{0};
  for (int round = 0; round < kRounds; ++round) {
    const auto begin = Clock::now();
    for (int i = 0; i < kTimes; ++i) {
      int seen = i;
      word.compare_exchange_strong(seen, i + 1);
    }
    const double each = nanoseconds_since(begin) / kTimes;
    least = round == 0 ? each : std::min(least, each);
    word = 0;
  }
  return least;
}

}  // namespace
}  // namespace touchstone::bench

int main() {
  using namespace touchstone::bench;
  const auto cpus = allowed_cpus();
  if (cpus.size() < 2) {
    std::fputs("cacheline_probe: there is only one CPU\n", stderr);
    return 69;
  }
  const double cas = uncontended_cas();
  std::printf("%.1f %.2f\n", one_way(cpus), cas);
}
