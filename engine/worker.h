#pragma once
// A worker: the identity that failure counts and tickets belong to. A handle, not a name: two workers that
// run the same process never share a count or a ticket.
//
//   Worker worker = store.worker();
//   ExecuteResult result = store.execute(worker, process);
//
// Thread safety: one thread at a time. It must not outlive its store. Its end gives back its ticket and its
// slot.

#include "engine/process.h"

namespace touchstone::engine {

struct WorkerOptions {
  int failures = 0;          ///< consecutive conflicts it starts with, to reach the ticket soon in a test
  std::uint64_t stream = 0;  ///< of its jitter; 0: numbered by the store
};

template <Platform P>
class Worker {
 public:
  ~Worker() {
    give_back();
    store_.slots_.release(slot_);
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  /// Consecutive conflicts so far.
  int failures() const { return failures_; }

  /// Where it stands. After `holding` from Store::await_turn its next commit from a version read later cannot
  /// conflict.
  TicketStatus ticket() { return claimed_ ? store_.gate_.status(claim_) : TicketStatus::none; }

  /// Gives a ticket or a place in the queue back: what a loop written by hand does when it gives up.
  void give_back() {
    if (claimed_) leave_gate();
  }

 private:
  friend class Store<P>;
  template <Platform Q>
  friend class Execution;

  Worker(Store<P>& store, const WorkerOptions& options, std::uint64_t stream)
      : store_(store),
        slot_(store.slots_.acquire()),
        random_(store.options_.seed, stream),
        failures_(options.failures) {}

  Counters<P>& counters() { return slot_->counters; }
  bool claimed() const { return claimed_; }
  const Claim<P>* claim_if_any() const { return claimed_ ? &claim_ : nullptr; }

  Duration lease() const {
    return std::max(store_.options_.lease_least, longest_attempt_ * store_.options_.lease_factor);
  }

  [[gnu::noinline]] void leave_gate() {
    expiries_ = store_.gate_.leave(claim_, counters());
    claimed_ = false;
    failures_ = 0;
  }

  /// Into the queue, for a turn that reserves `cells`: for the first time, or after its turn ran out, or because it wants others now.
  [[gnu::noinline]] void join(std::span<Cell<P>* const> cells) {
    claimed_ = true;
    store_.gate_.join(claim_, cells, lease(), counters());
  }

  /// After its turn ran out: to the head of the queue, with a longer lease.
  void rejoin() { join(std::vector(claim_.cells)); }

  void succeeded(CommitPath path) {
    if (path == CommitPath::empty) counters().commits_empty.add(1);
    failures_ = 0;
    give_back();
  }

  /// Counts a conflict (E1). True if it has a claim or has earned one, and is to join.
  bool conflicted(const Cell<P>* where) {
    counters().conflicts.add(1);
    if (where != nullptr) const_cast<Cell<P>*>(where)->conflicts.add(1);
    if (claimed_) {
      if (ticket() == TicketStatus::holding) store_.gate_.renew(claim_, store_.options_.lease_renewals);
      return true;
    }
    ++failures_;
    return store_.options_.ticket && failures_ >= store_.options_.ticket_threshold;
  }

  Store<P>& store_;
  Slot<P>* const slot_;
  Claim<P> claim_;
  bool claimed_ = false;  ///< the claim has joined and not left
  typename P::random random_;
  int failures_;
  int expiries_ = 0;  ///< of the claim that was given back last
  Duration longest_attempt_{0};
  Scratch<P> scratch_;
};

}  // namespace touchstone::engine
