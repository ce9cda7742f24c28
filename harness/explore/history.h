#pragma once
// The history of an execution: what its threads asked for and what they were told, drawn below its schedule.
//
//   Called call([&] { return "add n"; });                       // inside a body, before the call
//   const ExecuteResult result = store.execute(worker, process);
//   call.returned([&] { return to_text(result); });             // until then it is under way
//
// The words are asked for only in executions that are drawn. Outside an exploration it does nothing. Belongs to the thread that
// made it.

#include <cstddef>
#include <string>
#include <utility>

#include "harness/explore/scheduler.h"

namespace touchstone::harness::explore {

class Called {
 public:
  template <class Words>
  explicit Called(const Words& what) {
    Scheduler* const scheduler = Scheduler::current();
    if (scheduler != nullptr && scheduler->keeps_notes()) index_ = scheduler->begin_call(what());
  }
  Called(const Called&) = delete;
  Called& operator=(const Called&) = delete;

  template <class Words>
  void returned(const Words& result) {
    if (index_ != kNone) Scheduler::current()->end_call(index_, result());
  }

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};

  std::size_t index_ = kNone;
};

/// One line a call, in the order of their beginnings; calls that overlap in time overlap on paper. Empty without calls.
std::string draw_history(const Scheduler& scheduler);

}  // namespace touchstone::harness::explore
