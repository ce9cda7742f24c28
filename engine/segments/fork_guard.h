#pragma once
// Who may allocate after a fork, and which descriptors a child must not keep.
//
//   GuardedDescriptor fd = GuardedDescriptor::open([&] { return ::open(...); });   // closed in every child
//   const ProcessMark mark = ProcessMark::here();      // remembers this process
//   if (!mark.is_here()) ...                           // we are in a child of it
//   become_main();                                     // an explicit act: this child may own segments
//
// Callable from any thread. A handler of pthread_atfork is installed by the first use.
//
// F1 After fork() the child is a worker, whatever its parent was, until it calls become_main().
// F2 Of fork()'s children none keeps a guarded descriptor: open and registration are one step for a
//    concurrent fork.
// F3 A mark holds in the process that made it and in no descendant: fork() changes the fork count, and a
//    raw clone, which runs no handlers, changes the pid. Both are compared, because a child in a new pid
//    namespace can have its parent's pid.
// F4 The guard's own lock is held over no system call but open, close, mmap and madvise, so that fork()
//    waits only for those.
//
// A raw clone keeps the descriptors: a lock then lives as long as that child, which is the safe direction.

#include <sys/types.h>

#include <cstdint>
#include <functional>

namespace touchstone::engine {

enum class ProcessRole : std::uint8_t {
  main,    ///< may own segments
  worker,  ///< may attach only
};

ProcessRole process_role();

/// Makes the calling process a main. What it inherited it still does not own.
void become_main();

/// Gives up the right to own segments.
void become_worker();

/// Runs `steps` while no other thread's fork() can happen between them. Keep them few (F4).
void without_fork(const std::function<void()>& steps);

class ProcessMark {
 public:
  static ProcessMark here();

  bool is_here() const;
  pid_t pid() const { return pid_; }

 private:
  ProcessMark(pid_t pid, std::uint64_t forks) : pid_(pid), forks_(forks) {}

  pid_t pid_;
  std::uint64_t forks_;
};

class GuardedDescriptor {
 public:
  /// `call` returns a descriptor, or -1 with errno set, and does nothing else.
  static GuardedDescriptor open(const std::function<int()>& call);

  GuardedDescriptor() = default;
  GuardedDescriptor(GuardedDescriptor&& other) noexcept;
  GuardedDescriptor& operator=(GuardedDescriptor&& other) noexcept;
  ~GuardedDescriptor() { close(); }

  /// -1 when the call failed, after close, and in a child of fork().
  int get() const;
  void close();

 private:
  int fd_ = -1;
  std::uint64_t forks_ = 0;
};

}  // namespace touchstone::engine
