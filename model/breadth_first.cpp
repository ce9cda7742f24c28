#include <algorithm>
#include <numeric>

#include "model/general_search.h"

namespace touchstone::model {
namespace {

constexpr std::uint32_t kRoot = ~std::uint32_t{0};
constexpr std::size_t kWorldsKept = 64;
/// Dominance compares a configuration with so many of its state at most.
constexpr std::size_t kCompared = 48;
/// What one used operation of unknown outcome costs, in optional operations.
constexpr std::int64_t kWorthOfUnknown = 4;
/// A search with a width stops expanding when there are so many times its width, and something has passed.
constexpr std::size_t kWaitingPerWidth = 16;

}  // namespace

BreadthFirst::BreadthFirst(const Problem& problem, Automaton& automaton, const SearchOptions& options)
    : problem_(problem),
      automaton_(automaton),
      options_(options),
      window_(problem, automaton, options.reductions),
      frontier_(window_.layout().words()),
      frontier_links_{kRoot},
      waiting_(window_.layout().words()),
      passed_(window_.layout().words()),
      scratch_(window_.layout().words()) {
  Layout::set_state(frontier_.data(), automaton.initial());
}

void BreadthFirst::begin_at(std::uint32_t position, std::vector<Word> configurations) {
  window_.move_to(position);
  frontier_links_.assign(configurations.size() / scratch_.size(), kRoot);
  frontier_ = std::move(configurations);
}

Progress BreadthFirst::run(std::uint64_t steps) {
  const std::uint64_t limit = window_.steps() + steps;
  while (progress_ == Progress::kRunning && window_.steps() < limit) {
    if (in_return_) {
      if (expand_one()) continue;
      end_return();
    } else if (window_.at_end()) {
      progress_ = Progress::kExplained;
    } else if (Problem::is_return(window_.next_event())) {
      begin_return();
    } else {
      pass_invocation();
    }
  }
  return progress_;
}

void BreadthFirst::pass_invocation() {
  const std::uint32_t operation = Problem::operation_of(window_.next_event());
  window_.forward();
  if (!window_.admits(operation)) return;
  const std::size_t words = scratch_.size();
  for (std::size_t i = 0; i < frontier_links_.size(); ++i) {
    window_.admit(frontier_.data() + i * words, operation);
    frontier_links_[i] = link(frontier_links_[i]);
  }
}

void BreadthFirst::begin_return() {
  in_return_ = true;
  expanding_ = 0;
  waiting_.clear();
  waiting_links_.clear();
  passed_.clear();
  passed_links_.clear();
  const Layout& layout = window_.layout();
  const std::uint32_t slot = problem_.operations[Problem::operation_of(window_.next_event())].slot;
  for (std::size_t i = 0; i < frontier_links_.size(); ++i) {
    Word* configuration = frontier_.data() + i * scratch_.size();
    const bool taken = Layout::taken(configuration, slot);
    const bool optional = layout.optional(configuration, slot);
    layout.clear(configuration, slot);
    if (taken || optional) arrive(configuration, frontier_links_[i]);
    if (!taken) wait(configuration, frontier_links_[i]);
  }
}

/// False if none is left to expand.
bool BreadthFirst::expand_one() {
  if (expanding_ == waiting_.size()) return false;
  if (waiting_.size() / kWaitingPerWidth > options_.width && passed_.size() > options_.width) {
    narrowed_ = true;
    return false;
  }
  const std::size_t number = expanding_++;
  const std::uint32_t operation = Problem::operation_of(window_.next_event());
  const SearchOperation& forced = problem_.operations[operation];
  for (Choice choice; window_.next_choice(waiting_.at(number), choice, operation);) {
    std::copy_n(waiting_.at(number), scratch_.size(), scratch_.begin());
    if (!window_.take(scratch_.data(), choice, operation)) continue;
    const std::uint32_t linked = link(waiting_links_[number]);
    if (Layout::taken(scratch_.data(), forced.slot)) {
      window_.layout().clear(scratch_.data(), forced.slot);
      arrive(scratch_.data(), linked);
    } else {
      wait(scratch_.data(), linked);
    }
  }
  if (bytes() > options_.max_memory) progress_ = Progress::kOutOfMemory;
  return true;
}

void BreadthFirst::arrive(const Word* configuration, std::uint32_t linked) {
  if (passed_.insert(configuration)) passed_links_.push_back(linked);
}

void BreadthFirst::wait(const Word* configuration, std::uint32_t linked) {
  if (options_.reductions.dominance) {
    const std::size_t last = waiting_.size();
    for (std::size_t i = last > kCompared ? last - kCompared : 0; i < last; ++i) {
      if (window_.dominates(waiting_.at(i), configuration)) return;
    }
  }
  if (waiting_.insert(configuration)) waiting_links_.push_back(linked);
}

void BreadthFirst::end_return() {
  most_ = std::max(most_, waiting_.size() + passed_.size());
  if (passed_.size() == 0) {
    progress_ = narrowed_ ? Progress::kTooNarrow : Progress::kRefuted;
    return;
  }
  in_return_ = false;
  prune();
  narrow();
  window_.forward();
  if (links_.size() > links_limit_) forget_dead_links();
}

/// The configurations that passed, by state, and of one state those first that used up the least.
std::vector<std::uint32_t> BreadthFirst::by_worth() const {
  const Layout& layout = window_.layout();
  std::vector<std::uint32_t> order(passed_.size());
  std::iota(order.begin(), order.end(), 0U);
  if (!options_.reductions.dominance || order.size() == 1) return order;
  std::vector<std::int64_t> worth(order.size());
  for (std::uint32_t i = 0; i < order.size(); ++i) {
    const Word* it = passed_.at(i);
    worth[i] = layout.optionals(it);
    for (std::size_t u = 0; u < problem_.unknown.size(); ++u)
      worth[i] -= kWorthOfUnknown * layout.used(it, u);
  }
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    const StateId state_a = Layout::state(passed_.at(a));
    const StateId state_b = Layout::state(passed_.at(b));
    return state_a != state_b ? state_a < state_b : worth[a] > worth[b];
  });
  return order;
}

