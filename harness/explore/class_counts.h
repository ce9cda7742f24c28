#pragma once
// How often each class of equivalent schedules was sampled, and what that says of the classes not seen yet.
//
//   auto seen = std::make_shared<ClassCounts>();
//   portfolio(body, {.classes = seen});                   // any number of explorations of one body
//   seen->chance_of_new();                                // Good and Turing: classes seen once / executions
//
// The chance that the next execution is of a class never seen is about the share of classes that were seen once (Good, Biometrika 1953).
// It falls as more is sampled. From kMost classes on nothing more is counted, so that the memory is bounded: the estimate is then of the
// executions up to there, and too high for what comes later.
//
// A value; one thread.

#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace touchstone::harness::explore {

class ClassCounts {
 public:
  static constexpr std::size_t kMost = std::size_t{1} << 20;

  void add(std::uint64_t hash) {
    if (times_.size() >= kMost) return;
    ++executions_;
    const std::uint32_t times = ++times_[hash];
    if (times == 1) ++once_;
    if (times == 2) --once_;
  }

  std::uint64_t executions() const { return executions_; }
  std::uint64_t classes() const { return times_.size(); }
  std::uint64_t once() const { return once_; }

  double chance_of_new() const {
    return executions_ == 0 ? 1.0 : static_cast<double>(once_) / static_cast<double>(executions_);
  }

 private:
  std::unordered_map<std::uint64_t, std::uint32_t> times_;
  std::uint64_t executions_ = 0;
  std::uint64_t once_ = 0;
};

}  // namespace touchstone::harness::explore
