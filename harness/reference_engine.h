#pragma once
// The reference engine under the suite: engine/store.h in the model's words.
//
//   ReferenceEngine engine({.strict = true});
//   auto client = engine.client(0);                       // a worker: failures and tickets are its own
//   client.apply(model::CompareAndSwap{...});
//   engine.store();                                       // the store itself, for claims about what only it has
//
// Thread safety: as U in engine_under_test.h. It is a template of the platform, so the same adapter runs under a
// scheduler. An answer that the model has no word for is a defect of the adapter or the engine: std::logic_error.

#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/native_platform.h"
#include "engine/store.h"
#include "harness/body_steps.h"
#include "harness/engine_under_test.h"

namespace touchstone::harness {

model::Subtree to_model(const engine::Value& value);
std::optional<model::Subtree> to_model(const std::optional<engine::Value>& value);
model::Rejected to_model(const engine::Rejected& rejected);
model::CommitPath to_model(engine::CommitPath path);
model::StoreResponse to_model(const engine::CommitResult& result);
model::StoreResponse to_model(const engine::ExecuteResult& result);

engine::WriteSet to_engine(const std::vector<model::Write>& writes);

/// What a body of the model reads and writes.
engine::Contract contract_of(const model::Execute& execute);

inline engine::StoreOptions to_engine(const EngineSettings& settings) {
  engine::StoreOptions options;
  options.mode = settings.strict ? engine::Mode::strict : engine::Mode::smart;
  options.validate_reads = settings.validate_reads;
  options.ticket = settings.ticket;
  options.policy = settings.key_queue ? engine::Policy::key_queue : engine::Policy::ticket;
  options.backoff = settings.backoff;
  options.seed = settings.seed;
  return options;
}

template <engine::Platform P>
class BasicReferenceEngine {
 public:
  static constexpr std::string_view kName = "reference";
  static constexpr Capabilities kCapabilities = {.strict = true,
                                                 .validate_reads = true,
                                                 .erase = true,
                                                 .composites = true,
                                                 .execute = true,
                                                 .ticket = true,
                                                 .commit_path = true,
                                                 .snapshots = true,
                                                 .pins = true,
                                                 .rejects = true};

  explicit BasicReferenceEngine(const EngineSettings& settings)
      : validate_reads_(settings.validate_reads), store_(to_engine(settings)) {}

  class Client {
   public:
    model::StoreResponse apply(const model::StoreOperation& operation) {
      try {
        return std::visit([this](const auto& call) { return this->answer(call); }, operation);
      } catch (const engine::Error& error) {
        return to_model(error.rejected());
      }
    }

    engine::Worker<P>& worker() { return worker_; }

   private:
    friend class BasicReferenceEngine;
    explicit Client(BasicReferenceEngine& engine) : engine_(engine), worker_(engine.store_.worker()) {}

    model::StoreResponse answer(const model::ReadPath& call) {
      return model::ValueRead{to_model(engine_.store_.read(call.path))};
    }

    model::StoreResponse answer(const model::ReadVersion&) {
      return model::VersionIs{engine_.store_.version()};
    }

    model::StoreResponse answer(const model::SnapshotRead& call) {
      const auto snapshot = engine_.store_.snapshot();
      model::SnapshotIs seen{snapshot.version(), {}};
      for (const auto& path : call.paths) seen.values.push_back(to_model(snapshot.read(path)));
      return seen;
    }

    model::StoreResponse answer(const model::CompareAndSwap& call) {
      std::vector<std::string> footprint = call.outputs;
      if (engine_.validate_reads_) footprint.insert(footprint.end(), call.reads.begin(), call.reads.end());
      return to_model(
          engine_.store_.compare_and_swap(call.expected, to_engine(call.writes), &worker_, footprint));
    }

    model::StoreResponse answer(const model::Execute& call) {
      const auto process = engine_.store_.process(
          "body", contract_of(call), [&call](engine::Context<P>& context) { run_steps(context, call.body); });
      return to_model(engine_.store_.execute(worker_, process));
    }

    BasicReferenceEngine& engine_;
    engine::Worker<P> worker_;
  };

  class Pin {
   public:
    std::uint64_t version() const { return snapshot_.version(); }
    std::optional<model::Subtree> read(const std::string& path) const {
      return to_model(snapshot_.read(path));
    }

   private:
    friend class BasicReferenceEngine;
    explicit Pin(engine::Store<P>& store) : snapshot_(store.snapshot()) {}
    engine::Snapshot<P> snapshot_;
  };

  Client client(int) { return Client(*this); }
  Pin pin() { return Pin(store_); }

  engine::Store<P>& store() { return store_; }

 private:
  const bool validate_reads_;
  engine::Store<P> store_;
};

using ReferenceEngine = BasicReferenceEngine<engine::NativePlatform>;
static_assert(EngineUnderTest<ReferenceEngine>);

}  // namespace touchstone::harness
