#include "harness/explore/dpor.h"

#include <algorithm>
#include <utility>

#include "harness/explore/scheduler.h"

namespace touchstone::harness::explore {

namespace {

constexpr ThreadMask bit(ThreadId id) {
  return ThreadMask{1} << id;
}

bool takes_lock(const Event& event) {
  return event.access == Access::write && (event.kind == Kind::lock || event.kind == Kind::try_lock);
}

}  // namespace

// ---------------------------------------------------------------------------------------------- choosing

ThreadId PartialOrderReduction::pick(Scheduler& scheduler) {
  const std::size_t depth = scheduler.events().size();
  if (depth < replay_) return nodes_[depth].chosen;
  return open_node(scheduler, depth);
}

ThreadId PartialOrderReduction::open_node(Scheduler& scheduler, std::size_t depth) {
  if (nodes_.size() <= depth) nodes_.resize(depth + 64);
  Node& node = nodes_[depth];
  node.enabled = scheduler.enabled();
  node.backtrack = 0;
  node.sleep = 0;
  if (depth != 0) inherit_sleep(scheduler, node, depth);
  node.wakeups = std::exchange(carried_, kNil);
  if (node.wakeups != kNil) {
    const Index branch = node.wakeups;
    node.chosen = wakeups_[static_cast<std::size_t>(branch)].action.thread;
    node.wakeups = wakeups_[static_cast<std::size_t>(branch)].sibling;
    carried_ = wakeups_[static_cast<std::size_t>(branch)].child;
    free_wakeup(branch);
    if ((node.enabled & bit(node.chosen)) == 0) {
      scheduler.fail(FailureKind::nondeterministic,
                     "a schedule that was possible before is not possible any more");
    }
    return node.chosen;
  }
  const ThreadMask awake = node.enabled & ~node.sleep;
  if (awake == 0) {
    node.chosen = kNoThread;
    return kNoThread;
  }
  const ThreadId running = scheduler.running();
  node.chosen = (awake & bit(running)) != 0 ? running : lowest(awake);
  node.backtrack = bit(node.chosen);
  return node.chosen;
}

void PartialOrderReduction::inherit_sleep(const Scheduler& scheduler, Node& node, std::size_t depth) {
  const Node& parent = nodes_[depth - 1];
  if (parent.sleep == 0) return;
  const Event& event = scheduler.events()[depth - 1];
  const Action happened{event.thread, access_of(event), event.object};
  for (ThreadMask rest = parent.sleep; rest != 0; rest &= rest - 1) {
    const ThreadId id = lowest(rest);
    if (parent.asleep[id].depends_on(happened)) continue;
    node.sleep |= bit(id);
    node.asleep[id] = parent.asleep[id];
  }
}

bool PartialOrderReduction::advance() {
  for (std::size_t depth = length_; depth-- > 0;) {
    Node& node = nodes_[depth];
    node.sleep |= bit(node.chosen);
    node.asleep[node.chosen] = steps_[depth].action;
    ThreadId next = kNoThread;
    if (node.wakeups != kNil) {
      const Index branch = node.wakeups;
      const Wakeup taken = wakeups_[static_cast<std::size_t>(branch)];
      free_wakeup(branch);
      next = taken.action.thread;
      node.wakeups = taken.sibling;
      carried_ = taken.child;
    } else if (const ThreadMask left = node.backtrack & node.enabled & ~node.sleep; left != 0) {
      next = lowest(left);
    }
    if (next == kNoThread) continue;
    node.chosen = next;
    replay_ = depth + 1;
    return true;
  }
  return false;
}

// ---------------------------------------------------------------------------------------------- happens-before

Access PartialOrderReduction::access_of(const Event& event) const {
  const bool failed =
      event.access == Access::read && (event.kind == Kind::compare_exchange || event.kind == Kind::try_lock);
  return failed && !rules_.failures_are_loads ? Access::write : event.access;
}

void PartialOrderReduction::end(Scheduler& scheduler) {
  threads_ = scheduler.threads();
  length_ = scheduler.decided_events();
  const std::size_t first_new = replay_ == 0 ? 0 : replay_ - 1;
  roll_back(first_new);
  if (steps_.size() < length_) steps_.resize(length_ + 64);
  for (std::size_t i = first_new; i < length_; ++i) add_step(scheduler, static_cast<Index>(i));
  const std::size_t known = races_.size();
  for (std::size_t i = first_new; i < length_; ++i) find_races(scheduler, static_cast<Index>(i));
  turn_again(scheduler, known, first_new);
  for (std::size_t i = known; i < races_.size(); ++i) turn_new(scheduler, races_[i]);
  if (rules_.blocked_race) race_blocked(scheduler);
}

/// The races of earlier executions that this one repeats (R6). They need not be turned again if all that is new comes after
/// their first event anyway.
void PartialOrderReduction::turn_again(const Scheduler& scheduler, std::size_t known, std::size_t first_new) {
  if (!rules_.old_races_turn || known == 0 || first_new == length_) return;
  Clock common = steps_[first_new].clock;
  for (std::size_t i = first_new + 1; i < length_; ++i) common.meet(steps_[i].clock, threads_);
  for (std::size_t i = 0; i < known; ++i) {
    const Race& race = races_[i];
    const bool wanted = reduction_ == Reduction::optimal || race.waits;
    if (wanted && !race.settled && !happens_before(race.first, common)) turn(scheduler, races_[i], length_);
  }
}

void PartialOrderReduction::turn_new(const Scheduler& scheduler, Race& race) {
  const bool source = reduction_ == Reduction::source;
  if (source || (race.waits && rules_.waits_turn_twice))
    turn(scheduler, race, static_cast<std::size_t>(race.second));
  if (!source || (race.waits && rules_.waits_turn_twice)) turn(scheduler, race, length_);
}

void PartialOrderReduction::find_races(const Scheduler& scheduler, Index index) {
  const Event& event = scheduler.events()[static_cast<std::size_t>(index)];
  Clock clock = program_order(scheduler, index, event.thread);
  if (event.kind == Kind::await) {
    race_await(scheduler, index, clock);
  } else if (event.kind == Kind::lock) {
    race_lock(scheduler, index, event.previous, {event.thread, Access::write, event.object}, clock);
  } else {
    race_on_object(scheduler, index, clock);
  }
}

void PartialOrderReduction::roll_back(std::size_t length) {
  while (!barriers_.empty() && static_cast<std::size_t>(barriers_.back().step) >= length)
    barriers_.pop_back();
  while (!races_.empty() && static_cast<std::size_t>(races_.back().second) >= length) races_.pop_back();
  std::fill(std::begin(last_of_thread_), std::end(last_of_thread_), kNil);
  for (std::size_t i = 0; i < length; ++i) last_of_thread_[steps_[i].action.thread] = static_cast<Index>(i);
}

/// What an event knows before it looks at its object.
Clock PartialOrderReduction::program_order(const Scheduler& scheduler, Index index, ThreadId thread) {
  Clock clock;
  const Event* const event = index == kNil ? nullptr : &scheduler.events()[static_cast<std::size_t>(index)];
  const Index own =
      event == nullptr ? last_of_thread_[thread] : steps_[static_cast<std::size_t>(index)].previous_of_thread;
  const Index before = own != kNil ? own : scheduler.task(thread).spawned_after;
  if (before != kNil) clock = steps_[static_cast<std::size_t>(before)].clock;
  if (event != nullptr && event->kind == Kind::sleep) order_after_time(index, clock);
  if (event != nullptr && event->kind == Kind::wait) order_after_wake_up(scheduler, index, clock);
  return clock;
}

/// Time passed because nothing else could happen: what it wakes comes after everything before.
void PartialOrderReduction::order_after_time(Index index, Clock& clock) const {
  for (auto barrier = barriers_.rbegin(); barrier != barriers_.rend(); ++barrier) {
    if (barrier->step > index) continue;
    clock.join(barrier->clock, threads_);
    return;
  }
}

/// A parked thread goes on because of the notification that woke it, or because time has passed.
void PartialOrderReduction::order_after_wake_up(const Scheduler& scheduler, Index index, Clock& clock) {
  const std::vector<Event>& events = scheduler.events();
  const Index parked = steps_[static_cast<std::size_t>(index)].previous_of_thread;
  if (parked == kNil || events[static_cast<std::size_t>(parked)].access != Access::park) return;
  const std::uint32_t woken_by = events[static_cast<std::size_t>(index)].peer;
  if (woken_by == 0) {
    order_after_time(index, clock);
  } else {
    clock.join(steps_[woken_by - 1].clock, threads_);
  }
}

void PartialOrderReduction::add_step(const Scheduler& scheduler, Index index) {
  const std::vector<Event>& events = scheduler.events();
  const auto at = static_cast<std::size_t>(index);
  const Event& event = events[at];
  Step& step = steps_[at];
  step.action = {event.thread, access_of(event), event.object};
  step.previous_of_thread = last_of_thread_[event.thread];
  step.number = step.previous_of_thread == kNil
                    ? 1
                    : steps_[static_cast<std::size_t>(step.previous_of_thread)].number + 1;
  if (index != 0 && event.epoch != events[at - 1].epoch) {
    Barrier barrier{index, {}};
    for (ThreadId id = 0; id < threads_; ++id) {
      if (last_of_thread_[id] != kNil)
        barrier.clock.join(steps_[static_cast<std::size_t>(last_of_thread_[id])].clock, threads_);
    }
    barriers_.push_back(barrier);
  }
  Clock clock = program_order(scheduler, index, event.thread);
  if (event.kind == Kind::join && last_of_thread_[event.peer] != kNil) {
    clock.join(steps_[static_cast<std::size_t>(last_of_thread_[event.peer])].clock, threads_);
  }
  for (Index i = event.slot == 0 ? kNil : event.previous; i != kNil;
       i = events[static_cast<std::size_t>(i)].previous) {
    const Step& earlier = steps_[static_cast<std::size_t>(i)];
    if (dependent(earlier.action.access, step.action.access)) clock.join(earlier.clock, threads_);
    if (earlier.action.access == Access::write && step.action.access != Access::notify &&
        step.action.access != Access::park)
      break;
  }
  clock[event.thread] = step.number;
  step.clock = clock;
  last_of_thread_[event.thread] = index;
}

// ---------------------------------------------------------------------------------------------- races

/// Every earlier event that `index` depends on with nothing in between, nearest first.
void PartialOrderReduction::race_on_object(const Scheduler& scheduler, Index index, Clock& clock) {
  const std::vector<Event>& events = scheduler.events();
  const Event& event = events[static_cast<std::size_t>(index)];
  if (event.slot == 0) return;
  const Access access = access_of(event);
  for (Index i = event.previous; i != kNil; i = events[static_cast<std::size_t>(i)].previous) {
    const Step& earlier = steps_[static_cast<std::size_t>(i)];
    if (dependent(earlier.action.access, access) && !happens_before(i, clock)) {
      const bool left_out = !rules_.reads_race && earlier.action.access == Access::read;
      if (!left_out)
        races_.push_back({i,
                          index,
                          {event.thread, turned_access(scheduler, i, index), event.object},
                          event.kind == Kind::wait});
      clock.join(earlier.clock, threads_);
    }
    if (earlier.action.access == Access::write && access != Access::notify && access != Access::park) break;
  }
}

/// What `second` will do to its object if it comes before `first`.
Access PartialOrderReduction::turned_access(const Scheduler& scheduler, Index first, Index second) const {
  const Event& event = scheduler.events()[static_cast<std::size_t>(second)];
  const Event& before = scheduler.events()[static_cast<std::size_t>(first)];
  const bool compares = event.kind == Kind::compare_exchange || event.kind == Kind::try_lock;
  if (compares && rules_.failures_are_loads)
    return before.before == event.expected ? Access::write : Access::read;
  const bool timed_out = event.access == Access::read && event.expected == 0;
  if (event.kind != Kind::wait || before.access != Access::write || timed_out) return access_of(event);
  const auto& candidates = scheduler.await_candidates();
  const bool satisfied =
      std::find(candidates.begin(), candidates.end(), std::pair(second, first)) != candidates.end();
  return satisfied ? Access::read : Access::park;
}

void PartialOrderReduction::race_await(const Scheduler& scheduler, Index index, const Clock& clock) {
  const Event& event = scheduler.events()[static_cast<std::size_t>(index)];
  for (const auto& [awaits, store] : scheduler.await_candidates()) {
    if (awaits != index || happens_before(store, clock)) continue;
    if (!rules_.awaits_race_far && store != last_store(scheduler, event.previous)) continue;
    races_.push_back({store, index, {event.thread, Access::read, event.object}});
  }
}

PartialOrderReduction::Index PartialOrderReduction::last_store(const Scheduler& scheduler, Index from) {
  const std::vector<Event>& events = scheduler.events();
  while (from != kNil && events[static_cast<std::size_t>(from)].access != Access::write) {
    from = events[static_cast<std::size_t>(from)].previous;
  }
  return from;
}

/// `index`: the event, or length_ if the lock was never taken.
void PartialOrderReduction::race_lock(const Scheduler& scheduler, Index index, Index last, const Action& lock,
                                      const Clock& clock) {
  if (!rules_.locks_race) return;
  const std::vector<Event>& events = scheduler.events();
  for (Index i = last; i != kNil; i = events[static_cast<std::size_t>(i)].previous) {
    if (!takes_lock(events[static_cast<std::size_t>(i)])) continue;
    if (!happens_before(i, clock)) races_.push_back({i, index, lock});
    return;
  }
}

void PartialOrderReduction::race_blocked(Scheduler& scheduler) {
  const auto end = static_cast<Index>(length_);
  const std::size_t known = races_.size();
  for (ThreadId id = 0; id < threads_; ++id) {
    const Task& task = scheduler.task(id);
    // Enabled is also who ended the execution while it ran: what it announced last is gone with its stack's frame.
    if (task.state != Task::State::live || (scheduler.enabled() & bit(id)) != 0) continue;
    if (task.pending == nullptr || task.pending->object == nullptr) continue;
    const Operation& op = *task.pending;
    if (op.object->slot == 0) continue;
    const Clock clock = program_order(scheduler, kNil, id);
    const Index last = scheduler.last_event_of(op.object->slot);
    if (op.kind == Kind::lock) race_lock(scheduler, end, last, {id, Access::write, op.object->name}, clock);
    if (op.kind != Kind::await) continue;
    const std::size_t before = scheduler.await_candidates().size();
    scheduler.note_candidates(op, end);
    for (std::size_t i = before; i < scheduler.await_candidates().size(); ++i) {
      const Index store = scheduler.await_candidates()[i].second;
      if (happens_before(store, clock)) continue;
      if (!rules_.awaits_race_far && store != last_store(scheduler, last)) continue;
      races_.push_back({store, end, {id, Access::read, op.object->name}});
    }
  }
  for (std::size_t i = known; i < races_.size(); ++i) turn(scheduler, races_[i], length_);
  races_.resize(known);
}

/// Demands an execution in which the second event, and before it what came up to `end`, comes before the first.
void PartialOrderReduction::turn(const Scheduler& scheduler, Race& race, std::size_t end) {
  const bool executed = static_cast<std::size_t>(race.second) < length_;
  const Clock clock = program_order(scheduler, executed ? race.second : kNil, race.action.thread);
  collect_moved(race, clock, end);
  Node& node = nodes_[static_cast<std::size_t>(race.first)];
  if (reduction_ == Reduction::optimal) {
    race.settled = insert_wakeup(node);
    return;
  }
  const ThreadMask candidates = initials();
  if ((candidates & (node.backtrack | node.sleep)) == 0) node.backtrack |= bit(moved_.front().action.thread);
}

/// What follows the first event without depending on it, up to `end`, then the second.
void PartialOrderReduction::collect_moved(const Race& race, const Clock& clock, std::size_t end) {
  moved_.clear();
  before_second_ = 0;
  const Step& turned = steps_[static_cast<std::size_t>(race.first)];
  for (auto i = static_cast<std::size_t>(race.first) + 1; i < end; ++i) {
    if (i == static_cast<std::size_t>(race.second)) before_second_ = moved_.size();
    const Step& step = steps_[i];
    if (step.clock.covers(turned.action.thread, turned.number)) continue;
    moved_.push_back({step.action, step.number, &step.clock});
  }
  moved_.push_back({race.action, 0, &clock});
}

/// True if `action`, its thread's next, can be moved to the front of what was collected. `at`: where it stands there, or
/// the end if it does not.
bool PartialOrderReduction::starts(const Action& action, std::size_t& at) const {
  at = 0;
  while (at < moved_.size() && moved_[at].action.thread != action.thread) ++at;
  if (at == moved_.size()) {
    return std::none_of(moved_.begin(), moved_.end(),
                        [&](const Moved& m) { return m.action.depends_on(action); });
  }
  for (std::size_t i = 0; i < at; ++i) {
    if (moved_[at].clock->covers(moved_[i].action.thread, moved_[i].number)) return false;
    // The turned operation, the last, depends on what it will do, not on what it did where it was.
    if (at + 1 == moved_.size() && moved_[at].action.depends_on(moved_[i].action)) return false;
  }
  return true;
}

ThreadMask PartialOrderReduction::initials() const {
  ThreadMask seen = 0;
  ThreadMask found = 0;
  for (const Moved& moved : moved_) {
    if ((seen & bit(moved.action.thread)) != 0) continue;
    seen |= bit(moved.action.thread);
    std::size_t at = 0;
    if (starts(moved.action, at)) found |= bit(moved.action.thread);
  }
  return found;
}

// ---------------------------------------------------------------------------------------------- wakeup trees

/// True if nothing that comes after the second event can change that there is nothing to insert: a sleeping thread begins
/// what came before it.
bool PartialOrderReduction::insert_wakeup(Node& node) {
  std::size_t at = 0;
  for (ThreadMask rest = node.sleep; rest != 0; rest &= rest - 1) {
    if (starts(node.asleep[lowest(rest)], at)) return at < before_second_;
  }
  // `list` points into wakeups_, which therefore must not move while the new branch is made.
  if (wakeups_.capacity() - wakeups_.size() < moved_.size())
    wakeups_.reserve(2 * wakeups_.size() + moved_.size());
  Index* list = &node.wakeups;
  while (*list != kNil) {
    Wakeup& branch = wakeups_[static_cast<std::size_t>(*list)];
    if (!starts(branch.action, at)) {
      list = &branch.sibling;
      continue;
    }
    if (branch.child == kNil) return false;
    if (at != moved_.size()) moved_.erase(moved_.begin() + static_cast<std::ptrdiff_t>(at));
    if (moved_.empty()) return false;
    list = &branch.child;
  }
  Index chain = kNil;
  for (std::size_t i = moved_.size(); i-- > 0;) {
    const Index element = new_wakeup(moved_[i].action);
    wakeups_[static_cast<std::size_t>(element)].child = chain;
    chain = element;
  }
  *list = chain;
  return false;
}

PartialOrderReduction::Index PartialOrderReduction::new_wakeup(const Action& action) {
  Index index = free_;
  if (index == kNil) {
    index = static_cast<Index>(wakeups_.size());
    wakeups_.emplace_back();
  } else {
    free_ = wakeups_[static_cast<std::size_t>(index)].sibling;
  }
  wakeups_[static_cast<std::size_t>(index)] = {action, kNil, kNil};
  return index;
}

void PartialOrderReduction::free_wakeup(Index index) {
  wakeups_[static_cast<std::size_t>(index)].sibling = free_;
  free_ = index;
}

}  // namespace touchstone::harness::explore
