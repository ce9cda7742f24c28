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

constexpr std::size_t kLongestText = 4096;

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
                                 NamedCall{SYS_recvfrom, "recvfrom"},
                                 NamedCall{SYS_sendto, "sendto"},
                                 NamedCall{SYS_sendmsg, "sendmsg"},
                                 NamedCall{SYS_socketpair, "socketpair"},
                                 NamedCall{SYS_clone, "clone"},
                                 NamedCall{SYS_prctl, "prctl"},
                                 NamedCall{SYS_getpid, "getpid"},
                                 NamedCall{SYS_geteuid, "geteuid"},
                                 NamedCall{SYS_clock_nanosleep, "clock_nanosleep"},
                                 NamedCall{SYS_exit_group, "exit_group"}};

int wait_for(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, __WALL) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "waitpid");
  }
  return status;
}

}  // namespace

std::string name_of_call(std::uint64_t number) {
  for (const NamedCall& call : kNamedCalls) {
    if (call.number == number) return call.name;
  }
  return "syscall " + std::to_string(number);
}

Tracee Tracee::start(const Victim& victim) {
  const pid_t pid = ::fork();
  if (pid < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (pid == 0) {
    forget_signal_handlers();
    victim.prepare();
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(kCannotTrace);
    park();
    ::_exit(victim.act());
  }
  Tracee tracee(pid);
  tracee.note_status(wait_for(pid));
  if (!tracee.ended_) {
    tracee.parked_ = false;
    ::ptrace(PTRACE_SETOPTIONS, pid, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  }
  return tracee;
}

Tracee Tracee::attach(pid_t pid) {
  constexpr long kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL;
  if (::ptrace(PTRACE_SEIZE, pid, nullptr, kOptions) != 0 ||
      ::ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr) != 0) {
    throw std::system_error(errno, std::generic_category(), "ptrace");
  }
  Tracee tracee(pid);
  tracee.note_status(wait_for(pid));
  return tracee;
}

void Tracee::park() {
  ::raise(SIGSTOP);
}

Tracee::Tracee(Tracee&& other) noexcept
    : pid_(other.pid_),
      ended_(std::exchange(other.ended_, true)),
      parked_(other.parked_),
      exit_code_(other.exit_code_) {}

void Tracee::note_status(int status) {
  parked_ = WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP;
  ended_ = !WIFSTOPPED(status);
  if (WIFEXITED(status)) exit_code_ = WEXITSTATUS(status);
}

/// Passes signals on, SIGSTOP apart. True at a system call.
bool Tracee::resume(int request) {
  int signal_to_deliver = 0;
  while (!ended_) {
    if (::ptrace(static_cast<__ptrace_request>(request), pid_, nullptr, signal_to_deliver) != 0) {
      throw std::system_error(errno, std::generic_category(), "ptrace");
    }
    const int status = wait_for(pid_);
    note_status(status);
    if (ended_ || parked_) return false;
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) return true;
    signal_to_deliver = WSTOPSIG(status);
  }
  return false;
}

bool Tracee::step() {
  return resume(PTRACE_SYSCALL);
}

void Tracee::finish() {
  while (!ended_) resume(PTRACE_CONT);
}

void Tracee::release() {
  if (!ended_) ::ptrace(PTRACE_DETACH, pid_, nullptr, nullptr);
  ended_ = true;
}

void Tracee::kill() {
  if (ended_) return;
  ::kill(pid_, SIGKILL);
  while (!ended_) note_status(wait_for(pid_));
}

SystemCall Tracee::call() const {
  __ptrace_syscall_info info{};
  ::ptrace(PTRACE_GET_SYSCALL_INFO, pid_, sizeof info, &info);
  SystemCall call;
  call.entering = info.op == PTRACE_SYSCALL_INFO_ENTRY;
  if (call.entering) {
    call.number = info.entry.nr;
    for (std::size_t i = 0; i < call.arguments.size(); ++i) call.arguments[i] = info.entry.args[i];
  } else {
    call.result = info.exit.rval;
  }
  return call;
}

std::string Tracee::where() const {
  const SystemCall at = call();
  if (at.entering) return "before " + name_of_call(at.number);
  return "after a call that gave " + std::to_string(at.result);
}

std::string Tracee::text_at(std::uint64_t address) const {
  std::string text;
  while (text.size() < kLongestText) {
    const std::uint64_t word =
        static_cast<std::uint64_t>(::ptrace(PTRACE_PEEKDATA, pid_, address + text.size(), nullptr));
    for (int i = 0; i < 8; ++i) {
      const char letter = static_cast<char>(word >> (8 * i));
      if (letter == '\0') return text;
      text.push_back(letter);
    }
  }
  return text;
}

OneProcessor::OneProcessor() {
  ::sched_getaffinity(0, sizeof before_, &before_);
  cpu_set_t here;
  CPU_ZERO(&here);
  CPU_SET(::sched_getcpu(), &here);
  ::sched_setaffinity(0, sizeof here, &here);
}

OneProcessor::~OneProcessor() {
  ::sched_setaffinity(0, sizeof before_, &before_);
}

std::string why_no_ptrace() {
  Tracee probe = Tracee::start({.act = [] { return 0; }});
  probe.finish();
  if (probe.exit_code() == 0) return "";
  return "this environment does not allow ptrace";
}

}  // namespace touchstone::chaos
