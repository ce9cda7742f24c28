#pragma once
// The platform whose every operation is a scheduling point of the explorer. Contract: engine/platform.h.
//
//   explore::exhaust([] {
//     ControlledPlatform::atomic<int> counter{0};
//     ControlledPlatform::thread a([&] { counter.fetch_add(1); }), b([&] { counter.fetch_add(1); });
//     a.join(), b.join();
//     explore::require(counter.load() == 2, "an increment was lost");
//   });
//
// Inside a body every member talks to the scheduler that runs it. Outside (no scheduler) atomics, mutexes and
// cells are plain values for one thread, so that an object may outlive its execution; threads and waits are
// an error there.
//
// Objects must be made inside the body: state that outlives an execution would make the next one different,
// and is reported as misuse. Values are limited to what engine/platform.h says: integers, enums, pointers.

#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <utility>

#include "engine/native_platform.h"
#include "engine/platform.h"
#include "harness/explore/scheduler.h"

namespace touchstone::harness::explore {

/// How a value travels in 64 bits.
template <class T>
struct Word {
  static_assert(std::is_integral_v<T> || std::is_enum_v<T> || std::is_pointer_v<T>);
  static_assert(sizeof(T) <= sizeof(std::uint64_t));
  static constexpr std::uint64_t kMask =
      sizeof(T) == 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * sizeof(T) % 64)) - 1;

  static std::uint64_t pack(T value) {
    if constexpr (std::is_pointer_v<T>) {
      return reinterpret_cast<std::uintptr_t>(value);
    } else {
      return static_cast<std::uint64_t>(value) & kMask;
    }
  }

  static T unpack(std::uint64_t bits) {
    if constexpr (std::is_pointer_v<T>) {
      return reinterpret_cast<T>(static_cast<std::uintptr_t>(bits));
    } else {
      return static_cast<T>(bits);
    }
  }
};

/// The scheduler of the body that we are in.
inline Scheduler& the_scheduler() {
  Scheduler* const scheduler = Scheduler::current();
  if (scheduler == nullptr) throw std::logic_error("a controlled platform is used outside an exploration");
  return *scheduler;
}

template <class T>
class ControlledAtomic {
 public:
  using value_type = T;

  ControlledAtomic() : ControlledAtomic(T{}) {}
  ControlledAtomic(T value) {  // NOLINT(google-explicit-constructor): as std::atomic
    object_.value = Word<T>::pack(value);
    if (Scheduler* const s = Scheduler::current()) s->register_object(object_);
  }
  ControlledAtomic(const ControlledAtomic&) = delete;
  ControlledAtomic& operator=(const ControlledAtomic&) = delete;

  T load(std::memory_order order = std::memory_order_seq_cst, Site site = Site::here()) const {
    return run(Kind::load, T{}, order, site);
  }
  void store(T value, std::memory_order order = std::memory_order_seq_cst, Site site = Site::here()) {
    run(Kind::store, value, order, site);
  }
  T exchange(T value, std::memory_order order = std::memory_order_seq_cst, Site site = Site::here()) {
    return run(Kind::exchange, value, order, site);
  }
  T fetch_add(T value, std::memory_order order = std::memory_order_seq_cst,
              Site site = Site::here()) requires std::integral<T> {
    return run(Kind::fetch_add, value, order, site);
  }
  T fetch_sub(T value, std::memory_order order = std::memory_order_seq_cst,
              Site site = Site::here()) requires std::integral<T> {
    return run(Kind::fetch_sub, value, order, site);
  }
  T fetch_or(T value, std::memory_order order = std::memory_order_seq_cst,
             Site site = Site::here()) requires std::integral<T> {
    return run(Kind::fetch_or, value, order, site);
  }
  T fetch_and(T value, std::memory_order order = std::memory_order_seq_cst,
              Site site = Site::here()) requires std::integral<T> {
    return run(Kind::fetch_and, value, order, site);
  }

  bool compare_exchange_strong(T& expected, T desired, std::memory_order success, std::memory_order failure,
                               Site site = Site::here()) {
    Operation op = operation(Kind::compare_exchange, desired, success, site);
    op.expected = Word<T>::pack(expected);
    op.failure_order = failure;
    const std::uint64_t found = perform(op);
    if (!op.success) expected = Word<T>::unpack(found);
    return op.success;
  }

  bool compare_exchange_strong(T& expected, T desired, std::memory_order order = std::memory_order_seq_cst,
                               Site site = Site::here()) {
    return compare_exchange_strong(expected, desired, order, failure_order(order), site);
  }

