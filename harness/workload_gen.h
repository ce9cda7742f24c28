#pragma once
// Workloads as RapidCheck generators, with shrinking: fewer clients, fewer steps, plainer steps.
//
//   const Workload workload = *workload_gen(shape);           // inside rc::check or RC_GTEST_PROP
//
// A step is drawn from one number, so that the seed alone explains it; it shrinks towards fewer writes and an age of
// zero. Thread safety: that of RapidCheck, one thread.

#include <rapidcheck.h>

#include <utility>
#include <vector>

#include "harness/workload.h"

namespace touchstone::harness {

/// Simpler steps than this one: with one write or read fewer, or nearer to the newest version.
inline std::vector<Step> simpler(const Step& step) {
  std::vector<Step> candidates;
  const auto without_each = [&](auto list) {
    Step whole = step;
    for (std::size_t i = 0; i < list(whole).size(); ++i) {
      auto& shorter = list(candidates.emplace_back(step));
      shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(i));
    }
  };
  if (std::holds_alternative<model::CompareAndSwap>(step.operation)) {
    const auto swap = [](Step & s) -> auto& {
      return std::get<model::CompareAndSwap>(s.operation);
    };
    without_each([&](Step & s) -> auto& { return swap(s).writes; });
    without_each([&](Step & s) -> auto& { return swap(s).reads; });
    if (step.age != 0) {
      candidates.push_back(step);
      candidates.back().age = 0;
    }
  } else if (std::holds_alternative<model::Execute>(step.operation)) {
    without_each([](Step & s) -> auto& { return std::get<model::Execute>(s.operation).body; });
  } else if (std::holds_alternative<model::SnapshotRead>(step.operation)) {
    without_each([](Step & s) -> auto& { return std::get<model::SnapshotRead>(s.operation).paths; });
  }
  return candidates;
}

inline rc::Gen<Step> step_gen(const WorkloadShape& shape) {
  const auto drawn =
      rc::gen::map(rc::gen::noShrink(rc::gen::resize(100, rc::gen::arbitrary<std::uint64_t>())),
                   [shape](std::uint64_t number) {
                     Stream stream = Seed(number).stream("step");
                     return draw_step(stream, shape);
                   });
  return rc::gen::shrink(drawn, [](Step step) { return rc::seq::fromContainer(simpler(step)); });
}

inline rc::Gen<std::vector<Step>> steps_gen(const WorkloadShape& shape) {
  return rc::gen::container<std::vector<Step>>(step_gen(shape));
}

inline rc::Gen<Workload> workload_gen(const WorkloadShape& shape) {
  return rc::gen::map(rc::gen::container<std::vector<std::vector<Step>>>(
                          static_cast<std::size_t>(shape.clients), steps_gen(shape)),
                      [](std::vector<std::vector<Step>> clients) { return Workload{std::move(clients)}; });
}

inline void showValue(const Workload& workload, std::ostream& out) {  // NOLINT: RapidCheck's name
  out << describe(workload);
}

inline void showValue(const Step& step, std::ostream& out) {  // NOLINT: RapidCheck's name
  out << model::describe(step.operation);
}

}  // namespace touchstone::harness
