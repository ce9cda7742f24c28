// C12, and what C1 says of a worker: real worker processes, killed in the middle of a job.

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <thread>

#include "engine/segments/worker_pool.h"
#include "harness/start_together.h"
#include "stress/chaos/refusal.h"
#include "stress/claims/claims.h"
#include "stress/claims/segment_scene.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;  // the claims are about it
using harness::ClaimRun;
using harness::ReplayClass;
using harness::Seed;

constexpr int kJobs = 24;
constexpr int kCallers = 3;

/// What the jobs are to do, and what became of them: memory that all processes share, because a worker's own is lost with it.
struct Board {
  struct Entry {
    int deaths = 0;                 ///< how many of its runs end by a kill
    bool by_others = false;         ///< it waits to be killed; else it kills itself
    std::atomic<int> runs{0};       ///< begun
    std::atomic<pid_t> waiting{0};  ///< who waits to be killed
  };
  std::array<Entry, kJobs> jobs;
};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<pid_t>::is_always_lock_free);

class SharedBoard {
 public:
  SharedBoard() {
    void* const memory =
        ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw harness::ClaimInconclusive("no shared memory for the claim itself");
    board_ = new (memory) Board;
  }
  ~SharedBoard() { ::munmap(board_, sizeof(Board)); }
  SharedBoard(const SharedBoard&) = delete;
  SharedBoard& operator=(const SharedBoard&) = delete;
  Board* operator->() { return board_; }

 private:
  Board* board_;
};

std::string content_of(int job) {
  return "frame of job " + std::to_string(job);
}

/// The job: reads its segment, dies as the board says, answers with what it read.
std::string run_as_told(SharedBoard& board, const std::string& directory, const JobRequest& request) {
  auto& entry = board->jobs.at(static_cast<std::size_t>(std::stoi(request.inputs)));
  const int run = entry.runs.fetch_add(1) + 1;
  const auto seen = Attachment::attach(request.segments.at(0), directory);
  if (!seen) throw std::runtime_error(describe(seen.error()));
  const std::string text(reinterpret_cast<const char*>(seen->bytes().data()), seen->bytes().size());
  if (run <= entry.deaths) {
    if (!entry.by_others) ::raise(SIGKILL);
    entry.waiting = ::getpid();
    chaos::wait_for_ever();
  }
  return text;
}

/// kill -9 from outside, of whoever waits for it, until the last caller has gone.
void kill_the_waiting(SharedBoard& board, const std::atomic<int>& callers, std::uint64_t& kills) {
  while (callers > 0) {
    for (auto& entry : board->jobs) {
      if (const pid_t pid = entry.waiting.exchange(0); pid != 0) {
        ::kill(pid, SIGKILL);
        ++kills;
      }
    }
    std::this_thread::yield();
  }
}

/// Goes also when it throws.
struct Leaving {
  std::atomic<int>& callers;
  ~Leaving() { callers.fetch_sub(1); }
};

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

/// A job whose deaths leave it an attempt is answered by it; any other is a typed error. Neither is run more often than it may.
void judge(const ClaimRun& run, SharedBoard& board, unsigned attempts, int job,
           const SegmentResult<std::string>& answer) {
  const auto& entry = board->jobs.at(static_cast<std::size_t>(job));
  const int most = static_cast<int>(attempts);
  if (entry.deaths < most) {
    run.require(answer && *answer == content_of(job), "job {}, killed {} of {} times: {}", job, entry.deaths,
                most, answer ? "a wrong answer" : describe(answer.error()));
  } else {
    run.require(!answer && answer.error().code == SegmentErrc::worker_died, "job {}, killed every time: {}",
                job, answer ? "an answer" : describe(answer.error()));
  }
  const int runs = entry.runs;
  run.require(runs == std::min(entry.deaths + 1, most), "job {} was begun {} times", job, runs);
}

