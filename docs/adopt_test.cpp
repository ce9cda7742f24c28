// The engine of docs/adopt.md, compiled and put under the suite: the document shows the blocks between the marks.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "harness/engine_under_test.h"
#include "harness/failure_report.h"
#include "harness/suite.h"
#include "harness/verify.h"
#include "harness/workload_gen.h"
#include "stress/claims/history_claims.h"
#include "stress/claims/store_claims.h"

namespace touchstone {
namespace {

// adopt: begin
// Your engine, as it is: here a register file whose commits check what they write.
class Registers {
 public:
  struct Register {
    model::Scalar value;
    std::uint64_t changed = 0;
  };
  std::map<std::string, Register> registers;
  std::uint64_t version = 0;
  std::mutex mutex;
};

// The adapter: it translates between the engine's words and the model's.
class MyEngine {
 public:
  static constexpr std::string_view kName = "mine";
  static constexpr harness::Capabilities kCapabilities = {.snapshots = true, .pins = true, .rejects = true};

  explicit MyEngine(const harness::EngineSettings&) {}

  class Client {
   public:
    explicit Client(Registers& engine) : engine_(engine) {}

    model::StoreResponse apply(const model::StoreOperation& operation) {
      const std::lock_guard lock(engine_.mutex);
      if (const auto* call = std::get_if<model::CompareAndSwap>(&operation)) return commit(*call);
      if (const auto* call = std::get_if<model::ReadPath>(&operation)) {
        if (const auto flaw = model::flaw_of(call->path)) return model::Rejected{*flaw};
        return model::ValueRead{MyEngine::read(engine_.registers, call->path)};
      }
      if (std::holds_alternative<model::ReadVersion>(operation)) return model::VersionIs{engine_.version};
      model::SnapshotIs snapshot{engine_.version, {}};
      for (const auto& path : std::get<model::SnapshotRead>(operation).paths) {
        if (const auto flaw = model::flaw_of(path)) return model::Rejected{*flaw};
        snapshot.values.push_back(MyEngine::read(engine_.registers, path));
      }
      return snapshot;
    }

   private:
    model::StoreResponse commit(const model::CompareAndSwap& call) {
      for (const auto& write : call.writes)
        if (const auto flaw = model::flaw_of(write.path)) return model::Rejected{*flaw};
      if (call.expected > engine_.version) return model::Rejected{model::Rejection::kFutureVersion};
      if (call.writes.empty()) return model::Committed{call.expected, {}};
      for (const auto& write : call.writes) {
        const auto at = engine_.registers.find(write.path);
        if (at != engine_.registers.end() && at->second.changed > call.expected)
          return model::Conflict{write.path, call.expected, at->second.changed};
      }
      ++engine_.version;
      for (const auto& write : call.writes)
        engine_.registers[write.path] = {write.value->at(""), engine_.version};
      return model::Committed{engine_.version, {}};
    }

    Registers& engine_;
  };

  class Pin {
   public:
    Pin(std::uint64_t version, std::map<std::string, Registers::Register> registers)
        : version_(version), registers_(std::move(registers)) {}
    std::uint64_t version() const { return version_; }
    std::optional<model::Subtree> read(const std::string& path) const {
      return MyEngine::read(registers_, path);
    }

   private:
    std::uint64_t version_;
    std::map<std::string, Registers::Register> registers_;
  };

  Client client(int) { return Client(engine_); }
  Pin pin() {
    const std::lock_guard lock(engine_.mutex);
    return {engine_.version, engine_.registers};
  }

 private:
  static std::optional<model::Subtree> read(const std::map<std::string, Registers::Register>& registers,
                                            const std::string& path) {
    const auto at = registers.find(path);
    if (at == registers.end()) return std::nullopt;
    return model::Subtree{{"", at->second.value}};
  }

  Registers engine_;
};
static_assert(harness::EngineUnderTest<MyEngine>);
// adopt: end

// adopt: begin
TEST(MyEngine, AnswersAsTheModelDoes) {
  harness::describe_replay(harness::ReplayClass::exact);
  const harness::WorkloadShape shape{.capabilities = MyEngine::kCapabilities, .malformed = true};
  EXPECT_TRUE(rc::check([&] {
    if (auto wrong = harness::judge_in_sequence<MyEngine>({}, *harness::steps_gen(shape))) RC_FAIL(*wrong);
  }));
}

TEST(MyEngine, KeepsWhatItClaims) {
  harness::ClaimRegistry claims("mine");
  stress::add_store_claims<MyEngine>(claims);
  stress::add_history_claim<MyEngine>(claims);
  const auto report = harness::verify(
      claims, {.seed = harness::Seed::of_process(), .budget = std::chrono::seconds(2), .out = {}});
  for (const auto& claim : report.claims)
    EXPECT_EQ(claim.verdict, harness::ClaimVerdict::held) << claim.claim << ": " << claim.reason;
}
// adopt: end

}  // namespace
}  // namespace touchstone
