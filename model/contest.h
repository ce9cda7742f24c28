#pragma once
// One partition in the hands of the two general searches, which take turns.
//
//   Contest contest(history, numbers, key, options);
//   while ((progress = contest.run(500, memory)) == Progress::kRunning) { ... }
//   if (progress == Progress::kRefuted) report(contest.refutation());
//
// What a turn does depends on its arguments and on the turns before alone, whatever other contests do meanwhile. Rules:
//   Q1  What is not needed is not made: most partitions are decided in the depth-first search's first turn.
//   Q2  The breadth-first search begins with a narrow frontier, and again with a wider one where that says nothing.
//   Q3  A search that needs more than its half of the memory is given up, and begun again when there is twice as much. With
//       both given up there is no progress (kOutOfMemory) until then.
// A contest belongs to one thread at a time; contests of one history may run at once.

#include <memory>
#include <span>

#include "model/general_search.h"

namespace touchstone::model {

class Contest {
 public:
  Contest(const History& history, std::span<const OperationNumber> numbers, KeyId key,
          const CheckOptions& options);

  /// Not to be moved: the searches refer to the problem.
  Contest(const Contest&) = delete;
  Contest& operator=(const Contest&) = delete;

  /// Both searches in turn, for so many steps each, with so many bytes for both together.
  Progress run(std::uint64_t steps, std::size_t memory);

  std::vector<OperationNumber> witness() const;
  Refutation refutation();

  std::uint64_t steps() const;
  std::size_t configurations() const;

 private:
  template <class Search>
  struct Side {
    std::unique_ptr<Automaton> automaton;
    std::unique_ptr<Search> search;
    bool wanted = false;
    std::size_t failed_with = 0;  ///< bytes that were not enough (Q3)
  };

  template <class Search>
  Progress take_turn(Side<Search>& side, std::uint64_t steps, std::size_t memory);
  template <class Search>
  void give_up(Side<Search>& side);

  const History& history_;
  KeyId key_;
  Problem problem_;
  SearchOptions search_;
  Side<DepthFirst> depth_;
  Side<BreadthFirst> breadth_;
  std::uint64_t steps_before_ = 0;  ///< of searches that were given up, or were too narrow
  Method method_ = Method::kNothingToDo;
};

}  // namespace touchstone::model
