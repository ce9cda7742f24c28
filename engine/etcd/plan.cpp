#include "engine/etcd/plan.h"

#include <cstring>
#include <functional>
#include <stdexcept>

namespace touchstone::engine {
namespace {

using Visit = std::function<void(const std::string& path, const Scalar& scalar)>;

void for_each_leaf(const std::string& path, const Value& value, const Visit& visit) {
  if (value.is_scalar()) return visit(path, value.scalar());
  for (const auto& [name, part] : value.composite()) for_each_leaf(below(path) + name, part, visit);
}

std::optional<Rejected> check_names(const std::string& path, const Value& value) {
  if (value.is_scalar()) return std::nullopt;
  for (const auto& [name, part] : value.composite()) {
    if (name.empty() || name.find('.') != std::string::npos) {
      return Rejected{ErrorCode::bad_path,
                      "a composite's name is empty or has a dot: \"" + name + "\" below " + path};
    }
    const std::string part_path = below(path) + name;
    if (auto refused = check_path(part_path)) return refused;
    if (auto refused = check_names(part_path, part)) return refused;
  }
  return std::nullopt;
}

void erase_subtree(Leaves& leaves, const std::string& path) {
  leaves.erase(path);
  leaves.erase(leaves.lower_bound(below(path)), leaves.lower_bound(beyond(path)));
}

std::optional<Rejected> add(EtcdPlan& plan, const WriteSet::Entry& write) {
  if (auto refused = check_path(write.path)) return refused;
  if (write.value) {
    if (auto refused = check_names(write.path, *write.value)) return refused;
  }
  bool covered = false;
  for (const std::string& above : ancestors_of(write.path)) {
    if (plan.puts.count(above) != 0) return under_scalar(write.path, above);
    covered = covered || plan.named.count(above) != 0;
  }
  if (!covered) {
    for (std::string& above : ancestors_of(write.path)) plan.bare.insert(std::move(above));
  }
  plan.named.insert(write.path);
  apply(plan.puts, write);
  return std::nullopt;
}

void put(Composite& composite, std::string_view rest, const Scalar& scalar) {
  const std::size_t dot = rest.find('.');
  if (dot == std::string_view::npos) {
    composite.insert_or_assign(std::string(rest), Value(scalar));
    return;
  }
  auto& part = composite.try_emplace(std::string(rest.substr(0, dot)), Composite{}).first->second;
  put(part.composite(), rest.substr(dot + 1), scalar);
}

template <class T>
std::string encode_plain(char tag, T plain) {
  std::string bytes(1 + sizeof plain, tag);
  std::memcpy(bytes.data() + 1, &plain, sizeof plain);
  return bytes;
}

template <class T>
T decode_plain(std::string_view bytes) {
  T plain{};
  if (bytes.size() != 1 + sizeof plain) throw std::invalid_argument("a scalar of a wrong size");
  std::memcpy(&plain, bytes.data() + 1, sizeof plain);
  return plain;
}

}  // namespace

std::vector<std::string> ancestors_of(const std::string& path) {
  std::vector<std::string> above;
  for (std::size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', dot + 1)) {
    above.push_back(path.substr(0, dot));
  }
  return above;
}

std::variant<EtcdPlan, Rejected> plan_of(const WriteSet& writes) {
  EtcdPlan plan;
  for (const WriteSet::Entry& write : writes.entries()) {
    if (auto refused = add(plan, write)) return std::move(*refused);
  }
  return plan;
}

void apply(Leaves& leaves, const WriteSet::Entry& write) {
  erase_subtree(leaves, write.path);
  for (const std::string& above : ancestors_of(write.path)) leaves.erase(above);
  if (!write.value) return;
  for_each_leaf(write.path, *write.value, [&](const std::string& path, const Scalar& scalar) {
    leaves.insert_or_assign(path, scalar);
  });
}

std::optional<Value> value_at(const Leaves& leaves, const std::string& path) {
  if (const auto leaf = leaves.find(path); leaf != leaves.end()) return Value(leaf->second);
  Composite composite;
  const auto end = leaves.lower_bound(beyond(path));
  for (auto leaf = leaves.lower_bound(below(path)); leaf != end; ++leaf) {
    put(composite, std::string_view(leaf->first).substr(path.size() + 1), leaf->second);
  }
  if (composite.empty()) return std::nullopt;
  return Value(std::move(composite));
}

std::string encode_scalar(const Scalar& scalar) {
  if (const auto* v = std::get_if<bool>(&scalar)) return encode_plain('b', *v);
  if (const auto* v = std::get_if<std::int64_t>(&scalar)) return encode_plain('i', *v);
  if (const auto* v = std::get_if<double>(&scalar)) return encode_plain('r', *v);
  return 't' + std::get<std::string>(scalar);
}

Scalar decode_scalar(std::string_view bytes) {
  switch (bytes.empty() ? '\0' : bytes.front()) {
    case 'b':
      return decode_plain<bool>(bytes);
    case 'i':
      return decode_plain<std::int64_t>(bytes);
    case 'r':
      return decode_plain<double>(bytes);
    case 't':
      return std::string(bytes.substr(1));
    default:
      throw std::invalid_argument("no scalar of this store");
  }
}

}  // namespace touchstone::engine
