#pragma once
// What the clients of one run do: a few steps each, relative to what the client has seen, so that the same workload
// makes sense whatever the threads' interleaving was.
//
//   Workload workload = draw_workload(stream, shape);          // from the seed
//   auto workload = *workload_gen(shape);                      // in a property: shrinks (workload_gen.h)
//   StoreOperation operation = step.at(known_version);         // bind it to what this client knows
//
// Thread safety: values.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/engine_under_test.h"
#include "harness/seed.h"
#include "model/store_spec.h"

namespace touchstone::harness {

/// A step is a store operation whose expected version is `age` versions before the newest that its client has seen;
/// a negative age lies in the future.
struct Step {
  model::StoreOperation operation;
  std::int64_t age = 0;

  model::StoreOperation at(std::uint64_t known_version) const;
};

struct Workload {
  std::vector<std::vector<Step>> clients;

  std::size_t steps() const;
};

/// Few paths, so that steps meet; above and below one another where the engine knows subtrees, and unrelated keys
/// where it does not.
const std::vector<std::string>& paths_for(const Capabilities& capabilities);

/// What a generator may draw.
struct WorkloadShape {
  int clients = 3;
  int steps = 8;              ///< of each client
  Capabilities capabilities;  ///< nothing an engine cannot do is asked of it
  bool malformed = false;     ///< bad paths and future versions too
  bool reads = false;         ///< commits say what they read: for stores that validate reads
  std::uint64_t oldest = 3;   ///< how far back an expected version lies at most
};

Workload draw_workload(Stream& stream, const WorkloadShape& shape);
Step draw_step(Stream& stream, const WorkloadShape& shape);

/// Simpler steps than this one: with one write or read fewer, or nearer to the newest version.
std::vector<Step> simpler(const Step& step);

/// One column per client, for people.
std::string describe(const Workload& workload);

/// The newest version that a response shows its client.
std::optional<std::uint64_t> version_seen(const model::StoreResponse& response);

}  // namespace touchstone::harness
