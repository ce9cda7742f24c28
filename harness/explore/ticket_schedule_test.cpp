// Priority on the real engine under the explorer, by the ticket and by the queue per key: everybody here wants the path `n`, so both have
// to do the same. Five real conflicts in a row are out of reach of any exhaustive search, so workers begin with the failures that they
// would have by then.

#include <gtest/gtest.h>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"
#include "harness/explore/script.h"

namespace touchstone::harness::explore {
namespace {

using namespace touchstone::engine;
using P = ControlledPlatform;
using std::chrono::milliseconds;

/// Workers that each execute one addition to the same counter; what goes wrong in a turn is the test's.
struct Contest {
  struct Plan {
    int failures = 0;
    bool throws = false;   // from every body run but the first
    int times = 1;         // executes, one after another
    milliseconds slow{0};  // every body run but the first
  };

  static StoreOptions options(Policy policy, milliseconds lease = milliseconds(50)) {
    return {.backoff = false, .backoff_base = Duration(0), .policy = policy, .lease_least = lease};
  }

  explicit Contest(Policy policy, milliseconds lease = milliseconds(50)) : store(options(policy, lease)) {
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
  }

  void run(Worker<P>& worker, const Plan& plan) {
    int runs = 0;
    const auto process = store.process("add", {.inputs = {"n"}, .outputs = {"n"}}, [&](Context<P>& context) {
      const bool holds = worker.ticket() == TicketStatus::holding;
      if (holds) ++holders;
      // A holder whose lease has run out may still be in its body when its successor begins.
      require(holders <= 1 || store.statistics().expiries != 0, "two holders at once");
      context.set("n", context.read("n")->integer() + 1);
      if (runs++ > 0 && plan.slow > milliseconds(0)) P::sleep_until(P::now() + plan.slow);
      if (holds) --holders;
      if (runs > 1 && plan.throws) throw std::runtime_error("the body fails");
    });
    try {
      const ExecuteResult result = store.execute(worker, process);
      const Effort& effort = result.effort;
      require(result.committed(), "every execute() commits");
      require(effort.conflicts <= 5 - plan.failures + effort.expiries, "conflicts keep within the bound");
      require(effort.attempts <= 6 - plan.failures + 2 * effort.expiries, "body runs keep within the bound");
      ++committed;
    } catch (const std::runtime_error& error) {
      if (!plan.throws) throw;
      ++thrown;
    }
  }

  /// Runs all plans at once; afterwards everything must be as if nothing had happened.
  void hold(const std::vector<Plan>& plans) {
    std::vector<std::unique_ptr<Worker<P>>> workers;
    for (const Plan& plan : plans)
      workers.emplace_back(new Worker<P>(store.worker({.failures = plan.failures})));
    std::vector<P::thread> threads;
    for (std::size_t i = 0; i < plans.size(); ++i) {
      threads.emplace_back([&, i] {
        for (int n = 0; n < plans[i].times; ++n) run(*workers[i], plans[i]);
      });
    }
    for (P::thread& thread : threads) thread.join();
    require(store.read("n")->integer() == committed, "no update is lost");
    require(store.version() == static_cast<Version>(committed) + 1, "versions are dense");
    const Statistics statistics = store.statistics();
    grants = statistics.grants;
    expiries = statistics.expiries;
    const CommitResult after = store.compare_and_swap(store.version(), WriteSet{}.set("n", 0));
    require(std::holds_alternative<Committed>(after), "the gate is open again");
  }

  Store<P> store;
  int holders = 0;
  int committed = 0;
  int thrown = 0;
  std::uint64_t grants = 0;
  std::uint64_t expiries = 0;
};

struct Case {
  const char* name;
  milliseconds lease;
  std::vector<Contest::Plan> plans;
  std::uint64_t grants;    // most of them on some schedule
  std::uint64_t expiries;  // the same

