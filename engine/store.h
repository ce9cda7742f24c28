#pragma once
// The store: immutable, versioned state under optimistic concurrency, as chapter 20 of the Theus documentation describes it.
//
//   Store<> store;                                // Smart CAS, back-off and the priority ticket are on
//   Worker<NativePlatform> worker(store.worker());
//   auto add = store.process("add", {.outputs = {"counter"}}, [](auto& ctx) { ctx.set("counter", 1); });
//   ExecuteResult result = store.execute(worker, add);   // retries, waits and takes the ticket by itself
//   CommitResult by_hand = store.compare_and_swap(store.version(), WriteSet{}.set("user", "B"), &worker);
//
// The state is a map from dotted leaf paths to scalars; a commit makes version n + 1, and a snapshot taken at n sees n for ever.
//
// Thread safety: all members of Store from any thread; a Worker or Snapshot by one thread at a time. Neither may outlive the
// store.
//
// Invariants (details: W1-6 cell.h, N1-2 index.h, S1-4 slot.h, R1-3 reclaim.h, L1-5 commit.h, T1-6 ticket.h, E1-6 execute.h):
//   A  Versions are dense integers from 1, one a commit; version 0 is the empty state.
//   B  A commit is atomic: every snapshot sees all of it or nothing, and a commit that was refused left no trace.
//   C  Smart mode: a commit succeeds iff no path of its footprint, ancestor or descendant of one, has changed since its expected
//      version. That is snapshot isolation, first committer wins; write skew is possible. With validate_reads the footprint holds
//      the reads too, and the store is serializable.
//   D  Strict mode: a commit succeeds iff nothing at all has changed.
//
// Errors: see engine/error.h. Statistics: engine/statistics.h.

#include <map>

#include "engine/execute.h"
#include "engine/native_platform.h"
#include "engine/worker.h"

namespace touchstone::engine {

template <Platform P = NativePlatform>
class Store {
 public:
  explicit Store(StoreOptions options = {})
      : options_(std::move(options)),
        gate_(options_),
        committer_(epoch_.clock, gate_, reclaimer_, options_.mode) {}
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  const StoreOptions& options() const { return options_; }

  /// The current version.
  Version version() const { return epoch_.clock.load(); }

  /// The state as of the current version.
  Snapshot<P> snapshot() { return Snapshot<P>(*this); }

  /// The current value of a path. Throws Error for a path that is not valid.
  std::optional<Value> read(std::string_view path) { return snapshot().read(path); }

  /// Interns a path. Throws Error for one that is not valid.
  Key<P> key(std::string_view path) { return Key<P>(intern(path), this); }

  Worker<P> worker(const WorkerOptions& options = {}) {
    return Worker<P>(*this, options, options.stream != 0 ? options.stream : streams_.fetch_add(1) + 1);
  }

  /// Commits `writes` if their paths (and `reads`: invariant C) are unchanged since `expected`. Without a
  /// worker, failures count for nobody. An empty write set is committed at `expected` itself and makes no
  /// version.
  CommitResult compare_and_swap(Version expected, const WriteSet& writes, Worker<P>* worker = nullptr,
                                const std::vector<std::string>& reads = {}) {
    Anonymous anonymous(*this, worker);
    CommitResult result = commit(expected, writes, worker, reads, anonymous.slot());
    if (std::holds_alternative<Rejected>(result)) anonymous.slot().counters.rejected.add(1);
    return result;
  }

  /// For loops written by hand: waits until the turn of a worker with a ticket has begun and all commits
  /// admitted earlier have finished (then its next commit, from a version read after this, cannot conflict),
  /// or until `deadline`.
  TicketStatus await_turn(Worker<P>& worker, Time deadline = kForever) {
    while (worker.claimed()) {
      const TicketStatus status = gate_.await_turn(worker.claim_, deadline, worker.counters());
      if (status == TicketStatus::holding) drain(*worker.slot_);
      if (status != TicketStatus::none) return status;
      worker.rejoin();
    }
    return TicketStatus::none;
  }

