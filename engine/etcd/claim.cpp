#include <algorithm>

#include "engine/etcd/store.h"

namespace touchstone::engine {
namespace {

constexpr int kMostDoublings = 16;

}  // namespace

/// Counts a conflict. True if it has a claim or has earned one.
bool EtcdWorker::conflicted() {
  counters_.conflicts.add(1);
  if (in_turn()) renew();
  if (claimed()) return true;
  ++failures_;
  return store_.options().ticket && failures_ >= store_.options().ticket_threshold;
}

/// A holder that tries again has its full window once more, a limited number of times.
void EtcdWorker::renew() {
  if (claim_.renewals >= store_.options().lease_renewals) return;
  ++claim_.renewals;
  if (!gateway_.keep_alive(claim_.lease)) lose_turn();
}

/// Into the queue: for the first time, or at the age that it has. etcd counts leases in seconds.
void EtcdWorker::join() {
  const StoreOptions& options = store_.options();
  const Duration window = std::max(options.lease_least, longest_attempt_ * options.lease_factor);
  const std::int64_t seconds = std::chrono::ceil<std::chrono::seconds>(window).count();
  while (claim_.lease == 0) {
    const auto lease = gateway_.grant(seconds << std::min(claim_.expiries, kMostDoublings));
    claim_.lease = lease.id;
    claim_.seconds = lease.seconds;
    claim_.refreshed = NativePlatform::now();
    try {
      enter_queue();
    } catch (const EtcdLeaseGone&) {
      claim_.lease = 0;  // it ran out before etcd could be reached
    }
  }
}

/// V3. A lost answer is found out by the entry itself, which bears the lease.
void EtcdWorker::enter_queue() {
  std::int64_t drawn = -1;
  while (true) {
    try {
      if (claimed()) {
        gateway_.run({.success = {put(keys_.queued(claim_.age), writer_, claim_.lease)}});
        return;
      }
      if (drawn < 0) {
        const auto ages = gateway_.read({get({keys_.ages()})}).answers.at(0);
        drawn = ages.empty() ? 0 : ages[0].version;
      }
      const auto outcome =
          gateway_.run({.compare = {was_put(keys_.ages(), drawn)},
                        .success = {put(keys_.ages()), put(keys_.queued(drawn + 1), writer_, claim_.lease)},
                        .failure = {get({keys_.ages()}), get({keys_.queued(drawn + 1)})}});
      const bool entered = outcome.succeeded ||
                           (!outcome.answers.at(1).empty() && outcome.answers.at(1)[0].lease == claim_.lease);
      if (entered) {
        claim_.age = drawn + 1;
        return;
      }
      drawn = outcome.answers.at(0).at(0).version;
    } catch (const EtcdUnreachable&) {
      (void)gateway_.read({get({keys_.ages()})});  // waits until etcd is back, or throws
    }
  }
}

/// Its turn begins if nobody older is queued and nobody has one. The lease is made full again then, because it is the window.
bool EtcdWorker::try_begin_turn() {
  if (in_turn()) return true;
  if (NativePlatform::now() - claim_.refreshed > Duration(std::chrono::seconds(claim_.seconds)) / 3) {
    if (!gateway_.keep_alive(claim_.lease)) claim_.lease = 0;
    claim_.refreshed = NativePlatform::now();
    join();
  }
  EtcdOutcome outcome;
  try {
    outcome = gateway_.run(
        {.compare = {is_absent(keys_.older(claim_.age)), is_absent({keys_.turn()}),
                     is_present(keys_.queued(claim_.age))},
         .success = {put(keys_.turn(), writer_, claim_.lease), put(keys_.turns())},
         .failure = {get({keys_.queued(claim_.age)}), get({keys_.turn()}), get({keys_.turns()})}});
  } catch (const EtcdUnreachable&) {
    return false;  // the next look shows whether it began
  } catch (const EtcdLeaseGone&) {
    claim_.lease = 0;
    join();
    return false;
  }
  if (outcome.succeeded) {
    turn_began(outcome.revision);
  } else {
    const auto& turn = outcome.answers.at(1);
    if (!turn.empty() && turn[0].value == writer_) turn_began(turn[0].create_revision);
    claim_.turns = outcome.answers.at(2).empty() ? 0 : outcome.answers.at(2)[0].version;
    if (outcome.answers.at(0).empty()) claim_.lease = 0;  // it ran out while it was queued
    join();
  }
  if (in_turn() && !gateway_.keep_alive(claim_.lease)) lose_turn();
  return in_turn();
}

void EtcdWorker::turn_began(std::int64_t revision) {
  claim_.turn = revision;
  claim_.renewals = 0;
  counters_.grants.add(1);
}

/// Its lease ran out. It keeps its age; the next lease is twice as long.
void EtcdWorker::lose_turn() {
  claim_.turn = 0;
  claim_.lease = 0;
  ++claim_.expiries;
  counters_.expiries.add(1);
}

TicketStatus EtcdWorker::ticket() const {
  if (in_turn()) return TicketStatus::holding;
  return claimed() ? TicketStatus::queued : TicketStatus::none;
}

TicketStatus EtcdWorker::await_turn(Time deadline) {
  if (!claimed()) return TicketStatus::none;
  join();
  for (int round = 0; !try_begin_turn(); ++round) {
    if (NativePlatform::now() >= deadline) return TicketStatus::queued;
    pause(round, deadline);
  }
  return TicketStatus::holding;
}

/// Revoking the lease takes the entry and the turn with it.
void EtcdWorker::give_back() {
  if (claim_.lease != 0) {
    try {
      gateway_.revoke(claim_.lease);
    } catch (const EtcdUnreachable&) {
      // It runs out by itself.
    }
  }
  if (claimed()) failures_ = 0;
  claim_ = {};
}

/// At least a millisecond: what ran out just now may not have been removed yet.
Duration EtcdWorker::remaining(std::int64_t lease) {
  const auto left = lease == 0 ? std::nullopt : gateway_.time_to_live(lease);
  return left && left->count() > 0 ? Duration(*left) : Duration(std::chrono::milliseconds(1));
}

/// Between two looks; with a jitter, so that those who wait do not ask in step.
void EtcdWorker::pause(int round, Time deadline) {
  NativePlatform::sleep_until(std::min(deadline, NativePlatform::now() + kLooks.draw(round + 1, random_)));
}

}  // namespace touchstone::engine
