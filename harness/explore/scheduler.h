#pragma once
// Runs a body's threads as fibers, one at a time, asking a strategy at every scheduling point.
//
//   Scheduler scheduler;
//   RandomWalk strategy;
//   Outcome outcome = scheduler.run(body, strategy, Settings{.seed = 7});
//   if (outcome.failure) ...; scheduler.events(); scheduler.schedule();
//
// One scheduler belongs to one OS thread and runs one execution at a time; ControlledPlatform finds it by
// current().
//
// S1. A thread announces its next operation, then a thread is chosen, then that thread's operation runs: at
// every choice
//     the pending operation of every thread is known.
// S2. A thread whose pending operation cannot run (lock of a held mutex, await of an unsatisfied word, join,
// sleep, a
//     parked wait) is not enabled. Parked threads are enabled by notify_all or by time only.
// S3. Virtual time moves only when no thread is enabled, to the earliest deadline; if there is none, the
// execution is
//     stuck: a deadlock, a lost wake-up, or an await that nobody will satisfy.
// S4. While the main thread is alone nothing is recorded and nothing is asked: no other order exists.
// S5. After a failure, and when a strategy gives up, the default policy brings the execution to its end, so
// that
//     destructors run. Only threads that can never go on are abandoned on their stacks.
// S7. What a body allocates comes from an arena (arena.h), what the scheduler keeps does not: every entry from a fiber leaves it.
// S6. Plain data in cells is checked for races by vector clocks of the memory orders as written, not of the
// schedule.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/platform.h"
#include "harness/explore/arena.h"
#include "harness/explore/clock.h"
#include "harness/explore/fiber.h"
#include "harness/explore/lasso.h"
#include "harness/explore/operation.h"
#include "harness/explore/schedule.h"
#include "harness/explore/strategy.h"
#include "harness/explore/weak_memory.h"

namespace touchstone::harness::explore {

enum class FailureKind : std::uint8_t {
  exception,         // a requirement or an exception in a thread
  race,              // plain data touched by two threads without order
  stuck,             // deadlock, lost wake-up, await that is never satisfied
  step_bound,        // still running after Settings::max_points
  livelock,          // the same, and going round in a circle on a fair schedule
  misuse,            // the body breaks a rule of the platform
  nondeterministic,  // the same schedule did something else
};

const char* name_of(FailureKind kind);

struct Failure {
  FailureKind kind;
  ThreadId thread;
  std::string message;
};

enum class Ending : std::uint8_t {
  completed,
  blocked,  // by the strategy, or by an assumption that did not hold
  stuck,
  cut,  // by the step bound
};

struct Outcome {
  Ending ending = Ending::completed;
  std::optional<Failure> failure;
  std::uint64_t points = 0;
};

/// What may happen to a thread at a fault point, as a choice.
struct FaultPlan {
  std::string point;         // "" is every one
  engine::Duration stall{};  // sleeps that long
  bool crash = false;        // never goes on
  std::uint32_t times = 1;   // at most, in one execution
};

struct Settings {
  std::uint64_t seed = 0;             // of this execution: its draws
  std::uint64_t max_points = 20'000;  // more is reported as step_bound
  std::uint64_t fair_after =
      ~std::uint64_t{0};               // from that point on every runnable thread in turn, no strategy asked
  bool weak_memory = false;            // loads may see stale values
  bool keep_notes = false;             // remember fault points and calls, to draw them
  bool note_await_candidates = false;  // for the tree searches
  std::vector<FaultPlan> faults;
};

struct Task {
  enum class State : std::uint8_t { unused, live, done };

