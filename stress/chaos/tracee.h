#pragma once
// A process that runs from one system call to the next, and no further than it is told.
//
//   Tracee victim = Tracee::start([&] { return work() ? 0 : 1; });
//   while (victim.step()) show(victim.where());     // "before openat", "after a call that gave 3", ...
//   victim.exit_code();                             // or victim.kill() at any stop
//
// Between two stops only memory of its own changes: all that other processes can see happens in a system
// call. So a kill at every stop is a kill at every moment that differs, provided that nothing is stored in
// shared memory after its publication, which is what engine/segments/unpublished.h promises.
//
// One thread owns a Tracee: ptrace belongs to the thread that started it. The traced process dies with its
// tracer.

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>

namespace touchstone::chaos {

class Tracee {
 public:
  /// Forks; the child stops before `body`, and ends with what it returns.
  static Tracee start(const std::function<int()>& body);

  Tracee(Tracee&& other) noexcept;
  Tracee& operator=(Tracee&&) = delete;
  ~Tracee() { kill(); }

  /// To the next entry into or return from a system call. False when the process has ended.
  bool step();

  /// To its end.
  void finish();

  /// kill -9 where it stands, and waits for it. At an entry the system call is not executed.
  void kill();

  bool ended() const { return ended_; }
  pid_t pid() const { return pid_; }

  /// What it ended with; nothing when it was killed or has not ended.
  std::optional<int> exit_code() const { return exit_code_; }

  /// "before linkat". Only at a stop.
  std::string where() const;

  /// It stands before a system call that only waits: nanosleep and its like.
  bool is_about_to_sleep() const;

 private:
  explicit Tracee(pid_t pid) : pid_(pid) {}

  void note_status(int status);

  pid_t pid_;
  bool ended_ = false;
  std::optional<int> exit_code_;
};

/// "" when this kernel and its settings allow ptrace of a child, else why not.
std::string why_no_ptrace();

}  // namespace touchstone::chaos
