#include "harness/replay_log.h"

#include <gtest/gtest.h>

#include <sstream>

namespace touchstone::harness {
namespace {

const char* const kClaim = "build/dev/bin/touchstone replay --claim A3 --class exact --seed 0x5 --round 0";
const char* const kTest =
    "TOUCHSTONE_SEED=0x7 build/dev/bin/store_test --gtest_filter=Store.Merges # class workload";

LoggedReplays found_in(const std::string& log) {
  std::istringstream stream(log);
  return find_replay_lines(stream);
}

TEST(ReplayLog, FindsTheLinesOfAJobUnderTimesNumbersAndColours) {
  const LoggedReplays logged =
      found_in(std::string("[ RUN ] Store.Merges\n") + "2026-11-22T10:00:00Z 17: \x1b[31mreplay: " + kTest +
               "\x1b[0m\r\n" + "17/400 Test #17: store_test ***Failed\n" + "  replay: " + kClaim);
  ASSERT_EQ(logged.lines.size(), 2);
  EXPECT_EQ(logged.lines[0].number, 2);
  EXPECT_EQ(logged.lines[0].text, kTest);
  EXPECT_EQ(std::get<TestTarget>(logged.lines[0].line.target).filter, "Store.Merges");
  EXPECT_EQ(logged.lines[1].number, 4);
  EXPECT_EQ(std::get<ClaimTarget>(logged.lines[1].line.target).claim, "A3");
  EXPECT_TRUE(logged.unreadable.empty());
}

TEST(ReplayLog, CountsALineOnceHoweverOftenItIsPrinted) {
  const std::string twice =
      std::string("replay: ") + kTest + "\nreplay: " + kClaim + "\nsummary: replay: " + kTest;
  const LoggedReplays logged = found_in(twice);
  ASSERT_EQ(logged.lines.size(), 2);
  EXPECT_EQ(logged.lines[0].number, 1);
}

TEST(ReplayLog, NamesALineThatWasCutOffAndGoesOn) {
  const LoggedReplays logged =
      found_in("replay: touchstone replay --claim A1 --class exa\n" + std::string("replay: ") + kClaim);
  ASSERT_EQ(logged.unreadable.size(), 1);
  EXPECT_EQ(logged.unreadable[0].number, 1);
  EXPECT_EQ(logged.unreadable[0].error.word, "exa");
  ASSERT_EQ(logged.lines.size(), 1);
  EXPECT_EQ(logged.lines[0].number, 2);
}

TEST(ReplayLog, IsEmptyWhereNothingFailed) {
  EXPECT_TRUE(found_in("all tests passed\n").lines.empty());
  EXPECT_TRUE(found_in("").lines.empty());
}

}  // namespace
}  // namespace touchstone::harness