  State state = State::unused;
  bool parked = false;
  bool fiber_clean = false;    // it waits in its loop for the next task
  std::uint32_t woken_by = 0;  // the notification's event + 1; 0: time, or not parked
  std::uint32_t steps = 0;
  std::uint32_t objects = 0;        // made so far
  std::int32_t spawned_after = -1;  // the event before its start
  ThreadId starter = kNoThread;     // who waits for its first announcement
  Operation* pending = nullptr;
  void* slot = nullptr;
  Clock clock;
  std::string label;  // its own: who looks at the execution afterwards may have let go of the body
  std::function<void()> body;
  std::unique_ptr<Fiber> fiber;
  std::uint64_t exceptions[2] = {0, 0};  // the C++ runtime's per-thread state while it is switched out
};

struct Note {
  std::size_t event;  // before this one
  ThreadId thread;
  std::string text;
};

/// An operation of the engine as its caller sees it: harness/explore/history.h.
struct Call {
  ThreadId thread;
  std::string what;
  std::size_t begin;               // before this event
  std::optional<std::size_t> end;  // the same; nothing while it is under way
  std::string result;
};

/// The race check's memory of one cell; lives in the cell.
struct CellState {
  std::uint64_t execution = 0;
  std::uint32_t name = 0;
  ThreadId writer = kNoThread;
  std::uint32_t written = 0;
  Clock readers;
};

class Scheduler {
 public:
  Scheduler();
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  static Scheduler* current() { return current_; }

  /// While the predicate of a waiting thread is asked, on whatever thread's stack: what it reads is not read by that one.
  inline static thread_local bool in_predicate = false;

  Outcome run(const std::function<void()>& body, Strategy& strategy, const Settings& settings);

  // ---- for strategies
  ThreadMask enabled() const { return enabled_; }
  ThreadId running() const { return running_; }  // whose operation ran last
  bool running_yielded() const { return yielded_; }
  ThreadId threads() const { return threads_; }
  const Task& task(ThreadId id) const { return *tasks_[id]; }
  const std::vector<Event>& events() const { return events_; }
  /// How many of the events came before the end was settled; what follows is only the default policy's way
  /// home.
  std::size_t decided_events() const { return decided_events_; }
  const std::vector<std::pair<std::int32_t, std::int32_t>>& await_candidates() const { return candidates_; }
  std::uint64_t points() const { return points_; }
  const std::optional<Lasso>& lasso() const { return lasso_; }
  /// From which point on it was scheduled fairly, if it came to that.
  std::optional<std::uint64_t> fair_after() const {
    return fair_from_ ? std::optional(settings_->fair_after) : std::nullopt;
  }
  std::uint64_t best_score() const { return best_score_; }
  std::size_t best_score_at() const { return best_score_at_; }
  ThreadId default_thread() const;
  void advance_time(engine::Duration by);
  void fail(FailureKind kind, const std::string& message);
  void diverge(
      const std::string& message);  // overrides an earlier failure: it is not the one that was recorded
  std::uint32_t ordinal() const { return ordinal_; }
  const std::vector<Deviation>& deviations() const { return deviations_; }
  const std::vector<Note>& notes() const { return notes_; }
  const std::vector<Call>& calls() const { return calls_; }
  /// For the tree searches: events on `object` where a thread waiting for it could have gone on.
  void note_candidates(const Operation& op, std::int32_t event);
  std::uint32_t slot_of(Object& object) { return object.slot != 0 ? object.slot : give_slot(object); }
  std::int32_t last_event_of(std::uint32_t slot) const { return states_[slot].last_event; }

  // ---- for ControlledPlatform, from a fiber
  void register_object(Object& object);
  std::uint64_t perform(Operation& op);
  void check_cell(CellState& cell, bool write);
  ThreadId spawn(std::function<void()> body, const char* label);
  void thread_dropped(ThreadId id);  // its handle was destroyed without a join
  engine::Time now() const { return now_; }
  std::uint64_t choose(Choice what, std::uint64_t arity, std::uint64_t fallback);
  void yield();
  void fault_point(const char* label);
  void*& thread_slot() { return tasks_[on_cpu_]->slot; }
  std::uint64_t seed() const { return settings_->seed; }
  ThreadId self() const { return on_cpu_; }
  void score(std::uint64_t badness) {
    if (badness <= best_score_) return;
    best_score_ = badness;
    best_score_at_ = events_.size();
  }
  void name_object(const Object& object, const std::string& label);
  bool keeps_notes() const { return settings_->keep_notes; }
  std::size_t begin_call(const std::string& what);
  void end_call(std::size_t call, const std::string& result);
  std::string describe(std::uint32_t object_name) const;
  std::string describe(const Operation& op) const;
  std::string thread_name(ThreadId id) const;

