#pragma once
// Real processes, of which one runs at a time, from one system call that others could notice to the next.
//
//   ProcessScheduler scheduler({{"reaper", ...}, {"owner", ...}});
//   unsigned count = scheduler.explore(2, [&] { clean_up(); }, [&] { expect_nothing_lost(); });
//   scheduler.sample(500, stream, ...);          // beyond the bound
//   Schedule::parse("7:1.12:0");                 // step 7 goes to process 1, step 12 to process 0
//
// A process prepares, stops, acts under the scheduler, parks itself alive, and concludes when all have
// parked: so an owner can be alive while the others finish, and be asked afterwards whether it was harmed.
//
// K1 A step runs one process from its scheduling point through that system call to its next point. Points
//    are the calls on the shared directory and the lock: what other calls do, nobody else can see.
// K2 The default policy runs a process until it parks or is about to sleep, then the next one in order. A
//    schedule is the list of its deviations from that; a deviation where the default would have gone on
//    with the same process is a preemption. K3 explore runs every schedule of at most `bound` preemptions
//    exactly once, if processes are deterministic.
// K4 A schedule that does not fit the processes is an error with the step's number; nothing is guessed.
//
// One thread. TOUCHSTONE_SCHEDULE runs that schedule only, and draws it; a failure's replay line says it.

#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "harness/seed.h"
#include "stress/chaos/tracee.h"

namespace touchstone::chaos {

struct ScheduledProcess {
  std::string name;
  std::function<void()> prepare = [] {};  ///< unscheduled, in order, before any acts
  std::function<void()> act;
  std::function<int()> conclude = [] { return 0; };  ///< when all have acted; 0 if all is well
};

struct Schedule {
  struct Deviation {
    unsigned step = 0;
    unsigned process = 0;
    friend bool operator==(const Deviation&, const Deviation&) = default;
  };
  std::vector<Deviation> deviations;

  static std::optional<Schedule> parse(const std::string& text);
  std::string text() const;  ///< "" is the default policy
};

class ProcessScheduler {
 public:
  using Check = std::function<void()>;

  /// What happens to what it finds. In a test, by default: a failure of the test, with its replay line.
  struct Audience {
    std::function<void(const Schedule&)> about_to_judge;           ///< before each `after`
    std::function<void(const std::string&)> a_process_complained;  ///< it did not conclude with 0; may throw
  };
  static Audience a_test();

  explicit ProcessScheduler(std::vector<ScheduledProcess> processes, Audience audience = a_test());

  /// All schedules of at most `bound` preemptions; `before` and `after` surround each. Ends at the first that
  /// fails the test, with its trace. Returns how many ran.
  unsigned explore(unsigned bound, const Check& before, const Check& after);

  /// `count` schedules at random, without a bound.
  unsigned sample(unsigned count, harness::Stream stream, const Check& before, const Check& after);

  /// That schedule.
  void run(const Schedule& schedule, const Check& before, const Check& after);

  /// What the last execution did, a column a process.
  std::string drawn_trace() const;

 private:
  struct Event {
    unsigned process = 0;
    std::string text;
  };

  /// What could have been done at a step instead.
  struct Choice {
    std::vector<unsigned> enabled;
    unsigned taken = 0;
    bool is_free = false;  ///< no process was going on: the first step, or the last one to run parked
  };

  struct Running;

  using Chooser =
      std::function<unsigned(unsigned step, unsigned by_default, const std::vector<unsigned>& enabled)>;

  void execute(const Chooser& choose);
  void judge(const Schedule& schedule, const Check& after);
  bool advance(Running& running);
  void step(Running& running, unsigned process);

  OneProcessor processor_;
  std::vector<ScheduledProcess> processes_;
  Audience audience_;
  std::vector<Event> trace_;
  std::vector<Choice> choices_;
  std::vector<std::optional<int>> exit_codes_;
};

}  // namespace touchstone::chaos
