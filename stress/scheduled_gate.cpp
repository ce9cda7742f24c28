// B1, B4, B5, B8, B9: back-off, who earns the ticket, and what a closed gate keeps out.

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "stress/scheduled.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;            // the promises are about it
using namespace touchstone::harness::explore;  // and its schedules
using namespace std::chrono_literals;
using P = ControlledPlatform;
using Search = Scheduled::Search;

void increment(Context<P>& ctx) {
  const auto n = ctx.read("n");
  ctx.set("n", n ? n->integer() + 1 : 1);
}

std::string ns(Duration d) {
  return std::to_string(d.count()) + " ns";
}

bool committed(const CommitResult& result) {
  return std::holds_alternative<Committed>(result);
}

/// A store at version 1 whose path "n" makes any commit from version 0 a conflict.
struct Contended {
  explicit Contended(Policy policy, StoreOptions options = {}) : store(with(policy, std::move(options))) {
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
  }
  static StoreOptions with(Policy policy, StoreOptions options) {
    options.policy = policy;
    return options;
  }

  /// The turn that it may earn reserves "hall" too: those who wait for it there are not in each other's way.
  CommitResult stale(Worker<P>& worker) {
    return store.compare_and_swap(0, WriteSet{}.set("n", 1), &worker, {"hall"});
  }
  CommitResult fresh(Worker<P>* worker, const char* path = "n") {
    return store.compare_and_swap(store.version(), WriteSet{}.set(path, 2), worker);
  }
  Store<P> store;
};

// B1. The bands from both sides: in virtual time a wait is exactly what was slept. A rival commits under each of seven
// attempts.
void waits_lie_in_their_bands() {
  Store<P> store({.ticket = false});
  auto worker = store.worker();
  std::vector<Time> begun;
  auto process = store.process("unlucky", {.inputs = {}, .outputs = {"n"}}, [&](Context<P>& ctx) {
    begun.push_back(P::now());
    P::thread rival([&] { store.compare_and_swap(store.version(), WriteSet{}.set("n", 0)); });
    rival.join();
    ctx.set("n", 1);
  });
  store.execute(worker, process, {.attempts = 8});
  require(begun.size() == 8, "eight attempts began");
  Duration jitter{0};
  for (int retry = 1; retry <= 7; ++retry) {
    const auto n = static_cast<std::size_t>(retry);
    const Duration least = 1ms * (1 << std::min(retry, 5)), waited = begun[n] - begun[n - 1];
    require(waited >= least && waited < least + least / 2,
            "retry " + std::to_string(retry) + " waited " + ns(waited));
    jitter += waited - least;
  }
  require(jitter != Duration(0), "no wait had any jitter");
}

// B1. Danger: a worker sleeps out its back-off with its cells locked. The script stops the victim in its back-off; a commit
// and a read of the same path must then go through at once, in no time.
void a_backoff_holds_nothing() {
  Contended it(Policy::ticket);
  P::thread victim = P::thread::named("victim", [&] {
    auto worker = it.store.worker();
    auto process = it.store.process("add", {.inputs = {}, .outputs = {"n"}}, increment);
    require(it.store.execute(worker, process).effort.attempts == 2, "one conflict, one retry");
  });
  P::thread rival = P::thread::named("rival", [&] {
    it.store.compare_and_swap(1, WriteSet{}.set("n", 10));
    P::fault_point("first");
    const Time begin = P::now();
    require(committed(it.store.compare_and_swap(2, WriteSet{}.set("n", 20))), "nobody is in its way");
    require(it.store.read("n")->integer() == 20 && P::now() == begin, "it had to wait");
  });
  victim.join(), rival.join();
}

Script stop_in_the_backoff() {
  Script script;
  script.run("victim").until("execute:body_done").run("rival").until("first");
  script.run("victim").until_blocked().run("rival").to_end();
  return script;
}

// B4. Danger: somebody else's commit resets the count, or somebody else's conflict is added to it, so that the ticket comes
// late or early. The unlucky one fails five times by a stale version, which is certain; the other commits and fails meanwhile.
void the_fifth_conflict_earns_it(Policy policy, Reached& reached, int already) {
  Contended it(policy);
  P::thread unlucky([&] {
    auto worker = it.store.worker({.failures = already});
    for (int failure = already + 1; failure <= 5; ++failure) {
      const auto result = it.stale(worker);
      const auto* conflict = std::get_if<Conflict>(&result);
      require(conflict != nullptr, "a stale commit did not conflict");
      require((conflict->ticket == TicketStatus::holding) == (failure == 5),
              "conflict " + std::to_string(failure) + " earned the wrong thing");
    }
  });
  P::thread other([&] {
    auto worker = it.store.worker();
    it.fresh(&worker, "m");
    it.stale(worker);
    require(worker.ticket() == TicketStatus::none, "the other one earned a ticket by one conflict");
  });
  unlucky.join(), other.join();
  reached.take(it.store.statistics());
}

