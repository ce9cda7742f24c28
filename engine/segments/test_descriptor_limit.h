#pragma once
// For tests: a process may have no more descriptors than so many, while this lives.
//
//   { const DescriptorLimit limit(20); ... }        // this process
//   { const DescriptorLimit limit(0, nursery); ... }   // another one

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <cerrno>

#include "engine/segments/error.h"

namespace touchstone::engine {

class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t most, pid_t process = 0) : process_(process) {
    // UndefinedBehaviorSanitizer opens a pipe when it meets a type of object for the first time, and takes a failure for a wrong
    // object: it meets that of an error's words now.
    (void)describe(system_failure("", EMFILE));
    EXPECT_EQ(::prlimit(process_, RLIMIT_NOFILE, nullptr, &before_), 0);
    const rlimit few{most, before_.rlim_max};
    EXPECT_EQ(::prlimit(process_, RLIMIT_NOFILE, &few, nullptr), 0);
  }
  ~DescriptorLimit() { EXPECT_EQ(::prlimit(process_, RLIMIT_NOFILE, &before_, nullptr), 0); }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;

 private:
  const pid_t process_;
  rlimit before_{};
};

}  // namespace touchstone::engine
