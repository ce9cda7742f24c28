#include "model/shortest_cycle.h"

#include <algorithm>
#include <deque>

namespace touchstone::model {
namespace {

constexpr std::uint32_t kNobody = ~std::uint32_t{0};
constexpr std::uint32_t kSeen = 12;  // values of what was seen on the way

bool transactions_differ(const std::vector<CycleEdge>& cycle) {
  std::vector<TransactionNumber> numbers;
  for (const CycleEdge& it : cycle) numbers.push_back(it.from);
  std::sort(numbers.begin(), numbers.end());
  return std::adjacent_find(numbers.begin(), numbers.end()) == numbers.end();
}

}  // namespace

std::optional<CycleSearch::Place> CycleSearch::follow(const CycleShape& shape, const Place& place,
                                                      const Edge& edge) const {
  if ((shape.allowed & bit(edge.kind)) == 0) return std::nullopt;
  Place next = place;
  next.node = edge.to;
  if (edge.kind == Dependency::kOn) return next;
  next.last = edge.kind == Dependency::kMisses;
  if (!next.last) return next;
  if (shape.misses == Misses::kNone || (shape.misses == Misses::kOne && place.misses != 0))
    return std::nullopt;
  if (shape.misses == Misses::kSpaced && place.last) return std::nullopt;
  next.adjacent = place.adjacent || place.last;
  next.misses = static_cast<std::uint8_t>(std::min(2, place.misses + 1));
  return next;
}

bool CycleSearch::accepts(const CycleShape& shape, const Place& place, bool began_with_miss) {
  const bool closes_adjacent = place.last && began_with_miss;
  switch (shape.misses) {
    case Misses::kNone:
      return true;
    case Misses::kOne:
      return place.misses == 1;
    case Misses::kSpaced:
      return place.misses == 2 && !closes_adjacent;
    case Misses::kAdjacent:
      return place.misses == 2 && (place.adjacent || closes_adjacent);
  }
  return false;
}

/// True the first time in a search. Places are met in the order of their distance, so the first way there is a shortest.
bool CycleSearch::settle(const Place& place) {
  const std::uint32_t seen = place.misses * 4U + (place.last ? 2U : 0U) + (place.adjacent ? 1U : 0U);
  std::uint32_t& mark = mark_[place.node * kSeen + seen];
  if (mark == search_) return false;
  mark = search_;
  return true;
}

/// Looks for a cycle through this edge that is shorter than the best one.
void CycleSearch::search_from(const CycleShape& shape, const Groups& groups, Node start,
                              std::uint32_t first) {
  const bool began_with_miss = graph_.edge(first).kind == Dependency::kMisses;
  const auto place = follow(shape, Place{start, 0, false, false}, graph_.edge(first));
  if (!place) return;
  ++search_;
  visited_.clear();
  std::deque<std::uint32_t> queue;
  visited_.push_back({*place, kNobody, first, 1});
  queue.push_back(0);
  while (!queue.empty() && left_ != 0) {
    const std::uint32_t number = queue.front();
    queue.pop_front();
    const Visited at = visited_[number];
    // On the way back to the start at least one more edge follows, if it is not there.
    if (!settle(at.place) || (best_ && at.length >= best_->size())) continue;
    for (std::uint32_t edge = graph_.first(at.place.node); edge != graph_.end(at.place.node) && left_ != 0;
         ++edge) {
      --left_;
      const auto next = follow(shape, at.place, graph_.edge(edge));
      if (!next || !groups.on_cycle(graph_, at.place.node, edge)) continue;
      const bool free = graph_.edge(edge).kind == Dependency::kOn;
      const std::uint32_t length = at.length + (free ? 0 : 1);
      const bool back = next->node == start;
      if (back && (!accepts(shape, *next, began_with_miss) || (best_ && length >= best_->size()))) continue;
      const auto added = static_cast<std::uint32_t>(visited_.size());
      visited_.push_back({*next, number, edge, length});
      if (back) return keep(added, start);
      free ? queue.push_front(added) : queue.push_back(added);
    }
  }
}

/// The way to the last place, with auxiliary nodes taken out, is the best cycle now; unless a transaction is in it twice.
void CycleSearch::keep(std::uint32_t last, Node start) {
  std::vector<std::uint32_t> way;
  for (std::uint32_t at = last; at != kNobody; at = visited_[at].parent) way.push_back(at);
  std::reverse(way.begin(), way.end());
  std::vector<CycleEdge> cycle;
  Node from = start;
  std::optional<CycleEdge> open;
  for (const std::uint32_t at : way) {
    const Edge& edge = graph_.edge(visited_[at].edge);
    if (!open) open = CycleEdge{from, edge};
    open->edge.to = edge.to;
    if (edge.kind == Dependency::kOn) open->edge.to_position = edge.to_position;
    if (!graph_.is_transaction(edge.to)) continue;
    cycle.push_back(*open);
    from = edge.to;
    open.reset();
  }
  if (transactions_differ(cycle)) best_ = std::move(cycle);
}

std::optional<std::vector<CycleEdge>> CycleSearch::find(const CycleShape& shape) {
  best_.reset();
  const Groups groups = strongly_connected(graph_, {shape.allowed, shape.misses == Misses::kSpaced});
  if (!groups.any()) return std::nullopt;
  mark_.resize(graph_.nodes() * kSeen, 0);
  for (Node node = 0; node < graph_.nodes() && left_ != 0; ++node) {
    if (!graph_.is_transaction(node)) continue;
    for (std::uint32_t edge = graph_.first(node); edge != graph_.end(node); ++edge) {
      if ((shape.starts & bit(graph_.edge(edge).kind)) == 0 || !groups.on_cycle(graph_, node, edge)) continue;
      search_from(shape, groups, node, edge);
      if (best_ && best_->size() == 2) return std::move(best_);
    }
  }
  return std::move(best_);
}

}  // namespace touchstone::model
