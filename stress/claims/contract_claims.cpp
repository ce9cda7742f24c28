// A4, A8, A9, A13 and B11: what only an engine with contracts, execute() and effects can promise.

#include <thread>

#include "engine/store.h"
#include "stress/claims/claims.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;  // the claims are about it
using harness::ClaimRun;
using harness::ReplayClass;
using harness::Seed;
using Native = NativePlatform;

template <class F>
void elsewhere(F act) {
  std::thread(act).join();  // a commit inside a body would be a nested one on the body's own thread
}

// A4. The oracle is the engine's own counter, and a merged commit that must move it: a counter that never moves says
// nothing.
void fast_path_compares_nothing(ClaimRun& run) {
  run.once([&](Seed) {
    Store<> store;
    for (Version v = 0; v < 100; ++v) {
      const auto result = store.compare_and_swap(v, WriteSet{}.set("a.b" + std::to_string(v % 7), 1));
      const auto* committed = std::get_if<Committed>(&result);
      run.require(committed != nullptr && committed->path == CommitPath::fast, "commit {} was not fast", v);
    }
    run.require(store.statistics().versions_compared == 0, "{} versions were compared on the fast path",
                store.statistics().versions_compared);
    const auto merged = store.compare_and_swap(50, WriteSet{}.set("z.y", 1));
    run.require(std::holds_alternative<Committed>(merged) && store.statistics().versions_compared > 0,
                "a merged commit compared no version: the counter counts nothing");
    run.tried().operations += 101;
  });
}

// A8. Ten times another worker commits a sibling while the body runs. The granular contract merges every time; the
// root contract loses the first attempt every time.
void root_outputs_lose_merges(ClaimRun& run) {
  run.once([&](Seed seed) {
    for (const bool root : {false, true}) {
      Store<> store({.seed = seed.value()});
      auto worker = store.worker();
      for (int i = 0; i < 10; ++i) {
        int attempt = 0;
        auto process =
            store.process("camera", {.inputs = {}, .outputs = {root ? "domain" : "domain.camera_data"}},
                          [&](Context<Native>& context) {
                            if (++attempt == 1) {
                              elsewhere([&] {
                                store.compare_and_swap(store.version(), WriteSet{}.set("domain.lidar", i));
                              });
                            }
                            context.set("domain.camera_data", i);
                          });
        run.require(store.execute(worker, process).committed(), "execute() did not commit");
        ++run.tried().operations;
      }
      const auto statistics = store.statistics();
      run.require(statistics.conflicts == (root ? 10u : 0u), "{} contract: {} conflicts",
                  root ? "root" : "granular", statistics.conflicts);
      run.require(root || statistics.commits_merged == 10, "granular contract: {} merged commits",
                  statistics.commits_merged);
    }
  });
}

// A9. The danger: the write outside is noticed after the write inside was installed.
void undeclared_write_is_refused(ClaimRun& run) {
  run.once([&](Seed) {
    Store<> store;
    auto worker = store.worker();
    store.compare_and_swap(0, WriteSet{}.set("mine", 1).set("yours", 2));
    for (const bool swallow : {false, true}) {
      auto process =
          store.process("greedy", {.inputs = {}, .outputs = {"mine"}}, [&](Context<Native>& context) {
            context.set("mine", 10);
            if (!swallow) {
              context.set("yours", 20);
              return;
            }
            try {
              context.set("yours", 20);
            } catch (const Error&) {  // a body that hides its mistake does not get away with it
            }
          });
      const auto result = store.execute(worker, process);
      const auto* rejected = std::get_if<Rejected>(&result.outcome);
      run.require(rejected != nullptr && rejected->code == ErrorCode::undeclared_write,
                  "a write outside the declared outputs was not refused as such");
      run.require(rejected->what.find("yours") != std::string::npos, "the error does not name the path: {}",
                  rejected->what);
      run.require(store.version() == 1 && store.read("mine") == Value(1) && store.read("yours") == Value(2),
                  "a refused body changed the state");
      ++run.tried().operations;
    }
  });
}