  /// Under control nothing fails spuriously.
  bool compare_exchange_weak(T& expected, T desired, std::memory_order success, std::memory_order failure,
                             Site site = Site::here()) {
    return compare_exchange_strong(expected, desired, success, failure, site);
  }

  bool compare_exchange_weak(T& expected, T desired, std::memory_order order = std::memory_order_seq_cst,
                             Site site = Site::here()) {
    return compare_exchange_strong(expected, desired, order, failure_order(order), site);
  }

  operator T() const { return load(); }  // NOLINT(google-explicit-constructor): as std::atomic

  Operation operation(Kind kind, T value, std::memory_order order, Site site) const {
    Operation op{.kind = kind, .order = order, .failure_order = order, .site = site};
    op.object = &object_;
    op.pointer = std::is_pointer_v<T>;
    op.operand = Word<T>::pack(value);
    op.mask = Word<T>::kMask;
    return op;
  }

  std::uint64_t perform(Operation& op) const {
    if (Scheduler* const s = Scheduler::current()) return s->perform(op);
    return apply_outside(op);
  }

  const Object& object() const { return object_; }

 private:
  static constexpr std::memory_order failure_order(std::memory_order order) {
    return order == std::memory_order_acq_rel   ? std::memory_order_acquire
           : order == std::memory_order_release ? std::memory_order_relaxed
                                                : order;
  }

  T run(Kind kind, T value, std::memory_order order, Site site) const {
    Operation op = operation(kind, value, order, site);
    return Word<T>::unpack(perform(op));
  }

  mutable Object object_;
};

template <class T>
class ControlledCell {
 public:
  ControlledCell() = default;
  explicit ControlledCell(T value) : value_(std::move(value)) {}

  const T& read() const {
    if (Scheduler* const s = Scheduler::current()) s->check_cell(state_, false);
    return value_;
  }

  void write(T value) {
    if (Scheduler* const s = Scheduler::current()) s->check_cell(state_, true);
    value_ = std::move(value);
  }

 private:
  T value_{};
  mutable CellState state_;
};

/// Statistics: no scheduling point, because nothing may depend on them. Nor are they checked for races: on real threads they are
/// relaxed atomics.
class ControlledCounter {
 public:
  __attribute__((no_sanitize("thread"))) void add(std::uint64_t n) { value_ += n; }
  __attribute__((no_sanitize("thread"))) std::uint64_t load() const { return value_; }

 private:
  std::uint64_t value_ = 0;
};

class ControlledMutex {
 public:
  ControlledMutex() {
    if (Scheduler* const s = Scheduler::current()) s->register_object(object_);
  }
  ControlledMutex(const ControlledMutex&) = delete;
  ControlledMutex& operator=(const ControlledMutex&) = delete;

  void lock(Site site = Site::here()) { run(Kind::lock, std::memory_order_acquire, site); }
  bool try_lock(Site site = Site::here()) { return run(Kind::try_lock, std::memory_order_acquire, site); }
  void unlock(Site site = Site::here()) { run(Kind::unlock, std::memory_order_release, site); }

  const Object& object() const { return object_; }

 private:
  bool run(Kind kind, std::memory_order order, Site site) {
    Scheduler* const s = Scheduler::current();
    const std::uint64_t owner = s != nullptr ? s->self() + 1 : 1;
    Operation op{
        .kind = kind, .order = order, .failure_order = std::memory_order_relaxed, .object = &object_};
    op.site = site;
    op.operand = kind == Kind::unlock ? 0 : owner;
    op.expected = kind == Kind::unlock ? owner : 0;
    if (s != nullptr) {
      s->perform(op);
    } else {
      apply_outside(op);
    }
    return op.success;
  }

  Object object_;
};

class ControlledThread {
 public:
  static constexpr ThreadId kNone = kNoThread;

  ControlledThread() = default;

  template <class Callable, class... Arguments>
  requires(!std::same_as<std::remove_cvref_t<Callable>, ControlledThread>) explicit ControlledThread(
      Callable&& callable, Arguments&&... arguments)
      : id_(the_scheduler().spawn(
            bind(std::forward<Callable>(callable), std::forward<Arguments>(arguments)...), nullptr)) {}

  ControlledThread(const ControlledThread&) = delete;
  ControlledThread(ControlledThread&& other) noexcept : id_(std::exchange(other.id_, kNone)) {}
  ControlledThread& operator=(ControlledThread&& other) noexcept {
    drop();
    id_ = std::exchange(other.id_, kNone);
    return *this;
  }
  ~ControlledThread() { drop(); }

  /// A thread with a name for traces and scripts.
  static ControlledThread named(const char* label, std::function<void()> body) {
    ControlledThread thread;
    thread.id_ = the_scheduler().spawn(std::move(body), label);
    return thread;
  }

