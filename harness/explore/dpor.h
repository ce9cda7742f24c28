#pragma once
// Dynamic partial order reduction: one execution for every class of equivalent schedules.
//
//   PartialOrderReduction search(Reduction::optimal);
//   do { scheduler.run(body, search, settings); } while (search.advance());
//
// Two schedules are equivalent if they order all dependent operations alike (Mazurkiewicz). Source sets with sleep sets, and
// optimal exploration with wakeup trees, after Abdulla, Aronis, Jonsson, Sagonas (Source Sets, JACM 2017). `source` may
// run into executions whose every thread sleeps (blocked); `optimal` never begins one.
//
// The rules, each of which loses classes when it is left out (see completeness_test.cpp):
//   R1  Locks race with locks: the order of two critical sections is turned by racing the second lock with the first,
//       before the edge from unlock to lock is drawn.
//   R2  At the end of every execution the operation that a blocked thread waits with races too: it was never executed.
//   R3  A failed compare-exchange, like a failed try_lock, is a load; turned round it may succeed.
//   R4  An await races with every earlier store before which it could have gone on, not with the last one only.
//   R5  Reads race with later writes, as writes do with later reads and writes.
//   R6  A race is turned at the end of every execution that has it, not of the first only: what is moved before its first event
//       includes what came after its second, and that differs. (Source search moves only what came before the second, so
//       that this matters to it for waits alone.)
//   R7  A wait that is moved before the store that satisfied it parks, and now depends on notifications that it did not depend
//       on: it is moved both with and without what came after it.
// What passing time wakes comes after everything before it: time passes only when nothing else can happen.
//
// Draws and faults are not branched on: they are what the execution's seed says, and none. Belongs to one scheduler.

#include <cstdint>
#include <vector>

#include "harness/explore/clock.h"
#include "harness/explore/strategy.h"

namespace touchstone::harness::explore {

enum class Reduction : std::uint8_t { source, optimal };

/// For the tests of the tests only.
struct RaceRules {
  bool locks_race = true;          // R1
  bool blocked_race = true;        // R2
  bool failures_are_loads = true;  // R3
  bool awaits_race_far = true;     // R4
  bool reads_race = true;          // R5
  bool old_races_turn = true;      // R6
  bool waits_turn_twice = true;    // R7
};

class PartialOrderReduction final : public Strategy {
 public:
  explicit PartialOrderReduction(Reduction reduction, RaceRules rules = {})
      : reduction_(reduction), rules_(rules) {}

  ThreadId pick(Scheduler& scheduler) override;
  void end(Scheduler& scheduler) override;
  bool stops_at_yields() const override { return false; }

  /// Turns to the next class; false when there is none.
  bool advance();

 private:
  using Index = std::int32_t;
  static constexpr Index kNil = -1;

  /// What an operation did, as far as dependence goes.
  struct Action {
    ThreadId thread = 0;
    Access access = Access::none;
    std::uint32_t object = 0;

    bool depends_on(const Action& other) const {
      return thread == other.thread || (object == other.object && dependent(access, other.access));
    }
  };

  struct Node {
    ThreadId chosen = kNoThread;
    ThreadMask enabled = 0;
    ThreadMask backtrack = 0;  // source
    ThreadMask sleep = 0;
    Index wakeups = kNil;  // optimal: the branches still to be explored
    Action asleep[kMaxThreads];
  };

  /// An executed event with its place in the happens-before order of this execution.
  struct Step {
    Action action;
    Index previous_of_thread = kNil;
    std::uint32_t number = 0;  // within its thread, from 1
    Clock clock;               // of numbers
  };

  struct Wakeup {
    Action action;
    Index child = kNil;
    Index sibling = kNil;
  };

  /// One element of a reordered suffix.
  struct Moved {
    Action action;
    std::uint32_t number;
    const Clock* clock;
  };

  /// Two events that another execution must have the other way round.
  struct Race {
    Index first;
    Index second;          // the length of the execution if it was not executed
    Action action;         // what the second will do if it comes before the first
    bool waits = false;    // the second is a wait_until
    bool settled = false;  // turned for good
  };

  struct Barrier {
    Index step;
    Clock clock;
  };

  ThreadId open_node(Scheduler& scheduler, std::size_t depth);
  void inherit_sleep(const Scheduler& scheduler, Node& node, std::size_t depth);

  void roll_back(std::size_t length);
  void add_step(const Scheduler& scheduler, Index index);
  Clock program_order(const Scheduler& scheduler, Index index, ThreadId thread);
  void order_after_time(Index index, Clock& clock) const;
  void order_after_wake_up(const Scheduler& scheduler, Index index, Clock& clock);
  void find_races(const Scheduler& scheduler, Index index);
  void turn_again(const Scheduler& scheduler, std::size_t known, std::size_t first_new);
  void race_on_object(const Scheduler& scheduler, Index index, Clock& clock);
  void race_await(const Scheduler& scheduler, Index index, const Clock& clock);
  static Index last_store(const Scheduler& scheduler, Index from);
  void race_lock(const Scheduler& scheduler, Index index, Index last, const Action& lock, const Clock& clock);
  void race_blocked(Scheduler& scheduler);
  Access access_of(const Event& event) const;
  Access turned_access(const Scheduler& scheduler, Index first, Index second) const;

  bool happens_before(Index step, const Clock& clock) const {
    const Step& s = steps_[static_cast<std::size_t>(step)];
    return clock.covers(s.action.thread, s.number);
  }

  void turn_new(const Scheduler& scheduler, Race& race);
  void turn(const Scheduler& scheduler, Race& race, std::size_t end);
  void collect_moved(const Race& race, const Clock& clock, std::size_t end);
  ThreadMask initials() const;
  bool starts(const Action& action, std::size_t& at) const;
  bool insert_wakeup(Node& node);
  Index new_wakeup(const Action& action);
  void free_wakeup(Index index);

  Reduction reduction_;
  RaceRules rules_;
  std::vector<Node> nodes_;
  std::vector<Step> steps_;
  std::vector<Barrier> barriers_;
  std::vector<Race> races_;  // by their second event
  std::vector<Moved> moved_;
  std::size_t before_second_ = 0;  // how many of what moved came before the second event
  std::vector<Wakeup> wakeups_;
  Index free_ = kNil;
  Index carried_ = kNil;    // what the chosen branch demands next
  std::size_t replay_ = 0;  // how many nodes the next execution repeats
  std::size_t length_ = 0;  // nodes of the last execution
  ThreadId threads_ = 0;
  Index last_of_thread_[kMaxThreads];
};

}  // namespace touchstone::harness::explore