 private:
  struct ObjectState {
    std::int32_t last_event = -1;
    Clock release;  // what an acquirer of the present value learns
  };

  static void fiber_main(void* task);
  static bool ready(const Scheduler& self, const Operation& op);

  void begin(const Settings& settings, Strategy& strategy);
  Task& prepare_task(ThreadId id);
  void run_task(Task& task);
  void end_of_thread();
  void announce(Task& me);
  void dispatch();
  void back_to_starter(Task& me);
  void switch_to(ThreadId next);
  [[noreturn]] void leave();
  void to_host();
  bool pass_time();
  bool fair() const { return points_ >= settings_->fair_after; }
  void report_step_bound();
  ThreadId choose_thread();
  void drain(Ending ending);
  void tell_end();
  void report_stuck();

  std::uint64_t perform_alone(Operation& op);
  std::uint64_t execute(Operation& op);
  std::uint64_t execute_load(Operation& op);
  std::uint64_t execute_update(Operation& op);
  std::uint64_t execute_compare_exchange(Operation& op);
  std::uint64_t execute_wait(Operation& op);
  std::size_t choose_stale_end(const Operation& op);
  void execute_notify(Operation& op);
  void execute_join(Operation& op);
  void killed();

  void take_step();
  std::uint32_t give_slot(Object& object);
  Event& record(Operation& op, Access access, std::uint64_t before, std::uint64_t after);
  void acquire(ObjectState& state, std::memory_order order);
  void release(ObjectState& state, std::memory_order order, bool continues);
  void object_changed(const Object& object);
  void require_own(const Object& object);

  static thread_local Scheduler* current_;

  Arena arena_;
  Fiber host_;
  std::vector<std::unique_ptr<Task>> tasks_;
  std::vector<ObjectState> states_;  // by slot; 0 is not used
  std::vector<Event> events_;
  std::vector<std::pair<std::int32_t, std::int32_t>> candidates_;
  std::vector<Deviation> deviations_;
  std::vector<Note> notes_;
  std::vector<Call> calls_;
  std::vector<std::pair<std::uint32_t, std::string>> labels_;
  std::vector<std::uint32_t> fault_uses_;
  WeakMemory weak_;
  const std::function<void()>* body_ = nullptr;
  const Settings* settings_ = nullptr;
  Strategy* strategy_ = nullptr;
  Outcome outcome_;
  std::uint64_t execution_ = 0;
  std::uint64_t points_ = 0;
  std::uint64_t bound_ = 0;
  engine::Time now_{};
  ThreadMask enabled_ = 0;
  ThreadMask conditional_ = 0;  // threads whose pending operation may change its mind
  ThreadId threads_ = 0;
  ThreadId running_ = 0;
  ThreadId on_cpu_ = kNoThread;
  ThreadId unjoined_ = 0;
  std::uint32_t ordinal_ = 0;  // choices since the last step
  std::uint32_t epoch_ = 0;
  std::uint32_t slots_ = 0;
  std::size_t decided_events_ = 0;
  std::optional<std::size_t> fair_from_;  // events
  std::optional<Lasso> lasso_;
  std::uint64_t best_score_ = 0;
  std::size_t best_score_at_ = 0;  // events
  bool alone_ = true;
  bool yielded_ = false;
  bool draining_ = false;
  bool ending_told_ = false;
  void* exception_state_ = nullptr;
};

/// What `op` does where there is no scheduler: one thread, plain values.
std::uint64_t apply_outside(Operation& op);

}  // namespace touchstone::harness::explore
