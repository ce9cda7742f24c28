// The scripts that judge other checks are checked themselves: ci/skips on results with a skip, ci/readme on
// pages with a command that fails, ci/failures on logs.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

namespace touchstone::ci {
namespace {

namespace fs = std::filesystem;

class Scripts : public testing::Test {
 protected:
  Scripts() : file_(testing::TempDir() + "scripts." + std::to_string(::getpid())) {}
  ~Scripts() override { fs::remove(file_); }

  int run(const std::string& script, const std::string& text) {
    std::ofstream(file_) << text;
    FILE* pipe = ::popen(("'" TOUCHSTONE_TOP "/ci/" + script + "' " + file_.string() + " 2>&1").c_str(), "r");
    std::array<char, 4096> buffer;
    while (std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe))
      output_.append(buffer.data(), n);
    const int status = ::pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  fs::path file_;
  std::string output_;
};

std::string result(const std::string& status, const std::string& output) {
  return "<testsuite>\n\t<testcase name=\"a.b\" classname=\"a.b\" time=\"0.01\" status=\"" + status +
         "\">\n\t\t<system-out>" + output + "</system-out>\n\t</testcase>\n</testsuite>\n";
}

TEST_F(Scripts, SkipsPassWhenEveryTestRan) {
  EXPECT_EQ(run("skips", result("run", "ok")), 0) << output_;
}

TEST_F(Scripts, SkipsPassWhenTheReasonWasExpected) {
  EXPECT_EQ(
      run("skips", result("notrun", "x_test.cpp:1: Skipped\nexpected skip: the kernel has no Landlock")), 0);
  EXPECT_NE(output_.find("expected: a.b: the kernel has no Landlock"), std::string::npos) << output_;
}

TEST_F(Scripts, SkipsFailOnOneThatNobodyExpected) {
  for (const char* status : {"notrun", "disabled"}) {
    EXPECT_EQ(run("skips", result(status, "[  SKIPPED ]")), 1);
    EXPECT_NE(output_.find("unexpected: a.b"), std::string::npos) << output_;
  }
}

TEST_F(Scripts, TestRefusesWhatCtestWouldIgnore) {
  for (const std::string wrong : {"test' --bogus '", "test' -R name stray '", "test' stray '"}) {
    EXPECT_EQ(run(wrong, ""), 64) << wrong;
    EXPECT_NE(output_.find("ctest has no option"), std::string::npos) << output_;
  }
}

TEST_F(Scripts, SkipsFailWhenNothingRan) {
  EXPECT_EQ(run("skips", "<testsuite>\n</testsuite>\n"), 1) << output_;
  EXPECT_EQ(run("skips", ""), 66) << output_;
}

TEST_F(Scripts, FailuresNameTheFailedTestsAndTheirReplayLines) {
  const std::string line = "replay: TOUCHSTONE_SEED=0x7 bin/a --gtest_filter=B.C/d # class exact";
  EXPECT_EQ(
      run("failures", "12/13 Test #12: a/B.C/d ...***Failed\n" + line + "\n" + line +
                          "\n(1 ms)\nThe following tests FAILED:\n\t 12 - a/B.C/d (Failed)\n\t13 - a/E.F "
                          "(Timeout)\n    14 - a/G.H (SEGFAULT)    unit\nErrors while running CTest\n"),
      0);
  EXPECT_EQ(output_, "a/B.C/d (Failed)\na/E.F (Timeout)\na/G.H (SEGFAULT)    unit\n" + line + "\n");
}

TEST_F(Scripts, FailuresSayNothingOfALogWithoutThem) {
  EXPECT_EQ(run("failures", "the compiler ended with 1\n"), 0);
  EXPECT_EQ(output_, "");
}

TEST_F(Scripts, ReadmeFailsOnABlockThatFails) {
  EXPECT_EQ(run("readme", "```sh\ntrue\n./ci/nothing-here\n```\n"), 1);
  EXPECT_NE(output_.find("block 1"), std::string::npos) << output_;
}

TEST_F(Scripts, ReadmeFailsWithoutItsTwoCommands) {
  EXPECT_EQ(run("readme", "```sh\ntrue\n```\n```text\nfalse\n```\n"), 1);
  EXPECT_NE(output_.find("no block that runs ./ci/test"), std::string::npos) << output_;
}

}  // namespace
}  // namespace touchstone::ci
