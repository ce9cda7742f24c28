#pragma once
// Runs a recorded schedule again, exactly or leniently.
//
//   Replay exact(schedule, Replay::Mode::exact);       // the first divergence fails the execution and is
//   named Replay lenient(schedule, Replay::Mode::lenient);   // a deviation that no longer applies is passed
//   over
//
// Exact replay is what `touchstone replay` does; lenient replay is what shrinking needs, because a schedule
// with a deviation taken out goes another way. Not thread safe.

#include <array>
#include <string>
#include <vector>

#include "harness/explore/strategy.h"

namespace touchstone::harness::explore {

/// A running hash of what happened: thread, operation, object, value. Addresses do not enter.
class Fingerprint {
 public:
  void add(const Event& event);
  std::uint64_t value() const { return state_; }
  std::uint16_t folded() const;

 private:
  std::uint64_t state_ = 0x6a09e667f3bcc908;
};

/// The schedule of the execution that has just run.
Schedule schedule_of(const Scheduler& scheduler);

class Replay final : public Strategy {
 public:
  enum class Mode : std::uint8_t { exact, lenient };

  Replay(const Schedule& schedule, Mode mode);

  void begin(Scheduler& scheduler) override;
  ThreadId pick(Scheduler& scheduler) override;
  std::uint64_t choose(Scheduler& scheduler, Choice what, std::uint64_t arity,
                       std::uint64_t fallback) override;
  void end(Scheduler& scheduler) override;

 private:
  const Deviation* due(const Scheduler& scheduler);
  void verify_progress(Scheduler& scheduler);
  std::string unlike_recorded(const Scheduler& scheduler, std::size_t from) const;
  void diverged(Scheduler& scheduler, const std::string& how);

  const Schedule& schedule_;
  Mode mode_;
  std::array<std::vector<Deviation>, kMaxThreads> by_thread_;
  std::array<std::size_t, kMaxThreads> next_{};
  Fingerprint seen_;
  std::size_t verified_ = 0;  // events
  std::size_t used_ = 0;      // deviations
  bool diverged_ = false;
};

}  // namespace touchstone::harness::explore
