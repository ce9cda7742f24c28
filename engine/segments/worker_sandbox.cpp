#include "engine/segments/worker_sandbox.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "engine/segments/directory.h"
#include "engine/segments/fork_guard.h"
#include "engine/segments/protections.h"

namespace touchstone::engine {
namespace {

/// ABI 3 (Linux 6.2); Debian 12's headers are older.
constexpr std::uint64_t kTruncate = 1ULL << 14;

std::uint64_t writing_rights(int abi) {
  std::uint64_t rights = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                         LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                         LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                         LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                         LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
  if (abi >= 2) rights |= LANDLOCK_ACCESS_FS_REFER;
  if (abi >= 3) rights |= kTruncate;
  return rights;
}

SegmentResult<Done> allow(int ruleset, const std::string& directory, std::uint64_t rights) {
  const Descriptor fd(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.is_open()) {
    return system_failure("cannot open the output directory " + directory, errno, SegmentErrc::bad_directory);
  }
  landlock_path_beneath_attr beneath{};
  beneath.allowed_access = rights;
  beneath.parent_fd = fd.get();
  if (::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) != 0) {
    return system_failure("cannot allow writing to " + directory, errno);
  }
  return Done{};
}

}  // namespace

SegmentResult<SandboxReport> enter_worker_sandbox(const std::vector<std::string>& output_directories) {
  become_worker();
  const int abi = landlock_abi();
  if (abi == 0) return SandboxReport{};
  landlock_ruleset_attr attributes{};
  attributes.handled_access_fs = writing_rights(abi);
  const Descriptor ruleset(static_cast<int>(
      ::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes.handled_access_fs, 0)));
  if (!ruleset.is_open()) return system_failure("cannot make a Landlock ruleset", errno);
  for (const std::string& directory : output_directories) {
    auto allowed = allow(ruleset.get(), directory, attributes.handled_access_fs);
    if (!allowed) return allowed.error();
  }
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      ::syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) {
    return system_failure("cannot enter the Landlock sandbox", errno);
  }
  return SandboxReport{true, abi >= 3};
}

}  // namespace touchstone::engine
