// Histories of many real threads, judged by the checker while they run; and invariants that every snapshot must show while they run.

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <atomic>
#include <deque>
#include <string>

#include "harness/reference_engine.h"
#include "harness/suite.h"
#include "stress/crowd.h"
#include "stress/scale.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;
using harness::Seed;
using harness::Stream;
using Native = NativePlatform;

// Danger: an answer that no order of the calls explains: a commit that overlooked a conflict, a conflict that never was, a snapshot
// out of time. Interleaving: six clients with recent and stale versions on few overlapping paths, in every mode of the store. The
// oracle is the checker: it looks for one order that respects real time and in which the model gives the same answers.
TEST(Linearizability, HistoriesOfSixThreadsHaveAnOrderThatExplainsThem) {
  Stream stream = Seed::of_process().stream("linearizability");
  harness::WorkloadShape shape;
  shape.clients = 6;
  shape.steps = 40;
  shape.capabilities = harness::ReferenceEngine::kCapabilities;
  const harness::EngineSettings modes[] = {{.backoff = false},
                                           {.strict = true, .backoff = false},
                                           {.validate_reads = true, .backoff = false},
                                           {.ticket = false},
                                           {.key_queue = true, .backoff = false},
                                           {.validate_reads = true, .key_queue = true, .backoff = false}};
  constexpr int kModes = std::size(modes);
  std::size_t operations = 0;
  for (int round = 0; round < 60 * kScale; ++round) {
    harness::EngineSettings settings = modes[round % kModes];
    settings.seed = stream.next();
    shape.reads = settings.validate_reads;
    shape.malformed = round % (2 * kModes) >= kModes;
    const auto workload = draw_workload(stream, shape);
    const auto live = harness::check_on_threads<harness::ReferenceEngine>(settings, workload, stream);
    ASSERT_EQ(live.answer, model::Answer::kLinearizable) << "round " << round << ": " << live.explanation;
    if (round % 10 == 0) {
      const auto verdict = model::check(live.latest);
      EXPECT_EQ(model::verify_witness(live.latest, verdict.witness), std::nullopt);
    }
    operations += live.calls;
  }
  EXPECT_GE(operations, 13'000u * kScale);
}

// Danger: what only a long run brings: versions that went far, stamps of paths long gone, values reclaimed while somebody goes back to
// them. Interleaving: as above, with thousands of calls for each client. The oracle: the check that goes along; it keeps what is
// open, not the history.
TEST(Linearizability, LongRunsAreCheckedWhileTheyGoOn) {
  Stream stream = Seed::of_process().stream("long");
  constexpr std::size_t kWindow = 512, kClients = 6;
  for (const bool validate_reads : {false, true}) {
    harness::EngineSettings settings{
        .validate_reads = validate_reads, .backoff = false, .seed = stream.next()};
    const harness::WorkloadShape shape{.steps = 3'000 * kScale,
                                       .capabilities = harness::ReferenceEngine::kCapabilities,
                                       .reads = validate_reads};
    std::vector<harness::DrawnSteps> steps;
    for (std::size_t i = 0; i < kClients; ++i) steps.emplace_back(Seed(stream.next()), shape);
    const auto live =
        harness::check_on_threads<harness::ReferenceEngine>(settings, std::move(steps), stream, kWindow);
    EXPECT_EQ(live.answer, model::Answer::kLinearizable) << live.explanation;
    EXPECT_EQ(live.calls, kClients * static_cast<std::size_t>(shape.steps));
    EXPECT_LE(live.most_waiting, kWindow + kClients * harness::LiveCheck::kLargestRing);
  }
}

// Danger: money is made or lost: an update is lost, a commit is half visible, or a version is counted twice. Interleaving: four
// threads move amounts between sixteen accounts, by execute() and by hand, while two readers open snapshots in the middle. The
// oracle: a transfer keeps the sum, so each snapshot's sum is the first one; and the store's version is the number of commits.
TEST(Transfers, KeepTheSumInEverySnapshotAndCountEveryCommit) {
  constexpr int kAccounts = 16, kMovers = 4, kReaders = 2;
  constexpr std::int64_t kEach = 1'000;
  const auto account = [](std::uint64_t i) { return "bank.a" + std::to_string(i); };
  Store<> store({.backoff_base = std::chrono::microseconds(20), .seed = Seed::of_process().value()});
  WriteSet opening;
  for (std::uint64_t i = 0; i < kAccounts; ++i) opening.set(account(i), kEach);
  store.compare_and_swap(0, opening);
  std::atomic<std::uint64_t> commits{1};
  std::atomic<int> moving{kMovers};
  together(kMovers + kReaders, [&](int i) {
    Stream stream = Seed::of_process().stream("transfers/" + std::to_string(i));
    if (i >= kMovers) {
      std::deque<Snapshot<Native>> pinned;
      while (moving.load() != 0) {
        pinned.push_back(store.snapshot());
        if (pinned.size() > 1 + stream.below(8)) pinned.pop_front();
        for (const auto& snapshot : pinned) {
          std::int64_t sum = 0;
          for (std::uint64_t k = 0; k < kAccounts; ++k) {
            sum += snapshot.read(account(k))->integer();
            EXPECT_LE(snapshot.changed(account(k)), snapshot.version());
          }
          EXPECT_EQ(sum, kAccounts * kEach) << "at version " << snapshot.version();
        }
      }
      return;
    }
    auto worker = store.worker();
    for (int round = 0; round < 1'500 * kScale; ++round) {
      const auto from = account(stream.below(kAccounts)), to = account(stream.below(kAccounts));
      const std::int64_t amount = stream.between(1, 9);
      if (from == to) continue;
      if (i % 2 == 0) {
        auto move = store.process("move", {.outputs = {from, to}}, [&](Context<Native>& ctx) {
          const auto left = ctx.read(from)->integer();
          if (round % 16 == 0) std::this_thread::yield();
          ctx.set(from, left - amount);
          ctx.set(to, ctx.read(to)->integer() + amount);
        });
        EXPECT_TRUE(store.execute(worker, move).committed());
        commits.fetch_add(1);
      } else {
        const auto snapshot = store.snapshot();
        if (round % 16 == 0) std::this_thread::yield();
        const WriteSet move = WriteSet{}
                                  .set(from, snapshot.read(from)->integer() - amount)
                                  .set(to, snapshot.read(to)->integer() + amount);
        if (std::holds_alternative<Committed>(store.compare_and_swap(snapshot.version(), move, &worker)))
          commits.fetch_add(1);
      }
    }
    worker.give_back();
    moving.fetch_sub(1);
  });
  EXPECT_EQ(store.version(), commits.load());
  const Statistics statistics = store.statistics();
  EXPECT_EQ(statistics.commits(), commits.load());
}

// Danger: a text is freed under a reader's feet, or the wrong one is shown (the sanitizers see the one, the contents the other), or
// old values are never freed. Interleaving: three writers replace, erase and re-make texts and numbers, while three readers open
// and close snapshots at random and read them many times. The oracle: a value names the key and the version that made it, so a
// reader can tell; and when all are gone the store's count of live values is the number of texts that are still there.
TEST(Reclamation, KeepsWhatPinnedReadersReadAndFreesAllElse) {
  constexpr int kKeys = 12, kWriters = 3, kReaders = 3;
  const auto key = [](std::uint64_t i) { return "shelf.k" + std::to_string(i); };
  Store<> store({.ticket = false});
  std::atomic<int> writing{kWriters};
  std::atomic<std::uint64_t> looks{0};
  together(kWriters + kReaders, [&](int i) {
    Stream stream = Seed::of_process().stream("reclamation/" + std::to_string(i));
    if (i < kWriters) {
      for (int round = 0; round < 15'000 * kScale; ++round) {
        const auto path = key(stream.below(kKeys));
        const Version base = store.version();
        const auto what = stream.below(8);
        WriteSet writes;
        if (what == 0) {
          writes.erase(path);
        } else if (what < 3) {
          writes.set(path, static_cast<std::int64_t>(base));
        } else {
          writes.set(path, fmt::format("{} since {} {}", path, base, std::string(stream.below(64), 'x')));
        }
        store.compare_and_swap(base, writes);
      }
      writing.fetch_sub(1);
      return;
    }
    while (writing.load() != 0) {
      const auto snapshot = store.snapshot();
      for (std::uint64_t again = 0; again <= stream.below(4); ++again) {
        for (std::uint64_t k = 0; k < kKeys; ++k) {
          const auto value = snapshot.read(key(k));
          const Version changed = snapshot.changed(key(k));
          EXPECT_LE(changed, snapshot.version());
          if (!value) continue;
          if (value->scalar().index() == 3) {
            EXPECT_EQ(value->text().compare(0, key(k).size() + 7, key(k) + " since "), 0) << value->text();
          } else {
            EXPECT_LT(static_cast<Version>(value->integer()), changed);
          }
        }
        looks.fetch_add(1);
      }
    }
  });
  store.reclaim();
  std::uint64_t texts = 0;
  for (std::uint64_t k = 0; k < kKeys; ++k) {
    const auto value = store.read(key(k));
    texts += value && value->scalar().index() == 3 ? 1 : 0;
  }
  store.reclaim();
  const Statistics statistics = store.statistics();
  EXPECT_EQ(statistics.nodes_made - statistics.nodes_freed, texts);
  EXPECT_GT(statistics.nodes_freed, 1'000u);
  EXPECT_GT(looks.load(), 0u);
}

}  // namespace
}  // namespace touchstone::stress
