#pragma once
// Workers under the explorer that all add to one counter, and the bound of B10 on each of their execute()s.
//
//   Candidates all({.backoff = false}, 3);                 // three workers
//   P::thread a([&] { all.run(1); });                      // one conflict short of the ticket
//   ...; all.conclude(3);                                  // three additions committed, nothing lost
//
// Inside a body of the explorer only. `run` may be called by any of its threads, `conclude` when all have ended.

#include <string>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "stress/scheduled.h"

namespace touchstone::stress {

class Candidates {
 public:
  using P = harness::explore::ControlledPlatform;

  Candidates(engine::StoreOptions options, int workers) : store(std::move(options)), workers_(workers) {
    store.compare_and_swap(0, engine::WriteSet{}.set("n", 0));
  }

  void run(int short_of_ticket) {
    using harness::explore::require;
    auto worker = store.worker({.failures = store.options().ticket_threshold - short_of_ticket});
    auto process = store.process("add", {.inputs = {}, .outputs = {"n"}}, [&](engine::Context<P>& ctx) {
      const bool holds = worker.ticket() == engine::TicketStatus::holding;
      if (holds) require(holders_.fetch_add(1) == 0, "two holders at once");
      const auto n = ctx.read("n");
      ctx.set("n", n ? n->integer() + 1 : 1);
      if (holds) holders_.fetch_sub(1);
    });
    const engine::ExecuteResult result = store.execute(worker, process);
    const engine::Effort& e = result.effort;
    require(result.committed(), "execute() returned without a commit");
    require(e.conflicts <= short_of_ticket + e.expiries, std::to_string(e.conflicts) + " conflicts");
    require(e.attempts <= short_of_ticket + 1 + e.expiries, std::to_string(e.attempts) + " body runs");
    require(e.closings_waited <= store.options().busy_limit + workers_ - 1,
            std::to_string(e.closings_waited) + " closings waited out");
  }

  void conclude(int additions, Reached& reached) {
    harness::explore::require(store.read("n")->integer() == additions, "an update was lost");
    reached.take(store.statistics());
  }

  engine::Store<P> store;

 private:
  P::atomic<int> holders_{0};
  int workers_;
};

}  // namespace touchstone::stress
