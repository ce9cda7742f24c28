// What the etcd store costs, counted in requests: docs/distributed.md computes with these numbers. Times are printed only.

#include <chrono>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "engine/etcd/http_connection.h"
#include "stress/etcd/etcd_test.h"

namespace touchstone::stress {
namespace {

using engine::Composite;
using engine::TicketStatus;

class EtcdCost : public EtcdTest {
 protected:
  static std::uint64_t requests_of(EtcdWorker& worker, const std::function<void()>& act) {
    const std::uint64_t before = worker.requests();
    act();
    return worker.requests() - before;
  }

  std::int64_t bytes_in_etcd() {
    const auto place = cluster().endpoints().at(0);
    engine::HttpConnection connection(place.host, place.port, std::chrono::seconds(2));
    return std::stoll(nlohmann::json::parse(connection.post("/v3/maintenance/status", "{}").body)
                          .value("dbSizeInUse", "0"));
  }
};

TEST_F(EtcdCost, EveryOperationTakesTheRequestsThatThePageSays) {
  const EtcdStore store = this->store();
  EtcdWorker worker = store.worker(), rival = store.worker();
  EXPECT_EQ(worker.requests(), 1u) << "its number";
  engine::Version version = 0;
  EXPECT_EQ(requests_of(worker, [&] { version = worker.version(); }), 1u);
  EXPECT_EQ(requests_of(worker, [&] { worker.compare_and_swap(version, WriteSet{}.set("a", 1)); }), 1u);
  EXPECT_EQ(requests_of(worker, [&] { (void)worker.read("a"); }), 1u);
  const auto composite = WriteSet{}.set("b", Composite{{"x", 1}});
  EXPECT_EQ(requests_of(worker, [&] { worker.compare_and_swap(1, composite); }), 2u)
      << "it looks what lies below";
  EXPECT_EQ(requests_of(worker, [&] { worker.execute(increment(store, "a")); }), 3u)
      << "snapshot, read, commit";
  rival.compare_and_swap(rival.version(), WriteSet{}.set("a", 5));
  EXPECT_EQ(requests_of(worker, [&] { worker.compare_and_swap(3, WriteSet{}.set("a", 6)); }), 2u)
      << "a conflict, and the version of what won";
}

TEST_F(EtcdCost, ATurnTakesSixRequestsBesideItsCommit) {
  const EtcdStore store = this->store();
  EtcdWorker worker = store.worker(), rival = store.worker();
  std::uint64_t last_conflict = 0;
  for (int i = 0; i < 5; ++i) {
    const auto stale = worker.version();
    rival.compare_and_swap(rival.version(), WriteSet{}.set("hot", i));
    last_conflict = requests_of(worker, [&] { worker.compare_and_swap(stale, WriteSet{}.set("hot", -1)); });
  }
  ASSERT_EQ(worker.ticket(), TicketStatus::holding);
  EXPECT_EQ(last_conflict, 2u + 5u) << "a lease, the ages, the entry, the turn, the lease again";
  EXPECT_EQ(requests_of(rival, [&] { rival.compare_and_swap(5, WriteSet{}.set("x", 1)); }), 2u)
      << "busy, and how long the lease lasts";
  EXPECT_EQ(requests_of(worker, [&] { worker.compare_and_swap(5, WriteSet{}.set("hot", 0)); }), 3u)
      << "its version, the commit, the lease given back";
}

TEST_F(EtcdCost, IsPrintedAsTimesToo) {
  using Clock = std::chrono::steady_clock;
  const EtcdStore store = this->store();
  constexpr int kCommits = 160;
  for (const int workers : {1, 2, 4, 8}) {
    for (const bool hot : {false, true}) {
      const std::int64_t bytes = bytes_in_etcd();
      const auto begin = Clock::now();
      std::vector<std::thread> threads;
      for (int id = 0; id < workers; ++id) {
        threads.emplace_back([&, id] {
          EtcdWorker worker = store.worker();
          const auto process = increment(store, hot ? "hot" : "own" + std::to_string(id));
          for (int i = 0; i < kCommits / workers; ++i) EXPECT_TRUE(worker.execute(process).committed());
        });
      }
      for (std::thread& thread : threads) thread.join();
      const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
      std::printf("%d workers, %s: %.0f executions a second, %lld bytes each in etcd\n", workers,
                  hot ? "one path" : "a path each", kCommits / seconds,
                  static_cast<long long>((bytes_in_etcd() - bytes) / kCommits));
    }
  }
}

}  // namespace
}  // namespace touchstone::stress
