#pragma once
// The two general searches of one partition. Both are complete; neither is faster everywhere.
//
//   auto automaton = make_automaton(history, problem.representatives);
//   DepthFirst search(problem, *automaton, SearchOptions{});
//   while (search.run(10'000) == Progress::kRunning) { ... }
//   if (search.run(0) == Progress::kExplained) use(search.effects());
//
// DepthFirst takes one configuration along the events as far as it goes, and remembers those that failed: it
// finds witnesses fast. BreadthFirst takes all configurations along together, event by event: it refutes
// fast, and knows the shortest failing prefix. Both linearize just in time: an operation takes effect only
// when some return forces it (Lowe 2014). Rules:
//   W1  The memory of a search is bounded by the configurations it holds at a time, whatever the length of
//       the history, beside 12 bytes an operation for the witness, if one is asked for, and the depth-first search's
//       way back: for each choice that it may come back to 8 bytes and a configuration, 16 where there are several cells.
//   W2  Forgetting failed configurations (when memory runs short, the older half) costs time, never soundness. What then is more than the
//       memory given ends the search: kOutOfMemory, never a verdict.
//   W3  The depth-first search knows which cells a failure is due to, and goes straight back to the last
//       choice about one of them (conflict-directed backjumping: Prosser 1993).
//   W4  A breadth-first search may be given a width: it then keeps only so many configurations, of each state
//       those that used up the least. A witness it finds is one; that it finds none says nothing
//       (kTooNarrow).
// A search belongs to one thread at a time.

#include <cstdint>
#include <optional>
#include <vector>

#include "model/failures.h"
#include "model/window.h"

namespace touchstone::model {

enum class Progress { kRunning, kExplained, kRefuted, kTooNarrow, kOutOfMemory };

struct SearchOptions {
  Reductions reductions = {};
  bool witness = true;
  std::size_t max_memory = std::size_t{1} << 30U;
  std::size_t width = ~std::size_t{0};  ///< of the breadth-first search's frontier (W4)
};

/// Where a refuted search got to.
struct Dead {
  std::uint32_t event = 0;    ///< the return that nothing explains
  std::vector<World> worlds;  ///< some of the configurations that reached it
};

class DepthFirst {
 public:
  DepthFirst(const Problem& problem, Automaton& automaton, const SearchOptions& options);

  /// Goes on for about so many steps of the specification.
  Progress run(std::uint64_t steps);

  /// From now on, instead of SearchOptions::max_memory.
  void limit_memory(std::size_t bytes) { options_.max_memory = bytes; }

  std::uint64_t steps() const { return window_.steps(); }
  std::size_t configurations() const { return failures_.size() + choices_.size(); }
  const std::vector<Effect>& effects() const { return effects_; }
  Dead dead();

 private:
  bool walk();
  bool meet_return(std::uint32_t operation);
  void push_choice(std::uint32_t cursor, Word cells);
  std::optional<Word> known_failure() const;
  void jump_back(Word cells);
  Word cell_of_top() const;
  bool try_next_choice();
  void fail_top();
  bool fits_in_memory();
  void note(std::uint32_t event);

  const Problem& problem_;
  const Automaton& automaton_;
  SearchOptions options_;
  Window window_;
  std::vector<Word> current_;
  ChoiceStack choices_;
  std::vector<Effect> effects_;
  FailureMemo failures_;
  std::uint32_t until_measured_ = 0;
  std::uint32_t deepest_ = 0;
  std::vector<Word> deepest_configurations_;
  Progress progress_ = Progress::kRunning;
};

class BreadthFirst {
 public:
  BreadthFirst(const Problem& problem, Automaton& automaton, const SearchOptions& options);

  Progress run(std::uint64_t steps);
  void limit_memory(std::size_t bytes) { options_.max_memory = bytes; }

  std::uint64_t steps() const { return window_.steps(); }
  std::size_t configurations() const { return most_; }
  std::vector<Effect> effects() const;

  /// Begins behind so many events, with these configurations; instead of at the start, with the initial one.
  void begin_at(std::uint32_t position, std::vector<Word> configurations);

  /// The configurations that were explained.
  const std::vector<Word>& frontier() const { return frontier_; }
  const Layout& layout() const { return window_.layout(); }
  Dead dead();

 private:
  struct Link {
    std::uint32_t parent;
    Effect effect;
  };

  void pass_invocation();
  void begin_return();
  bool expand_one();
  void end_return();
  void arrive(const Word* configuration, std::uint32_t link);
  void wait(const Word* configuration, std::uint32_t link);
  std::uint32_t link(std::uint32_t parent);
  std::vector<std::uint32_t> by_worth() const;
  void prune();
  void narrow();
  void forget_dead_links();
  std::size_t bytes() const;

  const Problem& problem_;
  const Automaton& automaton_;
  SearchOptions options_;
  Window window_;
  std::vector<Word> frontier_;
  std::vector<std::uint32_t> frontier_links_;
  ConfigurationTable waiting_;  ///< the return's operation has not taken effect
  std::vector<std::uint32_t> waiting_links_;
  ConfigurationTable passed_;  ///< it has
  std::vector<std::uint32_t> passed_links_;
  std::vector<Link> links_;
  std::vector<Effect> settled_;  ///< the effects that every configuration of the frontier has in common
  std::size_t links_limit_ = 4096;
  std::vector<Word> scratch_;
  std::size_t expanding_ = 0;
  bool narrowed_ = false;  ///< something was left out
  bool in_return_ = false;
  std::size_t most_ = 0;
  Progress progress_ = Progress::kRunning;
};

}  // namespace touchstone::model
