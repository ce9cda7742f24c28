#pragma once
// The keys of an etcd store (the list is in store.h), and the operations on them, in few words. Pure.

#include <string>

#include "engine/etcd/gateway.h"
#include "engine/etcd/plan.h"

namespace touchstone::engine {

struct EtcdKeys {
  std::string root;

  std::string clock() const { return root + "/clock"; }
  std::string ages() const { return root + "/ages"; }
  std::string turns() const { return root + "/turns"; }
  std::string turn() const { return root + "/turn"; }
  std::string writers() const { return root + "/writers"; }
  std::string leaf(const std::string& path) const { return root + "/leaf/" + path; }
  std::string stamp(const std::string& path) const { return root + "/stamp/" + path; }

  /// Ages have as many digits as they ever may, so that the order of names is theirs.
  std::string queued(std::int64_t age) const {
    const std::string digits = std::to_string(age);
    return root + "/queue/" + std::string(20 - digits.size(), '0') + digits;
  }
  EtcdRange queue() const { return {root + "/queue/", root + "/queue0"}; }
  EtcdRange older(std::int64_t age) const { return {root + "/queue/", queued(age)}; }

  EtcdRange leaves_below(const std::string& path) const { return {leaf(below(path)), leaf(beyond(path))}; }
  EtcdRange stamps_below(const std::string& path) const { return {stamp(below(path)), stamp(beyond(path))}; }
};

inline EtcdOperation get(EtcdRange range, std::int64_t revision = 0) {
  return {.kind = EtcdOperation::Kind::range, .range = std::move(range), .revision = revision};
}
inline EtcdOperation get_newest(EtcdRange range) {
  return {.kind = EtcdOperation::Kind::range, .range = std::move(range), .pick = EtcdOperation::Pick::newest};
}
inline EtcdOperation get_first(EtcdRange range) {
  return {.kind = EtcdOperation::Kind::range, .range = std::move(range), .pick = EtcdOperation::Pick::first};
}
inline EtcdOperation put(std::string key, std::string value = {}, std::int64_t lease = 0) {
  return {
      .kind = EtcdOperation::Kind::put, .range = {std::move(key)}, .value = std::move(value), .lease = lease};
}
inline EtcdOperation erase(EtcdRange range) {
  return {.kind = EtcdOperation::Kind::erase, .range = std::move(range)};
}

inline EtcdCompare is_absent(EtcdRange range) {
  return {std::move(range), EtcdCompare::Target::version, EtcdCompare::Relation::equal, 0};
}
inline EtcdCompare was_put(std::string key, std::int64_t times) {
  return {{std::move(key)}, EtcdCompare::Target::version, EtcdCompare::Relation::equal, times};
}
inline EtcdCompare is_present(std::string key) {
  return {{std::move(key)}, EtcdCompare::Target::version, EtcdCompare::Relation::greater, 0};
}
inline EtcdCompare was_created_at(std::string key, std::int64_t revision) {
  return {{std::move(key)}, EtcdCompare::Target::create, EtcdCompare::Relation::equal, revision};
}
inline EtcdCompare was_last_put_at(std::string key, std::int64_t revision) {
  return {{std::move(key)}, EtcdCompare::Target::mod, EtcdCompare::Relation::equal, revision};
}
inline EtcdCompare unchanged_since(EtcdRange range, std::int64_t revision) {
  return {std::move(range), EtcdCompare::Target::mod, EtcdCompare::Relation::less, revision + 1};
}

}  // namespace touchstone::engine
