#include "stress/chaos/namespaces.h"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>

namespace touchstone::chaos {
namespace {

pid_t clone3(std::uint64_t flags, pid_t* wanted_pid) {
  clone_args arguments{};
  arguments.flags = flags;
  arguments.exit_signal = SIGCHLD;
  arguments.set_tid = reinterpret_cast<std::uintptr_t>(wanted_pid);
  arguments.set_tid_size = wanted_pid == nullptr ? 0 : 1;
  return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

/// In a new user namespace: the same user and group as outside.
void map_user(uid_t user, gid_t group) {
  std::ofstream("/proc/self/setgroups") << "deny";
  std::ofstream("/proc/self/uid_map") << user << " " << user << " 1";
  std::ofstream("/proc/self/gid_map") << group << " " << group << " 1";
}

}  // namespace

pid_t fork_as(pid_t pid) {
  return clone3(0, &pid);
}

pid_t fork_into_pid_namespace() {
  const pid_t child = clone3(CLONE_NEWPID, nullptr);
  if (child != -1 || errno != EPERM) return child;
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  const pid_t mapped = clone3(CLONE_NEWPID | CLONE_NEWUSER, nullptr);
  if (mapped == 0) map_user(user, group);
  return mapped;
}

pid_t unused_pid() {
  pid_t pid = 30'000;
  while (::kill(pid, 0) == 0 || errno != ESRCH) ++pid;
  return pid;
}

std::string mount_private_tmpfs(const std::string& directory, const std::string& size) {
  const uid_t user = ::geteuid();
  const gid_t group = ::getegid();
  if (::unshare(CLONE_NEWNS) != 0) {
    if (::unshare(CLONE_NEWNS | CLONE_NEWUSER) != 0) {
      return std::string("no mount namespace: ") + std::strerror(errno);
    }
    map_user(user, group);
  }
  ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  const std::string options = "size=" + size;
  if (::mount("tmpfs", directory.c_str(), "tmpfs", 0, options.c_str()) != 0) {
    return std::string("no mount namespace: ") + std::strerror(errno);
  }
  return {};
}

}  // namespace touchstone::chaos
