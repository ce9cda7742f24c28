#pragma once
// A platform of one thread for unit tests: its clock stands still unless the engine waits or the test moves it, and the test acts where
// another thread would, between any two steps of the engine. Contract: engine/platform.h.
//
//   Stage stage;                                               // before the store, and until after it
//   Store<StagedPlatform> store;
//   stage.at(milliseconds(5), [&] { flag.request(); });        // in 5 ms, while somebody sleeps or waits
//   stage.at_point("commit:locked", [&] { ... });              // at the next fault point of that name
//   stage.before_step(7, [&] { ... });                         // before the seventh access to an atomic or lock from now on
//   stage.in_a_wait([&] { ... });                              // in the next P::await that has to wait
//
// An action happens once, and is not inside the body that it interrupts. A wait that nobody would end throws Stuck.

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "engine/native_platform.h"

namespace touchstone::engine {

struct Stuck : std::logic_error {
  using std::logic_error::logic_error;
};

class Stage {
 public:
  using Action = std::function<void()>;

  Stage() : outer_(std::exchange(current_, this)) {}
  ~Stage() { current_ = outer_; }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  static Stage& current() {
    if (current_ == nullptr) throw std::logic_error("a staged platform is used without a stage");
    return *current_;
  }

  Time now = Time(std::chrono::hours(1));
  int looks_at_clock = 0;
  std::vector<Duration> sleeps;       ///< how long, each
  std::vector<Duration> waits;        ///< for how long at most, each; Duration::max(): for ever
  std::vector<std::uint64_t> bounds;  ///< of the draws
  std::function<std::uint64_t(std::uint64_t bound)> draw = [](std::uint64_t) { return std::uint64_t{0}; };
  int awaits = 0;  ///< that had to wait
  void* thread_slot = nullptr;

  void at(Duration from_now, Action action) { timed_.emplace(now + from_now, std::move(action)); }
  void at_point(std::string name, Action action) { points_.emplace(std::move(name), std::move(action)); }
  void in_a_wait(Action action) { in_waits_.push_back(std::move(action)); }
  void before_step(std::uint64_t number, Action action) {
    interrupted_at_ = steps_ + number;
    interruption_ = std::move(action);
  }
  void no_more_interruptions() { interrupted_at_ = 0; }
  std::uint64_t steps() const { return steps_; }

  /// As another thread would, here and now.
  void elsewhere(const Action& action) {
    void* const slot = std::exchange(thread_slot, nullptr);
    const bool acted = std::exchange(acting_, true);
    action();
    acting_ = acted;
    thread_slot = slot;
  }

  // What the platform tells it.
  void step() {
    if (acting_ || ++steps_ != interrupted_at_) return;
    elsewhere(std::exchange(interruption_, {}));
  }

  void pass(const char* name) {
    const auto found = points_.find(name);
    if (acting_ || found == points_.end()) return;
    const Action action = std::move(found->second);
    points_.erase(found);
    elsewhere(action);
  }

  void await() {
    ++awaits;
    if (in_waits_.empty()) throw Stuck("it waits for what nobody does");
    const Action action = std::move(in_waits_.front());
    in_waits_.pop_front();
    elsewhere(action);
  }

  /// What happens up to then does.
  void sleep_until(Time until) {
    while (!timed_.empty() && timed_.begin()->first <= until) run_next();
    now = std::max(now, until);
  }

  /// False: until then nobody notified those who wait at this address.
  bool wait_at(const void* address, Time deadline) {
    waiting_at_ = address;
    while (waiting_at_ != nullptr && !timed_.empty() && timed_.begin()->first <= deadline) run_next();
    if (waiting_at_ == nullptr) return true;
    if (deadline == kForever) throw Stuck("it waits for ever");
    now = std::max(now, deadline);
    waiting_at_ = nullptr;
    return false;
  }

  void notify(const void* address) {
    if (waiting_at_ == address) waiting_at_ = nullptr;
  }

 private:
  void run_next() {
    const auto first = timed_.begin();
    now = std::max(now, first->first);
    const Action action = std::move(first->second);
    timed_.erase(first);
    elsewhere(action);
  }

