#include "engine/segments/fork_guard.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <utility>
#include <vector>

namespace touchstone::engine {
namespace {

/// One for the process, never destroyed: descriptors of static objects are closed after main.
struct Guard {
  std::mutex mutex;
  std::vector<int> descriptors;
  std::atomic<std::uint64_t> forks{0};
  std::atomic<bool> is_worker{false};
  std::atomic<pid_t> pid_of_role{0};

  static Guard& instance();

  static void before_fork() { instance().mutex.lock(); }
  static void in_parent() { instance().mutex.unlock(); }
  static void in_child();
};

Guard& Guard::instance() {
  static Guard* guard = [] {
    ::pthread_atfork(&Guard::before_fork, &Guard::in_parent, &Guard::in_child);
    return new Guard;
  }();
  return *guard;
}

void Guard::in_child() {
  Guard& guard = instance();
  for (int fd : guard.descriptors) ::close(fd);  // never LOCK_UN: that would drop the parent's lock
  guard.descriptors.clear();
  guard.forks.fetch_add(1);
  guard.is_worker = true;
  guard.mutex.unlock();
}

}  // namespace

ProcessRole process_role() {
  const Guard& guard = Guard::instance();
  const pid_t pid_of_role = guard.pid_of_role;
  const bool cloned = pid_of_role != 0 && pid_of_role != ::getpid();
  return guard.is_worker || cloned ? ProcessRole::worker : ProcessRole::main;
}

void become_main() {
  Guard& guard = Guard::instance();
  guard.pid_of_role = ::getpid();
  guard.is_worker = false;
}

void become_worker() {
  Guard::instance().is_worker = true;
}

void without_fork(const std::function<void()>& steps) {
  const std::lock_guard lock(Guard::instance().mutex);
  steps();
}

ProcessMark ProcessMark::here() {
  return ProcessMark(::getpid(), Guard::instance().forks);
}

bool ProcessMark::is_here() const {
  return Guard::instance().forks == forks_ && ::getpid() == pid_;
}

GuardedDescriptor GuardedDescriptor::open(const std::function<int()>& call) {
  Guard& guard = Guard::instance();
  const std::lock_guard lock(guard.mutex);
  GuardedDescriptor opened;
  guard.descriptors.reserve(guard.descriptors.size() + 1);  // before the call: it must not be lost
  opened.fd_ = call();
  opened.forks_ = guard.forks;
  if (opened.fd_ >= 0) guard.descriptors.push_back(opened.fd_);
  return opened;
}

GuardedDescriptor::GuardedDescriptor(GuardedDescriptor&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), forks_(other.forks_) {}

GuardedDescriptor& GuardedDescriptor::operator=(GuardedDescriptor&& other) noexcept {
  if (this == &other) return *this;
  close();
  fd_ = std::exchange(other.fd_, -1);
  forks_ = other.forks_;
  return *this;
}

int GuardedDescriptor::get() const {
  return forks_ == Guard::instance().forks ? fd_ : -1;
}

void GuardedDescriptor::close() {
  const int fd = std::exchange(fd_, -1);
  Guard& guard = Guard::instance();
  if (fd < 0) return;
  const std::lock_guard lock(guard.mutex);
  if (forks_ != guard.forks) return;  // the handler closed it; the number may be somebody else's by now
  std::erase(guard.descriptors, fd);
  ::close(fd);
}

}  // namespace touchstone::engine