  /// Declares a process. Throws Error for a path that is not valid.
  Process<P> process(std::string name, const Contract& contract, typename Process<P>::Body body) {
    Process<P> process;
    process.name_ = std::move(name);
    for (const std::string& path : contract.inputs) process.inputs_.push_back(intern(path));
    std::vector<Cell<P>*> outputs;
    for (const std::string& path : contract.outputs) outputs.push_back(intern(path));
    sort_unique(process.inputs_);
    sort_unique(outputs);
    process.outputs_.insert(process.outputs_.begin(), outputs.begin(), outputs.end());
    process.body_ = std::move(body);
    process.store_ = this;
    return process;
  }

  /// Runs a process until it is committed or `limits` end it. What the body throws passes through, nothing
  /// committed.
  ExecuteResult execute(Worker<P>& worker, const Process<P>& process, const Limits<P>& limits = {}) {
    ExecuteResult result;
    if (may_call(&worker, process.store_)) {
      Execution<P>(*this, worker, process, limits, result).run();
    } else {
      worker.counters().rejected.add(1);
      result.outcome = refuse_call(process.store_);
    }
    return result;
  }

  Statistics statistics() {
    Statistics sum;
    slots_.for_each([&sum](const Slot<P>& slot) { sum.add(slot.counters); });
    const Pins pins(slots_);
    sum.snapshots_open = pins.size();
    if (pins.size() != 0) sum.oldest_snapshot_age = version() - pins.oldest();
    sum.paths = index_.size();
    return sum;
  }

  /// Conflicts by path, of the paths that had any.
  std::map<std::string, std::uint64_t> conflicts_by_path() {
    std::map<std::string, std::uint64_t> conflicts;
    index_.for_each([&](const Cell<P>& cell) {
      if (cell.conflicts.load() != 0) conflicts.emplace(cell.path(), cell.conflicts.load());
    });
    return conflicts;
  }

  /// Drops every old value that no open snapshot needs. Commits do this as they go; this is for a store that has become quiet.
  void reclaim() {
    const Anonymous anonymous(*this, nullptr);
    committer_.trim_all(index_, anonymous.slot());
    const auto collect = [this](Slot<P>& slot) {
      for (int list = 0; list < 2; ++list)
        reclaimer_.collect(slot);  // each of a slot's two lists needs one look
    };
    collect(anonymous.slot());
    slots_.for_each_free(collect);
  }

 private:
  friend class Snapshot<P>;
  friend class Worker<P>;
  friend class Context<P>;
  friend class Execution<P>;

  /// The slot of a call without a worker.
  class Anonymous {
   public:
    Anonymous(Store& store, Worker<P>* worker)
        : store_(store),
          slot_(worker != nullptr ? worker->slot_ : store.slots_.acquire()),
          owned_(worker == nullptr) {}
    ~Anonymous() {
      if (owned_) store_.slots_.release(slot_);
    }
    Anonymous(const Anonymous&) = delete;
    Anonymous& operator=(const Anonymous&) = delete;
    Slot<P>& slot() const { return *slot_; }

   private:
    Store& store_;
    Slot<P>* const slot_;
    const bool owned_;
  };

  bool may_call(const Worker<P>* worker, const Store* store) const {
    return !BodyFrame<P>::inside(this) && store == this && (worker == nullptr || &worker->store_ == this);
  }

  /// What is wrong with a call that may not be.
  [[gnu::cold]] Rejected refuse_call(const Store* store) const {
    if (BodyFrame<P>::inside(this)) {
      return {ErrorCode::nested_commit, "a body committed to the store that is running it"};
    }
    const char* const what = store != this ? "process" : "worker";
    return {ErrorCode::foreign_key, std::string("the ") + what + " belongs to another store"};
  }

  CommitResult commit(Version expected, const WriteSet& writes, Worker<P>* worker,
                      const std::vector<std::string>& reads, Slot<P>& slot) {
    if (!may_call(worker, this)) return refuse_call(this);
    if (const Version now = version(); expected > now) {
      return Rejected{ErrorCode::future_version, "expected version " + std::to_string(expected) +
                                                     ", but the store is at " + std::to_string(now)};
    }
    Scratch<P> scratch;
    if (auto refused = prepare(writes, reads, scratch)) return *refused;
    if (scratch.writes.empty()) {
      if (worker != nullptr) {
        worker->succeeded(CommitPath::empty);
      } else {
        slot.counters.commits_empty.add(1);
      }
      return Committed{expected, CommitPath::empty};
    }
    const CommitRequest<P> request{expected, scratch.footprint, scratch.writes};
    while (true) {
      const Claim<P>* claim = worker != nullptr ? worker->claim_if_any() : nullptr;
      const auto outcome = committer_.attempt(request, slot, claim);
      if (outcome.kind != AttemptOutcome<P>::busy) return settle(outcome, request, worker, slot);
      if (const Duration left = gate_.remaining(outcome.bar()); left > Duration(0)) {
        return busy(left, request, worker, slot);
      }
      gate_.expire(slot.counters);  // T5
    }
  }

