// First safety under faults, then liveness without them: workers that throw, stop, run out of time or attempts, die with the ticket in
// their hands, or overstay their lease; and afterwards a bound for everybody.

#include <gtest/gtest.h>

#include <atomic>
#include <climits>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "engine/store.h"
#include "harness/seed.h"
#include "stress/crowd.h"
#include "stress/scale.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;
using harness::Seed;
using harness::Stream;
using Native = NativePlatform;
using std::chrono::microseconds;
using std::chrono::milliseconds;

/// One store that everybody adds to, and what has been promised about it so far.
class Storm {
 public:
  explicit Storm(Policy policy)
      : store_({.backoff_base = microseconds(100),
                .policy = policy,
                .lease_least = milliseconds(2),
                .seed = Seed::of_process().value(),
                .sink = [this](const Effect&) { published_.fetch_add(1); }}) {
    store_.compare_and_swap(0, WriteSet{}.set("n", 0));
  }

  /// One thing that may go wrong, or not.
  void faulty(Stream& stream) {
    auto& worker = *hire(stream);
    switch (stream.below(8)) {
      case 0:
        return throws(worker);
      case 1:
        return stops(worker);
      case 2:
        return add(worker, microseconds(0),
                   {.deadline = Native::now() + microseconds(stream.between(0, 3'000))});
      case 3:
        return add(worker, microseconds(0), {.attempts = static_cast<int>(stream.between(1, 3))});
      case 4:
        return dies_holding(worker);
      case 5:
        return add(worker, microseconds(stream.between(2'000, 4'000)), {});
      default:
        return add(worker, microseconds(stream.between(0, 300)), {});
    }
  }

  /// Adds one, and holds the result to the bound.
  void add(Worker<Native>& worker, Duration work, const Limits<Native>& limits) {
    auto process = store_.process("add", {.outputs = {"n"}}, [work](Context<Native>& ctx) {
      const auto n = ctx.read("n")->integer();
      if (work != Duration(0)) Native::sleep_until(Native::now() + work);
      ctx.set("n", n + 1);
      ctx.emit("added", n + 1);
    });
    const auto result = store_.execute(worker, process, limits);
    EXPECT_EQ(worker.ticket(), TicketStatus::none) << "a ticket outlived its execute()";
    EXPECT_LE(result.effort.conflicts, 5 + result.effort.expiries);
    EXPECT_LE(result.effort.attempts, 6 + result.effort.expiries);
    EXPECT_GE(result.effort.closings_waited, 0);
    if (result.committed()) committed_.fetch_add(1);
    if (limits.attempts == INT_MAX && limits.deadline == kForever) {
      EXPECT_TRUE(result.committed());
    }
  }

  /// Everything that was promised and nothing else has happened.
  void check() {
    EXPECT_EQ(store_.read("n"), Value(committed_.load()));
    EXPECT_EQ(published_.load(), committed_.load());
    EXPECT_EQ(store_.version(), 1u + static_cast<Version>(committed_.load()));
  }

  Store<>& store() { return store_; }

 private:
  /// A new worker, often close to the ticket; it is kept, so that one that is let go in the middle stays in the middle.
  Worker<Native>* hire(Stream& stream) {
    std::unique_ptr<Worker<Native>> fresh(
        new Worker<Native>(store_.worker({.failures = static_cast<int>(stream.below(5))})));
    const std::lock_guard lock(mutex_);
    hired_.push_back(std::move(fresh));
    return hired_.back().get();
  }

  void throws(Worker<Native>& worker) {
    auto process = store_.process("throws", {.outputs = {"n"}}, [](Context<Native>& ctx) {
      ctx.emit("never", 1);
      ctx.set("n", -1);
      throw std::runtime_error("a fault");
    });
    EXPECT_THROW(store_.execute(worker, process), std::runtime_error);
  }

  void stops(Worker<Native>& worker) {
    StopFlag<Native> stop;
    int runs = 0;
    auto process = store_.process("stops", {.outputs = {"n"}}, [&](Context<Native>& ctx) {
      ctx.emit("never", 1);
      ctx.set("n", -1);
      stop.request();
      if (++runs == 1) throw std::runtime_error("a fault");
    });
    EXPECT_THROW(store_.execute(worker, process, {.stop = &stop}), std::runtime_error);
    EXPECT_TRUE(std::holds_alternative<Cancelled>(store_.execute(worker, process, {.stop = &stop}).outcome));
  }

  /// Fails by hand until it has a claim, and is never heard of again.
  void dies_holding(Worker<Native>& worker) {
    for (int tries = 0; tries < 50 && worker.ticket() != TicketStatus::holding; ++tries) {
      store_.compare_and_swap(0, WriteSet{}.set("n", -1), &worker);
    }
  }

  std::atomic<int> committed_{0}, published_{0};
  std::mutex mutex_;
  Store<> store_;
  std::vector<std::unique_ptr<Worker<Native>>> hired_;  // before the store in death
};

class FaultStorm : public testing::TestWithParam<Policy> {};

// Danger: a fault leaves the gate shut, a half-made commit, an effect without one, or a claim that starves somebody later. The safety
// phase lets six threads meet every fault in any mixture and then counts: the counter, the version and the published effects are
// all the number of commits that were reported. The liveness phase then allows no fault: though dead workers may still hold
// places in the queue, everybody's execute() must commit within the bound of attempts, and the watchdog of ctest sees a gate that
// stays shut.
TEST_P(FaultStorm, IsSafeUnderFaultsAndLiveWithinTheBoundAfterThem) {
  constexpr int kThreads = 6;
  Storm storm(GetParam());
  together(kThreads, [&](int i) {
    Stream stream = Seed::of_process().stream("storm/" + std::to_string(i));
    for (int round = 0; round < 300 * kScale; ++round) storm.faulty(stream);
  });
  storm.check();
  const Statistics faults = storm.store().statistics();
  EXPECT_GT(faults.expiries, 0u) << "nobody overstayed or died: this run has shown less than it says";
  together(kThreads, [&](int) {
    auto worker = storm.store().worker();
    for (int round = 0; round < 200 * kScale; ++round) storm.add(worker, microseconds(20), {});
  });
  storm.check();
}

INSTANTIATE_TEST_SUITE_P(Under, FaultStorm, testing::Values(Policy::ticket, Policy::key_queue),
                         [](const testing::TestParamInfo<Policy>& info) {
                           return info.param == Policy::ticket ? "Ticket" : "KeyQueue";
                         });

}  // namespace
}  // namespace touchstone::stress
