// The reaper at scale: acceptance C10. Times are reported, not asserted.

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "stress/chaos/segment_test.h"

namespace touchstone::chaos {
namespace {

using engine::ReapVerdict;

class AcceptanceC10 : public ChaosTest {
 protected:
  void put_orphans(int sessions, int segments_each) {
    for (int s = 0; s < sessions; ++s) {
      for (int k = 0; k < segments_each; ++k) {
        put("theus:" + session() + "." + std::to_string(s) + ":1:" + std::to_string(k));
      }
    }
  }

  engine::ReapReport timed_start(const char* what) {
    const auto begin = std::chrono::steady_clock::now();
    const SegmentOwner owner = this->owner();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    std::printf("start with %s: %.1f ms\n", what, took.count());
    return owner.start_report();
  }
};

TEST_F(AcceptanceC10, OneStartReaps10000OrphansOfOneSession) {
  put_orphans(1, 10'000);
  const auto report = timed_start("10,000 orphans in one session");
  EXPECT_EQ(report.count(ReapVerdict::removed), 1u);
  EXPECT_EQ(report.removed_names, 10'001u) << "and the lock that was made to remove them";
}

TEST_F(AcceptanceC10, OneStartReaps10000OrphansOf1000Sessions) {
  put_orphans(1000, 10);
  const auto report = timed_start("10,000 orphans in 1,000 sessions");
  EXPECT_EQ(report.count(ReapVerdict::removed), 1000u);
  EXPECT_EQ(report.removed_names, 11'000u);
}

TEST_F(AcceptanceC10, AStartBeside10000LiveSegmentsTouchesNone) {
  auto options = this->options();
  options.session = "alive";
  auto live = SegmentOwner::open(options);
  ASSERT_TRUE(live) << why(live);
  for (int k = 0; k < 10'000; ++k) ASSERT_TRUE(live->allocate(std::to_string(k), engine::bytes_of("x")));
  const auto report = timed_start("10,000 live segments");
  EXPECT_EQ(report.count(ReapVerdict::live), 1u);
  EXPECT_EQ(report.removed_names, 0u);
  EXPECT_EQ(why(live->audit()), "");
}

}  // namespace
}  // namespace touchstone::chaos
