#include "model/isolation.h"

#include <algorithm>

#include "model/anomaly_words.h"
#include "model/shortest_cycle.h"

namespace touchstone::model {
namespace {

constexpr std::uint64_t kSearchSteps = 20'000'000;

constexpr Dependencies with(Needs needs) {
  switch (needs) {
    case Needs::kNothing:
      return 0;
    case Needs::kSession:
      return bit(Dependency::kSession);
    case Needs::kRealTime:
      break;
  }
  return bit(Dependency::kSession) | bit(Dependency::kRealTime);
}

constexpr Needs kAllNeeds[] = {Needs::kNothing, Needs::kSession, Needs::kRealTime};

AnomalyKind kind_of(DirectFault fault) {
  switch (fault) {
    case DirectFault::kInternal:
      return AnomalyKind::kInternal;
    case DirectFault::kGarbage:
      return AnomalyKind::kGarbageRead;
    case DirectFault::kDuplicate:
      return AnomalyKind::kDuplicateElements;
    case DirectFault::kIncompatibleOrder:
      return AnomalyKind::kIncompatibleOrder;
    case DirectFault::kAbortedRead:
      return AnomalyKind::kG1a;
    case DirectFault::kIntermediateRead:
      return AnomalyKind::kG1b;
    case DirectFault::kLostUpdate:
      break;
  }
  return AnomalyKind::kLostUpdate;
}

AnomalyKind kind_of(const std::vector<CycleEdge>& cycle, Misses misses) {
  const bool reads = std::any_of(cycle.begin(), cycle.end(),
                                 [](const CycleEdge& it) { return it.edge.kind == Dependency::kReads; });
  switch (misses) {
    case Misses::kNone:
      return reads ? AnomalyKind::kG1c : AnomalyKind::kG0;
    case Misses::kOne:
      return AnomalyKind::kGSingle;
    case Misses::kSpaced:
      return AnomalyKind::kGNonadjacent;
    case Misses::kAdjacent:
      break;
  }
  return AnomalyKind::kG2Item;
}

class IsolationCheck {
 public:
  explicit IsolationCheck(const TransactionHistory& history)
      : history_(history), order_(history), graph_(0), search_(graph_, kSearchSteps) {}

  IsolationVerdict run() {
    verdict_.inapplicable = order_.inapplicable();
    if (!verdict_.inapplicable.empty()) return std::move(verdict_);
    verdict_.committed = order_.committed().size();
    graph_ = order_.graph();
    cyclic_ = strongly_connected(graph_, {kAllDependencies | with(Needs::kRealTime), false}).any();
    for (const DirectFinding& finding : order_.findings()) add(finding);
    find_cycles();
    decide_levels();
    verdict_.exhausted = search_.exhausted() && !verdict_.holds(Level::kSnapshot);
    return std::move(verdict_);
  }

 private:
  void add(const DirectFinding& finding) {
    Anomaly anomaly;
    anomaly.kind = kind_of(finding.fault);
    anomaly.transactions = {finding.reader};
    if (finding.other != finding.reader) anomaly.transactions.push_back(finding.other);
    put_into_words(history_, finding, anomaly);
    verdict_.anomalies.push_back(std::move(anomaly));
  }

  bool found(AnomalyKind kind) const {
    return std::any_of(verdict_.anomalies.begin(), verdict_.anomalies.end(),
                       [&](const Anomaly& it) { return it.kind == kind; });
  }

  bool acyclic(Dependencies allowed, bool spaced) const {
    return !cyclic_ || !strongly_connected(graph_, {allowed, spaced}).any();
  }

  void find_cycles() {
    for (const Needs needs : kAllNeeds) {
      const Dependencies extra = with(needs);
      if (acyclic(kAllDependencies | extra, false)) continue;
      if (needs == Needs::kNothing) {
        look(needs, {kWriteDependencies, bit(Dependency::kOverwrites), Misses::kNone});
        look(needs, {kInformation, bit(Dependency::kReads), Misses::kNone});
      } else {
        look(needs, {kInformation | extra, 0, Misses::kNone});
      }
      for (const Misses misses : {Misses::kOne, Misses::kSpaced, Misses::kAdjacent})
        look(needs, {kAllDependencies | extra, bit(Dependency::kMisses), misses});
    }
  }

