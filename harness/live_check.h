#pragma once
// Records what clients call and were told, and checks it meanwhile: a verdict at the first violation, in memory that does not grow
// with the run.
//
//   LiveCheck live(clients, rules);
//   // in thread i:
//   LiveCheck::Seat seat = live.seat(i);
//   while (!live.ended()) seat.call(client, operation);         // applies it, returns the response
//   // after the join:
//   LiveVerdict verdict = std::move(live).finish();
//
// Each client writes into a ring of its own; one thread reads them all and gives the calls to model/commit_order.h. Of a client that
// has told a return, everything older is known; the earliest of these times is how far the check may go. Rules, cited by number in
// the code:
//   L1  The intervals are those of recorder.h (O1); a client whose outcome is unknown calls no more (O2).
//   L2  When `window` calls wait for one that is still open, only the client that is furthest behind is read, and the others wait as
//       soon as their rings are full. So no more than `window` and all rings are kept, and an operation must not need another
//       client's next call.
//   L3  The latest `window` calls that were placed are kept for an explanation; the history is whole while nothing was let go.
//   L4  Where outcomes are unknown the order of the commits may be undecided. Then the history is recorded on while it is whole,
//       and judged by model::check() at the end; otherwise the run ends, inconclusive.
//
// Thread safety: each seat by one thread; ended() by any; finish() after all seats are gone.

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "harness/recorder.h"
#include "model/checker.h"
#include "model/commit_order.h"

namespace touchstone::harness {

struct LiveVerdict {
  model::Answer answer = model::Answer::kInconclusive;
  std::string explanation;                ///< of what is not linearizable, or inconclusive
  std::optional<model::Verdict> verdict;  ///< the checker's on the whole history, where that was asked
  model::History latest{model::HistoryKind::kStore};  ///< the latest calls
  bool whole = true;                                  ///< they are all (L3)
  std::uint64_t calls = 0;
  std::uint64_t most_of_one_client = 0;
  std::uint64_t calls_at_verdict = 0;  ///< recorded when a violation was found; of a run without one: all
  std::size_t most_waiting = 0;        ///< the most calls that were kept because they could not be placed yet
};

class LiveCheck {
 public:
  static constexpr std::size_t kWindow = 4'096;
  static constexpr std::size_t kLargestRing =
      256;  ///< calls of one client; fewer where the window is smaller

  LiveCheck(std::size_t clients, const model::StoreRules& rules, std::size_t window = kWindow);
  ~LiveCheck();
  LiveCheck(const LiveCheck&) = delete;
  LiveCheck& operator=(const LiveCheck&) = delete;

  class Seat;
  Seat seat(std::size_t id);

  /// There is nothing more to learn: a violation was found, or the check was given up.
  bool ended() const { return ended_.load(); }

  LiveVerdict finish() &&;

 private:
  struct alignas(128) Ring {
    std::vector<RecordedCall> calls;
    std::atomic<std::uint64_t> written{0};
    std::atomic<std::uint64_t> taken{0};
    std::atomic<bool> gone{false};
    std::atomic<int> fence{0};
    std::int64_t known = 0;  ///< the follower's: every call invoked before is known
  };
  struct Kept {
    std::size_t client = 0;
    RecordedCall record;
  };

  void follow();
  bool take_new();
  bool may_take_from(const Ring& ring);
  void take_from(std::size_t client);
  std::int64_t horizon() const;
  void judge();
  void let_go(Kept kept);
  std::uint64_t recorded() const;
  model::History latest_history();
  std::string words(const LiveVerdict& verdict) const;

  const model::StoreRules rules_;
  const std::size_t window_;
  std::vector<Ring> rings_;
  std::atomic<bool> ended_{false};

  // Of the thread that follows:
  model::CommitOrder order_;
  model::CommitOrder::Progress progress_ = model::CommitOrder::Progress::kRunning;
  std::deque<Kept> waiting_;  ///< by the number that order_ knows; some places are free
  std::vector<model::OperationNumber> free_;
  std::deque<Kept> latest_;  ///< L3
  bool whole_ = true;
  std::uint64_t calls_at_verdict_ = 0;
  std::size_t most_waiting_ = 0;
  std::thread follower_;
};

class LiveCheck::Seat {
 public:
  Seat(const Seat&) = delete;
  Seat& operator=(const Seat&) = delete;
  ~Seat() { ring_.gone.store(true); }

  /// Nothing: its outcome is unknown, and the client is done.
  template <class Client>
  std::optional<model::StoreResponse> call(Client& client, const model::StoreOperation& operation) {
    const std::uint64_t number = ring_.written.load();
    while (number - ring_.taken.load() == ring_.calls.size()) std::this_thread::yield();
    RecordedCall& record = ring_.calls[number % ring_.calls.size()];
    record = RecordedCall{};
    record.call.operation = operation;
    std::optional<model::StoreResponse> response;
    if (record.make(client, ring_.fence)) response = record.call.response;
    ring_.written.store(number + 1);
    return response;
  }

 private:
  friend class LiveCheck;
  explicit Seat(Ring& ring) : ring_(ring) {}
  Ring& ring_;
};

}  // namespace touchstone::harness
