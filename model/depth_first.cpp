#include <algorithm>

#include "model/general_search.h"

namespace touchstone::model {
namespace {

constexpr std::size_t kWorldsKept = 16;
/// Dominance looks at so many failures of the same state and event, the latest first.
constexpr int kCompared = 24;
constexpr std::uint32_t kNone = ~std::uint32_t{0};
constexpr std::uint32_t kExhausted = ~std::uint32_t{0};

}  // namespace

DepthFirst::DepthFirst(const Problem& problem, Automaton& automaton, const SearchOptions& options)
    : problem_(problem),
      options_(options),
      window_(problem, automaton, options.reductions),
      current_(window_.layout().words()),
      failed_(window_.layout().words()) {
  Layout::set_state(current_.data(), automaton.initial());
}

Progress DepthFirst::run(std::uint64_t steps) {
  const std::uint64_t limit = window_.steps() + steps;
  while (progress_ == Progress::kRunning && window_.steps() < limit) {
    if (walk()) {
      progress_ = Progress::kExplained;
      break;
    }
    while (!frames_.empty() && !try_next_choice()) fail_top();
    if (frames_.empty()) progress_ = Progress::kRefuted;
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
    push_frame(0, 0);
  } else if (optional) {
    push_frame(kExhausted, *known);
  }
  Layout::set_event(current_.data(), 0);
  if (known && !optional) jump_back(*known);
  return optional;
}

/// The current configuration becomes a place to come back to.
void DepthFirst::push_frame(std::uint32_t cursor, Word cells) {
  frames_.push_back({window_.position(), cursor, static_cast<std::uint32_t>(effects_.size()), cells});
  saved_.insert(saved_.end(), current_.begin(), current_.end());
}

/// If it failed before, or one failed that could have done all that it can: the cells that was due to.
std::optional<Word> DepthFirst::known_failure() const {
  const auto last = last_failed_.find(current_.front());
  if (last == last_failed_.end()) return std::nullopt;
  const bool dominance = options_.reductions.dominance;
  std::uint32_t number = last->second;
  for (int i = 0; (i < kCompared || !dominance) && number != kNone; ++i, number = failed_before_[number]) {
    const Word* failed = failed_.at(number);
    if (dominance ? window_.dominates(failed, current_.data())
                  : std::equal(current_.begin(), current_.end(), failed)) {
      return failed_cells_[number];
    }
  }
  return std::nullopt;
}

void DepthFirst::remember_failure(const Word* configuration, Word cells) {
  if (failed_.bytes() > options_.max_memory) {  // W2
    failed_ = ConfigurationTable(current_.size());
    last_failed_.clear();
    failed_before_.clear();
    failed_cells_.clear();
  }
  if (!failed_.insert(configuration)) return;
  const auto number = static_cast<std::uint32_t>(failed_.size() - 1);
  const auto [last, fresh] = last_failed_.try_emplace(configuration[0], number);
  failed_before_.push_back(fresh ? kNone : last->second);
  failed_cells_.push_back(cells);
  last->second = number;
}

Word DepthFirst::cell_of(const Frame& frame) const {
  return Word{1} << (window_.cell_of(Problem::operation_of(problem_.events[frame.event])) % 64);
}

/// W3.
void DepthFirst::jump_back(Word cells) {
  while (!frames_.empty() && (cells & cell_of(frames_.back())) == 0) {
    frames_.pop_back();
    saved_.resize(saved_.size() - current_.size());
  }
  if (!frames_.empty()) frames_.back().cells |= cells;
}

bool DepthFirst::try_next_choice() {
  Frame& frame = frames_.back();
  window_.move_to(frame.event);
  const Word* saved = saved_.data() + saved_.size() - current_.size();
  const std::uint32_t forced = Problem::operation_of(problem_.events[frame.event]);
  Choice choice{.cursor = frame.cursor, .operation = kNoIndex, .unknown = kNoIndex};
  while (window_.next_choice(saved, choice, forced)) {
    frame.cursor = choice.cursor;
    std::copy(saved, saved + current_.size(), current_.begin());
    if (!window_.take(current_.data(), choice, forced)) continue;
    Layout::set_event(current_.data(), 0);
    effects_.resize(frame.effects);
    note(frame.event);
    return true;
  }
  return false;
}

void DepthFirst::fail_top() {
  const Word* saved = saved_.data() + saved_.size() - current_.size();
  const std::uint32_t event = frames_.back().event;
  if (event > deepest_) {
    deepest_ = event;
    deepest_configurations_.clear();
  }
  if (event == deepest_ && deepest_configurations_.size() < kWorldsKept * current_.size()) {
    deepest_configurations_.insert(deepest_configurations_.end(), saved, saved + current_.size());
  }
  const Word cells = frames_.back().cells | cell_of(frames_.back());
  remember_failure(saved, cells);
  frames_.pop_back();
  saved_.resize(saved_.size() - current_.size());
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
