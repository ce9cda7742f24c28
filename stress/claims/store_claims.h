#pragma once
// Claim S1 and the claims A1 to A12 that any engine under test can be asked; what it declares that it cannot do is not
// registered. A4, A8, A9 and A13 are in contract_claims.cpp, S2 in history_claims.h, the others beside them by their rooms.
//
//   add_store_claims<harness::SimpleEngine>(registry);
//
// Each check runs in rounds, each on a fresh engine, so that a replay line needs a seed and a round.

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "harness/engine_under_test.h"
#include "harness/start_together.h"
#include "harness/suite.h"
#include "stress/claims/claims.h"

namespace touchstone::stress {

using harness::ClaimRegistry;
using harness::ClaimRun;
using harness::EngineUnderTest;
using harness::ReplayClass;
using harness::Seed;

/// A fresh engine at version `base`, all of it in the path "warm".
template <EngineUnderTest E>
struct Warmed {
  Warmed(ClaimRun& run, const harness::EngineSettings& settings, std::uint64_t base) : engine(settings) {
    auto client = engine.client(-1);
    for (std::uint64_t version = 0; version < base; ++version) {
      const auto response =
          client.apply(model::CompareAndSwap{.expected = version,
                                             .writes = write("warm", static_cast<std::int64_t>(version)),
                                             .reads = {},
                                             .outputs = {}});
      run.require(expect<model::Committed>(run, response, "a commit alone").version == version + 1,
                  "versions are not dense");
    }
  }
  E engine;
};

inline model::CompareAndSwap swap(std::uint64_t expected, std::vector<model::Write> writes,
                                  std::vector<std::string> reads = {}) {
  return {.expected = expected, .writes = std::move(writes), .reads = std::move(reads), .outputs = {}};
}

// A1. The danger: two of ten commits from one base are both admitted, or the losers are not told what won.
template <EngineUnderTest E>
void strict_admits_one(ClaimRun& run) {
  run.rounds([&](Seed seed) {
    Warmed<E> warm(run, {.strict = true, .seed = seed.value()}, 100);
    std::vector<model::StoreResponse> answers(10);
    harness::start_together(10, [&](int i) {
      answers[static_cast<std::size_t>(i)] =
          warm.engine.client(i).apply(swap(100, write("key" + std::to_string(i), i)));
    });
    int commits = 0;
    for (const auto& answer : answers) {
      if (const auto* committed = std::get_if<model::Committed>(&answer)) {
        ++commits;
        run.require(committed->version == 101, "committed as {}", committed->version);
      } else {
        const auto conflict = expect<model::Conflict>(run, answer, "a loser");
        run.require(conflict.expected == 100 && conflict.found == 101, "a loser was told: {}",
                    model::describe(answer));
      }
    }
    run.require(commits == 1, "{} of 10 commits succeeded", commits);
    run.tried().operations += 10;
  });
}

// A2. The danger: disjoint workers block or refuse one another, or two get the same version.
template <EngineUnderTest E>
void disjoint_keys_all_commit(ClaimRun& run) {
  run.rounds([&](Seed seed) {
    Warmed<E> warm(run, {.seed = seed.value()}, 100);
    std::vector<model::StoreResponse> answers(10);
    harness::start_together(10, [&](int i) {
      answers[static_cast<std::size_t>(i)] =
          warm.engine.client(i).apply(swap(100, write("key" + std::to_string(i), i)));
    });
    std::vector<std::uint64_t> versions;
    for (const auto& answer : answers)
      versions.push_back(expect<model::Committed>(run, answer, "a commit of its own key").version);
    std::sort(versions.begin(), versions.end());
    for (std::size_t i = 0; i < 10; ++i)
      run.require(versions[i] == 101 + i, "the {}th version is {}", i + 1, versions[i]);
    const auto pin = warm.engine.pin();
    for (int i = 0; i < 10; ++i)
      run.require(pin.read("key" + std::to_string(i)) == leaf(i), "key{} does not hold what was committed",
                  i);
    run.tried().operations += 10;
  });
}

// A3. The danger: a stale base is refused although its key is untouched, or admitted although it is not.
template <EngineUnderTest E>
void stale_base_merges_once(ClaimRun& run) {
  run.once([&](Seed) {
    E engine({});
    auto client = engine.client(0);
    client.apply(swap(0, {{"user", model::Subtree{{"", std::string("A")}}}, {"counter", leaf(0)}}));
    client.apply(swap(1, {{"user", model::Subtree{{"", std::string("B")}}}}));
    expect<model::Committed>(run, client.apply(swap(1, write("counter", 1))), "counter=1 from the old base");
    const auto conflict = expect<model::Conflict>(run, client.apply(swap(1, write("counter", 2))),
                                                  "counter=2 from the same base");
    run.require(conflict.path == "counter" && conflict.found == 3, "the conflict names {} at {}",
                conflict.path, conflict.found);
    const auto pin = engine.pin();
    run.require(pin.read("user") == model::Subtree{{"", std::string("B")}} && pin.read("counter") == leaf(1),
                "the state is not {{B,1}}");
    run.tried().operations += 4;
  });
}

// A5. The danger: a commit below a replaced parent, or of a parent whose child changed, goes unnoticed.
template <EngineUnderTest E>
void relatives_conflict(ClaimRun& run) {
  run.once([&](Seed) {
    const std::vector<std::pair<std::string, std::string>> pairs = {
        {"domain", "domain.x"}, {"domain.x", "domain"}, {"domain", "domain.x.y"}, {"domain.x.y", "domain"}};
    for (const auto& [first, second] : pairs) {
      E engine({});
      auto client = engine.client(0);
      client.apply(swap(0, {{first, model::Subtree{{"z", std::int64_t{1}}}}}));
      const auto answer = client.apply(swap(0, {{second, model::Subtree{{"w", std::int64_t{2}}}}}));
      run.require(std::holds_alternative<model::Conflict>(answer), "{} after {}: {}", second, first,
                  model::describe(answer));
      run.tried().operations += 2;
    }
  });
}

// A6. The danger: the corners of versions. A base from the future, version 0, a key deleted and made again, no writes.
template <EngineUnderTest E>
void corner_versions_are_defined(ClaimRun& run) {
  run.once([&](Seed) {
    E engine({});
    auto client = engine.client(0);
    const auto rejected = expect<model::Rejected>(run, client.apply(swap(7, write("a", 1))), "a future base");
    run.require(rejected.reason == model::Rejection::kFutureVersion,
                "a future base is rejected for something else");
    expect<model::Committed>(run, client.apply(swap(0, write("a", 1))), "version 0 of an empty store");
    expect<model::Conflict>(run, client.apply(swap(0, write("a", 2))), "version 0 again");
    client.apply(swap(1, {{"a", std::nullopt}}));
    client.apply(swap(2, write("a", 1)));
    expect<model::Conflict>(run, client.apply(swap(1, write("a", 2))), "a key deleted and made again");
    const auto empty = expect<model::Committed>(run, client.apply(swap(2, {})), "an empty write set");
    run.require(empty.version == 2 && engine.pin().version() == 3, "an empty write set made a version");
    run.tried().operations += 7;
  });
}

// A7. The danger: the keys of a refused commit that came before the conflicting one stay written. Every order of a set
// with one stale key is tried; the state is compared leaf by leaf.
template <EngineUnderTest E>
void refusal_changes_nothing(ClaimRun& run) {
  run.rounds([&](Seed seed) {
    auto stream = seed.stream("A7");
    E engine({});
    auto client = engine.client(0);
    std::vector<std::string> keys = {"a", "b.c", "d", "e.f.g", "stale"};
    for (std::size_t i = 0; i < keys.size(); ++i)
      client.apply(swap(i, write(keys[i], static_cast<std::int64_t>(i))));
    client.apply(swap(keys.size(), write("stale", 100)));
    const std::uint64_t version = engine.pin().version();
    std::map<std::string, std::optional<model::Subtree>> before;
    for (const auto& key : keys) before[key] = engine.pin().read(key);
    stream.shuffle(keys);
    std::vector<model::Write> writes;
    for (const auto& key : keys) writes.push_back({key, leaf(-1)});
    expect<model::Conflict>(run, client.apply(swap(keys.size(), writes)), "a set with one stale key");
    const auto after = engine.pin();
    run.require(after.version() == version, "the version moved to {}", after.version());
    for (const auto& key : keys)
      run.require(after.read(key) == before[key], "{} was changed by a refused commit", key);
    // Key versions did not move either: a base of before the refusal still commits.
    keys.erase(std::find(keys.begin(), keys.end(), "stale"));
    for (const auto& key : keys)
      expect<model::Committed>(run, client.apply(swap(version, write(key, 7))), "a commit after the refusal");
    run.tried().operations += 7 + keys.size();
  });
}

// A10. The danger: a reader at version v sees something newer, while a thousand commits pass it by.
template <EngineUnderTest E>
void pinned_reader_sees_its_version(ClaimRun& run) {
  const bool tree = E::kCapabilities.composites;
  run.rounds([&](Seed seed) {
    E engine({.seed = seed.value()});
    auto stream = seed.stream("A10");
    {
      auto client = engine.client(0);
      client.apply(swap(0, {{"a", leaf(1)}, {"b", leaf(2)}, {"c.d", leaf(3)}}));
    }
    const auto pin = engine.pin();
    harness::start_together(2, [&](int thread) {
      auto client = engine.client(thread);
      if (thread == 1) {
        for (int i = 0; i < 1000; ++i) {
          const std::string path = i % 3 == 0 ? "a" : i % 3 == 1 ? "b" : tree ? "c" : "c.d";
          client.apply(
              swap(engine.pin().version(), write(path, static_cast<std::int64_t>(stream.below(100)))));
        }
        return;
      }
      for (int i = 0; i < 300; ++i) {
        run.require(pin.read("a") == leaf(1) && pin.read("b") == leaf(2) && pin.read("c.d") == leaf(3) &&
                        pin.version() == 1,
                    "the reader of version 1 saw another state");
      }
    });
    if (tree)
      run.require(pin.read("c") == model::Subtree{{"d", std::int64_t{3}}}, "the pinned subtree changed");
    run.tried().operations += 1900;
  });
}

// A11. Write skew: by default it is allowed, and the report says so; where reads are validated it is refused.
template <EngineUnderTest E>
void write_skew_is_what_the_mode_says(ClaimRun& run) {
  run.once([&](Seed) {
    for (const bool validate : {false, true}) {
      if (validate && !E::kCapabilities.validate_reads) {
        run.note("the engine does not offer validated reads: that half was not claimed");
        continue;
      }
      E engine({.validate_reads = validate});
      auto one = engine.client(0);
      auto two = engine.client(1);
      one.apply(swap(0, {{"a", leaf(1)}, {"b", leaf(1)}}));
      expect<model::Committed>(run, one.apply(swap(1, write("a", 0), {"a", "b"})), "the first of two");
      const auto second = two.apply(swap(1, write("b", 0), {"a", "b"}));
      run.require(validate ? std::holds_alternative<model::Conflict>(second)
                           : std::holds_alternative<model::Committed>(second),
                  "with reads {}validated the second was answered {}", validate ? "" : "not ",
                  model::describe(second));
      run.tried().operations += 3;
    }
  });
}

// A12. The danger: a root write and the creation of a leaf below it lock different cells, each looks before the other
// has locked, and both commit from one base. At most one may; whoever wins, the state is what it wrote.
template <EngineUnderTest E>
void root_and_new_leaf_exclude_each_other(ClaimRun& run) {
  run.rounds([&](Seed seed) {
    auto stream = seed.stream("A12");
    E engine({.seed = seed.value()});
    for (std::uint64_t turn = 0; turn < 200; ++turn) {
      const std::string root = "root" + std::to_string(turn);
      const std::string below = root + (stream.chance(1, 2) ? ".x" : ".x.y");
      const auto base = engine.pin().version();
      std::vector<model::StoreResponse> answers(2);
      harness::start_together(2, [&](int i) {
        auto client = engine.client(i);
        answers[static_cast<std::size_t>(i)] =
            client.apply(i == 0 ? swap(base, {{root, model::Subtree{{"z", std::int64_t{1}}}}})
                                : swap(base, write(below, 2)));
      });
      const int commits = static_cast<int>(std::holds_alternative<model::Committed>(answers[0])) +
                          static_cast<int>(std::holds_alternative<model::Committed>(answers[1]));
      run.require(commits == 1, "{} of root and leaf committed: {} and {}", commits,
                  model::describe(answers[0]), model::describe(answers[1]));
      const bool root_won = std::holds_alternative<model::Committed>(answers[0]);
      run.require(engine.pin().read(below).has_value() != root_won, "the state is not the winner's");
      run.tried().operations += 2;
    }
  });
}

// S1. One client, any program: every answer and every state is the model's.
template <EngineUnderTest E>
void every_answer_is_the_models(ClaimRun& run) {
  run.rounds([&](Seed seed) {
    auto stream = seed.stream("S1");
    harness::EngineSettings settings{.strict = E::kCapabilities.strict && stream.chance(1, 4),
                                     .validate_reads = E::kCapabilities.validate_reads && stream.chance(1, 4),
                                     .seed = seed.value()};
    harness::WorkloadShape shape{
        .clients = 1, .steps = 40, .capabilities = E::kCapabilities, .malformed = E::kCapabilities.rejects};
    shape.reads = settings.validate_reads;
    const auto workload = harness::draw_workload(stream, shape);
    const auto wrong = harness::judge_in_sequence<E>(settings, workload.clients.front());
    if (wrong && run.artifact() != nullptr)
      run.artifact()->write("scenario.txt", harness::describe(workload));
    run.require(!wrong, "{}", wrong.value_or(""));
    run.tried().operations += workload.steps();
  });
}

template <EngineUnderTest E>
void add_store_claims(ClaimRegistry& registry) {
  const harness::Capabilities can = E::kCapabilities;
  const auto add = [&](const char* name, const char* promise, const char* technique, ReplayClass replay_class,
                       unsigned weight, void (*check)(ClaimRun&)) {
    registry.add({name, promise, technique, replay_class, weight, check});
  };
  // What the promise needs, as far as the engine does not declare it.
  const auto add_if = [&](std::initializer_list<std::pair<bool, const char*>> needs, const char* name,
                          const char* promise, const char* technique, ReplayClass replay_class,
                          unsigned weight, void (*check)(ClaimRun&)) {
    std::string lacks;
    for (const auto& [declared, capability] : needs)
      if (!declared) lacks += (lacks.empty() ? "" : ", ") + std::string(capability);
    if (lacks.empty()) return add(name, promise, technique, replay_class, weight, check);
    registry.add_not_claimed({name, promise, lacks});
  };
  constexpr auto kExact = ReplayClass::exact;
  constexpr auto kThreads = ReplayClass::workload;
  add("S1", "one client: every answer and every state is the model's", "random programs", kExact, 8,
      every_answer_is_the_models<E>);
  add_if({{can.strict, "strict"}}, "A1", "strict: of ten commits from one base exactly one wins", "threads",
         kThreads, 2, strict_admits_one<E>);
  add("A2", "smart: ten commits of ten keys from one base all win", "threads", kThreads, 2,
      disjoint_keys_all_commit<E>);
  add("A3", "a stale base merges if its key is unchanged, and only then", "scenario", kExact, 0,
      stale_base_merges_once<E>);
  add_if({{can.composites, "composites"}}, "A5", "ancestors and descendants of a written path conflict",
         "scenario", kExact, 0, relatives_conflict<E>);
  add_if({{can.erase, "erase"}, {can.rejects, "rejects"}}, "A6",
         "future base, version 0, delete and recreate, empty set are defined", "scenario", kExact, 0,
         corner_versions_are_defined<E>);
  add("A7", "a refused commit changes nothing, all or nothing", "random sets", kExact, 2,
      refusal_changes_nothing<E>);
  add_if({{can.pins, "pins"}}, "A10", "a reader of version v sees v while 1,000 commits pass", "threads",
         kThreads, 3, pinned_reader_sees_its_version<E>);
  add("A11", "write skew: possible by default, refused when reads are validated", "scenario", kExact, 0,
      write_skew_is_what_the_mode_says<E>);
  add_if({{can.composites, "composites"}}, "A12",
         "root write and concurrently created leaf exclude each other", "threads", kThreads, 4,
         root_and_new_leaf_exclude_each_other<E>);
}

}  // namespace touchstone::stress
