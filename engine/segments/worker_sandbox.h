#pragma once
// What a worker process may not do, enforced by the kernel where the kernel can.
//
//   SandboxReport report = enter_worker_sandbox({"/var/tmp/out"});    // in the worker, before it starts threads
//   if (!report.writes_denied) ...                                     // this kernel has no Landlock
//
// Call it once in a process that has one thread. There is no way back.
//
// W1 After it the process is a worker (fork_guard.h).
// W2 With Landlock: nothing can be opened for writing, made, renamed, linked or removed anywhere but under
//    the output directories, by whatever user, root included; from ABI 3 on nothing can be truncated
//    either. Landlock is an allow-list: what was open stays open, so a worker keeps no writable
//    descriptors.
// W3 Without Landlock the modes of the files are what is left: report says so.

#include <string>
#include <vector>

#include "engine/segments/error.h"

namespace touchstone::engine {

struct SandboxReport {
  bool writes_denied = false;
  bool truncation_denied = false;
};

/// Errors: bad_directory (an output directory that cannot be opened), system.
SegmentResult<SandboxReport> enter_worker_sandbox(const std::vector<std::string>& output_directories);

}  // namespace touchstone::engine
