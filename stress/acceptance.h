#pragma once
// Acceptance scenarios that any store of this project's contract is put through: the one in this process, and the one in etcd. Real
// threads; waits are only ever checked from below.
//
//   a_root_output_loses_merges([](StoreOptions options) { return EngineRig(std::move(options)); });     // A8
//
// A rig makes one fresh store and speaks to it: version(), read(path), swap(expected, writes, worker), worker(failures),
// process(...), execute(worker, process, limits), statistics(), all from any thread, a worker by one thread at a time;
// `Context` is what its bodies get. Each scenario reports by EXPECT.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/store.h"
#include "stress/crowd.h"

namespace touchstone::stress {

class EngineRig {
 public:
  using Context = engine::Context<engine::NativePlatform>;
  using Worker = engine::Worker<engine::NativePlatform>;
  using Process = engine::Process<engine::NativePlatform>;

  static constexpr bool kJoiningBeginsATurn = true;  ///< if nobody is in the way; else it is queued

  explicit EngineRig(engine::StoreOptions options) : store_(std::move(options)) {}

  engine::Version version() { return store_.version(); }
  std::optional<engine::Value> read(const std::string& path) { return store_.read(path); }
  engine::CommitResult swap(engine::Version expected, const engine::WriteSet& writes,
                            Worker* worker = nullptr) {
    return store_.compare_and_swap(expected, writes, worker);
  }
  /// One that has had this many conflicts in a row.
  std::unique_ptr<Worker> worker(int failures = 0) {
    return std::unique_ptr<Worker>(new Worker(store_.worker({.failures = failures})));
  }
  Process process(const std::string& name, const engine::Contract& contract, const Process::Body& body) {
    return store_.process(name, contract, body);
  }
  engine::ExecuteResult execute(Worker& worker, const Process& process,
                                const engine::Limits<engine::NativePlatform>& limits = {}) {
    return store_.execute(worker, process, limits);
  }
  engine::Statistics statistics() { return store_.statistics(); }

