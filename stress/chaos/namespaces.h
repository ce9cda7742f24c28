#pragma once
// Surroundings that only the kernel can make: a chosen pid, another pid namespace, a file system of one's
// own.
//
//   auto child = Child::start_by([&] { return fork_as(4711); }, body);        // its pid is 4711
//   auto other = Child::start_by(fork_into_pid_namespace, body);              // its pid is 1
//   if (auto why = mount_private_tmpfs(directory, "1m"); !why.empty()) ...    // in a child of its own
//
// Each needs a right that not every machine gives: what is refused is an expected skip, by name. Both forks
// are raw clones: handlers of pthread_atfork do not run. Call from a process with one thread.

#include <sys/types.h>

#include <string>

namespace touchstone::chaos {

/// As fork(), but the child has this pid. -1 with errno: EPERM, or EEXIST when a process has it.
pid_t fork_as(pid_t pid);

/// As fork(), but the child is the first process of a new pid namespace, as the same user.
pid_t fork_into_pid_namespace();

/// A pid that no process of this namespace has.
pid_t unused_pid();

/// Mounts a file system of `size` over `directory`, for the calling process and its children only. Empty, or
/// why not.
std::string mount_private_tmpfs(const std::string& directory, const std::string& size);

}  // namespace touchstone::chaos
