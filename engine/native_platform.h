#pragma once
// The platform of real threads: every member forwards inline to std or to one system call. Contract:
// engine/platform.h.
//
// Waiting. `await` spins with the processor's pause and soon yields, because on a machine with few cores the
// holder of a cell may not be running. `wait_until` sleeps in a futex on the low half of the word; since a
// word whose low half came back to the same value would look unchanged to the kernel, no sleep lasts longer
// than kRecheck.

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <climits>
#include <mutex>
#include <thread>

#include "engine/platform.h"

namespace touchstone::engine {

/// SplitMix64 (Steele, Lea, Flood 2014): one multiplication chain a draw, any 64-bit state is valid.
class SplitMix {
 public:
  SplitMix(std::uint64_t seed, std::uint64_t stream) : state_(mix(seed ^ mix(stream + kGamma))) {}

  std::uint64_t next() { return mix(state_ += kGamma); }

  /// Uniform in [0, bound), without bias (Lemire 2019). A bound of 0 means the whole range.
  std::uint64_t below(std::uint64_t bound) {
    if (bound == 0) return next();
    while (true) {
      const auto product = static_cast<Wide>(next()) * bound;
      const auto low = static_cast<std::uint64_t>(product);
      if (low >= bound || low >= -bound % bound) return static_cast<std::uint64_t>(product >> 64);
    }
  }

 private:
  __extension__ typedef unsigned __int128 Wide;  // g++ -Wpedantic wants to be told that we know
  static constexpr std::uint64_t kGamma = 0x9e3779b97f4a7c15;

  static constexpr std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }

  std::uint64_t state_;
};

struct NativePlatform {
  template <class T>
  using atomic = std::atomic<T>;
  using mutex = std::mutex;
  using random = SplitMix;
  using thread = std::thread;

  template <class T>
  class cell {
   public:
    cell() = default;
    explicit cell(T value) : value_(std::move(value)) {}
    const T& read() const { return value_; }
    void write(T value) { value_ = std::move(value); }

   private:
    T value_{};
  };

  class counter {
   public:
    // Relaxed, and no read-modify-write: one thread adds at a time, and a reader wants no order, only no
    // tearing.
    void add(std::uint64_t n) {
      value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
    std::uint64_t load() const { return value_.load(std::memory_order_relaxed); }

   private:
    std::atomic<std::uint64_t> value_{0};
  };

  static constexpr Duration kRecheck = std::chrono::milliseconds(10);

  template <class T, class Predicate>
  [[gnu::noinline]] static T await(const std::atomic<T>& word, Predicate satisfied) {
    for (int spins = 0;; ++spins) {
      const T value = word.load(std::memory_order_seq_cst);
      if (satisfied(value)) return value;
      if (spins < 64) {
        pause();
      } else {
        std::this_thread::yield();
      }
    }
  }

  template <class T, class Predicate>
  static std::optional<T> wait_until(const std::atomic<T>& word, Predicate satisfied, Time deadline) {
    while (true) {
      const T value = word.load(std::memory_order_seq_cst);
      if (satisfied(value)) return value;
      const Time time = now();
      if (time >= deadline) return std::nullopt;
      futex_wait(&word, low_half(value), std::min(deadline - time, kRecheck));
    }
  }

  template <class T>
  static void notify_all(std::atomic<T>& word) {
    ::syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
  }

  static void yield() { std::this_thread::yield(); }
  static Time now() { return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()); }
  static void sleep_until(Time t) { std::this_thread::sleep_until(t); }
  static int process_id() { return ::getpid(); }
  static void fault_point(const char*) {}

  static void*& thread_slot() {
    thread_local void* slot = nullptr;
    return slot;
  }

 private:
  static void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    std::atomic_signal_fence(std::memory_order_seq_cst);
#endif
  }

  template <class T>
  static std::uint32_t low_half(T value) {
    static_assert(sizeof(T) == 8 || sizeof(T) == 4);
    static_assert(std::endian::native == std::endian::little, "the futex word is the low half of the atomic");
    return static_cast<std::uint32_t>(value);
  }

  static void futex_wait(const void* word, std::uint32_t expected, Duration at_most) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(at_most);
    const timespec timeout{seconds.count(), static_cast<long>((at_most - seconds).count())};
    ::syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, &timeout, nullptr, 0);
  }
};

static_assert(Platform<NativePlatform>);

}  // namespace touchstone::engine
