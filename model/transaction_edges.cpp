// The edges that the order of the versions makes: TransactionOrder::graph().

#include <algorithm>

#include "model/transaction_order.h"

namespace touchstone::model {

/// The versions in order: who overwrote whom. Those of aborted transactions are passed over (O3).
void TransactionOrder::connect_key(KeyId key, DependencyGraph& graph) const {
  const KeyVersions& it = keys_[key];
  std::uint32_t before = 0;
  for (std::uint32_t position = 1; position <= it.ordered; ++position) {
    const TransactionNumber writer = version(key, position).writer;
    if (!counts(version(key, position))) continue;
    if (before != 0)
      graph.add(version(key, before).writer, {writer, Dependency::kOverwrites, key, before, position});
    before = position;
  }
  if (before == 0) return;
  for (std::uint32_t position = it.ordered + 1; position <= it.versions.size(); ++position)
    graph.add(version(key, before).writer,
              {version(key, position).writer, Dependency::kOverwrites, key, before, position});
}

/// From who read the newest version that was read to all appends behind it (O4). Who appended there, too, needs edges of
/// their own: through the node in the middle they would reach themselves. Two of them are a lost update already.
void TransactionOrder::connect_unread(KeyId key, const std::vector<TransactionNumber>& readers,
                                      DependencyGraph& graph) const {
  const KeyVersions& it = keys_[key];
  const std::uint32_t unread = static_cast<std::uint32_t>(it.versions.size()) - it.ordered;
  if (unread == 0 || readers.empty()) return;
  const auto behind = [&](Node from, Dependency kind) {
    for (std::uint32_t position = it.ordered + 1; position <= it.versions.size(); ++position)
      graph.add(from, {version(key, position).writer, kind, key, it.ordered, position});
  };
  std::vector<TransactionNumber> writers;
  for (std::size_t i = it.ordered; i < it.versions.size(); ++i) writers.push_back(it.versions[i].writer);
  std::sort(writers.begin(), writers.end());
  const auto appends = [&](TransactionNumber reader) {
    return std::binary_search(writers.begin(), writers.end(), reader);
  };
  constexpr std::uint32_t kFew = 4;
  Node middle = 0;
  std::uint32_t direct = 0;
  for (const TransactionNumber reader : readers) {
    if (unread <= kFew || (direct < 2 && appends(reader))) {
      behind(reader, Dependency::kMisses);
      direct += unread <= kFew ? 0 : 1;
    } else if (!appends(reader)) {
      if (middle == 0) {
        middle = graph.add_auxiliary();
        behind(middle, Dependency::kOn);
      }
      graph.add(reader, {middle, Dependency::kMisses, key, it.ordered, it.ordered});
    }
  }
}

DependencyGraph TransactionOrder::graph() const {
  DependencyGraph graph(history_.transactions.size());
  for (KeyId key = 0; key < keys_.size(); ++key) connect_key(key, graph);
  std::vector<std::vector<TransactionNumber>> at_the_end(keys_.size());
  for (const VersionRead& read : reads_) {
    const KeyVersions& key = keys_[read.key];
    if (read.position != 0 && counts(version(read.key, read.position)))
      graph.add(version(read.key, read.position).writer,
                {read.reader, Dependency::kReads, read.key, read.position, read.position});
    std::uint32_t next = read.position + 1;
    while (next <= key.ordered && !counts(version(read.key, next))) ++next;
    if (next <= key.ordered) {
      graph.add(read.reader,
                {version(read.key, next).writer, Dependency::kMisses, read.key, read.position, next});
    } else {
      at_the_end[read.key].push_back(read.reader);
    }
  }
  for (KeyId key = 0; key < keys_.size(); ++key) connect_unread(key, at_the_end[key], graph);
  graph.add_time(history_, committed_);
  graph.freeze();
  return graph;
}

}  // namespace touchstone::model
