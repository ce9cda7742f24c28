// The suite and the acceptance scenarios A on the etcd store: the same checks as of any engine, on one node.

#include <chrono>

#include "harness/etcd_engine.h"
#include "harness/suite.h"
#include "harness/verify.h"
#include "model/checker.h"
#include "model/explanation.h"
#include "stress/claims/store_claims.h"
#include "stress/etcd/etcd_test.h"

namespace touchstone::stress {
namespace {

using harness::EtcdEngine;

class EtcdSuite : public EtcdTest {
 protected:
  void SetUp() override {
    EtcdTest::SetUp();
    if (!IsSkipped()) EtcdEngine::use(place("suite"));
  }
};

TEST_F(EtcdSuite, AnswersOneClientAsTheModelDoes) {
  auto stream = harness::Seed::of_process().stream("etcd in sequence");
  for (const harness::EngineSettings& settings :
       {harness::EngineSettings{}, harness::EngineSettings{.strict = true},
        harness::EngineSettings{.validate_reads = true}}) {
    for (int round = 0; round < 2; ++round) {
      harness::WorkloadShape shape{.capabilities = EtcdEngine::kCapabilities, .malformed = true};
      shape.reads = settings.validate_reads;
      std::vector<harness::Step> steps;
      for (int i = 0; i < 40; ++i) steps.push_back(harness::draw_step(stream, shape));
      EXPECT_EQ(harness::judge_in_sequence<EtcdEngine>(settings, steps).value_or(""), "");
    }
  }
}

TEST_F(EtcdSuite, HistoriesOfManyClientsAreLinearizable) {
  auto stream = harness::Seed::of_process().stream("etcd histories");
  for (int round = 0; round < 8; ++round) {
    const harness::EngineSettings settings{.strict = round % 4 == 1,
                                           .validate_reads = round % 4 == 2,
                                           .ticket = round % 4 != 3,
                                           .backoff = false,
                                           .seed = stream.next()};
    harness::WorkloadShape shape{.clients = 4, .steps = 15, .capabilities = EtcdEngine::kCapabilities};
    shape.reads = settings.validate_reads;
    const auto workload = harness::draw_workload(stream, shape);
    const auto history = harness::run_on_threads<EtcdEngine>(settings, workload, stream);
    const auto verdict = model::check(history, {.budget = std::chrono::seconds(20)});
    EXPECT_EQ(verdict.answer, model::Answer::kLinearizable) << model::explain(history, verdict);
  }
}

/// S1, A1 to A3, A5 to A7 and A10 to A12, from stress/claims.
TEST_F(EtcdSuite, ClaimsOfAnyStoreHold) {
  harness::ClaimRegistry registry{std::string(EtcdEngine::kName)};
  add_store_claims<EtcdEngine>(registry);
  EXPECT_TRUE(registry.not_claimed().empty());
  const auto report = harness::verify(
      registry, {.seed = harness::Seed::of_process(), .budget = std::chrono::seconds(4), .out = ""});
  EXPECT_EQ(report.claims.size(), registry.claims().size());
  for (const harness::ClaimReport& claim : report.claims) {
    EXPECT_EQ(claim.verdict, harness::ClaimVerdict::held) << claim.claim << ": " << claim.reason;
  }
}

}  // namespace
}  // namespace touchstone::stress
