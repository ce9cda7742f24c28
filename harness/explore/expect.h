#pragma once
// Explorations as GoogleTest expectations: a failing one prints its shrunk schedule, drawn.
//
//   EXPECT_TRUE(passes(portfolio(body)));

#include <gtest/gtest.h>

#include <sstream>

#include "harness/explore/explorer.h"
#include "harness/failure_report.h"

namespace touchstone::harness::explore {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define TOUCHSTONE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define TOUCHSTONE_SANITIZED 1
#endif
#endif
#if defined(TOUCHSTONE_SANITIZED)
inline constexpr bool kSanitized = true;  // ten times slower and more: tests take less of the same
#else
inline constexpr bool kSanitized = false;
#endif

/// A report that does not pass makes the test's replay line exact: the same seed explores the same schedules.
inline testing::AssertionResult passes(const Report& report) {
  std::ostringstream text;
  text << report;
  if (!report) describe_replay(ReplayClass::exact);
  return (report ? testing::AssertionSuccess() : testing::AssertionFailure()) << text.str();
}

}  // namespace touchstone::harness::explore
