#pragma once
// The reference engine as a peer, used in three ways.
//
//   Touchstone        execute() of a process made once for each footprint, paths by handle, version not asked for
//   TouchstoneByPath  the same with paths looked up by name at every access
//   TouchstoneCas     a loop written by hand: snapshot, read, numbered compare_and_swap of paths by name
//
// Default options: Smart CAS, back-off and the priority ticket on, statistics counted, contracts checked.

#include <algorithm>
#include <thread>

#include "bench/workload.h"
#include "engine/store.h"

namespace touchstone::bench {

inline std::string path_of(std::uint64_t id) {
  return std::to_string(id);
}
inline std::string path_of(std::string id) {
  return id;
}

/// A store with the population's keys at 0, and what all ways of using it share.
template <class Id>
class TouchstoneStore {
 public:
  using Platform = engine::NativePlatform;
  using Body = engine::Process<Platform>::Body;

  explicit TouchstoneStore(const Population& population, engine::StoreOptions options = {})
      : population_(population), store_(std::move(options)) {
    constexpr std::size_t kChunk = 1000;
    for (std::uint32_t key = 0; key < population.shape().keys; ++key) {
      paths_.push_back(path_of(id_of<Id>(key)));
      keys_.push_back(store_.key(paths_.back()));
    }
    for (std::size_t begin = 0; begin < paths_.size(); begin += kChunk) {
      engine::WriteSet writes;
      const std::size_t end = std::min(paths_.size(), begin + kChunk);
      for (std::size_t i = begin; i < end; ++i) writes.set(paths_[i], std::int64_t{0});
      store_.compare_and_swap(store_.version(), writes);
    }
    for (std::uint32_t f = 0; f < population.footprints(); ++f) {
      for (const std::uint32_t key : population.keys_of(f)) footprint_keys_.push_back(keys_[key]);
    }
  }

  engine::Store<>& store() { return store_; }
  const Population& population() const { return population_; }
  const std::string& path(std::uint32_t key) const { return paths_[key]; }
  const engine::Key<Platform>& key(std::uint32_t key) const { return keys_[key]; }

  /// The handles of a footprint, side by side.
  const engine::Key<Platform>* handles(std::uint32_t footprint) const {
    return footprint_keys_.data() + std::size_t{footprint} * population_.shape().footprint;
  }

  engine::Contract contract(std::uint32_t footprint) const {
    engine::Contract contract;
    for (const std::uint32_t key : population_.keys_of(footprint)) contract.outputs.push_back(paths_[key]);
    return contract;
  }

  std::int64_t sum(std::span<const std::uint32_t> keys) {
    const auto snapshot = store_.snapshot();
    std::int64_t sum = 0;
    for (const std::uint32_t key : keys) sum += snapshot.read(keys_[key])->integer();
    return sum;
  }

  std::int64_t total() {
    std::vector<std::uint32_t> all(population_.shape().keys);
    std::iota(all.begin(), all.end(), 0);
    return sum(all);
  }

  void annotate(benchmark::UserCounters& counters) {
    const engine::Statistics statistics = store_.statistics();
    const auto commits = static_cast<double>(std::max<std::uint64_t>(statistics.commits(), 1));
    counters["fast_share"] = static_cast<double>(statistics.commits_fast) / commits;
    counters["busy_per_commit"] = static_cast<double>(statistics.busy) / commits;
    counters["grants"] = static_cast<double>(statistics.grants);
  }

 private:
  const Population& population_;
  engine::Store<> store_;
  std::vector<std::string> paths_;
  std::vector<engine::Key<Platform>> keys_;
  std::vector<engine::Key<Platform>> footprint_keys_;
};

template <class Id>
class Touchstone {
 public:
  using Platform = engine::NativePlatform;

  explicit Touchstone(const Population& population, engine::StoreOptions options = {})
      : base_(population, std::move(options)) {
    const std::uint32_t n = population.shape().footprint;
    for (std::uint32_t f = 0; f < population.footprints(); ++f) {
      const auto body = [first = base_.handles(f), n](engine::Context<Platform>& ctx) {
        for (std::uint32_t i = 0; i < n; ++i)
          ctx.set(first[i], *ctx.template get<std::int64_t>(first[i]) + 1);
      };
      processes_.push_back(base_.store().process("add", base_.contract(f), body));
    }
  }