// A13. Each way to end an execute() early, from a worker that holds the ticket: the result says which it was, nothing
// is committed, and the gate is open for others afterwards.
void ends_of_execute_are_typed(ClaimRun& run) {
  run.once([&](Seed seed) {
    const auto check = [&](const char* how, const Limits<Native>& limits, auto expected_type) {
      Store<> store({.seed = seed.value()});
      store.compare_and_swap(0, WriteSet{}.set("n", 0));
      auto worker = store.worker({.failures = 4});
      store.compare_and_swap(0, WriteSet{}.set("n", 1), &worker);  // the fifth conflict: it holds the gate
      run.require(worker.ticket() == TicketStatus::holding, "the fifth conflict earned no ticket");
      auto process =
          store.process("p", {.inputs = {}, .outputs = {"n"}}, [](Context<Native>& ctx) { ctx.set("n", 2); });
      const auto result = store.execute(worker, process, limits);
      run.require(std::holds_alternative<decltype(expected_type)>(result.outcome), "{}: another result", how);
      run.require(store.version() == 1 && store.read("n") == Value(0), "{}: something was committed", how);
      run.require(worker.ticket() == TicketStatus::none, "{}: the ticket was kept", how);
      run.require(std::holds_alternative<Committed>(store.compare_and_swap(1, WriteSet{}.set("m", 1))),
                  "{}: the gate stayed closed", how);
      ++run.tried().operations;
    };
    StopFlag<Native> stop;
    stop.request();
    check("stop", {.stop = &stop}, Cancelled{});
    check("deadline", {.stop = nullptr, .deadline = Native::now()}, DeadlineExceeded{});
    check("attempt limit", {.stop = nullptr, .attempts = 0}, AttemptsExhausted{});

    Store<> store;
    auto worker = store.worker();
    CommitResult inner = Committed{0, CommitPath::empty};
    auto process = store.process("nested", {.inputs = {}, .outputs = {"n"}}, [&](Context<Native>&) {
      inner = store.compare_and_swap(0, WriteSet{}.set("n", 1));
    });
    store.execute(worker, process);
    const auto* rejected = std::get_if<Rejected>(&inner);
    run.require(rejected != nullptr && rejected->code == ErrorCode::nested_commit && store.version() == 0,
                "a commit inside a body was not refused as nested");
    ++run.tried().operations;
  });
}

// B11. A body that runs several times publishes what its committed run emitted: once, in order, and after the commit.
void effects_are_published_once(ClaimRun& run) {
  run.once([&](Seed seed) {
    std::vector<Effect> seen;
    Store<>* self = nullptr;
    bool early = false;
    StoreOptions options;
    options.seed = seed.value();
    options.backoff = false;
    options.sink = [&](const Effect& effect) {
      early |= self->version() < effect.version;
      seen.push_back(effect);
    };
    Store<> store(options);
    self = &store;
    auto worker = store.worker();
    for (int retries = 0; retries < 5; ++retries) {
      seen.clear();
      int attempt = 0;
      auto process = store.process("p", {.inputs = {}, .outputs = {"n"}}, [&](Context<Native>& context) {
        if (attempt++ < retries)
          elsewhere([&] { store.compare_and_swap(store.version(), WriteSet{}.set("n", -attempt)); });
        context.set("n", attempt);
        context.emit("first", attempt);
        context.emit("second", attempt);
      });
      run.require(store.execute(worker, process).committed(), "execute() did not commit");
      run.require(attempt == retries + 1, "the body ran {} times for {} conflicts", attempt, retries);
      run.require(seen.size() == 2, "{} effects of a body that ran {} times", seen.size(), attempt);
      run.require(seen[0].topic == "first" && seen[1].topic == "second" &&
                      seen[1].payload == Value(attempt) && seen[0].version == store.version(),
                  "the effects are not those of the committed attempt, in order");
      run.tried().operations += static_cast<std::uint64_t>(attempt);
    }
    seen.clear();
    auto failing = store.process("f", {.inputs = {}, .outputs = {"n"}}, [&](Context<Native>& context) {
      context.emit("never", 1);
      context.set("elsewhere", 1);
    });
    store.execute(worker, failing);
    run.require(seen.empty() && !early, "an effect was published without, or before, its commit");
  });
}

}  // namespace

void add_contract_claims(harness::ClaimRegistry& registry) {
  registry.add({"A4", "an unchanged base takes the fast path: no key version compared", "counters",
                ReplayClass::exact, 0, fast_path_compares_nothing});
  registry.add({"A8", "a root output loses the merges that a granular one keeps", "scenario, counters",
                ReplayClass::exact, 0, root_outputs_lose_merges});
  registry.add({"A9", "a write outside the declared outputs is refused, nothing changes", "scenario",
                ReplayClass::exact, 0, undeclared_write_is_refused});
  registry.add({"A13", "nested commit, stop, deadline, attempt limit: typed, ticket given back", "scenario",
                ReplayClass::exact, 0, ends_of_execute_are_typed});
  registry.add({"B11", "effects of a retried body are published once, after its commit", "scenario",
                ReplayClass::exact, 0, effects_are_published_once});
}

}  // namespace touchstone::stress