  static inline Stage* current_ = nullptr;
  Stage* const outer_;
  std::multimap<Time, Action> timed_;
  std::multimap<std::string, Action> points_;
  std::deque<Action> in_waits_;
  Action interruption_;
  std::uint64_t steps_ = 0, interrupted_at_ = 0;
  bool acting_ = false;
  const void* waiting_at_ = nullptr;
};

template <class T>
class StagedAtomic {
 public:
  using Order = std::memory_order;

  StagedAtomic() : value_{} {}
  StagedAtomic(T value) : value_(value) {}  // NOLINT(google-explicit-constructor): as std::atomic
  StagedAtomic(const StagedAtomic&) = delete;
  StagedAtomic& operator=(const StagedAtomic&) = delete;

  T load(Order = Order::seq_cst) const {
    Stage::current().step();
    return value_;
  }
  void store(T value, Order = Order::seq_cst) { exchange(value); }
  T exchange(T value, Order = Order::seq_cst) {
    Stage::current().step();
    return std::exchange(value_, value);
  }
  T fetch_add(T value, Order = Order::seq_cst) {
    Stage::current().step();
    return std::exchange(value_, static_cast<T>(value_ + value));
  }
  T fetch_sub(T value, Order = Order::seq_cst) {
    Stage::current().step();
    return std::exchange(value_, static_cast<T>(value_ - value));
  }
  bool compare_exchange_strong(T& expected, T desired, Order = Order::seq_cst) {
    Stage::current().step();
    if (value_ != expected) {
      expected = value_;
      return false;
    }
    value_ = desired;
    return true;
  }

 private:
  T value_;
};

class StagedCounter {
 public:
  void add(std::uint64_t n) { value_ += n; }
  std::uint64_t load() const { return value_; }

 private:
  std::uint64_t value_ = 0;
};

class StagedMutex {
 public:
  void lock() {
    Stage::current().step();
    if (std::exchange(locked_, true)) throw Stuck("who is interrupted holds this mutex");
  }
  void unlock() { locked_ = false; }

 private:
  bool locked_ = false;
};

class StagedRandom {
 public:
  StagedRandom(std::uint64_t, std::uint64_t) {}

  std::uint64_t below(std::uint64_t bound) {
    Stage::current().bounds.push_back(bound);
    return Stage::current().draw(bound);
  }
};

struct StagedPlatform {
  template <class T>
  using atomic = StagedAtomic<T>;
  template <class T>
  using cell = NativePlatform::cell<T>;
  using counter = StagedCounter;
  using mutex = StagedMutex;
  using random = StagedRandom;
  struct thread {};

  template <class T, class Predicate>
  static T await(const StagedAtomic<T>& word, Predicate satisfied) {
    while (true) {
      const T value = word.load();
      if (satisfied(value)) return value;
      Stage::current().await();
    }
  }

  template <class T, class Predicate>
  static std::optional<T> wait_until(const StagedAtomic<T>& word, Predicate satisfied, Time deadline) {
    Stage& stage = Stage::current();
    stage.waits.push_back(deadline == kForever ? Duration::max() : deadline - stage.now);
    for (bool notified = true;; notified = stage.wait_at(&word, deadline)) {
      const T value = word.load();
      if (satisfied(value)) return value;
      if (!notified) return std::nullopt;
    }
  }

  template <class T>
  static void notify_all(StagedAtomic<T>& word) {
    Stage::current().notify(&word);
  }

  static void yield() {}
  static Time now() {
    ++Stage::current().looks_at_clock;
    return Stage::current().now;
  }
  static void sleep_until(Time until) {
    Stage& stage = Stage::current();
    stage.sleeps.push_back(until - stage.now);
    stage.sleep_until(until);
  }
  static int process_id() { return 1; }
  static void*& thread_slot() { return Stage::current().thread_slot; }
  static void fault_point(const char* name) { Stage::current().pass(name); }
};

static_assert(Platform<StagedPlatform>);

}  // namespace touchstone::engine
