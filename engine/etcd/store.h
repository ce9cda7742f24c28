#pragma once
// The store's contract for processes on many hosts, kept in etcd.
//
//   EtcdStore store({.endpoints = {{"10.0.0.1", 2379}, {"10.0.0.2", 2379}}, .root = "robots"});
//   EtcdWorker worker = store.worker();                     // a connection, and the identity that tickets belong to
//   auto add = store.process("add", {.outputs = {"counter"}}, [](EtcdContext& ctx) {
//     const auto seen = ctx.read("counter");
//     ctx.set("counter", (seen ? seen->integer() : 0) + 1);
//   });
//   ExecuteResult result = worker.execute(add);             // retries, waits and takes the ticket by itself
//   CommitResult by_hand = worker.compare_and_swap(worker.version(), WriteSet{}.set("user", "B"));
//
// Results, paths, write sets, contracts and options are those of engine/store.h, and so is what they mean. What differs is in
// docs/distributed.md. Policy::key_queue is not offered.
//
// Thread safety: EtcdStore from any thread; a worker, its snapshots and its contexts by one thread at a time. A worker does not
// outlive its store, nor a snapshot its worker.
//
// Where things are, below the root:
//   clock            put by every commit: how often it was put is the version, the revision of a put is its commit's
//   leaf/{path}      a scalar               stamp/{path}   put by every commit that names the path: its revision is what counts
//   writer/{n}       put by every commit of worker n, so that a commit of unknown outcome can be settled
//   ages, queue/{age}   the tickets drawn, and those who wait, in order; each entry lives as long as its lease
//   turns, turn      the turns begun, and the present one: its create_revision is the fencing token
//
// Invariants:
//   V1  A commit is one etcd transaction: it compares the stamps of its footprint (each path, its ancestors, all below it), the
//       gate and its writer's key, and puts all or nothing. So it is the atomic step of invariants A to D of engine/store.h.
//   V2  It passes only while nobody is queued, or in its own turn, told by the turn's create_revision: a late holder compares
//       with a turn that is gone.
//   V3  Ages are drawn in the transaction that enters the queue, so that the order of entries is that of ages: first come. A turn
//       begins in a transaction that compares that no older entry and no turn exists: at most one at a time.
//   V4  A commit whose answer was lost is settled before anything else: either its writer's key shows it, or that key is put again,
//       after which the lost transaction can no longer pass. If etcd cannot be asked within the patience: EtcdUnreachable with
//       sent == true, and the outcome is unknown.
//
// Errors: as engine/store.h, and EtcdUnreachable, EtcdFailure (gateway.h) from anything that asks etcd.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/backoff.h"
#include "engine/etcd/gateway.h"
#include "engine/etcd/keys.h"
#include "engine/etcd/plan.h"
#include "engine/etcd/tally.h"
#include "engine/execute.h"
#include "engine/native_platform.h"

namespace touchstone::engine {

class EtcdStore;
class EtcdWorker;
class EtcdContext;

struct EtcdProcess {
  std::string name;
  Contract contract;
  std::function<void(EtcdContext&)> body;
  const EtcdStore* store = nullptr;
};

class EtcdStore {
 public:
  explicit EtcdStore(EtcdOptions etcd = {}, StoreOptions options = {});

  EtcdWorker worker() const;

  /// Throws Error for a path that is not valid.
  EtcdProcess process(std::string name, Contract contract, std::function<void(EtcdContext&)> body) const;

  const StoreOptions& options() const { return options_; }
  const EtcdOptions& etcd() const { return etcd_; }

  /// Of the workers in this process, those that have ended among them. Not counted: restarts, trims, values, snapshots, paths.
  Statistics statistics() const { return tally_.statistics(); }

 private:
  friend class EtcdWorker;

  const EtcdOptions etcd_;
  const StoreOptions options_;
  mutable EtcdTally tally_;
};

/// The state as of one version, for as long as etcd keeps its history: after a compaction, reads of older versions are
/// EtcdFailure.
class EtcdSnapshot {
 public:
  Version version() const { return version_; }
  std::optional<Value> read(const std::string& path) const;

 private:
  friend class EtcdWorker;
  friend class EtcdContext;
  friend class EtcdExecution;
  EtcdSnapshot(EtcdWorker& worker, Version version, std::int64_t revision)
      : worker_(&worker), version_(version), revision_(revision) {}

  EtcdWorker* worker_;
  Version version_;
  std::int64_t revision_;  ///< of the commit that made it; 0 for version 0
};

class EtcdWorker {
 public:
  /// Who waits looks again after 2, 4, ... 32 ms, each with up to half as much again (B9).
  static constexpr Backoff kLooks{std::chrono::milliseconds(1), 5};

  explicit EtcdWorker(const EtcdStore& store);
  ~EtcdWorker();
  EtcdWorker(const EtcdWorker&) = delete;
  EtcdWorker& operator=(const EtcdWorker&) = delete;

  Version version() { return snapshot().version(); }
  EtcdSnapshot snapshot();
  std::optional<Value> read(const std::string& path);

