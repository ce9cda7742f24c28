#include "harness/simple_engine.h"

#include <type_traits>
#include <utility>

namespace touchstone::harness {
namespace {

using model::Rejected;
using model::Rejection;
using model::Subtree;

bool is_below(std::string_view path, std::string_view above) {
  return path.size() > above.size() && path.substr(0, above.size()) == above && path[above.size()] == '.';
}

bool related(std::string_view a, std::string_view b) {
  return a == b || is_below(a, b) || is_below(b, a);
}

std::optional<Rejection> flaw(std::string_view path) {
  if (path.empty()) return Rejection::kEmptyPath;
  if (path.size() > 1024) return Rejection::kBadPath;
  bool component_is_empty = true;
  for (char c : path) {
    if (c == '.' && component_is_empty) return Rejection::kBadPath;
    component_is_empty = c == '.';
  }
  if (component_is_empty) return Rejection::kBadPath;
  return std::nullopt;
}

std::optional<Rejection> flaw(const model::Write& write) {
  if (auto wrong = flaw(write.path)) return wrong;
  if (!write.value) return std::nullopt;
  for (const auto& [leaf, scalar] : *write.value) {
    if (leaf.empty() && write.value->size() > 1) return Rejection::kBadPath;
    if (!leaf.empty() && (flaw(leaf) || flaw(write.path + "." + leaf))) return Rejection::kBadPath;
    for (const auto& [other, ignored] : *write.value)
      if (is_below(other, leaf)) return Rejection::kBadPath;
  }
  return std::nullopt;
}

std::optional<Rejection> flaw(const std::vector<std::string>& paths) {
  for (const auto& path : paths)
    if (auto wrong = flaw(path)) return wrong;
  return std::nullopt;
}

}  // namespace

SimpleEngine::Pin SimpleEngine::pin() {
  const std::lock_guard lock(mutex_);
  return Pin(state_);
}

std::optional<Subtree> SimpleEngine::read(const State& state, const std::string& path) {
  Subtree found;
  for (const auto& [at, record] : state.records) {
    if (!record.value) continue;
    if (at == path) return Subtree{{"", *record.value}};
    if (is_below(at, path)) found.emplace(at.substr(path.size() + 1), *record.value);
  }
  if (found.empty()) return std::nullopt;
  return found;
}

bool SimpleEngine::install(State& state, const std::vector<model::Write>& writes) {
  const std::uint64_t version = ++state.version;
  for (const auto& write : writes) {
    for (auto& [at, record] : state.records) {
      if (record.value && is_below(write.path, at)) return false;
      if (record.value && is_below(at, write.path)) record = {std::nullopt, version};
    }
    state.records[write.path] = {std::nullopt, version};
    if (!write.value) continue;
    for (const auto& [leaf, scalar] : *write.value)
      state.records[leaf.empty() ? write.path : write.path + "." + leaf] = {scalar, version};
  }
  return true;
}

model::StoreResponse SimpleEngine::commit(const model::CompareAndSwap& call, bool strict) {
  for (const auto& write : call.writes)
    if (auto wrong = flaw(write)) return Rejected{*wrong};
  if (auto wrong = flaw(call.outputs)) return Rejected{*wrong};
  if (auto wrong = flaw(call.reads)) return Rejected{*wrong};
  if (call.expected > state_.version) return Rejected{Rejection::kFutureVersion};
  if (call.writes.empty()) return model::Committed{call.expected, model::CommitPath::kEmpty};
  if (strict && call.expected != state_.version) return model::Conflict{"", call.expected, state_.version};
  std::vector<std::string> footprint = call.outputs;
  for (const auto& write : call.writes) footprint.push_back(write.path);
  if (settings_.validate_reads) footprint.insert(footprint.end(), call.reads.begin(), call.reads.end());
  for (const auto& path : footprint)
    for (const auto& [at, record] : state_.records)
      if (related(at, path) && record.changed > call.expected)
        return model::Conflict{at, call.expected, record.changed};
  State next = state_;
  if (!install(next, call.writes)) return Rejected{Rejection::kUnderScalar};
  const auto path = call.expected == state_.version ? model::CommitPath::kFast : model::CommitPath::kMerged;
  state_ = std::move(next);
  return model::Committed{state_.version, path};
}

model::StoreResponse SimpleEngine::execute(const model::Execute& call) {
  State scratch = state_;
  std::vector<model::Write> writes;
  const auto write = [&](model::Write one) {
    const bool fits = install(scratch, {one});
    writes.push_back(std::move(one));
    return fits;
  };
  const auto add = [&](const std::string& path, std::uint64_t delta) {
    std::uint64_t sum = delta;
    if (const auto value = read(scratch, path); value && value->count("") == 1)
      if (const auto* whole = std::get_if<std::int64_t>(&value->at("")))
        sum += static_cast<std::uint64_t>(*whole);
    return write({path, Subtree{{"", static_cast<std::int64_t>(sum)}}});
  };
  for (const auto& step : call.body) {
    const bool fits = std::visit(
        [&](const auto& it) {
          using Step = std::decay_t<decltype(it)>;
          if constexpr (std::is_same_v<Step, model::AddInteger>) {
            return add(it.path, static_cast<std::uint64_t>(it.delta));
          } else if constexpr (std::is_same_v<Step, model::CopySubtree>) {
            return write({it.to, read(scratch, it.from)});
          } else if constexpr (std::is_same_v<Step, model::MoveAmount>) {
            const auto amount = static_cast<std::uint64_t>(it.amount);
            return add(it.from, std::uint64_t{0} - amount) && add(it.to, amount);
          } else {
            return write(it);
          }
        },
        step);
    if (!fits) return Rejected{Rejection::kUnderScalar};
  }
  return commit({.expected = state_.version, .writes = std::move(writes), .reads = {}, .outputs = {}}, false);
}

model::StoreResponse SimpleEngine::apply(const model::StoreOperation& operation) {
  const std::lock_guard lock(mutex_);
  if (const auto* call = std::get_if<model::CompareAndSwap>(&operation))
    return commit(*call, settings_.strict);
  if (const auto* call = std::get_if<model::Execute>(&operation)) return execute(*call);
  if (std::holds_alternative<model::ReadVersion>(operation)) return model::VersionIs{state_.version};
  if (const auto* call = std::get_if<model::ReadPath>(&operation)) {
    if (auto wrong = flaw(call->path)) return Rejected{*wrong};
    return model::ValueRead{read(state_, call->path)};
  }
  const auto& paths = std::get<model::SnapshotRead>(operation).paths;
  if (auto wrong = flaw(paths)) return Rejected{*wrong};
  model::SnapshotIs snapshot{state_.version, {}};
  for (const auto& path : paths) snapshot.values.push_back(read(state_, path));
  return snapshot;
}

}  // namespace touchstone::harness
