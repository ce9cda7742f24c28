// The suite over every engine that is shipped: the same properties, the same oracle.

#include "harness/suite.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "harness/failure_report.h"
#include "harness/reference_engine.h"
#include "harness/simple_engine.h"
#include "harness/workload_gen.h"

namespace touchstone::harness {
namespace {

template <class E>
class EngineInSequence : public testing::Test {
 protected:
  /// Every program of steps, however shaped, gets the answers that the model allows and leaves the state that it says.
  void agrees(const EngineSettings& settings) {
    describe_replay(ReplayClass::exact);
    WorkloadShape shape;
    shape.capabilities = E::kCapabilities;
    shape.malformed = true;
    shape.reads = settings.validate_reads;
    EXPECT_TRUE(rc::check([&] {
      const auto steps = *steps_gen(shape);
      if (auto wrong = judge_in_sequence<E>(settings, steps)) RC_FAIL(*wrong);
    }));
  }
};

using Engines = testing::Types<SimpleEngine, ReferenceEngine>;
TYPED_TEST_SUITE(EngineInSequence, Engines);

TYPED_TEST(EngineInSequence, AgreesWithTheModel) {
  this->agrees({});
}

TYPED_TEST(EngineInSequence, AgreesWithTheModelInStrictMode) {
  this->agrees({.strict = true});
}

TYPED_TEST(EngineInSequence, AgreesWithTheModelWhenReadsAreValidated) {
  this->agrees({.validate_reads = true});
}

// The recorder before any thread: a history that one client made is legal as it stands, in its own order.
TEST(Recorder, HistoryOfOneClientIsItsProgram) {
  describe_replay(ReplayClass::exact);
  Stream stream = Seed::of_process().stream("recorder");
  WorkloadShape shape;
  shape.clients = 1;
  shape.steps = 50;
  shape.capabilities = SimpleEngine::kCapabilities;
  const model::History history = run_on_threads<SimpleEngine>({}, draw_workload(stream, shape), stream);
  ASSERT_EQ(history.operations.size(), 50u);
  const model::StoreSpec spec(history.store_rules);
  model::StoreState state;
  std::int64_t before = 0;
  for (const auto& operation : history.operations) {
    EXPECT_LE(before, operation.invoked);
    EXPECT_LE(operation.invoked, operation.returned);
    before = operation.returned;
    const auto& call = history.store_calls[operation.argument];
    const auto wrong = spec.advance(state, call.operation, &*call.response);
    EXPECT_FALSE(wrong) << wrong->reason;
  }
}

TEST(Workload, IsTheSameForTheSameSeed) {
  WorkloadShape shape;
  shape.capabilities = SimpleEngine::kCapabilities;
  Stream a = Seed(5).stream("workload"), b = Seed(5).stream("workload");
  EXPECT_EQ(describe(draw_workload(a, shape)), describe(draw_workload(b, shape)));
  EXPECT_NE(describe(draw_workload(a, shape)), describe(draw_workload(b, {.steps = 1})));
}

// The danger: a generator that cannot shrink leaves a person with fifty steps where two would do.
TEST(Workload, ShrinksToTheStepThatMatters) {
  WorkloadShape shape;
  shape.capabilities = SimpleEngine::kCapabilities;
  const auto has_erase = [](const Step& step) {
    const auto* swap = std::get_if<model::CompareAndSwap>(&step.operation);
    return swap != nullptr && !swap->writes.empty() && !swap->writes.front().value;
  };
  const auto gen = steps_gen(shape);
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    auto shrinkable = gen(rc::Random(seed), 100);
    const auto fails = [&](const std::vector<Step>& steps) {
      return std::any_of(steps.begin(), steps.end(), has_erase);
    };
    if (!fails(shrinkable.value())) continue;
    for (bool smaller = true; smaller;) {
      smaller = false;
      auto candidates = shrinkable.shrinks();
      while (auto candidate = candidates.next()) {
        if (!fails(candidate->value())) continue;
        shrinkable = *candidate;
        smaller = true;
        break;
      }
    }
    const auto smallest = shrinkable.value();
    ASSERT_EQ(smallest.size(), 1u);
    EXPECT_EQ(std::get<model::CompareAndSwap>(smallest[0].operation).writes.size(), 1u);
    EXPECT_EQ(smallest[0].age, 0);
    return;
  }
  FAIL() << "no erase was ever generated";
}

}  // namespace
}  // namespace touchstone::harness
