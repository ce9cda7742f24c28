#pragma once
// The trivially correct engine: one mutex, one map, every question answered by looking at everything. It is slow, has
// no ticket, and nobody should use it; it shows that the suite accepts what is right and does not fit one engine only.
//
//   SimpleEngine engine({});
//   auto client = engine.client(0);
//   client.apply(model::CompareAndSwap{.expected = 0, .writes = {{"user", model::Subtree{{"", true}}}}});
//
// Thread safety: any thread. Its rules are those of model/store_spec.h, written independently of it.

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/engine_under_test.h"

namespace touchstone::harness {

class SimpleEngine {
 public:
  static constexpr std::string_view kName = "simple";
  static constexpr Capabilities kCapabilities = {.strict = true,
                                                 .validate_reads = true,
                                                 .erase = true,
                                                 .composites = true,
                                                 .execute = true,
                                                 .ticket = false,
                                                 .commit_path = true,
                                                 .snapshots = true,
                                                 .pins = true,
                                                 .rejects = true};

  explicit SimpleEngine(const EngineSettings& settings) : settings_(settings) {}

  class Client {
   public:
    model::StoreResponse apply(const model::StoreOperation& operation) { return engine_.apply(operation); }

   private:
    friend class SimpleEngine;
    explicit Client(SimpleEngine& engine) : engine_(engine) {}
    SimpleEngine& engine_;
  };

  class Pin {
   public:
    std::uint64_t version() const { return state_.version; }
    std::optional<model::Subtree> read(const std::string& path) const {
      return SimpleEngine::read(state_, path);
    }

   private:
    friend class SimpleEngine;
    struct Record {
      std::optional<model::Scalar> value;  ///< nothing: erased, or an inner path
      std::uint64_t changed = 0;
    };
    struct State {
      std::uint64_t version = 0;
      std::map<std::string, Record> records;
    };
    explicit Pin(State state) : state_(std::move(state)) {}
    State state_;
  };

  Client client(int) { return Client(*this); }
  Pin pin();

 private:
  using State = Pin::State;

  model::StoreResponse apply(const model::StoreOperation& operation);
  model::StoreResponse commit(const model::CompareAndSwap& call, bool strict);
  model::StoreResponse execute(const model::Execute& call);

  static std::optional<model::Subtree> read(const State& state, const std::string& path);

  /// Makes the writes as version + 1; false if one lies under a scalar.
  static bool install(State& state, const std::vector<model::Write>& writes);

  const EngineSettings settings_;
  std::mutex mutex_;
  State state_;
};

static_assert(EngineUnderTest<SimpleEngine>);

}  // namespace touchstone::harness
