#pragma once
// engine/etcd/store.h under the suite.
//
//   EtcdEngine::use({.endpoints = cluster.endpoints()});     // once, before the first engine
//   EtcdEngine engine({.strict = true});                     // a store of its own, below a root that no other has
//
// Thread safety: as U in engine_under_test.h. An answer that did not come is OutcomeUnknown (U3); etcd itself resolves nearly all
// of them (V4 of engine/etcd/store.h).

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "engine/etcd/store.h"
#include "harness/engine_under_test.h"

namespace touchstone::harness {

class EtcdEngine {
 public:
  static constexpr std::string_view kName = "etcd-store";
  static constexpr Capabilities kCapabilities = {.strict = true,
                                                 .validate_reads = true,
                                                 .erase = true,
                                                 .composites = true,
                                                 .execute = true,
                                                 .ticket = true,
                                                 .commit_path = true,
                                                 .snapshots = true,
                                                 .pins = true,
                                                 .rejects = true};

  /// Where etcd is. The root is a prefix of each engine's own.
  static void use(engine::EtcdOptions place);

  /// Plants a bug: a call whose answer is lost is made again, though it may have taken effect. A network loses an answer when it
  /// likes, so a client of this engine loses every eighth itself.
  static void repeat_what_is_unknown(bool repeats);

  explicit EtcdEngine(const EngineSettings& settings);

  class Client {
   public:
    model::StoreResponse apply(const model::StoreOperation& operation);
    engine::EtcdWorker& worker() { return worker_; }

   private:
    friend class EtcdEngine;
    explicit Client(EtcdEngine& engine) : engine_(engine), worker_(engine.store_) {}

    model::StoreResponse answer(const model::ReadPath& call);
    model::StoreResponse answer(const model::ReadVersion& call);
    model::StoreResponse answer(const model::SnapshotRead& call);
    model::StoreResponse answer(const model::CompareAndSwap& call);
    model::StoreResponse answer(const model::Execute& call);

    EtcdEngine& engine_;
    engine::EtcdWorker worker_;
    int answers_ = 0;
  };

  class Pin {
   public:
    std::uint64_t version() const { return snapshot_.version(); }
    std::optional<model::Subtree> read(const std::string& path) const;

   private:
    friend class EtcdEngine;
    explicit Pin(const engine::EtcdStore& store)
        : worker_(std::make_unique<engine::EtcdWorker>(store)), snapshot_(worker_->snapshot()) {}

    std::unique_ptr<engine::EtcdWorker> worker_;
    engine::EtcdSnapshot snapshot_;
  };

  Client client(int) { return Client(*this); }
  Pin pin() { return Pin(store_); }

  const engine::EtcdStore& store() const { return store_; }

 private:
  const bool validate_reads_;
  const engine::EtcdStore store_;
};

static_assert(EngineUnderTest<EtcdEngine>);

}  // namespace touchstone::harness
