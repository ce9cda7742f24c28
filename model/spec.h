#pragma once
// What every sequential specification of the model looks like.
//
//   StoreSpec spec;
//   StoreSpec::State state;                                          // the initial state
//   auto next = step(spec, state, operation, &response);             // pure: a new state, or why not
//   if (auto* no = std::get_if<Illegal>(&next)) puts(no->reason.c_str());
//   if (auto no = spec.advance(state, operation, &response)) ...     // the same, in place
//
// A specification has the types State, Operation and Response and the two functions
//   advance(State&, const Operation&, const Response*) -> std::optional<Illegal>
//   perform(State&, const Operation&) -> Response
// Numbered rules, which every specification keeps:
//   S1  advance() is a function of its arguments only. An illegal step leaves the state as it was.
//   S2  A null response stands for an outcome nobody saw: the step is the operation taking effect, and it is
//       illegal where the operation could have had no effect. (That it never happened is the checker's other
//       choice, not the specification's.)
//   S3  perform() gives one response that advance() accepts at that state: the canonical right answer.
// Values without identity; any thread may use its own.

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace touchstone::model {

/// Why an operation cannot have had this response at this state.
struct Illegal {
  std::string reason;
};

template <class State>
using Step = std::variant<State, Illegal>;

/// The pure form of a specification's advance().
template <class Specification>
Step<typename Specification::State> step(const Specification& specification,
                                         const typename Specification::State& state,
                                         const typename Specification::Operation& operation,
                                         const typename Specification::Response* response) {
  typename Specification::State next = state;
  if (auto illegal = specification.advance(next, operation, response)) return *std::move(illegal);
  return next;
}

}  // namespace touchstone::model