  bool joinable() const { return id_ != kNone; }

  void join() {
    Operation op{.kind = Kind::join, .operand = std::exchange(id_, kNone)};
    the_scheduler().perform(op);
  }

 private:
  template <class Callable, class... Arguments>
  static std::function<void()> bind(Callable&& callable, Arguments&&... arguments) {
    if constexpr (sizeof...(Arguments) == 0 && std::copy_constructible<std::decay_t<Callable>>) {
      return std::forward<Callable>(callable);
    } else {
      auto state = std::make_shared<std::tuple<std::decay_t<Callable>, std::decay_t<Arguments>...>>(
          std::forward<Callable>(callable), std::forward<Arguments>(arguments)...);
      return [state] {
        std::apply([](auto& f, auto&... values) { std::invoke(std::move(f), std::move(values)...); }, *state);
      };
    }
  }

  void drop() noexcept {
    if (id_ == kNone) return;
    if (Scheduler* const s = Scheduler::current()) s->thread_dropped(std::exchange(id_, kNone));
  }

  ThreadId id_ = kNone;
};

/// Draws are decisions. The default is what the body's own seed and the execution's seed say together.
class ControlledRandom {
 public:
  ControlledRandom(std::uint64_t seed, std::uint64_t stream) : generator_(seed ^ of_execution(), stream) {}

  std::uint64_t next() { return below(0); }

  std::uint64_t below(std::uint64_t bound) {
    const std::uint64_t fallback = generator_.below(bound);
    Scheduler* const s = Scheduler::current();
    return s == nullptr ? fallback : s->choose(Choice::draw, bound, fallback);
  }

 private:
  static std::uint64_t of_execution() {
    Scheduler* const s = Scheduler::current();
    return s == nullptr ? 0 : s->seed();
  }

  engine::SplitMix generator_;
};

struct ControlledPlatform {
  template <class T>
  using atomic = ControlledAtomic<T>;
  template <class T>
  using cell = ControlledCell<T>;
  using counter = ControlledCounter;
  using mutex = ControlledMutex;
  using thread = ControlledThread;
  using random = ControlledRandom;

  template <class T, class Predicate>
  static T await(const ControlledAtomic<T>& word, Predicate satisfied, Site site = Site::here()) {
    Operation op = waiting(Kind::await, word, satisfied, engine::kForever, site);
    return Word<T>::unpack(the_scheduler().perform(op));
  }

  template <class T, class Predicate>
  static std::optional<T> wait_until(const ControlledAtomic<T>& word, Predicate satisfied,
                                     engine::Time deadline, Site site = Site::here()) {
    Operation op = waiting(Kind::wait, word, satisfied, deadline, site);
    const std::uint64_t value = the_scheduler().perform(op);
    if (!op.success) return std::nullopt;
    return Word<T>::unpack(value);
  }

  template <class T>
  static void notify_all(ControlledAtomic<T>& word, Site site = Site::here()) {
    if (Scheduler::current() == nullptr) return;
    Operation op = word.operation(Kind::notify, T{}, std::memory_order_relaxed, site);
    word.perform(op);
  }

  static void yield() { the_scheduler().yield(); }
  static engine::Time now() { return the_scheduler().now(); }

  static void sleep_until(engine::Time time) {
    Operation op{.kind = Kind::sleep, .deadline = time};
    the_scheduler().perform(op);
  }

  static int process_id() { return 1; }
  static void*& thread_slot() { return the_scheduler().thread_slot(); }
  static void fault_point(const char* label) {
    if (Scheduler* const s = Scheduler::current()) s->fault_point(label);
  }

 private:
  /// It notes for the race check what nobody else needs to be told of.
  template <class T, class Predicate>
  __attribute__((no_sanitize("thread"))) static bool ask(const void* predicate, std::uint64_t value) {
    Scheduler::in_predicate = true;
    const bool holds = (*static_cast<const Predicate*>(predicate))(Word<T>::unpack(value));
    Scheduler::in_predicate = false;
    return holds;
  }

  template <class T, class Predicate>
  static Operation waiting(Kind kind, const ControlledAtomic<T>& word, Predicate& satisfied,
                           engine::Time deadline, Site site) {
    Operation op = word.operation(kind, T{}, std::memory_order_seq_cst, site);
    op.predicate = &satisfied;
    op.satisfied = &ask<T, Predicate>;
    op.deadline = deadline;
    return op;
  }
};

static_assert(engine::Platform<ControlledPlatform>);

}  // namespace touchstone::harness::explore
