#include "model/window.h"

#include <algorithm>

namespace touchstone::model {
namespace {

/// How many unfinished reads R5 looks ahead to.
constexpr std::size_t kGoalsAhead = 3;
constexpr std::size_t kGoalsScanned = 100;

}  // namespace

Window::Window(const Problem& problem, Automaton& automaton, const Reductions& reductions)
    : problem_(problem), automaton_(automaton), reductions_(reductions), layout_(problem) {
  const std::size_t classes = problem.representatives.size();
  traits_.reserve(classes);
  for (ClassId id = 0; id < classes; ++id) {
    traits_.push_back(automaton.traits(id));
    const Operation& representative = problem.representatives[id];
    cells_.push_back(representative.function == Function::kCall ? 0 : representative.key);
    if (!reductions_.lazy_burial) traits_.back().group = kNotBlind;
    one_cell_ = one_cell_ && cells_.back() == cells_.front();
  }
  std::vector<bool> seen(classes);
  has_twins_.resize(classes);
  for (const SearchOperation& operation : problem.operations) {
    if (seen[operation.class_id]) has_twins_[operation.class_id] = true;
    seen[operation.class_id] = true;
  }
  invoked_.resize(problem.unknown.size());
  observers_.resize(layout_.mask_words());
}

void Window::toggle_observer(const SearchOperation& operation) {
  if (traits_[operation.class_id].observer && reductions_.eager_observers) {
    observers_[operation.slot / 64] ^= Word{1} << (operation.slot % 64);
  }
}

void Window::forward() {
  const std::uint32_t event = problem_.events[position_++];
  const std::uint32_t number = Problem::operation_of(event);
  const SearchOperation& operation = problem_.operations[number];
  if (Problem::is_return(event)) {
    open_.erase(open_.begin());  // the earliest return of all is the first
    toggle_observer(operation);
    while (first_goal_ < problem_.goals.size() &&
           problem_.operations[problem_.goals[first_goal_].operation].return_event < position_) {
      ++first_goal_;
    }
    return;
  }
  ++called_;
  if (operation.mandatory()) {
    const auto later = [&](std::uint32_t other) {
      return problem_.operations[other].return_event > operation.return_event;
    };
    open_.insert(std::find_if(open_.begin(), open_.end(), later), number);
    toggle_observer(operation);
  } else {
    ++invoked_[problem_.unknown_of_class[operation.class_id]];
  }
}

void Window::backward() {
  const std::uint32_t event = problem_.events[--position_];
  const std::uint32_t number = Problem::operation_of(event);
  const SearchOperation& operation = problem_.operations[number];
  if (Problem::is_return(event)) {
    open_.insert(open_.begin(), number);
    toggle_observer(operation);
    while (first_goal_ > 0 &&
           problem_.operations[problem_.goals[first_goal_ - 1].operation].return_event >= position_) {
      --first_goal_;
    }
    return;
  }
  --called_;
  if (operation.mandatory()) {
    open_.erase(std::find(open_.begin(), open_.end(), number));
    toggle_observer(operation);
  } else {
    --invoked_[problem_.unknown_of_class[operation.class_id]];
  }
}

void Window::move_to(std::uint32_t position) {
  while (position_ > position) backward();
  while (position_ < position) forward();
}

bool Window::admits(std::uint32_t operation) const {
  if (!problem_.operations[operation].mandatory()) return false;
  const ClassTraits traits = traits_of(operation);
  return traits.group != kNotBlind || (traits.observer && reductions_.eager_observers);
}

/// R1 and the second half of R2 for one open operation.
bool Window::settle_one(Word* configuration, std::uint32_t operation) {
  const SearchOperation& it = problem_.operations[operation];
  const ClassTraits traits = traits_[it.class_id];
  const bool observer = traits.observer && reductions_.eager_observers;
  if ((!observer && traits.group == kNotBlind) || !layout_.waiting(configuration, it.slot)) return false;
  ++steps_;
  const StateId state = Layout::state(configuration);
  if (automaton_.step(state, it.class_id) != state) return false;
  if (observer) {
    layout_.set_taken(configuration, it.slot);
    notes_.push_back(operation);
  } else {
    layout_.set_optional(configuration, it.slot);
    notes_.push_back(operation | kMadeOptional);
  }
  return true;
}

bool Window::settle(Word* configuration, KeyId cell) {
  bool observed = false;
  for (const std::uint32_t operation : open_) {
    if (cell_of(operation) != cell) continue;
    if (settle_one(configuration, operation) && traits_of(operation).observer) observed = true;
  }
  return observed;
}

/// R6: some open operation that is neither blind nor an observer is legal now.
bool Window::somebody_uses(const Word* configuration, KeyId cell) {
  const StateId state = Layout::state(configuration);
  const auto legal = [&](ClassId id) {
    if (cells_[id] != cell || traits_[id].group != kNotBlind ||
        (traits_[id].observer && reductions_.eager_observers))
      return false;
    ++steps_;
    return automaton_.step(state, id) != kIllegalState;
  };
  for (const std::uint32_t operation : open_) {
    const SearchOperation& it = problem_.operations[operation];
    if (!Layout::taken(configuration, it.slot) && legal(it.class_id)) return true;
  }
  for (std::uint32_t unknown = 0; unknown < invoked_.size(); ++unknown) {
    if (layout_.used(configuration, unknown) < invoked_[unknown] &&
        legal(problem_.unknown[unknown].class_id)) {
      return true;
    }
  }
  return false;
}

bool Window::bury(Word* configuration, std::uint32_t group) {
  bool buried = false;
  for (const std::uint32_t operation : open_) {
    const SearchOperation& it = problem_.operations[operation];
    if (traits_[it.class_id].group == group && layout_.waiting(configuration, it.slot)) {
      layout_.set_optional(configuration, it.slot);
      buried = true;
    }
  }
  return buried;
}

void Window::admit(Word* configuration, std::uint32_t operation) {
  notes_.clear();
  settle_one(configuration, operation);
}

bool Window::has_earlier_twin(const Word* configuration, std::size_t place) const {
  const ClassId id = problem_.operations[open_[place]].class_id;
  if (!has_twins_[id]) return false;
  for (std::size_t i = 0; i < place; ++i) {
    const SearchOperation& other = problem_.operations[open_[i]];
    if (other.class_id == id && !Layout::taken(configuration, other.slot)) return true;
  }
  return false;
}

bool Window::next_choice(const Word* configuration, Choice& choice, std::uint32_t forced) const {
  const KeyId cell = cell_of(forced);
  for (; choice.cursor < open_.size(); ++choice.cursor) {
    const std::uint32_t operation = open_[choice.cursor];
    const SearchOperation& it = problem_.operations[operation];
    if (cells_[it.class_id] != cell || Layout::taken(configuration, it.slot)) continue;
    if (traits_[it.class_id].observer && reductions_.eager_observers) continue;  // R1: if legal, it was taken
    if (reductions_.symmetry && has_earlier_twin(configuration, choice.cursor)) continue;
    ++choice.cursor;
    choice.operation = operation;
    choice.unknown = kNoIndex;
    return true;
  }
  for (; choice.cursor < open_.size() + invoked_.size(); ++choice.cursor) {
    const auto unknown = static_cast<std::uint32_t>(choice.cursor - open_.size());
    const std::uint32_t used = layout_.used(configuration, unknown);
    if (used == invoked_[unknown] || cells_[problem_.unknown[unknown].class_id] != cell) continue;
    ++choice.cursor;
    choice.operation = problem_.unknown[unknown].operations[used];
    choice.unknown = unknown;
    return true;
  }
  return false;
}

bool Window::take(Word* configuration, const Choice& choice, std::uint32_t forced) {
  notes_.clear();
  ++steps_;
  const SearchOperation& it = problem_.operations[choice.operation];
  const StateId state = Layout::state(configuration);
  const StateId next = automaton_.step(state, it.class_id);
  if (next == kIllegalState) return false;
  if (choice.unknown != kNoIndex) {
    layout_.use(configuration, choice.unknown);
  } else {
    layout_.set_taken(configuration, it.slot);
  }
  notes_.push_back(choice.operation);
  Layout::set_state(configuration, next);
  const std::uint32_t group = traits_[it.class_id].group;
  const bool blind = group != kNotBlind;
  const bool buried = blind && bury(configuration, group);
  const KeyId cell = cells_[it.class_id];
  const bool unforced = blind && choice.operation != forced;  // R6 asks for a reason
  if (next == state) {
    if (unforced) return buried && somebody_uses(configuration, cell);
    return choice.unknown == kNoIndex;  // R4
  }
  const bool observed = settle(configuration, cell);
  if (unforced && !observed && !somebody_uses(configuration, cell)) return false;
  return !reductions_.look_ahead || leads_on(configuration, cell);
}

/// R5.
bool Window::leads_on(const Word* configuration, KeyId cell) const {
  std::size_t looked = 0;
  const std::size_t last = std::min(problem_.goals.size(), first_goal_ + kGoalsScanned);
  for (std::size_t i = first_goal_; i < last && looked < kGoalsAhead; ++i) {
    const Goal& goal = problem_.goals[i];
    const SearchOperation& read = problem_.operations[goal.operation];
    if (cells_[read.class_id] != cell) continue;
    if (goal.operation < called_ && Layout::taken(configuration, read.slot)) continue;
    ++looked;
    if (automaton_.may_extend_to(Layout::state(configuration), read.class_id)) continue;
    if (!may_start_from(configuration, goal)) return false;
  }
  return true;
}

bool Window::may_start_from(const Word* configuration, const Goal& goal) const {
  for (const std::uint32_t source : goal.sources) {
    const SearchOperation& it = problem_.operations[source];
    if (source >= goal.invoked) continue;
    if (source >= called_) return true;  // still to come
    if (!it.mandatory()) {
      const std::uint32_t unknown = problem_.unknown_of_class[it.class_id];
      if (layout_.used(configuration, unknown) <= it.slot) return true;
    } else if (it.return_event >= position_ && !Layout::taken(configuration, it.slot)) {
      return true;
    }
  }
  return false;
}

World Window::describe(const Word* configuration, std::uint32_t failing) const {
  World world;
  const StateId state = Layout::state(configuration);
  world.state = automaton_.describe(state);
  for (const std::uint32_t operation : open_) {
    const SearchOperation& it = problem_.operations[operation];
    auto& list = Layout::taken(configuration, it.slot) ? world.taken : world.waiting;
    if (operation != failing) list.push_back(it.number);
  }
  for (std::uint32_t unknown = 0; unknown < invoked_.size(); ++unknown) {
    for (std::uint32_t i = 0; i < invoked_[unknown]; ++i) {
      const bool used = i < layout_.used(configuration, unknown);
      auto& list = used ? world.taken : world.waiting;
      list.push_back(problem_.operations[problem_.unknown[unknown].operations[i]].number);
    }
  }
  world.reason = automaton_.reason(state, problem_.operations[failing].class_id);
  return world;
}

std::vector<OperationNumber> spell_out(const Problem& problem, const Automaton& automaton,
                                       const std::vector<Effect>& effects) {
  std::vector<bool> explicit_effect(problem.operations.size());
  for (const Effect& effect : effects) {
    if ((effect.note & kMadeOptional) == 0) explicit_effect[effect.note] = true;
  }
  std::vector<std::uint32_t> buried;  // by invocation; those not yet placed
  for (std::uint32_t i = 0; i < problem.operations.size(); ++i) {
    if (problem.operations[i].mandatory() && !explicit_effect[i]) buried.push_back(i);
  }
  std::vector<OperationNumber> witness;
  witness.reserve(problem.operations.size());
  std::vector<bool> placed(problem.operations.size());
  const auto place = [&](std::uint32_t operation) {
    placed[operation] = true;
    witness.push_back(problem.operations[operation].number);
  };
  std::size_t first = 0;
  std::uint32_t event = 0;
  std::uint32_t invoked = 0;  // before the effect
  for (const Effect& effect : effects) {
    for (; event < effect.event; ++event) invoked += Problem::is_return(problem.events[event]) ? 0 : 1;
    const std::uint32_t operation = effect.note & ~kMadeOptional;
    if ((effect.note & kMadeOptional) != 0) {
      if (!explicit_effect[operation] && !placed[operation]) place(operation);
      continue;
    }
    const std::uint32_t group = automaton.traits(problem.operations[operation].class_id).group;
    while (first < buried.size() && placed[buried[first]]) ++first;
    for (std::size_t i = first; group != kNotBlind && i < buried.size(); ++i) {
      if (buried[i] >= invoked) break;
      const ClassId id = problem.operations[buried[i]].class_id;
      if (!placed[buried[i]] && automaton.traits(id).group == group) place(buried[i]);
    }
    place(operation);
  }
  return witness;
}

}  // namespace touchstone::model
