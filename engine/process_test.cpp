// What a body sees of the store, whoever commits between any two of its steps, and what becomes of its writes.

#include "engine/process.h"

#include <gtest/gtest.h>

#include "engine/store.h"
#include "engine/test_interruption.h"

namespace touchstone::engine {
namespace {

using P = StagedPlatform;

/// A store, a worker, and somebody else.
struct Play {
  explicit Play(StoreOptions options = {})
      : store(without_back_off(std::move(options))), worker(store.worker()) {}

  static StoreOptions without_back_off(StoreOptions options) {
    options.backoff = false;
    return options;
  }

  void commit(const WriteSet& writes) {
    EXPECT_TRUE(std::holds_alternative<Committed>(store.compare_and_swap(store.version(), writes)));
  }
  /// By somebody else, while a body runs.
  void meanwhile(const WriteSet& writes) {
    stage.elsewhere([&] { commit(writes); });
  }
  std::uint64_t snapshots_open() { return store.statistics().snapshots_open; }

  ExecuteResult execute(const Contract& contract, const Process<P>::Body& body,
                        const Limits<P>& limits = {}) {
    return store.execute(worker, store.process("p", contract, body), limits);
  }

  Stage stage;
  Store<P> store;
  Worker<P> worker;
};

template <class T>
bool ended_as(const ExecuteResult& result) {
  return std::holds_alternative<T>(result.outcome);
}

/// One way to read one path, and what it shows before and after everything is written anew.
struct Reading {
  const char* path;
  bool by_number;

