#pragma once
// Runs jobs in real processes that can read shared memory and write none.
//
//   auto pool = WorkerPool::open(sum_of_frame, {.workers = 4});            // early: before main has threads
//   auto answer = pool->run({.inputs = "", .segments = {*handle}});        // in whichever worker is free
//   store.execute(process reading inputs, whose body calls pool->run and writes what it returned);
//
// run may be called from any number of threads; open, move and destruction exclude everything else. Open
// the pool in a thread that lives as long as the pool: its end is the workers' end.
//
// Q1 A job is given to one worker; a worker that dies in the middle costs the caller a typed error or a new
//    run (Options::attempts), never a wait without end, and no other job anything.
// Q2 The pool is refilled after every death.
// Q3 Workers are started early and wait; a job costs no fork.
// Q4 Workers die with main, however main dies (worker_nursery.h), and hold no right to write
//    (worker_sandbox.h).
// Q5 A re-run job may have run before, up to any point: only its answer counts, so a job has no other
//    effects.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/segments/error.h"
#include "engine/segments/worker_nursery.h"

namespace touchstone::engine {

class WorkerPool {
 public:
  struct Options {
    unsigned workers = 2;
    unsigned attempts = 1;  ///< how often a job is begun; more than 1: it is run again after a worker's death
    std::vector<std::string> output_directories = {};  ///< where a worker may write
  };

  /// Errors: worker_role, bad_directory, descriptor_limit, worker_died, system.
  static SegmentResult<WorkerPool> open(const Job& job, const Options& options);

  WorkerPool(WorkerPool&& other) noexcept;
  WorkerPool& operator=(WorkerPool&&) = delete;
  ~WorkerPool();

  /// Errors: worker_died (in every attempt, or the pool itself is gone), job_failed (the job threw),
  /// worker_role (in a child of main).
  SegmentResult<std::string> run(const JobRequest& request);

  /// The workers that wait now.
  std::vector<pid_t> idle_workers() const;

 private:
  struct State;
  explicit WorkerPool(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace touchstone::engine
