#include "harness/workload.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace touchstone::harness {
namespace {

using model::Scalar;
using model::Subtree;

constexpr std::array<const char*, 5> kMalformed = {"", ".", "a..b", ".a", "a."};

std::string draw_path(Stream& stream, const WorkloadShape& shape) {
  if (shape.malformed && stream.chance(1, 24)) return kMalformed[stream.below(kMalformed.size())];
  const auto& paths = paths_for(shape.capabilities);
  return paths[stream.below(paths.size())];
}

Scalar draw_scalar(Stream& stream) {
  switch (stream.below(8)) {
    case 0:
      return stream.chance(1, 2);
    case 1:
      return static_cast<double>(stream.between(-4, 4)) / 2;
    case 2:
      return std::string(stream.below(3), 's');
    default:
      return stream.between(0, 99);
  }
}

std::optional<Subtree> draw_value(Stream& stream, const WorkloadShape& shape) {
  if (shape.capabilities.erase && stream.chance(1, 6)) return std::nullopt;
  if (!shape.capabilities.composites || stream.chance(2, 3)) return Subtree{{"", draw_scalar(stream)}};
  Subtree composite;
  for (const char* leaf : {"b", "c.x", "c.y"})
    if (stream.chance(1, 2)) composite.emplace(leaf, draw_scalar(stream));
  return composite;
}

std::vector<std::string> draw_paths(Stream& stream, const WorkloadShape& shape, std::uint64_t most) {
  std::vector<std::string> paths(stream.below(most + 1));
  for (auto& path : paths) path = draw_path(stream, shape);
  return paths;
}

model::CompareAndSwap draw_swap(Stream& stream, const WorkloadShape& shape) {
  model::CompareAndSwap swap;
  const std::uint64_t writes = stream.chance(1, 16) ? 0 : 1 + stream.below(3);
  for (std::uint64_t i = 0; i < writes; ++i)
    swap.writes.push_back({draw_path(stream, shape), draw_value(stream, shape)});
  if (shape.reads) swap.reads = draw_paths(stream, shape, 2);
  return swap;
}

/// Bodies that read nothing but what they write are one atomic step at every isolation level.
model::Execute draw_execute(Stream& stream, const WorkloadShape& shape) {
  model::Execute execute;
  for (std::uint64_t i = 0, steps = 1 + stream.below(2); i < steps; ++i) {
    const auto& paths = paths_for(shape.capabilities);
    const std::string path = paths[stream.below(paths.size())];
    if (stream.chance(1, 2)) {
      execute.body.emplace_back(model::AddInteger{path, stream.between(1, 9)});
    } else {
      execute.body.emplace_back(model::Write{path, draw_value(stream, shape)});
    }
  }
  return execute;
}

}  // namespace

const std::vector<std::string>& paths_for(const Capabilities& capabilities) {
  static const std::vector<std::string> related = {"a", "a.b", "a.b.c", "a.d", "e", "e.f", "g"};
  static const std::vector<std::string> unrelated = {"a", "b", "c.x", "c.y"};
  return capabilities.composites ? related : unrelated;
}

model::StoreOperation Step::at(std::uint64_t known_version) const {
  model::StoreOperation bound = operation;
  if (auto* swap = std::get_if<model::CompareAndSwap>(&bound)) {
    swap->expected = age < 0 ? known_version + static_cast<std::uint64_t>(-age)
                             : known_version - std::min(known_version, static_cast<std::uint64_t>(age));
  }
  return bound;
}

std::size_t Workload::steps() const {
  std::size_t sum = 0;
  for (const auto& client : clients) sum += client.size();
  return sum;
}

Step draw_step(Stream& stream, const WorkloadShape& shape) {
  Step step;
  const std::uint64_t kind = stream.below(10);
  if (kind < 5 || (kind == 5 && !shape.capabilities.execute)) {
    step.operation = draw_swap(stream, shape);
    step.age = static_cast<std::int64_t>(stream.chance(1, 2) ? 0 : stream.below(shape.oldest + 1));
    if (shape.malformed && stream.chance(1, 24)) step.age = -1000;
  } else if (kind == 5) {
    step.operation = draw_execute(stream, shape);
  } else if (kind == 6 || (kind > 7 && !shape.capabilities.snapshots)) {
    step.operation = model::ReadPath{draw_path(stream, shape)};
  } else if (kind == 7) {
    step.operation = model::ReadVersion{};
  } else {
    step.operation = model::SnapshotRead{draw_paths(stream, shape, 3)};
  }
  return step;
}

std::vector<Step> simpler(const Step& step) {
  std::vector<Step> candidates;
  const auto without_each = [&](auto list) {
    Step whole = step;
    for (std::size_t i = 0; i < list(whole).size(); ++i) {
      auto& shorter = list(candidates.emplace_back(step));
      shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(i));
    }
  };
  if (std::holds_alternative<model::CompareAndSwap>(step.operation)) {
    const auto swap = [](Step & s) -> auto& {
      return std::get<model::CompareAndSwap>(s.operation);
    };
    without_each([&](Step & s) -> auto& { return swap(s).writes; });
    without_each([&](Step & s) -> auto& { return swap(s).reads; });
    if (step.age != 0) {
      candidates.push_back(step);
      candidates.back().age = 0;
    }
  } else if (std::holds_alternative<model::Execute>(step.operation)) {
    without_each([](Step & s) -> auto& { return std::get<model::Execute>(s.operation).body; });
  } else if (std::holds_alternative<model::SnapshotRead>(step.operation)) {
    without_each([](Step & s) -> auto& { return std::get<model::SnapshotRead>(s.operation).paths; });
  }
  return candidates;
}

Workload draw_workload(Stream& stream, const WorkloadShape& shape) {
  Workload workload;
  workload.clients.resize(static_cast<std::size_t>(shape.clients));
  for (auto& client : workload.clients)
    for (int i = 0; i < shape.steps; ++i) client.push_back(draw_step(stream, shape));
  return workload;
}

std::string describe(const Workload& workload) {
  std::string text;
  for (std::size_t client = 0; client < workload.clients.size(); ++client) {
    text += fmt::format("client {}\n", client);
    for (const auto& step : workload.clients[client]) {
      const bool swap = std::holds_alternative<model::CompareAndSwap>(step.operation);
      text += fmt::format("  {}{}\n", model::describe(step.operation),
                          swap ? fmt::format(" (expects {} before the newest it knows)", step.age) : "");
    }
  }
  return text;
}

std::optional<std::uint64_t> version_seen(const model::StoreResponse& response) {
  if (const auto* it = std::get_if<model::VersionIs>(&response)) return it->version;
  if (const auto* it = std::get_if<model::SnapshotIs>(&response)) return it->version;
  if (const auto* it = std::get_if<model::Committed>(&response)) return it->version;
  if (const auto* it = std::get_if<model::Conflict>(&response)) return it->found;
  return std::nullopt;
}

}  // namespace touchstone::harness
