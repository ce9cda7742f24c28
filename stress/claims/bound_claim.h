#pragma once
// Claim B10, for any engine under test that declares the ticket: nobody conflicts for ever, by hand and seen from outside.
//
//   add_bound_claim<harness::ForeignEngine>(registry);

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "harness/start_together.h"
#include "stress/claims/store_claims.h"

namespace touchstone::stress {

/// What a client's commits have met since its last one that succeeded.
class ConflictsInARow {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr int kThreshold = 5;
  static constexpr auto kLeaseAtLeast = std::chrono::milliseconds(50);

  explicit ConflictsInARow(int clients) : bound_(kThreshold + 1 + (clients - 1)) {}

  /// `began`: of this attempt. Where the last attempt began longer ago than a lease may be, a turn may have come and gone.
  void add(Clock::time_point began, Clock::time_point answered) {
    ++conflicts_;
    if (conflicts_ > 1 && answered - last_began_ > kLeaseAtLeast) ++excused_;
    last_began_ = began;
  }
  void busy(Clock::time_point began) { last_began_ = began; }

  int conflicts() const { return conflicts_; }
  int most() const { return bound_ + excused_; }

 private:
  const int bound_;
  int conflicts_ = 0;
  int excused_ = 0;
  Clock::time_point last_began_{};
};

/// Adds one to "counter" by hand, thinking for a while between what it reads and its commit.
template <class Client>
void increment_by_hand(ClaimRun& run, Client& client, int clients, std::chrono::milliseconds thought) {
  ConflictsInARow row(clients);
  while (true) {
    const auto began = ConflictsInARow::Clock::now();
    const auto version =
        expect<model::VersionIs>(run, client.apply(model::ReadVersion{}), "a version").version;
    const auto read = expect<model::ValueRead>(run, client.apply(model::ReadPath{"counter"}), "a read").value;
    const std::int64_t value = read ? std::get<std::int64_t>(read->at("")) : 0;
    std::this_thread::sleep_for(thought);
    const auto answer = client.apply(swap(version, write("counter", value + 1)));
    if (std::holds_alternative<model::Committed>(answer)) return;
    if (std::holds_alternative<model::Busy>(answer)) {
      row.busy(began);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    expect<model::Conflict>(run, answer, "an increment");
    row.add(began, ConflictsInARow::Clock::now());
    run.require(row.conflicts() <= row.most(), "{} conflicts in a row of one client: at most {} are promised",
                row.conflicts(), row.most());
  }
}

// B10. The danger: others change the counter within every attempt of a slow client, for ever. The oracle counts its conflicts in a
// row: five earn the ticket; one more may have read its version before its turn; and as many as there are others, whose commits were
// under way when its turn began. The others go on until it has committed.
template <EngineUnderTest E>
void conflicts_in_a_row_are_bounded(ClaimRun& run) {
  constexpr int kClients = 4, kSlowCommits = 2, kMost = 200'000;
  run.rounds([&](Seed seed) {
    E engine({.backoff = false, .seed = seed.value()});
    std::atomic<bool> done{false};
    std::atomic<int> commits{0};
    harness::start_together(kClients, [&](int id) {
      struct Ends {
        std::atomic<bool>* done;
        ~Ends() {
          if (done != nullptr) *done = true;
        }
      } const ends{id == 0 ? &done : nullptr};
      auto client = engine.client(id);
      for (int i = 0; id == 0 ? i < kSlowCommits : i < kMost && !done; ++i) {
        increment_by_hand(run, client, kClients, std::chrono::milliseconds(id == 0 ? 10 : 0));
        commits.fetch_add(1);
      }
    });
    run.require(engine.pin().read("counter") == leaf(commits.load()),
                "the counter is not the number of commits, {}", commits.load());
    run.tried().operations += static_cast<std::uint64_t>(commits.load());
  });
}

template <EngineUnderTest E>
void add_bound_claim(ClaimRegistry& registry) {
  constexpr const char* kPromise = "the ticket bounds how often in a row a client conflicts";
  if (!E::kCapabilities.ticket) return registry.add_not_claimed({"B10", kPromise, "ticket"});
  registry.add({"B10", kPromise, "threads", ReplayClass::workload, 2, conflicts_in_a_row_are_bounded<E>});
}

}  // namespace touchstone::stress
