#pragma once
// Priority: the first-come queue of those who have earned it, their turns and leases, and the gate that a turn closes.
//
// What a turn keeps out is the store's policy. The ticket, which is the source's: every commit but the holder's; one turn at a time.
// The queue per key (engine/key_queue.h): commits that overlap what the holder reserves; turns that do not overlap go on side by side.
//
// The gate word counts turns: even = nobody has one, odd = somebody has. A turn's number is the odd word that it began with, and the
// token of its claim. With the ticket the word itself says who may pass. So the number is a fencing token too: a holder whose lease ran
// out carries one that is never shown again.
//
//   Claim:   none --join--> queued --its turn--> holding --leave--> none
//                             ^                     | expire
//                             +------- rejoin ------+   (at the head: it keeps its age; its lease doubles)
//
// Use, by a worker that has failed too often:
//   gate.join(claim, cells, lease, counters);  gate.await_turn(claim, deadline, counters);  ... commit ...  gate.leave(claim, counters);
//
// Thread safety: all members from any thread; a Claim belongs to one worker.
//
// Invariants:
//   T1  A commit passes only if no turn but its own claim's keeps it out. Turns that overlap are never at the same time; with the
//       ticket all do.
//   T2  A claim's age is given at its first join and kept until leave(). Its turn begins when no claim that it overlaps holds or is
//       older: first come, first served.
//   T3  The gate is open only while nobody is queued.
//   T4  The word changes only under the mutex, and only upwards.
//   T5  A turn has a lease; whoever finds it run out may end it (expire), so a dead holder blocks nobody for longer.
//   T6  Who sees its token finds its turn begun: everybody else is kept out, and it is not.
//
// Source: chapter 20, section 4. Order, lease and fencing are decisions 0002 and 0006; the second policy is 0012.

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include "engine/key_queue.h"
#include "engine/options.h"
#include "engine/slot.h"

namespace touchstone::engine {

/// A worker's place in the order of tickets.
template <Platform P>
struct Claim {
  typename P::template atomic<std::uint64_t> token{0};  ///< the number of its turn; 0 while it has none
  // Under the gate's mutex:
  std::vector<Cell<P>*> cells;  ///< what its turn reserves under the queue per key
  std::uint64_t age = 0;        ///< 0: none
  Duration lease{0};
  Time lease_end = kForever;  ///< of its turn
  int expiries = 0;
  int renewals = 0;
  int turns_waited = 0;  ///< of others, that ended while it was queued for the same
};

template <Platform P>
class TicketGate {
 public:
  explicit TicketGate(const StoreOptions& options)
      : by_key_(options.policy == Policy::key_queue && options.mode == Mode::smart) {}

  static constexpr bool closed(std::uint64_t gate) { return gate % 2 == 1; }

  /// What keeps a commit with this claim (or null) out, if anything does. Its phase is odd (S1, K2).
  Bar<P> bar(const std::span<Cell<P>* const>& footprint, const std::vector<Write<P>>& writes,
             const Claim<P>* claim) const {
    const std::uint64_t gate = gate_.load();
    return closed(gate) ? bar_at(gate, footprint, writes, claim) : Bar<P>{};
  }

  /// Turns that ended between two looks at a bar's word. A cell's does not say how many, so those missed in between count once.
  int turns(const Bar<P>& from, std::uint64_t to) const {
    return by_key_ ? 1 : static_cast<int>(to / 2 - from.turn / 2);
  }

  /// What is left of the lease of the turn that bars.
  Duration remaining(const Bar<P>& bar) {
    const Lock lock(mutex_);
    for (const Claim<P>* claim : queue_) {
      if (claim->token.load() == bar.turn) return std::max(claim->lease_end - P::now(), Duration(0));
    }
    return Duration(0);
  }

  /// Queues the claim for `cells`; its turn begins at once if nobody is in the way. Nothing if it stands there already.
  void join(Claim<P>& claim, std::span<Cell<P>* const> cells, Duration lease, Counters<P>& counters) {
    const Lock lock(mutex_);
    if (is_queued(claim)) {
      if (!by_key_ || std::equal(cells.begin(), cells.end(), claim.cells.begin(), claim.cells.end())) return;
      take_out(claim, counters);
    }
    if (by_key_) claim.cells.assign(cells.begin(), cells.end());
    if (claim.age == 0) claim.age = ++ages_;
    claim.lease_end = kForever;
    claim.lease = lease * (std::int64_t{1} << std::min(claim.expiries, kMostDoublings));
    claim.renewals = 0;
    claim.turns_waited = 0;
    queue_.push_back(&claim);
    begin_turns(counters);
  }

  /// Ends the claim wherever it stands: a holder's turn, a place in the queue, an age. Safe to call without a
  /// claim. Returns how often its lease ran out.
  int leave(Claim<P>& claim, Counters<P>& counters) {
    const Lock lock(mutex_);
    if (is_queued(claim)) take_out(claim, counters);
    claim.age = 0;
    return std::exchange(claim.expiries, 0);
  }

