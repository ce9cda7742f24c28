#pragma once
// The shortest cycle of a kind in a dependency graph.
//
//   CycleSearch search(graph, budget);
//   auto cycle = search.find({.allowed = kInformation, .starts = bit(Dependency::kReads), .rw = Misses::kNone});
//   if (cycle) ...                                     // a vector of CycleEdge, each transaction once
//
// Breadth first from the edges of the kind that the cycle must have, in the product of the graph with what was seen on the way
// (kMisses edges: how many, was the last one, were two adjacent). Only edges on cycles are gone along. The shortest closed walk is
// returned if no transaction is in it twice, which is so for all kinds but kAdjacent and kSpaced (of those: almost always).
// Cost: steps are counted and bounded over all calls; exhausted() says that the bound was reached. Not thread-safe.

#include <optional>
#include <vector>

#include "model/isolation.h"

namespace touchstone::model {

/// How the kMisses edges of the cycle must lie.
enum class Misses : std::uint8_t { kNone, kOne, kSpaced, kAdjacent };

struct CycleShape {
  Dependencies allowed = kAllDependencies;
  Dependencies starts = kAllDependencies;  ///< one of these kinds is in the cycle
  Misses misses = Misses::kNone;
};

class CycleSearch {
 public:
  CycleSearch(const DependencyGraph& graph, std::uint64_t steps) : graph_(graph), left_(steps) {}

  std::optional<std::vector<CycleEdge>> find(const CycleShape& shape);

  bool exhausted() const { return left_ == 0; }

 private:
  /// A node, and what was seen on the way there: the number of kMisses up to 2, whether the last was, whether two were adjacent.
  struct Place {
    Node node = 0;
    std::uint8_t misses = 0;
    bool last = false;
    bool adjacent = false;
  };

  struct Visited {
    Place place;
    std::uint32_t parent = 0;
    std::uint32_t edge = 0;
    std::uint32_t length = 0;
  };

  std::optional<Place> follow(const CycleShape& shape, const Place& place, const Edge& edge) const;
  static bool accepts(const CycleShape& shape, const Place& place, bool began_with_miss);
  void search_from(const CycleShape& shape, const Groups& groups, Node start, std::uint32_t edge);
  void keep(std::uint32_t last, Node start);
  bool settle(const Place& place);

  const DependencyGraph& graph_;
  std::uint64_t left_;
  std::vector<std::uint32_t> mark_;  ///< by node and what was seen: the search that was there last
  std::uint32_t search_ = 0;
  std::vector<Visited> visited_;
  std::optional<std::vector<CycleEdge>> best_;
};

}  // namespace touchstone::model
