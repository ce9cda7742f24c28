// A4, A8, A9, A13 and B11, and parts of A7 and A10: what only an engine with contracts, execute(), effects and statistics can
// promise.

#include <thread>

#include "engine/store.h"
#include "stress/claims/claims.h"
#include "stress/observed.h"

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

/// Fifty keys, one of which a round picks to be at fault.
struct Row {
  explicit Row(harness::Stream stream) {
    for (int i = 0; i < 50; ++i) keys.push_back("key" + std::to_string(i));
    stream.shuffle(keys);
    fault = stream.pick(keys);
  }
  /// All of them set, in the round's order.
  WriteSet all(const Value& value) const {
    WriteSet writes;
    for (const auto& key : keys) writes.set(key, value);
    return writes;
  }
  std::vector<std::string> keys;
  std::string fault;
};

// A7. Danger: a commit that is refused for one key has already installed others, bumped their versions, or told the world. All of
// fifty keys are written at once, and one of them is at fault, in each way in which a commit can be refused. The oracle: everything
// that can be observed before is observed after: version, values, versions of keys, effects published.
void refusal_publishes_nothing(ClaimRun& run) {
  run.rounds([&](Seed seed) {
    const Row row(seed.stream("A7"));
    std::size_t effects = 0;
    Store<> store({.lease_least = std::chrono::hours(1), .sink = [&](const Effect&) { ++effects; }});
    auto worker = store.worker();
    store.compare_and_swap(0, row.all(1));
    store.compare_and_swap(1, WriteSet{}.set(row.fault, "newer"));
    auto told = store.process("told", {.inputs = {}, .outputs = {"told"}}, [](Context<Native>& ctx) {
      ctx.emit("event", 1);
      ctx.set("told", 1);
    });
    run.require(store.execute(worker, told).committed() && effects == 1,
                "a commit's effect was not published");
    const Version now = store.version();
    const Observed before = observe(store, row.keys, effects);
    const auto refused = [&](const char* why, bool was_refused) {
      run.require(was_refused, "{}: it was not refused", why);
      run.require(observe(store, row.keys, effects) == before, "{}: something changed", why);
      run.tried().operations += row.keys.size();
    };
    const auto swap = [&](Version expected, const WriteSet& writes) {
      return !std::holds_alternative<Committed>(store.compare_and_swap(expected, writes, &worker));
    };
    refused("conflict on one key of fifty", swap(1, row.all("lost")));
    refused("future version", swap(now + 1, row.all("lost")));
    refused("bad path", swap(now, row.all("lost").set(row.fault + "..x", 1)));
    refused("below a scalar of the set", swap(now, row.all("lost").set(row.fault + ".below", 1)));
    WriteSet erased;
    for (const auto& key : row.keys)
      if (key != row.fault) erased.erase(key);
    refused("below a scalar of the store", swap(now, erased.set(row.fault + ".below", 1)));
    const auto ends = [&](const char* why, const Process<Native>::Body& body, const Limits<Native>& limits) {
      auto doomed = store.process("doomed", {.inputs = {}, .outputs = row.keys}, [&](Context<Native>& ctx) {
        ctx.emit("event", 2);
        for (const auto& key : row.keys) ctx.set(key, "lost");
        body(ctx);
      });
      bool committed = false;
      try {
        committed = store.execute(worker, doomed, limits).committed();
      } catch (const std::runtime_error&) {  // the body's own
      }
      refused(why, !committed);
    };
    ends("broken contract", [](Context<Native>& ctx) { ctx.set("undeclared", 1); }, {});
    ends("below its own scalar", [&](Context<Native>& ctx) { ctx.set(row.fault + ".below", 1); }, {});
    ends("exception", [](Context<Native>&) { throw std::runtime_error("body"); }, {});
    auto holder = store.worker({.failures = 4});
    run.require(
        std::holds_alternative<Conflict>(store.compare_and_swap(1, WriteSet{}.set(row.fault, 0), &holder)),
        "a stale commit did not conflict");
    refused("busy", swap(now, row.all("lost")));
    ends("busy until its deadline", [](Context<Native>&) {}, {.deadline = Native::now()});
    holder.give_back();
    run.require(!swap(now, row.all("kept")), "after all refusals a good commit was refused too");
  });
}

// A10. Danger: the values of a pinned version are freed under the reader, or kept for ever. Two writers pass a thousand commits
// over ten keys while readers read the whole of their version. The oracle: they always see what they saw first; and of the values
// only the store's own count says what is left: ten more with the pin than without.
void pinned_version_is_reclaimed(ClaimRun& run) {
  run.rounds([&](Seed seed) {
    constexpr int kKeys = 10, kCommits = 1000;
    Store<> store({.seed = seed.value()});
    const Pinned seen = pass_by_a_pinned_reader(store, kKeys, kCommits);
    run.require(!seen.torn, "a pinned reader saw its version change");
    run.require(seen.commits == kCommits, "{} of {} commits passed", seen.commits, kCommits);
    run.require(seen.values_for_it == kKeys,
                "{} values were freed when the reader let go, not one of each of {} keys", seen.values_for_it,
                kKeys);
    run.require(seen.snapshots_open == 0, "{} snapshots are still open", seen.snapshots_open);
    run.tried().operations += kCommits + seen.looks;
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
  registry.add_part("A7", {"effects", "scenario", ReplayClass::exact, 1, refusal_publishes_nothing});
  registry.add_part("A10",
                    {"reclamation", "counters", ReplayClass::workload, 2, pinned_version_is_reclaimed});
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
