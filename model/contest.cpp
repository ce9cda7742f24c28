#include "model/contest.h"

namespace touchstone::model {
namespace {

/// Q2.
constexpr std::size_t kFirstWidth = 8;
constexpr std::size_t kWidening = 4;
/// Q3.
constexpr std::size_t kMemoryGrowth = 2;

}  // namespace

Contest::Contest(const History& history, std::span<const OperationNumber> numbers, KeyId key,
                 const CheckOptions& options)
    : history_(history),
      key_(key),
      problem_(make_problem(history, numbers)),
      search_{options.reductions, options.witness, 0, kFirstWidth} {
  depth_.wanted = options.methods.depth_first;
  breadth_.wanted = options.methods.breadth_first;
}

Progress Contest::run(std::uint64_t steps, std::size_t memory) {
  const auto decided = [](Progress it) { return it == Progress::kExplained || it == Progress::kRefuted; };
  const Progress deep = take_turn(depth_, steps, memory / 2);
  if (decided(deep)) {
    method_ = Method::kDepthFirst;
    return deep;
  }
  const Progress wide = take_turn(breadth_, steps, memory / 2);
  if (decided(wide)) {
    method_ = Method::kBreadthFirst;
    return wide;
  }
  const bool stuck = deep == Progress::kOutOfMemory && wide == Progress::kOutOfMemory;
  return stuck ? Progress::kOutOfMemory : Progress::kRunning;
}

template <class Search>
Progress Contest::take_turn(Side<Search>& side, std::uint64_t steps, std::size_t memory) {
  if (!side.wanted || memory / kMemoryGrowth < side.failed_with) return Progress::kOutOfMemory;
  search_.max_memory = memory;
  if (!side.automaton) side.automaton = make_automaton(history_, problem_.representatives);  // Q1
  if (!side.search) side.search = std::make_unique<Search>(problem_, *side.automaton, search_);
  side.search->limit_memory(memory);
  const Progress progress = side.search->run(steps);
  if (progress == Progress::kTooNarrow) {
    search_.width *= kWidening;
    give_up(side);
  } else if (progress == Progress::kOutOfMemory) {
    side.failed_with = memory;
    give_up(side);
    side.automaton.reset();
  }
  return progress;
}

template <class Search>
void Contest::give_up(Side<Search>& side) {
  steps_before_ += side.search->steps();
  side.search.reset();
}

std::vector<OperationNumber> Contest::witness() const {
  if (method_ == Method::kDepthFirst) return spell_out(problem_, *depth_.automaton, depth_.search->effects());
  return spell_out(problem_, *breadth_.automaton, breadth_.search->effects());
}

Refutation Contest::refutation() {
  Dead dead = method_ == Method::kDepthFirst ? depth_.search->dead() : breadth_.search->dead();
  Refutation out;
  out.key = key_;
  out.method = method_;
  const std::uint32_t failing = Problem::operation_of(problem_.events[dead.event]);
  out.failing = problem_.operations[failing].number;
  out.worlds = std::move(dead.worlds);
  out.reason = "nothing explains " + describe(history_, history_.operations[*out.failing]);
  if (!out.worlds.empty()) out.reason += ": " + out.worlds.front().reason;
  return out;
}

std::uint64_t Contest::steps() const {
  return steps_before_ + (depth_.search ? depth_.search->steps() : 0) +
         (breadth_.search ? breadth_.search->steps() : 0);
}

std::size_t Contest::configurations() const {
  return (depth_.search ? depth_.search->configurations() : 0) +
         (breadth_.search ? breadth_.search->configurations() : 0);
}

}  // namespace touchstone::model
