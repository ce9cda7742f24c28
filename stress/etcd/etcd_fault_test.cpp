// The etcd store while etcd's own processes are killed and stopped: first safety, then progress with the faults over.

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "harness/etcd_engine.h"
#include "harness/start_together.h"
#include "harness/suite.h"
#include "model/checker.h"
#include "model/explanation.h"
#include "stress/etcd/etcd_test.h"

namespace touchstone::stress {
namespace {

using namespace std::chrono_literals;

class EtcdFaults : public EtcdTest {
 protected:
  EtcdFaults() { nodes_ = 3; }
};

/// The answer to a commit is lost with the node that gives it. Counting again what was committed, or losing what was, shows in
/// the sum: execute() says how many commits there were, and each added one (V4).
TEST_F(EtcdFaults, NoCommitIsLostOrRepeatedWhileLeadersAreKilled) {
  constexpr int kWorkers = 3;
  const EtcdStore store = this->store();
  std::atomic<bool> stop{false};
  std::atomic<int> committed{0}, unknown{0};
  std::vector<std::thread> workers;
  for (int id = 0; id < kWorkers; ++id) {
    workers.emplace_back([&] {
      EtcdWorker worker = store.worker();
      while (!stop) {
        try {
          committed += worker.execute(increment(store, "counter")).committed() ? 1 : 0;
        } catch (const engine::EtcdUnreachable&) {
          ++unknown;
        }
      }
    });
  }
  for (int fault = 0; fault < 3; ++fault) {
    const int before = committed;
    while (committed < before + 10) std::this_thread::sleep_for(5ms);
    const std::size_t leader = cluster().leader();
    cluster().process(leader).kill();
    std::this_thread::sleep_for(200ms);
    cluster().process(leader).start();
    cluster().wait_until_ready(leader);
  }
  const int before = committed;
  while (committed < before + 10) std::this_thread::sleep_for(5ms);  // progress, or the watchdog
  stop = true;
  for (std::thread& worker : workers) worker.join();
  const auto sum = store.worker().read("counter")->integer();
  std::printf("%d commits, %d of unknown outcome, counter %lld\n", committed.load(), unknown.load(),
              static_cast<long long>(sum));
  EXPECT_GE(sum, committed);
  EXPECT_LE(sum, committed + unknown);
}

/// Any operations, recorded: a history with a leader's death in it is linearizable all the same; what stayed unknown is unknown
/// in it.
TEST_F(EtcdFaults, AHistoryWithALeadersDeathInItIsLinearizable) {
  harness::EtcdEngine::use(place("faults"));
  auto stream = harness::Seed::of_process().stream("etcd faults");
  const harness::WorkloadShape shape{
      .clients = 4, .steps = 25, .capabilities = harness::EtcdEngine::kCapabilities};
  const auto workload = harness::draw_workload(stream, shape);
  const std::size_t leader = cluster().leader();
  model::History history(model::HistoryKind::kStore);
  std::thread clients(
      [&] { history = harness::run_on_threads<harness::EtcdEngine>({.backoff = false}, workload, stream); });
  std::this_thread::sleep_for(100ms);
  cluster().process(leader).kill();
  clients.join();
  cluster().process(leader).start();
  cluster().wait_until_ready(leader);
  const auto verdict = model::check(history, {.budget = 20s});
  EXPECT_EQ(verdict.answer, model::Answer::kLinearizable) << model::explain(history, verdict);
}

/// A minority cannot commit, and says so within its patience: it is not known whether it did (U3), never Busy and never Conflict.
/// When the majority is back, work goes on.
TEST_F(EtcdFaults, WithoutAMajorityTheOutcomeIsUnknownAndThenWorkGoesOn) {
  engine::EtcdOptions impatient = place();
  impatient.patience = 1500ms;
  impatient.request_timeout = 500ms;
  const EtcdStore store(impatient);
  EtcdWorker worker = store.worker();
  ASSERT_TRUE(worker.execute(increment(store, "counter")).committed());
  const auto version = worker.version();
  cluster().process(1).pause();
  cluster().process(2).pause();
  EXPECT_THROW(worker.compare_and_swap(version, WriteSet{}.set("x", 1)), engine::EtcdUnreachable);
  EXPECT_THROW((void)worker.read("counter"), engine::EtcdUnreachable) << "no stale answer either";
  cluster().process(1).resume();
  cluster().process(2).resume();
  for (std::size_t node = 0; node < 3; ++node) cluster().wait_until_ready(node);
  EXPECT_TRUE(worker.execute(increment(store, "counter")).committed());
  EXPECT_EQ(worker.read("counter")->integer(), 2);
}

}  // namespace
}  // namespace touchstone::stress
