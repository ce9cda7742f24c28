#pragma once
// One operation on the stage of a test, interrupted by another one before each of its steps.
//
//   Interruption::at_each_step([](Interruption& it) {
//     Stage stage;   ...   it.between([&] { first(); }, [&] { second(); });   ...   EXPECT_...
//   });

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "engine/test_platform.h"

namespace touchstone::engine {

/// Plays `scene` with an interruption before the first step of what it interrupts, before its second, and so on to its end.
class Interruption {
 public:
  using Scene = std::function<void(Interruption&)>;

  /// Returns how many steps there are.
  static int at_each_step(const Scene& scene) {
    for (int step = 1;; ++step) {
      SCOPED_TRACE("before step " + std::to_string(step));
      Interruption interruption(step);
      scene(interruption);
      if (!interruption.came_ || testing::Test::HasFailure()) return step - 1;
    }
  }

  template <class Interrupted>
  void between(Interrupted interrupted, Stage::Action action) {
    Stage& stage = Stage::current();
    stage.before_step(static_cast<std::uint64_t>(step_), [this, action = std::move(action)] {
      came_ = true;
      try {
        action();
      } catch (const Stuck&) {
        waited_ = true;
      }
    });
    interrupted();
    stage.no_more_interruptions();
  }

  /// It came, and did not have to wait.
  bool was_done() const { return came_ && !waited_; }
  bool had_to_wait() const { return waited_; }

 private:
  explicit Interruption(int step) : step_(step) {}

  const int step_;
  bool came_ = false, waited_ = false;
};

}  // namespace touchstone::engine
