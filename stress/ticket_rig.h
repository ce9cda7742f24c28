#pragma once
// Scenes of the ticket on real threads, shared by the acceptance tests and the claims.
//
//   auto store = patient_store({}, seed);            // version 1, "n" is stale for version 0, leases of an hour
//   auto late = hire(*store, 4);                     // one conflict short of the ticket
//   fail_once(*store, *late);                        // TicketStatus::holding
//   Queue queue(*store); queue.add(0); queue.add(1); // two executions that wait in this order (busy_limit 0)
//
// Thread safety: one thread, as the scene's director. A scene that cannot be set throws std::runtime_error.

#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "engine/store.h"

namespace touchstone::stress {

using NativeStore = engine::Store<engine::NativePlatform>;
using NativeWorker = engine::Worker<engine::NativePlatform>;

template <class Outcome>
bool is(const engine::CommitResult& result) {
  return std::holds_alternative<Outcome>(result);
}

inline void need(bool holds, const char* scene) {
  if (!holds) throw std::runtime_error(scene);
}

inline engine::CommitResult write(NativeStore& store, engine::Version expected, const std::string& path,
                                  NativeWorker* worker = nullptr) {
  return store.compare_and_swap(expected, engine::WriteSet{}.set(path, static_cast<std::int64_t>(expected)),
                                worker);
}

/// A worker that may go away in the middle of a scene.
inline std::unique_ptr<NativeWorker> hire(NativeStore& store, int failures) {
  return std::unique_ptr<NativeWorker>(new NativeWorker(store.worker({.failures = failures})));
}

/// One conflict of `worker`: version 0 is stale for `n` in every store of these scenes.
inline engine::TicketStatus fail_once(NativeStore& store, NativeWorker& worker) {
  const auto result = write(store, 0, "n", &worker);
  const auto* conflict = std::get_if<engine::Conflict>(&result);
  if (conflict == nullptr) throw std::runtime_error("a stale commit did not conflict");
  return conflict->ticket;
}

/// A store at version 1 whose leases end only by the hands of the director.
inline std::unique_ptr<NativeStore> patient_store(engine::StoreOptions options, std::uint64_t seed) {
  options.lease_least = std::chrono::hours(1);
  options.seed = seed;
  auto store = std::make_unique<NativeStore>(std::move(options));
  write(*store, 0, "n");
  return store;
}

/// Of a store in which a worker that has run_once() has a lease of more than an hour, and any other one of a millisecond.
inline engine::StoreOptions leases_by_experience() {
  return {.lease_least = std::chrono::milliseconds(1), .lease_factor = 3'600'000};
}

inline void run_once(NativeStore& store, NativeWorker& worker) {
  using engine::NativePlatform;
  auto process = store.process("slow", {.inputs = {}, .outputs = {"slow"}}, [](auto& ctx) {
    NativePlatform::sleep_until(NativePlatform::now() + std::chrono::milliseconds(1));
    ctx.set("slow", 1);
  });
  need(store.execute(worker, process).committed(), "a worker alone did not commit");
}

/// Lets `late` earn the ticket and overstay its lease, which somebody else's commit then ends.
inline void overstay(NativeStore& store, NativeWorker& late) {
  using engine::NativePlatform;
  need(fail_once(store, late) == engine::TicketStatus::holding, "the fifth conflict earned no ticket");
  NativePlatform::sleep_until(NativePlatform::now() + std::chrono::milliseconds(2));
  need(is<engine::Committed>(write(store, store.version(), "n")), "the gate did not open for whoever looked");
  need(late.ticket() == engine::TicketStatus::none, "an expired ticket is still held");
}

/// Executions that wait at the closed gate and join the queue at once (busy_limit is 0), one after the other.
class Queue {
 public:
  explicit Queue(NativeStore& store) : store_(store) {}
  ~Queue() { join(); }
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Returns when the new one is in the queue.
  void add(int name) {
    const auto joined = store_.statistics().limit_joins;
    threads_.emplace_back([this, name] {
      auto worker = store_.worker();
      int runs = 0;
      auto process = store_.process("candidate", {.inputs = {}, .outputs = {"n"}}, [&](auto& ctx) {
        if (++runs > 1) in_turn(name);
        ctx.set("n", name);
      });
      committed_ += store_.execute(worker, process).committed() ? 1 : 0;
    });
    while (store_.statistics().limit_joins == joined) std::this_thread::yield();
  }

  /// Waits until all have ended.
  void join() {
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }

  std::vector<int> order() {
    const std::lock_guard lock(mutex_);
    return order_;
  }
  int committed() const { return committed_; }
  bool had_two_holders() const { return two_holders_; }

 private:
  void in_turn(int name) {
    if (holders_.fetch_add(1) != 0) two_holders_ = true;
    std::this_thread::yield();
    holders_.fetch_sub(1);
    const std::lock_guard lock(mutex_);
    order_.push_back(name);
  }

  NativeStore& store_;
  std::mutex mutex_;
  std::vector<int> order_;
  std::atomic<int> holders_{0};
  std::atomic<int> committed_{0};
  std::atomic<bool> two_holders_{false};
  std::vector<std::thread> threads_;
};

}  // namespace touchstone::stress
