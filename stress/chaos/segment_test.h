#pragma once
// What the chaos tests of shared memory have in common: a private directory, a live bystander, and the
// account that is drawn up after every kill.
//
//   TEST_F(AcceptanceC4, ...) { SegmentOwner bystander = bystander_owner(); ...; account_after_kill(); }
//
// One thread.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cerrno>
#include <fstream>
#include <optional>
#include <string>

#include "engine/segments/attachment.h"
#include "engine/segments/owner.h"
#include "engine/segments/reaper.h"
#include "engine/segments/test_directory.h"
#include "stress/chaos/refusal.h"

namespace touchstone::chaos {

using engine::Attachment;
using engine::SegmentErrc;
using engine::SegmentHandle;
using engine::SegmentOwner;

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TOUCHSTONE_THREAD_SANITIZER
#endif
#if __has_feature(address_sanitizer)
#define TOUCHSTONE_ADDRESS_SANITIZER
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define TOUCHSTONE_THREAD_SANITIZER
#endif
#ifdef __SANITIZE_ADDRESS__
#define TOUCHSTONE_ADDRESS_SANITIZER
#endif

/// Every byte that is read has shadow memory of its own.
#ifdef TOUCHSTONE_THREAD_SANITIZER
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif
#ifdef TOUCHSTONE_ADDRESS_SANITIZER
inline constexpr bool kSanitizer = true;
#else
inline constexpr bool kSanitizer = kThreadSanitizer;
#endif

class ChaosTest : public engine::SegmentTest {
 protected:
  void TearDown() override {
    bystander_.reset();
    SegmentTest::TearDown();
  }

  /// A live owner in the same directory, with two segments, that no kill and no reaper may touch.
  void start_bystander() {
    auto options = this->options();
    options.session = "bystander";
    auto opened = SegmentOwner::open(options);
    ASSERT_TRUE(opened) << why(opened);
    bystander_.emplace(std::move(*opened));
    ASSERT_TRUE(bystander_->allocate("one", engine::bytes_of("1")));
    ASSERT_TRUE(bystander_->allocate("two", engine::bytes_of("2")));
    bystanders_names_ = engine::files_in(directory());
  }

  engine::ReapReport reap_all() const { return engine::reap({.directory = directory(), .session = {}}); }

  /// What a kill may leave is accounted for, kind by kind. Names: every one that is visible is a whole segment, and the
  /// next start, of the same session, leaves only the bystander's. Locks: nobody but the bystander is alive. Mappings and
  /// processes: none is left of the test's own.
  void account_after_kill() const {
    expect_only_whole_segments();
    {
      const auto next = SegmentOwner::open(options());
      ASSERT_TRUE(next) << why(next);
      const engine::ReapReport& report = next->start_report();
      EXPECT_FALSE(report.error);
      EXPECT_EQ(report.count(engine::ReapVerdict::failed), 0u);
      EXPECT_EQ(report.count(engine::ReapVerdict::live), bystander_ ? 1u : 0u) << "a lock outlived its owner";
      EXPECT_EQ(names().size(), bystanders_names_.size() + 1) << "whatever the names are, and the new lock";
    }
    EXPECT_EQ(engine::files_in(directory()), bystanders_names_);
    EXPECT_EQ(mappings(), 0u);
    EXPECT_TRUE(::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD) << "a process is left";
    if (bystander_) {
      EXPECT_EQ(why(bystander_->audit()), "");
    }
  }

  /// Of files in this test's directory, in this process.
  std::size_t mappings() const {
    std::ifstream maps("/proc/self/maps");
    std::size_t count = 0;
    for (std::string line; std::getline(maps, line);)
      count += line.find(directory()) != std::string::npos ? 1 : 0;
    return count;
  }

  void expect_only_whole_segments() const {
    for (const std::string& name : names()) {
      if (engine::parse_name(name)->is_reserved()) continue;
      const auto seen = Attachment::attach(name, directory());
      EXPECT_TRUE(seen) << why(seen);
      if (seen) {
        EXPECT_EQ(why(seen->verify()), "") << name;
      }
    }
  }

 private:
  std::optional<SegmentOwner> bystander_;
  std::vector<std::string> bystanders_names_;
};

}  // namespace touchstone::chaos