  CommitResult compare_and_swap(Version expected, const WriteSet& writes,
                                const std::vector<std::string>& reads = {});

  /// As Store::await_turn, for loops written by hand.
  TicketStatus await_turn(Time deadline = kForever);
  TicketStatus ticket() const;
  void give_back();
  int failures() const { return failures_; }

  /// What it has asked of etcd: the cost of whatever it did (docs/distributed.md).
  std::uint64_t requests() const { return gateway_.requests(); }

  ExecuteResult execute(const EtcdProcess& process, const Limits<NativePlatform>& limits = {});

 private:
  friend class EtcdSnapshot;
  friend class EtcdContext;
  friend class EtcdExecution;

  struct Attempt {
    enum class Kind : std::uint8_t { committed, conflict, busy, expired, under_scalar };
    Kind kind;
    Version version = 0;  ///< committed as, or found
    CommitPath path = CommitPath::empty;
    std::string where = {};  ///< of a conflict; of under_scalar the path that holds a scalar
    std::int64_t lease = 0;  ///< of whom it waits for, when busy
    std::int64_t turns = 0;  ///< begun so far, when busy
  };

  struct Claim {
    std::int64_t age = 0;  ///< 0: none
    std::int64_t lease = 0;
    std::int64_t seconds = 0;
    std::int64_t turn = 0;  ///< its create_revision; 0 while it has none
    int expiries = 0;
    int renewals = 0;
    std::int64_t turns = 0;  ///< begun when it was last looked at
    Time refreshed{};
  };

  // store.cpp
  Leaves leaves_at(const std::string& path, std::int64_t revision);
  std::optional<std::int64_t> revision_of(Version version);
  Version version_at(std::int64_t revision);
  std::int64_t search(Version version, std::int64_t low, std::int64_t high);
  std::optional<Rejected> check_caller(const EtcdStore* store) const;
  CommitResult swap(Version expected, const WriteSet& writes, const std::vector<std::string>& reads);

  // commit.cpp
  EtcdTransaction transaction(Version expected, std::int64_t base, const EtcdPlan& plan,
                              const std::set<std::string>& footprint);
  void add_validation(Version expected, std::int64_t base, const std::set<std::string>& footprint,
                      EtcdTransaction& transaction);
  void add_gate(EtcdTransaction& transaction) const;
  Attempt committed(Version expected, std::int64_t revision, Version version);
  Attempt refused(Version expected, std::int64_t base, const EtcdOutcome& outcome);
  std::optional<Attempt> settle(Version expected);
  Attempt submit(Version expected, std::int64_t base, const EtcdPlan& plan,
                 const std::set<std::string>& footprint);
  Attempt commit(Version expected, std::int64_t base, const EtcdPlan& plan,
                 const std::set<std::string>& footprint);
  void add_erasures(const EtcdPlan& plan, std::int64_t base, EtcdTransaction& transaction);

  // claim.cpp
  bool claimed() const { return claim_.age != 0; }
  bool in_turn() const { return claim_.turn != 0; }
  bool conflicted();
  void renew();
  void join();
  void enter_queue();
  bool try_begin_turn();
  void turn_began(std::int64_t revision);
  void lose_turn();
  Duration remaining(std::int64_t lease);
  void pause(int round, Time deadline);

  const EtcdStore& store_;
  EtcdGateway gateway_;
  const EtcdKeys keys_;
  std::string writer_;         ///< its key
  std::int64_t fence_ = 0;     ///< the writer key's mod_revision
  std::uint64_t commits_ = 0;  ///< tried, to tell their puts of the writer's key apart
  bool unsettled_ = false;     ///< a commit's answer was lost, and etcd could not be asked yet
  Claim claim_;
  int failures_ = 0;
  Counters<NativePlatform> counters_;
  Duration longest_attempt_{0};
  SplitMix random_;
  Version known_version_ = 0;  ///< the last one whose revision was seen
  std::int64_t known_revision_ = 0;
};

/// What a body sees: its snapshot under its own writes. As Context of engine/process.h.
class EtcdContext {
 public:
  Version version() const { return snapshot_.version(); }
  std::optional<Value> read(const std::string& path);
  void set(const std::string& path, Value value) { write({path, std::move(value)}); }
  void erase(const std::string& path) { write({path, std::nullopt}); }
  void emit(std::string topic, Value payload) {
    effects_.push_back({std::move(topic), std::move(payload), 0});
  }

 private:
  friend class EtcdExecution;
  EtcdContext(EtcdWorker& worker, const EtcdProcess& process)
      : worker_(worker), process_(process), snapshot_(worker.snapshot()) {}

  void write(WriteSet::Entry entry);
  [[noreturn]] void refuse(ErrorCode code, const char* verb, const std::string& path);

  EtcdWorker& worker_;
  const EtcdProcess& process_;
  EtcdSnapshot snapshot_;
  WriteSet writes_;
  std::set<std::string> reads_;  ///< with validate_reads
  std::vector<Effect> effects_;
  std::optional<Rejected> refused_;
};

}  // namespace touchstone::engine
