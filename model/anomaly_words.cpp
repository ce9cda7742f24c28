#include "model/anomaly_words.h"

#include <algorithm>

namespace touchstone::model {
namespace {

std::string label(TransactionNumber number) {
  return "T" + std::to_string(number);
}

std::size_t count(const Anomaly& anomaly, Dependency kind) {
  return static_cast<std::size_t>(std::count_if(anomaly.cycle.begin(), anomaly.cycle.end(),
                                                [&](const CycleEdge& it) { return it.edge.kind == kind; }));
}

bool one_key(const Anomaly& anomaly) {
  return std::all_of(anomaly.cycle.begin(), anomaly.cycle.end(), [&](const CycleEdge& it) {
    return it.edge.kind <= Dependency::kMisses && it.edge.key == anomaly.cycle.front().edge.key;
  });
}

bool reads_only(const TransactionHistory& history, TransactionNumber number) {
  const Transaction& it = history.transactions[number];
  const auto begin = history.operations.begin() + it.first;
  return std::all_of(begin, begin + it.count, [](const MicroOperation& operation) {
    return operation.kind == MicroOperation::Kind::kRead;
  });
}

const char* name_of_single(const Anomaly& anomaly) {
  if (anomaly.needs == Needs::kRealTime) return "stale read";
  if (anomaly.needs == Needs::kSession) return "stale read in a session";
  if (!one_key(anomaly)) return "read skew";
  return count(anomaly, Dependency::kReads) == 0 || anomaly.cycle.size() > 2 ? "lost update"
                                                                             : "non-repeatable read";
}

const char* popular_name(const TransactionHistory& history, const Anomaly& anomaly) {
  const bool timeless = anomaly.needs == Needs::kNothing;
  switch (anomaly.kind) {
    case AnomalyKind::kG0:
      return timeless ? "dirty write" : "";
    case AnomalyKind::kG1c:
      return timeless ? "circular information flow" : "";
    case AnomalyKind::kGSingle:
      return name_of_single(anomaly);
    case AnomalyKind::kGNonadjacent:
      return timeless && anomaly.cycle.size() == 4 && count(anomaly, Dependency::kReads) == 2 ? "long fork"
                                                                                              : "";
    case AnomalyKind::kG2Item:
      if (!timeless) return "";
      if (count(anomaly, Dependency::kMisses) == anomaly.cycle.size()) return "write skew";
      return std::any_of(anomaly.transactions.begin(), anomaly.transactions.end(),
                         [&](TransactionNumber it) { return reads_only(history, it); })
                 ? "read-only transaction anomaly"
                 : "";
    default:
      return "";
  }
}

std::string sentence(const TransactionHistory& history, const TransactionOrder& order, const CycleEdge& it,
                     TransactionNumber to) {
  const Edge& edge = it.edge;
  const std::string a = label(it.from);
  const std::string b = label(to);
  if (edge.kind == Dependency::kSession) return b + " is the next transaction of " + a + "'s client";
  if (edge.kind == Dependency::kRealTime) return a + " had ended when " + b + " began";
  const bool lists = history.objects == Objects::kLists;
  const std::string wrote = lists ? " appended" : " wrote";
  const std::string& key = history.keys.name(edge.key);
  const auto value = [&](std::uint32_t position) {
    return position == 0 ? "nil" : history.values.describe(order.version(edge.key, position).value);
  };
  switch (edge.kind) {
    case Dependency::kOverwrites:
      return a + wrote + " " + value(edge.from_position) + " to " + key + " before " + b + wrote + " " +
             value(edge.to_position) + ": " + a + " came before " + b + " (ww)";
    case Dependency::kReads:
      return b + " read " + key + " with " + value(edge.from_position) + ", which " + a + wrote + ": " + a +
             " came before " + b + " (wr)";
    default:
      return a + " read " + key + " without " + value(edge.to_position) + ", which " + b + wrote + ": " + a +
             " came before " + b + " (rw)";
  }
}

std::string said_directly(const TransactionHistory& history, const DirectFinding& it) {
  const std::string reader = label(it.reader);
  const std::string other = label(it.other);
  const std::string& key = history.keys.name(it.key);
  const std::string value = history.values.describe(it.value);
  switch (it.fault) {
    case DirectFault::kInternal:
      return reader + " read " + key + ", where its own " + value + " is not in its place";
    case DirectFault::kGarbage:
      return reader + " read " + value + " in " + key + ", which nobody wrote";
    case DirectFault::kDuplicate:
      return reader + " read " + value + " twice in " + key;
    case DirectFault::kIncompatibleOrder:
      return reader + " and " + other + " read " + key + ", and neither read is the beginning of the other";
    case DirectFault::kAbortedRead:
      return reader + " read " + value + " in " + key + ", which " + other + " wrote and which was aborted";
    case DirectFault::kIntermediateRead:
      return reader + " read " + key + " as of " + value + ", behind which " + other + " wrote more";
    case DirectFault::kLostUpdate:
      break;
  }
  return reader + " and " + other + " read the same version of " + key + ", and both replaced it";
}

const char* popular_name(DirectFault fault) {
  switch (fault) {
    case DirectFault::kAbortedRead:
      return "aborted read";
    case DirectFault::kIntermediateRead:
      return "intermediate read";
    default:
      return "";
  }
}

std::string heading(const TransactionHistory& history, const Anomaly& anomaly) {
  std::string text = title(anomaly);
  for (const TransactionNumber number : anomaly.transactions) text += "\n  " + describe(history, number);
  return text;
}

}  // namespace

void put_into_words(const TransactionHistory& history, const TransactionOrder& order, Anomaly& anomaly) {
  anomaly.popular_name = popular_name(history, anomaly);
  anomaly.text = heading(history, anomaly);
  for (std::size_t i = 0; i < anomaly.cycle.size(); ++i) {
    const TransactionNumber to = anomaly.cycle[(i + 1) % anomaly.cycle.size()].from;
    anomaly.text += "\n  " + sentence(history, order, anomaly.cycle[i], to);
  }
}

void put_into_words(const TransactionHistory& history, const DirectFinding& finding, Anomaly& anomaly) {
  anomaly.popular_name = popular_name(finding.fault);
  anomaly.text = heading(history, anomaly) + "\n  " + said_directly(history, finding);
}

}  // namespace touchstone::model
