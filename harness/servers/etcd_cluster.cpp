#include "harness/servers/etcd_cluster.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "engine/etcd/http_connection.h"
#include "harness/foreign/command_host.h"

namespace touchstone::harness {
namespace {

engine::HttpConnection connect(const engine::EtcdEndpoint& node) {
  return {node.host, node.port, std::chrono::seconds(2)};
}

std::string url(const std::string& host, std::uint16_t port) {
  return fmt::format("http://{}:{}", host, port);
}

/// No two the same.
class FreePorts {
 public:
  std::uint16_t next() {
    std::uint16_t port = free_port();
    while (!chosen_.insert(port).second) port = free_port();
    return port;
  }

 private:
  std::set<std::uint16_t> chosen_;
};

}  // namespace

bool EtcdCluster::is_installed() {
  return program_path("etcd").has_value();
}

EtcdCluster::EtcdCluster(const std::filesystem::path& directory, const std::vector<EtcdAddress>& nodes) {
  const auto program = program_path("etcd");
  if (!program) throw ServerFailure("no program is named etcd");
  FreePorts ports;
  std::vector<std::string> peers;
  std::string cluster;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    endpoints_.push_back({nodes[i].host, ports.next()});
    peers.push_back(url(nodes[i].host, ports.next()));
    cluster += fmt::format("{}n{}={}", i == 0 ? "" : ",", i, peers[i]);
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const std::string name = fmt::format("n{}", i);
    const std::string client = url(endpoints_[i].host, endpoints_[i].port);
    std::vector<std::string> words = {*program};
    // An election within a second, so that faults and leases can be short.
    for (const auto& [option, value] : std::initializer_list<std::pair<const char*, std::string>>{
             {"--name", name},
             {"--data-dir", (directory / name).string()},
             {"--listen-client-urls", client},
             {"--advertise-client-urls", client},
             {"--listen-peer-urls", peers[i]},
             {"--initial-advertise-peer-urls", peers[i]},
             {"--initial-cluster", cluster},
             {"--heartbeat-interval", "50"},
             {"--election-timeout", "500"},
             {"--logger", "zap"},
             {"--log-level", "warn"}}) {
      words.emplace_back(option);
      words.push_back(value);
    }
    processes_.push_back(std::make_unique<ServerProcess>(std::move(words), directory / (name + ".log"),
                                                         ChildOptions{.network = nodes[i].network}));
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) wait_until_ready(i);
}

std::vector<ServerProcess*> EtcdCluster::processes() {
  std::vector<ServerProcess*> all;
  for (const auto& process : processes_) all.push_back(process.get());
  return all;
}

void EtcdCluster::wait_until_ready(std::size_t node) {
  engine::HttpConnection connection = connect(endpoints_.at(node));
  process(node).wait_until(
      [&] {
        try {
          return connection.post("/v3/kv/range", R"({"key":"AA=="})").status == 200;
        } catch (const engine::HttpFailure&) {
          return false;
        }
      },
      std::chrono::seconds(60));
}

std::size_t EtcdCluster::leader() const {
  for (std::size_t i = 0; i < endpoints_.size(); ++i) {
    try {
      const auto status =
          nlohmann::json::parse(connect(endpoints_[i]).post("/v3/maintenance/status", "{}").body);
      if (status.value("leader", "0") == status.at("header").value("member_id", "")) return i;
    } catch (const engine::HttpFailure&) {
      // It is away, and leads nobody.
    }
  }
  throw ServerFailure("no node of etcd leads");
}

}  // namespace touchstone::harness
