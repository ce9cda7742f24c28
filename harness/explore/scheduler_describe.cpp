// Names and sentences for what a scheduler sees.

#include <fmt/format.h>

#include "harness/explore/scheduler.h"

namespace touchstone::harness::explore {

const char* name_of(Kind kind) {
  static constexpr const char* kNames[] = {"load",      "store",       "exchange",   "fetch_add",
                                           "fetch_sub", "fetch_or",    "fetch_and",  "compare_exchange",
                                           "await",     "wait_until",  "notify_all", "lock",
                                           "try_lock",  "unlock",      "join",       "sleep",
                                           "yield",     "fault_point", "assume"};
  return kNames[static_cast<std::size_t>(kind)];
}

const char* name_of(FailureKind kind) {
  static constexpr const char* kNames[] = {"exception", "race",   "stuck",           "step bound",
                                           "livelock",  "misuse", "nondeterministic"};
  return kNames[static_cast<std::size_t>(kind)];
}

void Scheduler::name_object(const Object& object, const std::string& label) {
  const InArena kept(nullptr);
  labels_.emplace_back(object.name, label);
}

std::size_t Scheduler::begin_call(const std::string& what) {
  const InArena kept(nullptr);
  calls_.push_back({on_cpu_, what, events_.size(), std::nullopt, {}});
  return calls_.size() - 1;
}

void Scheduler::end_call(std::size_t call, const std::string& result) {
  const InArena kept(nullptr);
  if (draining_) return;  // it came to its end only because the execution was brought to its end
  calls_[call].end = events_.size();
  calls_[call].result = result;
}

std::string Scheduler::describe(std::uint32_t object_name) const {
  for (const auto& [name, label] : labels_) {
    if (name == object_name) return label;
  }
  return fmt::format("{}{}", maker_of(object_name) == 0 ? "x" : fmt::format("x{}.", maker_of(object_name)),
                     number_of(object_name));
}

std::string Scheduler::describe(const Operation& op) const {
  switch (op.kind) {
    case Kind::join:
      return "join of " + thread_name(static_cast<ThreadId>(op.operand));
    case Kind::fault:
      return fmt::format("fault point {}", op.label);
    case Kind::sleep:
      return fmt::format(
          "sleep_until {} us",
          std::chrono::duration_cast<std::chrono::microseconds>(op.deadline.time_since_epoch()).count());
    default:
      break;
  }
  if (op.object == nullptr) return name_of(op.kind);
  return fmt::format("{} of {}", name_of(op.kind), describe(op.object->name));
}

std::string Scheduler::thread_name(ThreadId id) const {
  if (id < threads_ && !tasks_[id]->label.empty()) return tasks_[id]->label;
  return id == 0 ? "main" : fmt::format("T{}", id);
}

}  // namespace touchstone::harness::explore
