#include <algorithm>

#include "model/general_search.h"

namespace touchstone::model {
namespace {

constexpr std::size_t kWorldsKept = 16;
constexpr std::uint32_t kExhausted = ~std::uint32_t{0};
/// The memory is measured after so many choices.
constexpr std::uint32_t kMeasured = 256;

}  // namespace

DepthFirst::DepthFirst(const Problem& problem, Automaton& automaton, const SearchOptions& options)
    : problem_(problem),
      automaton_(automaton),
      options_(options),
      window_(problem, automaton, options.reductions),
      current_(window_.layout().words()),
      choices_(window_.layout().words(), window_.one_cell()),
      failures_(window_.layout().words(), window_.one_cell()) {
  Layout::set_state(current_.data(), automaton.initial());
}

Progress DepthFirst::run(std::uint64_t steps) {
  const std::uint64_t limit = window_.steps() + steps;
  while (progress_ == Progress::kRunning && window_.steps() < limit) {
    if (walk()) {
      progress_ = Progress::kExplained;
      break;
    }
    while (!choices_.empty() && !try_next_choice()) fail_top();
    if (choices_.empty()) {
      progress_ = Progress::kRefuted;
    } else if (until_measured_-- == 0) {
      until_measured_ = kMeasured;
      if (!fits_in_memory()) progress_ = Progress::kOutOfMemory;
    }
  }
  return progress_;
}

/// Goes forward as long as nothing has to be chosen. True at the end of the history.
bool DepthFirst::walk() {
  while (!window_.at_end()) {
    const std::uint32_t event = window_.next_event();
    const std::uint32_t operation = Problem::operation_of(event);
    if (Problem::is_return(event)) {
      if (!meet_return(operation)) return false;
      window_.layout().clear(current_.data(), problem_.operations[operation].slot);
      window_.forward();
      continue;
    }
    const std::uint32_t position = window_.position();
    window_.forward();
    if (!window_.admits(operation)) continue;
    window_.admit(current_.data(), operation);
    note(position);
  }
  return true;
}

/// False if the operation is waiting, so that something has to be chosen.
bool DepthFirst::meet_return(std::uint32_t operation) {
  const Layout& layout = window_.layout();
  const std::uint32_t slot = problem_.operations[operation].slot;
  if (Layout::taken(current_.data(), slot)) return true;
  const bool optional = layout.optional(current_.data(), slot);
  layout.clear(current_.data(), slot);  // if it was overwritten: on the way back, that it is the last write
  Layout::set_event(current_.data(), window_.position());
  const std::optional<Word> known = known_failure();
  if (!known) {
    push_choice(0, 0);
  } else if (optional) {
    push_choice(kExhausted, *known);
  }
  Layout::set_event(current_.data(), 0);
  if (known && !optional) jump_back(*known);
  return optional;
}

/// The current configuration becomes a place to come back to.
void DepthFirst::push_choice(std::uint32_t cursor, Word cells) {
  choices_.push(current_.data(), {cursor, static_cast<std::uint32_t>(effects_.size()), cells});
}

/// If it failed before, or one failed that could have done all that it can: the cells that was due to.
std::optional<Word> DepthFirst::known_failure() const {
  return failures_.find(current_.data(), !options_.reductions.dominance,
                        [&](const Word* failed) { return window_.dominates(failed, current_.data()); });
}

/// W2.
bool DepthFirst::fits_in_memory() {
  const std::size_t needed = choices_.bytes() + effects_.capacity() * sizeof(Effect) + automaton_.bytes();
  if (needed > options_.max_memory) return false;
  failures_.limit(options_.max_memory - needed);
  return true;
}

Word DepthFirst::cell_of_top() const {
  const std::uint32_t event = problem_.events[Layout::event(choices_.configuration())];
  return window_.one_cell() ? 1 : Word{1} << (window_.cell_of(Problem::operation_of(event)) % 64);
}

/// W3.
void DepthFirst::jump_back(Word cells) {
  while (!choices_.empty() && (cells & cell_of_top()) == 0) choices_.pop();
  if (!choices_.empty()) choices_.add_cells(cells);
}

bool DepthFirst::try_next_choice() {
  const Word* saved = choices_.configuration();
  const std::uint32_t event = Layout::event(saved);
  window_.move_to(event);
  const std::uint32_t forced = Problem::operation_of(problem_.events[event]);
  Choice choice{.cursor = choices_.cursor(), .operation = kNoIndex, .unknown = kNoIndex};
  while (window_.next_choice(saved, choice, forced)) {
    choices_.set_cursor(choice.cursor);
    std::copy(saved, saved + current_.size(), current_.begin());
    if (!window_.take(current_.data(), choice, forced)) continue;
    Layout::set_event(current_.data(), 0);
    effects_.resize(choices_.effects());
    note(event);
    return true;
  }
  return false;
}

void DepthFirst::fail_top() {
  const Word* saved = choices_.configuration();
  const std::uint32_t event = Layout::event(saved);
  if (event > deepest_) {
    deepest_ = event;
    deepest_configurations_.clear();
  }
  if (event == deepest_ && deepest_configurations_.size() < kWorldsKept * current_.size()) {
    deepest_configurations_.insert(deepest_configurations_.end(), saved, saved + current_.size());
  }
  const Word cells = choices_.cells() | cell_of_top();
  failures_.insert(saved, cells);
  choices_.pop();
  jump_back(cells);
}

void DepthFirst::note(std::uint32_t event) {
  if (!options_.witness) return;
  for (const Note one : window_.notes()) effects_.push_back({one, event});
}

Dead DepthFirst::dead() {
  Dead dead{deepest_, {}};
  window_.move_to(deepest_);
  const std::uint32_t failing = Problem::operation_of(problem_.events[deepest_]);
  for (std::size_t i = 0; i < deepest_configurations_.size(); i += current_.size()) {
    dead.worlds.push_back(window_.describe(deepest_configurations_.data() + i, failing));
  }
  return dead;
}

}  // namespace touchstone::model
