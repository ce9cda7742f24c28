// Acceptance B4 to B8 and B10: who earns the ticket, what it keeps out, in which order it goes round, and how it ends. Real threads,
// but where an order matters it is made: by hand, or by waiting until the store's statistics show that the last one is in place.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "engine/store.h"
#include "harness/seed.h"
#include "stress/crowd.h"
#include "stress/ticket_rig.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;
using Native = NativePlatform;

/// The same scenes under the ticket and under the queue per key: everybody in them wants the path `n`.
class UnderAPolicy : public testing::TestWithParam<Policy> {
 protected:
  static StoreOptions with_policy(StoreOptions options) {
    options.policy = GetParam();
    return options;
  }
  static std::unique_ptr<Store<>> patient_store(StoreOptions options = {}) {
    return stress::patient_store(with_policy(std::move(options)), harness::Seed::of_process().value());
  }
};

class AcceptanceB4 : public UnderAPolicy {};
class AcceptanceB5 : public UnderAPolicy {};
class AcceptanceB6 : public UnderAPolicy {};
class AcceptanceB7 : public UnderAPolicy {};
class AcceptanceB8 : public UnderAPolicy {};
class AcceptanceB10 : public UnderAPolicy {};

std::string name_of_policy(const testing::TestParamInfo<Policy>& info) {
  return info.param == Policy::ticket ? "Ticket" : "KeyQueue";
}

const auto kBoth = testing::Values(Policy::ticket, Policy::key_queue);
INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB4, kBoth, name_of_policy);
INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB5, kBoth, name_of_policy);
INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB6, kBoth, name_of_policy);
INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB7, kBoth, name_of_policy);
INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB8, kBoth, name_of_policy);
INSTANTIATE_TEST_SUITE_P(Under, AcceptanceB10, kBoth, name_of_policy);