 private:
  engine::Store<> store_;
};

/// A commit by another thread, which a body may therefore ask for.
template <class Rig>
void put(Rig& rig, const std::string& path, const engine::Value& value) {
  by_somebody_else([&] {
    EXPECT_TRUE(std::holds_alternative<engine::Committed>(
        rig.swap(rig.version(), engine::WriteSet{}.set(path, value))));
  });
}

template <class Rig>
bool gate_is_open(Rig& rig) {
  return std::holds_alternative<engine::Committed>(
      rig.swap(rig.version(), engine::WriteSet{}.set("probe", 1)));
}

inline void expect_within_the_bound(const engine::Effort& effort) {
  EXPECT_LE(effort.conflicts, 5 + effort.expiries);
  EXPECT_LE(effort.attempts, 6 + effort.expiries);
}

/// What a process with this output goes through when somebody writes domain.lidar under its body's feet, three times.
template <class Rig>
std::pair<engine::Effort, engine::Statistics> camera_beside_a_lidar(Rig rig, const char* output) {
  put(rig, "domain", engine::Composite{{"camera_data", 0}, {"lidar", 0}});
  const auto before = rig.statistics();
  auto worker = rig.worker();
  int runs = 0;
  auto camera = rig.process("camera", {.inputs = {}, .outputs = {output}}, [&](typename Rig::Context& ctx) {
    if (++runs <= 3) put(rig, "domain.lidar", runs);
    ctx.set("domain.camera_data", runs);
  });
  const auto result = rig.execute(*worker, camera);
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(to_text(*rig.read("domain")),
            "{camera_data: " + std::to_string(runs) + ", lidar: " + std::to_string(std::min(runs, 3)) + "}");
  auto after = rig.statistics();
  after.conflicts -= before.conflicts;
  return {result.effort, after};
}

// A8. Danger: a root output is validated as if only the leaf it wrote counted (a write below it goes unseen), or a granular one as
// if its neighbours counted (merges lost). The rival commits inside the body, so every attempt certainly overlaps one. The oracle:
// the declared outputs are the footprint: domain.lidar lies inside "domain" and outside "domain.camera_data".
template <class Make>
void a_root_output_loses_merges(Make make) {
  const engine::StoreOptions quick{.backoff_base = std::chrono::microseconds(1)};
  const auto [granular, granular_counts] = camera_beside_a_lidar(make(quick), "domain.camera_data");
  EXPECT_EQ(granular.attempts, 1);
  EXPECT_EQ(granular_counts.conflicts, 0u);
  EXPECT_EQ(granular_counts.commits_merged, 1u);
  const auto [root, root_counts] = camera_beside_a_lidar(make(quick), "domain");
  EXPECT_EQ(root.attempts, 4) << "three rivals, three lost merges";
  EXPECT_EQ(root_counts.conflicts, 3u);
  EXPECT_EQ(root_counts.commits_merged, 0u);
}

// A9. Danger: a write outside the contract reaches the state, alone or beside declared ones, or is told from a declared one only by
// its spelling ("domain.cam" is a prefix of "domain.camera", not its ancestor). No threads: a contract is checked before any
// commit, so nothing at all may change, and the error must name the path.
template <class Make>
void a_write_outside_the_contract_is_refused(Make make) {
  int effects = 0;
  auto rig = make({.sink = [&](const engine::Effect&) { ++effects; }});
  using Context = typename decltype(rig)::Context;
  auto worker = rig.worker();
  for (const char* stray : {"other", "domain", "domain.cam", "domain.camera2", "domain.camer.a"}) {
    for (const bool erases : {false, true}) {
      auto process =
          rig.process("stray", {.inputs = {stray}, .outputs = {"domain.camera"}}, [&](Context& ctx) {
            ctx.emit("event", 1);
            ctx.set("domain.camera.frame", 1);
            erases ? ctx.erase(stray) : ctx.set(stray, 1);
          });
      const auto result = rig.execute(*worker, process);
      const auto& rejected = std::get<engine::Rejected>(result.outcome);
      EXPECT_EQ(rejected.code, engine::ErrorCode::undeclared_write);
      EXPECT_NE(rejected.what.find(stray), std::string::npos) << rejected.what;
      EXPECT_EQ(result.effort.attempts, 1) << "a broken contract is not retried";
    }
  }
  EXPECT_EQ(rig.version(), 0u);
  EXPECT_FALSE(rig.read("domain"));
  EXPECT_EQ(effects, 0);
  auto inside = rig.process("inside", {.inputs = {}, .outputs = {"domain.camera"}}, [](Context& ctx) {
    ctx.set("domain.camera", engine::Composite{{"frame", 1}});
    ctx.erase("domain.camera.frame");
    ctx.set("domain.camera.frame.pixels", 2);
  });
  EXPECT_TRUE(rig.execute(*worker, inside).committed());
}

// A11. Write skew: both bodies read {a, b}, see that one of the two may be taken, and take one each. Both bodies have read before
// either commits (the latch), so no schedule can hide it. The source validates written keys only, so by default both commit, and
// the rule "at least one stays" is broken; a store that validates reads refuses the second one, whose retry then sees the first.
template <class Make>
void write_skew_is_what_the_mode_says(Make make) {
  for (const bool validate : {false, true}) {
    auto rig = make({.validate_reads = validate, .backoff_base = std::chrono::microseconds(1)});
    using Context = typename decltype(rig)::Context;
    rig.swap(0, engine::WriteSet{}.set("on_call.a", 1).set("on_call.b", 1));
    std::latch both_have_read(2);
    std::atomic<int> conflicts{0};
    together(2, [&](int i) {
      const std::string mine = i == 0 ? "on_call.a" : "on_call.b";
      auto worker = rig.worker();
      bool first = true;
      auto process = rig.process("leave", {.inputs = {"on_call"}, .outputs = {mine}}, [&](Context& ctx) {
        const auto a = ctx.read("on_call.a")->integer(), b = ctx.read("on_call.b")->integer();
        if (std::exchange(first, false)) both_have_read.arrive_and_wait();
        ctx.set(mine, a + b == 2 ? 0 : 1);
      });
      const auto result = rig.execute(*worker, process);
      EXPECT_TRUE(result.committed());
      conflicts.fetch_add(result.effort.conflicts);
    });
    const auto left = rig.read("on_call.a")->integer() + rig.read("on_call.b")->integer();
    EXPECT_EQ(left, validate ? 1 : 0);
    EXPECT_EQ(conflicts.load(), validate ? 1 : 0);
  }
}

/// An execute() that can never commit: somebody changes its output under each of its attempts, while the gate lets them.
template <class Rig, class Extra>
engine::ExecuteResult hopeless(Rig& rig, typename Rig::Worker& worker,
                               const engine::Limits<engine::NativePlatform>& limits, Extra extra) {
  auto process = rig.process("hopeless", {.inputs = {}, .outputs = {"n"}}, [&](typename Rig::Context& ctx) {
    by_somebody_else([&] { rig.swap(rig.version(), engine::WriteSet{}.set("n", 0)); });
    extra();
    ctx.set("n", 1);
    ctx.emit("event", 1);
  });
  return rig.execute(worker, process, limits);
}

// A13. Danger: a stop token, deadline or attempt limit ends an execute() with its ticket still held (everybody is Busy until the
// lease runs out), with an effect published, or after a commit. The worker starts one failure short of the ticket, so that each of
// the three ends meets it with the ticket in its hands, or waiting for one; the store has no back-off to hide behind.
template <class Make>
void limits_are_typed_results_and_give_the_ticket_back(Make make) {
  using engine::NativePlatform;
  int effects = 0;
  auto rig =
      make({.backoff = false, .lease_least = std::chrono::hours(1), .sink = [&](const engine::Effect&) {
              ++effects;
            }});
  const auto expect_turns = [&rig](std::uint64_t turns) {
    if (decltype(rig)::kJoiningBeginsATurn) {
      EXPECT_EQ(rig.statistics().grants, turns) << "it ended with the ticket in its hands";
    }
  };
  {
    auto worker = rig.worker(4);
    const auto result = hopeless(rig, *worker, {.attempts = 1}, [] {});
    EXPECT_TRUE(std::holds_alternative<engine::AttemptsExhausted>(result.outcome));
    EXPECT_EQ(result.effort.conflicts, 1);
    expect_turns(1);
    EXPECT_EQ(worker->ticket(), engine::TicketStatus::none);
    EXPECT_TRUE(gate_is_open(rig));
  }
  {
    auto worker = rig.worker(4);
    engine::StopFlag<NativePlatform> stop;
    const auto result = hopeless(rig, *worker, {.stop = &stop}, [&] { stop.request(); });
    EXPECT_TRUE(std::holds_alternative<engine::Cancelled>(result.outcome));
    expect_turns(2);
    EXPECT_EQ(worker->ticket(), engine::TicketStatus::none);
    EXPECT_TRUE(gate_is_open(rig));
  }
  {
    auto worker = rig.worker(4);
    const engine::Time deadline = NativePlatform::now() + std::chrono::milliseconds(1);
    const auto result =
        hopeless(rig, *worker, {.deadline = deadline}, [&] { NativePlatform::sleep_until(deadline); });
    EXPECT_TRUE(std::holds_alternative<engine::DeadlineExceeded>(result.outcome));
    expect_turns(3);
    EXPECT_EQ(worker->ticket(), engine::TicketStatus::none);
    EXPECT_TRUE(gate_is_open(rig));
  }
  EXPECT_EQ(effects, 0);
  EXPECT_EQ(rig.read("n"), engine::Value(0)) << "a 1 would be a hopeless one's commit";
}

// A13. Danger: the three ends are looked at only between attempts, so a worker that waits at a gate which nobody opens waits for
// ever. The holder never commits and its lease is an hour: only the limits can end these, and the watchdog fails the test if not.
template <class Make>
void a_wait_at_a_closed_gate_ends_by_stop_and_by_deadline(Make make) {
  using engine::NativePlatform;
  auto rig = make({.lease_least = std::chrono::hours(1)});
  using Context = typename decltype(rig)::Context;
  auto holder = rig.worker(4);
  rig.swap(rig.version(), engine::WriteSet{}.set("n", 0));
  rig.swap(0, engine::WriteSet{}.set("n", 1), holder.get());
  ASSERT_EQ(holder->ticket(), engine::TicketStatus::holding);
  const auto version = rig.version();
  const auto busy = rig.statistics().busy;
  engine::StopFlag<NativePlatform> stop;
  together(3, [&](int i) {
    if (i == 2) {
      while (rig.statistics().busy < busy + 2) std::this_thread::yield();
      stop.request();
      return;
    }
    auto worker = rig.worker();
    auto process = rig.process("p", {.inputs = {}, .outputs = {"m"}}, [](Context& ctx) { ctx.set("m", 1); });
    if (i == 0) {
      EXPECT_TRUE(
          std::holds_alternative<engine::Cancelled>(rig.execute(*worker, process, {.stop = &stop}).outcome));
    } else {
      const engine::Time deadline = NativePlatform::now() + std::chrono::milliseconds(20);
      EXPECT_TRUE(std::holds_alternative<engine::DeadlineExceeded>(
          rig.execute(*worker, process, {.deadline = deadline}).outcome));
      EXPECT_GE(NativePlatform::now(), deadline);
    }
  });
  EXPECT_EQ(rig.version(), version);
}

// B1. Danger: execute() computes the right wait and does not wait it, or starts the series anew. A rival changes the output under
// every attempt, so the retries are certain; the ticket is off, as it would end the series. Each attempt notes when it began.
template <class Make>
void an_execute_waits_longer_before_each_retry(Make make, std::uint64_t seed) {
  using std::chrono::milliseconds;
  auto rig = make({.ticket = false, .seed = seed});
  auto worker = rig.worker();
  std::vector<engine::Time> begun;
  const auto result =
      hopeless(rig, *worker, {.attempts = 7}, [&] { begun.push_back(engine::NativePlatform::now()); });
  EXPECT_TRUE(std::holds_alternative<engine::AttemptsExhausted>(result.outcome));
  ASSERT_EQ(begun.size(), 7u);
  for (int retry = 1; retry <= 6; ++retry) {
    const auto n = static_cast<std::size_t>(retry);
    EXPECT_GE(begun[n] - begun[n - 1], milliseconds(1 << std::min(retry, 5))) << "before retry " << retry;
  }
  EXPECT_GE(result.effort.waited, milliseconds(2 + 4 + 8 + 16 + 32 + 32));
  EXPECT_GE(rig.statistics().backoff_us, 94'000u);
}

// B2. Danger: fifty workers that read the same counter overwrite one another, or give up. The body sleeps between its read and its
// write, so that attempts overlap. The oracle: a lost update would leave the counter short; and the bound of attempts holds for
// each of them.
template <class Make>
void fifty_workers_increment_one_counter(Make make, std::uint64_t seed) {
  constexpr int kWorkers = 50;
  auto rig = make({.seed = seed});
  using Context = typename decltype(rig)::Context;
  rig.swap(0, engine::WriteSet{}.set("counter", 0));
  std::atomic<int> conflicts{0};
  together(kWorkers, [&](int) {
    auto worker = rig.worker();
    auto process = rig.process("increment", {.inputs = {}, .outputs = {"counter"}}, [](Context& ctx) {
      const auto n = ctx.read("counter")->integer();
      engine::NativePlatform::sleep_until(engine::NativePlatform::now() + std::chrono::microseconds(200));
      ctx.set("counter", n + 1);
    });
    const auto result = rig.execute(*worker, process);
    EXPECT_TRUE(result.committed());
    expect_within_the_bound(result.effort);
    conflicts += result.effort.conflicts;
  });
  EXPECT_EQ(rig.read("counter"), engine::Value(kWorkers));
  EXPECT_EQ(rig.version(), 1u + kWorkers);
  EXPECT_GT(conflicts.load(), 0) << "fifty sleeping bodies never met: this run has shown nothing";
}

// B3. Danger: fast workers change the counter within every attempt of a slow one, which then never commits. The oracle is the
// bound of attempts, and the counter: no update of anybody is lost on the way.
template <class Make>
void a_slow_worker_commits_among_fast_ones(Make make, std::uint64_t seed) {
  using std::chrono::milliseconds;
  auto rig = make({.seed = seed});
  using Context = typename decltype(rig)::Context;
  together(6, [&](int i) {
    auto worker = rig.worker();
    const engine::Duration work = i == 0 ? milliseconds(20) : milliseconds(1);
    auto process = rig.process("work", {.inputs = {}, .outputs = {"counter"}}, [work](Context& ctx) {
      const auto n = ctx.read("counter");
      ctx.set("counter", n ? n->integer() + 1 : 1);
      engine::NativePlatform::sleep_until(engine::NativePlatform::now() + work);
    });
    for (int round = 0; round < (i == 0 ? 3 : 10); ++round) {
      const auto result = rig.execute(*worker, process);
      EXPECT_TRUE(result.committed());
      expect_within_the_bound(result.effort);
    }
  });
  EXPECT_EQ(rig.read("counter"), engine::Value(53));
}

// B11. Danger: a body that failed k times publishes k times; one that ends without a commit publishes at all; a sink that throws
// makes a commit look failed, or is called again. The attempts are made to fail by a rival inside the body: no chance is involved.
template <class Make>
void a_body_that_ran_four_times_publishes_once(Make make) {
  std::vector<std::int64_t> published;
  auto rig = make({.backoff_base = engine::Duration(1000), .sink = [&](const engine::Effect& effect) {
                     published.push_back(effect.payload.integer());
                     if (effect.topic == "poison") throw std::runtime_error("the sink is full");
                   }});
  using Context = typename decltype(rig)::Context;
  auto worker = rig.worker();
  int runs = 0;
  auto process = rig.process("p", {.inputs = {}, .outputs = {"n", "leftover"}}, [&](Context& ctx) {
    ctx.emit("poison", ++runs);
    ctx.emit("after", 100 + runs);
    if (runs < 4) put(rig, "n", 0);
    if (runs < 4) ctx.set("leftover", runs);
    ctx.set("n", runs);
  });
  const auto result = rig.execute(*worker, process);
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(result.effort.attempts, 4);
  EXPECT_EQ(published, (std::vector<std::int64_t>{4, 104}));
  ASSERT_TRUE(result.effect_error);
  EXPECT_THROW(std::rethrow_exception(result.effect_error), std::runtime_error);
  EXPECT_EQ(rig.read("n"), engine::Value(4));
  EXPECT_FALSE(rig.read("leftover")) << "a write of a failed attempt was committed with the retry";
  EXPECT_EQ(rig.statistics().effect_errors, 1u);

  auto throws = rig.process("throws", {.inputs = {}, .outputs = {"n"}}, [&](Context& ctx) {
    ctx.emit("never", 1);
    throw std::runtime_error("the body gave up");
  });
  EXPECT_THROW(rig.execute(*worker, throws), std::runtime_error);
  EXPECT_EQ(published.size(), 2u);
}

}  // namespace touchstone::stress
