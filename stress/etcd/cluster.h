#pragma once
// etcd on loopback, of one node or three, in a directory of its own: started, killed and ended by its own ids.
//
//   if (!EtcdCluster::program()) GTEST_SKIP() << "expected skip: etcd is missing (Debian package etcd-server)";
//   EtcdCluster cluster(3);
//   cluster.endpoints();  cluster.kill(0);  cluster.start(0);
//
// One thread. It dies with the thread that made it.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/etcd/gateway.h"
#include "harness/foreign/child_process.h"
#include "harness/scratch.h"

namespace touchstone::stress {

class EtcdCluster {
 public:
  /// Where it is; nothing if it is not installed.
  static std::optional<std::string> program();

  /// Waits until every node answers. Throws std::runtime_error with the end of its log when one does not.
  explicit EtcdCluster(int nodes);

  std::vector<engine::EtcdEndpoint> endpoints() const;

  void kill(int node);  ///< kill -9
  void start(int node);
  void pause(int node);
  void resume(int node);
  void wait_until_ready(int node);

  /// Which node says that it leads.
  int leader() const;

 private:
  struct Node {
    std::uint16_t client_port = 0;
    std::uint16_t peer_port = 0;
    std::unique_ptr<harness::ChildProcess> process;
  };

  std::vector<std::string> words(int node) const;
  std::string log(int node) const;

  harness::Scratch scratch_;
  std::vector<Node> nodes_;
};

}  // namespace touchstone::stress