  class Session {
   public:
    explicit Session(Touchstone& peer) : peer_(peer), worker_(peer.base_.store().worker()) {}

    int add(std::uint32_t footprint) {
      return peer_.base_.store().execute(worker_, peer_.processes_[footprint]).effort.conflicts;
    }

    std::optional<std::int64_t> sum(std::span<const std::uint32_t> keys, const StopSign&) {
      return peer_.base_.sum(keys);
    }

   private:
    Touchstone& peer_;
    engine::Worker<Platform> worker_;
  };

  std::int64_t total() { return base_.total(); }
  void annotate(benchmark::UserCounters& counters) { base_.annotate(counters); }

 private:
  TouchstoneStore<Id> base_;
  std::vector<engine::Process<Platform>> processes_;
};

template <class Id>
class TouchstoneByPath {
 public:
  using Platform = engine::NativePlatform;

  explicit TouchstoneByPath(const Population& population) : base_(population) {
    for (std::uint32_t f = 0; f < population.footprints(); ++f) {
      const auto body = [this, f](engine::Context<Platform>& ctx) {
        for (const std::uint32_t key : base_.population().keys_of(f)) {
          const std::string& path = base_.path(key);
          ctx.set(path, ctx.read(path)->integer() + 1);
        }
      };
      processes_.push_back(base_.store().process("add", base_.contract(f), body));
    }
  }

  class Session {
   public:
    explicit Session(TouchstoneByPath& peer) : peer_(peer), worker_(peer.base_.store().worker()) {}

    int add(std::uint32_t footprint) {
      return peer_.base_.store().execute(worker_, peer_.processes_[footprint]).effort.conflicts;
    }

    std::optional<std::int64_t> sum(std::span<const std::uint32_t> keys, const StopSign&) {
      const auto snapshot = peer_.base_.store().snapshot();
      std::int64_t sum = 0;
      for (const std::uint32_t key : keys) sum += snapshot.read(peer_.base_.path(key))->integer();
      return sum;
    }

   private:
    TouchstoneByPath& peer_;
    engine::Worker<Platform> worker_;
  };

  std::int64_t total() { return base_.total(); }

 private:
  TouchstoneStore<Id> base_;
  std::vector<engine::Process<Platform>> processes_;
};

template <class Id>
class TouchstoneCas {
 public:
  using Platform = engine::NativePlatform;

  explicit TouchstoneCas(const Population& population) : base_(population) {}

  class Session {
   public:
    explicit Session(TouchstoneCas& peer)
        : base_(peer.base_), store_(base_.store()), worker_(store_.worker()) {}

    int add(std::uint32_t footprint) {
      for (int failures = 0;; ++failures) {
        const auto [expected, writes] = run_body(footprint);
        if (submit(expected, writes)) return failures;
        if (worker_.ticket() != engine::TicketStatus::none) store_.await_turn(worker_);
      }
    }

    std::optional<std::int64_t> sum(std::span<const std::uint32_t> keys, const StopSign&) {
      return base_.sum(keys);
    }

   private:
    std::pair<engine::Version, engine::WriteSet> run_body(std::uint32_t footprint) {
      const auto snapshot = store_.snapshot();
      engine::WriteSet writes;
      for (const std::uint32_t key : base_.population().keys_of(footprint)) {
        writes.set(base_.path(key), snapshot.read(base_.key(key))->integer() + 1);
      }
      return {snapshot.version(), std::move(writes)};
    }

    /// True when committed, false after a conflict; Busy resubmits the same attempt.
    bool submit(engine::Version expected, const engine::WriteSet& writes) {
      while (true) {
        const auto result = store_.compare_and_swap(expected, writes, &worker_);
        if (std::holds_alternative<engine::Committed>(result)) return true;
        if (!std::holds_alternative<engine::Busy>(result)) return false;
        const engine::Duration left = std::get<engine::Busy>(result).retry_after;
        std::this_thread::sleep_for(std::min<engine::Duration>(left, std::chrono::microseconds(100)));
      }
    }

    TouchstoneStore<Id>& base_;
    engine::Store<>& store_;
    engine::Worker<Platform> worker_;
  };

  std::int64_t total() { return base_.total(); }
  void annotate(benchmark::UserCounters& counters) { base_.annotate(counters); }

 private:
  TouchstoneStore<Id> base_;
};

}  // namespace touchstone::bench
