#pragma once
// Explorations as GoogleTest expectations: a failing one prints its shrunk schedule, drawn.
//
//   EXPECT_TRUE(passes(portfolio(body)));

#include <gtest/gtest.h>

#include <sstream>

#include "harness/explore/explorer.h"

namespace touchstone::harness::explore {

inline testing::AssertionResult passes(const Report& report) {
  std::ostringstream text;
  text << report;
  return (report ? testing::AssertionSuccess() : testing::AssertionFailure()) << text.str();
}

}  // namespace touchstone::harness::explore
