#pragma once
// A schedule written by hand, for a scenario that one wants to see and not to search for.
//
//   Script script;
//   script.run("A").until("commit:locked").run("B").to_end().advance(60ms).run("A").to_end();
//   EXPECT_TRUE(passes(scripted(body, script)));
//
// Threads are named by ControlledThread::named, or by number ("1" is the first one started, "0" or "main" the
// body). Every step must be possible as written: a thread that blocks or ends before it gets where it is told
// to go fails the execution as misuse, saying where it stands. A thread told to go on from a fault point
// passes it. After the last step the default policy brings the execution to its end. A value type.

#include <string>
#include <vector>

#include "harness/explore/explorer.h"

namespace touchstone::harness::explore {

class Script {
 public:
  struct Step {
    enum class Goal : std::uint8_t { fault_point, end, block, steps, advance };

    Goal goal;
    std::string thread;
    std::string point;
    std::uint32_t steps = 0;
    engine::Duration time{};
  };

  class Thread {
   public:
    /// Up to that fault point, which it does not pass.
    Script& until(std::string fault_point) {
      return add({Step::Goal::fault_point, name_, std::move(fault_point)});
    }
    Script& to_end() { return add({Step::Goal::end, name_, {}}); }
    /// Until it sleeps, waits for something or has ended.
    Script& until_blocked() { return add({Step::Goal::block, name_, {}}); }
    Script& for_steps(std::uint32_t steps) { return add({Step::Goal::steps, name_, {}, steps}); }

   private:
    friend class Script;
    Thread(Script& script, std::string name) : script_(script), name_(std::move(name)) {}
    Script& add(Step step) {
      script_.steps_.push_back(std::move(step));
      return script_;
    }

    Script& script_;
    std::string name_;
  };

  Thread run(std::string thread) { return {*this, std::move(thread)}; }

  /// Moves virtual time; sleepers and waits that fall due may run.
  Script& advance(engine::Duration time) {
    steps_.push_back({Step::Goal::advance, {}, {}, 0, time});
    return *this;
  }

  const std::vector<Step>& steps() const { return steps_; }

 private:
  std::vector<Step> steps_;
};

/// Runs the body once. The report's columns show the execution, passed or not.
Report scripted(const Body& body, const Script& script, Options options = {});

}  // namespace touchstone::harness::explore
