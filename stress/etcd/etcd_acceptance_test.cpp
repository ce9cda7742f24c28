// Acceptance scenarios A and B on the etcd store, by the code that the store in this process is put through (stress/acceptance.h), and A4
// and B9 as they are here.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "harness/seed.h"
#include "stress/acceptance.h"
#include "stress/etcd/etcd_test.h"

namespace touchstone::stress {
namespace {

using namespace std::chrono_literals;
using engine::CommitPath;
using engine::Committed;
using engine::StoreOptions;
using engine::Version;

std::uint64_t seed() {
  return harness::Seed::of_process().value();
}

/// Of acceptance.h. What is asked without a worker has one of its own.
class EtcdRig {
 public:
  using Context = EtcdContext;
  using Worker = EtcdWorker;
  using Process = engine::EtcdProcess;

  static constexpr bool kJoiningBeginsATurn = false;  // in execute(), which asks for it next

  EtcdRig(engine::EtcdOptions place, StoreOptions options)
      : store_(std::make_unique<EtcdStore>(std::move(place), std::move(options))) {}

  Version version() { return store_->worker().version(); }
  std::optional<engine::Value> read(const std::string& path) { return store_->worker().read(path); }
  engine::CommitResult swap(Version expected, const WriteSet& writes, Worker* worker = nullptr) {
    return worker != nullptr ? worker->compare_and_swap(expected, writes)
                             : store_->worker().compare_and_swap(expected, writes);
  }
  std::unique_ptr<Worker> worker(int failures = 0) {
    auto made = std::make_unique<Worker>(*store_);
    if (failures > 0) swap(version(), WriteSet{}.set("stale", 1));
    for (int i = 0; i < failures; ++i) made->compare_and_swap(0, WriteSet{}.set("stale", 2));
    EXPECT_EQ(made->failures(), failures);
    return made;
  }
  Process process(const std::string& name, const engine::Contract& contract,
                  const std::function<void(Context&)>& body) {
    return store_->process(name, contract, body);
  }
  engine::ExecuteResult execute(Worker& worker, const Process& process,
                                const engine::Limits<engine::NativePlatform>& limits = {}) {
    return worker.execute(process, limits);
  }
  engine::Statistics statistics() { return store_->statistics(); }

 private:
  std::unique_ptr<EtcdStore> store_;
};

class EtcdAcceptance : public EtcdTest {
 protected:
  /// Each rig below a root of its own.
  auto make() {
    return [this](StoreOptions options) {
      return EtcdRig(place("rig" + std::to_string(rigs_++)), std::move(options));
    };
  }

