#pragma once
// Loads a page in headless Chromium, for the tests of pages.
//
//   class ReportInABrowser : public PageInABrowser {};
//   TEST_F(ReportInABrowser, ...) { const std::string body = shown(saved_page(), "dark"); }
//
// A page says what is on the screen in attributes of its body. Without Chromium the test is an expected skip. Thread safety: one thread.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "harness/tool_run.h"

namespace touchstone::harness {

class PageInABrowser : public ::testing::Test {
 protected:
  void SetUp() override {
    if (run_shell("command -v chromium").status != 0)
      GTEST_SKIP()
          << "expected skip: chromium is not installed (apt-get install chromium), so no page is loaded";
    std::string pattern = (std::filesystem::temp_directory_path() / "touchstone-page-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }

  /// The body's tag as the browser has it at `file`#`view`.
  std::string shown(const std::string& file, const std::string& view) const {
    const std::string page = whole(file, view);
    const std::size_t body = page.find("<body data-");
    if (body == std::string::npos) return "nothing was drawn: " + page;
    return page.substr(body, page.find('>', body) - body);
  }

  /// All of the document once it is loaded. Pages paint in their scripts for that, not only in animation frames, which may never come.
  std::string whole(const std::string& file, const std::string& view) const {
    return run_shell("HOME=" + folder_.string() +
                     " timeout 120 chromium --headless --no-sandbox --disable-gpu" +
                     " --disable-crash-reporter --disable-breakpad --no-first-run --window-size=1400,800 "
                     "--user-data-dir=" +
                     (folder_ / "profile").string() + " --dump-dom 'file://" + file + "#" + view + "'")
        .output;
  }

  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

}  // namespace touchstone::harness
