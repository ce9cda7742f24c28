#pragma once
// The suite's two ways to judge any engine under test.
//
//   if (auto wrong = judge_in_sequence<MyEngine>(settings, steps)) FAIL() << *wrong;
//   model::History history = run_on_threads<MyEngine>(settings, workload, stream);   // then model::check(history)
//
// In sequence, one client's every response is judged by the model as it comes, and the whole state is compared after
// each step: no schedule is involved, so a failure is the engine's semantics. On threads, the history is recorded and
// judged afterwards, because only an order of the operations can explain it.
//
// Thread safety: call from one thread; run_on_threads starts and joins its own.

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "harness/engine_under_test.h"
#include "harness/recorder.h"
#include "harness/seed.h"
#include "harness/start_together.h"
#include "harness/workload.h"
#include "model/history.h"

namespace touchstone::harness {

/// The first difference between engine and model, or nothing.
template <EngineUnderTest E>
std::optional<std::string> judge_in_sequence(const EngineSettings& settings, const std::vector<Step>& steps) {
  E engine(settings);
  auto client = engine.client(0);
  const model::StoreSpec spec(rules_for(settings, E::kCapabilities));
  model::StoreState state;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto operation = steps[i].at(state.version);
    const auto response = client.apply(operation);
    if (auto wrong = spec.advance(state, operation, &response)) {
      return fmt::format("step {}: {} answered {}: {}\n(the model holds {})", i, model::describe(operation),
                         model::describe(response), wrong->reason, model::describe(state));
    }
    const auto pin = engine.pin();
    if (pin.version() != state.version)
      return fmt::format("after step {} ({}) the engine is at version {}, the model at {}", i,
                         model::describe(operation), pin.version(), state.version);
    for (const auto& path : paths_for(E::kCapabilities)) {
      const auto held = pin.read(path), expected = model::read(state, path);
      if (held.has_value() != expected.has_value() || (held && !model::same(*held, *expected)))
        return fmt::format("after step {} ({}) {} is {} in the engine and {} in the model", i,
                           model::describe(operation), path, held ? model::describe(*held) : "absent",
                           expected ? model::describe(*expected) : "absent");
    }
  }
  return std::nullopt;
}

/// One run of `workload` on an engine that may have seen others before; the clients start together.
template <EngineUnderTest E>
model::History run_on_threads(const EngineSettings& settings, const Workload& workload, Stream& stream) {
  E engine(settings);
  Recorder recorder(workload.clients.size(),
                    workload.steps() / std::max<std::size_t>(1, workload.clients.size()));
  std::vector<Stream> pauses;
  for (std::size_t id = 0; id < workload.clients.size(); ++id)
    pauses.push_back(Seed(stream.next()).stream("pauses"));
  start_together(static_cast<int>(workload.clients.size()), [&](int client_id) {
    const auto id = static_cast<std::size_t>(client_id);
    auto client = engine.client(client_id);
    std::uint64_t known = 0;
    for (const auto& step : workload.clients[id]) {
      if (pauses[id].chance(1, 8)) std::this_thread::yield();
      const auto response = recorder.call(id, client, step.at(known));
      if (!response) return;
      if (const auto seen = version_seen(*response)) known = std::max(known, *seen);
    }
  });
  return std::move(recorder).history(rules_for(settings, E::kCapabilities));
}

}  // namespace touchstone::harness
