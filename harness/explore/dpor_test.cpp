#include "harness/explore/dpor.h"

#include <gtest/gtest.h>

#include "harness/explore/builtin.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"

namespace touchstone::harness::explore {
namespace {

using P = ControlledPlatform;

class Canonical : public testing::TestWithParam<Builtin> {};

// The number of classes of each program is known from a closed form, from other tools or from both; a search that
// counts otherwise is wrong, or the program is.
TEST_P(Canonical, HasAsManyClassesAsIsKnown) {
  const Builtin& builtin = GetParam();
  const Report optimal =
      explore(builtin.body, {.algorithm = builtin.algorithm(), .weak_memory = builtin.weak_memory});
  EXPECT_TRUE(passes(optimal));
  EXPECT_EQ(optimal.classes, builtin.classes);
  EXPECT_EQ(optimal.blocked, builtin.blocked);
  if (builtin.weak_memory || builtin.classes > 100'000) return;
  const Report source = explore(builtin.body, {.algorithm = Algorithm::source_dpor, .count_classes = true});
  EXPECT_TRUE(passes(source));
  EXPECT_EQ(source.classes, builtin.classes);
}

std::vector<Builtin> programs() {
  std::vector<Builtin> chosen = builtins();
  if (kSanitized) std::erase_if(chosen, [](const Builtin& builtin) { return builtin.classes > 5'000; });
  return chosen;
}

INSTANTIATE_TEST_SUITE_P(Programs, Canonical, testing::ValuesIn(programs()), [](const auto& info) {
  std::string name = info.param.name;
  std::erase(name, '-');
  return name;
});

TEST(Exhaustion, FindsTheOneScheduleThatLosesAnUpdate) {
  const Body body = [] {
    P::atomic<int> counter{0};
    const auto increment = [&] { counter.store(counter.load() + 1); };
    P::thread a(increment);
    P::thread b(increment);
    a.join();
    b.join();
    require(counter.load() == 2, "an increment was lost");
  };
  for (const Algorithm algorithm :
       {Algorithm::dpor, Algorithm::source_dpor, Algorithm::plain, Algorithm::bounded}) {
    const Report report = explore(body, {.algorithm = algorithm});
    ASSERT_TRUE(report.failure) << name_of(algorithm);
    EXPECT_EQ(report.failure->schedule.preemptions(), 1);
    EXPECT_TRUE(replay(body, report.failure->schedule).failure);
  }
}

TEST(Exhaustion, SaysThatItDidNotEndWhenItDidNot) {
  const Report report = exhaust(fetch_add_program(3, 3), {.executions = 100});
  EXPECT_EQ(report.verdict, Verdict::inconclusive);
  EXPECT_EQ(report.covered, "100 executions of a search that did not end");
}

TEST(Exhaustion, CallsABoundedSearchBounded) {
  const Report none = explore(fetch_add_program(2, 2), {.algorithm = Algorithm::bounded, .preemptions = 0});
  EXPECT_EQ(none.classes, 2);
  EXPECT_EQ(none.covered.substr(0, 8), "bounded:");
  const Report two = explore(fetch_add_program(2, 2), {.algorithm = Algorithm::bounded, .preemptions = 2});
  EXPECT_LT(none.classes, two.classes);
}

TEST(Exhaustion, TriesTheValuesOfDrawsWhenTold) {
  const Body body = [] {
    P::random random(1, 2);
    require(random.below(8) != 7, "a seven");
  };
  const Report report = explore(body, {.algorithm = Algorithm::plain, .draws = 8});
  EXPECT_TRUE(report.failure);
}

}  // namespace
}  // namespace touchstone::harness::explore
