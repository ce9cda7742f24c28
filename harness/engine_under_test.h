#pragma once
// What the suite asks of an engine. Write one adapter that satisfies `EngineUnderTest`, and every property, recorded
// history and claim of the suite runs against your engine (docs/adopt.md; examples: simple_engine.h,
// reference_engine.h).
//
//   class MyEngine {
//    public:
//     static constexpr std::string_view kName = "mine";
//     static constexpr Capabilities kCapabilities = {.erase = true};
//     explicit MyEngine(EngineSettings settings);
//     Client client(int id);                         // Client: StoreResponse apply(const StoreOperation&)
//     Pin pin();                                     // Pin: version(), read(path): the state as of now, for ever
//   };
//
// Thread safety that the suite relies on: client() and pin() from any thread; one Client or Pin by one thread at a
// time; none outlives its engine.
//
// Rules:
//   U1  apply() answers in the model's words (model/store_spec.h) what the engine did, and returns after it did it.
//   U2  What an engine cannot do it declares; the suite then neither asks for it nor claims it.
//   U3  An answer that may or may not have happened is no answer: apply() throws OutcomeUnknown, and the history says
//       so (a lost connection, for an engine behind one).

#include <concepts>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "model/store_spec.h"

namespace touchstone::harness {

/// What a fresh engine of the suite is told.
struct EngineSettings {
  bool strict = false;          ///< any stale expected version conflicts
  bool validate_reads = false;  ///< reads are part of the footprint
  bool ticket = true;
  bool key_queue = false;  ///< a ticket keeps out only who wants the same paths
  bool backoff = true;
  std::uint64_t seed = 0;
};

struct Capabilities {
  bool strict = false;
  bool validate_reads = false;
  bool erase = false;
  bool composites =
      false;  ///< paths are a tree: a write or read of a whole subtree; else they are plain keys
  bool execute = false;
  bool ticket = false;       ///< may answer Busy, and bounds consecutive conflicts
  bool commit_path = false;  ///< says fast or merged
  bool snapshots = false;    ///< a read of several paths shows one version
  bool pins = false;         ///< a pin keeps showing its version; else it shows the newest when it is read
  bool rejects = false;      ///< answers what is no path, and versions that are none yet, with Rejected
};

struct OutcomeUnknown : std::runtime_error {
  using std::runtime_error::runtime_error;
};

template <class E>
concept EngineUnderTest = requires(E& engine, const EngineSettings& settings,
                                   const model::StoreOperation& operation, int id, const std::string& path) {
  { E::kName } -> std::convertible_to<std::string_view>;
  { E::kCapabilities } -> std::convertible_to<Capabilities>;
  E(settings);
  { engine.client(id).apply(operation) } -> std::same_as<model::StoreResponse>;
  { engine.pin().version() } -> std::same_as<std::uint64_t>;
  { engine.pin().read(path) } -> std::same_as<std::optional<model::Subtree>>;
};

/// How the model judges an engine with these settings.
inline model::StoreRules rules_for(const EngineSettings& settings, const Capabilities& capabilities) {
  return {.strict = settings.strict,
          .validate_reads = settings.validate_reads,
          .gate_may_close = settings.ticket && capabilities.ticket};
}

}  // namespace touchstone::harness
