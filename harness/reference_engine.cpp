#include "harness/reference_engine.h"

namespace touchstone::harness {
namespace {

void put(engine::Composite& composite, std::string_view leaf, const model::Scalar& scalar) {
  const auto dot = leaf.find('.');
  if (dot == std::string_view::npos) {
    composite.insert_or_assign(std::string(leaf), engine::Value(scalar));
    return;
  }
  auto& below = composite.try_emplace(std::string(leaf.substr(0, dot)), engine::Composite{}).first->second;
  put(below.composite(), leaf.substr(dot + 1), scalar);
}

void flatten(model::Subtree& subtree, const std::string& prefix, const engine::Value& value) {
  if (value.is_scalar()) {
    subtree.emplace(prefix, value.scalar());
    return;
  }
  for (const auto& [name, part] : value.composite())
    flatten(subtree, prefix.empty() ? name : prefix + "." + name, part);
}

void add_all(std::vector<std::string>& to, const std::vector<std::string>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

engine::Contract contract_of(const model::AddInteger& it) {
  return {.inputs = {}, .outputs = {it.path}};
}
engine::Contract contract_of(const model::CopySubtree& it) {
  return {.inputs = {it.from}, .outputs = {it.to}};
}
engine::Contract contract_of(const model::MoveAmount& it) {
  return {.inputs = {}, .outputs = {it.from, it.to}};
}
engine::Contract contract_of(const model::Write& it) {
  return {.inputs = {}, .outputs = {it.path}};
}

}  // namespace

engine::Value to_engine(const model::Subtree& subtree) {
  if (subtree.size() == 1 && subtree.begin()->first.empty()) return engine::Value(subtree.begin()->second);
  engine::Composite composite;
  for (const auto& [leaf, scalar] : subtree) put(composite, leaf, scalar);
  return engine::Value(std::move(composite));
}

model::Subtree to_model(const engine::Value& value) {
  model::Subtree subtree;
  flatten(subtree, "", value);
  return subtree;
}

std::optional<model::Subtree> to_model(const std::optional<engine::Value>& value) {
  if (!value) return std::nullopt;
  return to_model(*value);
}

model::Rejected to_model(const engine::Rejected& rejected) {
  switch (rejected.code) {
    case engine::ErrorCode::empty_path:
      return {model::Rejection::kEmptyPath};
    case engine::ErrorCode::bad_path:
      return {model::Rejection::kBadPath};
    case engine::ErrorCode::under_scalar:
      return {model::Rejection::kUnderScalar};
    case engine::ErrorCode::future_version:
      return {model::Rejection::kFutureVersion};
    default:
      throw std::logic_error("the model has no word for " + rejected.what);
  }
}

model::CommitPath to_model(engine::CommitPath path) {
  switch (path) {
    case engine::CommitPath::fast:
      return model::CommitPath::kFast;
    case engine::CommitPath::merged:
      return model::CommitPath::kMerged;
    case engine::CommitPath::empty:
      return model::CommitPath::kEmpty;
  }
  throw std::logic_error("an unknown commit path");
}

model::StoreResponse to_model(const engine::CommitResult& result) {
  if (const auto* it = std::get_if<engine::Committed>(&result))
    return model::Committed{it->version, to_model(it->path)};
  if (const auto* it = std::get_if<engine::Conflict>(&result))
    return model::Conflict{it->path, it->expected, it->found};
  if (std::holds_alternative<engine::Busy>(result)) return model::Busy{};
  return to_model(std::get<engine::Rejected>(result));
}

model::StoreResponse to_model(const engine::ExecuteResult& result) {
  if (const auto* it = std::get_if<engine::Committed>(&result.outcome))
    return model::Committed{it->version, std::nullopt};
  if (const auto* it = std::get_if<engine::Rejected>(&result.outcome)) return to_model(*it);
  return model::GaveUp{};
}

engine::WriteSet to_engine(const std::vector<model::Write>& writes) {
  engine::WriteSet set;
  for (const auto& write : writes) {
    if (write.value) {
      set.set(write.path, to_engine(*write.value));
    } else {
      set.erase(write.path);
    }
  }
  return set;
}

engine::Contract contract_of(const model::Execute& execute) {
  engine::Contract whole;
  for (const auto& step : execute.body) {
    const engine::Contract part = std::visit([](const auto& it) { return contract_of(it); }, step);
    add_all(whole.inputs, part.inputs);
    add_all(whole.outputs, part.outputs);
  }
  return whole;
}

}  // namespace touchstone::harness
