#pragma once
// What bypassed the platform while an exploration ran; how it is seen: guard.cpp. For guard_test only.
//
//   explore(body, options);
//   for (const UncontrolledOperation& op : take_uncontrolled_operations()) ADD_FAILURE() << op.what;
//
// Not thread safe.

#include <array>
#include <vector>

namespace touchstone::harness::explore {

struct UncontrolledOperation {
  const char* what;
  std::array<const void*, 6>
      callers;    // innermost first, 0 where there are none: addr2line gives file and line
  int order = 0;  // of an atomic load, as in std::memory_order
};

/// Those noted since the last call.
std::vector<UncontrolledOperation> take_uncontrolled_operations();

/// `frame`: of the function that was called.
void note_uncontrolled(const char* what, const void* frame, int order = 0);

}  // namespace touchstone::harness::explore
