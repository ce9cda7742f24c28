#pragma once
// What this kernel and this directory give the protocol, found by trying.
//
//   for (const Protection& p : find_protections("/dev/shm")) print(p.name, p.present, p.detail);
//   if (landlock_abi() < 3) ...                      // a worker may truncate what it may not write
//
// Callable from any thread; nothing is left behind. A protection is required (without it owners are refused
// with `unsupported`) or a second line of defence.

#include <string>
#include <vector>

namespace touchstone::engine {

struct Protection {
  std::string name;
  bool required = false;
  bool present = false;
  std::string detail;  ///< what it is for, or why it is missing
};

std::vector<Protection> find_protections(const std::string& directory);

/// 0 when the kernel has no Landlock, or it is switched off.
int landlock_abi();

}  // namespace touchstone::engine
