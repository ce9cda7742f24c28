#include "engine/segments/protections.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "engine/segments/directory.h"

namespace touchstone::engine {
namespace {

/// `outcome` is 0 or an errno.
Protection judged(std::string name, bool required, int outcome, std::string use) {
  std::string detail = outcome == 0 ? std::move(use) : "missing: " + std::generic_category().message(outcome);
  return Protection{std::move(name), required, outcome == 0, std::move(detail)};
}

int errno_of(bool succeeded) {
  return succeeded ? 0 : errno;
}

int try_dontfork() {
  constexpr std::size_t kPage = 4096;
  void* const page = ::mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return errno;
  const int outcome = errno_of(::madvise(page, kPage, MADV_DONTFORK) == 0);
  ::munmap(page, kPage);
  return outcome;
}

Protection judge_landlock() {
  const int abi = landlock_abi();
  Protection landlock{"landlock", false, abi > 0, ""};
  if (abi == 0) {
    landlock.detail = "missing: a worker's right to write is limited by file modes only";
  } else if (abi < 3) {
    landlock.detail = "ABI " + std::to_string(abi) + ": does not cover truncate (3 does)";
  } else {
    landlock.detail = "ABI " + std::to_string(abi) + ": a worker can write nowhere but where it is told to";
  }
  return landlock;
}

}  // namespace

int landlock_abi() {
  const long abi =
      ::syscall(SYS_landlock_create_ruleset, nullptr, std::size_t{0}, LANDLOCK_CREATE_RULESET_VERSION);
  return abi < 0 ? 0 : static_cast<int>(abi);
}

std::vector<Protection> find_protections(const std::string& directory) {
  std::vector<Protection> found;
  const Descriptor file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  const int made = errno_of(file.is_open());
  found.push_back(judged("O_TMPFILE", true, made, "nothing half-built is ever visible"));
  if (made == 0) {
    found.push_back(judged("posix_fallocate", true, ::posix_fallocate(file.get(), 0, 4096),
                           "full memory is an error, not SIGBUS"));
    found.push_back(judged("flock", true, errno_of(::flock(file.get(), LOCK_EX | LOCK_NB) == 0),
                           "the kernel says who is alive"));
    const std::string link = "/proc/self/fd/" + std::to_string(file.get());
    found.push_back(judged("/proc", true, errno_of(::access(link.c_str(), F_OK) == 0),
                           "a complete file gets its name in one step"));
  }
  found.push_back(judged("MADV_DONTFORK", true, try_dontfork(), "children inherit no writable mapping"));
  found.push_back(judged("file modes", false, ::geteuid() == 0 ? EPERM : 0,
                         "mode 0400 keeps this user from opening a segment for writing"));
  if (::geteuid() == 0) found.back().detail = "missing: root may open anything, whatever its mode";
  found.push_back(judge_landlock());
  return found;
}

}  // namespace touchstone::engine
