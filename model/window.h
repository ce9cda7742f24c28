#pragma once
// The window of open operations as a general search moves along the events, and the one step of both
// searches.
//
//   Window window(problem, automaton);
//   while (!Problem::is_return(window.next_event())) window.forward();  // operations open
//   for (Choice choice; window.next_choice(configuration, choice);) {   // what may take effect next
//     copy = configuration;
//     if (window.take(copy, choice)) ...                                // it did; notes() say what came with
//     it
//   }
//
// Reductions; each is sound by an exchange argument, and each can be switched off in tests (Reductions):
//   R1  An open observer that is legal takes effect at once: it changes nothing, and to have it done is never
//       worse than to have it waiting.
//   R2  When a blind write takes effect, every other waiting blind write of its group becomes optional: it
//       may as well have been overwritten just before. One configuration stands for 2^k. A waiting blind
//       write that would change nothing becomes optional too.
//   R3  Of open operations of one class only the one with the earliest return is tried: to exchange it with another in
//       whatever follows leaves all legal, and in real time, for both are open now and the other may come later.
//   R4  An operation of unknown outcome is used only when something is forced, and never without effect. To overwrite
//       is an effect: a blind write that leaves the state as it is has one if an open write was waiting, which becomes
//       optional (R2) and need not come later.
//   R5  Where strings only grow, the state must be a prefix of what the next unfinished read saw, unless an
//       overwrite that the read's value can start from is still to come.
//   R6  A blind write that is not itself forced is taken only if somebody makes use of its value at once: an
//       observer that was waiting for it, or an open operation that is neither blind nor an observer.
//       Otherwise the next blind write would have made it optional, which is better. One that leaves the state as it
//       is is taken only if that makes another optional, too.
//   R7  On the way to a forced operation only operations of its cell are taken: those of other cells commute
//       with it and can wait for a return of their own.
// Why R1, R2, R4 and R6 together lose nothing. Say a configuration can go on to explain the history, and `forced` must
// take effect next. Of all continuations take one with the fewest choices up to `forced`; let w be its first choice.
//   w is `forced`, an observer, or a change that is not blind: next_choice() offers it and take() lets it be (an
//     observer was taken before, R1). If it were of unknown outcome and changed nothing, to leave it out would be
//     shorter: nothing but blind writes makes others optional.
//   w is another blind write, and the next choice x of its cell is blind: x makes everything optional that w did, and
//     w itself if its outcome is known; to leave w out is shorter. A contradiction.
//   x is not blind: it makes use of w's value, so R6 lets w be, unless w neither changes the state nor makes anything
//     optional. Then to leave it out is shorter: if its outcome is known it is optional already, for a waiting blind
//     write that would change nothing always is (R2).
// So a shortest continuation begins with a choice that is offered, and by induction all of it is.
// One Window belongs to one search; it moves forwards and, for backtracking, backwards.

#include <vector>

#include "model/configurations.h"

namespace touchstone::model {

/// What may take effect next: an open operation with a known outcome, or one of an unknown class.
struct Choice {
  std::uint32_t cursor = 0;  ///< where to go on looking
  std::uint32_t operation = kNoIndex;
  std::uint32_t unknown = kNoIndex;
};

/// An operation that took effect; with kMadeOptional: that became optional without another's taking effect.
using Note = std::uint32_t;
inline constexpr Note kMadeOptional = Note{1} << 31U;

class Window {
 public:
  Window(const Problem& problem, Automaton& automaton, const Reductions& reductions);

  const Layout& layout() const { return layout_; }
  std::uint32_t position() const { return position_; }
  bool at_end() const { return position_ == problem_.stop; }
  std::uint32_t next_event() const { return problem_.events[position_]; }

  void forward();
  void backward();
  void move_to(std::uint32_t position);

  /// True if the invocation just passed can change configurations, which then need admit().
  bool admits(std::uint32_t operation) const;
  void admit(Word* configuration, std::uint32_t operation);

  bool next_choice(const Word* configuration, Choice& choice, std::uint32_t forced) const;

  /// The cell that the operation is of; 0 where there are no cells.
  /// All operations are about the same cell.
  bool one_cell() const { return one_cell_; }
  KeyId cell_of(std::uint32_t operation) const { return cells_[problem_.operations[operation].class_id]; }

  /// Lets the choice take effect, and what R1 and R2 bring with it, on the way to having `forced` take effect.
  /// False: it cannot, or leads nowhere, and the configuration is spoilt.
  bool take(Word* configuration, const Choice& choice, std::uint32_t forced);

  /// True if whatever can follow `worse` can follow `better`, both at this position (R1, R2, R4).
  bool dominates(const Word* better, const Word* worse) const {
    return layout_.dominates(better, worse, observers_.data());
  }

  /// What the last admit() or take() did, in order.
  const std::vector<Note>& notes() const { return notes_; }

  /// How many steps of the automaton were tried.
  std::uint64_t steps() const { return steps_; }

  /// The configuration in words, and why the operation does not fit it.
  World describe(const Word* configuration, std::uint32_t failing) const;

 private:
  ClassTraits traits_of(std::uint32_t operation) const {
    return traits_[problem_.operations[operation].class_id];
  }
  bool settle_one(Word* configuration, std::uint32_t operation);
  bool settle(Word* configuration, KeyId cell);
  void toggle_observer(const SearchOperation& operation);
  bool bury(Word* configuration, std::uint32_t group);
  bool has_earlier_twin(const Word* configuration, std::size_t place) const;
  bool somebody_uses(const Word* configuration, KeyId cell);
  bool leads_on(const Word* configuration, KeyId cell) const;
  bool may_start_from(const Word* configuration, const Goal& goal) const;

  const Problem& problem_;
  Automaton& automaton_;
  Reductions reductions_;
  Layout layout_;
  std::vector<ClassTraits> traits_;
  std::vector<KeyId> cells_;  ///< by class
  bool one_cell_ = true;
  std::vector<bool> has_twins_;         ///< by class: more than one operation
  std::vector<std::uint32_t> open_;     ///< with known outcome, by return
  std::vector<std::uint32_t> invoked_;  ///< by unknown class: how many are open
  std::vector<Word> observers_;         ///< the slots of open observers
  std::uint32_t position_ = 0;
  std::uint32_t called_ = 0;      ///< the first so many operations have been invoked
  std::uint32_t first_goal_ = 0;  ///< the first goal whose return is not before position_
  std::vector<Note> notes_;
  std::uint64_t steps_ = 0;
};

/// What took effect while the event at `event` was dealt with.
struct Effect {
  Note note = 0;
  std::uint32_t event = 0;
};

/// The witness that the effects of a successful search spell out: optional operations that never were taken
/// go right before the write that buried them.
std::vector<OperationNumber> spell_out(const Problem& problem, const Automaton& automaton,
                                       const std::vector<Effect>& effects);

}  // namespace touchstone::model
