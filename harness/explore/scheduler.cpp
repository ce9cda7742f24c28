#include "harness/explore/scheduler.h"

#include <cxxabi.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

#include "harness/counted.h"

#if defined(__SANITIZE_ADDRESS__)
#define TOUCHSTONE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TOUCHSTONE_ASAN 1
#endif
#endif
#if defined(TOUCHSTONE_ASAN)
#include <sanitizer/lsan_interface.h>
#endif

namespace touchstone::harness::explore {

namespace {

constexpr std::uint64_t kDrainPoints = 200'000;  // more than that after a failure, and the rest is abandoned
constexpr engine::Time kStart{std::chrono::hours(1)};

constexpr ThreadMask bit(ThreadId id) {
  return ThreadMask{1} << id;
}

/// Operations that cannot always run when announced.
constexpr bool conditional(Kind kind) {
  return kind == Kind::lock || kind == Kind::await || kind == Kind::join || kind == Kind::sleep ||
         kind == Kind::assume;
}

/// An execution in which threads may crash. What such a thread held stays held, which is no leak to LeakSanitizer.
class MayCrash {
 public:
  explicit MayCrash([[maybe_unused]] const std::vector<FaultPlan>& faults) {
#if defined(TOUCHSTONE_ASAN)
    forgives_ = std::any_of(faults.begin(), faults.end(), [](const FaultPlan& plan) { return plan.crash; });
    if (forgives_) __lsan_disable();
#endif
  }
  ~MayCrash() {
#if defined(TOUCHSTONE_ASAN)
    if (forgives_) __lsan_enable();
#endif
  }
  MayCrash(const MayCrash&) = delete;
  MayCrash& operator=(const MayCrash&) = delete;

