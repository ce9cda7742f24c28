#include "harness/etcd_engine.h"

#include <unistd.h>

#include <atomic>
#include <utility>

#include "harness/body_steps.h"
#include "harness/reference_engine.h"

namespace touchstone::harness {
namespace {

engine::EtcdOptions& place() {
  static engine::EtcdOptions place;
  return place;
}

constexpr int kAnswersUntilOneIsLost = 8;

bool& repeats_calls() {
  static bool repeats = false;
  return repeats;
}

engine::EtcdOptions next_place() {
  static std::atomic<int> engines{0};
  engine::EtcdOptions next = place();
  next.root += "/" + std::to_string(::getpid()) + "/" + std::to_string(engines.fetch_add(1));
  return next;
}

}  // namespace

void EtcdEngine::use(engine::EtcdOptions etcd) {
  place() = std::move(etcd);
}

void EtcdEngine::repeat_what_is_unknown(bool repeats) {
  repeats_calls() = repeats;
}

EtcdEngine::EtcdEngine(const EngineSettings& settings)
    : validate_reads_(settings.validate_reads), store_(next_place(), to_engine(settings)) {}

model::StoreResponse EtcdEngine::Client::apply(const model::StoreOperation& operation) {
  try {
    const auto make = [this](const auto& call) { return answer(call); };
    const model::StoreResponse response = std::visit(make, operation);
    const bool lost = repeats_calls() && ++answers_ % kAnswersUntilOneIsLost == 0;
    return lost ? std::visit(make, operation) : response;
  } catch (const engine::Error& error) {
    return to_model(error.rejected());
  } catch (const engine::EtcdUnreachable& lost) {
    throw OutcomeUnknown(lost.what());
  }
}

model::StoreResponse EtcdEngine::Client::answer(const model::ReadPath& call) {
  return model::ValueRead{to_model(worker_.read(call.path))};
}

model::StoreResponse EtcdEngine::Client::answer(const model::ReadVersion&) {
  return model::VersionIs{worker_.version()};
}

model::StoreResponse EtcdEngine::Client::answer(const model::SnapshotRead& call) {
  const auto snapshot = worker_.snapshot();
  model::SnapshotIs seen{snapshot.version(), {}};
  for (const auto& path : call.paths) seen.values.push_back(to_model(snapshot.read(path)));
  return seen;
}

model::StoreResponse EtcdEngine::Client::answer(const model::CompareAndSwap& call) {
  std::vector<std::string> footprint = call.outputs;
  if (engine_.validate_reads_) footprint.insert(footprint.end(), call.reads.begin(), call.reads.end());
  return to_model(worker_.compare_and_swap(call.expected, to_engine(call.writes), footprint));
}

model::StoreResponse EtcdEngine::Client::answer(const model::Execute& call) {
  const auto process = engine_.store_.process(
      "body", contract_of(call), [&call](engine::EtcdContext& context) { run_steps(context, call.body); });
  return to_model(worker_.execute(process));
}

std::optional<model::Subtree> EtcdEngine::Pin::read(const std::string& path) const {
  return to_model(snapshot_.read(path));
}

}  // namespace touchstone::harness
