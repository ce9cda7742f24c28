#include "harness/history_stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "harness/history_edn.h"
#include "harness/history_random.h"
#include "model/checker.h"

namespace touchstone::harness {
namespace {

using model::Answer;
using model::History;

/// Feeds the text in pieces of these sizes at most.
StreamEnd streamed(const std::string& text, HistoryFormat format, Stream& stream, std::size_t piece,
                   const StreamLimits& limits = {}) {
  HistoryStream history("text", format, limits);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = 1 + stream.below(piece);
    if (auto end = history.feed(std::string_view(text).substr(at, size))) return *std::move(end);
    at += size;
  }
  return history.finish();
}

StreamVerdict verdict_of(const StreamEnd& end) {
  if (const auto* bad = std::get_if<MalformedHistory>(&end)) {
    ADD_FAILURE() << to_text(*bad);
    return {};
  }
  return std::get<StreamVerdict>(end);
}

std::string edn_of(const History& history) {
  std::ostringstream out;
  EXPECT_FALSE(write_edn_history(history, out));
  return out.str();
}

/// The invocations and completions of appends and reads of one key, as a key-value log.
std::string kv_of(const History& history) {
  std::ostringstream out;
  std::vector<std::pair<std::int64_t, std::string>> lines;
  for (const auto& it : history.operations) {
    const auto text = [&](model::ValueId id) {
      return '"' + std::get<std::string>(history.values.scalar(id)) + '"';
    };
    const std::string f = it.function == model::Function::kRead    ? "get"
                          : it.function == model::Function::kWrite ? "put"
                                                                   : "append";
    const auto line = [&](const char* type, const std::string& value) {
      return "{:process " + history.clients.name(it.client) + ", :type :" + type + ", :f :" + f +
             ", :key \"" + history.keys.name(it.key) + "\", :value " + value + "}\n";
    };
    const bool read = it.function == model::Function::kRead;
    lines.emplace_back(it.invoked, line("invoke", read ? "nil" : text(it.argument)));
    if (it.completed()) lines.emplace_back(it.returned, line("ok", text(read ? it.observed : it.argument)));
  }
  std::sort(lines.begin(), lines.end());
  for (const auto& [time, line] : lines) out << line;
  return out.str();
}

// The danger: a world that is lost or invented between two parts, most easily where operations of unknown outcome or buried
// writes cross. The oracle is the checker of the whole history, which tries against brute force elsewhere. Pieces down to a
// single byte put a part's end behind every event.
TEST(HistoryStream, GivesTheVerdictOfTheWholeHistoryWhereverItIsCut) {
  Stream stream = Seed::of_process().stream("streams");
  std::size_t refuted = 0;
  constexpr std::size_t kHistories = 3000;
  for (std::size_t i = 0; i < kHistories; ++i) {
    const HistoryShape shape{.operations = 1 + stream.below(30),
                             .clients = 1 + stream.below(5),
                             .keys = 1 + stream.below(2),
                             .values = stream.chance(1, 4) ? 0 : 1 + stream.below(4),
                             .compare_and_sets = stream.chance(1, 2),
                             .unknown_permille = stream.chance(1, 2) ? 150U : 0U,
                             .wrong_permille = 60};
    const History history = random_history(shape, stream);
    const bool expected = check(history).answer == Answer::kLinearizable;
    refuted += expected ? 0 : 1;
    const std::string text = edn_of(history);
    const auto verdict = verdict_of(streamed(text, HistoryFormat::kEdn, stream, i % 2 == 0 ? 1 : 400));
    ASSERT_EQ(verdict.answer, expected ? Answer::kLinearizable : Answer::kNotLinearizable)
        << verdict.reason << "\n"
        << text;
    ASSERT_EQ(verdict.line != 0, !expected);
  }
  EXPECT_GT(refuted, kHistories / 20);
  EXPECT_LT(refuted, kHistories * 19 / 20);
}

TEST(HistoryStream, AppendedStringsAreCarriedToo) {
  Stream stream = Seed::of_process().stream("append streams");
  for (int i = 0; i < 500; ++i) {
    const HistoryShape shape{.operations = 1 + stream.below(20),
                             .clients = 1 + stream.below(4),
                             .keys = 1 + stream.below(2),
                             .values = stream.below(3),
                             .appends = true,
                             .wrong_permille = 60};
    const History history = random_history(shape, stream);
    const auto nothing_read = [](const model::Operation& it) {
      return it.function == model::Function::kRead && it.completed() && it.observed == model::kNil;
    };
    if (std::any_of(history.operations.begin(), history.operations.end(), nothing_read))
      continue;  // no kv log says that
    const bool expected = check(history).answer == Answer::kLinearizable;
    const auto verdict = verdict_of(streamed(kv_of(history), HistoryFormat::kKv, stream, 200));
    ASSERT_EQ(verdict.answer, expected ? Answer::kLinearizable : Answer::kNotLinearizable)
        << verdict.reason << "\n"
        << kv_of(history);
  }
}

// What is kept must depend on what is open, not on what was: a hundred times the operations, the same lines.
TEST(HistoryStream, KeepsNoMoreOfALongHistoryThanOfAShortOne) {
  const auto most_kept = [](std::size_t operations) {
    Stream stream = Seed(7).stream("long");
    const std::string text = edn_of(random_history(
        {.operations = operations, .clients = 10, .keys = 3, .values = 5, .compare_and_sets = true}, stream));
    HistoryStream history("text", HistoryFormat::kEdn, {});
    std::size_t most = 0;
    for (std::size_t at = 0; at < text.size(); at += 4096) {
      EXPECT_FALSE(history.feed(std::string_view(text).substr(at, 4096)));
      most = std::max(most, history.kept());
    }
    EXPECT_EQ(verdict_of(history.finish()).answer, Answer::kLinearizable);
    return most;
  };
  EXPECT_LT(most_kept(30'000), 4 * most_kept(300) + 200);
}

TEST(HistoryStream, StopsAtTheLineOfTheViolation) {
  Stream stream = Seed(1).stream("violation");
  const std::string until =
      "INFO  jepsen.util - 0 :invoke :write 1\n"
      "noise\n"
      "INFO  jepsen.util - 0 :ok :write 1\n"
      "INFO  jepsen.util - 1 :invoke :read nil\n"
      "INFO  jepsen.util - 1 :ok :read 2\n";
  const auto verdict =
      verdict_of(streamed(until + "what comes later is not even read", HistoryFormat::kEtcd, stream, 7));
  EXPECT_EQ(verdict.answer, Answer::kNotLinearizable);
  EXPECT_EQ(verdict.line, 5U);
  EXPECT_EQ(verdict.reason, "nothing explains read by client 1 = 2: it saw 2 where the value is 1");
}

TEST(HistoryStream, AnOperationThatNeverEndsIsNamedWhenTheWindowIsFull) {
  Stream stream = Seed(1).stream("window");
  std::string text = "{:process 0, :type :invoke, :f :write, :value 1}\n";
  for (int i = 0; i < 20; ++i) {
    text +=
        "{:process 1, :type :invoke, :f :read, :value nil}\n{:process 1, :type :ok, :f :read, :value nil}\n";
  }
  const auto verdict =
      verdict_of(streamed(text, HistoryFormat::kEdn, stream, 50, {.search = {}, .window = 20}));
  EXPECT_EQ(verdict.answer, Answer::kInconclusive);
  EXPECT_EQ(verdict.reason, "the operation of line 1 is open for more than 20 lines");
}

TEST(HistoryStream, AMalformedLineIsNamedAsInTheInput) {
  Stream stream = Seed(1).stream("malformed");
  const auto end = streamed(
      "noise\nINFO  jepsen.util - 0 :invoke :write 1\nINFO  jepsen.util - 0 :ok :write 1\nmore noise\n"
      "INFO  jepsen.util - 3 :ok :read 1\n",
      HistoryFormat::kEtcd, stream, 5);
  ASSERT_TRUE(std::holds_alternative<MalformedHistory>(end));
  EXPECT_EQ(to_text(std::get<MalformedHistory>(end)), "text:5: client 3 completes what it did not invoke");
  const std::string map = "{:process 0, :type :invoke, :f :read}";
  const auto two = streamed("; a comment\n" + map + " " + map, HistoryFormat::kEdn, stream, 9);
  ASSERT_TRUE(std::holds_alternative<MalformedHistory>(two));
  EXPECT_EQ(to_text(std::get<MalformedHistory>(two)),
            "text:2: expected one map a line in a history that is checked while it is written");
}

}  // namespace
}  // namespace touchstone::harness
