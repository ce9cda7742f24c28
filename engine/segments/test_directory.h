#pragma once
// A directory of shared memory that belongs to one test, and the check that the test left nothing behind.
//
//   class ReaperTest : public SegmentTest {};          // directory(), session(), names(), put(...)
//
// It is a real directory in /dev/shm, so that files there are what they are in production, but no reaper of
// another test looks into it. The test fails if, at its end, a theus:* name is left in the directory, one
// of its session in /dev/shm itself, or a child process that nobody waited for.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/segments/name.h"
#include "engine/segments/owner.h"

namespace touchstone::engine {

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

inline std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Every file in the directory that begins with `prefix`, sorted.
inline std::vector<std::string> files_in(const std::string& directory, std::string_view prefix = "") {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(prefix)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

class SegmentTest : public testing::Test {
 protected:
  SegmentTest() {
    std::string pattern = "/dev/shm/touchstone-test-XXXXXX";
    if (::mkdtemp(pattern.data()) != nullptr) directory_ = pattern;
  }

  void SetUp() override { ASSERT_FALSE(directory_.empty()) << "no directory could be made in /dev/shm"; }

  void TearDown() override {
    EXPECT_EQ(names(), std::vector<std::string>{}) << "left in " << directory_;
    for (const std::string& name : files_in(kDefaultDirectory, kNamePrefix)) {
      EXPECT_FALSE(name.starts_with("theus:" + session_ + ":")) << name << " is left";
    }
    EXPECT_TRUE(::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD) << "a child process is left";
    std::filesystem::remove_all(directory_);
  }

  const std::string& directory() const { return directory_; }
  const std::string& session() const { return session_; }

  SegmentOwner::Options options() const {
    return {.session = session_, .directory = directory_, .lock_attempts = 3};
  }

  /// An owner of this test's session. Ends the process if it cannot be had.
  SegmentOwner owner() const {
    auto opened = SegmentOwner::open(options());
    if (!opened) ADD_FAILURE() << describe(opened.error());
    return std::move(*opened);
  }

  std::vector<std::string> names() const { return files_in(directory_, kNamePrefix); }
  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  bool exists(const std::string& name) const { return std::filesystem::exists(path(name)); }

  /// Writes a file as a stranger would.
  void put(const std::string& name, const std::string& content = "") const {
    std::ofstream(path(name)) << content;
  }

  void remove(const std::string& name) const { std::filesystem::remove(path(name)); }

 private:
  std::string directory_;
  std::string session_ = "t" + random_session();
};

}  // namespace touchstone::engine
