#include "model/dependency_graph.h"

#include <algorithm>

namespace touchstone::model {
namespace {

constexpr std::uint32_t kNowhere = ~std::uint32_t{0};

/// Where an edge leads from a place, or kNowhere.
std::uint32_t next_place(const Walk& walk, const Edge& edge, std::uint32_t place) {
  if ((walk.allowed & bit(edge.kind)) == 0) return kNowhere;
  const bool missed = (place & 1U) != 0;
  if (!walk.spaced) return edge.to * 2;
  // Behind an auxiliary node it still is the same edge of the graph that is meant.
  if (edge.kind == Dependency::kOn) return edge.to * 2 + (missed ? 1U : 0U);
  if (edge.kind != Dependency::kMisses) return edge.to * 2;
  return missed ? kNowhere : edge.to * 2 + 1;
}

/// Tarjan's algorithm on the places 2 * node + (reached by kMisses).
class Tarjan {
 public:
  Tarjan(const DependencyGraph& graph, const Walk& walk)
      : graph_(graph),
        walk_(walk),
        index_(graph.nodes() * 2, kNowhere),
        low_(graph.nodes() * 2, 0),
        on_stack_(graph.nodes() * 2) {}

  /// Calls found(members) for each component of more than one place.
  template <class Found>
  void run(const Found& found) {
    for (std::uint32_t root = 0; root < index_.size(); root += 2) {
      if (index_[root] != kNowhere) continue;
      enter(root);
      while (!frames_.empty()) step(found);
    }
  }

 private:
  struct Frame {
    std::uint32_t place;
    std::uint32_t edge;
  };

  void enter(std::uint32_t place) {
    index_[place] = low_[place] = next_++;
    stack_.push_back(place);
    on_stack_[place] = true;
    frames_.push_back({place, graph_.first(place / 2)});
  }

  template <class Found>
  void step(const Found& found) {
    Frame& frame = frames_.back();
    const std::uint32_t place = frame.place;
    if (frame.edge != graph_.end(place / 2)) {
      const std::uint32_t to = next_place(walk_, graph_.edge(frame.edge++), place);
      if (to == kNowhere) return;
      if (index_[to] == kNowhere) {
        enter(to);
      } else if (on_stack_[to]) {
        low_[place] = std::min(low_[place], index_[to]);
      }
      return;
    }
    frames_.pop_back();
    if (!frames_.empty()) low_[frames_.back().place] = std::min(low_[frames_.back().place], low_[place]);
    if (low_[place] != index_[place]) return;
    members_.clear();
    do {
      members_.push_back(stack_.back());
      on_stack_[stack_.back()] = false;
      stack_.pop_back();
    } while (members_.back() != place);
    if (members_.size() > 1) found(members_);
  }

  const DependencyGraph& graph_;
  const Walk& walk_;
  std::uint32_t next_ = 0;
  std::vector<std::uint32_t> index_;
  std::vector<std::uint32_t> low_;
  std::vector<bool> on_stack_;
  std::vector<std::uint32_t> stack_;
  std::vector<std::uint32_t> members_;
  std::vector<Frame> frames_;
};

}  // namespace

void DependencyGraph::add_time(const TransactionHistory& history,
                               const std::vector<TransactionNumber>& transactions) {
  std::vector<TransactionNumber> by_invocation = transactions;
  const auto at = [&](TransactionNumber number) -> const Transaction& {
    return history.transactions[number];
  };
  std::stable_sort(by_invocation.begin(), by_invocation.end(),
                   [&](auto a, auto b) { return at(a).invoked < at(b).invoked; });
  std::vector<TransactionNumber> by_return;
  for (const TransactionNumber number : transactions) {
    if (at(number).returned != kNever) by_return.push_back(number);
  }
  std::stable_sort(by_return.begin(), by_return.end(),
                   [&](auto a, auto b) { return at(a).returned < at(b).returned; });
  std::vector<Node> last_of_client(history.clients.size(), kNowhere);
  Node moment = kNowhere;
  std::size_t returned = 0;
  for (const TransactionNumber number : by_invocation) {
    Node& before = last_of_client[at(number).client];
    if (before != kNowhere) add(before, {number, Dependency::kSession});
    before = number;
    for (; returned < by_return.size() && at(by_return[returned]).returned < at(number).invoked; ++returned) {
      const Node next = add_auxiliary();
      if (moment != kNowhere) add(moment, {next, Dependency::kOn});
      add(by_return[returned], {next, Dependency::kRealTime});
      moment = next;
    }
    if (moment != kNowhere) add(moment, {number, Dependency::kOn});
  }
}

void DependencyGraph::freeze() {
  first_.assign(nodes_ + 1, 0);
  for (const Pending& it : pending_) ++first_[it.from + 1];
  for (std::size_t node = 0; node < nodes_; ++node) first_[node + 1] += first_[node];
  edges_.resize(pending_.size());
  std::vector<std::uint32_t> next(first_.begin(), first_.end() - 1);
  for (const Pending& it : pending_) edges_[next[it.from]++] = it.edge;
  pending_ = {};
}

bool Groups::on_cycle(const DependencyGraph& graph, Node from, std::uint32_t edge) const {
  if (count_ == 0) return false;
  for (const std::uint32_t place : {from * 2, from * 2 + 1}) {
    const std::uint32_t to = next_place(walk_, graph.edge(edge), place);
    if (to != kNowhere && of_[place] != kAlone && of_[place] == of_[to]) return true;
  }
  return false;
}

Groups strongly_connected(const DependencyGraph& graph, const Walk& walk) {
  Groups groups;
  groups.walk_ = walk;
  groups.of_.assign(graph.nodes() * 2, Groups::kAlone);
  Tarjan(graph, walk).run([&](const std::vector<std::uint32_t>& members) {
    for (const std::uint32_t place : members) groups.of_[place] = groups.count_;
    ++groups.count_;
  });
  return groups;
}

}  // namespace touchstone::model
