#include "harness/isolated.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <optional>

#include "harness/failure_report.h"
#include "harness/scratch.h"

namespace touchstone::harness {
namespace {

constexpr char kSaid = 's';
constexpr char kReturned = 'r';
constexpr char kLastWords = 'w';
constexpr std::size_t kHead = 1 + sizeof(std::uint32_t);

/// In a child: where its parent listens.
int pipe_of_this_child = -1;

/// The first whole message of `buffer`, taken out of it.
std::optional<std::pair<char, std::string>> take_message(std::string& buffer) {
  if (buffer.size() < kHead) return std::nullopt;
  std::uint32_t length = 0;
  std::memcpy(&length, buffer.data() + 1, sizeof length);
  if (buffer.size() < kHead + length) return std::nullopt;
  std::pair<char, std::string> message{buffer[0], buffer.substr(kHead, length)};
  buffer.erase(0, kHead + length);
  return message;
}

/// Notes the signals that ask the process to end, so that it can tidy up first.
class EndRequests {
 public:
  EndRequests() {
    requested_ = 0;
    struct sigaction note {};
    note.sa_handler = [](int number) { requested_ = number; };
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &note, &before_[i]);
  }
  ~EndRequests() { restore(); }
  EndRequests(const EndRequests&) = delete;
  EndRequests& operator=(const EndRequests&) = delete;

  void restore() const {
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
  }

  /// The signal that came, or 0.
  int seen() const { return requested_; }

 private:
  static constexpr std::array<int, 3> kSignals = {SIGINT, SIGTERM, SIGHUP};
  static inline volatile std::sig_atomic_t requested_ = 0;
  std::array<struct sigaction, kSignals.size()> before_{};
};

[[noreturn]] void be_the_child(int pipe, pid_t parent, const std::function<std::string(Isolated&)>& function,
                               Isolated& self, const std::function<bool(const std::string&)>& answer) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it died before the line above
  bool sent = false;
  try {
    sent = answer(function(self));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "uncaught: %s\n", error.what());
  }
  std::fflush(nullptr);
  ::close(pipe);
  ::_exit(sent ? 0 : 70);
}

std::string how_it_ended(int status) {
  if (WIFSIGNALED(status))
    return fmt::format("signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  return fmt::format("exit status {}", WEXITSTATUS(status));
}

}  // namespace

bool Isolated::send(char kind, const std::string& text) {
  std::string message(1, kind);
  const auto length = static_cast<std::uint32_t>(text.size());
  message.append(reinterpret_cast<const char*>(&length), sizeof length);
  message += text;
  for (std::size_t done = 0; done < message.size();) {
    const ssize_t n = ::write(pipe_, message.data() + done, message.size() - done);
    if (n <= 0) return false;
    done += static_cast<std::size_t>(n);
  }
  return true;
}

void Isolated::say(const std::string& text) {
  pollfd writable{pipe_, POLLOUT, 0};
  if (text.size() < 512 && ::poll(&writable, 1, 0) == 1) send(kSaid, text);  // below PIPE_BUF: all or nothing
}

void last_words(const std::string& text) noexcept {
  if (pipe_of_this_child >= 0) {
    Isolated(pipe_of_this_child).send(kLastWords, text);
  } else {
    std::fprintf(stderr, "%s\n", text.c_str());
    print_announced_replay();
  }
}

Isolated::Outcome Isolated::run(const std::function<std::string(Isolated&)>& function,
                                std::chrono::nanoseconds patience,
                                const std::function<void(const std::string&)>& heard, int& requested) {
  const Scratch scratch;
  const EndRequests end;
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) return {Isolated::Outcome::Kind::died, "no pipe"};
  std::fflush(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return {Isolated::Outcome::Kind::died, "no process"};
  if (child == 0) {
    ::close(pipe[0]);
    end.restore();
    if (!scratch.path().empty()) ::setenv(kScratchVariable, scratch.path().c_str(), 1);
    Isolated self(pipe[1]);
    pipe_of_this_child = pipe[1];
    be_the_child(pipe[1], parent, function, self,
                 [&self](const std::string& text) { return self.send(kReturned, text); });
  }
  ::close(pipe[1]);
  const auto deadline = std::chrono::steady_clock::now() + patience;
  std::string buffer;
  std::optional<std::string> returned;
  std::string why;
  bool hung = false;
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd readable{pipe[0], POLLIN, 0};
    const int ready = ::poll(&readable, 1, static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, 200)));
    hung = ready == 0 && left.count() <= 0;
    if (hung || end.seen() != 0) {
      ::kill(child, SIGKILL);
      break;
    }
    if (ready <= 0) continue;
    std::array<char, 4096> part;
    const ssize_t n = ::read(pipe[0], part.data(), part.size());
    if (n <= 0) break;
    buffer.append(part.data(), static_cast<std::size_t>(n));
    while (auto message = take_message(buffer)) {
      if (message->first == kSaid) {
        heard(message->second);
      } else if (message->first == kLastWords) {
        why = ": " + message->second;
      } else {
        returned = std::move(message->second);
      }
    }
  }
  ::close(pipe[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  requested = end.seen();
  if (hung) return {Isolated::Outcome::Kind::hung, "no end in sight"};
  if (returned && WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return {Isolated::Outcome::Kind::returned, *returned};
  return {Isolated::Outcome::Kind::died, how_it_ended(status) + why};
}

Isolated::Outcome run_isolated(const std::function<std::string(Isolated&)>& function,
                               std::chrono::nanoseconds patience,
                               const std::function<void(const std::string&)>& heard) {
  int requested = 0;
  auto outcome = Isolated::run(function, patience, heard, requested);
  if (requested != 0) ::raise(requested);  // nothing is left to tidy up
  return outcome;
}

}  // namespace touchstone::harness
