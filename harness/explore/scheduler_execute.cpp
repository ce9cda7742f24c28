// What each operation does once its thread has been chosen.

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "harness/explore/scheduler.h"

namespace touchstone::harness::explore {

namespace {

constexpr ThreadMask bit(ThreadId id) {
  return ThreadMask{1} << id;
}

bool acquires(std::memory_order order) {
  return order == std::memory_order_acquire || order == std::memory_order_consume ||
         order == std::memory_order_acq_rel || order == std::memory_order_seq_cst;
}

bool releases(std::memory_order order) {
  return order == std::memory_order_release || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}

std::uint64_t updated(const Operation& op, std::uint64_t value) {
  switch (op.kind) {
    case Kind::fetch_add:
      return (value + op.operand) & op.mask;
    case Kind::fetch_sub:
      return (value - op.operand) & op.mask;
    case Kind::fetch_or:
      return value | op.operand;
    case Kind::fetch_and:
      return value & op.operand;
    default:
      return op.operand;  // store, exchange
  }
}

}  // namespace

std::uint64_t apply_outside(Operation& op) {
  const std::uint64_t before = op.object->value;
  if (op.kind == Kind::load || op.kind == Kind::notify || op.kind == Kind::await || op.kind == Kind::wait)
    return before;
  const bool compares = op.kind == Kind::compare_exchange || op.kind == Kind::try_lock;
  op.success = !compares || before == op.expected;
  if (op.success) op.object->value = updated(op, before);
  return before;
}

void Scheduler::register_object(Object& object) {
  object.execution = execution_;
  object.slot = 0;
  object.name = (on_cpu_ << kNameBits) | tasks_[on_cpu_]->objects++;
}

void Scheduler::require_own(const Object& object) {
  if (object.execution == execution_ || draining_) return;
  fail(FailureKind::misuse,
       "an atomic or mutex made outside this execution: its state would leak from one to the next");
}

std::uint32_t Scheduler::give_slot(Object& object) {
  const InArena kept(nullptr);
  require_own(object);
  object.slot = ++slots_;
  if (states_.size() <= object.slot) states_.resize(object.slot + 1);
  ObjectState& state = states_[object.slot];
  state.last_event = -1;
  state.release.clear();
  if (settings_->weak_memory) weak_.initial(object.slot, object.value);
  return object.slot;
}

void Scheduler::take_step() {
  Task& me = *tasks_[on_cpu_];
  running_ = on_cpu_;
  yielded_ = false;
  ordinal_ = 0;
  ++me.steps;
  ++points_;
  conditional_ &= ~bit(on_cpu_);
}

Event& Scheduler::record(Operation& op, Access access, std::uint64_t before, std::uint64_t after) {
  Event& event = events_.emplace_back();
  event.thread = on_cpu_;
  event.kind = op.kind;
  event.access = access;
  event.order = op.order;
  event.epoch = epoch_;
  event.site = op.site;
  if (op.object == nullptr) return event;
  event.before = before;
  event.after = after;
  event.expected = op.expected;
  event.pointer = op.pointer;
  event.object = op.object->name;
  event.slot = op.object->slot;
  ObjectState& state = states_[event.slot];
  event.previous = state.last_event;
  state.last_event = static_cast<std::int32_t>(events_.size()) - 1;
  return event;
}

void Scheduler::acquire(ObjectState& state, std::memory_order order) {
  if (acquires(order)) tasks_[on_cpu_]->clock.join(state.release, threads_);
}

/// `continues`: a read-modify-write keeps the release sequence that it reads from.
void Scheduler::release(ObjectState& state, std::memory_order order, bool continues) {
  Clock& mine = tasks_[on_cpu_]->clock;
  if (!releases(order)) {
    if (!continues) state.release.clear();
    return;
  }
  if (continues) {
    state.release.join(mine, threads_);
  } else {
    state.release.copy(mine, threads_);
  }
  mine[on_cpu_] += 1;
}

/// Re-examines the threads that wait for `object`.
void Scheduler::object_changed(const Object& object) {
  for (ThreadMask rest = conditional_; rest != 0; rest &= rest - 1) {
    const ThreadId id = lowest(rest);
    const Operation& op = *tasks_[id]->pending;
    if (op.object != &object) continue;
    if (ready(*this, op)) {
      enabled_ |= bit(id);
    } else {
      enabled_ &= ~bit(id);
    }
  }
}

std::uint64_t Scheduler::execute(Operation& op) {
  take_step();
  if (op.object != nullptr) slot_of(*op.object);
  switch (op.kind) {
    case Kind::load:
    case Kind::await:
      return execute_load(op);
    case Kind::store:
    case Kind::exchange:
    case Kind::fetch_add:
    case Kind::fetch_sub:
    case Kind::fetch_or:
    case Kind::fetch_and:
      return execute_update(op);
    case Kind::compare_exchange:
    case Kind::lock:
    case Kind::try_lock:
    case Kind::unlock:
      return execute_compare_exchange(op);
    case Kind::wait:
      return execute_wait(op);
    case Kind::notify:
      execute_notify(op);
      return 0;
    case Kind::join:
      execute_join(op);
      return 0;
    case Kind::yield:
      yielded_ = true;
      [[fallthrough]];
    case Kind::sleep:
    case Kind::fault:
    case Kind::assume:
      record(op, Access::none, 0, 0);
      return 0;
  }
  return 0;
}

std::uint64_t Scheduler::execute_load(Operation& op) {
  Object& object = *op.object;
  ObjectState& state = states_[object.slot];
  if (op.kind == Kind::await && settings_->note_await_candidates) {
    note_candidates(op, static_cast<std::int32_t>(events_.size()));
  }
  if (!settings_->weak_memory) {
    acquire(state, op.order);
    record(op, Access::read, object.value, object.value);
    return object.value;
  }
  Task& me = *tasks_[on_cpu_];
  std::size_t choices = weak_.readable(object.slot, on_cpu_, me.clock, op.order);
  if (op.kind == Kind::await) {  // the newest satisfies it; older ones may, too
    std::size_t satisfying = 1;
    while (satisfying < choices && op.satisfied(op.predicate, weak_.value(object.slot, satisfying)))
      ++satisfying;
    choices = satisfying;
  }
  const auto age = static_cast<std::size_t>(choose(Choice::read, choices, 0));
  const std::uint64_t value = weak_.value(object.slot, age);
  const std::uint64_t position = weak_.position(object.slot, age);
  const Clock& learnt = weak_.read(object.slot, age, on_cpu_, me.clock, op.order);
  if (acquires(op.order)) me.clock.join(learnt, threads_);
  Event& event = record(op, Access::read, value, value);
  event.stale = age != 0;
  event.expected = position;
  return value;
}

std::uint64_t Scheduler::execute_update(Operation& op) {
  Object& object = *op.object;
  ObjectState& state = states_[object.slot];
  const std::uint64_t before = object.value;
  object.value = updated(op, before);
  const bool reads = op.kind != Kind::store;
  Task& me = *tasks_[on_cpu_];
  if (reads) acquire(state, op.order);
  if (settings_->weak_memory) {
    if (reads) weak_.read(object.slot, 0, on_cpu_, me.clock, op.order);
    const Clock at_store = me.clock;
    release(state, op.order, reads);
    weak_.stored(object.slot, object.value, on_cpu_, at_store, state.release, op.order);
  } else {
    release(state, op.order, reads);
  }
  record(op, Access::write, before, object.value);
  if (conditional_ != 0) object_changed(object);
  return before;
}

/// Compare-exchange, and the mutex, which is a word that holds its owner + 1.
std::uint64_t Scheduler::execute_compare_exchange(Operation& op) {
  Object& object = *op.object;
  ObjectState& state = states_[object.slot];
  const std::uint64_t before = object.value;
  if (op.kind == Kind::unlock && before != op.expected) {
    fail(FailureKind::misuse,
         fmt::format("{} unlocks {}, which it does not hold", thread_name(on_cpu_), describe(object.name)));
  }
  op.success = before == op.expected;
  Task& me = *tasks_[on_cpu_];
  if (!op.success) {
    acquire(state, op.failure_order);
    if (settings_->weak_memory) weak_.read(object.slot, 0, on_cpu_, me.clock, op.failure_order);
    record(op, Access::read, before, before);
    return before;
  }
  object.value = op.operand;
  if (op.kind != Kind::unlock) acquire(state, op.order);
  if (settings_->weak_memory) {
    weak_.read(object.slot, 0, on_cpu_, me.clock, op.order);
    const Clock at_store = me.clock;
    release(state, op.order, true);
    weak_.stored(object.slot, object.value, on_cpu_, at_store, state.release, op.order);
  } else {
    release(state, op.order, true);
  }
  record(op, Access::write, before, object.value);
  if (conditional_ != 0) object_changed(object);
  return before;
}

/// Which older value that would end the wait its thread sees; 0: it sees the newest, whatever that is. An older one that would not end it
/// sends nobody to sleep: the kernel compares it with the newest.
std::size_t Scheduler::choose_stale_end(const Operation& op) {
  const Object& object = *op.object;
  const std::size_t readable = weak_.readable(object.slot, on_cpu_, tasks_[on_cpu_]->clock, op.order);
  std::array<std::size_t, WeakMemory::kHistory> ending{};
  std::size_t choices = 1;
  for (std::size_t age = 1; age < readable; ++age)
    if (op.satisfied(op.predicate, weak_.value(object.slot, age))) ending[choices++] = age;
  return ending[choose(Choice::read, choices, 0)];
}

std::uint64_t Scheduler::execute_wait(Operation& op) {
  Object& object = *op.object;
  Task& me = *tasks_[on_cpu_];
  me.woken_by = 0;
  while (true) {
    ObjectState& state = states_[object.slot];
    const std::size_t age = settings_->weak_memory ? choose_stale_end(op) : 0;
    const std::uint64_t value = age != 0 ? weak_.value(object.slot, age) : object.value;
    op.success = op.satisfied(op.predicate, value);
    op.expected = op.success ? 1 : 0;  // for the event
    if (settings_->note_await_candidates) note_candidates(op, static_cast<std::int32_t>(events_.size()));
    if (op.success || now_ >= op.deadline) {
      if (settings_->weak_memory) {
        const Clock& learnt = weak_.read(object.slot, age, on_cpu_, me.clock, op.order);
        if (acquires(op.order)) me.clock.join(learnt, threads_);
      } else {
        acquire(state, op.order);
      }
      Event& event = record(op, Access::read, value, value);
      event.peer = me.woken_by;
      event.stale = age != 0;
      return value;
    }
    record(op, Access::park, object.value, object.value).peer = me.woken_by;
    me.parked = true;
    me.woken_by = 0;
    enabled_ &= ~bit(on_cpu_);
    dispatch();
    take_step();
  }
}

void Scheduler::execute_notify(Operation& op) {
  record(op, Access::notify, op.object->value, op.object->value);
  for (ThreadId id = 0; id < threads_; ++id) {
    Task& task = *tasks_[id];
    if (task.state != Task::State::live || !task.parked || task.pending->object != op.object) continue;
    task.parked = false;
    task.woken_by = static_cast<std::uint32_t>(events_.size());
    enabled_ |= bit(id);
  }
}

void Scheduler::execute_join(Operation& op) {
  record(op, Access::none, 0, 0).peer = static_cast<std::uint32_t>(op.operand);
  tasks_[on_cpu_]->clock.join(tasks_[op.operand]->clock, threads_);
  --unjoined_;
  alone_ = unjoined_ == 0;
}

std::uint64_t Scheduler::perform_alone(Operation& op) {
  Object* const object = op.object;
  if (object != nullptr) {
    require_own(*object);
    object->slot = 0;  // whatever others did to it happened before: it starts anew
  }
  const std::uint64_t before = object != nullptr ? object->value : 0;
  switch (op.kind) {
    case Kind::await:
    case Kind::wait:
      op.success = op.satisfied(op.predicate, before);
      if (op.success) return before;
      if (op.kind == Kind::wait && op.deadline != engine::kForever) {
        now_ = std::max(now_, op.deadline);
        return before;
      }
      tasks_[on_cpu_]->pending = &op;
      report_stuck();
      leave();
    case Kind::lock:
    case Kind::assume:
      if (ready(*this, op)) break;
      tasks_[on_cpu_]->pending = &op;
      report_stuck();
      leave();
    case Kind::sleep:
      now_ = std::max(now_, op.deadline);
      return 0;
    case Kind::join:
      return 0;
    default:
      break;
  }
  return object != nullptr ? apply_outside(op) : 0;
}

void Scheduler::check_cell(CellState& cell, bool write) {
  if (cell.execution != execution_) {
    cell.execution = execution_;
    cell.name = (on_cpu_ << kNameBits) | tasks_[on_cpu_]->objects++;
    cell.writer = kNoThread;
    cell.readers.clear();
  }
  if (draining_) return;
  const Clock& mine = tasks_[on_cpu_]->clock;
  if (cell.writer != kNoThread && !mine.covers(cell.writer, cell.written)) {
    fail(FailureKind::race,
         fmt::format("{} {} plain data {} that {} wrote, and nothing orders the two", thread_name(on_cpu_),
                     write ? "writes" : "reads", describe(cell.name), thread_name(cell.writer)));
    return;
  }
  if (!write) {
    cell.readers[on_cpu_] = mine[on_cpu_];
    return;
  }
  for (ThreadId i = 0; i < threads_; ++i) {
    if (mine.covers(i, cell.readers[i])) continue;
    fail(FailureKind::race, fmt::format("{} writes plain data {} that {} read, and nothing orders the two",
                                        thread_name(on_cpu_), describe(cell.name), thread_name(i)));
    return;
  }
  cell.writer = on_cpu_;
  cell.written = mine[on_cpu_];
  cell.readers.clear();
}

void Scheduler::note_candidates(const Operation& op, std::int32_t event) {
  if (op.object == nullptr || op.object->slot == 0) return;
  for (std::int32_t i = states_[op.object->slot].last_event; i >= 0;
       i = events_[static_cast<std::size_t>(i)].previous) {
    const Event& earlier = events_[static_cast<std::size_t>(i)];
    if (earlier.access == Access::write && op.satisfied(op.predicate, earlier.before))
      candidates_.emplace_back(event, i);
  }
}

}  // namespace touchstone::harness::explore
