#pragma once
// The steps of a model's body, run by an engine's context: anything with read, set and erase of engine values.
//
//   store.process("body", contract_of(execute), [&](auto& context) { run_steps(context, execute.body); });
//
// Thread safety: that of the context.

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/value.h"
#include "model/store_spec.h"

namespace touchstone::harness {

/// {"": 1} is 1, {"a": 1, "b.c": 2} is {a: 1, b: {c: 2}}.
engine::Value to_engine(const model::Subtree& subtree);

template <class Context>
class BodySteps {
 public:
  explicit BodySteps(Context& context) : context_(context) {}

  void operator()(const model::AddInteger& it) { add(it.path, static_cast<std::uint64_t>(it.delta)); }
  void operator()(const model::CopySubtree& it) { put(it.to, context_.read(it.from)); }
  void operator()(const model::MoveAmount& it) {
    add(it.from, std::uint64_t{0} - static_cast<std::uint64_t>(it.amount));
    add(it.to, static_cast<std::uint64_t>(it.amount));
  }
  void operator()(const model::Write& it) {
    put(it.path, it.value ? std::optional(to_engine(*it.value)) : std::nullopt);
  }

 private:
  void add(const std::string& path, std::uint64_t delta) {
    std::uint64_t sum = delta;
    if (const auto value = context_.read(path); value && value->is_scalar())
      if (const auto* whole = std::get_if<std::int64_t>(&value->scalar()))
        sum += static_cast<std::uint64_t>(*whole);
    context_.set(path, static_cast<std::int64_t>(sum));
  }

  void put(const std::string& path, std::optional<engine::Value> value) {
    if (value) {
      context_.set(path, std::move(*value));
    } else {
      context_.erase(path);
    }
  }

  Context& context_;
};

template <class Context>
void run_steps(Context& context, const std::vector<model::BodyStep>& steps) {
  for (const auto& step : steps) std::visit(BodySteps<Context>(context), step);
}

}  // namespace touchstone::harness
