#include "harness/servers/etcd.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/etcd/base64.h"
#include "engine/etcd/http_connection.h"

namespace touchstone::harness {
namespace {

using Json = nlohmann::json;
using engine::HttpConnection;
using engine::HttpFailure;

constexpr const char* kWrites = "compares what it writes";
constexpr const char* kAll = "compares what it reads and writes";
constexpr const char* kNone = "compares nothing";
constexpr const char* kStale = "reads from followers";

class EtcdSession : public Session {
 public:
  EtcdSession(const engine::EtcdEndpoint& node, std::string level)
      : connection_(node.host, node.port, std::chrono::seconds(1)), level_(std::move(level)) {}

  void begin() override {
    revision_.clear();
    read_.clear();
    written_.clear();
  }

  std::optional<std::string> read(const std::string& key) override {
    Json request = {{"key", engine::to_base64(key)}};
    if (!revision_.empty()) request["revision"] = revision_;
    if (level_ == kStale) request["serializable"] = true;
    Json answer;
    try {
      answer = ask("/v3/kv/range", request);
    } catch (const HttpFailure& why) {
      throw Unreachable(why.what());  // a read changes nothing
    }
    if (revision_.empty()) revision_ = answer.at("header").at("revision");
    const bool absent = !answer.contains("kvs");
    read_[key] = absent ? "0" : answer.at("kvs").at(0).at("mod_revision").get<std::string>();
    if (absent) return std::nullopt;
    return engine::from_base64(answer.at("kvs").at(0).value("value", ""));
  }

  void write(const std::string& key, const std::string& value) override { written_[key] = value; }

  bool commit() override {
    if (written_.empty()) return true;  // it read one revision
    Json compares = Json::array(), puts = Json::array();
    for (const auto& [key, revision] : read_) {
      if (level_ == kNone || (level_ != kAll && written_.count(key) == 0)) continue;
      compares.push_back({{"key", engine::to_base64(key)},
                          {"target", "MOD"},
                          {"result", "EQUAL"},
                          {"mod_revision", revision}});
    }
    for (const auto& [key, value] : written_)
      puts.push_back(
          {{"request_put", {{"key", engine::to_base64(key)}, {"value", engine::to_base64(value)}}}});
    try {
      return ask("/v3/kv/txn", {{"compare", compares}, {"success", puts}}).value("succeeded", false);
    } catch (const HttpFailure& why) {
      if (!why.sent) throw Unreachable(why.what());
      throw OutcomeUnknown(why.what());
    }
  }

  void remove_all() {
    try {
      ask("/v3/kv/deleterange", {{"key", "AA=="}, {"range_end", "AA=="}});
    } catch (const HttpFailure& why) {
      throw Unreachable(why.what());
    }
  }

 private:
  Json ask(const char* path, const Json& request) {
    const auto response = connection_.post(path, request.dump());
    const Json answer = Json::parse(response.body, nullptr, false);
    // No leader, a timeout, a node that is starting: whatever it was, it may have been proposed.
    if (response.status != 200 || !answer.is_object() || !answer.contains("header"))
      throw HttpFailure(fmt::format("{} {}", response.status, response.body), true);
    return answer;
  }

  HttpConnection connection_;
  const std::string level_;
  std::string revision_;
  std::map<std::string, std::string> read_;  ///< key to mod_revision
  std::map<std::string, std::string> written_;
};

class EtcdServer : public Server {
 public:
  EtcdServer(const std::filesystem::path& directory, const std::vector<EtcdAddress>& nodes)
      : cluster_(directory, nodes) {}

  std::unique_ptr<Session> session(const ServerLevel& level, int client) override {
    return connect(level.name, client);
  }

  void clear() override { connect(kAll, 0)->remove_all(); }

  std::vector<ServerProcess*> processes() override { return cluster_.processes(); }

 private:
  std::unique_ptr<EtcdSession> connect(const std::string& level, int client) {
    const auto& nodes = cluster_.endpoints();
    return std::make_unique<EtcdSession>(nodes[static_cast<std::size_t>(client) % nodes.size()], level);
  }

  EtcdCluster cluster_;
};

}  // namespace

std::vector<ServerLevel> etcd_levels(bool cluster) {
  std::vector<ServerLevel> levels = {
      {kWrites, "transactions: strict serializable; here only the writes' mod_revision is compared", "",
       model::Level::kStrongSnapshot},
      {kAll, "transactions: strict serializable", ""},
      {kNone, "puts: atomic", "a transaction without its compare", model::Level::kStrongSnapshot}};
  if (cluster)
    levels.push_back({kStale, "serializable reads: may be stale", "a stale read from a follower",
                      model::Level::kStrongSnapshot, true});
  return levels;
}

std::unique_ptr<Server> start_etcd(const std::filesystem::path& directory,
                                   const std::vector<EtcdAddress>& nodes) {
  return std::make_unique<EtcdServer>(directory, nodes);
}

}  // namespace touchstone::harness
