// B4 to B8: the ticket by hand, step by step on one thread, so that every answer is decided. The lease is an hour unless
// its end is the point.

#include <memory>
#include <stdexcept>

#include "engine/store.h"
#include "stress/claims/claims.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;  // the claims are about it
using harness::ClaimRun;
using harness::ReplayClass;
using harness::Seed;
using Native = NativePlatform;
using NativeWorker = Worker<Native>;

/// A store at version 1 whose path "n" makes any commit from version 0 a conflict.
struct Contended {
  explicit Contended(Duration lease = std::chrono::hours(1)) : store(options(lease)) {
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
  }

  static StoreOptions options(Duration lease) {
    StoreOptions made;
    made.lease_least = lease;
    return made;
  }

  CommitResult stale(NativeWorker& worker) {
    return store.compare_and_swap(0, WriteSet{}.set("n", 1), &worker);
  }
  CommitResult fresh(NativeWorker& worker) {
    return store.compare_and_swap(store.version(), WriteSet{}.set("n", 2), &worker);
  }

  Store<> store;
};

bool committed(const CommitResult& result) {
  return std::holds_alternative<Committed>(result);
}
bool busy(const CommitResult& result) {
  return std::holds_alternative<Busy>(result);
}

/// The ticket that this conflict earned.
TicketStatus earned(const ClaimRun& run, const CommitResult& result) {
  const auto* conflict = std::get_if<Conflict>(&result);
  run.require(conflict != nullptr, "a stale commit did not conflict");
  return conflict->ticket;
}

void fail(const ClaimRun& run, Contended& it, NativeWorker& worker, int times) {
  for (int i = 0; i < times; ++i) earned(run, it.stale(worker));
}

void fifth_conflict_earns_the_ticket(ClaimRun& run) {
  run.once([&](Seed) {
    Contended it;
    auto worker = it.store.worker();
    for (int i = 1; i <= 5; ++i) {
      const auto status = earned(run, it.stale(worker));
      run.require((status == TicketStatus::holding) == (i == 5), "after conflict {} the worker stands at {}",
                  i, static_cast<int>(status));
    }
    worker.give_back();
    fail(run, it, worker, 4);
    run.require(committed(it.fresh(worker)), "a fresh commit failed");
    fail(run, it, worker, 4);
    run.require(worker.ticket() == TicketStatus::none, "a success in between did not reset the count");
    run.require(earned(run, it.stale(worker)) == TicketStatus::holding,
                "the fifth after the reset earned nothing");
    run.tried().operations += 15;
  });
}

void closed_gate_answers_busy(ClaimRun& run) {
  run.once([&](Seed) {
    Contended it;
    auto holder = it.store.worker({.failures = 4});
    auto other = it.store.worker();
    fail(run, it, holder, 1);
    for (int i = 0; i < 20; ++i) {
      run.require(busy(it.fresh(other)), "a valid commit of another passed the closed gate");
      run.require(busy(it.stale(other)), "a stale commit of another was not Busy while the gate was closed");
      run.require(busy(it.store.compare_and_swap(1, WriteSet{}.set("elsewhere", 1))),
                  "an anonymous commit passed");
    }
    run.require(other.failures() == 0, "Busy counted as a failure");
    run.require(it.store.version() == 1 && it.store.read("n") == Value(0) && !it.store.read("elsewhere"),
                "Busy changed the state, or readers stopped");
    run.require(committed(it.fresh(holder)), "the holder's commit conflicted");
    run.require(committed(it.fresh(other)), "the gate stayed closed after the holder's commit");
    run.tried().operations += 63;
  });
}

void queue_is_first_come(ClaimRun& run) {
  run.rounds([&](Seed seed) {
    auto stream = seed.stream("B6");
    Contended it;
    std::vector<std::unique_ptr<NativeWorker>> workers;
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < 6; ++i) {
      // Guaranteed elision: a Worker cannot be moved.
      workers.emplace_back(new NativeWorker(it.store.worker()));
      order.push_back(i);
    }
    stream.shuffle(order);
    // All but one failure each, interleaved; then the fifth in an order of the seed's.
    for (std::size_t i = 0; i < 6; ++i) fail(run, it, *workers[i], 4);
    earned(run, it.stale(*workers[order[0]]));
    // The gate is closed now: the others' failures count only once it opens, so they join by the queue's other door.
    run.require(workers[order[0]]->ticket() == TicketStatus::holding, "the first fifth conflict holds");
    for (std::size_t i = 1; i < 6; ++i)
      run.require(busy(it.stale(*workers[order[i]])), "a conflict was counted while the gate was closed");
    for (std::size_t turn = 0; turn < 6; ++turn) {
      if (turn > 0) earned(run, it.stale(*workers[order[turn]]));
      int holders = 0;
      for (const auto& worker : workers) holders += worker->ticket() == TicketStatus::holding ? 1 : 0;
      run.require(holders == 1 && workers[order[turn]]->ticket() == TicketStatus::holding,
                  "turn {}: {} holders, or not the one whose turn it is", turn, holders);
      run.require(committed(it.fresh(*workers[order[turn]])), "the holder of turn {} did not commit", turn);
      run.tried().operations += 8;
    }
  });
}