  std::optional<Rejected> prepare(const WriteSet& writes, const std::vector<std::string>& reads,
                                  Scratch<P>& scratch) {
    for (const WriteSet::Entry& entry : writes.entries()) {
      if (auto refused = check_path(entry.path)) return refused;
      scratch.writes.emplace_back(index_.intern(entry.path), Datum<P>::of(std::optional<Value>(entry.value)));
    }
    for (const std::string& path : reads) {
      if (auto refused = check_path(path)) return refused;
      scratch.footprint.push_back(index_.intern(path));
    }
    sort_unique(scratch.footprint);
    return resolve(scratch.writes, index_);
  }

  CommitResult settle(const AttemptOutcome<P>& outcome, const CommitRequest<P>& request, Worker<P>* worker,
                      Slot<P>& slot) {
    if (outcome.kind == AttemptOutcome<P>::under_scalar) {
      return under_scalar(outcome.below->path(), outcome.where->path());
    }
    if (outcome.kind == AttemptOutcome<P>::committed) {
      if (worker != nullptr) worker->succeeded(outcome.path);
      return Committed{outcome.version, outcome.path};
    }
    TicketStatus ticket = TicketStatus::none;
    if (worker == nullptr) {
      slot.counters.conflicts.add(1);
    } else if (worker->conflicted(outcome.where)) {
      worker->join(cells_of(request));
      ticket = worker->ticket();
      if (ticket == TicketStatus::holding) drain(slot);
    }
    return Conflict{outcome.where == nullptr ? "" : outcome.where->path(), request.expected, outcome.version,
                    ticket};
  }

  CommitResult busy(Duration left, const CommitRequest<P>& request, Worker<P>* worker, Slot<P>& slot) {
    slot.counters.busy.add(1);
    if (worker != nullptr && worker->claimed()) worker->join(cells_of(request));
    return Busy{left};
  }

  /// What the turn of a worker that commits by hand reserves.
  static std::vector<Cell<P>*> cells_of(const CommitRequest<P>& request) {
    std::vector<Cell<P>*> cells(request.footprint.begin(), request.footprint.end());
    for (const Write<P>& write : request.cells) {
      if (write.is_put()) cells.push_back(write.cell);
    }
    sort_unique(cells);
    return cells;
  }

  /// Waits for the commits that passed the gate before it closed (S1).
  void drain(const Slot<P>& mine) {
    slots_.for_each([&mine](const Slot<P>& slot) {
      if (&slot == &mine) return;
      const std::uint64_t phase = slot.phase.load();
      if (phase % 2 == 1) P::await(slot.phase, [phase](std::uint64_t now) { return now != phase; });
    });
  }

  Cell<P>* intern(std::string_view path) {
    if (auto refused = check_path(path)) throw Error(std::move(*refused));
    return index_.intern(path);
  }

  Cell<P>* find(std::string_view path) {
    if (auto refused = check_path(path)) throw Error(std::move(*refused));
    return index_.find(path);
  }

  Cell<P>* find_or_intern(std::string_view path, bool must_exist) {
    return must_exist ? intern(path) : find(path);
  }

  Cell<P>* cell_of(const Key<P>& key) const {
    if (key.store_ != this) throw_foreign(key);
    return key.cell_;
  }

  [[noreturn, gnu::cold]] static void throw_foreign(const Key<P>& key) {
    throw Error({ErrorCode::foreign_key, "the key " + key.path() + " belongs to another store"});
  }

  const StoreOptions options_;
  Epoch<P> epoch_;
  typename P::template atomic<std::uint64_t> streams_{0};
  Slots<P> slots_;
  Index<P> index_;
  TicketGate<P> gate_;
  Reclaimer<P> reclaimer_{slots_, epoch_.open};
  Committer<P> committer_;
};

extern template class Store<NativePlatform>;

}  // namespace touchstone::engine
