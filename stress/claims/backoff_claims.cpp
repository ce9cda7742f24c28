// B1, B2, B3, B9, B10: back-off, crowds, and what one execute() can be made to go through. Waits are only ever checked from below, never against the wall clock from above.

#include <algorithm>
#include <climits>
#include <memory>
#include <thread>

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
using std::chrono::milliseconds;
using Native = NativePlatform;

/// B10's bound on one execute(). A lease that runs out gives its holder another turn, so each one, of whomever, can cost those
/// who wait one more closing; where none ran out, the bound is the source's.
void require_within_the_bound(const ClaimRun& run, const ExecuteResult& result, Store<>& store, int workers) {
  const Effort& effort = result.effort;
  run.require(result.committed(), "an execute() did not commit");
  run.require(effort.conflicts <= 5 + effort.expiries, "{} conflicts with {} expiries", effort.conflicts,
              effort.expiries);
  run.require(effort.attempts <= 6 + effort.expiries, "{} body runs with {} expiries", effort.attempts,
              effort.expiries);
  const auto expiries = static_cast<int>(store.statistics().expiries);
  const int most = store.options().busy_limit + workers - 1 + expiries;
  run.require(effort.closings_waited <= most,
              "{} closings of the gate waited out, of at most {} ({} leases ran out)", effort.closings_waited,
              most, expiries);
}

// B1. Every draw of every retry lies in its band, also where a shift would overflow.
void waits_lie_in_their_bands(ClaimRun& run) {
  run.rounds([&](Seed seed) {
    const Backoff backoff{milliseconds(1), 5};
    Native::random random(seed.value(), 1);
    for (const int retry : {1, 2, 3, 4, 5, 6, 31, 32, 33, 63, 64, 65, INT_MAX}) {
      const Duration least = milliseconds(1 << std::min(retry, 5));
      for (int draw = 0; draw < 1000; ++draw) {
        const Duration wait = backoff.draw(retry, random);
        run.require(wait >= least && wait < least + least / 2, "retry {} waits {} ns", retry, wait.count());
      }
      run.tried().operations += 1000;
    }
  });
}

// B2. Fifty workers read, sleep, and write one counter. A lost update leaves it short.
void fifty_workers_count_to_fifty(ClaimRun& run) {
  constexpr int kWorkers = 50;
  run.rounds([&](Seed seed) {
    Store<> store({.seed = seed.value()});
    harness::start_together(kWorkers, [&](int) {
      auto worker = store.worker();
      auto process = store.process("count", {.inputs = {}, .outputs = {"n"}}, [](Context<Native>& context) {
        const auto n = context.read("n");
        Native::sleep_until(Native::now() + std::chrono::microseconds(100));
        context.set("n", n ? n->integer() + 1 : 1);
      });
      require_within_the_bound(run, store.execute(worker, process), store, kWorkers);
    });
    run.require(store.read("n") == Value(kWorkers), "the counter is {}",
                to_text(store.read("n").value_or(Value(0))));
    run.require(store.statistics().conflicts > 0, "fifty workers never met: nothing was shown");
    run.tried().operations += kWorkers;
  });
}

// B3. A body of 20 ms among five of a tenth of it that go on until it has its three commits: only the ticket can help.
void slow_worker_is_served(ClaimRun& run) {
  run.rounds([&](Seed seed) {
    Store<> store({.seed = seed.value()});
    harness::start_together(6, [&](int id) {
      auto worker = store.worker();
      const Duration work = milliseconds(id == 0 ? 20 : 2);
      auto process = store.process("work", {.inputs = {}, .outputs = {"n"}}, [&](Context<Native>& context) {
        const auto n = context.read("n");
        Native::sleep_until(Native::now() + work);
        context.set("n", n ? n->integer() + 1 : 1);
      });
      for (int i = 0; i < (id == 0 ? 3 : 10); ++i) {
        require_within_the_bound(run, store.execute(worker, process), store, 6);
      }
    });
    run.require(store.read("n") == Value(53), "{} of 53 updates",
                to_text(store.read("n").value_or(Value(0))));
    run.tried().operations += 53;
  });
}

// B9. Sixteen executions wait at the gate; the holder commits. How long each waits then is drawn from its own stream,
// so their commits come in the order of those draws as often as chance does not explain, and never all in one burst.
void waiters_do_not_stampede(ClaimRun& run) {
  constexpr int kWaiters = 16;
  constexpr Duration kBase = milliseconds(20);
  run.once([&](Seed seed) {
    Store<> store({.backoff_base = kBase, .lease_least = std::chrono::hours(1), .seed = seed.value()});
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    auto holder = store.worker({.failures = 4});
    store.compare_and_swap(0, WriteSet{}.set("n", 1), &holder);
    run.require(holder.ticket() == TicketStatus::holding, "the fifth conflict earned no ticket");
    Time opened{};
    std::vector<Duration> waited(kWaiters);
    harness::start_together(kWaiters + 1, [&](int id) {
      if (id == kWaiters) {
        while (store.statistics().busy < kWaiters) std::this_thread::yield();
        opened = Native::now();
        store.compare_and_swap(1, WriteSet{}.set("n", 1), &holder);
        return;
      }
      auto worker = store.worker({.stream = static_cast<std::uint64_t>(id) + 1});
      const std::string key = "key" + std::to_string(id);
      auto process = store.process("p", {.inputs = {}, .outputs = {key}},
                                   [&](Context<Native>& context) { context.set(key, 1); });
      store.execute(worker, process);
      waited[static_cast<std::size_t>(id)] = Native::now() - opened;
    });
    for (int id = 0; id < kWaiters; ++id) {
      Native::random stream(seed.value(), static_cast<std::uint64_t>(id) + 1);
      const Duration drawn(
          static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(kBase.count()))));
      run.require(waited[static_cast<std::size_t>(id)] >= drawn,
                  "waiter {} came {} ns after the gate opened, before its {} ns", id,
                  waited[static_cast<std::size_t>(id)].count(), drawn.count());
    }
    const auto [first, last] = std::minmax_element(waited.begin(), waited.end());
    run.require(*last - *first >= kBase / 4, "all waiters came within {} ns", (*last - *first).count());
    run.tried().operations += kWaiters;
  });
}

