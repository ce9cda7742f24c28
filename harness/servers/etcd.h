#pragma once
// etcd under the suite, by its JSON gateway: one node, or three as a cluster on loopback.
//
//   auto etcd = start_etcd(directory, 3);        // throws ServerFailure
//
// A transaction reads everything at the revision of its first read, which is linearizable, and commits by one etcd
// transaction that compares mod_revision.

#include <memory>
#include <vector>

#include "harness/servers/etcd_cluster.h"
#include "harness/servers/transactional.h"

namespace touchstone::harness {

std::vector<ServerLevel> etcd_levels(bool cluster);

std::unique_ptr<Server> start_etcd(const std::filesystem::path& directory,
                                   const std::vector<EtcdAddress>& nodes);

}  // namespace touchstone::harness
