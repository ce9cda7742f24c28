#pragma once
// What the tests of the etcd store have in common: etcd itself, skipped by name where it is missing, and a store below a root of
// the test's own.
//
//   TEST_F(EtcdTest, ...) { EtcdStore store = this->store(); EtcdWorker worker = store.worker(); ... }

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "engine/etcd/store.h"
#include "harness/scratch.h"
#include "harness/servers/etcd_cluster.h"

namespace touchstone::stress {

using engine::EtcdContext;
using engine::EtcdStore;
using engine::EtcdWorker;
using engine::WriteSet;

class EtcdTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!harness::EtcdCluster::is_installed())
      GTEST_SKIP() << "expected skip: etcd is missing (Debian package etcd-server)";
    cluster_ =
        std::make_unique<harness::EtcdCluster>(scratch_.path(), std::vector<harness::EtcdAddress>(nodes_));
  }

  engine::EtcdOptions place(const std::string& root = "test") const {
    return {.endpoints = cluster_->endpoints(), .root = root};
  }
  EtcdStore store(const engine::StoreOptions& options = {}) const { return EtcdStore(place(), options); }
  harness::EtcdCluster& cluster() { return *cluster_; }

  static engine::EtcdProcess increment(const EtcdStore& store, const std::string& path) {
    return store.process("increment", {.outputs = {path}},
                         [path](EtcdContext& context) { add_one(context, path); });
  }

  static void add_one(EtcdContext& context, const std::string& path) {
    const auto seen = context.read(path);
    context.set(path, (seen ? seen->integer() : 0) + 1);
  }

  std::size_t nodes_ = 1;

 private:
  const harness::Scratch scratch_;
  std::unique_ptr<harness::EtcdCluster> cluster_;
};

}  // namespace touchstone::stress
