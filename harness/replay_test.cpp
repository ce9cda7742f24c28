#include "harness/replay.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

namespace touchstone::harness {
namespace {

const ReplayLine& line_of(const std::variant<ReplayLine, ReplayError>& parsed) {
  if (const auto* error = std::get_if<ReplayError>(&parsed))
    ADD_FAILURE() << error->what << ": " << error->word;
  return std::get<ReplayLine>(parsed);
}

TEST(ReplayLine, OfAClaimReadsAsItIsPrinted) {
  const ReplayLine line{
      ReplayClass::exact, Seed(0xff), ClaimTarget{"B10"}, {{"schedule", "1.0 2"}, {"crash-point", "7"}}};
  const std::string text = to_text(line, "build/dev/bin/touchstone");
  EXPECT_EQ(
      text,
      "build/dev/bin/touchstone replay --claim B10 --class exact --seed 0x00000000000000ff --schedule '1.0 "
      "2' --crash-point 7");
  EXPECT_EQ(line_of(parse_replay_line(text)), line);
  EXPECT_EQ(line_of(parse_replay_line("  replay: " + text)), line);
}

TEST(ReplayLine, OfATestReadsAsItIsPrinted) {
  const ReplayLine line{
      ReplayClass::workload, Seed(1), TestTarget{"build/dev/bin/x_test", "A.*"}, {{"crash-point", "3"}}};
  const std::string text = to_text(line);
  EXPECT_EQ(text,
            "TOUCHSTONE_SEED=0x0000000000000001 TOUCHSTONE_CRASH_POINT=3 build/dev/bin/x_test "
            "--gtest_filter='A.*' # class workload");
  EXPECT_EQ(line_of(parse_replay_line(text)), line);
}

TEST(ReplayLine, NamesTheWordThatIsWrong) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"touchstone replay --claim A1 --class exact --seed 0xg", "0xg"},
      {"touchstone replay --claim A1 --class often --seed 1", "often"},
      {"touchstone replay --claim A1 --class exact --seed", "--seed"},
      {"touchstone replay --claim A1 --class exact --seed 1 --Up 1", "Up"},
      {"touchstone replay --claim A1 --class exact --seed 1 --k 1 --k 2", "k"},
      {"touchstone replay --claim A1 --claim A2 --class exact --seed 1", "--claim"},
      {"touchstone replay --claim A1 --class exact --seed 1 --seed 1", "--seed"},
      {"TOUCHSTONE_SEED=1 TOUCHSTONE_SEED=2 bin/a", "TOUCHSTONE_SEED=2"},
      {"touchstone replay stray", "stray"},
      {"touchstone verify", "touchstone"},
      {"TOUCHSTONE_SEED=x bin/a", "x"},
      {"TOUCHSTONE_SEED=1 bin/a --gtest_filter=B.* more", "more"},
      {"touchstone replay --claim 'A1", "A1"},
  };
  for (const auto& [text, word] : cases) {
    const auto parsed = parse_replay_line(text);
    ASSERT_TRUE(std::holds_alternative<ReplayError>(parsed)) << text;
    EXPECT_EQ(std::get<ReplayError>(parsed).word, word) << text;
  }
}

TEST(ReplayLine, WithoutClassOrSeedOrClaimIsAnErrorNotAGuess) {
  for (const char* text :
       {"", "replay: ", "touchstone replay --claim A1 --class exact", "bin/a",
        "touchstone replay --claim A1 --seed 1", "touchstone replay --class exact --seed 1"})
    EXPECT_TRUE(std::holds_alternative<ReplayError>(parse_replay_line(text))) << text;
}

/// Any byte but NUL, which no command line can carry.
rc::Gen<std::string> value() {
  return rc::gen::container<std::string>(rc::gen::distinctFrom(rc::gen::arbitrary<char>(), '\0'));
}

rc::Gen<std::string> name() {
  return rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::elementOf(std::string("abcxyz019-"))));
}

RC_GTEST_PROP(ReplayLine, RoundTripsWhateverItsValuesHold, ()) {
  ReplayLine line;
  line.seed = Seed(*rc::gen::arbitrary<std::uint64_t>());
  line.replay_class = *rc::gen::element(ReplayClass::exact, ReplayClass::workload, ReplayClass::crash_point);
  if (*rc::gen::arbitrary<bool>()) {
    line.target = ClaimTarget{*rc::gen::nonEmpty(value())};
  } else {
    line.target = TestTarget{"bin/" + *value(), *value()};
  }
  const std::set<std::string> reserved = {"claim", "class", "seed"};
  for (const auto& option_name : *rc::gen::container<std::set<std::string>>(name()))
    if (!reserved.count(option_name)) line.options.push_back({option_name, *value()});
  const std::string text = to_text(line);
  RC_LOG() << text << "\n";
  const auto parsed = parse_replay_line(text);
  RC_ASSERT(std::holds_alternative<ReplayLine>(parsed));
  RC_ASSERT(std::get<ReplayLine>(parsed) == line);
}

}  // namespace
}  // namespace touchstone::harness
