// The danger: a harness whose replay lines do not replay is trusted until the night when it matters. The
// oracle: run a test that must fail, take the line that it printed, run that line as a person would (a shell,
// at the top of the repository), and demand the same failure: the same output but for times and addresses.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <regex>
#include <string>

#include "harness/failure_report.h"
#include "harness/replay.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TOUCHSTONE_ADDRESS_SANITIZER 1
#elif __has_feature(thread_sanitizer)
#define TOUCHSTONE_THREAD_SANITIZER 1
#endif
#endif

namespace touchstone::harness {
namespace {

struct Outcome {
  int status = 0;
  std::string output;
};

/// Runs a shell command at the top of the repository, both outputs together.
Outcome run(const std::string& command) {
  const std::string whole = "cd '" TOUCHSTONE_TOP "' && (" + command + "\n) 2>&1";
  Outcome outcome;
  FILE* pipe = ::popen(whole.c_str(), "r");
  if (pipe == nullptr) return {-1, "popen failed"};
  std::array<char, 4096> buffer;
  while (std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe))
    outcome.output.append(buffer.data(), n);
  outcome.status = ::pclose(pipe);
  return outcome;
}

std::string replay_line_in(const std::string& output) {
  const auto at = output.find("replay: ");
  if (at == std::string::npos) return "";
  return output.substr(at, output.find('\n', at) - at);
}

/// Without what differs from run to run: times, process ids, addresses.
std::string essence(std::string output) {
  for (const char* varying : {R"(\(\d+ ms( total)?\))", R"(==\d+==)", R"(0x[0-9a-f]{8,16}\b)",
                              R"(pid[ =]\d+)", R"(T\d+|\bthread T?\d+)", R"(tid=\d+)", R"(#\d+ .*)"})
    output = std::regex_replace(output, std::regex(varying), "~");
  return output;
}

/// `same` is what must be equal in both outputs.
template <class Same>
void expect_failure_again(const std::string& canary, Same same) {
  const Outcome first = run(std::string(TOUCHSTONE_CANARY) + " --gtest_filter=Canary." + canary);
  EXPECT_NE(first.status, 0) << "the canary passed:\n" << first.output;
  EXPECT_EQ(first.output.find("seed 0x"), 0u) << "the seed comes before anything else:\n" << first.output;
  const std::string line = replay_line_in(first.output);
  ASSERT_NE(line, "") << "no replay line:\n" << first.output;
  ASSERT_EQ(replay_line_in(first.output.substr(first.output.find(line) + line.size())), "")
      << "printed twice";
  const auto parsed = parse_replay_line(line);
  ASSERT_TRUE(std::holds_alternative<ReplayLine>(parsed)) << line;
  const Outcome again = run(line.substr(std::string("replay: ").size()));
  EXPECT_EQ(again.status, first.status) << line;
  EXPECT_EQ(replay_line_in(again.output), line) << again.output;
  EXPECT_EQ(same(again.output), same(first.output)) << line;
}

void expect_same_failure_again(const std::string& canary) {
  expect_failure_again(canary, essence);
}

TEST(ReplayLineOfACanary, FailsAgainAfterAFailedAssertion) {
  expect_same_failure_again("FailsAnAssertion");
}

TEST(ReplayLineOfACanary, FailsAgainAfterAnException) {
  expect_same_failure_again("Throws");
}

TEST(ReplayLineOfACanary, FailsAgainAfterAnAbort) {
  expect_same_failure_again("Aborts");
}

TEST(ReplayLineOfACanary, FailsAgainAfterAFatalSignal) {
  expect_same_failure_again("ReadsThroughNull");
}

TEST(ReplayLineOfACanary, FailsAgainAfterAFailedProperty) {
  expect_same_failure_again("FailsAProperty");
}

TEST(ReplayLineOfACanary, FailsAgainAfterAnAbortInAProperty) {
  expect_same_failure_again("AbortsInAProperty");
}

#if defined(TOUCHSTONE_ADDRESS_SANITIZER)
TEST(ReplayLineOfACanary, FailsAgainAfterAnAddressSanitizerReport) {
  expect_same_failure_again("ReadsFreedMemory");
}
#endif

#if defined(TOUCHSTONE_THREAD_SANITIZER)
TEST(ReplayLineOfACanary, FailsAgainAfterAThreadSanitizerReport) {
  // A workload's replay repeats the operations; which thread is seen first is not decided by the seed.
  expect_failure_again("Races", [](const std::string& output) {
    return output.find("WARNING: ThreadSanitizer: data race") != std::string::npos;
  });
}
#endif

}  // namespace
}  // namespace touchstone::harness
