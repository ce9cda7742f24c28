#include "stress/chaos/child.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <system_error>
#include <utility>

// AddressSanitizer before LLVM 17 does not take its allocator's locks over fork(), as glibc's allocator does its own. A child that
// is forked while another thread allocates then waits for ever in its first allocation. So they are taken here.
#if defined(__clang__) && defined(__has_feature)
#if __has_feature(address_sanitizer) && __clang_major__ < 17
namespace __lsan {
void LockAllocator();
void UnlockAllocator();
}  // namespace __lsan

namespace {
// At start-up, before the engine's own handler (engine/segments/fork_guard.cpp): what is registered first is locked last, and the
// engine allocates with its lock held.
[[maybe_unused]] const int kRegistered =
    ::pthread_atfork(&__lsan::LockAllocator, &__lsan::UnlockAllocator, &__lsan::UnlockAllocator);
}  // namespace
#endif
#endif

namespace touchstone::chaos {
namespace {

constexpr int kReported = 77;

void write_text(int fd, const std::string& text) {
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = ::write(fd, text.data() + done, text.size() - done);
    if (written <= 0) return;
    done += static_cast<std::size_t>(written);
  }
}

std::string read_text(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  while (true) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

std::string run(const Child::Body& body) {
  try {
    return body();
  } catch (const std::exception& error) {
    return std::string("threw: ") + error.what();
  }
}

}  // namespace

Child Child::start(const Body& body) {
  auto child = start_by(&::fork, body);
  if (!child) throw std::system_error(errno, std::generic_category(), "fork");
  return std::move(*child);
}

std::optional<Child> Child::start_by(const std::function<pid_t()>& fork_call, const Body& body) {
  std::array<int, 2> pipe{-1, -1};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  const pid_t pid = fork_call();
  if (pid < 0) {
    for (int fd : pipe) ::close(fd);
    return std::nullopt;
  }
  if (pid == 0) {
    ::close(pipe[0]);
    forget_signal_handlers();
    const std::string report = run(body);
    write_text(pipe[1], report);
    ::_exit(report.empty() ? 0 : kReported);
  }
  ::close(pipe[1]);
  return Child(pid, pipe[0]);
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), report_(std::exchange(other.report_, -1)) {}

/// As a swap: what this one was dies with the other.
Child& Child::operator=(Child&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(report_, other.report_);
  return *this;
}

Child::~Child() {
  kill();
  if (report_ >= 0) ::close(report_);
}

std::string Child::join() {
  std::string report = read_text(report_);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    // Interrupted by a signal: wait again.
  }
  pid_ = -1;
  if (WIFSIGNALED(status)) return report + "ended by signal " + std::to_string(WTERMSIG(status));
  const int code = WEXITSTATUS(status);
  if (code != 0 && code != kReported) return report + "exited with " + std::to_string(code);
  return report;
}

void Child::kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void Child::stop() {
  ::kill(pid_, SIGSTOP);
  ::waitpid(pid_, nullptr, WUNTRACED);
}

void Child::resume() {
  ::kill(pid_, SIGCONT);
}

std::string report_of_child(const Child::Body& body) {
  return Child::start(body).join();
}

void wait_for_ever() {
  while (true) ::pause();
}

void forget_signal_handlers() {
  for (int number : {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGTERM, SIGINT}) ::signal(number, SIG_DFL);
}

Subreaper::Subreaper() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

Subreaper::~Subreaper() {
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

void Subreaper::wait_until_all_are_gone() {
  while (::waitpid(-1, nullptr, __WALL) > 0 || errno == EINTR) {
    // One more is gone.
  }
}

Gate::Gate() {
  if (::pipe2(pipe_.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
}

Gate::~Gate() {
  for (int fd : pipe_) {
    if (fd >= 0) ::close(fd);
  }
}

void Gate::open() {
  write_text(pipe_[1], "x");
}

bool Gate::wait() {
  ::close(std::exchange(pipe_[1], -1));
  char letter = 0;
  return ::read(pipe_[0], &letter, 1) == 1;
}

}  // namespace touchstone::chaos
