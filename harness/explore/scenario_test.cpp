#include "harness/explore/scenario.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "harness/explore/expect.h"

namespace touchstone::harness::explore {
namespace {

Scenario shipped(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  auto parsed = parse_scenario(path.filename().string(), text.str());
  if (const auto* error = std::get_if<ScenarioError>(&parsed)) {
    ADD_FAILURE() << path << ":" << error->line << ": " << error->what;
    return {};
  }
  return std::get<Scenario>(std::move(parsed));
}

std::vector<Scenario> all_shipped() {
  std::vector<Scenario> all;
  for (const auto& entry : std::filesystem::directory_iterator(TOUCHSTONE_SCENARIOS))
    all.push_back(shipped(entry.path()));
  return all;
}

class EveryShippedScenario : public testing::TestWithParam<engine::Policy> {
 protected:
  static std::vector<Scenario> all() {
    std::vector<Scenario> shipped = all_shipped();
    for (Scenario& scenario : shipped) scenario.engine.policy = GetParam();
    return shipped;
  }
};

TEST_P(EveryShippedScenario, EndsAsItExpects) {
  EXPECT_GE(all().size(), 9);
  for (const Scenario& scenario : all()) {
    const Report report =
        portfolio(controlled_body(scenario), {.draws = scenario.draws, .faults = scenario.faults});
    EXPECT_EQ(report.verdict, scenario.expects_failure ? Verdict::failed : Verdict::passed)
        << scenario.name << report;
  }
}

TEST_P(EveryShippedScenario, RunsOnNativeThreadsToo) {
  for (const Scenario& scenario : all()) {
    if (scenario.expects_failure) continue;  // needs a schedule that real threads need not take
    EXPECT_TRUE(std::holds_alternative<Held>(run_natively(scenario))) << scenario.name;
  }
}

INSTANTIATE_TEST_SUITE_P(UnderBothPolicies, EveryShippedScenario,
                         testing::Values(engine::Policy::ticket, engine::Policy::key_queue),
                         [](const testing::TestParamInfo<engine::Policy>& info) {
                           return info.param == engine::Policy::ticket ? "Ticket" : "KeyQueue";
                         });

TEST(Scenario, ReplaysAThousandFailingSeedsExactly) {
  for (const Scenario& scenario : all_shipped()) {
    if (!scenario.expects_failure) continue;
    const Body body = controlled_body(scenario);
    for (std::uint64_t seed = 0; seed < (kSanitized ? 50 : 1'000); ++seed) {
      const Report report =
          portfolio(body, {.seed = seed, .shrink = seed % 10 == 0, .determinism_checks = 0});
      ASSERT_TRUE(report.failure);
      const Report again = replay(body, report.failure->schedule);
      ASSERT_TRUE(again.failure);
      ASSERT_EQ(again.failure->failure.message, report.failure->failure.message);
      ASSERT_EQ(again.failure->failure.kind, report.failure->failure.kind);
    }
  }
}

TEST(Scenario, NamesTheLineThatItDoesNotUnderstand) {
  struct Case {
    const char* text;
    std::size_t line;
    const char* what;
  };
  for (const Case& bad :
       {Case{"", 0, "expected \"touchstone-scenario 1\""}, Case{"touchstone-scenario 1\n", 1, "no worker"},
        Case{"touchstone-scenario 1\nworker A add n\n", 2, "a worker needs ':' before its operations"},
        Case{"touchstone-scenario 1\n\nworker A: jump n\n", 3, "no such operation: jump"},
        Case{"touchstone-scenario 1\nengine colour=red\n", 2, "the engine has no parameter colour"},
        Case{"touchstone-scenario 1\nengine busy_limit=0\n", 2, "busy_limit must be at least 1"},
        Case{"touchstone-scenario 1\nworker A: add n times=0\n", 2, "times must be at least 1"},
        Case{"touchstone-scenario 1\ndraws 0\n", 2, "draws must be at least 1"},
        Case{"touchstone-scenario 1\ninitial a.b\nworker A: read a\n", 3,
             "a and a.b are parts of each other"},
        Case{"touchstone-scenario 1\nengine policy=luck\n", 2, "no such policy: luck"},
        Case{"touchstone-scenario 1\nstall here soon\n", 2, "not a time in ms or us: soon"},
        Case{"touchstone-scenario 1\nexpect miracles\n", 2, "not understood: expect miracles"}}) {
    const auto parsed = parse_scenario("bad", bad.text);
    ASSERT_TRUE(std::holds_alternative<ScenarioError>(parsed)) << bad.text;
    EXPECT_EQ(std::get<ScenarioError>(parsed).line, bad.line) << bad.text;
    EXPECT_EQ(std::get<ScenarioError>(parsed).what, bad.what);
  }
}

}  // namespace
}  // namespace touchstone::harness::explore
