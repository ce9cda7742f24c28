#include <optional>
#include <string>
#include <vector>

#include "harness/history_random.h"

namespace touchstone::harness {
namespace {

using namespace model;

constexpr const char* kPaths[] = {"a", "a.x", "a.y", "b", "c.z"};

struct Client {
  bool open = false;
  bool took_effect = false;
  bool unknown = false;
  std::int64_t invoked = 0;
  StoreOperation operation;
  StoreResponse response;
  std::uint64_t seen = 0;  ///< the version of the last snapshot
};

class StoreSimulation {
 public:
  StoreSimulation(const StoreHistoryShape& shape, Stream& stream)
      : shape_(shape), stream_(stream), history_(HistoryKind::kStore), clients_(shape.clients) {
    history_.store_rules = {
        .strict = shape.strict, .validate_reads = shape.validate_reads, .gate_may_close = true};
  }

  History run() {
    const StoreSpec spec(history_.store_rules);
    std::size_t begun = 0;
    std::size_t open = 0;
    while (begun < shape_.operations || open != 0) {
      Client& client = stream_.pick(clients_);
      ++now_;
      if (!client.open && begun < shape_.operations) {
        client.open = true;
        client.took_effect = false;
        client.unknown = stream_.chance(shape_.unknown_permille, 1000);
        client.invoked = now_;
        client.operation = any_operation(client);
        ++begun;
        ++open;
      } else if (client.open && !client.took_effect) {
        client.took_effect = true;
        if (!client.unknown || stream_.chance(1, 2)) client.response = spec.perform(state_, client.operation);
      } else if (client.open) {
        finish(client);
        --open;
      }
    }
    return std::move(history_);
  }

 private:
  std::string any_path() { return kPaths[stream_.below(std::size(kPaths))]; }

  Write any_write() {
    const std::string path = any_path();
    if (stream_.chance(1, 6)) return {path, std::nullopt};
    const Scalar value = static_cast<std::int64_t>(stream_.below(3));
    if (path == "a" && stream_.chance(1, 2)) return {path, Subtree{{"x", value}}};
    return {path, Subtree{{"", value}}};
  }

  StoreOperation any_operation(const Client& client) {
    switch (stream_.below(8)) {
      case 0:
        return ReadPath{any_path()};
      case 1:
        return ReadVersion{};
      case 2:
        return SnapshotRead{{any_path(), any_path()}};
      case 3:
        return Execute{{AddInteger{any_path(), 1}}};
      default: {
        CompareAndSwap swap;
        swap.expected = stream_.chance(1, 2) ? state_.version : client.seen;
        for (std::uint64_t i = stream_.below(3); i != 0; --i) swap.writes.push_back(any_write());
        if (shape_.validate_reads) swap.reads.push_back(any_path());
        return swap;
      }
    }
  }

  void finish(Client& client) {
    client.open = false;
    const std::string name = std::to_string(&client - clients_.data());
    if (client.unknown) {
      history_.add_store(name + "." + std::to_string(now_), client.invoked, kNever, client.operation,
                         std::nullopt);
      return;
    }
    if (const auto* snapshot = std::get_if<SnapshotIs>(&client.response)) client.seen = snapshot->version;
    if (stream_.chance(shape_.wrong_permille, 1000)) make_wrong(client.response);
    history_.add_store(name, client.invoked, now_, client.operation, client.response);
  }

  void make_wrong(StoreResponse& response) {
    const std::uint64_t version = stream_.below(state_.version + 2);
    if (auto* it = std::get_if<VersionIs>(&response)) it->version = version;
    if (auto* it = std::get_if<SnapshotIs>(&response)) it->version = version;
    if (auto* it = std::get_if<ValueRead>(&response))
      it->value = Subtree{{"", static_cast<std::int64_t>(version)}};
    if (auto* it = std::get_if<Conflict>(&response)) it->found = version;
    if (auto* it = std::get_if<Committed>(&response)) {
      if (it->path == CommitPath::kEmpty) return;
      it->path.reset();
      it->version = version;
    }
  }

  const StoreHistoryShape& shape_;
  Stream& stream_;
  History history_;
  std::vector<Client> clients_;
  StoreState state_;
  std::int64_t now_ = 0;
};

}  // namespace

History random_store_history(const StoreHistoryShape& shape, Stream& stream) {
  return StoreSimulation(shape, stream).run();
}

}  // namespace touchstone::harness
