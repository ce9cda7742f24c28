#include "engine/etcd/gateway.h"

#include <nlohmann/json.hpp>  // decision 0013
#include <utility>

#include "engine/etcd/base64.h"
#include "engine/native_platform.h"

namespace touchstone::engine {
namespace {

using Json = nlohmann::json;

/// gRPC's codes, as the gateway passes them on.
constexpr int kDeadlineExceeded = 4;
constexpr int kNotFound = 5;  // nothing else than a lease is ever looked for
constexpr int kUnavailable = 14;

/// 64-bit integers are texts; what is 0 or empty is left out.
std::int64_t number(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? 0 : std::stoll(found->get<std::string>());
}

std::string bytes(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found == object.end() ? "" : from_base64(found->get<std::string>());
}

EtcdKeyValue key_value(const Json& object) {
  return {bytes(object, "key"),           bytes(object, "value"),    number(object, "create_revision"),
          number(object, "mod_revision"), number(object, "version"), number(object, "lease")};
}

void put_range(Json& object, const EtcdRange& range) {
  object["key"] = to_base64(range.begin);
  if (!range.end.empty()) object["range_end"] = to_base64(range.end);
}

Json to_json(const EtcdCompare& compare) {
  static constexpr const char* kTargets[] = {"VERSION", "CREATE", "MOD"};
  static constexpr const char* kFields[] = {"version", "create_revision", "mod_revision"};
  static constexpr const char* kRelations[] = {"EQUAL", "LESS", "GREATER"};
  const auto target = static_cast<std::size_t>(compare.target);
  Json object = {{"target", kTargets[target]},
                 {"result", kRelations[static_cast<std::size_t>(compare.relation)]},
                 {kFields[target], std::to_string(compare.number)}};
  put_range(object, compare.range);
  return object;
}

Json to_json(const EtcdOperation& operation) {
  Json object = Json::object();
  put_range(object, operation.range);
  switch (operation.kind) {
    case EtcdOperation::Kind::range:
      if (operation.revision != 0) object["revision"] = std::to_string(operation.revision);
      if (operation.pick != EtcdOperation::Pick::all) object["limit"] = "1";
      if (operation.pick == EtcdOperation::Pick::newest) {
        object["sort_order"] = "DESCEND";
        object["sort_target"] = "MOD";
      }
      return {{"request_range", object}};
    case EtcdOperation::Kind::put:
      object["value"] = to_base64(operation.value);
      object["prev_kv"] = true;
      if (operation.lease != 0) object["lease"] = std::to_string(operation.lease);
      return {{"request_put", object}};
    case EtcdOperation::Kind::erase:
      return {{"request_delete_range", object}};
  }
  return object;
}

template <class T>
Json list_of(const std::vector<T>& items) {
  Json list = Json::array();
  for (const T& item : items) list.push_back(to_json(item));
  return list;
}

std::string to_text(const EtcdTransaction& transaction) {
  const Json object = {{"compare", list_of(transaction.compare)},
                       {"success", list_of(transaction.success)},
                       {"failure", list_of(transaction.failure)}};
  return object.dump();
}

EtcdOutcome outcome_of(const std::string& text) {
  const Json object = Json::parse(text);
  EtcdOutcome outcome;
  outcome.succeeded = object.value("succeeded", false);
  outcome.revision = number(object.at("header"), "revision");
  for (const Json& response : object.value("responses", Json::array())) {
    std::vector<EtcdKeyValue>& keys = outcome.answers.emplace_back();
    if (const auto range = response.find("response_range"); range != response.end()) {
      for (const Json& key : range->value("kvs", Json::array())) keys.push_back(key_value(key));
    } else if (const auto put = response.find("response_put");
               put != response.end() && put->contains("prev_kv")) {
      keys.push_back(key_value(put->at("prev_kv")));
    }
  }
  return outcome;
}

}  // namespace

EtcdGateway::EtcdGateway(const EtcdOptions& options) : options_(options) {
  for (const EtcdEndpoint& endpoint : options_.endpoints) {
    connections_.emplace_back(endpoint.host, endpoint.port, options_.request_timeout);
  }
  if (connections_.empty()) throw EtcdFailure("an etcd store needs an endpoint");
}

/// Moves on to the next endpoint when there is no answer, or one that says that there is no leader.
std::string EtcdGateway::ask(const char* path, const std::string& body) {
  HttpResponse response;
  ++requests_;
  try {
    response = connections_[current_].post(path, body);
  } catch (const HttpFailure& failure) {
    current_ = (current_ + 1) % connections_.size();
    throw EtcdUnreachable(failure.what(), failure.sent);
  }
  if (response.status == 200) return std::move(response.body);
  const Json object = Json::parse(response.body, nullptr, false);
  const int code = object.is_object() ? object.value("code", kUnavailable) : kUnavailable;
  const std::string what = "etcd answered " + response.body;
  if (code == kNotFound) throw EtcdLeaseGone(what);
  if (code != kDeadlineExceeded && code != kUnavailable) throw EtcdFailure(what);
  current_ = (current_ + 1) % connections_.size();
  throw EtcdUnreachable(what, true);
}

/// G1.
std::string EtcdGateway::insist(const char* path, const std::string& body) {
  const Time deadline = NativePlatform::now() + options_.patience;
  while (true) {
    try {
      return ask(path, body);
    } catch (const EtcdUnreachable&) {
      if (NativePlatform::now() >= deadline) throw;
      NativePlatform::sleep_until(NativePlatform::now() + std::chrono::milliseconds(20));
    }
  }
}

EtcdOutcome EtcdGateway::run(const EtcdTransaction& transaction) {
  return outcome_of(ask("/v3/kv/txn", to_text(transaction)));
}

EtcdOutcome EtcdGateway::read(const std::vector<EtcdOperation>& ranges) {
  return outcome_of(insist("/v3/kv/txn", to_text({.success = ranges})));
}

EtcdGateway::Lease EtcdGateway::grant(std::int64_t seconds) {
  const Json object = Json::parse(insist("/v3/lease/grant", Json{{"TTL", std::to_string(seconds)}}.dump()));
  return {number(object, "ID"), number(object, "TTL")};
}

bool EtcdGateway::keep_alive(std::int64_t lease) {
  const Json object = Json::parse(insist("/v3/lease/keepalive", Json{{"ID", std::to_string(lease)}}.dump()));
  return number(object.value("result", Json::object()), "TTL") > 0;
}

void EtcdGateway::revoke(std::int64_t lease) {
  try {
    insist("/v3/lease/revoke", Json{{"ID", std::to_string(lease)}}.dump());
  } catch (const EtcdLeaseGone&) {
    // It ran out.
  }
}

std::optional<std::chrono::seconds> EtcdGateway::time_to_live(std::int64_t lease) {
  const Json object = Json::parse(insist("/v3/lease/timetolive", Json{{"ID", std::to_string(lease)}}.dump()));
  const std::int64_t seconds = number(object, "TTL");
  if (seconds < 0) return std::nullopt;
  return std::chrono::seconds(seconds);
}

}  // namespace touchstone::engine
