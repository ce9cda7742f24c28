#include "engine/segments/worker_nursery.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

#include "engine/segments/directory.h"
#include "engine/segments/frame.h"
#include "engine/segments/worker_sandbox.h"

namespace touchstone::engine {
namespace {

constexpr char kBear = 'b';
constexpr char kDone = 'd';
constexpr char kFailed = 'f';

std::string encode(const JobRequest& request) {
  const std::uint64_t handles = request.segments.size();
  std::string text(reinterpret_cast<const char*>(&handles), sizeof handles);
  text.append(reinterpret_cast<const char*>(request.segments.data()), handles * sizeof(SegmentHandle));
  return text.append(request.inputs);
}

/// The other side is this same program: the text is as encode made it.
JobRequest decode(const std::string& text) {
  std::uint64_t handles = 0;
  std::memcpy(&handles, text.data(), sizeof handles);
  JobRequest request;
  request.segments.resize(handles);
  const std::size_t bytes = handles * sizeof(SegmentHandle);
  if (bytes != 0) std::memcpy(request.segments.data(), text.data() + sizeof handles, bytes);
  request.inputs = text.substr(sizeof handles + bytes);
  return request;
}

std::string answer(const Job& job, const std::string& text) {
  try {
    return kDone + job(decode(text));
  } catch (const std::exception& error) {
    return kFailed + std::string(error.what());
  } catch (...) {
    return std::string(1, kFailed) + "the job threw something that is no std::exception";
  }
}

/// False when the parent was gone before the request was made.
bool die_with_parent(pid_t parent) {
  return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == parent;
}

[[noreturn]] void work(int socket, const Job& job) {
  while (const auto request = receive_frame(socket)) {
    if (!send_frame(socket, answer(job, *request))) break;
  }
  ::_exit(0);
}

/// A descriptor and a pid in one message.
bool send_worker(int socket, int worker_socket, pid_t pid) {
  iovec payload{&pid, sizeof pid};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &payload;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &worker_socket, sizeof worker_socket);
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof pid);
}

/// -1 with errno: ECHILD when nothing came, the nursery's own errno when it could not bear, EMFILE when it could and there is no
/// descriptor here for the worker's socket: the kernel drops it then, and with it the worker ends.
int receive_worker(int socket, pid_t& pid) {
  iovec payload{&pid, sizeof pid};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &payload;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (got == 0) errno = ECHILD;
  if (got <= 0) return -1;
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr) {
    errno = pid > 0 ? EMFILE : -pid;
    return -1;
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

/// In place of a worker: why there is none.
bool send_failure(int socket, int cause) {
  const pid_t minus_errno = -cause;
  return ::send(socket, &minus_errno, sizeof minus_errno, MSG_NOSIGNAL) == sizeof minus_errno;
}

/// False when main is gone.
bool bear_one(int socket, const Job& job) {
  std::array<int, 2> pair{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0)
    return send_failure(socket, errno);
  const Descriptor mains(pair[0]);
  Descriptor workers(pair[1]);
  const pid_t nursery = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(socket);
    ::close(mains.get());
    if (!die_with_parent(nursery)) ::_exit(0);
    ::signal(SIGCHLD, SIG_DFL);
    work(workers.release(), job);
  }
  if (child < 0) return send_failure(socket, errno);
  workers.reset(-1);  // before main has the worker: its death must be the end of the file at once
  return send_worker(socket, mains.get(), child);
}

[[noreturn]] void run_nursery(int socket, const Job& job, const std::vector<std::string>& output_directories,
                              pid_t parent) {
  if (!die_with_parent(parent)) ::_exit(0);
  const auto sandboxed = enter_worker_sandbox(output_directories);
  const SegmentError* const error = sandboxed ? nullptr : &sandboxed.error();
  send_frame(socket, error == nullptr ? "" : static_cast<char>(error->code) + error->message);
  if (error != nullptr) ::_exit(1);
  ::signal(SIGCHLD, SIG_IGN);  // the kernel forgets dead workers by itself
  char request = 0;
  while (::recv(socket, &request, 1, 0) == 1) {
    if (!bear_one(socket, job)) ::_exit(1);
  }
  ::_exit(0);
}

}  // namespace

SegmentResult<WorkerNursery> WorkerNursery::open(const Job& job,
                                                 const std::vector<std::string>& output_directories) {
  if (process_role() == ProcessRole::worker) {
    return SegmentError{SegmentErrc::worker_role, "a worker process may not bear workers"};
  }
  Descriptor child_side;
  int cause = 0;
  GuardedDescriptor socket = GuardedDescriptor::open([&] {
    std::array<int, 2> pair{-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) {
      cause = errno;
      return -1;
    }
    child_side.reset(pair[1]);
    return pair[0];
  });
  if (cause != 0) return system_failure("cannot make the nursery's socket", cause);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return system_failure("cannot fork the nursery", errno);
  if (child == 0) run_nursery(child_side.release(), job, output_directories, parent);
  child_side.reset(-1);
  WorkerNursery nursery(child, std::move(socket));
  const auto greeting = receive_frame(nursery.socket_.get());
  if (!greeting) return SegmentError{SegmentErrc::worker_died, "the nursery died at its start"};
  if (!greeting->empty()) {
    return SegmentError{static_cast<SegmentErrc>(greeting->front()), greeting->substr(1)};
  }
  return nursery;
}

WorkerNursery::WorkerNursery(WorkerNursery&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), mark_(other.mark_), socket_(std::move(other.socket_)) {}

WorkerNursery::~WorkerNursery() {
  socket_.close();
  if (pid_ < 0 || !mark_.is_here()) return;
  ::kill(pid_, SIGKILL);
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    // Interrupted by a signal: wait again.
  }
}

SegmentResult<BornWorker> WorkerNursery::bear() {
  const std::lock_guard lock(mutex_);
  if (::send(socket_.get(), &kBear, 1, MSG_NOSIGNAL) != 1) {
    return SegmentError{SegmentErrc::worker_died, "the nursery is gone", errno};
  }
  char ready = 0;
  (void)::recv(socket_.get(), &ready, 1, MSG_PEEK);  // waits outside of the fork guard's lock (F4)
  BornWorker worker;
  int cause = 0;
  worker.socket = GuardedDescriptor::open([&] {
    const int fd = receive_worker(socket_.get(), worker.pid);
    if (fd < 0) cause = errno;
    return fd;
  });
  if (cause == ECHILD || cause == ECONNRESET) {
    return SegmentError{SegmentErrc::worker_died, "the nursery is gone", cause};
  }
  if (cause != 0) return system_failure("no worker came from the nursery", cause);
  return worker;
}

SegmentResult<std::string> run_job(int socket, const JobRequest& request) {
  if (!send_frame(socket, encode(request))) {
    return SegmentError{SegmentErrc::worker_died, "the worker died before it got the job", EPIPE};
  }
  const auto answered = receive_frame(socket);
  if (!answered) return SegmentError{SegmentErrc::worker_died, "the worker died before it answered"};
  if (answered->front() == kFailed) return SegmentError{SegmentErrc::job_failed, answered->substr(1)};
  return answered->substr(1);
}

}  // namespace touchstone::engine
