#pragma once
// A directory of its own in shared memory, which is gone when its holder is, however that ended.
//
//   const Scratch scratch;                 // removes what dead holders left, too
//   if (!scratch.path().empty()) use(scratch.path());
//
// R1 A holder keeps the directory locked (flock): the kernel says who lives, not a pid.
// R2 Only whoever holds the lock of the directory that bears the name removes it: another may have removed it and made
//    a new one between the look and the lock.
//
// Thread safety: one thread an object; any number of processes at once.

#include <string>

namespace touchstone::harness {

inline constexpr const char* kScratchPrefix = "touchstone-scratch-";

class Scratch {
 public:
  Scratch();
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// Empty when none could be made.
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int lock_ = -1;
};

}  // namespace touchstone::harness
