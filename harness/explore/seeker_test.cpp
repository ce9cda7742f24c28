#include "harness/explore/seeker.h"

#include <gtest/gtest.h>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"

namespace touchstone::harness::explore {
namespace {

using namespace touchstone::engine;
using P = ControlledPlatform;

using std::chrono::milliseconds;

constexpr milliseconds kThink{20};

void think(engine::Duration time) {
  P::sleep_until(P::now() + time);
}

/// One victim tries to add to a counter `attempts` times; a rival adds to it again and again until the victim is done.
/// The score is the victim's conflicts. Both take time, because virtual time moves only when nobody can run: a rival that
/// never rests would be done before the victim's first back-off is over.
Body victim_and_rival(bool ticket, bool backoff, int attempts) {
  return [=] {
    Store<P> store({.backoff = backoff, .ticket = ticket});
    store.compare_and_swap(0, WriteSet{}.set("n", 0));
    bool done = false;
    P::thread victim([&] {
      auto worker = store.worker();
      std::uint64_t runs = 0;
      const auto process =
          store.process("victim", {.inputs = {"n"}, .outputs = {"n"}}, [&](Context<P>& context) {
            score(runs++);  // every run but the first was made necessary by a conflict
            think(kThink);
            context.set("n", context.read("n")->integer() + 1);
          });
      const ExecuteResult result = store.execute(worker, process, {.attempts = attempts});
      score(static_cast<std::uint64_t>(result.effort.conflicts));
      done = true;
    });
    P::thread rival([&] {
      P::random pauses(1, 2);
      auto worker = store.worker();
      const auto process =
          store.process("rival", {.inputs = {"n"}, .outputs = {"n"}},
                        [&](Context<P>& context) { context.set("n", context.read("n")->integer() + 1); });
      for (int i = 0; i < 40 * attempts && !done; ++i) {
        store.execute(worker, process);
        think(engine::Duration(static_cast<std::int64_t>(pauses.below(20'000'000))));
      }
    });
    victim.join();
    rival.join();
  };
}

// The ticket is there because back-off alone promises nothing. Without it the seeker must be able to starve a worker for
// as long as it likes; if it could not, a bound found with the ticket would say nothing about the ticket.
TEST(Starvation, WithoutTheTicketThereIsAScheduleWithFiftyConflicts) {
  const Seeking found = seek(victim_and_rival(false, false, 60), {.goal = 50, .executions = 5'000});
  EXPECT_FALSE(found.failure);
  EXPECT_GE(found.best, 50);
}

TEST(Starvation, BackOffAloneDoesNotHelp) {
  const Seeking found = seek(victim_and_rival(false, true, 60), {.goal = 50, .executions = 5'000});
  EXPECT_FALSE(found.failure);
  EXPECT_GE(found.best, 50);
}

TEST(Starvation, WithTheTicketNoScheduleFoundHasMoreThanFive) {
  for (const bool backoff : {false, true}) {
    const Seeking found = seek(victim_and_rival(true, backoff, 60), {.executions = 1'000});
    EXPECT_FALSE(found.failure) << found.failure->message;
    EXPECT_EQ(found.best, 5);
  }
}

}  // namespace
}  // namespace touchstone::harness::explore
