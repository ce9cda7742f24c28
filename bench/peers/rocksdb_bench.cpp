// RocksDB's OptimisticTransactionDB, with its write-ahead log off and its files in memory: a transaction of GetForUpdate and Put that
// is run again while its commit is refused, and snapshots by GetSnapshot.

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <rocksdb/utilities/optimistic_transaction_db.h>
#include <rocksdb/utilities/transaction.h>

#include <cstring>
#include <stdexcept>

#include "bench/workload.h"

namespace touchstone::bench {
namespace {

void require(const rocksdb::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

std::string encode(std::int64_t number) {
  std::string bytes(sizeof number, '\0');
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

std::int64_t decode(const rocksdb::Slice& bytes) {
  std::int64_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}

std::string bytes_of(std::uint64_t id) {
  return encode(static_cast<std::int64_t>(id));
}
std::string bytes_of(std::string id) {
  return id;
}

template <class Id>
class RocksDb {
 public:
  explicit RocksDb(const Population& population)
      : population_(population), env_(rocksdb::NewMemEnv(rocksdb::Env::Default())) {
    without_log_.disableWAL = true;
    rocksdb::Options options;
    options.env = env_.get();
    options.create_if_missing = true;
    rocksdb::OptimisticTransactionDB* opened = nullptr;
    require(rocksdb::OptimisticTransactionDB::Open(options, "/bench", &opened));
    db_.reset(opened);
    for (const Id& id : ids_of<Id>(population)) {
      ids_.push_back(bytes_of(id));
      require(db_->Put(without_log_, ids_.back(), encode(0)));
    }
  }

  class Session {
   public:
    explicit Session(RocksDb& peer) : peer_(peer) {}

    int add(std::uint32_t footprint) {
      const auto keys = peer_.population_.keys_of(footprint);
      for (int failures = 0;; ++failures) {
        const rocksdb::Status status = add_once(keys);
        if (status.ok()) return failures;
        if (!status.IsBusy() && !status.IsTryAgain()) require(status);
      }
    }

    std::optional<std::int64_t> sum(std::span<const std::uint32_t> keys, const StopSign&) {
      rocksdb::ManagedSnapshot snapshot(peer_.db_.get());
      rocksdb::ReadOptions options;
      options.snapshot = snapshot.snapshot();
      return peer_.sum(keys, options);
    }

   private:
    rocksdb::Status add_once(std::span<const std::uint32_t> keys) {
      transaction_.reset(
          peer_.db_->BeginTransaction(peer_.without_log_, {}, transaction_.release()));  // used again
      for (const std::uint32_t key : keys) {
        require(transaction_->GetForUpdate({}, peer_.ids_[key], &value_));
        require(transaction_->Put(peer_.ids_[key], encode(decode(value_) + 1)));
      }
      return transaction_->Commit();
    }

    RocksDb& peer_;
    std::unique_ptr<rocksdb::Transaction> transaction_;
    std::string value_;
  };

  std::int64_t total() {
    std::vector<std::uint32_t> all(population_.shape().keys);
    std::iota(all.begin(), all.end(), 0);
    return sum(all, {});
  }

 private:
  std::int64_t sum(std::span<const std::uint32_t> keys, const rocksdb::ReadOptions& options) {
    std::int64_t sum = 0;
    rocksdb::PinnableSlice value;
    for (const std::uint32_t key : keys) {
      value.Reset();
      require(db_->Get(options, db_->DefaultColumnFamily(), ids_[key], &value));
      sum += decode(value);
    }
    return sum;
  }

  const Population& population_;
  rocksdb::WriteOptions without_log_;
  std::vector<std::string> ids_;
  std::unique_ptr<rocksdb::Env> env_;
  std::unique_ptr<rocksdb::OptimisticTransactionDB> db_;
};

}  // namespace

void register_benchmarks() {
  register_peer<RocksDb>("rocksdb");
}

}  // namespace touchstone::bench
