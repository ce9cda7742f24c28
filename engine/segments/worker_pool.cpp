#include "engine/segments/worker_pool.h"

#include <cerrno>
#include <utility>

namespace touchstone::engine {

struct WorkerPool::State {
  State(WorkerNursery born_by, unsigned attempts_of_a_job)
      : nursery(std::move(born_by)), attempts(attempts_of_a_job) {}

  SegmentResult<BornWorker> take();
  void put_back(BornWorker worker);
  SegmentResult<Done> refill();

  const ProcessMark mark = ProcessMark::here();
  WorkerNursery nursery;
  const unsigned attempts;
  mutable std::mutex mutex;
  std::condition_variable freed;
  std::vector<BornWorker> idle;
  unsigned alive = 0;  ///< idle or at work
};

/// Waits for a free worker. With none left to wait for, tries to get one.
SegmentResult<BornWorker> WorkerPool::State::take() {
  {
    std::unique_lock lock(mutex);
    freed.wait(lock, [&] { return !idle.empty() || alive == 0; });
    if (!idle.empty()) {
      BornWorker worker = std::move(idle.back());
      idle.pop_back();
      return worker;
    }
  }
  if (auto refilled = refill(); !refilled) return refilled.error();
  return take();
}

void WorkerPool::State::put_back(BornWorker worker) {
  const std::lock_guard lock(mutex);
  idle.push_back(std::move(worker));
  freed.notify_one();
}

SegmentResult<Done> WorkerPool::State::refill() {
  auto worker = nursery.bear();
  if (!worker) return worker.error();
  const std::lock_guard lock(mutex);
  ++alive;
  idle.push_back(std::move(*worker));
  freed.notify_one();
  return Done{};
}

WorkerPool::WorkerPool(std::unique_ptr<State> state) : state_(std::move(state)) {}
WorkerPool::WorkerPool(WorkerPool&& other) noexcept = default;

/// In a child of main the state is left alone: another thread may have been inside it when main forked.
WorkerPool::~WorkerPool() {
  if (state_ && !state_->mark.is_here()) (void)state_.release();
}

SegmentResult<WorkerPool> WorkerPool::open(const Job& job, const Options& options) {
  auto nursery = WorkerNursery::open(job, options.output_directories);
  if (!nursery) return nursery.error();
  auto state = std::make_unique<State>(std::move(*nursery), options.attempts);
  for (unsigned i = 0; i < options.workers; ++i) {
    if (auto filled = state->refill(); !filled) return filled.error();
  }
  return WorkerPool(std::move(state));
}

SegmentResult<std::string> WorkerPool::run(const JobRequest& request) {
  if (!state_->mark.is_here()) {
    return SegmentError{SegmentErrc::worker_role, "this pool belongs to the process that opened it"};
  }
  for (unsigned begun = 0;;) {
    auto worker = state_->take();
    if (!worker) return worker.error();
    auto answer = run_job(worker->socket.get(), request);
    if (answer || answer.error().code != SegmentErrc::worker_died) {
      state_->put_back(std::move(*worker));
      return answer;
    }
    worker->socket.close();
    {
      const std::lock_guard lock(state_->mutex);
      --state_->alive;
    }
    const auto refilled = state_->refill();  // Q2
    state_->freed.notify_all();              // whoever waits for the last worker must not wait for ever
    if (answer.error().system_error != EPIPE) ++begun;
    if (begun >= state_->attempts) return answer;
    if (!refilled) return refilled.error();
  }
}

std::vector<pid_t> WorkerPool::idle_workers() const {
  const std::lock_guard lock(state_->mutex);
  std::vector<pid_t> pids;
  for (const BornWorker& worker : state_->idle) pids.push_back(worker.pid);
  return pids;
}

}  // namespace touchstone::engine
