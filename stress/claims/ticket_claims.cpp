// B4 to B8: the ticket by hand, step by step on one thread, so that every answer is decided; B5 and B6 also on real threads. The
// lease is an hour unless its end is the point. What holds on any schedule is in schedule_claims.cpp.

#include <atomic>
#include <memory>
#include <stdexcept>

#include "engine/store.h"
#include "harness/start_together.h"
#include "stress/claims/claims.h"
#include "stress/ticket_rig.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;  // the claims are about it
using harness::ClaimRun;
using harness::ReplayClass;
using harness::Seed;
using Native = NativePlatform;

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

// B5. Every kind of caller tries while the gate is certainly closed: with a worker and without, stale, fresh and mergeable
// versions, old and new paths, writes and erases, in both modes.
void closed_gate_answers_busy(ClaimRun& run) {
  run.once([&](Seed seed) {
    for (const Mode mode : {Mode::smart, Mode::strict}) {
      const auto store = patient_store({.mode = mode}, seed.value());
      write(*store, 1, "m");
      auto holder = store->worker({.failures = 4}), other = store->worker();
      const auto before = store->snapshot();
      run.require(fail_once(*store, holder) == TicketStatus::holding, "the fifth conflict earned no ticket");
      for (auto* worker : {&other, static_cast<NativeWorker*>(nullptr)}) {
        for (const Version expected : {0, 1, 2}) {
          for (const char* path : {"n", "unrelated", "n.below", "fresh.path"}) {
            for (const WriteSet& writes : {WriteSet{}.set(path, 5), WriteSet{}.erase(path)}) {
              const auto answer = store->compare_and_swap(expected, writes, worker);
              const auto* told = std::get_if<Busy>(&answer);
              run.require(told != nullptr && told->retry_after > Duration(0),
                          "a write of {} from {} passed the closed gate", path, expected);
              ++run.tried().operations;
            }
          }
        }
      }
      run.require(other.failures() == 0, "Busy counted as a failure");
      const auto after = store->snapshot();
      run.require(after.version() == 2 && after.read("n") == before.read("n") && !after.read("unrelated") &&
                      !after.read("fresh.path") && after.changed("n") == before.changed("n"),
                  "Busy changed the state, or readers stopped");
      run.require(is<Committed>(write(*store, 2, "n", &holder)), "the holder's commit conflicted");
      run.require(is<Committed>(write(*store, 3, "n", &other)),
                  "the gate stayed closed after the holder's commit");
    }
  });
}

/// What the threads of B5 tell each other. The first that throws ends the others.
struct Hall {
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> reads{0};
  std::atomic<std::uint64_t> refused{0};
};

/// Reads until the hall is done: both paths are only ever written together.
void read_on(const ClaimRun& run, Store<>& store, Hall& hall) {
  while (!hall.done) {
    const auto seen = store.snapshot();
    run.require(seen.read("n") == seen.read("m"), "a reader saw half of a commit");
    hall.reads.fetch_add(1);
  }
}

void commit_on(Store<>& store, Hall& hall) {
  while (!hall.done) {
    const Version now = store.version();
    const auto value = static_cast<std::int64_t>(now);
    const auto answer = store.compare_and_swap(now, WriteSet{}.set("n", value).set("m", value));
    if (busy(answer)) hall.refused.fetch_add(1);
  }
}

/// Holds the ticket until the readers have read on and the writers were refused; nothing may have been committed by then, and
/// its own commit must be.
void hold_among_others(const ClaimRun& run, Store<>& store, Hall& hall) {
  auto worker = store.worker({.failures = 4});
  run.require(fail_once(store, worker) == TicketStatus::holding, "the fifth conflict earned no ticket");
  const Version version = store.version();
  const auto reads = hall.reads.load(), refused = hall.refused.load();
  while (!hall.done && (hall.reads < reads + 10 || hall.refused < refused + 10)) std::this_thread::yield();
  run.require(store.version() == version, "somebody committed while the ticket was held");
  run.require(committed(store.compare_and_swap(version, WriteSet{}.set("n", -1).set("m", -1), &worker)),
              "the holder's commit conflicted");
}

// B5. Danger: a commit that passed the gate before it closed lands in the holder's turn, or readers wait for the gate. Two
// threads commit and two read without a pause while a third takes the ticket again and again.
void readers_go_on_in_every_turn(ClaimRun& run) {
  run.rounds([&](Seed seed) {
    const auto store = patient_store({}, seed.value());
    store->compare_and_swap(1, WriteSet{}.set("n", 0).set("m", 0));
    Hall hall;
    harness::start_together(5, [&](int thread) {
      try {
        if (thread == 0) {
          for (int turn = 0; turn < 10; ++turn) hold_among_others(run, *store, hall);
        } else {
          thread < 3 ? commit_on(*store, hall) : read_on(run, *store, hall);
        }
      } catch (...) {
        hall.done = true;
        throw;
      }
      hall.done = true;
    });
    run.tried().operations += hall.reads + store->version();
  });
}