// B5. Danger: a commit passes the gate just before it closes and installs after the holder has read its version. The holder
// earns its ticket while commits of the same path are under way. The oracle: its next commit from a version read later is
// Committed, and between the two nothing changes.
void the_holder_never_conflicts(Policy policy, Reached& reached, int rivals, int rounds) {
  Contended it(policy);
  P::thread holder = P::thread::named("holder", [&] {
    auto worker = it.store.worker({.failures = 4});
    it.stale(worker);
    require(worker.ticket() == TicketStatus::holding, "its fifth conflict earned no ticket");
    const Version version = it.store.version();
    const auto result = it.store.compare_and_swap(version, WriteSet{}.set("n", 2), &worker);
    const auto* mine = std::get_if<Committed>(&result);
    require(mine != nullptr, "the holder conflicted");
    require(mine->version == version + 1, "something was committed in the holder's turn");
  });
  std::vector<P::thread> others;
  for (int i = 0; i < rivals; ++i) {
    others.emplace_back([&it, rounds] {
      it.fresh(nullptr);
      if (rounds > 1) it.fresh(nullptr, "n.below");
    });
  }
  holder.join();
  for (auto& rival : others) rival.join();
  reached.take(it.store.statistics());
}

// B5. Danger: a reader waits for the gate, or sees a part of what the holder commits. It reads while the holder takes its
// turn: virtual time moves only when nobody can run, so a reader that waited would see it move.
void readers_go_on(Policy policy, Reached& reached) {
  Contended it(policy);
  P::thread holder([&] {
    auto worker = it.store.worker({.failures = 4});
    it.stale(worker);
    P::sleep_until(P::now() + 1ms);
    require(committed(it.store.compare_and_swap(1, WriteSet{}.set("n", 7).set("m", 7), &worker)),
            "the holder conflicted");
  });
  P::thread reader([&] {
    const Time begin = P::now();
    const auto seen = it.store.snapshot();
    const bool both = seen.read("m") == Value(7) && seen.read("n") == Value(7);
    const bool neither = !seen.read("m") && seen.read("n") == Value(0);
    require(both || neither, "a reader saw half of the holder's commit");
    require(both == (seen.version() == 2), "a snapshot is not of its version");
    require(P::now() == begin, "a reader had to wait");
  });
  holder.join(), reader.join();
  reached.take(it.store.statistics());
}

// B8. Danger: failures or tickets are kept by the process's name. Two workers fail by the same process at the same time, three
// times and twice: five failures together, which must earn nobody anything; two more of one worker's do.
void counts_are_a_workers_own(Policy policy, Reached& reached) {
  Contended it(policy);
  auto one = it.store.worker({.failures = 2});
  auto two = it.store.worker({.failures = 2});
  P::thread a([&] { it.stale(one), it.stale(one); });
  P::thread b([&] { it.stale(two); });
  a.join(), b.join();
  require(one.failures() == 4 && two.failures() == 3, "two workers shared a count of failures");
  require(it.store.statistics().grants == 0, "a ticket was earned together");
  P::thread last([&] { it.stale(one); });
  last.join();
  require(one.ticket() == TicketStatus::holding && two.ticket() == TicketStatus::none, "a ticket was shared");
  P::thread passer([&] {
    require(std::holds_alternative<Busy>(it.fresh(&two)), "the ticket admits another than its worker");
  });
  passer.join();
  require(committed(it.fresh(&one)), "the holder conflicted");
  reached.take(it.store.statistics());
}

