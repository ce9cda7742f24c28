#include "harness/explore/script.h"

#include <fmt/format.h>

#include <array>

#include "harness/explore/scheduler.h"
#include "harness/explore/trace.h"

namespace touchstone::harness::explore {

namespace {

class Scripted final : public Strategy {
 public:
  explicit Scripted(const Script& script) : script_(script) {}

  void begin(Scheduler&) override {
    at_ = 0;
    steps_left_ = kFresh;
    stopped_.fill(kNever);
  }

  ThreadId pick(Scheduler& scheduler) override {
    while (at_ < script_.steps().size()) {
      const Script::Step& step = script_.steps()[at_];
      if (step.goal == Script::Step::Goal::advance) {
        scheduler.advance_time(step.time);
        next_step();
        continue;
      }
      const ThreadId id = find(scheduler, step.thread);
      if (id == kNoThread) return wait_for_start(scheduler, step);
      if (reached(scheduler, step, id)) {
        stopped_[id] = scheduler.task(id).steps;
        next_step();
        continue;
      }
      if (((scheduler.enabled() >> id) & 1) == 0) return impossible(scheduler, step, id);
      return id;
    }
    return scheduler.default_thread();
  }

  void end(Scheduler& scheduler) override {
    // A script that ends with its last thread has no later point at which that would be noticed.
    while (at_ < script_.steps().size()) {
      const Script::Step& step = script_.steps()[at_];
      const ThreadId id = find(scheduler, step.thread);
      const bool over =
          step.goal == Script::Step::Goal::advance || (id != kNoThread && reached(scheduler, step, id));
      if (!over) {
        scheduler.fail(FailureKind::misuse, fmt::format("the script's step {} was never taken", at_ + 1));
        return;
      }
      next_step();
    }
  }

  bool stops_at_faults() const override { return true; }

 private:
  static constexpr std::uint32_t kNever = ~std::uint32_t{0};
  static constexpr std::uint32_t kFresh = ~std::uint32_t{0};

  void next_step() {
    ++at_;
    steps_left_ = kFresh;
  }

  static ThreadId find(const Scheduler& scheduler, const std::string& name) {
    for (ThreadId id = 0; id < scheduler.threads(); ++id) {
      if (scheduler.thread_name(id) == name || std::to_string(id) == name) return id;
    }
    return kNoThread;
  }

  bool reached(const Scheduler& scheduler, const Script::Step& step, ThreadId id) {
    const Task& task = scheduler.task(id);
    const bool done = task.state == Task::State::done;
    switch (step.goal) {
      case Script::Step::Goal::fault_point:
        return !done && task.pending->kind == Kind::fault && task.pending->label == step.point &&
               task.steps != stopped_[id];
      case Script::Step::Goal::end:
        return done;
      case Script::Step::Goal::block:
        return done || ((scheduler.enabled() >> id) & 1) == 0;
      case Script::Step::Goal::steps:
        if (steps_left_ == kFresh) steps_left_ = task.steps + step.steps;
        return task.steps >= steps_left_;
      case Script::Step::Goal::advance:
        break;
    }
    return true;
  }

  ThreadId wait_for_start(Scheduler& scheduler, const Script::Step& step) {
    if ((scheduler.enabled() & 1) != 0) return 0;
    scheduler.fail(
        FailureKind::misuse,
        fmt::format("the script's step {} names a thread {} that was not started", at_ + 1, step.thread));
    return scheduler.default_thread();
  }

  ThreadId impossible(Scheduler& scheduler, const Script::Step& step, ThreadId id) {
    const Task& task = scheduler.task(id);
    const std::string where = task.state == Task::State::done
                                  ? "it has ended"
                                  : "it is blocked at " + scheduler.describe(*task.pending);
    scheduler.fail(FailureKind::misuse,
                   fmt::format("the script's step {}: {} cannot reach {}: {}", at_ + 1, step.thread,
                               step.point.empty() ? "its goal" : step.point, where));
    return scheduler.default_thread();
  }

  const Script& script_;
  std::size_t at_ = 0;
  std::uint32_t steps_left_ = kFresh;
  std::array<std::uint32_t, kMaxThreads> stopped_{};
};

}  // namespace

Report scripted(const Body& body, const Script& script, Options options) {
  options.executions = 1;
  options.shrink = false;
  options.keep_trace = true;
  Scripted strategy(script);
  return explore_with(body, options, strategy);
}

}  // namespace touchstone::harness::explore
