#pragma once
// The priority ticket: an admission gate, and the first-come queue of those who have earned to close it.
//
// The gate word counts turns: even = open, odd = closed for the one worker whose claim carries exactly this number. So the word is
// a fencing token too: a holder whose lease ran out carries a number that the gate never shows again.
//
//   Claim:   none --join--> queued --its turn--> holding --leave--> none
//                             ^                     | expire
//                             +------- rejoin ------+   (at the head: it keeps its age; its lease doubles)
//
// Use, by a worker that has failed too often:
//   gate.join(claim, lease, counters);  gate.await_turn(claim, deadline, counters);  ... commit ...  gate.leave(claim, counters);
//
// Thread safety: all members from any thread; a Claim belongs to one worker.
//
// Invariants:
//   T1  At most one claim carries the gate's word, and only while that word is odd.
//   T2  The queue is in order of age, and age is given at the first join and kept until leave(): first come,
//       first served.
//   T3  The gate is open only while nobody is queued.
//   T4  The word changes only under the mutex, and only upwards.
//   T5  A closed gate has a lease; whoever finds it run out may end it (expire), so a dead holder blocks
//       nobody for longer.
//
// Source: chapter 20, section 4. Order, lease and fencing are decisions 0002 and 0006.

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/slot.h"

namespace touchstone::engine {

/// A worker's place in the order of tickets.
template <Platform P>
struct Claim {
  typename P::template atomic<std::uint64_t> token{0};  ///< the gate word of its turn; 0 while it has none
  // Under the gate's mutex:
  std::uint64_t age = 0;  ///< 0: none
  Duration lease{0};
  int expiries = 0;
  int renewals = 0;
  std::uint64_t joined_at = 0;  ///< the gate word when it joined
};

template <Platform P>
class TicketGate {
 public:
  static constexpr bool closed(std::uint64_t gate) { return gate % 2 == 1; }

  /// Turns that ended between two looks at the gate.
  static constexpr int turns(std::uint64_t from, std::uint64_t to) {
    return static_cast<int>(to / 2 - from / 2);
  }

  std::uint64_t look() const { return gate_.load(); }

  /// True if a commit with this claim (or none) may pass a gate that shows `gate`.
  static bool admits(std::uint64_t gate, const Claim<P>* claim) {
    // Relaxed: the token of the current turn was stored before the gate word that the caller has loaded
    // (seq_cst).
    return !closed(gate) || (claim != nullptr && claim->token.load(std::memory_order_relaxed) == gate);
  }

  /// What is left of the lease of a closed gate.
  Duration remaining() const {
    // Relaxed: a stale lease makes the caller look again.
    const Duration left(lease_until_.load(std::memory_order_relaxed) - P::now().time_since_epoch().count());
    return std::max(left, Duration(0));
  }

  /// Queues the claim (at the head if it is older than all others); at an open gate its turn begins at once.
  void join(Claim<P>& claim, Duration lease, Counters<P>& counters) {
    const Lock lock(mutex_);
    if (is_queued(claim)) return;
    if (claim.age == 0) claim.age = ++ages_;
    claim.lease = lease * (std::int64_t{1} << std::min(claim.expiries, kMostDoublings));
    claim.renewals = 0;
    claim.joined_at = gate_.load();
    const auto older = [&claim](const Claim<P>* other) { return other->age < claim.age; };
    const auto holder = closed(claim.joined_at) ? queue_.begin() + 1 : queue_.begin();
    queue_.insert(std::find_if_not(holder, queue_.end(), older), &claim);
    if (!closed(claim.joined_at)) begin_turn(counters);
  }

  /// Ends the claim wherever it stands: a holder's turn, a place in the queue, an age. Safe to call without a
  /// claim. Returns how often its lease ran out.
  int leave(Claim<P>& claim, Counters<P>& counters) {
    const Lock lock(mutex_);
    const bool holds = is_holder(claim);
    std::erase(queue_, &claim);
    if (holds) end_turn(counters);
    claim.token.store(0);
    claim.age = 0;
    return std::exchange(claim.expiries, 0);
  }