  /// One of each kind; with time only where there is none without.
  void look(Needs needs, CycleShape shape) {
    if (needs != Needs::kNothing)
      shape.starts = bit(needs == Needs::kSession ? Dependency::kSession : Dependency::kRealTime);
    auto cycle = search_.find(shape);
    if (!cycle) return;
    const AnomalyKind kind = kind_of(*cycle, shape.misses);
    if (found(kind)) return;
    Anomaly anomaly;
    anomaly.kind = kind;
    anomaly.needs = needs;
    for (const CycleEdge& it : *cycle) anomaly.transactions.push_back(it.from);
    anomaly.cycle = *std::move(cycle);
    put_into_words(history_, order_, anomaly);
    verdict_.anomalies.push_back(std::move(anomaly));
  }

  void decide_levels() {
    if (found(AnomalyKind::kInternal) || found(AnomalyKind::kGarbageRead) ||
        found(AnomalyKind::kDuplicateElements))
      return;
    if (!keep(Level::kReadUncommitted, acyclic(kWriteDependencies, false))) return;
    const bool clean =
        !found(AnomalyKind::kG1a) && !found(AnomalyKind::kG1b) && !found(AnomalyKind::kIncompatibleOrder);
    if (!keep(Level::kReadCommitted, clean && acyclic(kInformation, false))) return;
    const bool updates_kept = !found(AnomalyKind::kLostUpdate);
    const auto snapshot = [&](Needs needs) {
      return updates_kept && acyclic(kAllDependencies | with(needs), true);
    };
    const auto serial = [&](Needs needs) { return acyclic(kAllDependencies | with(needs), false); };
    const bool plain_snapshot = snapshot(Needs::kNothing);
    keep(Level::kParallelSnapshot, plain_snapshot || (updates_kept && parallel_snapshot()));
    if (!keep(Level::kSnapshot, plain_snapshot)) return;
    keep(Level::kSessionSnapshot, snapshot(Needs::kSession)) &&
        keep(Level::kStrongSnapshot, snapshot(Needs::kRealTime));
    keep(Level::kSerializable, serial(Needs::kNothing)) &&
        keep(Level::kSessionSerializable, serial(Needs::kSession)) &&
        keep(Level::kStrictSerializable, serial(Needs::kRealTime));
  }

  bool parallel_snapshot() {
    return !search_.find({kAllDependencies, bit(Dependency::kMisses), Misses::kOne}) && !search_.exhausted();
  }

  bool keep(Level level, bool holds) {
    if (holds) verdict_.levels |= 1U << static_cast<unsigned>(level);
    return holds;
  }

  const TransactionHistory& history_;
  TransactionOrder order_;
  DependencyGraph graph_;
  bool cyclic_ = true;  ///< with all its edges
  CycleSearch search_;
  IsolationVerdict verdict_;
};

}  // namespace

IsolationVerdict check_isolation(const TransactionHistory& history) {
  return IsolationCheck(history).run();
}

bool implies(Level stronger, Level weaker) {
  const auto rank = [](Level level) { return static_cast<int>(level); };
  if (rank(weaker) > rank(stronger)) return false;
  if (rank(stronger) < rank(Level::kSerializable) || rank(weaker) >= rank(Level::kSerializable)) return true;
  // Serializable levels imply the snapshot levels with the same demands on time.
  return rank(weaker) - rank(Level::kSnapshot) <= rank(stronger) - rank(Level::kSerializable);
}

std::vector<Level> IsolationVerdict::strongest() const {
  std::vector<Level> out;
  for (const Level level : kLevels) {
    if (!holds(level)) continue;
    const bool implied = std::any_of(std::begin(kLevels), std::end(kLevels), [&](Level other) {
      return other != level && holds(other) && implies(other, level);
    });
    if (!implied) out.push_back(level);
  }
  return out;
}

const char* name(Level level) {
  static constexpr const char* kNames[] = {"read-uncommitted",
                                           "read-committed",
                                           "parallel-snapshot-isolation",
                                           "snapshot-isolation",
                                           "strong-session-snapshot-isolation",
                                           "strong-snapshot-isolation",
                                           "serializable",
                                           "strong-session-serializable",
                                           "strict-serializable"};
  return kNames[static_cast<int>(level)];
}

const char* name(AnomalyKind kind) {
  static constexpr const char* kNames[] = {
      "internal", "garbage-read", "duplicate-elements", "incompatible-order", "G1a",    "G1b", "lost-update",
      "G0",       "G1c",          "G-single",           "G-nonadjacent",      "G2-item"};
  return kNames[static_cast<int>(kind)];
}

std::string title(const Anomaly& anomaly) {
  std::string text = name(anomaly.kind);
  if (anomaly.needs == Needs::kSession) text += "-session";
  if (anomaly.needs == Needs::kRealTime) text += "-realtime";
  return anomaly.popular_name.empty() ? text : text + " (" + anomaly.popular_name + ")";
}

}  // namespace touchstone::model
