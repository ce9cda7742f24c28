#include "harness/explore/scenario.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
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

// The danger: a point that is new in the engine cannot be named in a scenario, or one that is gone is waited for in vain.
TEST(Scenario, KnowsTheFaultPointsOfTheEngine) {
  const std::string mark = "P::fault_point(\"";
  std::set<std::string> points;
  for (const auto& entry : std::filesystem::directory_iterator(TOUCHSTONE_SCENARIOS "/../../engine")) {
    if (entry.path().filename() == "platform.h" || entry.path().extension() != ".h") continue;
    std::ostringstream code;
    code << std::ifstream(entry.path()).rdbuf();
    const std::string text = code.str();
    for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) {
      const std::size_t begin = at + mark.size();
      points.insert(text.substr(begin, text.find('"', begin) - begin));
    }
  }
  EXPECT_EQ(points.size(), 6U);
  for (const std::string& point : points) {
    const auto parsed = parse_scenario("it", "touchstone-scenario 1\nworker A: add n\ncrash " + point + "\n");
    EXPECT_TRUE(std::holds_alternative<Scenario>(parsed)) << point;
  }
}

TEST(Scenario, NamesTheLineThatItDoesNotUnderstand) {
  struct Case {
    const char* text;
    std::size_t line;
    const char* what;
  };
  for (const Case& bad :
       {Case{"", 0, "expected \"touchstone-scenario 1\""},
        Case{"touchstone-scenario 1\n", 1, "no worker"},
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
        Case{"touchstone-scenario 1\nstall here 9999999999ms\n", 2, "too long: 9999999999ms"},
        Case{"touchstone-scenario 12\n", 1, "expected \"touchstone-scenario 1\""},
        Case{"touchstone-scenario 1\nworker A: put a as=song\n", 2, "not a content: song"},
        Case{"touchstone-scenario 1\nworker A: put a from=below\n", 2, "not a version to put from: below"},
        Case{"touchstone-scenario 1\nworker A: leave n\n", 2, "leave names no path: n"},
        Case{"touchstone-scenario 1\nworker A: add n; put n.m\n", 2, "n.m and n are parts of each other"},
        Case{"touchstone-scenario 1\nworker A: put n; add n\n", 2, "n cannot both be added to and put"},
        Case{"touchstone-scenario 1\nexpect failed\nexpect passed\n", 3, "expect is said twice"},
        Case{"touchstone-scenario 1\nengine base=1ms\nengine base=2ms\n", 3, "engine base is said twice"},
        Case{"touchstone-scenario 1\ncrash commit:end\n", 2,
             "no such fault point: commit:end (there are execute:body_done, commit:begin, commit:locked, "
             "commit:admitted, commit:numbered, commit:installed)"},
        Case{"touchstone-scenario 1\nexpect miracles\n", 2, "not understood: expect miracles"}}) {
    const auto parsed = parse_scenario("bad", bad.text);
    ASSERT_TRUE(std::holds_alternative<ScenarioError>(parsed)) << bad.text;
    EXPECT_EQ(std::get<ScenarioError>(parsed).line, bad.line) << bad.text;
    EXPECT_EQ(std::get<ScenarioError>(parsed).what, bad.what);
  }
}

Scenario parsed(const std::string& text) {
  auto read = parse_scenario("test", text);
  if (const auto* error = std::get_if<ScenarioError>(&read))
    ADD_FAILURE() << text << error->line << ": " << error->what;
  return std::get<Scenario>(std::move(read));
}

constexpr const char* kEverything =
    "touchstone-scenario 1\n"
    "engine mode=strict validate_reads=on base=20us policy=key_queue threshold=2 busy_limit=3 lease=7ms "
    "lease_factor=0\n"
    "initial n m\n"
    "worker A failures=1: add n m think=20ms times=2 attempts=3 within=90ms; add n body=throws; cas n; pause "
    "3ms; leave\n"
    "worker B: put a.b a.c as=tree from=seen patient=on; put a as=nothing; put e as=text from=ahead; look a "
    "n think=1us; read m\n"
    "stall commit:locked 60ms times=2\n"
    "crash execute:body_done\n"
    "most_conflicts 4\n"
    "draws 2\n"
    "check linearizable\n"
    "expect failed\n";

TEST(Scenario, IsWrittenAsItIsRead) {
  EXPECT_EQ(to_text(parsed(kEverything)), kEverything);
  for (const Scenario& scenario : all_shipped()) {
    const std::string text = to_text(scenario);
    EXPECT_EQ(to_text(parsed(text)), text) << scenario.name;
    EXPECT_EQ(parsed(text).workers, scenario.workers) << scenario.name;
  }
}

// Puts above and below one another, snapshots across them, bodies that end early, a turn that is earned by hand: the model explains
// whatever the engine answers.
TEST(Scenario, OfEveryOperationIsExplainedByTheModel) {
  for (const char* engine : {"threshold=1", "threshold=2 policy=key_queue", "mode=strict backoff=off",
                             "ticket=off validate_reads=on"}) {
    const Scenario scenario =
        parsed(std::string("touchstone-scenario 1\nengine ") + engine +
               "\ninitial n\n"
               "worker A: look a n; put a.b as=tree from=seen times=2; add n body=throws; add n attempts=1\n"
               "worker B: put a as=text patient=on; put a as=nothing; put a.b.x; cas n; leave\n"
               "worker C: look a a.b think=2ms; add n times=2 within=50ms; put a from=ahead\n"
               "stall commit:begin 60ms\n"
               "check linearizable\n");
    ScenarioCounts counts;
    EXPECT_TRUE(passes(portfolio(controlled_body(scenario, &counts), {.faults = scenario.faults}))) << engine;
    EXPECT_GE(counts.calls.size(), 15) << engine;
    EXPECT_GE(counts.most_conflicts, 1) << engine;
    EXPECT_TRUE(std::holds_alternative<Held>(run_natively(scenario))) << engine;
  }
}

TEST(ScenarioHistory, IsRefutedWhenNoOrderExplainsIt) {
  ScenarioHistory history(1);
  model::CompareAndSwap put{
      .expected = 0, .writes = {{"a", model::Subtree{{"", std::int64_t{1}}}}}, .reads = {}, .outputs = {}};
  history.answer(0, history.invoke(0, put), model::Committed{1, std::nullopt});
  EXPECT_EQ(refute(history.calls(), {}), std::nullopt);
  history.answer(0, history.invoke(0, model::SnapshotRead{{"a"}}), model::SnapshotIs{1, {std::nullopt}});
  EXPECT_NE(refute(history.calls(), {}), std::nullopt);
}

TEST(ScenarioHistory, LeavesOpenWhetherACallWithoutAnAnswerHappened) {
  for (const std::uint64_t version : {0U, 1U}) {
    ScenarioHistory history(2);
    history.invoke(
        0, model::CompareAndSwap{.expected = 0, .writes = {{"a", std::nullopt}}, .reads = {}, .outputs = {}});
    history.answer(1, history.invoke(1, model::ReadVersion{}), model::VersionIs{version});
    EXPECT_EQ(refute(history.calls(), {}), std::nullopt);
  }
}

}  // namespace
}  // namespace touchstone::harness::explore