// B10. Hot workers of different speed, for as long as there is time: every single execute() within the bound.
void every_execute_is_bounded(ClaimRun& run) {
  run.rounds([&](Seed seed) {
    constexpr int kWorkers = 8;
    Store<> store({.backoff_base = std::chrono::microseconds(20), .seed = seed.value()});
    harness::start_together(kWorkers, [&](int id) {
      auto worker = store.worker();
      auto process = store.process("hot", {.inputs = {}, .outputs = {"hot"}}, [&](Context<Native>& context) {
        const auto n = context.read("hot");
        if (id % 2 == 0) std::this_thread::yield();
        if (id == 0) Native::sleep_until(Native::now() + std::chrono::microseconds(300));
        context.set("hot", n ? n->integer() + 1 : 1);
      });
      for (int i = 0; i < 50; ++i)
        require_within_the_bound(run, store.execute(worker, process), store, kWorkers);
    });
    run.require(store.read("hot") == Value(50 * kWorkers), "an update was lost");
    run.tried().operations += 50 * kWorkers;
  });
}

// B10. The worst there is, made by hand: somebody else always commits first. Five conflicts and six body runs are the end, because
// the sixth body runs behind a closed gate; and eleven expired workers whose turns follow one another are all that a twelfth,
// which only ever finds the gate closed, can be made to wait out before its own.
void worst_rivals_meet_the_bound(ClaimRun& run) {
  run.once([&](Seed seed) {
    const auto store = patient_store({.backoff = false}, seed.value());
    auto worker = store->worker();
    auto victim = store->process("victim", {.inputs = {}, .outputs = {"n"}}, [&](Context<Native>& ctx) {
      std::thread([&] { write(*store, store->version(), "n"); }).join();
      ctx.set("n", -1);
    });
    const auto result = store->execute(worker, victim, {.attempts = 1'000});
    run.require(result.committed() && result.effort.conflicts == 5 && result.effort.attempts == 6,
                "against the worst rival: {} conflicts, {} body runs", result.effort.conflicts,
                result.effort.attempts);
    run.tried().operations += 12;
  });
}

void always_finds_the_gate_closed(ClaimRun& run) {
  run.once([&](Seed) {
    Store<> store(leases_by_experience());
    write(store, 0, "n");
    auto holder = store.worker({.failures = 1});
    run_once(store, holder);
    std::vector<std::unique_ptr<NativeWorker>> expired;
    for (int i = 0; i < 11; ++i) {
      expired.push_back(hire(store, 4));
      overstay(store, *expired.back());
    }
    for (int failure = 1; failure <= 5; ++failure) fail_once(store, holder);
    for (auto& worker : expired)
      run.require(is<Busy>(write(store, store.version(), "n", worker.get())),
                  "an expired worker passed the gate");
    const auto busy = store.statistics().busy;
    harness::start_together(2, [&](int thread) {
      if (thread == 0) {
        while (store.statistics().busy == busy) std::this_thread::yield();
        run.require(is<Committed>(write(store, store.version(), "n", &holder)), "the holder did not commit");
        return;
      }
      auto worker = store.worker();
      auto victim = store.process("victim", {.inputs = {}, .outputs = {"quiet"}},
                                  [](Context<Native>& ctx) { ctx.set("quiet", 1); });
      const Effort effort = store.execute(worker, victim).effort;
      run.require(effort.conflicts == 0 && effort.attempts == 2 && effort.closings_waited == 12,
                  "{} conflicts, {} body runs, {} closings, not 0, 2 and 12", effort.conflicts,
                  effort.attempts, effort.closings_waited);
    });
    run.require(store.statistics().limit_joins == 1, "it did not join the queue by its limit");
    run.tried().operations += 12;
  });
}

}  // namespace

void add_backoff_claims(harness::ClaimRegistry& registry) {
  registry.add({"B1", "retry 1..5 waits 2, 4, 8, 16, 32 ms plus jitter below half, then capped",
                "random draws", ReplayClass::exact, 1, waits_lie_in_their_bands});
  registry.add({"B2", "fifty workers on one counter: all commit, none is lost", "threads",
                ReplayClass::workload, 6, fifty_workers_count_to_fifty});
  registry.add({"B3", "a slow worker commits 3 of 3 among five fast ones", "threads", ReplayClass::workload,
                6, slow_worker_is_served});
  registry.add({"B9", "waiters at the gate do not wake together", "threads", ReplayClass::workload, 0,
                waiters_do_not_stampede});
  registry.add({"B10", "every execute(): 5 conflicts, 6 runs, busy_limit + N - 1 closings at most", "threads",
                ReplayClass::workload, 8, every_execute_is_bounded});
  registry.add_part("B10", {"worst-rival", "steps", ReplayClass::exact, 0, worst_rivals_meet_the_bound});
  registry.add_part("B10", {"closed", "threads", ReplayClass::workload, 0, always_finds_the_gate_closed});
}

}  // namespace touchstone::stress
