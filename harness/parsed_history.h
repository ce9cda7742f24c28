#pragma once
// Histories from text, for the tests of the formats.
//
//   const History history = parsed("0 :invoke :write 1 ...");   // a malformed one fails the test
//   EXPECT_EQ(problem("garbage"), "text:1: expected ...");

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

#include "harness/history_format.h"

namespace touchstone::harness {

inline model::History parsed(std::string_view text, HistoryFormat format = HistoryFormat::kAuto) {
  auto read = parse_history(text, "text", format);
  if (const auto* bad = std::get_if<MalformedHistory>(&read)) {
    ADD_FAILURE() << to_text(*bad);
    return model::History();
  }
  return std::get<model::History>(std::move(read));
}

inline std::string problem(std::string_view text, HistoryFormat format = HistoryFormat::kAuto) {
  const auto read = parse_history(text, "text", format);
  const auto* bad = std::get_if<MalformedHistory>(&read);
  return bad != nullptr ? to_text(*bad) : "no problem";
}

}  // namespace touchstone::harness
