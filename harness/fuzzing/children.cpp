#include "harness/fuzzing/children.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace touchstone::harness::fuzzing {

namespace {

using Clock = std::chrono::steady_clock;

struct Child {
  pid_t pid = -1;
  int pipe = -1;
  std::string said;
  std::uint64_t seen = 0;
  Clock::time_point moved = Clock::now();
  bool hung = false;
};

[[noreturn]] void be_the_child(int pipe, pid_t parent, const std::function<std::string()>& function) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it died before the line above
  ::signal(SIGINT, SIG_IGN);
  ::close(
      STDERR_FILENO);  // a sanitizer's report of a failure that is found again and again; its replay shows it
  ::open("/dev/null", O_WRONLY);
  // A whole answer ends with a mark: what a killed child has written of one is none.
  const std::string text = function() + '\n';
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t n = ::write(pipe, text.data() + done, text.size() - done);
    if (n <= 0) ::_exit(1);
    done += static_cast<std::size_t>(n);
  }
  ::_exit(0);
}

Child start(const std::function<std::string()>& function) {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe for a child");
  const pid_t parent = ::getpid();
  Child child;
  child.pid = ::fork();
  if (child.pid == 0) {
    ::close(pipe[0]);
    be_the_child(pipe[1], parent, function);
  }
  ::close(pipe[1]);
  child.pipe = pipe[0];
  if (child.pid < 0) {
    ::close(pipe[0]);
    throw std::runtime_error("no process for a child");
  }
  return child;
}

/// False at the end of what it says.
bool listen(Child& child) {
  std::array<char, 65536> block;
  const ssize_t n = ::read(child.pipe, block.data(), block.size());
  if (n > 0) child.said.append(block.data(), static_cast<std::size_t>(n));
  return n > 0 || (n < 0 && errno == EINTR);
}

void kill_if_stuck(Child& child, std::uint64_t progress, std::chrono::seconds patience) {
  const auto now = Clock::now();
  if (progress != child.seen) {
    child.seen = progress;
    child.moved = now;
  } else if (now - child.moved > patience && !child.hung) {
    child.hung = true;
    ::kill(child.pid, SIGKILL);
  }
}

ChildEnd end_of(Child& child) {
  int status = 0;
  while (::waitpid(child.pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && child.said.ends_with('\n')) {
    child.said.pop_back();
    return {true, std::move(child.said)};
  }
  if (child.hung) return {false, "hung"};
  if (WIFSIGNALED(status))
    return {false, fmt::format("signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)))};
  return {false, fmt::format("exit status {}", WEXITSTATUS(status))};
}

}  // namespace

std::vector<ChildEnd> run_children(const std::vector<std::function<std::string()>>& functions,
                                   SharedProgress& progress, std::chrono::seconds patience) {
  std::vector<Child> children;
  std::vector<pollfd> open;
  for (const auto& function : functions) {
    children.push_back(start(function));
    open.push_back({children.back().pipe, POLLIN, 0});
  }
  const auto still_open = [&open] {
    return std::any_of(open.begin(), open.end(), [](const pollfd& it) { return it.fd >= 0; });
  };
  while (still_open()) {
    if (::poll(open.data(), open.size(), 100) < 0) continue;  // a signal
    for (std::size_t i = 0; i < open.size(); ++i) {
      if (open[i].fd < 0) continue;
      kill_if_stuck(children[i], progress[i].load(), patience);
      if (open[i].revents == 0 || listen(children[i])) continue;
      ::close(open[i].fd);
      open[i].fd = -1;  // poll(2) passes over it
    }
  }
  std::vector<ChildEnd> ends;
  for (Child& child : children) ends.push_back(end_of(child));
  return ends;
}

}  // namespace touchstone::harness::fuzzing
