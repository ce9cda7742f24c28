#pragma once
// The process that bears workers, and what a worker does.
//
//   auto nursery = WorkerNursery::open(job, output_directories);       // one fork, before main has threads
//   auto worker = nursery->bear();                                     // a new process, and the way to it
//   run_job(worker->socket.get(), request);                            // the job's answer, or why there is none
//
// bear may be called from several threads. The nursery stays single-threaded for ever: so its forks are
// safe whatever threads main has, and a worker's parent never is a thread that happens to end.
//
// B1 The nursery dies with the thread that opened it (PR_SET_PDEATHSIG) and at the end of file on its
//    socket; workers die with the nursery, and at the end of file on theirs. So kill -9 of main leaves no
//    process.
// B2 The nursery enters the sandbox before it bears anybody, and every worker inherits it.
// B3 The sockets at main's side are closed in children that main forks: only main keeps a worker alive.

#include <sys/types.h>

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/segments/attachment.h"
#include "engine/segments/error.h"
#include "engine/segments/fork_guard.h"

namespace touchstone::engine {

/// What a worker gets: some bytes, and handles of segments of any size.
struct JobRequest {
  std::string inputs = {};
  std::vector<SegmentHandle> segments = {};
};

/// Runs in a worker. What it throws is reported as job_failed.
using Job = std::function<std::string(const JobRequest&)>;

struct BornWorker {
  pid_t pid = -1;
  GuardedDescriptor socket;
};

class WorkerNursery {
 public:
  /// Errors: worker_role, descriptor_limit, system; and, when the sandbox was refused, bad_directory.
  static SegmentResult<WorkerNursery> open(const Job& job,
                                           const std::vector<std::string>& output_directories);

  WorkerNursery(WorkerNursery&& other) noexcept;
  WorkerNursery& operator=(WorkerNursery&&) = delete;
  ~WorkerNursery();

  /// Errors: worker_died (the nursery itself is gone), descriptor_limit, system.
  SegmentResult<BornWorker> bear();

  pid_t pid() const { return pid_; }

 private:
  WorkerNursery(pid_t pid, GuardedDescriptor socket) : pid_(pid), socket_(std::move(socket)) {}

  pid_t pid_;
  ProcessMark mark_ = ProcessMark::here();
  GuardedDescriptor socket_;
  std::mutex mutex_;  ///< one birth at a time
};

/// Sends the request and waits for the answer. Errors: worker_died (with EPIPE: the job was never begun),
/// job_failed.
SegmentResult<std::string> run_job(int socket, const JobRequest& request);

}  // namespace touchstone::engine
