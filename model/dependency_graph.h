#pragma once
// The direct serialization graph of a history of transactions: who depends on whom, and why.
//
//   DependencyGraph graph(transactions);
//   graph.add({writer, Dependency::kReads, key, position, position}, reader);
//   graph.freeze();
//   auto groups = strongly_connected(graph, Walk{kAllDependencies, false});   // groups.cyclic(...)
//
// Edges (Adya 1999, section 4.4; Kingsbury and Alvaro 2020):
//   kOverwrites (ww)  T installs a version of a key, and U the next one
//   kReads      (wr)  U reads the version that T installed
//   kMisses     (rw)  T reads a version, and U installs the next one: T took place before U
//   kSession          U is the next transaction of T's client
//   kRealTime         T returned before U was invoked
// Beside the transactions there are auxiliary nodes, so that the graph stays linear in the history: one behind each return, in a
// chain (an edge into it is kRealTime, the edges out of it are kOn), and one for the unread end of each list. An edge
// into an auxiliary node and the kOn edges behind it are one edge of the graph that is meant.
//
// Cost: O(n + m) to build and for strongly_connected() (Tarjan 1972, with its own stack). Not thread-safe while it is built.

#include <cstdint>
#include <vector>

#include "model/transactions.h"

namespace touchstone::model {

using Node = std::uint32_t;

enum class Dependency : std::uint8_t { kOverwrites, kReads, kMisses, kSession, kRealTime, kOn };

/// Sets of dependencies, one bit each.
using Dependencies = std::uint32_t;

constexpr Dependencies bit(Dependency it) {
  return Dependencies{1} << static_cast<unsigned>(it);
}

inline constexpr Dependencies kWriteDependencies = bit(Dependency::kOverwrites) | bit(Dependency::kOn);
inline constexpr Dependencies kInformation = kWriteDependencies | bit(Dependency::kReads);
inline constexpr Dependencies kAllDependencies = kInformation | bit(Dependency::kMisses);

struct Edge {
  Node to = 0;
  Dependency kind = Dependency::kOn;
  KeyId key = 0;
  std::uint32_t from_position = 0;  ///< of the version in its key's order (TransactionOrder)
  std::uint32_t to_position = 0;
};

class DependencyGraph {
 public:
  explicit DependencyGraph(std::size_t transactions) : transactions_(transactions), nodes_(transactions) {}

  Node add_auxiliary() { return static_cast<Node>(nodes_++); }

  /// An edge to oneself is none.
  void add(Node from, const Edge& edge) {
    if (from != edge.to) pending_.push_back({from, edge});
  }

  /// Adds kSession and kRealTime edges between these transactions.
  void add_time(const TransactionHistory& history, const std::vector<TransactionNumber>& transactions);

  /// Sorts the edges by where they come from. Nothing is added behind it.
  void freeze();

  std::size_t nodes() const { return nodes_; }
  bool is_transaction(Node node) const { return node < transactions_; }
  std::uint32_t first(Node node) const { return first_[node]; }
  std::uint32_t end(Node node) const { return first_[node + 1]; }
  const Edge& edge(std::uint32_t number) const { return edges_[number]; }

 private:
  struct Pending {
    Node from;
    Edge edge;
  };

  std::size_t transactions_;
  std::size_t nodes_;
  std::vector<Pending> pending_;
  std::vector<std::uint32_t> first_;
  std::vector<Edge> edges_;
};

/// Which paths count: those of these edges; and if `spaced`, only those without two kMisses one behind the other.
struct Walk {
  Dependencies allowed = kAllDependencies;
  bool spaced = false;
};

/// The strongly connected components of the walks. With `spaced` there are two places for each node: reached by kMisses or not.
class Groups {
 public:
  static constexpr std::uint32_t kAlone = ~std::uint32_t{0};

  bool any() const { return count_ != 0; }

  /// True if a closed walk goes along this edge.
  bool on_cycle(const DependencyGraph& graph, Node from, std::uint32_t edge) const;

 private:
  friend Groups strongly_connected(const DependencyGraph& graph, const Walk& walk);
  Walk walk_;
  std::uint32_t count_ = 0;
  std::vector<std::uint32_t> of_;  ///< by place; kAlone: on no closed walk
};

Groups strongly_connected(const DependencyGraph& graph, const Walk& walk);

}  // namespace touchstone::model
