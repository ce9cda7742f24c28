// A check that cannot fail is none: each kind of leftover is planted here, and must be named.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace touchstone {
namespace {

namespace fs = std::filesystem;

struct Checked {
  int status;
  std::string output;
};

Checked run(const std::string& command) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  std::string output;
  std::array<char, 4096> buffer;
  while (std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), n);
  const int status = ::pclose(pipe);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, output};
}

class Leftovers : public testing::Test {
 protected:
  Leftovers() : base_(testing::TempDir() + "leftovers." + std::to_string(::getpid())) {
    fs::create_directories(base_ / "tmp");
  }
  ~Leftovers() override { fs::remove_all(base_); }

  Checked leftovers(const std::string& what) {
    return run(std::string(TOUCHSTONE_LEFTOVERS) + " " + what + " " + (base_ / "state").string() + " " +
               (base_ / "tmp").string());
  }

  /// A process that sleeps under the watched TMPDIR.
  pid_t sleeper(const char* seconds) {
    const std::string variable = "TMPDIR=" + (base_ / "tmp").string();
    const pid_t child = ::fork();
    if (child == 0) {
      ::execlp("env", "env", variable.c_str(), "sleep", seconds, nullptr);
      ::_exit(127);
    }
    std::string name;
    while (name != "sleep") {
      std::ifstream comm("/proc/" + std::to_string(child) + "/comm");
      if (!std::getline(comm, name)) break;
      ::usleep(1000);
    }
    return child;
  }

  fs::path base_;
};

TEST_F(Leftovers, OfACleanRunAreNone) {
  ASSERT_EQ(leftovers("mark").status, 0);
  const Checked checked = leftovers("check");
  EXPECT_EQ(checked.status, 0) << checked.output;
}

TEST_F(Leftovers, NameAFile) {
  ASSERT_EQ(leftovers("mark").status, 0);
  std::ofstream(base_ / "tmp" / "planted") << "x";
  const Checked checked = leftovers("check-at-once");
  EXPECT_EQ(checked.status, 1);
  EXPECT_NE(checked.output.find("left behind: file " + (base_ / "tmp" / "planted").string()),
            std::string::npos)
      << checked.output;
}

TEST_F(Leftovers, NameASegment) {
  ASSERT_EQ(leftovers("mark").status, 0);
  const fs::path planted = "/dev/shm/theus:leftovers-test:" + std::to_string(::getpid()) + ":planted";
  std::ofstream(planted) << "x";
  const Checked checked = leftovers("check-at-once");
  fs::remove(planted);
  EXPECT_EQ(checked.status, 1);
  EXPECT_NE(checked.output.find("left behind: segment " + planted.string()), std::string::npos)
      << checked.output;
}

TEST_F(Leftovers, NameAProcess) {
  ASSERT_EQ(leftovers("mark").status, 0);
  const pid_t child = sleeper("600");
  const Checked checked = leftovers("check-at-once");
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(checked.status, 1);
  EXPECT_NE(checked.output.find("left behind: process " + std::to_string(child)), std::string::npos)
      << checked.output;
}

TEST_F(Leftovers, GiveWhatIsEndingTimeToEnd) {
  ASSERT_EQ(leftovers("mark").status, 0);
  const pid_t child = sleeper("0.5");
  const Checked checked = leftovers("check");
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(checked.status, 0) << checked.output;
}

}  // namespace
}  // namespace touchstone
