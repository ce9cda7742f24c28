#pragma once
// Runs a command line as a person or a CI job would, for the tests of the tool.
//
//   const ToolRun check = run_shell(TOUCHSTONE_TOOL " check " + file);   // check.status, check.output
//
// What divides tests among machines must not divide what a test calls (shard.h): the command does not see those variables.
//
// Thread safety: as popen(3): any thread.

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace touchstone::harness {

struct ToolRun {
  int status = -1;     ///< of the exit; -1 if it was not started or a signal ended it
  std::string output;  ///< what it wrote to both streams
};

inline ToolRun run_shell(const std::string& command) {
  ToolRun run;
  constexpr const char* kUndivided = "unset GTEST_SHARD_INDEX GTEST_TOTAL_SHARDS; ";
  std::FILE* pipe = ::popen((kUndivided + command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return run;
  std::array<char, 4096> block;
  while (const std::size_t got = std::fread(block.data(), 1, block.size(), pipe))
    run.output.append(block.data(), got);
  const int status = ::pclose(pipe);
  run.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return run;
}

}  // namespace touchstone::harness