  std::string operator()(Context<P>& context, Store<P>& store) const {
    if (by_number) return std::to_string(context.get<std::int64_t>(store.key(path)).value_or(0));
    const auto value = context.read(path);
    return value ? to_text(*value) : "nothing";
  }
};

const Reading kReadings[] = {{"n", false},           {"n", true},    {"t", false}, {"r.x", false},
                             {"r", false},           {"r.y", false}, {"f", false}, {"f", true},
                             {"absent.path", false}, {"s.t", false}};

WriteSet generation(int number) {
  const std::string text = "a text that is too long for its own string " + std::to_string(number);
  WriteSet writes;
  writes.set("n", number).set("t", text).set("r.x", number).set("f", number);
  if (number > 1) writes.set("absent.path", number).set("r.y", number).set("s.t", text);
  return writes;
}

std::string shown(const Reading& reading, int number) {
  Stage stage;
  Store<P> store;
  store.compare_and_swap(0, generation(number));
  std::string text;
  auto worker = store.worker();
  store.execute(worker, store.process("p", {}, [&](auto& context) { text = reading(context, store); }));
  return text;
}

// Danger: a view that is not pinned yet takes one value of before and one of after somebody's commit. The oracle: whatever two reads
// return to a body, whenever all is written anew by one commit in between, they are of one version.
TEST(Body, SeesOneVersionWhoeverCommitsBetweenAnyTwoOfItsSteps) {
  const std::vector<std::string> everything{"n", "t", "r", "s"}, one_above{"r"}, nothing_that_changes{"q"};
  for (const auto& outputs : {everything, one_above, nothing_that_changes}) {
    for (const Reading& first : kReadings) {
      for (const Reading& second : kReadings) {
        if (outputs != everything && std::string("n t r s.t").find(first.path) != std::string::npos) continue;
        const std::string old = shown(first, 1) + ", " + shown(second, 1);
        const std::string fresh = shown(first, 2) + ", " + shown(second, 2);
        const int steps = Interruption::at_each_step([&](Interruption& it) {
          Play play;
          play.commit(generation(1));
          play.store.key("s");
          const auto body = [&](Context<P>& context) {
            std::string seen;
            it.between(
                [&] {
                  seen = first(context, play.store);
                  seen += ", " + second(context, play.store);
                },
                [&] { play.commit(generation(2)); });
            EXPECT_TRUE(seen == old || seen == fresh)
                << first.path << " and " << second.path << " are " << seen;
          };
          play.execute({.outputs = outputs}, body, {.attempts = 1});
          play.stage.no_more_interruptions();  // perhaps its attempt was spoiled
        });
        EXPECT_GT(steps, 4);
      }
    }
  }
}

TEST(Body, ThatReadsItsOutputsOnlyKeepsNoSnapshotOpen) {
  Play play;
  play.commit(generation(1));
  const auto n = play.store.key("n");
  play.execute({.outputs = {"n", "t", "r"}}, [&](Context<P>& context) {
    for (int round = 0; round < 2; ++round) {
      for (const char* path : {"n", "t", "r.x", "t", "n", "r.x", "r.x"}) context.read(path);
      context.get<std::int64_t>(n);
      context.read(n);
      EXPECT_EQ(play.snapshots_open(), 0u);
    }
    context.read("r");
    EXPECT_EQ(play.snapshots_open(), 1u) << "what is below it is not read in one step";
  });
  EXPECT_EQ(play.snapshots_open(), 0u);
}

// A number is one word, also where the output has paths below it: get() reads it without a snapshot, whichever of the outputs comes
// next, and also after writes of those before it.
TEST(Body, ThatGetsNumbersOfItsOutputsKeepsNoSnapshotOpen) {
  Play play;
  const std::vector<std::string> outputs{"a", "b", "c", "leaf", "e"};
  std::vector<Key<P>> keys;
  for (const std::string& path : outputs) {
    keys.push_back(play.store.key(path));
    if (path != "leaf") play.store.key(path + ".below");
  }
  WriteSet values;
  for (const std::string& path : outputs) values.set(path, 7);
  play.commit(values);
  const auto get = [&](Context<P>& context, std::size_t i) {
    EXPECT_EQ(context.get<std::int64_t>(keys[i]), 7);
    EXPECT_EQ(play.snapshots_open(), 0u) << "at " << outputs[i];
  };
  play.execute({.outputs = outputs}, [&](Context<P>& context) {
    get(context, 0);
    get(context, 1);
    get(context, 1);
    get(context, 2);
    context.read("leaf");
    get(context, 4);
  });
  play.execute({.outputs = {"leaf", "e"}}, [&](Context<P>& context) {
    context.set(keys[3], std::int64_t{8});
    get(context, 4);
  });
}

TEST(Body, ThatReadsAnythingElseKeepsOneSnapshotOpenUntilItEnds) {
  using Body = Process<P>::Body;
  const Body reads[] = {[](auto& context) { context.read("f"); },
                        [](auto& context) { context.read("nowhere"); },
                        [](auto& context) { context.version(); }, [](auto& context) { context.read("r"); }};
  for (const Body& read : reads) {
    Play play;
    play.commit(generation(1));
    play.stage.at_point("execute:body_done", [&] { EXPECT_EQ(play.snapshots_open(), 0u); });
    const auto result = play.execute({.outputs = {"n", "r"}}, [&](Context<P>& context) {
      read(context);
      read(context);
      EXPECT_EQ(play.snapshots_open(), 1u);
      context.set("n", 2);
    });
    EXPECT_TRUE(result.committed());
    EXPECT_EQ(play.store.statistics().nodes_made, 1u) << "the text; the old n is nobody's any more";
    EXPECT_THROW(play.execute({},
                              [&](Context<P>& context) {
                                read(context);
                                throw std::runtime_error("mine");
                              }),
                 std::runtime_error);
    EXPECT_EQ(play.snapshots_open(), 0u);
    play.commit(WriteSet{}.set("n", 3));
    EXPECT_EQ(play.store.statistics().nodes_made, 1u);
  }
}

TEST(Body, SeesTheVersionThatItWasTold) {
  Play play;
  play.commit(generation(1));
  const auto result = play.execute({}, [&](Context<P>& context) {
    EXPECT_EQ(context.version(), 1u);
    play.meanwhile(generation(2));
    EXPECT_EQ(context.version(), 1u);
    EXPECT_EQ(context.read("f"), Value(1));
    EXPECT_EQ(context.read("absent.path"), std::nullopt);
  });
  EXPECT_EQ(std::get<Committed>(result.outcome).version, 1u);
}

// A snapshot that is open is read to the end of the body, though its outputs have changed: only its commit fails.
TEST(Body, WithASnapshotReadsOnWhenItsOutputsChange) {
  Play play;
  play.commit(generation(1));
  int ends = 0;
  const auto result = play.execute({.outputs = {"n"}}, [&](Context<P>& context) {
    context.read("f");
    if (ends == 0) play.meanwhile(WriteSet{}.set("n", 5));
    EXPECT_EQ(context.read("n"), Value(ends == 0 ? 1 : 5));
    EXPECT_EQ(context.get<std::int64_t>(play.store.key("n")), ends == 0 ? 1 : 5);
    context.set("n", 6);
    ++ends;
  });
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(ends, 2);
  EXPECT_EQ(result.effort.conflicts, 1);
}

// A body whose attempt is in vain ends at its next read, and nothing of it is committed: neither what it wrote before, nor a version
// without a write, nor at the version that it had moved to.
TEST(Body, WhoseOutputsChangeUnderItEndsAtItsNextReadAndRunsAgain) {
  for (const bool writes : {false, true}) {
    for (const char* next : {"n", "t", "f", "r.x", "r"}) {
      Play play;
      play.commit(generation(1));
      int begins = 0, ends = 0;
      const auto result = play.execute({.outputs = {"n", "t", "r"}}, [&](Context<P>& context) {
        context.read("n");
        if (writes) context.set("t", begins);
        if (++begins == 1) play.meanwhile(generation(2));
        context.read(next);
        ++ends;
      });
      EXPECT_TRUE(result.committed());
      EXPECT_EQ(begins, 2) << next;
      EXPECT_EQ(ends, 1) << next;
      EXPECT_EQ(result.effort.attempts, 2);
      EXPECT_EQ(result.effort.conflicts, 1);
      EXPECT_EQ(play.store.version(), writes ? 3u : 2u);
      EXPECT_EQ(to_text(*play.store.read("t")), writes ? "1" : shown({"t", false}, 2)) << next;
    }
  }
}

TEST(Body, ThatWroteNothingMakesNoVersion) {
  Play play;
  play.commit(generation(1));
  const auto result = play.execute({.outputs = {"n"}}, [](Context<P>& context) { context.read("n"); });
  const auto& committed = std::get<Committed>(result.outcome);
  EXPECT_EQ(committed.version, 1u);
  EXPECT_EQ(committed.path, CommitPath::empty);
  EXPECT_EQ(play.store.version(), 1u);
  EXPECT_EQ(play.store.statistics().commits_empty, 1u);
  const auto written = play.execute({.outputs = {"n"}}, [](Context<P>& context) { context.set("n", 2); });
  EXPECT_EQ(std::get<Committed>(written.outcome).version, 2u);
  EXPECT_EQ(std::get<Committed>(written.outcome).path, CommitPath::fast);
  EXPECT_EQ(play.store.statistics().commits_empty, 1u);
}

// C: an output is validated though it is not written.
TEST(Contract, AllOutputsAreValidatedAndOnlyTheseUnlessReadsAreToo) {
  for (const bool validate : {false, true}) {
    for (const char* changed : {"a", "b", "c", "d"}) {
      Play play({.validate_reads = validate});
      play.commit(WriteSet{}.set("a", 1).set("b", 1).set("c", 1).set("d", 1));
      int runs = 0;
      const auto result =
          play.execute({.inputs = {"a", "d"}, .outputs = {"b", "c"}}, [&](Context<P>& context) {
            context.read("a");
            context.read("d");
            context.set("b", 2);
            if (++runs <= 3) play.meanwhile(WriteSet{}.set(changed, 5));
          });
      const bool is_output = *changed == 'b' || *changed == 'c';
      EXPECT_TRUE(result.committed());
      EXPECT_EQ(result.effort.conflicts, validate || is_output ? 3 : 0) << changed;
    }
  }
}

TEST(Contract, WithValidatedReadsAPathThatIsNotThereIsValidatedToo) {
  Play play({.validate_reads = true});
  int runs = 0;
  const auto result = play.execute({.inputs = {"folder"}, .outputs = {"n"}}, [&](Context<P>& context) {
    EXPECT_EQ(context.read("folder.file"), runs == 0 ? std::nullopt : std::optional<Value>(1));
    if (++runs == 1) play.meanwhile(WriteSet{}.set("folder.file", 1));
    context.set("n", runs);
  });
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(result.effort.conflicts, 1) << "somebody made it";
}

TEST(Contract, WithValidatedReadsAnAttemptIsValidatedForItsOwnReadsOnly) {
  Play play({.validate_reads = true});
  play.commit(WriteSet{}.set("a", 1).set("n", 1));
  int runs = 0;
  const auto result = play.execute({.inputs = {"a"}, .outputs = {"n"}}, [&](Context<P>& context) {
    if (++runs == 1) context.read("a");
    context.set("n", runs);
    play.meanwhile(WriteSet{}.set("a", runs));
  });
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(result.effort.conflicts, 1) << "the second run has not read what changes";
}

TEST(Contract, WithValidatedReadsOutputsMayBeReadAndOthersMayNot) {
  Play play({.validate_reads = true});
  play.commit(generation(1));
  const auto body = [&](const char* path, bool disturbed) {
    return play.execute({.inputs = {"f"}, .outputs = {"n", "r"}},
                        [&play, path, disturbed](Context<P>& context) {
                          context.read("n");
                          if (disturbed) play.meanwhile(WriteSet{}.set("n", 5));
                          context.read(path);
                          context.set("n", 2);
                        });
  };
  for (const char* path : {"n", "r", "r.x", "r.new", "f", "f.new"})
    EXPECT_TRUE(body(path, false).committed()) << path;
  for (const bool disturbed : {false, true}) {
    const auto result = body("t", disturbed);
    ASSERT_TRUE(ended_as<Rejected>(result)) << "a breach is told at once, also of an attempt in vain";
    EXPECT_EQ(std::get<Rejected>(result.outcome).code, ErrorCode::undeclared_read);
    EXPECT_EQ(std::get<Rejected>(result.outcome).what, "process p reads t, which it does not declare");
    EXPECT_EQ(result.effort.attempts, 1);
  }
}

TEST(Contract, ARefusedWriteIsNotSeenByABodyThatGoesOn) {
  Play play;
  play.commit(WriteSet{}.set("a", 1));
  const auto result = play.execute({.outputs = {"b"}}, [](Context<P>& context) {
    EXPECT_THROW(context.set("a", 2), Error);
    EXPECT_EQ(context.read("a"), Value(1));
    EXPECT_THROW(context.erase("a"), Error);
    EXPECT_EQ(context.read("a"), Value(1));
  });
  EXPECT_TRUE(ended_as<Rejected>(result));
  const auto thrown = play.execute({.outputs = {"b"}}, [](Context<P>& context) { context.set("a", 2); });
  EXPECT_TRUE(ended_as<Rejected>(thrown)) << "and it need not swallow it";
  EXPECT_EQ(play.store.read("a"), Value(1));
}

TEST(Writes, ByKeySetAndErase) {
  Play play;
  const auto n = play.store.key("n"), t = play.store.key("t"), m = play.store.key("m");
  play.commit(WriteSet{}.set("m", 1));
  EXPECT_TRUE(play.execute({.outputs = {"n", "t", "m"}},
                           [&](Context<P>& context) {
                             context.set(n, Value(1));
                             context.set(t, "text");
                             context.erase(m);
                             EXPECT_EQ(context.read(n), Value(1));
                             EXPECT_EQ(context.read(t), Value("text"));
                             EXPECT_EQ(context.read(m), std::nullopt);
                           })
                  .committed());
  EXPECT_EQ(play.store.read("n"), Value(1));
  EXPECT_EQ(play.store.read("t"), Value("text"));
  EXPECT_EQ(play.store.read("m"), std::nullopt);
}

TEST(Writes, OfOneNumberTwiceShowTheLastToTheBodyAndToTheStore) {
  Play play;
  play.commit(WriteSet{}.set("n", 1));
  const auto n = play.store.key("n");
  EXPECT_TRUE(play.execute({.outputs = {"n"}},
                           [&](Context<P>& context) {
                             for (const std::int64_t value : {7, 8, 9}) {
                               context.set(n, value);
                               EXPECT_EQ(context.get<std::int64_t>(n), value);
                             }
                           })
                  .committed());
  EXPECT_EQ(play.store.read("n"), Value(9));
}

TEST(Writes, OfACompositeToALeafMakeItsLeaves) {
  Play play;
  EXPECT_TRUE(play.execute({.outputs = {"d", "e"}},
                           [](Context<P>& context) {
                             context.set("d", Composite{{"x", 1}, {"y", "text"}});
                             context.set("e", 2);
                           })
                  .committed());
  EXPECT_EQ(to_text(*play.store.read("d")), "{x: 1, y: \"text\"}");
}

// An output above another one: the two are no writes that have nothing to do with one another.
TEST(Writes, OfAnOutputAboveAnotherOneApplyInOrder) {
  Play play;
  const auto leaf = play.store.key("d.x");
  play.commit(WriteSet{}.set("d", 5));
  const Contract contract{.outputs = {"d", "d.x"}};
  EXPECT_TRUE(play.execute(contract,
                           [&](Context<P>& context) {
                             context.erase("d");
                             context.set(leaf, std::int64_t{1});
                           })
                  .committed());
  EXPECT_EQ(to_text(*play.store.read("d")), "{x: 1}");
  const auto refused = play.execute(contract, [&](Context<P>& context) {
    context.set("d", 6);
    context.set(leaf, std::int64_t{2});
  });
  ASSERT_TRUE(ended_as<Rejected>(refused));
  EXPECT_EQ(std::get<Rejected>(refused.outcome).what, "cannot write d.x: d holds a scalar");
  EXPECT_EQ(to_text(*play.store.read("d")), "{x: 1}");
}

TEST(Writes, BelowAScalarOfTheStoreAreRefusedByName) {
  Play play;
  play.store.key("d.x");
  play.commit(WriteSet{}.set("d", 5));
  const auto refused = play.execute({.outputs = {"d.x"}}, [](Context<P>& context) {
    context.set("d.x", 1);
    EXPECT_EQ(to_text(*context.read("d")), "{x: 1}") << "its own write";
  });
  ASSERT_TRUE(ended_as<Rejected>(refused));
  EXPECT_EQ(std::get<Rejected>(refused.outcome).code, ErrorCode::under_scalar);
  EXPECT_EQ(std::get<Rejected>(refused.outcome).what, "cannot write d.x: d holds a scalar");
  EXPECT_EQ(refused.effort.attempts, 1);
  EXPECT_EQ(play.store.statistics().rejected, 1u);
}

TEST(Writes, AreSeenAtAnyDepthAmongWhatIsThere) {
  Play play;
  play.commit(WriteSet{}.set("d.z.v", 1).set("d.y", 2).set("e.x", 3));
  play.execute({.outputs = {"d", "e"}}, [](Context<P>& context) {
    context.set("d.z.w.u", 4);
    EXPECT_EQ(to_text(*context.read("d")), "{y: 2, z: {v: 1, w: {u: 4}}}");
    EXPECT_EQ(to_text(*context.read("d.z")), "{v: 1, w: {u: 4}}");
    EXPECT_EQ(to_text(*context.read("e")), "{x: 3}") << "it has nothing to do with that";
    context.erase("d.z");
    EXPECT_EQ(context.read("d.z.v"), std::nullopt);
    EXPECT_EQ(context.read("d.z.w.u"), std::nullopt);
    EXPECT_EQ(to_text(*context.read("d")), "{y: 2}");
    context.set("e", Composite{{"q", Composite{{"p", 5}}}});
    EXPECT_EQ(context.read("e.x"), std::nullopt);
    EXPECT_EQ(context.read("e.q.p"), Value(5));
    EXPECT_EQ(context.read("e.q.p.below"), std::nullopt);
    EXPECT_EQ(context.read("e.q.absent"), std::nullopt);
    context.set("e", Composite{{"x", 1}, {"hollow", Composite{{"inner", Composite{}}}}});
    EXPECT_EQ(to_text(*context.read("e")), "{x: 1}") << "what holds nothing is not there";
    context.set("d.y", 6);
    EXPECT_EQ(context.read("d.y.below"), std::nullopt) << "below a scalar there is nothing";
  });
}

}  // namespace
}  // namespace touchstone::engine
