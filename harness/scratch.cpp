#include "harness/scratch.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

namespace touchstone::harness {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSharedMemory = "/dev/shm";
constexpr int kMostAttempts = 100;

/// The directory's lock (R2), or -1: it is held, it is gone, or it is not ours.
int lock_of(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -1;
  struct stat locked {};
  struct stat named {};
  const bool ours = ::flock(fd, LOCK_EX | LOCK_NB) == 0 && ::fstat(fd, &locked) == 0 &&
                    ::lstat(path.c_str(), &named) == 0 && locked.st_ino == named.st_ino &&
                    locked.st_dev == named.st_dev && locked.st_uid == ::geteuid();
  if (ours) return fd;
  ::close(fd);
  return -1;
}

void remove_under_lock(const std::string& path, int lock) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
  ::close(lock);
}

void remove_abandoned() {
  std::error_code error;
  std::vector<std::string> found;
  for (fs::directory_iterator at(kSharedMemory, error), end; !error && at != end; at.increment(error))
    if (at->path().filename().string().starts_with(kScratchPrefix)) found.push_back(at->path());
  for (const auto& path : found)
    if (const int lock = lock_of(path); lock >= 0) remove_under_lock(path, lock);
}

}  // namespace

Scratch::Scratch() {
  remove_abandoned();
  // Somebody who tidies up may take a directory between its making and its locking.
  for (int attempt = 0; lock_ < 0 && attempt < kMostAttempts; ++attempt) {
    std::string pattern = std::string(kSharedMemory) + "/" + kScratchPrefix + "XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) return;
    lock_ = lock_of(pattern);
    if (lock_ >= 0) path_ = pattern;
  }
  if (!path_.empty())
    ::chmod(path_.c_str(), 0711);  // a claim may act as another user in a directory of its own in there
}

Scratch::~Scratch() {
  if (lock_ >= 0) remove_under_lock(path_, lock_);
}

}  // namespace touchstone::harness
