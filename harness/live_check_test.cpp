// The check of a run that goes on: right, in time, and in memory that does not grow.

#include "harness/live_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <set>

#include "harness/failure_report.h"
#include "harness/history_random.h"
#include "harness/simple_engine.h"
#include "harness/suite.h"
#include "model/brute_force.h"

namespace touchstone::harness {
namespace {

using model::Answer;
using model::CommitOrder;
using model::OperationNumber;

/// Gives the calls to the check as their outcomes get known, each with the horizon that is certain then.
CommitOrder::Progress as_it_comes(const model::History& history, std::size_t& most_kept) {
  std::vector<OperationNumber> by_outcome(history.operations.size());
  std::iota(by_outcome.begin(), by_outcome.end(), OperationNumber{0});
  const auto at = [&](OperationNumber number) -> const model::Operation& {
    return history.operations[number];
  };
  const auto known_at = [&](OperationNumber number) {
    return at(number).completed() ? at(number).returned : at(number).invoked;
  };
  std::stable_sort(by_outcome.begin(), by_outcome.end(),
                   [&](auto a, auto b) { return known_at(a) < known_at(b); });
  std::multiset<std::int64_t> open;
  for (const auto& it : history.operations) open.insert(it.invoked);
  CommitOrder order(history.store_rules);
  for (const OperationNumber number : by_outcome) {
    open.erase(open.find(at(number).invoked));
    order.add(number, at(number).invoked, at(number).returned, history.store_calls[at(number).argument]);
    const auto progress = order.advance(open.empty() ? model::kNever : *open.begin());
    most_kept = std::max(most_kept, order.kept());
    if (progress != CommitOrder::Progress::kRunning) return progress;
  }
  return order.finish();
}

// The danger: a call that is placed, or a commit that is let through, before everything is known that may belong before it: a
// violation is missed, or one is invented. The oracle tries every order. Yes and no are both frequent; undecided is only what
// unknown outcomes leave open.
TEST(CommitOrder, OfCallsThatComeOneByOneAgreesWithBruteForce) {
  describe_replay(ReplayClass::exact);
  Stream stream = Seed::of_process().stream("commit order");
  int yes = 0, no = 0, undecided = 0;
  for (int i = 0; i < 6'000; ++i) {
    StoreHistoryShape shape{.operations = 1 + stream.below(7), .clients = 1 + stream.below(4)};
    shape.strict = stream.chance(1, 4);
    shape.validate_reads = stream.chance(1, 4);
    shape.unknown_permille = stream.chance(1, 3) ? 200 : 0;
    shape.wrong_permille = stream.chance(1, 2) ? 150 : 0;
    const auto history = random_store_history(shape, stream);
    std::size_t most_kept = 0;
    const auto progress = as_it_comes(history, most_kept);
    if (progress == CommitOrder::Progress::kUndecided) {
      EXPECT_NE(shape.unknown_permille, 0u);
      ++undecided;
      continue;
    }
    const bool explained = progress == CommitOrder::Progress::kRunning;
    ASSERT_EQ(explained, model::is_linearizable_by_trying_everything(history)) << "history " << i;
    ++(explained ? yes : no);
  }
  EXPECT_GT(yes, 1'000);
  EXPECT_GT(no, 500);
  EXPECT_LT(undecided, 1'000);
}

// The danger: what was placed is still held, so an endless run ends for want of memory.
TEST(CommitOrder, KeepsOnlyWhatIsOpenHoweverLongTheHistoryIs) {
  describe_replay(ReplayClass::exact);
  Stream stream = Seed::of_process().stream("kept");
  for (const std::size_t operations : {1'000u, 10'000u}) {
    std::size_t most_kept = 0;
    const auto history = random_store_history({.operations = operations, .clients = 4}, stream);
    EXPECT_EQ(as_it_comes(history, most_kept), CommitOrder::Progress::kRunning);
    EXPECT_LE(most_kept, 200u) << "of "
                               << operations;  // one client of four is slow by chance; 10,000 would be all
  }
}

/// A right engine whose answers to ReadVersion are wrong from some call on.
class LyingEngine {
 public:
  static constexpr std::string_view kName = "lying";
  static constexpr Capabilities kCapabilities = SimpleEngine::kCapabilities;
  static constexpr std::uint64_t kHonestCalls = 30'000;

  explicit LyingEngine(const EngineSettings& settings) : engine_(settings) {}

  class Client {
   public:
    Client(LyingEngine& owner, SimpleEngine::Client client) : owner_(owner), client_(client) {}
    model::StoreResponse apply(const model::StoreOperation& operation) {
      auto response = client_.apply(operation);
      const std::uint64_t number = owner_.calls_.fetch_add(1);
      auto* version = std::get_if<model::VersionIs>(&response);
      if (version == nullptr || number < kHonestCalls) return response;
      version->version += 1'000'000;
      std::uint64_t none = 0;
      first_lie.compare_exchange_strong(none, number);
      return response;
    }

   private:
    LyingEngine& owner_;
    SimpleEngine::Client client_;
  };

  Client client(int id) { return {*this, engine_.client(id)}; }
  SimpleEngine::Pin pin() { return engine_.pin(); }

  static inline std::atomic<std::uint64_t> first_lie{0};

 private:
  SimpleEngine engine_;
  std::atomic<std::uint64_t> calls_{0};
};
static_assert(EngineUnderTest<LyingEngine>);

std::vector<DrawnSteps> drawn(std::size_t clients, int steps, Stream& stream) {
  std::vector<DrawnSteps> out;
  const WorkloadShape shape{.steps = steps, .capabilities = SimpleEngine::kCapabilities};
  for (std::size_t i = 0; i < clients; ++i) out.emplace_back(Seed(stream.next()), shape);
  return out;
}

// The danger: the verdict comes when the run is over, or never while somebody goes on. These clients have work for hours. Only a
// verdict ends the run, behind the lie by no more calls than may wait and lie in the rings, and each client makes at most the one
// call more that it had begun.
TEST(LiveCheck, ReportsAPlantedViolationWhileTheRunGoesOn) {
  describe_replay(ReplayClass::workload);
  Stream stream = Seed::of_process().stream("planted");
  constexpr std::size_t kClients = 4, kWindow = 512;
  constexpr std::size_t kMost = kWindow + kClients * LiveCheck::kLargestRing;
  LyingEngine::first_lie.store(0);
  const LiveVerdict verdict =
      check_on_threads<LyingEngine>({}, drawn(kClients, 1'000'000'000, stream), stream, kWindow);
  EXPECT_EQ(verdict.answer, Answer::kNotLinearizable);
  EXPECT_NE(verdict.explanation.find("nothing explains version by client"), std::string::npos)
      << verdict.explanation;
  EXPECT_GE(verdict.calls_at_verdict, LyingEngine::kHonestCalls);
  EXPECT_LE(verdict.calls, verdict.calls_at_verdict + kClients);
  EXPECT_LE(verdict.calls_at_verdict, LyingEngine::first_lie.load() + kMost + 2 * kClients);
  EXPECT_LE(verdict.most_waiting, kMost);
  EXPECT_FALSE(verdict.whole);
  EXPECT_LE(verdict.latest.operations.size(), kWindow + kMost);
}

// The danger: memory that grows with the run. Ten times the calls, the same bound.
TEST(LiveCheck, KeepsAWindowHoweverLongTheRunIs) {
  describe_replay(ReplayClass::workload);
  Stream stream = Seed::of_process().stream("window");
  constexpr std::size_t kClients = 4, kWindow = 64, kMost = kWindow + kClients * kWindow;
  for (const int steps : {1'000, 10'000}) {
    const LiveVerdict verdict =
        check_on_threads<SimpleEngine>({}, drawn(kClients, steps, stream), stream, kWindow);
    EXPECT_EQ(verdict.answer, Answer::kLinearizable) << verdict.explanation;
    EXPECT_EQ(verdict.calls, kClients * static_cast<std::size_t>(steps));
    EXPECT_LE(verdict.most_waiting, kMost);
    EXPECT_LE(verdict.latest.operations.size(), kWindow);
    EXPECT_FALSE(verdict.whole);
  }
}

// A short run is kept whole, and what the checker of the whole says of it is the same.
TEST(LiveCheck, KeepsAShortRunWhole) {
  describe_replay(ReplayClass::workload);
  Stream stream = Seed::of_process().stream("whole");
  for (int round = 0; round < 20; ++round) {
    const LiveVerdict verdict = check_on_threads<SimpleEngine>({}, drawn(3, 40, stream), stream);
    EXPECT_EQ(verdict.answer, Answer::kLinearizable) << verdict.explanation;
    ASSERT_TRUE(verdict.whole);
    ASSERT_EQ(verdict.latest.operations.size(), 120u);
    const auto again = model::check(verdict.latest);
    EXPECT_EQ(again.answer, Answer::kLinearizable);
    EXPECT_EQ(model::verify_witness(verdict.latest, again.witness), std::nullopt);
  }
}

/// Every so often nobody knows what became of a call.
class ForgetfulEngine {
 public:
  static constexpr std::string_view kName = "forgetful";
  static constexpr Capabilities kCapabilities = SimpleEngine::kCapabilities;
  explicit ForgetfulEngine(const EngineSettings& settings) : engine_(settings) {}

  class Client {
   public:
    explicit Client(SimpleEngine::Client client) : client_(client) {}
    model::StoreResponse apply(const model::StoreOperation& operation) {
      if (++calls_ == 30) throw OutcomeUnknown("the connection is gone");
      return client_.apply(operation);
    }

   private:
    SimpleEngine::Client client_;
    int calls_ = 0;
  };

  Client client(int) { return Client(engine_.client(0)); }
  SimpleEngine::Pin pin() { return engine_.pin(); }

 private:
  SimpleEngine engine_;
};

// The danger: a call of unknown outcome holds up the check for ever, or makes a right engine wrong.
TEST(LiveCheck, ClientsOfUnknownOutcomeDoNotHoldUpTheOthers) {
  describe_replay(ReplayClass::workload);
  Stream stream = Seed::of_process().stream("forgetful");
  for (int round = 0; round < 20; ++round) {
    const LiveVerdict verdict = check_on_threads<ForgetfulEngine>({}, drawn(3, 200, stream), stream);
    EXPECT_EQ(verdict.answer, Answer::kLinearizable) << verdict.explanation;
    EXPECT_EQ(verdict.calls, 90u);
  }
}

}  // namespace
}  // namespace touchstone::harness
