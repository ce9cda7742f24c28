#include "stress/etcd/cluster.h"

#include <signal.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "engine/etcd/http_connection.h"

namespace touchstone::stress {
namespace {

/// Kept until all are chosen, so that no two are the same.
class FreePorts {
 public:
  std::uint16_t next() {
    using Tcp = boost::asio::ip::tcp;
    taken_.emplace_back(context_, Tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
    return taken_.back().local_endpoint().port();
  }

 private:
  boost::asio::io_context context_;
  std::vector<boost::asio::ip::tcp::acceptor> taken_;
};

std::string url(std::uint16_t port) {
  return "http://127.0.0.1:" + std::to_string(port);
}

}  // namespace

std::optional<std::string> EtcdCluster::program() {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string file = folder + "/etcd";
    if (::access(file.c_str(), X_OK) == 0) return file;
  }
  return std::nullopt;
}

EtcdCluster::EtcdCluster(int nodes) : nodes_(static_cast<std::size_t>(nodes)) {
  {
    FreePorts ports;
    for (Node& node : nodes_) {
      node.client_port = ports.next();
      node.peer_port = ports.next();
    }
  }
  for (int i = 0; i < nodes; ++i) start(i);
  for (int i = 0; i < nodes; ++i) wait_until_ready(i);
}

std::vector<engine::EtcdEndpoint> EtcdCluster::endpoints() const {
  std::vector<engine::EtcdEndpoint> all;
  for (const Node& node : nodes_) all.push_back({"127.0.0.1", node.client_port});
  return all;
}

std::string EtcdCluster::log(int node) const {
  return scratch_.path() + "/n" + std::to_string(node) + ".log";
}

std::vector<std::string> EtcdCluster::words(int node) const {
  const Node& self = nodes_.at(static_cast<std::size_t>(node));
  std::string cluster;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    cluster += (i == 0 ? "n" : ",n") + std::to_string(i) + "=" + url(nodes_[i].peer_port);
  }
  const std::string name = "n" + std::to_string(node);
  return {program().value_or("etcd"),
          "--name",
          name,
          "--data-dir",
          scratch_.path() + "/" + name,
          "--listen-client-urls",
          url(self.client_port),
          "--advertise-client-urls",
          url(self.client_port),
          "--listen-peer-urls",
          url(self.peer_port),
          "--initial-advertise-peer-urls",
          url(self.peer_port),
          "--initial-cluster",
          cluster,
          "--heartbeat-interval",
          "50",
          "--election-timeout",
          "500",
          "--logger",
          "zap",
          "--log-level",
          "warn"};
}

void EtcdCluster::start(int node) {
  nodes_.at(static_cast<std::size_t>(node)).process =
      std::make_unique<harness::ChildProcess>(words(node), harness::ChildOptions{.log = log(node)});
}

void EtcdCluster::kill(int node) {
  nodes_.at(static_cast<std::size_t>(node)).process->end(std::chrono::milliseconds(0));
}

void EtcdCluster::pause(int node) {
  nodes_.at(static_cast<std::size_t>(node)).process->signal(SIGSTOP);
}

void EtcdCluster::resume(int node) {
  nodes_.at(static_cast<std::size_t>(node)).process->signal(SIGCONT);
}

/// A linearizable read needs a leader, too.
void EtcdCluster::wait_until_ready(int node) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  engine::HttpConnection connection("127.0.0.1", nodes_.at(static_cast<std::size_t>(node)).client_port,
                                    std::chrono::seconds(2));
  while (true) {
    try {
      if (connection.post("/v3/kv/range", R"({"key":"AA=="})").status == 200) return;
    } catch (const engine::HttpFailure&) {
      // Not yet.
    }
    if (std::chrono::steady_clock::now() > deadline) {
      std::ifstream file(log(node));
      const std::string text{std::istreambuf_iterator<char>(file), {}};
      throw std::runtime_error("etcd was not ready within a minute; its log ends: " +
                               text.substr(text.size() - std::min<std::size_t>(text.size(), 2000)));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

int EtcdCluster::leader() const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    engine::HttpConnection connection("127.0.0.1", nodes_[i].client_port, std::chrono::seconds(2));
    const auto status = nlohmann::json::parse(connection.post("/v3/maintenance/status", "{}").body);
    if (status.value("leader", "0") == status.at("header").value("member_id", "")) return static_cast<int>(i);
  }
  throw std::runtime_error("no node of etcd leads");
}

}  // namespace touchstone::stress