// C12. Danger: a killed worker takes its job along, hangs its caller, spoils somebody else's answer, or leaves the pool smaller. Three
// callers run jobs on three workers; some jobs kill their worker, or wait until somebody else does. Every job must be answered, with
// what its own segment holds, or by a typed error if it was killed as often as it may run; the pool is full again; and in the end no
// process, no descriptor and no name is left.
void killed_workers_lose_no_job(ClaimRun& run) {
  run.rounds([&](Seed seed) {
    const chaos::Subreaper subreaper;
    auto stream = seed.stream("C12");
    Directory directory(run);
    SharedBoard board;
    for (auto& entry : board->jobs) {
      entry.deaths = stream.chance(1, 3) ? static_cast<int>(stream.between(1, 3)) : 0;
      entry.by_others = stream.chance(1, 2);
    }
    const unsigned attempts = 1 + static_cast<unsigned>(stream.below(3));
    const std::size_t descriptors = open_descriptors();
    {
      auto owner = need(SegmentOwner::open(directory.options()));
      std::vector<SegmentHandle> frames;
      for (int job = 0; job < kJobs; ++job)
        frames.push_back(need(owner.allocate(std::to_string(job), bytes(content_of(job)))));
      auto pool = need(WorkerPool::open(
          [&](const JobRequest& request) { return run_as_told(board, directory.path(), request); },
          {.workers = 3, .attempts = attempts}));
      std::uint64_t kills = 0;
      std::atomic<int> callers{kCallers};
      harness::start_together(kCallers + 1, [&](int thread) {
        if (thread == kCallers) {
          kill_the_waiting(board, callers, kills);
          return;
        }
        const Leaving leaving{callers};
        for (int job = thread; job < kJobs; job += kCallers) {
          const auto answer = pool.run(
              {.inputs = std::to_string(job), .segments = {frames.at(static_cast<std::size_t>(job))}});
          judge(run, board, attempts, job, answer);
        }
      });
      for (const auto& entry : board->jobs)
        if (!entry.by_others)
          kills += static_cast<std::uint64_t>(std::min<int>(entry.deaths, static_cast<int>(attempts)));
      run.tried().kills += kills;
      const auto idle = pool.idle_workers();
      run.require(idle.size() == 3, "{} of 3 workers wait after the kills", idle.size());
      ::kill(idle[0], SIGKILL);  // between jobs: none was begun, so it costs none
      ++run.tried().kills;
      board->jobs[0].deaths = 0;
      const auto answer = pool.run({.inputs = "0", .segments = {frames[0]}});
      run.require(answer && *answer == content_of(0), "after a kill between jobs: {}",
                  answer ? "a wrong answer" : describe(answer.error()));
      need(owner.audit());
      need(owner.shutdown());
      run.tried().operations += kJobs + 1;
    }
    chaos::Subreaper::wait_until_all_are_gone();
    run.require(open_descriptors() == descriptors, "descriptors leaked");
    run.require(directory.names() == 0, "{} names are left", directory.names());
  });
}

// C12. kill -9 of main in the middle of a job: no worker outlives it (this hangs if one does), and its segments go at the next start.
void killed_main_leaves_no_worker(ClaimRun& run) {
  run.once([&](Seed) {
    const chaos::Subreaper subreaper;
    Directory directory(run);
    chaos::Gate busy;
    auto main = chaos::Child::start([&]() -> std::string {
      become_main();
      auto owner = need(SegmentOwner::open(directory.options()));
      need(owner.allocate("frame", bytes("x")));
      auto pool = need(WorkerPool::open(
          [&](const JobRequest&) -> std::string {
            busy.open();
            chaos::wait_for_ever();
          },
          {.workers = 3}));
      return chaos::why(pool.run({}));
    });
    run.require(busy.wait(), "no job was begun");
    main.kill();
    ++run.tried().kills;
    chaos::Subreaper::wait_until_all_are_gone();
    directory.reap();
    run.require(directory.names() == 0, "{} names are left", directory.names());
  });
}

// C1. A worker of the pool, with main's own owner in its memory, may neither allocate nor own, also if it calls itself a main's child.
void pool_workers_may_not_allocate(ClaimRun& run) {
  run.once([&](Seed) {
    Directory directory(run);
    auto owner = need(SegmentOwner::open(directory.options()));
    const auto handle = need(owner.allocate("key", bytes("x")));
    auto pool = need(WorkerPool::open(
        [&](const JobRequest&) {
          using chaos::expect_refusal;
          return expect_refusal(owner.allocate("mine", bytes("x")), SegmentErrc::worker_role) +
                 expect_refusal(owner.replace("key", bytes("y")), SegmentErrc::worker_role) +
                 expect_refusal(SegmentOwner::open(directory.options()), SegmentErrc::worker_role) +
                 expect_refusal(owner.free("key"), SegmentErrc::not_creator);
        },
        {.workers = 1}));
    const std::string wrong = need(pool.run({.inputs = "", .segments = {handle}}));
    run.require(wrong.empty(), "in a worker of the pool: {}", wrong);
    need(owner.audit());
    run.tried().operations += 4;
  });
}

}  // namespace

void add_worker_pool_claims(harness::ClaimRegistry& registry) {
  constexpr auto kWorkload = ReplayClass::workload;
  registry.add({"C12", "a worker killed in a job: typed error or re-run, pool refilled, nothing leaks",
                "processes", kWorkload, 2, killed_workers_lose_no_job});
  registry.add_part("C12", {"main", "processes", kWorkload, 0, killed_main_leaves_no_worker});
  registry.add_part("C1", {"pool", "processes", kWorkload, 0, pool_workers_may_not_allocate});
}

}  // namespace touchstone::stress
