#pragma once
// Transactions on real threads, recorded so that their isolation can be judged.
//
//   model::History history = run_transactions<MyEngine>({.validate_reads = true}, stream);
//   auto transactions = model::transactions_of(history);          // model/store_transactions.h
//
// Four clients read two or three keys of a snapshot and write one or more of them, with values that nobody else writes. At
// first the first two clients both have their snapshot before either commits, each to a key that the other has read: so an
// engine that validates only what is written must show a write skew.
//
// For engines that declare snapshots. Thread safety: as suite.h.

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "harness/engine_under_test.h"
#include "harness/recorder.h"
#include "harness/seed.h"
#include "harness/start_together.h"
#include "model/history.h"

namespace touchstone::harness {

/// A place where clients wait for one another, unless one of them is gone.
class MeetingPlace {
 public:
  void wait_for(int arrivals) {
    arrived_.fetch_add(1);
    while (arrived_.load() < arrivals && !given_up_.load()) std::this_thread::yield();
  }
  void give_up() { given_up_.store(true); }

 private:
  std::atomic<int> arrived_{0};
  std::atomic<bool> given_up_{false};
};

template <EngineUnderTest E>
model::History run_transactions(const EngineSettings& settings, Stream& stream) {
  constexpr int kClients = 4;
  constexpr int kRounds = 12;
  constexpr std::uint64_t kKeys = 5;
  E engine(settings);
  Recorder recorder(kClients);
  std::vector<Stream> streams;
  for (int i = 0; i < kClients; ++i) streams.push_back(Seed(stream.next()).stream("client"));
  MeetingPlace place;
  const auto path_of = [](std::uint64_t key) { return "k" + std::to_string(key); };
  const auto be_client = [&](int id) {
    auto client = engine.client(id);
    Stream& own = streams[static_cast<std::size_t>(id)];
    for (int round = 0; round < kRounds; ++round) {
      std::set<std::uint64_t> keys = {own.below(kKeys), own.below(kKeys), own.below(kKeys)};
      const bool skewed = round == 0 && id < 2;
      if (round == 1) place.wait_for(2 * kClients);
      if (skewed) keys = {0, 1};
      if (round == 0 && !skewed) keys = {2, 3};
      model::SnapshotRead snapshot;
      for (const std::uint64_t key : keys) snapshot.paths.push_back(path_of(key));
      const auto seen = recorder.call(static_cast<std::size_t>(id), client, snapshot);
      if (!seen || !std::holds_alternative<model::SnapshotIs>(*seen)) return place.give_up();
      if (round == 0) place.wait_for(kClients);
      if (!skewed && own.chance(1, 4)) continue;  // a transaction that only reads
      model::CompareAndSwap commit;
      commit.expected = std::get<model::SnapshotIs>(*seen).version;
      commit.reads = snapshot.paths;
      const auto put = [&](const std::string& path) {
        commit.writes.push_back({path, model::Subtree{{"", std::int64_t{id * 1000 + round}}}});
      };
      if (skewed || !own.chance(1, 3)) {
        put(snapshot.paths[skewed ? static_cast<std::size_t>(id) : own.below(snapshot.paths.size())]);
      } else {
        for (const auto& path : snapshot.paths) put(path);
      }
      if (round % 3 == 0) std::this_thread::yield();
      if (!recorder.call(static_cast<std::size_t>(id), client, commit)) return place.give_up();
    }
  };
  start_together(kClients, [&](int id) {
    try {
      be_client(id);
    } catch (...) {
      place.give_up();
      throw;
    }
  });
  return std::move(recorder).history(rules_for(settings, E::kCapabilities));
}

}  // namespace touchstone::harness
