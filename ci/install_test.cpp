// ci/install on machines that we do not have: stand-ins for dpkg-query, apt-get, id and sudo on its PATH. The
// danger is a newcomer's first minute: a script that hangs at a password prompt, or fails without saying what
// to do.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace touchstone::ci {
namespace {

namespace fs = std::filesystem;

class Install : public testing::Test {
 protected:
  Install() : base_(testing::TempDir() + "install." + std::to_string(::getpid())) {
    fs::create_directories(base_ / "bin");
    for (const char* tool : {"bash", "sed", "dirname", "mktemp", "rm", "cat", "env", "mv", "chmod"})
      fs::create_symlink(fs::canonical(fs::path("/usr/bin") / tool), base_ / "bin" / tool);
    stand_in("id", "echo 1000");
    stand_in("apt-get", "echo \"apt-get $*\" >>" + (base_ / "calls").string());
    stand_in("dpkg-query", "echo installed");
  }
  ~Install() override { fs::remove_all(base_); }

  void stand_in(const std::string& name, const std::string& body) {
    const fs::path path = base_ / "bin" / name;
    std::ofstream(path) << "#!" << (base_ / "bin" / "bash").string() << "\n" << body << "\n";
    fs::permissions(path, fs::perms::owner_all);
  }

  int run() {
    const std::string command = "TOUCHSTONE_POLICY_RC='" + (base_ / "policy").string() + "' PATH='" +
                                (base_ / "bin").string() +
                                "' bash '" TOUCHSTONE_TOP "/ci/install' 2>&1 </dev/null";
    FILE* pipe = ::popen(command.c_str(), "r");
    std::array<char, 4096> buffer;
    while (std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe))
      output_.append(buffer.data(), n);
    const int status = ::pclose(pipe);
    std::ifstream calls(base_ / "calls");
    calls_.assign(std::istreambuf_iterator<char>(calls), {});
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  fs::path base_;
  std::string output_;
  std::string calls_;
};

constexpr const char* kWithoutNinja = "[[ ${!#} == ninja-build ]] && exit 1; echo installed";

TEST_F(Install, IsQuietWhenNothingIsMissing) {
  EXPECT_EQ(run(), 0);
  EXPECT_EQ(output_, "");
  EXPECT_EQ(calls_, "");
}

TEST_F(Install, PrintsTheOneCommandWhereItMayNotInstall) {
  stand_in("dpkg-query", kWithoutNinja);
  stand_in("sudo", "exit 1");
  EXPECT_EQ(run(), 69);
  EXPECT_NE(
      output_.find("sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends ninja-build'"),
      std::string::npos)
      << output_;
  EXPECT_EQ(calls_, "");
}

TEST_F(Install, InstallsOnlyWhatIsMissingAsRoot) {
  stand_in("dpkg-query", kWithoutNinja);
  stand_in("id", "echo 0");
  EXPECT_EQ(run(), 0) << output_;
  EXPECT_EQ(calls_, "apt-get update\napt-get install -y --no-install-recommends ninja-build\n");
}

TEST_F(Install, InstallsThroughSudoThatAsksNothing) {
  stand_in("dpkg-query", kWithoutNinja);
  stand_in("sudo", "[[ $1 == -n ]] && exit 0; exec \"$@\"");
  EXPECT_EQ(run(), 0) << output_;
  EXPECT_EQ(calls_, "apt-get update\napt-get install -y --no-install-recommends ninja-build\n");
}

// The danger: a package starts the server that it brings, which then listens on the developer's machine; or a policy of the
// machine's own is lost.
TEST_F(Install, LetsNoPackageStartAServerAndPutsTheMachinesPolicyBack) {
  stand_in("dpkg-query", kWithoutNinja);
  stand_in("id", "echo 0");
  stand_in("apt-get", "[[ $1 == install ]] && cat " + (base_ / "policy").string() + " >>" +
                          (base_ / "calls").string() + "; true");
  EXPECT_EQ(run(), 0) << output_;
  EXPECT_NE(calls_.find("exit 101"), std::string::npos) << calls_;
  EXPECT_FALSE(fs::exists(base_ / "policy"));
  std::ofstream(base_ / "policy") << "the machine's own\n";
  EXPECT_EQ(run(), 0) << output_;
  std::ifstream policy(base_ / "policy");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(policy), {}), "the machine's own\n");
}

TEST_F(Install, SaysWhatToRunWhenTheNetworkIsAway) {
  stand_in("dpkg-query", kWithoutNinja);
  stand_in("id", "echo 0");
  stand_in("apt-get", "echo 'Could not resolve'; exit 100");
  EXPECT_EQ(run(), 69);
  EXPECT_NE(output_.find("Could not resolve"), std::string::npos) << output_;
  EXPECT_NE(output_.find("When the network is back, run:"), std::string::npos) << output_;
}

TEST_F(Install, SaysThatItKnowsOnlyDebian) {
  fs::remove(base_ / "bin" / "dpkg-query");
  EXPECT_EQ(run(), 69);
  EXPECT_NE(output_.find("this is no Debian"), std::string::npos) << output_;
}

}  // namespace
}  // namespace touchstone::ci
