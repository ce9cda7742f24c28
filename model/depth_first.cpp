#include <algorithm>

#include "model/general_search.h"

namespace touchstone::model {
namespace {

constexpr std::size_t kWorldsKept = 16;

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
    if (failed_.bytes() > options_.max_memory) failed_ = ConfigurationTable(window_.layout().words());  // W2
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
  if (!layout.optional(current_.data(), slot)) {
    push_frame();
    return false;
  }
  layout.clear(current_.data(), slot);  // it was overwritten; on the way back, that it is the last write
  push_frame();
  return true;
}

bool DepthFirst::push_frame() {
  Layout::set_event(current_.data(), window_.position());
  const bool fresh = !failed_.contains(current_.data());
  if (fresh) {
    frames_.push_back({window_.position(), 0, static_cast<std::uint32_t>(effects_.size())});
    saved_.insert(saved_.end(), current_.begin(), current_.end());
  }
  Layout::set_event(current_.data(), 0);
  return fresh;
}

bool DepthFirst::try_next_choice() {
  Frame& frame = frames_.back();
  window_.move_to(frame.event);
  const Word* saved = saved_.data() + saved_.size() - current_.size();
  Choice choice{.cursor = frame.cursor, .operation = kNoIndex, .unknown = kNoIndex};
  while (window_.next_choice(saved, choice)) {
    frame.cursor = choice.cursor;
    std::copy(saved, saved + current_.size(), current_.begin());
    if (!window_.take(current_.data(), choice)) continue;
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
  failed_.insert(saved);
  frames_.pop_back();
  saved_.resize(saved_.size() - current_.size());
}

void DepthFirst::note(std::uint32_t event) {
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
