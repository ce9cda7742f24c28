#pragma once
// A process that runs from one system call to the next, and no further than it is told.
//
//   Tracee victim = Tracee::start({.prepare = [&] { set_up(); }, .act = [&] { return work() ? 0 : 1; }});
//   while (victim.step()) show(victim.where());     // "before openat", "after a call that gave 3", ...
//   victim.exit_code();                             // or victim.kill() at any stop
//
// Between two stops only memory of its own changes: all that other processes can see happens in a system
// call. So a kill at every stop is a kill at every moment that differs, provided that nothing is stored in
// shared memory after its publication, which is what engine/segments/unpublished.h promises.
//
// One thread owns a Tracee: ptrace belongs to the thread that started it. The traced process dies with its
// tracer.

#include <sched.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace touchstone::chaos {

/// What a traced process does.
struct Victim {
  std::function<void()> prepare = [] {};  ///< before its first stop
  std::function<int()> act;               ///< stop by stop; it ends with what this returns
};

/// Where a process stands.
struct SystemCall {
  bool entering = false;
  std::uint64_t number = 0;                  ///< when entering
  std::array<std::uint64_t, 6> arguments{};  ///< when entering
  std::int64_t result = 0;                   ///< when leaving: a value, or minus an errno
};

class Tracee {
 public:
  static Tracee start(const Victim& victim);

  /// A process that runs already and waits in a system call: its first stop is the entry of that call, made again.
  /// Where ptrace may trace descendants only (Yama), it must be one.
  static Tracee attach(pid_t pid);

  Tracee(Tracee&& other) noexcept;
  Tracee& operator=(Tracee&&) = delete;
  ~Tracee() { kill(); }

  /// To the next entry into or return from a system call. False when the process has ended or parked itself.
  bool step();

  /// To its end, through whatever stops remain.
  void finish();

  /// Lets it run on, untraced.
  void release();

  /// kill -9 where it stands, and waits for it. At an entry the system call is not executed.
  void kill();

  bool ended() const { return ended_; }
  bool parked() const { return parked_; }
  pid_t pid() const { return pid_; }

  /// What it ended with; nothing when it was killed or has not ended.
  std::optional<int> exit_code() const { return exit_code_; }

  SystemCall call() const;

  /// "before linkat". Only at a stop.
  std::string where() const;

  /// The text at an address of the process.
  std::string text_at(std::uint64_t address) const;

  /// Called by the traced process: stops it alive until finish().
  static void park();

 private:
  explicit Tracee(pid_t pid) : pid_(pid) {}

  void note_status(int status);
  bool resume(int request);

  pid_t pid_;
  bool ended_ = false;
  bool parked_ = false;
  std::optional<int> exit_code_;
};

/// Keeps the calling thread, and every process that it starts, on one processor. Tracer and traced take turns: on one
/// processor that is a switch, between two it is a wake-up that may wait for its turn (measured: 4 to 6 times slower on
/// a busy machine).
class OneProcessor {
 public:
  OneProcessor();
  OneProcessor(const OneProcessor&) = delete;
  OneProcessor& operator=(const OneProcessor&) = delete;
  ~OneProcessor();

 private:
  cpu_set_t before_;
};

/// "linkat"; a call that the protocol does not make is shown by its number.
std::string name_of_call(std::uint64_t number);

/// "" when this kernel and its settings allow ptrace of a child, else why not.
std::string why_no_ptrace();

}  // namespace touchstone::chaos
