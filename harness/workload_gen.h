#pragma once
// Workloads as RapidCheck generators, with shrinking: fewer clients, fewer steps, plainer steps.
//
//   const Workload workload = *workload_gen(shape);           // inside rc::check or RC_GTEST_PROP
//
// A step is drawn from one number, so that the seed alone explains it; it shrinks towards fewer writes and an age of
// zero (simpler() of workload.h). Thread safety: that of RapidCheck, one thread.

#include <rapidcheck.h>

#include <utility>
#include <vector>

#include "harness/workload.h"

namespace touchstone::harness {

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
