#pragma once
// A measuring window: all threads begin together, work until it closes, and are counted by what they finished.
//
//   Window window = run_window(8, kWindow, [&](int thread, const StopSign& stop) {
//     std::uint64_t done = 0;
//     while (!stop.shown()) { commit(thread); ++done; }
//     return done;
//   });
//   window.done / window.seconds                     // operations a second
//
// A fixed time and not a fixed number of operations: with a number, the thread that a hot key favours is done early, and what is
// left runs without any contention.
//
// Thread safety: run_window() joins all its threads; a StopSign may be asked by any of them.

#include <time.h>

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

namespace touchstone::bench {

using Clock = std::chrono::steady_clock;

/// Long enough for each of 32 threads to get its turn on two cores.
inline constexpr std::chrono::milliseconds kWindow{60};

class StopSign {
 public:
  // Relaxed: nothing is published by it; the threads' results are read after they were joined.
  bool shown() const { return shown_.load(std::memory_order_relaxed); }
  void show() { shown_.store(true, std::memory_order_relaxed); }

 private:
  alignas(64) std::atomic<bool> shown_{false};
};

struct Window {
  double seconds = 0;
  double cpu_seconds = 0;                ///< of all threads: what they used, however busy the machine is
  std::uint64_t done = 0;                ///< by all threads
  std::vector<std::uint64_t> by_thread;  ///< what each of them finished
};

/// What the calling thread has used.
inline double thread_cpu_seconds() {
  timespec used{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
}

/// `body(thread, stop)` works until the sign shows and returns how much it finished.
template <class Body>
Window run_window(int threads, std::chrono::nanoseconds length, Body body) {
  Window window;
  window.by_thread.resize(static_cast<std::size_t>(threads));
  StopSign stop;
  Clock::time_point begin;
  std::barrier start(threads + 1, [&begin]() noexcept { begin = Clock::now(); });
  std::vector<double> cpu(window.by_thread.size());
  std::vector<std::thread> workers;
  for (std::size_t t = 0; t < cpu.size(); ++t) {
    workers.emplace_back([&, t] {
      start.arrive_and_wait();
      const double before = thread_cpu_seconds();
      window.by_thread[t] = body(static_cast<int>(t), std::as_const(stop));
      cpu[t] = thread_cpu_seconds() - before;
    });
  }
  start.arrive_and_wait();
  std::this_thread::sleep_until(begin + length);
  stop.show();
  window.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  for (auto& worker : workers) worker.join();
  for (const std::uint64_t done : window.by_thread) window.done += done;
  for (const double used : cpu) window.cpu_seconds += used;
  return window;
}

}  // namespace touchstone::bench
