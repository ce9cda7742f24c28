// What the segment protocol costs beside what people use instead: plain shm_open, a pipe, a socket.
//
// Every pair of rows does the same work: the same bytes are written, published under a name, and given back; or the
// same 64 MiB reach another process, which adds them up. Compare rows of one run: the machine's noise is in both.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "engine/segments/attachment.h"
#include "engine/segments/owner.h"
#include "engine/segments/reaper.h"
#include "engine/segments/worker_pool.h"

namespace {

using namespace touchstone::engine;

/// A directory in /dev/shm of this run's own, so that nobody else's names are listed.
class PrivateDirectory {
 public:
  PrivateDirectory() {
    std::string pattern = "/dev/shm/touchstone-bench-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    path_ = pattern;
  }
  ~PrivateDirectory() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

SegmentOwner owner_in(const PrivateDirectory& directory) {
  auto owner = SegmentOwner::open({.session = "bench", .directory = directory.path()});
  if (!owner) std::abort();
  return std::move(*owner);
}

std::vector<std::byte> payload_of(std::int64_t bytes) {
  return std::vector<std::byte>(static_cast<std::size_t>(bytes), std::byte{7});
}

void count_bytes(benchmark::State& state) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
}

void allocate_shm_open(benchmark::State& state) {
  const auto payload = payload_of(state.range(0));
  const std::string name = "/touchstone-bench-" + std::to_string(::getpid());
  for (auto _ : state) {
    const int fd = ::shm_open(name.c_str(), O_CREAT | O_EXCL | O_RDWR, 0600);
    if (fd < 0 || ::ftruncate(fd, state.range(0)) != 0) std::abort();
    void* const mapped = ::mmap(nullptr, payload.size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    std::memcpy(mapped, payload.data(), payload.size());
    ::munmap(mapped, payload.size());
    ::close(fd);
    ::shm_unlink(name.c_str());
  }
  count_bytes(state);
}

void allocate_segment(benchmark::State& state) {
  const PrivateDirectory directory;
  SegmentOwner owner = owner_in(directory);
  const auto payload = payload_of(state.range(0));
  for (auto _ : state) {
    if (!owner.allocate("frame", payload) || !owner.free("frame")) std::abort();
  }
  count_bytes(state);
}

void allocate_segment_filled_in_place(benchmark::State& state) {
  const PrivateDirectory directory;
  SegmentOwner owner = owner_in(directory);
  const auto payload = payload_of(state.range(0));
  const auto fill = [&](std::span<std::byte> to) { std::memcpy(to.data(), payload.data(), payload.size()); };
  for (auto _ : state) {
    if (!owner.allocate("frame", payload.size(), fill) || !owner.free("frame")) std::abort();
  }
  count_bytes(state);
}

void replace_segment(benchmark::State& state) {
  const PrivateDirectory directory;
  SegmentOwner owner = owner_in(directory);
  const auto payload = payload_of(state.range(0));
  if (!owner.allocate("frame", payload)) std::abort();
  for (auto _ : state) {
    if (!owner.replace("frame", payload)) std::abort();
  }
  count_bytes(state);
}

void attach_segment(benchmark::State& state) {
  const PrivateDirectory directory;
  SegmentOwner owner = owner_in(directory);
  const auto handle = owner.allocate("frame", payload_of(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(Attachment::attach(*handle, directory.path()));
}

constexpr std::int64_t kFrame = 64 << 20;

std::uint64_t sum_of(std::span<const std::byte> bytes) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, 8);
    sum += word;
  }
  return sum;
}

/// Processor time of this process and of the one that gets the frames. Who has to share the machine reads this: the
/// clock then shows who else is at work.
class ProcessorTime {
 public:
  explicit ProcessorTime(pid_t other) {
    if (::clock_getcpuclockid(other, &other_) != 0) std::abort();
    begin_ = now();
  }
  void report(benchmark::State& state) const {
    const double each = (now() - begin_) / static_cast<double>(state.iterations());
    state.counters["processor_ms"] = each * 1e3;
  }