 private:
#if defined(TOUCHSTONE_ASAN)
  bool forgives_;
#endif
};

}  // namespace

thread_local Scheduler* Scheduler::current_ = nullptr;

Scheduler::Scheduler() : host_(Fiber::Host{}), exception_state_(abi::__cxa_get_globals()) {
  states_.resize(1);
  events_.reserve(1024);
}

Scheduler::~Scheduler() = default;

// ---------------------------------------------------------------------------------------------- one
// execution

Outcome Scheduler::run(const std::function<void()>& body, Strategy& strategy, const Settings& settings) {
  body_ = &body;
  begin(settings, strategy);
  Scheduler* const outer = std::exchange(current_, this);
  const InArena kept(nullptr);
  const MayCrash forgiven(settings.faults);
  arena_.reset();
  Task& main = prepare_task(0);
  threads_ = 1;
  on_cpu_ = 0;
  Fiber::switch_to(host_, *main.fiber);
  current_ = outer;
  on_cpu_ = kNoThread;
  outcome_.points = points_;
  return std::move(outcome_);
}

void Scheduler::begin(const Settings& settings, Strategy& strategy) {
  settings_ = &settings;
  strategy_ = &strategy;
  static std::atomic<std::uint64_t> executions{0};
  execution_ = executions.fetch_add(1, std::memory_order_relaxed) + 1;  // a number only, no partner
  for (ThreadId i = 0; i < threads_; ++i) tasks_[i]->state = Task::State::unused;
  events_.clear();
  candidates_.clear();
  deviations_.clear();
  notes_.clear();
  calls_.clear();
  labels_.clear();
  fault_uses_.assign(settings.faults.size(), 0);
  weak_.clear();
  outcome_ = Outcome{};
  points_ = 0;
  bound_ = settings.max_points;
  now_ = kStart;
  enabled_ = 0;
  conditional_ = 0;
  threads_ = 0;
  running_ = 0;
  unjoined_ = 0;
  ordinal_ = 0;
  epoch_ = 0;
  slots_ = 0;
  fair_from_.reset();
  lasso_.reset();
  best_score_ = 0;
  best_score_at_ = 0;
  alone_ = true;
  yielded_ = false;
  draining_ = false;
  ending_told_ = false;
  strategy.begin(*this);
}

Task& Scheduler::prepare_task(ThreadId id) {
  if (tasks_.size() <= id) {
    tasks_.push_back(std::make_unique<Task>());
    tasks_.back()->fiber = std::make_unique<Fiber>(id);
  }
  Task& task = *tasks_[id];
  task.state = Task::State::live;
  task.parked = false;
  task.steps = 0;
  task.objects = 0;
  task.spawned_after = -1;
  task.starter = kNoThread;
  task.pending = nullptr;
  task.slot = nullptr;
  task.clock.clear();
  task.clock[id] = 1;
  task.label.clear();
  task.exceptions[0] = task.exceptions[1] = 0;
  if (!task.fiber_clean) task.fiber->start(&Scheduler::fiber_main, &task);
  task.fiber_clean = false;
  return task;
}

void Scheduler::fiber_main(void* argument) {
  Task& task = *static_cast<Task*>(argument);
  while (true) {
    current_->run_task(task);
    task.fiber_clean = true;
    current_->end_of_thread();  // comes back when this fiber is given its next task
  }
}

void Scheduler::run_task(Task& task) {
  try {
    const InArena taken_back(&arena_);
    if (&task == tasks_[0].get()) {
      (*body_)();
    } else {
      task.body();
    }
  } catch (const std::exception& error) {
    fail(FailureKind::exception, error.what());
  } catch (...) {
    fail(FailureKind::exception, "an exception that is not a std::exception");
  }
  task.body = nullptr;
}

void Scheduler::end_of_thread() {
  Task& me = *tasks_[on_cpu_];
  me.state = Task::State::done;
  me.pending = nullptr;
  enabled_ &= ~bit(on_cpu_);
  if (on_cpu_ == 0) {
    if (unjoined_ != 0 && !alone_)
      fail(FailureKind::misuse, "the body returned while threads it started were not joined");
    to_host();
    return;
  }
  for (ThreadMask rest = conditional_; rest != 0; rest &= rest - 1) {
    const Task& other = *tasks_[lowest(rest)];
    if (other.pending->kind == Kind::join && other.pending->operand == on_cpu_) enabled_ |= bit(lowest(rest));
  }
  if (me.starter != kNoThread) {
    back_to_starter(me);
  } else {
    dispatch();
  }
}

void Scheduler::switch_to(ThreadId next) {
  Task& from = *tasks_[on_cpu_];
  Task& to = *tasks_[next];
  std::memcpy(from.exceptions, exception_state_, sizeof from.exceptions);
  std::memcpy(exception_state_, to.exceptions, sizeof to.exceptions);
  on_cpu_ = next;
  Fiber::switch_to(*from.fiber, *to.fiber);
}

void Scheduler::tell_end() {
  if (std::exchange(ending_told_, true)) return;
  decided_events_ = events_.size();
  strategy_->end(*this);
}

void Scheduler::to_host() {
  const InArena kept(nullptr);
  tell_end();
  Task& from = *tasks_[on_cpu_];
  std::memset(exception_state_, 0, sizeof from.exceptions);
  Fiber::switch_to(*from.fiber, host_);
}

void Scheduler::leave() {
  tasks_[on_cpu_]->fiber_clean = false;
  to_host();
  std::abort();  // an abandoned fiber is started anew, never resumed
}

// ---------------------------------------------------------------------------------------------- choosing

std::uint64_t Scheduler::perform(Operation& op) {
  if (alone_) return perform_alone(op);
  const InArena kept(nullptr);
  Task& me = *tasks_[on_cpu_];
  me.pending = &op;
  announce(me);
  if (me.starter != kNoThread) {
    back_to_starter(me);
  } else {
    dispatch();
  }
  return execute(op);
}

void Scheduler::announce(Task& me) {
  const ThreadMask mine = bit(on_cpu_);
  if (!conditional(me.pending->kind)) {
    enabled_ |= mine;
    return;
  }
  conditional_ |= mine;
  if (ready(*this, *me.pending)) {
    enabled_ |= mine;
  } else {
    enabled_ &= ~mine;
  }
}

bool Scheduler::ready(const Scheduler& self, const Operation& op) {
  switch (op.kind) {
    case Kind::lock:
      return op.object->value == 0;
    case Kind::await:
      return op.satisfied(op.predicate, op.object->value);
    case Kind::join:
      return self.tasks_[op.operand]->state == Task::State::done;
    case Kind::sleep:
      return self.now_ >= op.deadline;
    case Kind::assume:
      return op.operand != 0;
    default:
      return true;
  }
}

void Scheduler::back_to_starter(Task& me) {
  const ThreadId starter = std::exchange(me.starter, kNoThread);
  switch_to(starter);
}

void Scheduler::dispatch() {
  while (enabled_ == 0) {
    if (!pass_time()) {
      report_stuck();
      leave();
    }
  }
  if (points_ >= bound_) {
    if (!draining_) report_step_bound();
    if (points_ >= settings_->max_points + kDrainPoints) leave();
  }
  const ThreadId next = choose_thread();
  if (next != on_cpu_) switch_to(next);
}

ThreadId Scheduler::default_thread() const {
  if ((enabled_ & bit(running_)) != 0 && !yielded_ && !fair()) return running_;
  const ThreadMask after = running_ + 1 < kMaxThreads ? enabled_ & ~(bit(running_ + 1) - 1) : 0;
  return lowest(after != 0 ? after : enabled_);
}

ThreadId Scheduler::choose_thread() {
  const ThreadId fallback = default_thread();
  if (draining_) return fallback;
  if (fair()) {
    if (!fair_from_) fair_from_ = events_.size();
    return fallback;
  }
  const ThreadId pick = strategy_->pick(*this);
  if (draining_) return default_thread();  // the strategy failed the execution
  if (pick == kNoThread) {
    drain(Ending::blocked);
    return fallback;
  }
  if (pick != fallback) {
    const bool preemption = (enabled_ & bit(running_)) != 0 && !yielded_;
    deviations_.push_back({Choice::thread, preemption, running_, tasks_[running_]->steps, ordinal_, pick});
  }
  ++ordinal_;
  return pick;
}

std::uint64_t Scheduler::choose(Choice what, std::uint64_t arity, std::uint64_t fallback) {
  const InArena kept(nullptr);
  if (draining_ || arity == 1 || fair()) return fallback;
  const std::uint64_t pick = strategy_->choose(*this, what, arity, fallback);
  if (pick != fallback)
    deviations_.push_back({what, false, running_, tasks_[running_]->steps, ordinal_, pick});
  ++ordinal_;
  return pick;
}

bool Scheduler::pass_time() {
  engine::Time earliest = engine::kForever;
  for (ThreadId i = 0; i < threads_; ++i) {
    const Task& task = *tasks_[i];
    if (task.state != Task::State::live || task.pending == nullptr) continue;
    if (task.pending->kind == Kind::sleep || task.parked)
      earliest = std::min(earliest, task.pending->deadline);
  }
  if (earliest == engine::kForever) return false;
  advance_time(earliest - now_);
  return true;
}

void Scheduler::advance_time(engine::Duration by) {
  if (by > engine::Duration::zero()) now_ += by;
  ++epoch_;
  for (ThreadId i = 0; i < threads_; ++i) {
    Task& task = *tasks_[i];
    if (task.state != Task::State::live || task.pending == nullptr || task.pending->deadline > now_) continue;
    if (task.pending->kind == Kind::sleep) enabled_ |= bit(i);
    if (task.parked) {
      task.parked = false;
      enabled_ |= bit(i);
    }
  }
}

void Scheduler::fail(FailureKind kind, const std::string& message) {
  const InArena kept(nullptr);
  if (!outcome_.failure) outcome_.failure = Failure{kind, on_cpu_, message};
  if (!draining_) drain(Ending::completed);
}

void Scheduler::diverge(const std::string& message) {
  const InArena kept(nullptr);
  outcome_.failure = Failure{FailureKind::nondeterministic, on_cpu_, message};
  if (!draining_) drain(Ending::completed);
}

void Scheduler::drain(Ending ending) {
  outcome_.ending = ending;
  draining_ = true;
  tell_end();
  bound_ = points_ + kDrainPoints;
}

void Scheduler::report_step_bound() {
  if (fair_from_) lasso_ = find_lasso(events_, *fair_from_);
  if (lasso_) {
    fail(FailureKind::livelock,
         fmt::format("from point {} on the same {} for ever, though every thread gets its turns",
                     lasso_->begin + 1, counted(lasso_->period, "step is repeated", "steps are repeated")));
  } else {
    fail(FailureKind::step_bound, fmt::format("still running after {} scheduling points", points_));
  }
  outcome_.ending = Ending::cut;
}

void Scheduler::report_stuck() {
  bool assumed = false;
  std::string where;
  for (ThreadId i = 0; i < threads_; ++i) {
    const Task& task = *tasks_[i];
    if (task.state != Task::State::live) continue;
    assumed = assumed || task.pending->kind == Kind::assume;
    where += fmt::format("{}{} at {}", where.empty() ? "" : "; ", thread_name(i), describe(*task.pending));
  }
  if (outcome_.ending == Ending::completed) outcome_.ending = assumed ? Ending::blocked : Ending::stuck;
  if (assumed || draining_) return;
  fail(FailureKind::stuck, "no thread can ever run again: " + where);
  outcome_.ending = Ending::stuck;
}

// ---------------------------------------------------------------------------------------------- threads

ThreadId Scheduler::spawn(std::function<void()> body, const char* label) {
  const InArena kept(nullptr);
  if (threads_ == kMaxThreads) {
    fail(FailureKind::misuse, fmt::format("more than {} threads", kMaxThreads));
    leave();
  }
  const ThreadId id = threads_;
  Task& task = prepare_task(id);
  Task& me = *tasks_[on_cpu_];
  threads_ = id + 1;
  task.body = std::move(body);
  task.label = label == nullptr ? "" : label;
  task.clock.join(me.clock, threads_);
  me.clock[on_cpu_] += 1;
  task.spawned_after = static_cast<std::int32_t>(events_.size()) - 1;
  ++unjoined_;
  alone_ = false;
  task.starter = on_cpu_;
  const ThreadId running = std::exchange(running_, id);  // what it does before its first operation is its own
  switch_to(id);
  running_ = running;
  return id;
}

void Scheduler::thread_dropped(ThreadId id) {
  const InArena kept(nullptr);
  if (std::uncaught_exceptions() == 0)
    fail(FailureKind::misuse, thread_name(id) + " was dropped without a join");
  // What the thread refers to is being destroyed: it must not run again.
  if (on_cpu_ == 0) alone_ = true;
  if (!draining_) drain(Ending::completed);
}

void Scheduler::yield() {
  if (alone_ || (!draining_ && !strategy_->stops_at_yields())) return;
  Operation op{.kind = Kind::yield};
  perform(op);
}

void Scheduler::killed() {
  end_of_thread();
  std::abort();  // never chosen again
}

void Scheduler::fault_point(const char* label) {
  const InArena kept(nullptr);
  if (settings_->keep_notes) notes_.push_back({events_.size(), on_cpu_, label});
  if (alone_) return;
  if (strategy_->stops_at_faults()) {
    Operation op{.kind = Kind::fault, .label = label};
    perform(op);
  }
  for (std::size_t i = 0; i < settings_->faults.size(); ++i) {
    const FaultPlan& plan = settings_->faults[i];
    if (!plan.point.empty() && plan.point != label) continue;
    if (fault_uses_[i] >= plan.times || choose(Choice::fault, 2, 0) == 0) continue;
    ++fault_uses_[i];
    if (settings_->keep_notes) {
      notes_.push_back({events_.size(), on_cpu_, plan.crash ? "crashes" : "is stalled"});
    }
    if (plan.crash) killed();
    Operation op{.kind = Kind::sleep, .deadline = now_ + plan.stall};
    perform(op);
  }
}

}  // namespace touchstone::harness::explore