  /// Ends the turns whose leases have run out.
  void expire(Counters<P>& counters) {
    const Lock lock(mutex_);
    const Time now = P::now();
    while (Claim<P>* late = find_late(now)) {
      ++late->expiries;
      counters.expiries.add(1);
      take_out(*late, counters);
    }
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

  /// Waits until the turn of a joined claim has begun: `holding`. Otherwise `queued` at `deadline`, or `none`
  /// if the turn came and ran out before the caller saw it. Ends leases that run out meanwhile (T5).
  TicketStatus await_turn(Claim<P>& claim, Time deadline, Counters<P>& counters) {
    const auto begun = [](std::uint64_t token) { return token != 0; };
    while (true) {
      // Nobody has a turn, so nobody is queued (T3): its own came and ran out before it looked, and nobody will tell it.
      const Time end = next_lease_end();
      const Time until = end == kForever ? Time{} : std::min(deadline, end);
      if (P::wait_until(claim.token, begun, until)) return TicketStatus::holding;
      const TicketStatus now = status(claim);
      if (now == TicketStatus::none || P::now() >= deadline) return now;
      expire(counters);
    }
  }

  /// Waits until something else shows where the bar was seen, and returns that; nullopt at `deadline`.
  std::optional<std::uint64_t> await_change(const Bar<P>& bar, Time deadline, Counters<P>& counters) {
    const auto& word = bar.cell != nullptr ? bar.cell->reserved : gate_;
    const auto changed = [&bar](std::uint64_t now) { return now != bar.turn; };
    while (true) {
      if (const auto now = P::wait_until(word, changed, std::min(deadline, next_lease_end()))) return now;
      if (P::now() >= deadline) return std::nullopt;
      expire(counters);
    }
  }

 private:
  using Lock = std::lock_guard<typename P::mutex>;

  static constexpr int kMostDoublings = 16;

  [[gnu::noinline]] Bar<P> bar_at(std::uint64_t gate, std::span<Cell<P>* const> footprint,
                                  std::span<const Write<P>> writes, const Claim<P>* claim) const {
    // Relaxed: whoever commits in its turn has seen its token; an older one is of no turn that the gate or a cell can still show.
    const std::uint64_t own = claim != nullptr ? claim->token.load(std::memory_order_relaxed) : 0;
    if (by_key_) return KeyQueue<P>::find(footprint, writes, own);
    return own == gate ? Bar<P>{} : Bar<P>{nullptr, gate};
  }

  bool is_queued(const Claim<P>& claim) const {
    return std::find(queue_.begin(), queue_.end(), &claim) != queue_.end();
  }

  /// Only of claims in the queue. Relaxed: tokens change under the mutex.
  static bool is_holder(const Claim<P>& claim) { return claim.token.load(std::memory_order_relaxed) != 0; }

  bool overlap(const Claim<P>& a, const Claim<P>& b) const {
    return !by_key_ || KeyQueue<P>::overlap(a.cells, b.cells);
  }

  Claim<P>* find_late(Time now) const {
    const auto late = [now](const Claim<P>* claim) { return claim->lease_end <= now; };
    const auto found = std::find_if(queue_.begin(), queue_.end(), late);
    return found != queue_.end() ? *found : nullptr;
  }

  /// Relaxed: a stale end makes the caller look again.
  Time next_lease_end() const { return Time(Duration(next_lease_end_.load(std::memory_order_relaxed))); }

  void set_lease(Claim<P>& claim) {
    claim.lease_end = P::now() + claim.lease;
    note_lease_ends();
  }

  void note_lease_ends() {
    Time first = kForever;
    for (const Claim<P>* claim : queue_) first = std::min(first, claim->lease_end);
    next_lease_end_.store(first.time_since_epoch().count());
  }

  /// T2.
  void begin_turns(Counters<P>& counters) {
    for (Claim<P>* next : queue_) {
      const auto in_the_way = [this, next](const Claim<P>* other) {
        return other != next && (is_holder(*other) || other->age < next->age) && overlap(*other, *next);
      };
      if (!is_holder(*next) && std::none_of(queue_.begin(), queue_.end(), in_the_way))
        begin_turn(*next, counters);
    }
  }

  /// Reservations and lease come before the gate word, which makes others look at them; the token comes last, because its claim's
  /// worker waits for nothing else (T6).
  void begin_turn(Claim<P>& next, Counters<P>& counters) {
    const std::uint64_t gate = gate_.load();
    const std::uint64_t turn = gate + (closed(gate) ? 2 : 1);
    if (by_key_) KeyQueue<P>::reserve(next.cells, turn);
    set_lease(next);
    gate_.store(turn);
    next.token.store(turn);
    counters.grants.add(1);
    P::notify_all(next.token);
  }

  /// Takes a claim out of the queue and ends its turn, if it has one: those it kept waiting go on, and then, if nobody has a turn, the
  /// gate opens (T3).
  void take_out(Claim<P>& claim, Counters<P>& counters) {
    const bool held = is_holder(claim);
    std::erase(queue_, &claim);
    claim.token.store(0);
    if (held) {
      count_turn(claim);
      if (by_key_) KeyQueue<P>::give_up(claim.cells);  // K1
    }
    begin_turns(counters);
    if (held) open_gate(claim);
  }

  void count_turn(const Claim<P>& ended) {
    for (Claim<P>* other : queue_) {
      if (!is_holder(*other) && overlap(ended, *other)) ++other->turns_waited;
    }
  }

  /// Unless there are turns, perhaps new ones; and wakes those who waited for the end of this one.
  void open_gate(const Claim<P>& ended) {
    note_lease_ends();
    const auto holds = [](const Claim<P>* claim) { return is_holder(*claim); };
    if (std::none_of(queue_.begin(), queue_.end(), holds)) gate_.store(gate_.load() + 1);
    if (by_key_) {
      KeyQueue<P>::tell(ended.cells);
    } else {
      P::notify_all(gate_);
    }
  }

  const bool by_key_;
  typename P::template atomic<std::uint64_t> gate_{0};
  typename P::template atomic<std::int64_t> next_lease_end_{0};  ///< of all turns
  typename P::mutex mutex_;
  std::vector<Claim<P>*> queue_;  // under mutex_: holders too
  std::uint64_t ages_ = 0;        // under mutex_
};

}  // namespace touchstone::engine