// B6. Six workers earn the ticket one after the other and overstay; while a seventh holds the gate they come back, in an order
// of the seed's. First come is first served by when each first earned it, and there is one holder at a time. No thread, and
// nobody looks at a clock once they have overstayed: no lease can end in the middle.
void queue_is_first_come(ClaimRun& run) {
  run.rounds([&](Seed seed) {
    auto stream = seed.stream("B6");
    Store<> store(leases_by_experience());
    write(store, 0, "n");
    auto holder = store.worker({.failures = 1});
    run_once(store, holder);
    std::vector<std::unique_ptr<NativeWorker>> workers;
    std::vector<NativeWorker*> back;
    for (int i = 0; i < 6; ++i) {
      workers.push_back(hire(store, 4));
      back.push_back(workers.back().get());
      overstay(store, *back.back());
    }
    for (int failure = 1; failure <= 5; ++failure) fail_once(store, holder);
    run.require(holder.ticket() == TicketStatus::holding, "the fifth conflict earned no ticket");
    stream.shuffle(back);
    for (auto* worker : back) {
      run.require(busy(write(store, store.version(), "n", worker)),
                  "an expired worker passed the closed gate");
      run.require(worker->ticket() == TicketStatus::queued, "it is not back in the queue");
    }
    auto* next = &holder;
    for (std::size_t turn = 0; turn <= workers.size(); ++turn) {
      run.require(committed(write(store, store.version(), "n", next)), "the holder of turn {} did not commit",
                  turn);
      if (turn == workers.size()) break;
      next = workers[turn].get();
      int holders = 0;
      for (const auto& worker : workers) holders += worker->ticket() == TicketStatus::holding ? 1 : 0;
      run.require(holders == 1 && next->ticket() == TicketStatus::holding,
                  "turn {}: {} holders, or not the one whose turn it is", turn + 1, holders);
    }
    run.tried().operations += 30;
  });
}

// B6. Eight executions on threads queue behind a holder, one after the other, each when the statistics show that the last one is
// in place. Their bodies must run again in just this order, one at a time.
void executions_take_turns_in_order(ClaimRun& run) {
  run.rounds([&](Seed seed) {
    const auto store = patient_store({.busy_limit = 0}, seed.value());
    auto holder = store->worker({.failures = 4});
    run.require(fail_once(*store, holder) == TicketStatus::holding, "the fifth conflict earned no ticket");
    Queue queue(*store);
    for (int name = 0; name < 8; ++name) queue.add(name);
    run.require(queue.order().empty(), "somebody's turn began while another held the gate");
    run.require(committed(write(*store, store->version(), "n", &holder)), "the holder did not commit");
    queue.join();
    const auto order = queue.order();
    run.require(order == std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}, "the turns were taken in the order {}",
                fmt::join(order, ", "));
    run.require(queue.committed() == 8 && !queue.had_two_holders(), "{} of 8 committed{}", queue.committed(),
                queue.had_two_holders() ? ", two held the ticket at once" : "");
    run.tried().operations += 9;
  });
}