/// Fills the frontier with the configurations that no other dominates.
void BreadthFirst::prune() {
  const std::size_t words = scratch_.size();
  const std::vector<std::uint32_t> order = by_worth();
  frontier_.clear();
  frontier_links_.clear();
  std::size_t first_of_state = 0;
  for (const std::uint32_t number : order) {
    const Word* it = passed_.at(number);
    const std::size_t kept = frontier_links_.size();
    if (kept == 0 || Layout::state(frontier_.data() + (kept - 1) * words) != Layout::state(it))
      first_of_state = kept;
    bool dominated = false;
    const std::size_t last = options_.reductions.dominance ? std::min(kept, first_of_state + kCompared) : 0;
    for (std::size_t i = first_of_state; i < last && !dominated; ++i) {
      dominated = window_.dominates(frontier_.data() + i * words, it);
    }
    if (dominated) continue;
    frontier_.insert(frontier_.end(), it, it + words);
    frontier_links_.push_back(passed_links_[number]);
  }
}

/// W4: of every state the same share.
void BreadthFirst::narrow() {
  const std::size_t all = frontier_links_.size();
  if (all <= options_.width) return;
  narrowed_ = true;
  const std::size_t words = scratch_.size();
  const auto state_at = [&](std::size_t i) { return Layout::state(frontier_.data() + i * words); };
  std::size_t states = 1;
  for (std::size_t i = 1; i < all; ++i) states += state_at(i) != state_at(i - 1) ? 1 : 0;
  const std::size_t share = std::max<std::size_t>(1, options_.width / states);
  std::size_t kept = 0;
  std::size_t of_state = 0;
  StateId last = kIllegalState;
  for (std::size_t i = 0; i < all; ++i) {
    const StateId state = state_at(i);
    of_state = i > 0 && state == last ? of_state + 1 : 0;
    last = state;
    if (of_state >= share) continue;
    std::copy_n(frontier_.data() + i * words, words, frontier_.data() + kept * words);
    frontier_links_[kept++] = frontier_links_[i];
  }
  frontier_.resize(kept * words);
  frontier_links_.resize(kept);
}

std::uint32_t BreadthFirst::link(std::uint32_t parent) {
  if (!options_.witness) return kRoot;
  for (const Note note : window_.notes()) {
    links_.push_back({parent, {note, window_.position()}});
    parent = static_cast<std::uint32_t>(links_.size() - 1);
  }
  return parent;
}

/// Keeps the links that the frontier still needs, and moves what all of it has in common out of the way (W1).
void BreadthFirst::forget_dead_links() {
  std::vector<std::uint32_t> moved(links_.size(), 0);
  for (std::uint32_t head : frontier_links_) {
    for (; head != kRoot && moved[head] == 0; head = links_[head].parent) moved[head] = 1;
  }
  std::vector<std::uint32_t> children(links_.size() + 1, 0);
  const auto children_of = [&](std::uint32_t it) -> std::uint32_t& {
    return children[it == kRoot ? links_.size() : it];
  };
  for (std::uint32_t i = 0; i < links_.size(); ++i) {
    if (moved[i] != 0) ++children_of(links_[i].parent);
  }
  for (const std::uint32_t head : frontier_links_) ++children_of(head);  // an end counts as a child
  std::uint32_t common = kRoot;
  std::vector<Link> kept;
  for (std::uint32_t i = 0; i < links_.size(); ++i) {
    if (moved[i] == 0) continue;
    if (links_[i].parent == common && children_of(common) == 1) {
      settled_.push_back(links_[i].effect);
      common = i;
      moved[i] = kRoot;
      continue;
    }
    const std::uint32_t parent = links_[i].parent == kRoot ? kRoot : moved[links_[i].parent];
    kept.push_back({parent, links_[i].effect});
    moved[i] = static_cast<std::uint32_t>(kept.size() - 1);
  }
  for (std::uint32_t& head : frontier_links_) head = head == kRoot ? kRoot : moved[head];
  links_ = std::move(kept);
  links_limit_ = std::max<std::size_t>(4096, links_.size() * 2);
}

std::vector<Effect> BreadthFirst::effects() const {
  std::vector<Effect> tail;
  for (std::uint32_t head = frontier_links_.front(); head != kRoot; head = links_[head].parent) {
    tail.push_back(links_[head].effect);
  }
  std::vector<Effect> all = settled_;
  all.insert(all.end(), tail.rbegin(), tail.rend());
  return all;
}

std::size_t BreadthFirst::bytes() const {
  return waiting_.bytes() + passed_.bytes() + frontier_.capacity() * sizeof(Word) +
         (links_.capacity() * sizeof(Link)) + settled_.capacity() * sizeof(Effect) + automaton_.bytes();
}

Dead BreadthFirst::dead() {
  Dead dead{window_.position(), {}};
  const std::uint32_t failing = Problem::operation_of(window_.next_event());
  for (std::size_t i = 0; i < std::min(waiting_.size(), kWorldsKept); ++i) {
    dead.worlds.push_back(window_.describe(waiting_.at(i), failing));
  }
  return dead;
}

}  // namespace touchstone::model
