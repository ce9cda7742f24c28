#pragma once
// The suite's two ways to judge any engine under test.
//
//   if (auto wrong = judge_in_sequence<MyEngine>(settings, steps)) FAIL() << *wrong;
//   model::History history = run_on_threads<MyEngine>(settings, workload, stream);   // then model::check(history)
//   LiveVerdict verdict = check_on_threads<MyEngine>(settings, workload, stream);     // or while they run (live_check.h)
//
// In sequence, one client's every response is judged by the model as it comes, and the whole state is compared after
// each step: no schedule is involved, so a failure is the engine's semantics. On threads, the history is recorded and
// judged afterwards, because only an order of the operations can explain it; or, however long it is, while it is made.
//
// Thread safety: call from one thread; run_on_threads starts and joins its own.

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "harness/engine_under_test.h"
#include "harness/live_check.h"
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

/// One client's steps: `next()` gives a pointer to each, and null at the end; `call` makes it.
template <class Next, class Call>
void take_steps(Stream pauses, Next next, Call call) {
  std::uint64_t known = 0;
  while (const Step* step = next()) {
    if (pauses.chance(1, 8)) std::this_thread::yield();
    const std::optional<model::StoreResponse> response = call(step->at(known));
    if (!response) return;
    if (const auto seen = version_seen(*response)) known = std::max(known, *seen);
  }
}

inline std::vector<Stream> draw_pauses(std::size_t clients, Stream& stream) {
  std::vector<Stream> pauses;
  for (std::size_t id = 0; id < clients; ++id) pauses.push_back(Seed(stream.next()).stream("pauses"));
  return pauses;
}

/// The steps of one client of a workload, one after the other.
class StepsOf {
 public:
  explicit StepsOf(const std::vector<Step>& steps) : at_(steps.data()), end_(at_ + steps.size()) {}
  const Step* operator()() { return at_ == end_ ? nullptr : at_++; }

 private:
  const Step* at_;
  const Step* end_;
};

/// The same for a client that needs more steps than anybody wants to keep: each is drawn when it is needed.
class DrawnSteps {
 public:
  DrawnSteps(Seed seed, const WorkloadShape& shape)
      : stream_(seed.stream("steps")), shape_(shape), left_(shape.steps) {}
  const Step* operator()() {
    if (left_ == 0) return nullptr;
    --left_;
    step_ = draw_step(stream_, shape_);
    return &step_;
  }

 private:
  Stream stream_;
  WorkloadShape shape_;
  int left_;
  Step step_;
};

/// One run of `workload` on an engine that may have seen others before; the clients start together.
template <EngineUnderTest E>
model::History run_on_threads(const EngineSettings& settings, const Workload& workload, Stream& stream) {
  E engine(settings);
  const std::size_t clients = workload.clients.size();
  Recorder recorder(clients, workload.steps() / std::max<std::size_t>(1, clients));
  const auto pauses = draw_pauses(clients, stream);
  start_together(static_cast<int>(clients), [&](int client_id) {
    const auto id = static_cast<std::size_t>(client_id);
    auto client = engine.client(client_id);
    take_steps(pauses[id], StepsOf(workload.clients[id]),
               [&](const auto& operation) { return recorder.call(id, client, operation); });
  });
  return std::move(recorder).history(rules_for(settings, E::kCapabilities));
}

/// A run that is checked while it goes on, and ends at the first violation. Each client takes the steps that its `steps` gives.
template <EngineUnderTest E, class Steps>
LiveVerdict check_on_threads(const EngineSettings& settings, std::vector<Steps> steps, Stream& stream,
                             std::size_t window = LiveCheck::kWindow) {
  E engine(settings);
  LiveCheck live(steps.size(), rules_for(settings, E::kCapabilities), window);
  const auto pauses = draw_pauses(steps.size(), stream);
  start_together(static_cast<int>(steps.size()), [&](int client_id) {
    const auto id = static_cast<std::size_t>(client_id);
    auto seat = live.seat(id);
    auto client = engine.client(client_id);
    take_steps(
        pauses[id], [&] { return live.ended() ? nullptr : steps[id](); },
        [&](const auto& operation) { return seat.call(client, operation); });
  });
  return std::move(live).finish();
}

template <EngineUnderTest E>
LiveVerdict check_on_threads(const EngineSettings& settings, const Workload& workload, Stream& stream) {
  return check_on_threads<E>(settings, std::vector<StepsOf>(workload.clients.begin(), workload.clients.end()),
                             stream);
}

}  // namespace touchstone::harness