void gate_reopens_however_the_holder_ends(ClaimRun& run) {
  run.once([&](Seed) {
    const auto open_again = [&](Contended& it, const char* how) {
      run.require(committed(it.store.compare_and_swap(it.store.version(), WriteSet{}.set("m", 1))),
                  "{}: the gate stayed closed", how);
      ++run.tried().operations;
    };
    {
      Contended it;
      auto worker = it.store.worker({.failures = 4});
      fail(run, it, worker, 1);
      auto process = it.store.process("throws", {.inputs = {}, .outputs = {"n"}},
                                      [](Context<Native>&) { throw std::runtime_error("body"); });
      bool thrown = false;
      try {
        it.store.execute(worker, process);
      } catch (const std::runtime_error&) {
        thrown = true;
      }
      run.require(thrown, "the body's exception did not pass through");
      open_again(it, "exception");
    }
    {
      Contended it;
      auto worker = it.store.worker({.failures = 4});
      fail(run, it, worker, 1);
      auto process = it.store.process("idle", {.inputs = {}, .outputs = {"n"}}, [](Context<Native>&) {});
      run.require(it.store.execute(worker, process).committed(), "a body without writes did not end");
      open_again(it, "return without writes");
    }
    {
      Contended it;
      {
        auto worker = it.store.worker({.failures = 4});
        fail(run, it, worker, 1);
      }
      open_again(it, "destroyed handle");
    }
    // A holder that overstays: the gate opens at the lease's end; its successor's turn is out of its reach.
    Contended it(std::chrono::milliseconds(5));
    auto late = it.store.worker({.failures = 4});
    auto next = it.store.worker({.failures = 4});
    fail(run, it, late, 1);
    Native::sleep_until(Native::now() + std::chrono::milliseconds(6));
    open_again(it, "overstayed lease");
    run.require(earned(run, it.stale(next)) == TicketStatus::holding, "the successor has no turn");
    late.give_back();
    run.require(next.ticket() == TicketStatus::holding, "the late holder released its successor's ticket");
    run.require(it.store.statistics().expiries >= 1, "no expiry was counted");
    ++run.tried().operations;
  });
}

void identity_is_the_handle(ClaimRun& run) {
  run.once([&](Seed) {
    Contended it;
    auto one = it.store.worker();
    auto two = it.store.worker();
    // Both run the process of the same name; their failures alternate.
    for (int i = 0; i < 4; ++i) {
      fail(run, it, one, 1);
      fail(run, it, two, 1);
    }
    run.require(one.ticket() == TicketStatus::none && two.ticket() == TicketStatus::none,
                "two workers shared a count of failures");
    fail(run, it, one, 1);
    run.require(one.ticket() == TicketStatus::holding && two.ticket() == TicketStatus::none,
                "a ticket was shared");
    run.require(busy(it.fresh(two)) && committed(it.fresh(one)), "the ticket admits another than its worker");
    run.tried().operations += 11;
  });
}

}  // namespace

void add_ticket_claims(harness::ClaimRegistry& registry) {
  registry.add({"B4", "the 5th consecutive conflict earns the ticket; success resets", "step by step",
                ReplayClass::exact, 0, fifth_conflict_earns_the_ticket});
  registry.add({"B5", "while it is held others get Busy, readers go on, the holder commits", "step by step",
                ReplayClass::exact, 0, closed_gate_answers_busy});
  registry.add({"B6", "candidates are served first come, one holder at a time", "random orders",
                ReplayClass::exact, 1, queue_is_first_come});
  registry.add({"B7", "the gate reopens however its holder ends; fencing", "step by step", ReplayClass::exact,
                0, gate_reopens_however_the_holder_ends});
  registry.add({"B8", "failures and tickets belong to a worker, not to a name", "step by step",
                ReplayClass::exact, 0, identity_is_the_handle});
}

}  // namespace touchstone::stress