  /// Ends the turn `gate` if its lease has run out.
  void expire(std::uint64_t gate, Counters<P>& counters) {
    const Lock lock(mutex_);
    if (gate_.load() != gate || !closed(gate) || remaining() > Duration(0)) return;
    Claim<P>& holder = *queue_.front();
    queue_.erase(queue_.begin());
    ++holder.expiries;
    holder.token.store(0);
    counters.expiries.add(1);
    end_turn(counters);
  }

  /// Gives a holder that tries again its full lease once more, a limited number of times.
  void renew(Claim<P>& claim, int most) {
    const Lock lock(mutex_);
    if (!is_holder(claim) || claim.renewals >= most) return;
    ++claim.renewals;
    set_lease(claim);
  }

  TicketStatus status(Claim<P>& claim) {
    const Lock lock(mutex_);
    if (is_holder(claim)) return TicketStatus::holding;
    return is_queued(claim) ? TicketStatus::queued : TicketStatus::none;
  }

  /// True if the claim had a turn that ran out, and has not left since.
  bool expired(Claim<P>& claim) {
    const Lock lock(mutex_);
    return claim.age != 0 && !is_queued(claim);
  }

  /// Waits until the turn of a joined claim has begun: `holding`. Otherwise `queued` at `deadline`, or `none`
  /// if the turn came and ran out before the caller saw it. Ends leases that run out meanwhile (T5).
  TicketStatus await_turn(Claim<P>& claim, Time deadline, Counters<P>& counters) {
    const auto begun = [](std::uint64_t token) { return token != 0; };
    while (!P::wait_until(claim.token, begun, std::min(deadline, lease_end()))) {
      const TicketStatus now = status(claim);
      if (now == TicketStatus::none || P::now() >= deadline) return now;
      expire(gate_.load(), counters);
    }
    return TicketStatus::holding;
  }

  /// Waits until the gate shows something else than `gate`, and returns that; nullopt at `deadline`.
  std::optional<std::uint64_t> await_change(std::uint64_t gate, Time deadline, Counters<P>& counters) {
    const auto changed = [gate](std::uint64_t now) { return now != gate; };
    while (true) {
      if (const auto now = P::wait_until(gate_, changed, std::min(deadline, lease_end()))) return now;
      if (P::now() >= deadline) return std::nullopt;
      expire(gate, counters);
    }
  }

 private:
  using Lock = std::lock_guard<typename P::mutex>;

  static constexpr int kMostDoublings = 16;

  bool is_queued(const Claim<P>& claim) const {
    return std::find(queue_.begin(), queue_.end(), &claim) != queue_.end();
  }
  bool is_holder(const Claim<P>& claim) const {
    return !queue_.empty() && queue_.front() == &claim && closed(gate_.load());
  }

  /// Relaxed: as in remaining().
  Time lease_end() const { return Time(Duration(lease_until_.load(std::memory_order_relaxed))); }

  void set_lease(const Claim<P>& claim) {
    lease_until_.store((P::now() + claim.lease).time_since_epoch().count());
  }

  /// Closes the gate for the queue's head.
  void begin_turn(Counters<P>& counters) {
    Claim<P>& next = *queue_.front();
    set_lease(next);
    const std::uint64_t gate = gate_.load();
    const std::uint64_t turn = gate + (closed(gate) ? 2 : 1);
    next.token.store(turn);
    gate_.store(turn);
    counters.grants.add(1);
    P::notify_all(next.token);
  }

  /// Hands the gate to the next in the queue, or opens it (T3).
  void end_turn(Counters<P>& counters) {
    if (queue_.empty()) {
      gate_.store(gate_.load() + 1);
    } else {
      begin_turn(counters);
    }
    P::notify_all(gate_);
  }

  typename P::template atomic<std::uint64_t> gate_{0};
  typename P::template atomic<std::int64_t> lease_until_{0};
  typename P::mutex mutex_;
  std::vector<Claim<P>*> queue_;  // under mutex_: the holder first while the gate is closed, then by age
  std::uint64_t ages_ = 0;        // under mutex_
};

}  // namespace touchstone::engine