// B9. Danger: the gate opens and nobody is told, so that those who wait sleep until some time-out. The holder commits after a
// millisecond of a lease of 50; the waiters go on then, each after its own jitter, which is below one base of a millisecond.
void waiters_go_on_when_the_gate_opens(Policy policy, Reached& reached) {
  Contended it(policy);
  P::thread holder = P::thread::named("holder", [&] {
    auto worker = it.store.worker({.failures = 4});
    it.stale(worker);
    P::sleep_until(P::now() + 1ms);
    require(committed(it.fresh(&worker)), "the holder commits");
  });
  std::vector<P::thread> waiters;
  for (const char* path : {"hall.a", "hall.b"}) {
    waiters.emplace_back([&it, path] {
      auto worker = it.store.worker();
      auto process = it.store.process("set", {.inputs = {}, .outputs = {path}},
                                      [path](Context<P>& ctx) { ctx.set(path, 1); });
      const auto result = it.store.execute(worker, process);
      require(result.committed() && result.effort.waited < 2ms, "it waited " + ns(result.effort.waited));
    });
  }
  holder.join();
  for (auto& waiter : waiters) waiter.join();
  reached.take(it.store.statistics());
}

// B9. Danger: a dozen waiters wake at one moment. Each wakes after the draw of its own stream, so they come spread over the
// base: twelve uniform draws lie within a sixteenth of it once in a million million times.
void a_dozen_waiters_wake_apart(Policy policy, Reached& reached) {
  constexpr int kWaiters = 12;
  constexpr Duration kBase = 20ms;
  Contended it(policy, {.backoff_base = kBase, .lease_least = std::chrono::hours(1)});
  auto holder = it.store.worker({.failures = 4});
  it.stale(holder);
  Time opened{};
  std::vector<Duration> woke;
  std::vector<P::thread> waiters;
  for (int i = 0; i < kWaiters; ++i) {
    waiters.emplace_back([&, i] {
      const std::string key = "hall.key" + std::to_string(i);
      auto worker = it.store.worker({.stream = static_cast<std::uint64_t>(i) + 1});
      auto process = it.store.process("set", {.inputs = {}, .outputs = {key}},
                                      [&key](Context<P>& ctx) { ctx.set(key, 1); });
      const auto result = it.store.execute(worker, process);
      require(result.committed() && result.effort.attempts == 1, "Busy resubmits the same attempt");
      woke.push_back(P::now() - opened);
    });
  }
  P::thread opener([&] {
    P::sleep_until(P::now() + 1ms);  // by then all others wait: time moves only when nobody can run
    opened = P::now();
    require(committed(it.fresh(&holder)), "the holder commits");
  });
  opener.join();
  for (auto& waiter : waiters) waiter.join();
  std::sort(woke.begin(), woke.end());
  require(woke.size() == kWaiters && woke.back() - woke.front() > kBase / 16, "all woke within a sixteenth");
  reached.take(it.store.statistics());
}

void add_backoff(ScheduledList& list) {
  list.add("B1", "bands", Search::sampled, 50, {}, [](Reached&) { waits_lie_in_their_bands(); });
  list.add("B1", "in-the-backoff", Search::scripted, 1, {}, [](Reached&) { a_backoff_holds_nothing(); })
      .script = stop_in_the_backoff();
}

}  // namespace

std::vector<Scheduled> scheduled_gate(Policy policy) {
  ScheduledList list(policy);
  if (policy == Policy::ticket) add_backoff(list);
  list.add("B4", "last-two-conflicts", Search::exhausted, 200'000, {.grants = 1, .busy = 1},
           [policy](Reached& reached) { the_fifth_conflict_earns_it(policy, reached, 3); });
  list.add("B4", "five-conflicts", Search::sampled, 1'000, {.grants = 1, .busy = 1},
           [policy](Reached& reached) { the_fifth_conflict_earns_it(policy, reached, 0); });
  list.add("B5", "one-rival", Search::exhausted, 200'000, {.grants = 1, .busy = 1},
           [policy](Reached& reached) { the_holder_never_conflicts(policy, reached, 1, 1); });
  list.add("B5", "reader", Search::exhausted, 200'000, {.grants = 1},
           [policy](Reached& reached) { readers_go_on(policy, reached); });
  list.add("B5", "two-rivals", Search::sampled, 1'000, {.grants = 1, .busy = 1},
           [policy](Reached& reached) { the_holder_never_conflicts(policy, reached, 2, 2); });
  list.add("B8", "one-name", Search::exhausted, 200'000, {.grants = 1, .busy = 1},
           [policy](Reached& reached) { counts_are_a_workers_own(policy, reached); });
  list.add("B9", "gate-opens", Search::sampled, 500, {.grants = 1, .busy = 1},
           [policy](Reached& reached) { waiters_go_on_when_the_gate_opens(policy, reached); });
  list.add("B9", "spread", Search::sampled, 100, {.grants = 1, .busy = 12},
           [policy](Reached& reached) { a_dozen_waiters_wake_apart(policy, reached); });
  return list.take();
}

}  // namespace touchstone::stress
