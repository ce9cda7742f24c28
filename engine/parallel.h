#pragma once
// Parallel processes: a body that runs in a worker process, on its declared inputs. Main commits what it returns.
//
//   WriteSet add_up(const ParallelInputs& in);                                // in.values.at("bias"), in.segments
//   auto pool = WorkerPool::open(parallel_job({{"sum", add_up}}), {.workers = 4});                // early
//   const auto frames = [&] { return owner.segments(); };
//   auto sum = parallel_process(store, *pool, "sum", {.inputs = {"bias"}, .outputs = {"sum"}}, frames);
//   store.execute(worker, sum);
//
// Thread safety: that of WorkerPool::run and Store::execute. The pool outlives the process.
//
// X1 A job gets the values that the declared inputs have in its attempt's snapshot, and the handles: nothing else of
//    the store, and of a segment of any size only its handle.
// X2 What it returns is written through the attempt's Context: undeclared writes are refused like any body's, a
//    conflict runs the job again, and only the commit publishes.
// X3 A worker that died, a job that threw and an answer that is none leave execute() as ParallelFailed, with the typed
//    error in it; nothing is committed and the ticket is given back. Bytes from another process are never trusted.

#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/segments/worker_pool.h"
#include "engine/store.h"

namespace touchstone::engine {

struct ParallelInputs {
  std::map<std::string, Value> values;  ///< by declared path; an absent path has none
  std::vector<SegmentHandle> segments;
};

/// Runs in a worker. It may throw: job_failed.
using ParallelBody = std::function<WriteSet(const ParallelInputs&)>;

/// Through execute(), as any exception of a body.
class ParallelFailed : public std::runtime_error {
 public:
  explicit ParallelFailed(SegmentError error)
      : std::runtime_error(describe(error)), error_(std::move(error)) {}
  const SegmentError& error() const { return error_; }

 private:
  SegmentError error_;
};

/// What a pool of workers needs to run these bodies, by the name of their process.
Job parallel_job(std::map<std::string, ParallelBody> bodies);

/// Runs the body of that name in a worker. Throws ParallelFailed.
WriteSet run_parallel(WorkerPool& pool, std::string_view name, const ParallelInputs& inputs);

/// The encoding of an answer; nothing when the bytes are none.
std::string encode_writes(const WriteSet& writes);
std::optional<WriteSet> decode_writes(std::string_view bytes);

/// `segments` says at each attempt which segments the job gets.
template <Platform P>
Process<P> parallel_process(
    Store<P>& store, WorkerPool& pool, std::string name, Contract contract,
    std::function<std::vector<SegmentHandle>()> segments = [] { return std::vector<SegmentHandle>(); }) {
  auto body = [&pool, name, inputs = contract.inputs, segments = std::move(segments)](Context<P>& context) {
    ParallelInputs given{{}, segments()};
    for (const std::string& path : inputs) {
      if (auto value = context.read(path)) given.values.emplace(path, std::move(*value));
    }
    const WriteSet writes = run_parallel(pool, name, given);
    for (const WriteSet::Entry& entry : writes.entries()) {
      if (entry.value) {
        context.set(entry.path, *entry.value);
      } else {
        context.erase(entry.path);
      }
    }
  };
  return store.process(std::move(name), std::move(contract), std::move(body));
}

}  // namespace touchstone::engine
