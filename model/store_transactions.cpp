#include "model/store_transactions.h"

#include <algorithm>
#include <numeric>
#include <set>

namespace touchstone::model {
namespace {

class Reader {
 public:
  explicit Reader(const History& history)
      : history_(history), open_(history.clients.size()), out_(Objects::kRegisters) {}

  std::variant<TransactionHistory, NoTransactions> run() {
    if (history_.kind != HistoryKind::kStore) return NoTransactions{"it is no history of a store"};
    std::vector<std::uint32_t> order(history_.operations.size());
    std::iota(order.begin(), order.end(), std::uint32_t{0});
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
      return history_.operations[a].invoked < history_.operations[b].invoked;
    });
    for (const std::uint32_t number : order) {
      take(history_.operations[number]);
      if (!unfit_.empty()) return NoTransactions{unfit_};
    }
    for (ClientId client = 0; client < open_.size(); ++client) end_snapshot(client);
    if (!unfit_.empty()) return NoTransactions{unfit_};
    if (const auto nested = nested_paths()) return NoTransactions{*nested};
    return std::move(out_);
  }

 private:
  struct Snapshot {
    const Operation* operation = nullptr;
    const std::vector<std::string>* paths = nullptr;
    const SnapshotIs* seen = nullptr;
  };

  void take(const Operation& it) {
    const auto& call = history_.store_calls[it.argument];
    if (std::holds_alternative<Execute>(call.operation)) {
      unfit_ = "it has bodies (execute), and those do not tell what they read";
    } else if (const auto* snapshot = std::get_if<SnapshotRead>(&call.operation)) {
      end_snapshot(it.client);
      const auto* seen = call.response ? std::get_if<SnapshotIs>(&*call.response) : nullptr;
      if (seen != nullptr) open_[it.client] = {&it, &snapshot->paths, seen};
    } else if (const auto* commit = std::get_if<CompareAndSwap>(&call.operation)) {
      take_commit(it, *commit, call.response ? &*call.response : nullptr);
    }
  }

  void take_commit(const Operation& it, const CompareAndSwap& commit, const StoreResponse* response) {
    Snapshot snapshot = open_[it.client];
    if (snapshot.seen != nullptr && snapshot.seen->version != commit.expected) {
      end_snapshot(it.client);
      snapshot = {};
    }
    const auto* committed = response != nullptr ? std::get_if<Committed>(response) : nullptr;
    if (response != nullptr && committed == nullptr) end_snapshot(it.client);  // S2: aborted
    TransactionBuilder transaction =
        out_.begin(history_.clients.name(it.client),
                   snapshot.seen != nullptr ? snapshot.operation->invoked : it.invoked);
    open_[it.client] = {};
    if (snapshot.seen != nullptr) add_reads(transaction, snapshot);
    for (const Write& write : commit.writes) add_write(transaction, write);
    if (response == nullptr) return transaction.end(kNever, it.outcome);
    if (committed == nullptr) return transaction.end(it.returned, Outcome::kFail);
    transaction.end(it.returned, Outcome::kOk, commit.writes.empty() ? kNoVersion : committed->version);
  }

  void end_snapshot(ClientId client) {
    const Snapshot snapshot = open_[client];
    open_[client] = {};
    if (snapshot.seen == nullptr) return;
    TransactionBuilder transaction = out_.begin(history_.clients.name(client), snapshot.operation->invoked);
    add_reads(transaction, snapshot);
    transaction.end(snapshot.operation->returned, Outcome::kOk);
  }

  void add_reads(TransactionBuilder& transaction, const Snapshot& snapshot) {
    for (std::size_t i = 0; i < snapshot.paths->size(); ++i) {
      const auto& value = snapshot.seen->values[i];
      transaction.read_value((*snapshot.paths)[i], value ? scalar_of(*value) : std::nullopt);
    }
  }

  void add_write(TransactionBuilder& transaction, const Write& write) {
    const auto scalar = write.value ? scalar_of(*write.value) : std::nullopt;
    if (!scalar) {
      unfit_ = "it erases " + write.path + ", or writes a composite there";
      return;
    }
    transaction.write(write.path, *scalar);
  }

  std::optional<Scalar> scalar_of(const Subtree& subtree) {
    if (subtree.size() == 1 && subtree.begin()->first.empty()) return subtree.begin()->second;
    unfit_ = "it has composites, not only scalars";
    return std::nullopt;
  }

  std::optional<std::string> nested_paths() const {
    std::set<std::string> paths;
    for (std::uint32_t key = 0; key < out_.keys.size(); ++key) paths.insert(out_.keys.name(key));
    for (const std::string& path : paths) {
      for (std::size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', dot + 1)) {
        if (paths.count(path.substr(0, dot)) != 0) return path + " is below another path that is used";
      }
    }
    return std::nullopt;
  }

  const History& history_;
  std::vector<Snapshot> open_;  ///< by client: the last snapshot, if no commit belongs to it yet
  TransactionHistory out_;
  std::string unfit_;
};

}  // namespace

std::variant<TransactionHistory, NoTransactions> transactions_of(const History& history) {
  return Reader(history).run();
}

}  // namespace touchstone::model