// Danger: the ticket comes one conflict early or late, to somebody else, or a success in between does not reset the count. No
// threads: a conflict by a stale version is certain, so each answer has one right value. Empty, busy and refused calls lie
// between the conflicts and must not count.
TEST_P(AcceptanceB4, TheFifthConsecutiveConflictEarnsTheTicketNotTheFourthOrSixth) {
  auto store = patient_store();
  auto unlucky = store->worker(), other = store->worker();
  for (int failure = 1; failure <= 4; ++failure) {
    EXPECT_EQ(fail_once(*store, unlucky), TicketStatus::none) << "at conflict " << failure;
    EXPECT_TRUE(is<Rejected>(write(*store, 1'000, "n", &unlucky)));
    EXPECT_EQ(fail_once(*store, other), TicketStatus::none);
    EXPECT_TRUE(is<Committed>(write(*store, store->version(), "m", &other)))
        << "which resets only its own count";
  }
  EXPECT_EQ(unlucky.failures(), 4);
  EXPECT_EQ(fail_once(*store, unlucky), TicketStatus::holding);
  EXPECT_EQ(unlucky.ticket(), TicketStatus::holding);
  EXPECT_EQ(other.ticket(), TicketStatus::none);
  EXPECT_EQ(store->statistics().grants, 1u);
}

TEST_P(AcceptanceB4, ASuccessInBetweenResetsTheCountAndBusyDoesNotTouchIt) {
  auto store = patient_store();
  auto worker = store->worker(), holder = store->worker({.failures = 4});
  for (int failure = 1; failure <= 4; ++failure) fail_once(*store, worker);
  EXPECT_TRUE(is<Committed>(write(*store, store->version(), "n", &worker)));
  for (int failure = 1; failure <= 4; ++failure) EXPECT_EQ(fail_once(*store, worker), TicketStatus::none);
  ASSERT_EQ(fail_once(*store, holder), TicketStatus::holding);
  for (int i = 0; i < 10; ++i)
    EXPECT_TRUE(is<Busy>(write(*store, 0, "n", &worker))) << "a stale version, but the gate is closed";
  EXPECT_EQ(worker.failures(), 4);
  EXPECT_TRUE(is<Committed>(write(*store, store->version(), "n", &holder)));
  EXPECT_EQ(fail_once(*store, worker), TicketStatus::holding) << "the fifth, after ten times Busy";
}

// Danger: somebody slips past the gate: without a worker, on a new key, with a stale version, by an erase, in strict mode; or
// readers wait for it; or the holder itself does. No threads: every kind of caller tries while the gate is certainly closed.
TEST_P(AcceptanceB5, EverybodyElseIsBusyAndChangesNothingWhileReadersGoOn) {
  for (const Mode mode : {Mode::smart, Mode::strict}) {
    auto store = patient_store({.mode = mode});
    const bool all = GetParam() == Policy::ticket || mode == Mode::strict;
    const auto paths =
        all ? std::vector{"n", "unrelated", "n.below", "fresh.path"} : std::vector{"n", "n.below"};
    auto holder = store->worker({.failures = 4}), other = store->worker();
    const auto before = store->snapshot();
    ASSERT_EQ(fail_once(*store, holder), TicketStatus::holding);
    for (auto* worker : {&other, static_cast<Worker<Native>*>(nullptr)}) {
      for (const Version expected : {Version{0}, Version{1}}) {
        for (const char* path : paths) {
          const auto result = store->compare_and_swap(expected, WriteSet{}.erase(path), worker);
          ASSERT_TRUE(is<Busy>(result)) << path << " at " << expected;
          EXPECT_GT(std::get<Busy>(result).retry_after, Duration(0));
        }
      }
    }
    EXPECT_EQ(store->version(), 1u);
    EXPECT_EQ(store->read("n"), before.read("n"));
    EXPECT_FALSE(store->snapshot().read("unrelated"));
    EXPECT_EQ(store->snapshot().changed("n"), 1u);
    EXPECT_EQ(other.failures(), 0);
    EXPECT_TRUE(is<Committed>(write(*store, store->version(), "n", &holder)));
    EXPECT_TRUE(is<Committed>(write(*store, store->version(), "unrelated", &other)));
  }
}

// Danger: a commit that passed the gate before it closed is still under way when the holder reads, and makes the holder conflict.
// Interleaving: three threads hammer the holder's key without a pause while it earns the ticket again and again. The oracle: its
// first commit from a version read after the grant is Committed, every time.
TEST_P(AcceptanceB5, TheHoldersNextCommitNeverConflictsHoweverOthersHammer) {
  auto store = patient_store();
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> rivals_committed{0};
  together(4, [&](int i) {
    if (i != 0) {
      while (!done.load()) {
        if (is<Committed>(write(*store, store->version(), i == 1 ? "n.below" : "n")))
          rivals_committed.fetch_add(1);
        if (is<Committed>(store->compare_and_swap(store->version(), WriteSet{}.erase("n"))))
          rivals_committed.fetch_add(1);
      }
      return;
    }
    for (int round = 0; round < 60; ++round) {
      while (store->version() == 0) std::this_thread::yield();
      auto worker = store->worker({.failures = 4});
      EXPECT_EQ(fail_once(*store, worker), TicketStatus::holding);
      const auto result = write(*store, store->version(), "n", &worker);
      EXPECT_TRUE(is<Committed>(result)) << "round " << round << ", alternative " << result.index();
      for (const Version seen = store->version(); store->version() < seen + 2;) std::this_thread::yield();
    }
    done.store(true);
  });
  EXPECT_GT(rivals_committed.load(), 60u);
}

// Danger: the queue is served last come first, somebody is left out, or two hold the gate at once. Eight candidates are queued in a
// known order behind a holder, who then commits. The oracle: first come, first served, so their bodies run in just this order,
// one at a time (the counter of holders), and each gets its turn: the destructor of the queue joins them all.
TEST_P(AcceptanceB6, CandidatesGetTheirTurnsInTheOrderInWhichTheyCame) {
  auto store = patient_store({.busy_limit = 0});
  for (int repetition = 0; repetition < 20; ++repetition) {
    auto holder = store->worker({.failures = 4});
    ASSERT_EQ(fail_once(*store, holder), TicketStatus::holding);
    Queue queue(*store);
    for (int name = 0; name < 8; ++name) queue.add(name);
    EXPECT_TRUE(queue.order().empty());
    EXPECT_TRUE(is<Committed>(write(*store, store->version(), "n", &holder)));
    while (queue.order().size() < 8) std::this_thread::yield();
    EXPECT_EQ(queue.order(), (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
    queue.join();
    EXPECT_EQ(queue.committed(), 8);
    EXPECT_FALSE(queue.had_two_holders());
  }
  EXPECT_EQ(store->statistics().expiries, 0u);
}

// Danger: a candidate that leaves stays in the queue, and its turn, which nobody takes, shuts the gate for ever (the leases of this
// store last an hour). The third of four is stopped while it waits.
TEST_P(AcceptanceB6, ACandidateThatLeavesIsTakenOutOfTheQueue) {
  auto store = patient_store({.busy_limit = 0});
  auto holder = store->worker({.failures = 4});
  ASSERT_EQ(fail_once(*store, holder), TicketStatus::holding);
  StopFlag<Native> stop;
  Queue queue(*store);
  queue.add(0);
  std::thread leaver([&] {
    auto worker = store->worker();
    auto process =
        store->process("leaver", {.outputs = {"n"}}, [](Context<Native>& ctx) { ctx.set("n", -1); });
    EXPECT_TRUE(std::holds_alternative<Cancelled>(store->execute(worker, process, {.stop = &stop}).outcome));
  });
  while (store->statistics().limit_joins < 2) std::this_thread::yield();
  queue.add(2);
  stop.request();
  leaver.join();
  EXPECT_TRUE(is<Committed>(write(*store, store->version(), "n", &holder)));
  while (queue.order().size() < 2) std::this_thread::yield();
  EXPECT_EQ(queue.order(), (std::vector<int>{0, 2}));
  queue.join();
  EXPECT_EQ(queue.committed(), 2);
}

// Danger: the gate stays shut after a holder that ended without a commit. Each way to end is tried by a worker that certainly holds
// the ticket, in a store whose leases last an hour: if the gate reopens, it is because the ticket was given back.
TEST_P(AcceptanceB7, AHolderThatThrowsStopsWritesNothingOrGoesAwayReopensTheGate) {
  auto store = patient_store();
  const auto reopened = [&] { return is<Committed>(write(*store, store->version(), "n")); };
  const auto holding = [&] {
    auto worker = hire(*store, 4);
    EXPECT_EQ(fail_once(*store, *worker), TicketStatus::holding);
    EXPECT_FALSE(reopened());
    return worker;
  };
  {
    auto worker = holding();
    auto throws = store->process("throws", {.outputs = {"n"}},
                                 [](Context<Native>&) { throw std::runtime_error("mine"); });
    EXPECT_THROW(store->execute(*worker, throws), std::runtime_error);
    EXPECT_TRUE(reopened()) << "after an exception";
  }
  {
    auto worker = holding();
    StopFlag<Native> stop;
    stop.request();
    auto process = store->process("p", {.outputs = {"n"}}, [](Context<Native>& ctx) { ctx.set("n", 1); });
    EXPECT_TRUE(std::holds_alternative<Cancelled>(store->execute(*worker, process, {.stop = &stop}).outcome));
    EXPECT_TRUE(reopened()) << "after a stop";
  }
  {
    auto worker = holding();
    auto idle = store->process("idle", {.outputs = {"n"}}, [](Context<Native>&) {});
    EXPECT_TRUE(store->execute(*worker, idle).committed());
    EXPECT_TRUE(reopened()) << "after a return without writes";
  }
  {
    auto worker = holding();
    auto refused =
        store->process("refused", {.outputs = {"n"}}, [](Context<Native>& ctx) { ctx.set("x", 1); });
    EXPECT_TRUE(std::holds_alternative<Rejected>(store->execute(*worker, refused).outcome));
    EXPECT_TRUE(reopened()) << "after a broken contract";
  }
  {
    holding();
    EXPECT_TRUE(reopened()) << "after the handle's end";
  }
  {
    by_somebody_else([&] { holding(); });
    EXPECT_TRUE(reopened()) << "after its thread's end";
  }
  {
    auto worker = holding();
    worker->give_back();
    EXPECT_TRUE(reopened()) << "after giving it back";
  }
}

// Danger: a holder that overstays its lease blocks everybody, or comes back late and uses or ends the turn of its successor. No
// threads: the first holder sleeps out its millisecond, somebody else's commit ends it, and a second worker with a long lease
// takes the next turn. The oracle: the gate's word has moved on, so the late one is Busy like anybody, and giving its ticket back
// or going away changes nothing for the one who holds it now.
TEST_P(AcceptanceB7, ALateHolderCanNeitherUseNorEndItsSuccessorsTurn) {
  Store<> store(with_policy(leases_by_experience()));
  write(store, 0, "n");
  auto late = hire(store, 4);
  auto successor = store.worker({.failures = 1});
  run_once(store, successor);
  overstay(store, *late);
  EXPECT_EQ(store.statistics().expiries, 1u);
  for (int failure = 1; failure <= 5; ++failure) fail_once(store, successor);
  ASSERT_EQ(successor.ticket(), TicketStatus::holding);
  const auto undisturbed = [&] {
    return successor.ticket() == TicketStatus::holding && is<Busy>(write(store, store.version(), "n"));
  };
  EXPECT_TRUE(is<Busy>(write(store, store.version(), "n", late.get())));
  EXPECT_TRUE(undisturbed());
  late->give_back();
  EXPECT_TRUE(undisturbed());
  EXPECT_TRUE(is<Busy>(write(store, store.version(), "n", late.get())));
  late.reset();
  EXPECT_TRUE(undisturbed());
  EXPECT_TRUE(is<Committed>(write(store, store.version(), "n", &successor)));
  EXPECT_TRUE(is<Committed>(write(store, store.version(), "n")));
}

// Danger: a worker whose lease ran out queues again behind everybody who came after it, and so starves by its own slowness. Two
// workers overstay, one after the other; while a third holds the gate, the younger one comes back first. By its age the elder
// must still be the next. No threads, and nobody looks at a clock: no lease can end in the middle.
TEST_P(AcceptanceB7, AnExpiredWorkerRejoinsAheadOfThoseWhoCameLater) {
  Store<> store(with_policy(leases_by_experience()));
  write(store, 0, "n");
  auto elder = store.worker({.failures = 4}), younger = store.worker({.failures = 4});
  auto successor = store.worker({.failures = 1});
  run_once(store, successor);
  overstay(store, elder);
  overstay(store, younger);
  for (int failure = 1; failure <= 5; ++failure) fail_once(store, successor);
  ASSERT_EQ(successor.ticket(), TicketStatus::holding);
  for (auto* late : {&younger, &elder}) {
    EXPECT_TRUE(is<Busy>(write(store, store.version(), "n", late)));
    EXPECT_EQ(late->ticket(), TicketStatus::queued) << "its failure has brought it back into the queue";
  }
  EXPECT_TRUE(is<Committed>(write(store, store.version(), "n", &successor)));
  EXPECT_EQ(elder.ticket(), TicketStatus::holding);
  EXPECT_EQ(younger.ticket(), TicketStatus::queued);
  EXPECT_TRUE(is<Committed>(write(store, store.version(), "n", &elder)));
  EXPECT_EQ(younger.ticket(), TicketStatus::holding);
}

// Danger: failure counts or tickets are kept by the name of the process, so that eight workers running one process earn a ticket
// together, or all pass the gate on one ticket. The oracle: five failures spread over five workers are one each.
TEST_P(AcceptanceB8, WorkersOfOneProcessShareNeitherACountNorATicket) {
  auto store = patient_store();
  auto process = store->process("same", {.outputs = {"n"}}, [&](Context<Native>& ctx) {
    by_somebody_else([&] { write(*store, store->version(), "n"); });
    ctx.set("n", 1);
  });
  std::vector<std::unique_ptr<Worker<Native>>> workers;
  for (int i = 0; i < 8; ++i) workers.push_back(hire(*store, 0));
  for (auto& worker : workers) {
    EXPECT_TRUE(
        std::holds_alternative<AttemptsExhausted>(store->execute(*worker, process, {.attempts = 1}).outcome));
    EXPECT_EQ(worker->failures(), 1);
  }
  EXPECT_EQ(store->statistics().grants, 0u);
  for (int failure = 2; failure <= 5; ++failure) fail_once(*store, *workers[3]);
  for (std::size_t i = 0; i < workers.size(); ++i) {
    EXPECT_EQ(workers[i]->ticket(), i == 3 ? TicketStatus::holding : TicketStatus::none);
    if (i != 3) {
      EXPECT_TRUE(is<Busy>(write(*store, store->version(), "n", workers[i].get())));
    }
  }
  EXPECT_TRUE(is<Committed>(write(*store, store->version(), "n", workers[3].get())));
}

/// An adversary who changes the output between every body's read and its commit, as often as the gate lets it.
ExecuteResult under_attack(Store<>& store, int attempts) {
  auto worker = store.worker();
  auto process = store.process("victim", {.outputs = {"n"}}, [&](Context<Native>& ctx) {
    by_somebody_else([&] { write(store, store.version(), "n"); });
    ctx.set("n", -1);
  });
  return store.execute(worker, process, {.attempts = attempts});
}

// The worst schedule there is for one execute(), made by hand: somebody else always commits first. Without the ticket it starves
// for as many attempts as one asks for; with it, five conflicts and six body runs are the end, because the sixth body runs behind
// a closed gate, where the adversary gets Busy.
TEST_P(AcceptanceB10, TheBoundHoldsAgainstTheWorstRivalAndWithoutTheTicketNoBoundDoes) {
  for (const int asked_for : {10, 100, 1'000}) {
    auto unfair = patient_store({.backoff = false, .ticket = false});
    const auto result = under_attack(*unfair, asked_for);
    EXPECT_TRUE(std::holds_alternative<AttemptsExhausted>(result.outcome));
    EXPECT_EQ(result.effort.conflicts, asked_for);
  }
  auto fair = patient_store({.backoff = false});
  const auto result = under_attack(*fair, 1'000);
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(result.effort.conflicts, 5);
  EXPECT_EQ(result.effort.attempts, 6);
  EXPECT_EQ(result.effort.expiries, 0);
  EXPECT_EQ(fair->statistics().busy, 1u) << "the adversary, in the sixth body";
  EXPECT_EQ(fair->read("n"), Value(-1));
}

// Danger: others earn tickets faster than an unlucky worker finds the gate open, so that it never submits again. Eleven workers
// with expired leases queue again behind a holder; their turns then follow one another without a gap, each ended by the only one
// who looks, the victim. The oracle: it waits out eight closings (the holder's and seven more), joins the queue by that, lets the four
// pass who were there before it, and commits in its own turn, without one conflict and with one more run of its body.
TEST(AcceptanceB10Ticket, AWorkerThatAlwaysFindsTheGateClosedJoinsTheQueue) {
  Store<> store(leases_by_experience());
  write(store, 0, "n");
  auto holder = store.worker({.failures = 1});
  run_once(store, holder);
  std::vector<std::unique_ptr<Worker<Native>>> expired;
  for (int i = 0; i < 11; ++i) {
    expired.push_back(hire(store, 4));
    overstay(store, *expired.back());
  }
  for (int failure = 1; failure <= 5; ++failure) fail_once(store, holder);
  ASSERT_EQ(holder.ticket(), TicketStatus::holding);
  for (auto& worker : expired) EXPECT_TRUE(is<Busy>(write(store, store.version(), "n", worker.get())));
  const auto busy = store.statistics().busy;
  together(2, [&](int i) {
    if (i == 0) {
      while (store.statistics().busy == busy) std::this_thread::yield();
      EXPECT_TRUE(is<Committed>(write(store, store.version(), "n", &holder)));
      return;
    }
    auto victim = store.worker();
    auto process =
        store.process("victim", {.outputs = {"quiet"}}, [](Context<Native>& ctx) { ctx.set("quiet", 1); });
    const auto result = store.execute(victim, process);
    EXPECT_TRUE(result.committed());
    EXPECT_EQ(result.effort.conflicts, 0);
    EXPECT_EQ(result.effort.attempts, 2);
    EXPECT_EQ(result.effort.closings_waited, 12);
  });
  EXPECT_EQ(store.statistics().limit_joins, 1u);
}

}  // namespace
}  // namespace touchstone::stress
