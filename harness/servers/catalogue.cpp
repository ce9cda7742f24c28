#include "harness/foreign/command_host.h"
#include "harness/servers/etcd.h"
#include "harness/servers/kinds.h"
#include "harness/servers/server_process.h"

namespace touchstone::harness {
namespace {

std::unique_ptr<Server> start_one_etcd(const std::filesystem::path& directory) {
  return start_etcd(directory, std::vector<EtcdAddress>(1));
}

std::unique_ptr<Server> start_three_etcds(const std::filesystem::path& directory) {
  return start_etcd(directory, std::vector<EtcdAddress>(3));
}

}  // namespace

ServerCatalogue server_catalogue() {
  ServerCatalogue catalogue;
  if (EtcdCluster::is_installed()) {
    catalogue.kinds.push_back({"etcd", "etcd", etcd_levels(false), start_one_etcd});
    catalogue.kinds.push_back({"etcd3", "etcd, three nodes", etcd_levels(true), start_three_etcds});
  } else {
    catalogue.missing.emplace_back("etcd", "etcd-server");
    catalogue.missing.emplace_back("etcd3", "etcd-server");
  }
#if TOUCHSTONE_HAS_REDIS
  if (program_path("redis-server")) {
    catalogue.kinds.push_back(redis_kind());
  } else {
    catalogue.missing.emplace_back("redis", "redis-server");
  }
#else
  catalogue.missing.emplace_back("redis", "redis-server, and libhiredis-dev when this is built");
#endif
#if TOUCHSTONE_HAS_POSTGRES
  if (program_path(TOUCHSTONE_POSTGRES "/postgres")) {
    catalogue.kinds.push_back(postgres_kind());
  } else {
    catalogue.missing.emplace_back("postgres", "postgresql");
  }
#else
  catalogue.missing.emplace_back("postgres", "postgresql, libpq-dev when this is built");
#endif
#if TOUCHSTONE_HAS_ROCKSDB
  catalogue.kinds.push_back(rocksdb_kind());
#else
  catalogue.missing.emplace_back("rocksdb", "librocksdb-dev when this is built");
#endif
  return catalogue;
}

}  // namespace touchstone::harness
