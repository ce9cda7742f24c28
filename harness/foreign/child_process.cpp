#include "harness/foreign/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>

namespace touchstone::harness {
namespace {

using Pipe = std::array<int, 2>;

Pipe make_pipe() {
  Pipe pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  return pipe;
}

void close_if_open(int& descriptor) {
  if (descriptor >= 0) ::close(descriptor);
  descriptor = -1;
}

/// Only what is allowed between fork and exec: the caller may have threads.
[[noreturn]] void become(char* const* words, const ChildOptions& options, const std::array<int, 3>& streams,
                         int failed, pid_t parent) {
  ::setpgid(0, 0);
  const bool there = options.network < 0 || ::setns(options.network, CLONE_NEWNET) == 0;
  const bool grouped =
      !options.group || (::setgroups(1, &*options.group) == 0 && ::setgid(*options.group) == 0);
  const bool itself = !options.user || ::setuid(*options.user) == 0;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a change of user forgets it
  if (there && grouped && itself && ::getppid() == parent && ::dup2(streams[0], 0) == 0 &&
      ::dup2(streams[1], 1) == 1 && ::dup2(streams[2], 2) == 2) {
    for (const int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP}) ::signal(number, SIG_DFL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::execv(words[0], words);
  }
  const int error = errno;
  [[maybe_unused]] const ssize_t written = ::write(failed, &error, sizeof error);
  ::_exit(127);
}

int milliseconds_until(ChildProcess::Clock::time_point deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - ChildProcess::Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1'000'000));
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& words, const ChildOptions& options) {
  // A socket, because writing to one whose reader is gone need not raise a signal.
  Pipe in{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in.data()) != 0)
    throw std::system_error(errno, std::generic_category(), "socketpair");
  Pipe out = make_pipe(), err = make_pipe(), failed = make_pipe();
  if (!options.log.empty()) {
    for (Pipe* const pipe : {&out, &err}) {
      for (int& end : *pipe) close_if_open(end);
      (*pipe)[1] = ::open(options.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    }
  }
  std::vector<char*> pointers;
  for (const auto& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ == 0) become(pointers.data(), options, {in[0], out[1], err[1]}, failed[1], parent);
  const int fork_error = errno;
  for (const int theirs : {in[0], out[1], err[1], failed[1]}) ::close(theirs);
  input_ = in[1];
  output_ = out[0];
  errors_ = err[0];
  int error = pid_ < 0 ? fork_error : 0;
  if (pid_ > 0) {
    ::setpgid(pid_, pid_);  // also here: whoever is first
    if (::read(failed[0], &error, sizeof error) != sizeof error) error = 0;
  }
  ::close(failed[0]);
  if (error == 0) return;
  for (int* descriptor : {&input_, &output_, &errors_}) close_if_open(*descriptor);
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
  throw std::system_error(error, std::generic_category(), words.front());
}

ChildProcess::~ChildProcess() {
  end(std::chrono::milliseconds(0));
  for (int* descriptor : {&input_, &output_, &errors_}) close_if_open(*descriptor);
}

ChildProcess::Sent ChildProcess::send(std::string_view bytes, Clock::time_point deadline) {
  while (!bytes.empty()) {
    if (input_ < 0) return Sent::closed;
    const ssize_t n = ::send(input_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (n < 0 && errno == EAGAIN) {
      pollfd writable{input_, POLLOUT, 0};
      if (::poll(&writable, 1, milliseconds_until(deadline)) == 0) return Sent::late;
    } else if (n < 0 && errno != EINTR) {
      return Sent::closed;
    }
  }
  return Sent::all;
}

bool ChildProcess::has_ended() {
  const std::lock_guard lock(mutex_);
  siginfo_t seen{};
  return ended_ || (::waitid(P_PID, static_cast<id_t>(pid_), &seen, WEXITED | WNOHANG | WNOWAIT) == 0 &&
                    seen.si_pid != 0);
}

bool ChildProcess::receive(const std::function<void(std::string_view)>& output,
                           const std::function<void(std::string_view)>& errors) {
  std::array<pollfd, 2> readable = {{{output_, POLLIN, 0}, {errors_, POLLIN, 0}}};
  if (output_ < 0 && errors_ < 0) return false;
  if (::poll(readable.data(), readable.size(), -1) < 0) return errno == EINTR;
  std::array<char, 65536> block;
  const auto take = [&block](const pollfd& ready, int& descriptor, const auto& consumer) {
    if (ready.revents == 0) return;
    const ssize_t n = ::read(descriptor, block.data(), block.size());
    if (n > 0) return consumer({block.data(), static_cast<std::size_t>(n)});
    if (n == 0 || errno != EINTR) close_if_open(descriptor);
  };
  take(readable[1], errors_, errors);
  take(readable[0], output_, output);
  return output_ >= 0 || errors_ >= 0;
}

void ChildProcess::close_input() {
  close_if_open(input_);
}

void ChildProcess::signal(int number) {
  const std::lock_guard lock(mutex_);
  if (!ended_) ::kill(-pid_, number);
}

void ChildProcess::pause() {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  ::kill(-pid_, SIGSTOP);
  siginfo_t seen{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &seen, WSTOPPED | WNOWAIT) != 0 && errno == EINTR) {
  }
}

std::string ChildProcess::end(std::chrono::milliseconds patience) {
  const std::lock_guard lock(mutex_);
  if (ended_) return *ended_;
  const auto deadline = Clock::now() + patience;
  siginfo_t seen{};
  while (::waitid(P_PID, static_cast<id_t>(pid_), &seen, WEXITED | WNOHANG | WNOWAIT) == 0 &&
         seen.si_pid == 0 && Clock::now() < deadline)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  // Before it is reaped, so that the number is still its own: it, and what it left in its group.
  ::kill(-pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  ended_ = WIFSIGNALED(status)
               ? fmt::format("signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)))
               : fmt::format("exit status {}", WEXITSTATUS(status));
  return *ended_;
}

}  // namespace touchstone::harness