 private:
  int rigs_ = 0;
};

// A4 is another promise here: etcd compares in the transaction that writes. The oracle counts: a fast commit is told from a merged one,
// takes one request like it, and compares the ancestors and one range a path beyond its own stamp, however many commits there were.
TEST_F(EtcdAcceptance, A4AFastCommitIsOneRequestAndComparesWhatItsDepthSays) {
  const EtcdStore store = this->store();
  EtcdWorker worker = store.worker();
  const auto commit = [&](Version expected, const char* path) {
    const std::uint64_t requests = worker.requests(), compared = store.statistics().versions_compared;
    const auto result = std::get<Committed>(worker.compare_and_swap(expected, WriteSet{}.set(path, 1)));
    EXPECT_EQ(worker.requests() - requests, 1u) << path;
    EXPECT_EQ(store.statistics().versions_compared - compared,
              static_cast<std::uint64_t>(1 + std::count(path, path + std::string_view(path).size(), '.')));
    return result.path;
  };
  for (Version v = 0; v < 100; ++v) EXPECT_EQ(commit(v, v % 2 == 0 ? "a.b.c.d" : "a.b.e"), CommitPath::fast);
  EXPECT_EQ(store.statistics().commits_fast, 100u);
  EtcdWorker other = store.worker();
  other.compare_and_swap(other.version(), WriteSet{}.set("elsewhere", 1));
  EXPECT_EQ(commit(100, "x.y.z"), CommitPath::merged);
  EXPECT_EQ(store.statistics().commits_merged, 1u);
  EXPECT_EQ(store.statistics().commits(), 102u) << "of all workers";
}

TEST_F(EtcdAcceptance, A8ARootOutputLosesTheMergesThatAGranularOneKeeps) {
  a_root_output_loses_merges(make());
}

TEST_F(EtcdAcceptance, A9AWriteOutsideTheDeclaredOutputsIsATypedErrorBeforeTheCommit) {
  a_write_outside_the_contract_is_refused(make());
}

TEST_F(EtcdAcceptance, A11WriteSkewIsAllowedByDefaultAndRefusedWhenReadsAreValidated) {
  write_skew_is_what_the_mode_says(make());
}

TEST_F(EtcdAcceptance, A13StopDeadlineAndAttemptLimitAreTypedResultsAndGiveTheTicketBack) {
  limits_are_typed_results_and_give_the_ticket_back(make());
}

TEST_F(EtcdAcceptance, A13AWaitAtAClosedGateEndsByStopAndByDeadline) {
  a_wait_at_a_closed_gate_ends_by_stop_and_by_deadline(make());
}

TEST_F(EtcdAcceptance, B1AnExecuteWaitsLongerBeforeEachRetry) {
  an_execute_waits_longer_before_each_retry(make(), seed());
}

TEST_F(EtcdAcceptance, B2FiftyWorkersIncrementOneCounterAndEachIsCommitted) {
  fifty_workers_increment_one_counter(make(), seed());
}

TEST_F(EtcdAcceptance, B3ASlowWorkerCommitsThreeOfThreeAmongFiveFastOnes) {
  a_slow_worker_commits_among_fast_ones(make(), seed());
}

TEST_F(EtcdAcceptance, B11ABodyThatRanFourTimesPublishesOnceAndASinksExceptionLeavesTheCommitStanding) {
  a_body_that_ran_four_times_publishes_once(make());
}

// B9. Danger: all who wait at the gate look again at the same moments. Sixteen executions of different keys wait until the holder
// commits, and have looked several times by then. The oracle counts: how often one has looked is what it has asked of etcd, and it must
// have waited for as many draws of its own stream, which the test repeats; and sixteen such streams do not begin alike.
TEST_F(EtcdAcceptance, B9WaitersLookAgainEachByADrawOfItsOwn) {
  constexpr int kWaiters = 16;
  const EtcdStore store = this->store({.lease_least = 60s, .seed = seed()});
  std::vector<std::unique_ptr<EtcdWorker>> workers;  // the nth has stream n + 1
  for (int i = 0; i < kWaiters + 1; ++i) workers.push_back(std::make_unique<EtcdWorker>(store));
  EtcdWorker& holder = *workers.back();
  holder.compare_and_swap(0, WriteSet{}.set("n", 0));
  for (int i = 0; i < 5; ++i) holder.compare_and_swap(0, WriteSet{}.set("n", 1));
  ASSERT_EQ(holder.ticket(), engine::TicketStatus::holding);
  std::set<engine::Duration> first_draws;
  together(kWaiters + 1, [&](int i) {
    if (i == kWaiters) {
      while (store.statistics().busy < 4 * kWaiters) std::this_thread::yield();
      EXPECT_TRUE(std::holds_alternative<Committed>(holder.compare_and_swap(1, WriteSet{}.set("n", 1))));
      return;
    }
    EtcdWorker& worker = *workers[static_cast<std::size_t>(i)];
    const std::string key = "key" + std::to_string(i);
    const auto process =
        store.process("p", {.outputs = {key}}, [&](EtcdContext& context) { context.set(key, 1); });
    const std::uint64_t before = worker.requests();
    const auto result = worker.execute(process);
    EXPECT_TRUE(result.committed());
    EXPECT_EQ(result.effort.attempts, 1) << "Busy resubmits the same attempt";
    const auto looks = worker.requests() - before - 1;  // without its snapshot
    engine::Duration drawn{0};
    engine::NativePlatform::random jitter(seed(), static_cast<std::uint64_t>(i) + 1);
    for (int round = 1; static_cast<std::uint64_t>(round) < looks; ++round)
      drawn += engine::EtcdWorker::kLooks.draw(round, jitter);
    EXPECT_GT(looks, 1u);
    EXPECT_GE(result.effort.waited, drawn) << "waiter " << i << " looked too often";
  });
  for (std::uint64_t stream = 1; stream <= kWaiters; ++stream) {
    engine::NativePlatform::random jitter(seed(), stream);
    first_draws.insert(engine::EtcdWorker::kLooks.draw(1, jitter));
  }
  EXPECT_EQ(first_draws.size(), static_cast<std::size_t>(kWaiters));
  EXPECT_GT(*first_draws.rbegin() - *first_draws.begin(), engine::EtcdWorker::kLooks.jitter_range(1) / 4);
}

// The ticket's last rule that the scenarios do not name: a holder that loops by hand has its full window again, so many times.
TEST_F(EtcdAcceptance, AHolderThatConflictsIsRenewedALimitedNumberOfTimes) {
  const EtcdStore store = this->store({.lease_least = 60s, .lease_renewals = 2});
  EtcdWorker holder = store.worker();
  holder.compare_and_swap(0, WriteSet{}.set("n", 0));
  const auto requests = [&] {
    const auto before = holder.requests();
    EXPECT_TRUE(std::holds_alternative<engine::Conflict>(holder.compare_and_swap(0, WriteSet{}.set("n", 1))));
    return holder.requests() - before;
  };
  for (int i = 0; i < 5; ++i) requests();
  ASSERT_EQ(holder.ticket(), engine::TicketStatus::holding);
  const auto renewed = requests();
  EXPECT_EQ(requests(), renewed);
  EXPECT_EQ(requests(), renewed - 1) << "the third conflict in its turn keeps the lease as it is";
  EXPECT_EQ(holder.ticket(), engine::TicketStatus::holding);
  EXPECT_EQ(store.statistics().grants, 1u);
  EXPECT_EQ(store.statistics().conflicts, 8u);
}

}  // namespace
}  // namespace touchstone::stress
