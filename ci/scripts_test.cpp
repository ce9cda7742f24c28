// The scripts that judge other checks are checked themselves: ci/skips on results with a skip, ci/readme on
// pages with a command that fails, ci/failures on logs, ci/coverage on what llvm-cov says.

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
    return command("'" TOUCHSTONE_TOP "/ci/" + script + "' " + file_.string());
  }

  /// The exit status; what it printed is added to output_.
  int command(const std::string& line) {
    FILE* pipe = ::popen((line + " 2>&1").c_str(), "r");
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

/// What ci/coverage makes of a run that reached the last `reached` of the first ten lines of engine/path.h, with these reasons.
class CoverageTable : public Scripts {
 protected:
  CoverageTable() : reasons_(testing::TempDir() + "reasons." + std::to_string(::getpid())) {}
  ~CoverageTable() override { fs::remove(reasons_); }

  int run(int reached, const std::string& reasons, const std::string& whole = "yes",
          const std::string& another = "engine/segments/test_directory.h") {
    output_.clear();
    std::ofstream lcov(file_);
    for (const std::string& name : {std::string("engine/path.h"), another}) {
      lcov << "SF:" TOUCHSTONE_TOP "/" << name << '\n';
      for (int line = 1; line <= 10; ++line)
        lcov << "DA:" << line << ',' << (line > 10 - reached ? 1 : 0) << '\n';
      lcov << "end_of_record\n";
    }
    lcov.close();
    std::ofstream(reasons_) << reasons;
    return command("python3 '" TOUCHSTONE_TOP "/ci/coverage_table.py' " + file_.string() + " " +
                   reasons_.string() + " 95 " + whole);
  }

  fs::path reasons_;
  const std::string reason_ = "engine/path.h | #pragma once | none is compiled\n";
};

TEST_F(CoverageTable, PassesWhenEveryLineWasReachedAndLeavesOutWhatOnlyTestsInclude) {
  EXPECT_EQ(run(10, ""), 0) << output_;
  EXPECT_NE(output_.find("10 of 10 lines reached"), std::string::npos) << output_;
}

TEST_F(CoverageTable, CountsEngineEtcdWhereItsTestsRan) {
  EXPECT_EQ(run(10, "", "yes", "engine/etcd/base64.h"), 0) << output_;
  EXPECT_NE(output_.find("20 of 20 lines reached"), std::string::npos) << output_;
  EXPECT_EQ(output_.find("is not counted"), std::string::npos) << output_;
  const std::string reason = "engine/etcd/base64.h | #pragma once | none is compiled\n";
  EXPECT_EQ(run(10, reason, "yes", "engine/etcd/base64.h"), 1) << "it is stale: " << output_;
  EXPECT_EQ(run(10, reason), 0) << "nobody looked: " << output_;
  EXPECT_NE(output_.find("engine/etcd is not counted"), std::string::npos) << output_;
}

TEST_F(CoverageTable, FailsBelowTheLeastAndNamesTheLine) {
  EXPECT_EQ(run(9, ""), 1) << output_;
  EXPECT_NE(output_.find("missed: engine/path.h:1: #pragma once"), std::string::npos) << output_;
  EXPECT_EQ(run(9, "", "no"), 0) << "a part of the tests has no verdict";
}

TEST_F(CoverageTable, TakesAReasonForALineAndTheMissedOnesBelowIt) {
  EXPECT_EQ(run(7, reason_), 0) << output_;
  EXPECT_NE(output_.find("7 of 10 lines reached, 100.0 %"), std::string::npos) << output_;
}

TEST_F(CoverageTable, FailsOnAStaleReason) {
  EXPECT_EQ(run(10, reason_), 1) << output_;
  EXPECT_NE(output_.find("stale reason: engine/path.h | #pragma once"), std::string::npos) << output_;
  EXPECT_EQ(run(10, "engine/path.h | no such line | none\n"), 1) << output_;
}

TEST_F(CoverageTable, RefusesAReasonWithoutAWhy) {
  EXPECT_EQ(run(10, "# a comment\nengine/path.h | #pragma once\n"), 65) << output_;
  EXPECT_NE(output_.find(":2: not \"FILE | TEXT OF THE LINE | why\""), std::string::npos) << output_;
}

TEST_F(Scripts, RefuseNamesTheyDoNotKnow) {
  EXPECT_EQ(command("'" TOUCHSTONE_TOP "/ci/coverage' no_such_test"), 64) << output_;
  EXPECT_NE(output_.find("no test of the engine is named \"no_such_test\""), std::string::npos) << output_;
  EXPECT_EQ(command("'" TOUCHSTONE_TOP "/ci/corpus' no_such_fuzz"), 64) << output_;
  EXPECT_NE(output_.find("no target is named \"no_such_fuzz\""), std::string::npos) << output_;
  EXPECT_EQ(command("'" TOUCHSTONE_TOP "/ci/corpus' --from no-such-folder"), 64) << output_;
  EXPECT_EQ(command("'" TOUCHSTONE_TOP "/ci/fuzzed_mutants' --executions many 01"), 64) << output_;
  EXPECT_EQ(command("'" TOUCHSTONE_TOP "/ci/fuzzed_mutants' 77"), 64) << output_;
  EXPECT_NE(output_.find("no planted bug of the store or the ticket is \"77\""), std::string::npos)
      << output_;
}

}  // namespace
}  // namespace touchstone::ci
