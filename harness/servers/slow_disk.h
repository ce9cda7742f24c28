#pragma once
// A disk that takes its time: the calls that wait for it (fsync, fdatasync) of a server pass through this process's hands.
//
//   SlowDisk disk;                          // of the calling thread and of all that it starts from now on
//   start_etcd(directory, ...);
//   disk.slow(milliseconds(50));            // every such call waits this long before it is carried out
//   disk.heal();                            // those that wait go on at once, and no other waits
//
// The kernel hands each call to a thread of this object (seccomp's user notification), which lets it go on as it was made: nothing is
// changed, only later. That needs no trace, no other program and no right but seccomp itself, and it holds for every thread and child of
// a server, also for one that is started anew. Throws NoSlowDisk: this machine does not give that.
//
// What the caller may not do after this object's end is wait for a disk itself: the kernel keeps its filter, and nobody answers
// (ENOSYS). So: in a process made for one check, with servers that end before this object. Thread safety: slow(), heal() and the counts
// from any thread.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <thread>

namespace touchstone::harness {

struct NoSlowDisk : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class SlowDisk {
 public:
  SlowDisk();
  ~SlowDisk();
  SlowDisk(const SlowDisk&) = delete;
  SlowDisk& operator=(const SlowDisk&) = delete;

  void slow(std::chrono::milliseconds delay) { delay_ms_.store(delay.count()); }
  void heal() { delay_ms_.store(0); }

  std::uint64_t calls() const { return calls_.load(); }
  std::uint64_t delayed() const { return delayed_.load(); }

 private:
  using Clock = std::chrono::steady_clock;

  void serve();
  void take_call();
  void let_go_on(std::uint64_t id) const;
  void let_go_on_whose_time_has_come();

  int calls_made_ = -1;  ///< the kernel's side: readable when a call was made
  std::atomic<std::int64_t> delay_ms_{0};
  std::atomic<std::uint64_t> calls_{0};
  std::atomic<std::uint64_t> delayed_{0};
  std::multimap<Clock::time_point, std::uint64_t> waiting_;  ///< of the thread alone
  std::atomic<bool> end_{false};
  std::thread thread_;
};

}  // namespace touchstone::harness