// B7. A worker that certainly holds the ticket ends in each way; the lease is an hour, so if the gate reopens, it is because the
// ticket was given back.
void gate_reopens_however_the_holder_ends(ClaimRun& run) {
  run.once([&](Seed seed) {
    const auto store = patient_store({}, seed.value());
    const auto reopened = [&] { return committed(write(*store, store->version(), "m")); };
    const auto process = [&](Process<Native>::Body body) {
      return store->process("p", {.inputs = {}, .outputs = {"n"}}, std::move(body));
    };
    const auto ends = [&](const char* how, auto end) {
      auto worker = hire(*store, 4);
      run.require(fail_once(*store, *worker) == TicketStatus::holding && !reopened(),
                  "{}: the gate was never closed", how);
      end(worker);
      run.require(reopened(), "{}: the gate stayed closed", how);
      ++run.tried().operations;
    };
    ends("exception", [&](auto& worker) {
      bool thrown = false;
      try {
        store->execute(*worker, process([](Context<Native>&) { throw std::runtime_error("body"); }));
      } catch (const std::runtime_error&) {
        thrown = true;
      }
      run.require(thrown, "the body's exception did not pass through");
    });
    ends("cancelled before it began", [&](auto& worker) {
      StopFlag<Native> stop;
      stop.request();
      const auto result =
          store->execute(*worker, process([](Context<Native>& ctx) { ctx.set("n", 1); }), {.stop = &stop});
      run.require(std::holds_alternative<Cancelled>(result.outcome), "a stopped execution was not Cancelled");
    });
    ends("cancelled in its body", [&](auto& worker) {
      StopFlag<Native> stop;
      const auto n = store->read("n");
      const auto result = store->execute(*worker, process([&](Context<Native>& ctx) {
        stop.request();
        ctx.set("n", -7);
      }),
                                         {.stop = &stop});
      const bool cancelled = std::holds_alternative<Cancelled>(result.outcome);
      run.require(cancelled || result.committed(), "neither cancelled nor committed");
      run.require(store->read("n") == (cancelled ? n : Value(-7)), "the result does not say what happened");
    });
    ends("return without writes", [&](auto& worker) {
      run.require(store->execute(*worker, process([](Context<Native>&) {})).committed(),
                  "a body without writes did not end");
    });
    ends("broken contract", [&](auto& worker) {
      const auto result = store->execute(*worker, process([](Context<Native>& ctx) { ctx.set("x", 1); }));
      run.require(std::holds_alternative<Rejected>(result.outcome), "a broken contract was not rejected");
    });
    ends("deadline", [&](auto& worker) {
      const auto result =
          store->execute(*worker, process([](Context<Native>&) {}), {.deadline = Native::now()});
      run.require(std::holds_alternative<DeadlineExceeded>(result.outcome), "a deadline was not noticed");
    });
    ends("destroyed handle", [](auto& worker) { worker.reset(); });
    ends("the end of its thread", [](auto& worker) { std::thread([&] { worker.reset(); }).join(); });
    ends("given back", [](auto& worker) { worker->give_back(); });
  });
}

// B7. A holder that overstays: somebody else's commit ends its lease, and a second worker with a long lease takes the next turn.
// The late one's commit is refused, and neither that, nor giving back, nor its end touches the turn that goes on.
void late_holder_is_fenced(ClaimRun& run) {
  run.rounds([&](Seed) {
    Store<> store(leases_by_experience());
    write(store, 0, "n");
    auto late = hire(store, 4);
    auto successor = store.worker({.failures = 1});
    run_once(store, successor);
    overstay(store, *late);
    run.require(store.statistics().expiries == 1, "{} expiries were counted", store.statistics().expiries);
    for (int failure = 1; failure <= 5; ++failure) fail_once(store, successor);
    const auto undisturbed = [&](const char* after) {
      run.require(successor.ticket() == TicketStatus::holding && busy(write(store, store.version(), "m")),
                  "{} the late holder ended its successor's turn", after);
      ++run.tried().operations;
    };
    undisturbed("before anything");
    const auto value = store.read("n");
    run.require(busy(write(store, store.version(), "n", late.get())),
                "the late holder's commit was not refused");
    run.require(store.read("n") == value, "the late holder's refused commit is in the state");
    undisturbed("by its commit");
    late->give_back();
    undisturbed("by giving back");
    run.require(busy(write(store, store.version(), "n", late.get())), "a second commit was not refused");
    late.reset();
    undisturbed("by its end");
    run.require(committed(write(store, store.version(), "n", &successor)),
                "the successor's commit conflicted");
    run.require(committed(write(store, store.version(), "m")), "the gate stayed closed after all");
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
  constexpr auto kExact = ReplayClass::exact;
  constexpr auto kThreads = ReplayClass::workload;
  registry.add({"B4", "the 5th consecutive conflict earns the ticket; success resets", "steps", kExact, 0,
                fifth_conflict_earns_the_ticket});
  registry.add({"B5", "while it is held others get Busy, readers go on, the holder commits", "steps", kExact,
                0, closed_gate_answers_busy});
  registry.add_part("B5", {"threads", "threads", kThreads, 2, readers_go_on_in_every_turn});
  registry.add({"B6", "candidates are served first come, one holder at a time", "steps", kExact, 1,
                queue_is_first_come});
  registry.add_part("B6", {"threads", "threads", kThreads, 1, executions_take_turns_in_order});
  registry.add({"B7", "the gate reopens however its holder ends; a late holder is fenced", "steps", kExact, 0,
                gate_reopens_however_the_holder_ends});
  registry.add_part("B7", {"late", "steps", kExact, 0, late_holder_is_fenced});
  registry.add({"B8", "failures and tickets belong to a worker, not to a name", "steps", kExact, 0,
                identity_is_the_handle});
}

}  // namespace touchstone::stress