 private:
  static double seconds(clockid_t clock) {
    timespec time{};
    ::clock_gettime(clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  }
  double now() const { return seconds(CLOCK_PROCESS_CPUTIME_ID) + seconds(other_); }

  clockid_t other_{};
  double begin_ = 0;
};

/// The worker attaches anew for every job: cold, page faults and all.
void frame_to_worker_by_segment(benchmark::State& state) {
  const PrivateDirectory directory;
  become_main();
  auto pool = WorkerPool::open(
      [path = directory.path()](const JobRequest& request) {
        const auto seen = Attachment::attach(request.segments.at(0), path);
        return std::to_string(seen ? sum_of(seen->bytes()) : 0);
      },
      {.workers = 1});
  SegmentOwner owner = owner_in(directory);
  const auto handle = owner.allocate("frame", payload_of(kFrame));
  if (!pool || !handle) std::abort();
  const ProcessorTime processor(pool->idle_workers().at(0));
  for (auto _ : state) {
    const auto answer = pool->run({.inputs = "", .segments = {*handle}});
    if (!answer || *answer == "0") std::abort();
  }
  processor.report(state);
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * kFrame);
}

/// A process that receives whole frames from `in`, adds each up and writes the sum to `out`. As by segment, the job has
/// the whole frame in its memory, and no memory before it begins.
[[noreturn]] void sum_frames(int in, int out) {
  while (true) {
    std::vector<std::byte> frame(kFrame);
    for (std::size_t received = 0; received < frame.size();) {
      const ssize_t got = ::read(in, frame.data() + received, frame.size() - received);
      if (got <= 0) ::_exit(0);
      received += static_cast<std::size_t>(got);
    }
    const std::uint64_t sum = sum_of(frame);
    if (::write(out, &sum, sizeof sum) != sizeof sum) ::_exit(1);
  }
}

void send_frames(benchmark::State& state, std::array<int, 2> there, std::array<int, 2> back) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(there[1]);
    sum_frames(there[0], back[1]);
  }
  const auto frame = payload_of(kFrame);
  const ProcessorTime processor(child);
  for (auto _ : state) {
    for (std::size_t sent = 0; sent < frame.size();) {
      const ssize_t wrote = ::write(there[1], frame.data() + sent, frame.size() - sent);
      if (wrote <= 0) std::abort();
      sent += static_cast<std::size_t>(wrote);
    }
    std::uint64_t sum = 0;
    if (::read(back[0], &sum, sizeof sum) != sizeof sum) std::abort();
  }
  processor.report(state);
  for (int fd : {there[0], there[1], back[0], back[1]}) ::close(fd);
  ::waitpid(child, nullptr, 0);
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * kFrame);
}

void frame_to_worker_by_pipe(benchmark::State& state) {
  std::array<int, 2> there{};
  std::array<int, 2> back{};
  if (::pipe2(there.data(), O_CLOEXEC) != 0 || ::pipe2(back.data(), O_CLOEXEC) != 0) std::abort();
  ::fcntl(there[1], F_SETPIPE_SZ, 1 << 20);
  send_frames(state, there, back);
}

void frame_to_worker_by_socket(benchmark::State& state) {
  std::array<int, 2> there{};
  std::array<int, 2> back{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, there.data()) != 0) std::abort();
  if (::pipe2(back.data(), O_CLOEXEC) != 0) std::abort();
  send_frames(state, there, back);
}

/// What the kernel alone takes for as many names: each made and unlinked by a process that knows it.
void make_and_unlink_plain(benchmark::State& state) {
  const std::string prefix = "/touchstone-bench-" + std::to_string(::getpid()) + ".";
  for (auto _ : state) {
    for (std::int64_t i = 0; i < state.range(0); ++i)
      ::close(::shm_open((prefix + std::to_string(i)).c_str(), O_CREAT | O_EXCL | O_RDWR, 0600));
    for (std::int64_t i = 0; i < state.range(0); ++i) ::shm_unlink((prefix + std::to_string(i)).c_str());
  }
}

/// 10,000 orphans in `sessions` sessions. Making them is not measured.
void reap_orphans(benchmark::State& state) {
  const PrivateDirectory directory;
  const std::int64_t sessions = state.range(0);
  for (auto _ : state) {
    state.PauseTiming();
    for (std::int64_t i = 0; i < 10'000; ++i) {
      const std::string name = "theus:s" + std::to_string(i % sessions) + ":1:" + std::to_string(i);
      std::ofstream(directory.path() + "/" + name);
    }
    state.ResumeTiming();
    const auto report = reap({.directory = directory.path(), .session = {}});
    if (report.removed_names != static_cast<std::size_t>(10'000 + sessions)) std::abort();
  }
}

void start_beside_live_segments(benchmark::State& state) {
  const PrivateDirectory directory;
  SegmentOwner alive = owner_in(directory);
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    if (!alive.allocate(std::to_string(i), std::span<const std::byte>())) std::abort();
  }
  for (auto _ : state)
    benchmark::DoNotOptimize(SegmentOwner::open({.session = "", .directory = directory.path()}));
}

BENCHMARK(allocate_shm_open)->Arg(4 << 10)->Arg(1 << 20)->Arg(64 << 20);
BENCHMARK(allocate_segment)->Arg(4 << 10)->Arg(1 << 20)->Arg(64 << 20);
BENCHMARK(allocate_segment_filled_in_place)->Arg(4 << 10)->Arg(1 << 20)->Arg(64 << 20);
BENCHMARK(replace_segment)->Arg(4 << 10)->Arg(1 << 20);
BENCHMARK(attach_segment)->Arg(4 << 10)->Arg(64 << 20);
BENCHMARK(frame_to_worker_by_segment)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(frame_to_worker_by_pipe)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(frame_to_worker_by_socket)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(make_and_unlink_plain)->Arg(10'000)->Unit(benchmark::kMillisecond);
BENCHMARK(reap_orphans)->Arg(1)->Arg(1000)->Unit(benchmark::kMillisecond);
BENCHMARK(start_beside_live_segments)->Arg(10'000)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
