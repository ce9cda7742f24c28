// The isolation checker against brute force on small random histories.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "harness/seed.h"
#include "model/isolation.h"

namespace touchstone::harness {
namespace {

using model::AnomalyKind;
using model::Dependency;
using model::IsolationVerdict;
using model::Level;
using model::Needs;
using model::Outcome;
using model::TransactionHistory;

// --- small histories, and every order of them ---

struct Micro {
  bool append = false;
  int key = 0;
  int value = 0;          // appended
  std::vector<int> read;  // seen
};

struct Small {
  int client = 0;
  std::int64_t invoked = 0;
  std::int64_t returned = 0;
  std::vector<Micro> micro;
};

using Lists = std::map<int, std::vector<int>>;

/// Runs the transaction on this state. False if it read something else; with `fill` it reads what is there.
bool perform(const Lists& snapshot, Small& it, bool fill) {
  Lists own = snapshot;
  for (Micro& micro : it.micro) {
    if (micro.append) {
      own[micro.key].push_back(micro.value);
    } else if (fill) {
      micro.read = own[micro.key];
    } else if (micro.read != own[micro.key]) {
      return false;
    }
  }
  return true;
}

void install(Lists& state, const Small& it) {
  for (const Micro& micro : it.micro) {
    if (micro.append) state[micro.key].push_back(micro.value);
  }
}

bool writes(const Small& it, int key) {
  return std::any_of(it.micro.begin(), it.micro.end(),
                     [&](const Micro& micro) { return micro.append && micro.key == key; });
}

/// True if `a` must come before `b`.
bool ordered(const Small& a, const Small& b, Needs needs) {
  if (needs == Needs::kNothing) return false;
  if (a.client == b.client && a.invoked < b.invoked) return true;
  return needs == Needs::kRealTime && a.returned < b.invoked;
}

bool has_serial_order(std::vector<Small> all, Needs needs) {
  std::vector<std::size_t> order(all.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  do {
    Lists state;
    bool fits = true;
    for (std::size_t i = 0; i < order.size() && fits; ++i) {
      for (std::size_t j = 0; j < i; ++j) fits = fits && !ordered(all[order[i]], all[order[j]], needs);
      fits = fits && perform(state, all[order[i]], false);
      install(state, all[order[i]]);
    }
    if (fits) return true;
  } while (std::next_permutation(order.begin(), order.end()));
  return false;
}

/// Snapshot isolation by its definition: every order of the starts and commits, first committer wins.
class Snapshots {
 public:
  Snapshots(std::vector<Small> all, Needs needs)
      : all_(std::move(all)), needs_(needs), started_(all_.size(), -1), committed_(all_.size(), -1) {}

  bool exist(int event = 0, const Lists& state = {}) {
    if (event == static_cast<int>(all_.size()) * 2) return true;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if (started_[i] < 0 ? start(i, event, state) : committed_[i] < 0 && commit(i, event, state))
        return true;
    }
    return false;
  }

 private:
  bool start(std::size_t i, int event, const Lists& state) {
    for (std::size_t j = 0; j < all_.size(); ++j) {
      if (committed_[j] < 0 && ordered(all_[j], all_[i], needs_)) return false;
    }
    if (!perform(state, all_[i], false)) return false;
    started_[i] = event;
    const bool found = exist(event + 1, state);
    started_[i] = -1;
    return found;
  }

  bool commit(std::size_t i, int event, const Lists& state) {
    for (std::size_t j = 0; j < all_.size(); ++j) {
      if (committed_[j] <= started_[i]) continue;  // did not commit, or did before
      for (int key = 0; key < 3; ++key) {
        if (writes(all_[i], key) && writes(all_[j], key)) return false;
      }
    }
    Lists next = state;
    install(next, all_[i]);
    committed_[i] = event;
    const bool found = exist(event + 1, next);
    committed_[i] = -1;
    return found;
  }

  std::vector<Small> all_;
  Needs needs_;
  std::vector<int> started_;
  std::vector<int> committed_;
};

TransactionHistory history_of(const std::vector<Small>& all) {
  TransactionHistory history;
  for (const Small& it : all) {
    auto transaction = history.begin(std::to_string(it.client), it.invoked);
    for (const Micro& micro : it.micro) {
      const std::string key(1, static_cast<char>('x' + micro.key));
      std::vector<model::Scalar> elements(micro.read.begin(), micro.read.end());
      for (std::size_t i = 0; i < elements.size(); ++i) elements[i] = std::int64_t{micro.read[i]};
      micro.append ? transaction.append(key, std::int64_t{micro.value})
                   : transaction.read_list(key, elements);
    }
    transaction.end(it.returned, Outcome::kOk);
  }
  return history;
}

std::vector<Small> draw_programs(Stream& stream) {
  std::vector<Small> all(static_cast<std::size_t>(stream.between(2, 4)));
  std::int64_t clock[3] = {0, 0, 0};
  int value = 0;
  for (Small& it : all) {
    it.client = static_cast<int>(stream.below(3));
    it.invoked = clock[it.client] + stream.between(0, 3);
    it.returned = it.invoked + stream.between(0, 4);
    clock[it.client] = it.returned + 1;
    for (std::int64_t i = stream.between(1, 3); i > 0; --i) {
      Micro& micro = it.micro.emplace_back();
      micro.append = stream.chance(1, 2);
      micro.key = static_cast<int>(stream.below(2));
      micro.value = ++value;
    }
  }
  return all;
}

/// What the transactions read: from one state after the other, from snapshots of random age, or from any prefixes.
void fill_reads(std::vector<Small>& all, Stream& stream) {
  std::vector<std::size_t> order(all.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  stream.shuffle(order);
  const auto kind = stream.below(4);
  std::vector<Lists> states(1);
  for (const std::size_t i : order) {
    const auto age = kind == 0 ? 0 : stream.below(std::min<std::size_t>(states.size(), kind + 1));
    perform(states[states.size() - 1 - age], all[i], true);
    states.push_back(states.back());
    install(states.back(), all[i]);
  }
  if (kind != 3) return;
  for (Small& it : all) {
    for (Micro& micro : it.micro) {
      const auto& whole = states.back()[micro.key];
      if (!micro.append && stream.chance(1, 2))
        micro.read.assign(whole.begin(),
                          whole.begin() + static_cast<std::ptrdiff_t>(stream.below(whole.size() + 1)));
    }
  }
}

bool everything_was_read(const std::vector<Small>& all) {
  std::set<int> unread;
  for (const Small& it : all)
    for (const Micro& micro : it.micro)
      if (micro.append) unread.insert(micro.value);
  for (const Small& it : all)
    for (const Micro& micro : it.micro)
      for (const int value : micro.read) unread.erase(value);
  return unread.empty();
}

std::string words(const TransactionHistory& history, const IsolationVerdict& verdict) {
  std::string text;
  for (model::TransactionNumber i = 0; i < history.transactions.size(); ++i) {
    const auto& it = history.transactions[i];
    text +=
        "\n[" + std::to_string(it.invoked) + ", " + std::to_string(it.returned) + "] " + describe(history, i);
  }
  for (const auto& anomaly : verdict.anomalies) text += "\n" + anomaly.text;
  for (const Level level : model::kLevels)
    text += std::string("\n") + name(level) + (verdict.holds(level) ? " holds" : " no");
  return text;
}

struct Pair {
  Needs needs;
  Level snapshot;
  Level serializable;
};
constexpr Pair kPairs[] = {{Needs::kNothing, Level::kSnapshot, Level::kSerializable},
                           {Needs::kSession, Level::kSessionSnapshot, Level::kSessionSerializable},
                           {Needs::kRealTime, Level::kStrongSnapshot, Level::kStrictSerializable}};

#ifdef TOUCHSTONE_SOAK
constexpr int kRandomHistories = 300'000;
#else
constexpr int kRandomHistories = 40'000;
#endif

// Danger: an edge too many refutes what is right, an edge or a component too few accepts what is wrong. The oracle tries every serial
// order, and every order of starts and commits under first-committer-wins; it knows no graph. Where appends were never read, their
// order is open and snapshot isolation may be refuted only by the oracle (O4); everything else must agree exactly.
TEST(IsolationProperty, AgreesWithEveryOrderOfSmallHistories) {
  Stream stream = Seed::of_process().stream("isolation");
  std::map<Level, int> held;
  int exact = 0;
  for (int round = 0; round < kRandomHistories; ++round) {
    std::vector<Small> all = draw_programs(stream);
    fill_reads(all, stream);
    const TransactionHistory history = history_of(all);
    const IsolationVerdict verdict = check_isolation(history);
    const bool whole = everything_was_read(all);
    exact += whole ? 1 : 0;
    ASSERT_EQ(verdict.inapplicable, "");
    for (const Pair& it : kPairs) {
      ASSERT_EQ(verdict.holds(it.serializable), has_serial_order(all, it.needs))
          << name(it.serializable) << words(history, verdict);
      const bool snapshots = Snapshots(all, it.needs).exist();
      ASSERT_TRUE(!snapshots || verdict.holds(it.snapshot)) << name(it.snapshot) << words(history, verdict);
      if (whole) {
        ASSERT_EQ(verdict.holds(it.snapshot), snapshots) << name(it.snapshot) << words(history, verdict);
      }
    }
    for (const Level level : model::kLevels) held[level] += verdict.holds(level) ? 1 : 0;
    // A level that does not hold has a reason, and a reason breaks a level.
    ASSERT_EQ(verdict.anomalies.empty(), verdict.holds(Level::kStrictSerializable))
        << words(history, verdict);
    for (const Level stronger : model::kLevels) {
      for (const Level weaker : model::kLevels) {
        if (implies(stronger, weaker)) {
          ASSERT_TRUE(!verdict.holds(stronger) || verdict.holds(weaker)) << words(history, verdict);
        }
      }
    }
  }
  // The histories are of all sorts: each step of the ladder has some that keep it and not the next.
  EXPECT_GT(exact, kRandomHistories / 20);
  EXPECT_LT(held[Level::kReadCommitted], kRandomHistories);
  EXPECT_LT(held[Level::kParallelSnapshot], held[Level::kReadCommitted]);
  EXPECT_LT(held[Level::kSnapshot], held[Level::kParallelSnapshot] + 1);
  EXPECT_LT(held[Level::kStrongSnapshot], held[Level::kSnapshot]);
  EXPECT_LT(held[Level::kSerializable], held[Level::kSnapshot]);
  EXPECT_LT(held[Level::kStrictSerializable], held[Level::kSerializable]);
  EXPECT_GT(held[Level::kStrictSerializable], kRandomHistories / 20);
}

// --- cycles by enumeration ---

/// All direct dependencies of a history whose appends were all read, by Adya's definitions, pair by pair.
class Pairs {
 public:
  explicit Pairs(const std::vector<Small>& all) : all_(all) {
    for (const Small& it : all)
      for (const Micro& micro : it.micro)
        if (micro.read.size() > order_[micro.key].size()) order_[micro.key] = micro.read;
  }

  bool depends(std::size_t a, std::size_t b, Dependency kind) const {
    for (int key = 0; key < 2; ++key) {
      const auto found = order_.find(key);
      if (found == order_.end()) continue;
      const std::vector<int>& versions = found->second;
      for (std::size_t p = 0; p <= versions.size(); ++p) {
        const bool a_made = p != 0 && wrote(a, versions[p - 1]);
        const bool b_makes_next = p < versions.size() && wrote(b, versions[p]);
        if (kind == Dependency::kOverwrites && a_made && b_makes_next) return true;
        if (kind == Dependency::kReads && a_made && read(b, key, p)) return true;
        if (kind == Dependency::kMisses && read(a, key, p) && b_makes_next) return true;
      }
    }
    return false;
  }

  /// The shortest cycle whose edges are of these kinds, at most `misses` of them kMisses; or as many as there are, if none is next to
  /// another. 0 if there is none.
  std::size_t shortest(bool overwrites_only, std::size_t misses, bool spaced) const {
    std::size_t best = 0;
    std::vector<std::size_t> order(all_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    do {
      for (std::size_t length = 2; length <= order.size(); ++length)
        if ((best == 0 || length < best) && closes(order, length, overwrites_only, misses, spaced))
          best = length;
    } while (std::next_permutation(order.begin(), order.end()));
    return best;
  }

 private:
  bool wrote(std::size_t i, int value) const {
    return std::any_of(all_[i].micro.begin(), all_[i].micro.end(),
                       [&](const Micro& micro) { return micro.append && micro.value == value; });
  }

  /// Reads that key in this state, not counting what it appended itself before.
  bool read(std::size_t i, int key, std::size_t position) const {
    std::size_t own = 0;
    for (const Micro& micro : all_[i].micro) {
      if (micro.key != key) continue;
      if (micro.append) {
        ++own;
      } else if (micro.read.size() - own == position) {
        return true;
      }
    }
    return false;
  }

  bool closes(const std::vector<std::size_t>& order, std::size_t length, bool overwrites_only,
              std::size_t misses, bool spaced) const {
    std::vector<bool> missed;
    for (std::size_t i = 0; i < length; ++i) {
      const std::size_t a = order[i];
      const std::size_t b = order[(i + 1) % length];
      if (depends(a, b, Dependency::kOverwrites) || (!overwrites_only && depends(a, b, Dependency::kReads))) {
        missed.push_back(false);
      } else if (!overwrites_only && depends(a, b, Dependency::kMisses)) {
        missed.push_back(true);
      } else {
        return false;
      }
    }
    for (std::size_t i = 0; spaced && i < length; ++i) {
      if (missed[i] && missed[(i + 1) % length]) return false;
    }
    return spaced || static_cast<std::size_t>(std::count(missed.begin(), missed.end(), true)) <= misses;
  }

  const std::vector<Small>& all_;
  std::map<int, std::vector<int>> order_;
};

const model::Anomaly* find(const IsolationVerdict& verdict, AnomalyKind kind) {
  for (const auto& it : verdict.anomalies)
    if (it.kind == kind && it.needs == Needs::kNothing) return &it;
  return nullptr;
}

// Danger: a cycle has a wrong name, is not there, or is longer than need be. The oracle looks at every ordering of every subset of the
// transactions, with dependencies found pair by pair from the definitions.
TEST(IsolationProperty, NamesTheShortestCyclesThatEnumerationFinds) {
  Stream stream = Seed::of_process().stream("cycles");
  std::map<AnomalyKind, int> seen;
  for (int round = 0; round < kRandomHistories; ++round) {
    std::vector<Small> all = draw_programs(stream);
    fill_reads(all, stream);
    if (!everything_was_read(all)) continue;
    const TransactionHistory history = history_of(all);
    const IsolationVerdict verdict = check_isolation(history);
    const auto direct = [](const model::Anomaly& it) { return it.cycle.empty(); };
    if (std::any_of(verdict.anomalies.begin(), verdict.anomalies.end(), direct)) continue;
    const Pairs pairs(all);
    const std::size_t g0 = pairs.shortest(true, 0, false);
    const std::size_t g1 = pairs.shortest(false, 0, false);
    const std::size_t one = pairs.shortest(false, 1, false);
    const std::size_t spaced = pairs.shortest(false, 0, true);
    ASSERT_EQ(verdict.holds(Level::kReadUncommitted), g0 == 0) << words(history, verdict);
    ASSERT_EQ(verdict.holds(Level::kReadCommitted), g1 == 0) << words(history, verdict);
    ASSERT_EQ(verdict.holds(Level::kParallelSnapshot), one == 0) << words(history, verdict);
    ASSERT_EQ(verdict.holds(Level::kSnapshot), spaced == 0) << words(history, verdict);
    for (const auto& anomaly : verdict.anomalies) {
      ++seen[anomaly.kind];
      for (std::size_t i = 0; i < anomaly.cycle.size(); ++i) {
        const Dependency kind = anomaly.cycle[i].edge.kind;
        const auto from = anomaly.cycle[i].from;
        const auto to = anomaly.cycle[(i + 1) % anomaly.cycle.size()].from;
        ASSERT_EQ(anomaly.cycle[i].edge.to, to);
        if (kind <= Dependency::kMisses) {
          ASSERT_TRUE(pairs.depends(from, to, kind)) << words(history, verdict);
        } else {
          ASSERT_TRUE(
              ordered(all[from], all[to], kind == Dependency::kSession ? Needs::kSession : Needs::kRealTime))
              << words(history, verdict);
        }
      }
    }
    if (const auto* it = find(verdict, AnomalyKind::kG0)) {
      ASSERT_EQ(it->cycle.size(), g0) << it->text;
    }
    if (const auto* it = find(verdict, AnomalyKind::kGSingle); it != nullptr && g1 == 0) {
      ASSERT_EQ(it->cycle.size(), one) << it->text;
    }
    if (const auto* it = find(verdict, AnomalyKind::kGNonadjacent); it != nullptr && one == 0) {
      ASSERT_EQ(it->cycle.size(), spaced) << it->text;
    }
  }
  for (const AnomalyKind kind : {AnomalyKind::kG1c, AnomalyKind::kGSingle, AnomalyKind::kG2Item})
    EXPECT_GT(seen[kind], 10) << name(kind);
}

}  // namespace
}  // namespace touchstone::harness