  friend void PrintTo(const Case& shown, std::ostream* out) { *out << shown.name; }
};

class TicketPath : public testing::TestWithParam<std::tuple<Case, Policy>> {};

// One worker is a single conflict short of the ticket and meets a rival: grant, Busy for the rival, drain, release, and
// whatever goes wrong in the turn, on every schedule.
TEST_P(TicketPath, HoldsOnEverySchedule) {
  std::uint64_t grants = 0;
  std::uint64_t expiries = 0;
  const Report report = exhaust(
      [&] {
        Contest contest(std::get<Policy>(GetParam()), std::get<Case>(GetParam()).lease);
        contest.hold(std::get<Case>(GetParam()).plans);
        grants = std::max(grants, contest.grants);
        expiries = std::max(expiries, contest.expiries);
      },
      {.executions = 400'000});
  EXPECT_TRUE(passes(report));
  EXPECT_EQ(grants, std::get<Case>(GetParam()).grants);
  EXPECT_EQ(expiries, std::get<Case>(GetParam()).expiries);
  RecordProperty("classes", static_cast<int>(report.classes));
}

const auto kBothPolicies = testing::Values(Policy::ticket, Policy::key_queue);

const char* to_text(Policy policy) {
  return policy == Policy::ticket ? "Ticket" : "KeyQueue";
}

INSTANTIATE_TEST_SUITE_P(
    Exhausted, TicketPath,
    testing::Combine(
        testing::Values(Case{"GrantAndBusy", milliseconds(50), {{.failures = 4}, {}}, 1, 0},
                        Case{"TwoCandidates", milliseconds(50), {{.failures = 4}, {.failures = 4}}, 1, 0},
                        Case{"HolderThrows", milliseconds(50), {{.failures = 4, .throws = true}, {}}, 1, 0},
                        Case{"HolderOverstays",
                             milliseconds(1),
                             {{.failures = 4, .slow = milliseconds(10)}, {.times = 2}},
                             2,
                             1}),
        kBothPolicies),
    [](const auto& info) {
      return std::string(std::get<Case>(info.param).name) + to_text(std::get<Policy>(info.param));
    });

class TicketSchedule : public testing::TestWithParam<Policy> {};
INSTANTIATE_TEST_SUITE_P(Under, TicketSchedule, kBothPolicies,
                         [](const auto& info) { return to_text(info.param); });

TEST_P(TicketSchedule, ThreeCandidatesAndTwoOthersKeepTheBoundOnSampledSchedules) {
  const Body body = [] {
    Contest contest(GetParam());
    contest.hold({{.failures = 4}, {.failures = 4}, {.failures = 4}, {}, {.failures = 3}});
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 3'000})));
}

TEST_P(TicketSchedule, KeepsItsPromisesWhenHoldersAreStalledAnywhere) {
  const Body body = [] {
    Contest contest(GetParam());
    contest.hold({{.failures = 4}, {.failures = 4}, {}});
  };
  EXPECT_TRUE(
      passes(portfolio(body, {.executions = 3'000, .faults = {{.stall = milliseconds(60), .times = 2}}})));
}

// A worker whose thread dies in its turn gives nothing back. Its lease must, on every schedule sampled, and only between
// the commit's steps, where it holds no cell.
TEST_P(TicketSchedule, ADeadHolderBlocksNobodyForEver) {
  const Body body = [] {
    Contest contest(GetParam());
    auto dead = contest.store.worker({.failures = 4});
    contest.store.compare_and_swap(0, WriteSet{}.set("n", 0), &dead);  // a conflict: the ticket
    require(dead.ticket() == TicketStatus::holding, "the ticket is granted");
    contest.hold({{}, {}});
    require(dead.ticket() == TicketStatus::none, "its turn has run out");
  };
  EXPECT_TRUE(passes(portfolio(body, {.executions = 1'000})));
}

// The danger: a holder leaves, and its successor sees that its turn has begun before everybody else is kept out, or before it is let in
// itself (T6). In its turn one body run is enough.
Body two_candidates_and(int rivals, Policy policy, int* handed_over) {
  return [=] {
    Store<P> store(Contest::options(policy));
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    const auto process =
        store.process("set", {.outputs = {"n"}}, [](Context<P>& context) { context.set("n", 1); });
    std::vector<P::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&store, &process] {
        auto worker = store.worker({.failures = 4});
        const CommitResult late = store.compare_and_swap(0, WriteSet{}.set("n", 1), &worker);
        if (std::holds_alternative<Busy>(late)) return;  // it found the gate closed, which earns nothing
        const ExecuteResult result = store.execute(worker, process);
        require(result.committed() && result.effort.attempts == 1, "somebody is in its way in its turn");
      });
    }
    for (int i = 0; i < rivals; ++i)
      threads.emplace_back([&store] { store.compare_and_swap(store.version(), WriteSet{}.set("n", 2)); });
    for (P::thread& thread : threads) thread.join();
    *handed_over += store.statistics().grants == 2;
  };
}

TEST_P(TicketSchedule, WhoSeesItsTurnFindsItBegunOnEverySchedule) {
  int handed_over = 0;
  EXPECT_TRUE(passes(exhaust(two_candidates_and(0, GetParam(), &handed_over))));
  EXPECT_GT(handed_over, 0);
}

TEST_P(TicketSchedule, WhoSeesItsTurnFindsItBegunOnAnySampledSchedule) {
  int handed_over = 0;
  EXPECT_TRUE(passes(portfolio(two_candidates_and(1, GetParam(), &handed_over), {.executions = 10'000})));
  EXPECT_GT(handed_over, 0);
}

}  // namespace
}  // namespace touchstone::harness::explore
