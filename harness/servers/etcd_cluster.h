#pragma once
// etcd itself, one node or several: started, and ended by its own ids.
//
//   if (!EtcdCluster::is_installed()) ...;                       // the Debian package etcd-server
//   EtcdCluster cluster(directory, std::vector<EtcdAddress>(3)); // throws ServerFailure with the end of a log
//   cluster.endpoints();  cluster.process(0).kill();  cluster.process(0).start();  cluster.wait_until_ready(0);
//
// Its directory is the caller's to remove. Thread safety: one thread, the one that started it; it dies with that thread.

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/etcd/gateway.h"
#include "harness/servers/server_process.h"

namespace touchstone::harness {

/// Where a node is reached; with network namespaces, not 127.0.0.1.
struct EtcdAddress {
  std::string host = "127.0.0.1";
  int network = -1;  ///< the namespace that the node lives in
};

class EtcdCluster : public ProcessHost {
 public:
  static bool is_installed();

  /// Waits until every node answers.
  EtcdCluster(const std::filesystem::path& directory, const std::vector<EtcdAddress>& nodes);

  const std::vector<engine::EtcdEndpoint>& endpoints() const { return endpoints_; }

  ServerProcess& process(std::size_t node) { return *processes_.at(node); }
  std::vector<ServerProcess*> processes() override;

  /// Until it answers a linearizable read, for which there must be a leader, too.
  void wait_until_ready(std::size_t node);

  /// Which node says that it leads.
  std::size_t leader() const;

 private:
  std::vector<engine::EtcdEndpoint> endpoints_;
  std::vector<std::unique_ptr<ServerProcess>> processes_;
};

}  // namespace touchstone::harness
