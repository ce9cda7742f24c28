// RocksDB's OptimisticTransactionDB under the suite, in this process: with a snapshot, and without.

#include <rocksdb/options.h>
#include <rocksdb/utilities/optimistic_transaction_db.h>
#include <rocksdb/utilities/transaction.h>

#include <map>
#include <memory>
#include <utility>

#include "harness/servers/kinds.h"

namespace touchstone::harness {
namespace {

constexpr const char* kSnapshot = "with a snapshot";
constexpr const char* kForUpdate = "without a snapshot, GetForUpdate";
constexpr const char* kBare = "without a snapshot";

class RocksSession : public Session {
 public:
  RocksSession(rocksdb::OptimisticTransactionDB& database, std::string level)
      : database_(database), level_(std::move(level)) {}

  void begin() override {
    rocksdb::OptimisticTransactionOptions options;
    options.set_snapshot = level_ == kSnapshot;
    transaction_.reset(database_.BeginTransaction({}, options));
    written_.clear();
  }

  std::optional<std::string> read(const std::string& key) override {
    rocksdb::ReadOptions options;
    options.snapshot = transaction_->GetSnapshot();
    std::string value;
    const auto status = level_ == kForUpdate ? transaction_->GetForUpdate(options, key, &value)
                                             : transaction_->Get(options, key, &value);
    if (status.IsNotFound()) return std::nullopt;
    check(status);
    return value;
  }

  void write(const std::string& key, const std::string& value) override { written_[key] = value; }

  bool commit() override {
    for (const auto& [key, value] : written_) check(transaction_->Put(key, value));
    const auto status = transaction_->Commit();
    transaction_.reset();
    if (status.IsBusy() || status.IsTryAgain()) return false;
    check(status);
    return true;
  }

 private:
  static void check(const rocksdb::Status& status) {
    if (!status.ok()) throw ServerFailure("RocksDB: " + status.ToString());
  }

  rocksdb::OptimisticTransactionDB& database_;
  const std::string level_;
  std::unique_ptr<rocksdb::Transaction> transaction_;
  std::map<std::string, std::string> written_;
};

class RocksServer : public Server {
 public:
  explicit RocksServer(const std::filesystem::path& directory) {
    rocksdb::Options options;
    options.create_if_missing = true;
    rocksdb::OptimisticTransactionDB* database = nullptr;
    const auto status =
        rocksdb::OptimisticTransactionDB::Open(options, (directory / "rocksdb").string(), &database);
    if (!status.ok()) throw ServerFailure("RocksDB: " + status.ToString());
    database_.reset(database);
  }

  std::unique_ptr<Session> session(const ServerLevel& level, int) override {
    return std::make_unique<RocksSession>(*database_, level.name);
  }

  void clear() override {
    std::unique_ptr<rocksdb::Iterator> at(database_->NewIterator({}));
    for (at->SeekToFirst(); at->Valid(); at->Next()) database_->Delete({}, at->key());
  }

 private:
  std::unique_ptr<rocksdb::OptimisticTransactionDB> database_;
};

}  // namespace

ServerKind rocksdb_kind() {
  return {"rocksdb",
          "RocksDB",
          {{kSnapshot, "conflicts are found for keys written since the snapshot", "",
            model::Level::kStrongSnapshot},
           {kForUpdate, "conflicts are found for keys written since GetForUpdate", ""},
           {kBare, "conflicts are found for keys written since the transaction wrote them", "a lost snapshot",
            model::Level::kStrongSnapshot}},
          [](const std::filesystem::path& directory) -> std::unique_ptr<Server> {
            return std::make_unique<RocksServer>(directory);
          }};
}

}  // namespace touchstone::harness
