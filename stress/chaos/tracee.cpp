#include "stress/chaos/tracee.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "stress/chaos/child.h"

namespace touchstone::chaos {
namespace {

/// The exit code of a process that may not be traced.
constexpr int kCannotTrace = 78;

struct NamedCall {
  std::uint64_t number;
  const char* name;
};

/// Those that the protocol makes; any other is shown by its number.
constexpr std::array kNamedCalls{NamedCall{SYS_read, "read"},
                                 NamedCall{SYS_write, "write"},
                                 NamedCall{SYS_pread64, "pread64"},
                                 NamedCall{SYS_pwrite64, "pwrite64"},
                                 NamedCall{SYS_pwritev, "pwritev"},
                                 NamedCall{SYS_writev, "writev"},
                                 NamedCall{SYS_openat, "openat"},
                                 NamedCall{SYS_close, "close"},
                                 NamedCall{SYS_mmap, "mmap"},
                                 NamedCall{SYS_munmap, "munmap"},
                                 NamedCall{SYS_mprotect, "mprotect"},
                                 NamedCall{SYS_madvise, "madvise"},
                                 NamedCall{SYS_brk, "brk"},
                                 NamedCall{SYS_flock, "flock"},
                                 NamedCall{SYS_fstat, "fstat"},
                                 NamedCall{SYS_newfstatat, "newfstatat"},
                                 NamedCall{SYS_getdents64, "getdents64"},
                                 NamedCall{SYS_fallocate, "fallocate"},
                                 NamedCall{SYS_fchmod, "fchmod"},
                                 NamedCall{SYS_linkat, "linkat"},
                                 NamedCall{SYS_renameat, "renameat"},
                                 NamedCall{SYS_unlinkat, "unlinkat"},
                                 NamedCall{SYS_fcntl, "fcntl"},
                                 NamedCall{SYS_lseek, "lseek"},
                                 NamedCall{SYS_getpid, "getpid"},
                                 NamedCall{SYS_geteuid, "geteuid"},
                                 NamedCall{SYS_clock_nanosleep, "clock_nanosleep"},
                                 NamedCall{SYS_exit_group, "exit_group"}};

__ptrace_syscall_info info_of(pid_t pid) {
  __ptrace_syscall_info info{};
  ::ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info);
  return info;
}

std::string name_of_call(std::uint64_t number) {
  for (const NamedCall& call : kNamedCalls) {
    if (call.number == number) return call.name;
  }
  return "syscall " + std::to_string(number);
}

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, __WALL) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "waitpid");
  }
  return status;
}

}  // namespace

Tracee Tracee::start(const std::function<int()>& body) {
  const pid_t pid = ::fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) {
    forget_signal_handlers();
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(kCannotTrace);
    ::raise(SIGSTOP);
    ::_exit(body());
  }
  Tracee tracee(pid);
  tracee.note_status(wait_for(pid));
  if (!tracee.ended_) {
    ::ptrace(PTRACE_SETOPTIONS, pid, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  }
  return tracee;
}

Tracee::Tracee(Tracee&& other) noexcept
    : pid_(other.pid_), ended_(std::exchange(other.ended_, true)), exit_code_(other.exit_code_) {}

void Tracee::note_status(int status) {
  if (WIFEXITED(status)) {
    ended_ = true;
    exit_code_ = WEXITSTATUS(status);
  } else if (WIFSIGNALED(status)) {
    ended_ = true;
  }
}

bool Tracee::step() {
  int signal_to_deliver = 0;
  while (!ended_) {
    if (::ptrace(PTRACE_SYSCALL, pid_, nullptr, signal_to_deliver) != 0) {
      throw std::system_error(errno, std::generic_category(), "PTRACE_SYSCALL");
    }
    const int status = wait_for(pid_);
    note_status(status);
    if (ended_) break;
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) return true;
    signal_to_deliver = WSTOPSIG(status);
  }
  return false;
}

void Tracee::finish() {
  while (step()) {
    // Its stops do not matter any more.
  }
}

void Tracee::kill() {
  if (ended_) return;
  ::kill(pid_, SIGKILL);
  while (!ended_) note_status(wait_for(pid_));
}

std::string Tracee::where() const {
  const __ptrace_syscall_info info = info_of(pid_);
  if (info.op == PTRACE_SYSCALL_INFO_ENTRY) return "before " + name_of_call(info.entry.nr);
  if (info.op == PTRACE_SYSCALL_INFO_EXIT) return "after a call that gave " + std::to_string(info.exit.rval);
  return "outside of system calls";
}

bool Tracee::is_about_to_sleep() const {
  const __ptrace_syscall_info info = info_of(pid_);
  return info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_clock_nanosleep;
}

std::string why_no_ptrace() {
  Tracee probe = Tracee::start([] { return 0; });
  probe.finish();
  if (probe.exit_code() == 0) return "";
  return "this environment does not allow ptrace";
}

}  // namespace touchstone::chaos
