#pragma once
// The order of a store's commits is known, because each tells its version; the rest follows greedily. Call by call, so that a
// history may be checked while it is made.
//
//   CommitOrder order(rules);
//   order.add(number, invoked, returned, call);                  // as its outcome gets known
//   switch (order.advance(horizon)) ...                          // every call invoked before `horizon` was added
//   for (const OperationNumber it : order.take_placed()) ...     // in an order that explains them; they may be forgotten
//   switch (order.finish()) ...                                  // there are no more
//
// The commits are replayed by version on one state. Everything else observes: it is placed at the earliest state where it is
// legal, as soon as all that returned before its invocation is placed. Placing as early as possible is never wrong, because an
// observation changes nothing and only lets others follow. Rules, cited by number in the code:
//   W1  A call waits until it was invoked before the horizon and nothing unplaced returned before its invocation.
//   W2  The commit of the next version follows when the horizon is behind its return: then every observation that may belong
//       before it is known. If something unplaced returned before its invocation, the history is refuted.
//   W3  If something unplaced returned before the horizon and nobody known made the next version, a commit of unknown outcome
//       made it. Where exactly one could have, it is that one; where several could, the answer is undecided.
//   W4  Nothing is refuted that a commit of unknown outcome may explain: undecided.
// Memory: what is not placed, the state, and its stamps. Cost: for each version the observations open at that time, so O(n c) for
// c clients. (Known order of writes: Gibbons and Korach 1997, Theorem 4.13; the greedy placing is the least solution of lower
// bounds.) Not thread-safe.

#include <cstdint>
#include <map>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model/checker.h"

namespace touchstone::model {

class CommitOrder {
 public:
  enum class Progress { kRunning, kRefuted, kUndecided };

  explicit CommitOrder(const StoreRules& rules) : spec_(rules) {}

  /// `call` stays where it is until it was given back by take_placed(). A call of unknown outcome that changes nothing is not kept.
  void add(OperationNumber number, std::int64_t invoked, std::int64_t returned, const Call<StoreSpec>& call);

  /// Goes as far as is certain. What is not kRunning stays.
  Progress advance(std::int64_t horizon);
  Progress finish() { return advance(kNever); }

  /// What was placed since the last time, in order.
  std::vector<OperationNumber> take_placed() { return std::exchange(placed_, {}); }

  /// How many calls are kept.
  std::size_t kept() const { return waiting_.size() + returns_.size() + unknown_.size(); }

  // Of a history that is refuted:
  OperationNumber failing() const { return failing_; }
  const StoreState& state() const { return state_; }  ///< where it failed
  const std::string& reason() const { return reason_; }

 private:
  struct Entry {
    std::int64_t invoked;
    std::int64_t returned;
    OperationNumber number;
    const Call<StoreSpec>* call;
  };
  struct InvokedLater {
    bool operator()(const Entry& a, const Entry& b) const {
      return a.invoked != b.invoked ? a.invoked > b.invoked : a.number > b.number;
    }
  };
  struct ReturnsEarlier {
    bool operator()(const Entry& a, const Entry& b) const {
      return a.returned != b.returned ? a.returned < b.returned : a.number < b.number;
    }
  };

  std::optional<Illegal> advance_state(const Entry& entry);
  void refuse(const Entry& failing, std::string reason, bool whatever_is_unknown = false);
  void admit(std::int64_t horizon);
  void observe(std::int64_t horizon);
  bool legal_now(const Entry& entry);
  bool commit_next(std::int64_t horizon);
  bool guess_next();
  void place(const Entry& entry);
  std::int64_t next_return() const { return returns_.empty() ? kNever : returns_.begin()->returned; }

  StoreSpec spec_;
  StoreState state_;
  std::priority_queue<Entry, std::vector<Entry>, InvokedLater> waiting_;  ///< W1
  std::set<Entry, ReturnsEarlier> returns_;  ///< admitted, not placed, of known outcome
  std::vector<Entry> observers_;             ///< those of them that change nothing
  std::size_t tried_ = 0;                    ///< so many of them are not legal in this state
  std::vector<Entry> unknown_;               ///< admitted commits of unknown outcome
  std::map<std::uint64_t, Entry> makers_;    ///< of the versions to come, by version
  std::size_t unknown_waiting_ = 0;          ///< of waiting_
  std::vector<OperationNumber> placed_;
  Progress progress_ = Progress::kRunning;
  OperationNumber failing_ = 0;
  std::string reason_;
};

}  // namespace touchstone::model
