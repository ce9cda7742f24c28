#include "model/transaction_order.h"

#include <algorithm>
#include <unordered_set>

namespace touchstone::model {
namespace {

constexpr std::uint32_t kNone = ~std::uint32_t{0};

std::uint64_t pair_of(std::uint32_t high, std::uint32_t low) {
  return (std::uint64_t{high} << 32U) | low;
}

}  // namespace

TransactionOrder::TransactionOrder(const TransactionHistory& history)
    : history_(history), counts_(history.transactions.size()), keys_(history.keys.size()) {
  index_writes();
  if (!inapplicable_.empty()) return;
  gather_reads();
  settle_committed();
  if (history_.objects == Objects::kLists) {
    order_lists();
    place_lists();
    add_unread();
    find_lost_updates();
  } else {
    order_registers();
    if (inapplicable_.empty()) place_registers();
  }
}

const TransactionOrder::Writer* TransactionOrder::writer_of(KeyId key, ValueId value) const {
  const auto found = writers_.find(pair_of(key, value));
  return found == writers_.end() ? nullptr : &found->second;
}

void TransactionOrder::report(DirectFault fault, KeyId key, ValueId value, TransactionNumber reader,
                              TransactionNumber other) {
  const bool known = std::any_of(findings_.begin(), findings_.end(), [&](const DirectFinding& it) {
    return it.fault == fault && it.key == key && it.value == value;
  });
  if (!known) findings_.push_back({fault, key, value, reader, other});
}

void TransactionOrder::index_writes() {
  writers_.reserve(history_.operations.size());
  std::vector<TransactionNumber> last_writer(keys_.size(), kNone);  // whose last write of the key is found
  for (TransactionNumber number = 0; number < history_.transactions.size(); ++number) {
    const Transaction& it = history_.transactions[number];
    for (std::uint32_t i = it.first + it.count; i-- > it.first;) {
      const MicroOperation& operation = history_.operations[i];
      if (operation.kind != MicroOperation::Kind::kWrite) continue;
      const bool last = last_writer[operation.key] != number;
      last_writer[operation.key] = number;
      const bool fresh =
          writers_.try_emplace(pair_of(operation.key, operation.value), Writer{number, last}).second;
      if (fresh && operation.value != kNil) continue;
      inapplicable_ = history_.values.describe(operation.value) + " is written to " +
                      history_.keys.name(operation.key) +
                      " more than once, so nobody can tell whom a read saw";
      return;
    }
  }
}

void TransactionOrder::gather_reads() {
  std::vector<std::vector<ValueId>> own(keys_.size());
  for (TransactionNumber number = 0; number < history_.transactions.size(); ++number) {
    const Transaction& it = history_.transactions[number];
    if (it.outcome != Outcome::kOk) continue;
    counts_[number] = true;
    const auto begin = history_.operations.begin() + it.first;
    std::for_each(begin, begin + it.count, [&](const MicroOperation& operation) {
      if (operation.kind == MicroOperation::Kind::kWrite) {
        own[operation.key].push_back(operation.value);
      } else if (operation.known) {
        take_read(number, operation, own[operation.key]);
      }
    });
    std::for_each(begin, begin + it.count,
                  [&](const MicroOperation& operation) { own[operation.key].clear(); });
  }
}

/// O2.
void TransactionOrder::take_read(TransactionNumber reader, const MicroOperation& read,
                                 const std::vector<ValueId>& own) {
  if (history_.objects == Objects::kRegisters) {
    if (own.empty()) {
      external_.push_back({reader, read.key, read.value, 0, 0, 0});
    } else if (read.value != own.back()) {
      report(DirectFault::kInternal, read.key, own.back(), reader, reader);
    }
    return;
  }
  const ValueId* begin = history_.elements.data() + read.first;
  if (own.size() > read.count || !std::equal(own.begin(), own.end(), begin + read.count - own.size()))
    return report(DirectFault::kInternal, read.key, own.back(), reader, reader);
  const auto others = static_cast<std::uint32_t>(read.count - own.size());
  KeyVersions& key = keys_[read.key];
  if (key.longest == kNone || external_[key.longest].whole < read.count)
    key.longest = static_cast<std::uint32_t>(external_.size());
  external_.push_back({reader, read.key, kNil, read.first, others, read.count});
}

bool TransactionOrder::is_prefix(const External& read, const External& of) const {
  const auto begin = history_.elements.begin();
  return read.whole <= of.whole &&
         std::equal(begin + read.first, begin + read.first + read.whole, begin + of.first);
}

/// O1: whoever was seen.
void TransactionOrder::settle_committed() {
  const auto see = [&](KeyId key, ValueId value) {
    const Writer* writer = writer_of(key, value);
    if (writer != nullptr && history_.transactions[writer->transaction].outcome != Outcome::kFail)
      counts_[writer->transaction] = true;
  };
  for (std::size_t i = 0; i < external_.size(); ++i) {
    const External& read = external_[i];
    if (history_.objects == Objects::kRegisters) {
      see(read.key, read.value);
    } else if (keys_[read.key].longest == i || !is_prefix(read, external_[keys_[read.key].longest])) {
      for (std::uint32_t at = read.first; at < read.first + read.whole; ++at)
        see(read.key, history_.elements[at]);
    }
  }
  for (TransactionNumber number = 0; number < counts_.size(); ++number) {
    if (counts_[number]) committed_.push_back(number);
  }
}

/// What is wrong with seeing this value: with it as the newest, or below others.
void TransactionOrder::judge_seen(const External& read, ValueId value, bool newest) {
  const Writer* writer = writer_of(read.key, value);
  if (writer == nullptr) return report(DirectFault::kGarbage, read.key, value, read.reader, read.reader);
  if (history_.transactions[writer->transaction].outcome == Outcome::kFail)
    report(DirectFault::kAbortedRead, read.key, value, read.reader, writer->transaction);
  if (history_.objects == Objects::kRegisters && writer->transaction == read.reader)
    report(DirectFault::kInternal, read.key, value, read.reader, read.reader);
  if (newest && !writer->last && writer->transaction != read.reader)
    report(DirectFault::kIntermediateRead, read.key, value, read.reader, writer->transaction);
}

void TransactionOrder::judge_elements(const External& read) {
  std::unordered_set<ValueId> seen;
  for (std::uint32_t i = 0; i < read.whole; ++i) {
    const ValueId value = history_.elements[read.first + i];
    if (!seen.insert(value).second)
      report(DirectFault::kDuplicate, read.key, value, read.reader, read.reader);
    judge_seen(read, value, false);
  }
}

void TransactionOrder::order_lists() {
  for (KeyVersions& key : keys_) {
    if (key.longest == kNone) continue;
    const External& longest = external_[key.longest];
    judge_elements(longest);
    for (std::uint32_t i = 0; i < longest.whole; ++i) {
      const ValueId value = history_.elements[longest.first + i];
      const Writer* writer = writer_of(longest.key, value);
      key.versions.push_back(writer != nullptr ? Version{writer->transaction, value, writer->last}
                                               : Version{Version::kNobody, value, true});
    }
    key.ordered = longest.whole;
  }
}

void TransactionOrder::place_lists() {
  std::unordered_map<std::uint64_t, std::uint32_t>
      first_own;  // by key and writer: the first position of its versions
  for (KeyId key = 0; key < keys_.size(); ++key) {
    for (std::uint32_t position = 1; position <= keys_[key].ordered; ++position)
      first_own.try_emplace(pair_of(key, version(key, position).writer), position);
  }
  for (const External& read : external_) {
    const External& longest = external_[keys_[read.key].longest];
    if (!is_prefix(read, longest)) {
      judge_elements(read);
      report(DirectFault::kIncompatibleOrder, read.key, kNil, read.reader, longest.reader);
      continue;
    }
    if (read.count != 0) judge_seen(read, history_.elements[read.first + read.count - 1], true);
    const auto own = first_own.find(pair_of(read.key, read.reader));
    if (own != first_own.end() && own->second <= read.count)
      report(DirectFault::kInternal, read.key, version(read.key, own->second).value, read.reader,
             read.reader);
    reads_.push_back({read.reader, read.key, read.count});
  }
}

/// O4.
void TransactionOrder::add_unread() {
  std::vector<std::unordered_set<ValueId>> ordered(keys_.size());
  for (KeyId key = 0; key < keys_.size(); ++key) {
    for (const Version& version : keys_[key].versions) ordered[key].insert(version.value);
  }
  for (const TransactionNumber number : committed_) {
    const Transaction& it = history_.transactions[number];
    for (std::uint32_t i = it.first; i < it.first + it.count; ++i) {
      const MicroOperation& operation = history_.operations[i];
      if (operation.kind != MicroOperation::Kind::kWrite ||
          ordered[operation.key].count(operation.value) != 0)
        continue;
      keys_[operation.key].versions.push_back(
          {number, operation.value, writer_of(operation.key, operation.value)->last});
    }
  }
}

/// Two that read the newest version that was read, and both appended: whatever the order of what they appended.
void TransactionOrder::find_lost_updates() {
  std::unordered_set<std::uint64_t> appended;
  for (KeyId key = 0; key < keys_.size(); ++key) {
    for (std::size_t i = keys_[key].ordered; i < keys_[key].versions.size(); ++i)
      appended.insert(pair_of(key, keys_[key].versions[i].writer));
  }
  std::vector<TransactionNumber> first(keys_.size(), kNone);
  for (const VersionRead& read : reads_) {
    if (read.position != keys_[read.key].ordered || appended.count(pair_of(read.key, read.reader)) == 0)
      continue;
    TransactionNumber& other = first[read.key];
    if (other == kNone) {
      other = read.reader;
    } else if (other != read.reader) {
      report(DirectFault::kLostUpdate, read.key, kNil, read.reader, other);
    }
  }
}

void TransactionOrder::order_registers() {
  std::vector<TransactionNumber> writers;
  for (const TransactionNumber number : committed_) {
    const Transaction& it = history_.transactions[number];
    const auto begin = history_.operations.begin() + it.first;
    const bool writes = std::any_of(begin, begin + it.count, [](const MicroOperation& operation) {
      return operation.kind == MicroOperation::Kind::kWrite;
    });
    if (writes && it.version == kNoVersion)
      inapplicable_ = "the commit version of " + describe(history_, number) + " is not known";
    if (writes) writers.push_back(number);
  }
  const auto version_of = [&](TransactionNumber number) { return history_.transactions[number].version; };
  std::stable_sort(writers.begin(), writers.end(),
                   [&](auto a, auto b) { return version_of(a) < version_of(b); });
  for (std::size_t i = 1; i < writers.size(); ++i) {
    if (version_of(writers[i - 1]) == version_of(writers[i]))
      inapplicable_ = "two transactions committed version " + std::to_string(version_of(writers[i]));
  }
  for (const TransactionNumber number : writers) {
    const Transaction& it = history_.transactions[number];
    for (std::uint32_t i = it.first; i < it.first + it.count; ++i) {
      const MicroOperation& operation = history_.operations[i];
      if (operation.kind != MicroOperation::Kind::kWrite) continue;
      KeyVersions& key = keys_[operation.key];
      key.versions.push_back({number, operation.value, writer_of(operation.key, operation.value)->last});
      key.ordered = static_cast<std::uint32_t>(key.versions.size());
    }
  }
}

void TransactionOrder::place_registers() {
  std::unordered_map<std::uint64_t, std::uint32_t> position;
  for (KeyId key = 0; key < keys_.size(); ++key) {
    for (std::uint32_t i = 0; i < keys_[key].ordered; ++i)
      position[pair_of(key, keys_[key].versions[i].value)] = i + 1;
  }
  for (const External& read : external_) {
    if (read.value == kNil) {
      reads_.push_back({read.reader, read.key, 0});
      continue;
    }
    judge_seen(read, read.value, true);
    if (const auto found = position.find(pair_of(read.key, read.value)); found != position.end())
      reads_.push_back({read.reader, read.key, found->second});
  }
}

}  // namespace touchstone::model
