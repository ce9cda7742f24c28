#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <sstream>
#include <vector>

#include "harness/history_binary.h"
#include "harness/history_edn.h"
#include "harness/history_format.h"
#include "harness/history_jsonl.h"
#include "harness/history_random.h"
#include "harness/parsed_history.h"
#include "model/checker.h"

namespace touchstone::harness {
namespace {

using model::Answer;
using model::History;
using model::Outcome;

std::string as_jsonl(const History& history) {
  std::ostringstream out;
  write_jsonl_history(history, out);
  return out.str();
}

/// The lines in an order of their own: a binary history has its operations by their invocations.
std::string in_any_order(const std::string& lines) {
  std::vector<std::string> all;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) all.push_back(line);
  std::sort(all.begin(), all.end());
  std::string out;
  for (const std::string& line : all) out += line + "\n";
  return out;
}

std::string as_binary(const History& history) {
  std::ostringstream out;
  const auto why = write_binary_history(history, out);
  EXPECT_FALSE(why) << *why;
  return out.str();
}

std::string as_edn(const History& history) {
  std::ostringstream out;
  const auto why = write_edn_history(history, out);
  EXPECT_FALSE(why) << *why;
  return out.str();
}

TEST(EdnHistory, TakesJepsensVectorsRecordsAndNemesis) {
  const History history = parsed(
      "; a comment\n"
      "[{:process :nemesis, :type :info, :f :start, :value nil}\n"
      " #jepsen.history.Op{:index 0, :time 12, :type :invoke, :process 0, :f :write, :value 3}\n"
      " {:process 1 :type :invoke :f :cas :value [3 4]} {:process 1, :type :fail, :f :cas, :value [3 4]}\n"
      " {:process 0, :type :ok, :f :write, :value 3}\n"
      " {:process 2, :type :invoke, :f :cas, :value [4 3]}\n"
      " {:process 2, :type :fail, :f :cas, :value [4 3], :error :mismatch}\n"
      " {:process 3, :type :invoke, :f :read, :value nil} {:process 3, :type :info, :f :read, :error "
      "\"x\\u00e9\"}\n"
      " {:process 4, :type :invoke, :f :read}]");
  ASSERT_EQ(history.operations.size(), 4U);
  EXPECT_EQ(history.operations[0].outcome, Outcome::kOk);
  EXPECT_EQ(history.operations[1].outcome, Outcome::kFail);
  EXPECT_EQ(history.operations[2].outcome, Outcome::kUnknown);
  EXPECT_EQ(history.operations[3].outcome, Outcome::kPending);
  EXPECT_EQ(check(history).answer, Answer::kLinearizable);
}

TEST(EdnHistory, TakesIndependentKeys) {
  const History history = parsed(
      "{:process 0, :type :invoke, :f :write, :value [5 3]}\n"
      "{:process 0, :type :ok, :f :write, :value [5 3]}\n"
      "{:process 1, :type :invoke, :f :read, :value [6 nil]}\n"
      "{:process 1, :type :ok, :f :read, :value [6 nil]}\n"
      "{:process 1, :type :invoke, :f :cas, :value [5 [3 4]]}\n"
      "{:process 1, :type :ok, :f :cas, :value [5 [3 4]]}\n");
  EXPECT_EQ(history.keys.size(), 2U);
  EXPECT_EQ(check(history).answer, Answer::kLinearizable);
}

TEST(EdnHistory, NamesTheLineThatIsWrong) {
  const std::string invoke = "{:process 0, :type :invoke, :f :cas, :value [1 2]}\n";
  EXPECT_EQ(problem(invoke + invoke), "text:2: client 0 invokes while its last operation is still open");
  EXPECT_EQ(problem(invoke + "{:process 0, :type :ok, :f :cas, :value [1 3]}\n"),
            "text:2: the completion's :value is not the invocation's");
  EXPECT_EQ(problem("{:process 0, :type :invoke, :f :enqueue, :value 1}"),
            "text:1: expected :f with :read, :write or :cas, not :enqueue");
  EXPECT_EQ(problem(invoke + "{:process 1, :type :invoke, :f :write, :value :red}"),
            "text:2: expected a number, a string, a boolean or nil as the register's value");
  EXPECT_EQ(problem("[" + invoke), "text:2: expected ']' before the end of the text");
  EXPECT_EQ(problem("[" + invoke + "] 7"), "text:2: expected nothing behind the end of the history");
  EXPECT_EQ(
      problem("{:process 0, :type :invoke, :f :read, :value [1 nil]}\n{:process 1, :type :invoke, :f :write, "
              ":value 3}"),
      "text:2: expected :value with [key value], as in the first operation");
}

TEST(EdnHistory, WritesWhatOthersCanCheckAndRefusesTheRest) {
  Stream stream = Seed::of_process().stream("edn");
  HistoryShape shape{.operations = 3, .clients = 2, .values = 2, .versions = true};
  std::ostringstream out;
  const auto why = write_edn_history(random_history(shape, stream), out);
  ASSERT_TRUE(why);
  EXPECT_NE(why->find("an EDN register has no versions, as in "), std::string::npos) << *why;
  EXPECT_EQ(out.str(), "");
  const History store = random_store_history({.operations = 2, .clients = 1}, stream);
  EXPECT_EQ(*write_edn_history(store, out), "an EDN history is of registers, not of a store");
}

TEST(EdnHistory, SaysWhatTheRegisterHeldAtFirst) {
  const History history = parsed(
      "{\"touchstone\":\"history\",\"version\":1,\"kind\":\"cell\",\"initial\":\"\\\"a\\\"\"}\n"
      "{\"client\":\"reader\",\"call\":1,\"return\":2,\"outcome\":\"ok\",\"key\":\"x\",\"f\":\"read\","
      "\"value\":\"\\\"a\\\"\"}\n");
  EXPECT_EQ(as_edn(history),
            "{:process 1, :type :invoke, :f :write, :value [\"x\" \"\\\"a\\\"\"]}\n"
            "{:process 1, :type :ok, :f :write, :value [\"x\" \"\\\"a\\\"\"]}\n"
            "{:process 0, :type :invoke, :f :read, :value [\"x\" nil]}\n"
            "{:process 0, :type :ok, :f :read, :value [\"x\" \"\\\"a\\\"\"]}\n");
  EXPECT_EQ(check(parsed(as_edn(history))).answer, Answer::kLinearizable);
}

// A format that loses an operation or its order would change verdicts without any other sign.
TEST(Conversion, EveryHistoryReadsBackFromEveryFormatThatHasIt) {
  Stream stream = Seed::of_process().stream("conversion");
  for (int i = 0; i < 300; ++i) {
    const HistoryShape shape{.operations = 1 + stream.below(20),
                             .clients = 1 + stream.below(5),
                             .keys = 1 + stream.below(3),
                             .values = stream.below(4),
                             .compare_and_sets = stream.chance(1, 2),
                             .appends = stream.chance(1, 4),
                             .versions = stream.chance(1, 4),
                             .unknown_permille = 100,
                             .wrong_permille = 100};
    const History history = random_history(shape, stream);
    const std::string lines = as_jsonl(history);
    EXPECT_EQ(as_jsonl(parsed(as_binary(history))), lines);
    EXPECT_EQ(as_jsonl(parsed(lines)), lines);
    if (shape.appends || shape.versions) continue;
    const std::string edn = as_edn(history);
    const History again = parsed(edn, HistoryFormat::kEdn);
    EXPECT_EQ(as_edn(again), edn);
    EXPECT_EQ(check(again).answer, check(history).answer) << edn;
  }
}

TEST(Conversion, StoresAndOddValuesReadBackFromTheirRecords) {
  Stream stream = Seed::of_process().stream("store conversion");
  for (int i = 0; i < 100; ++i) {
    const History store = random_store_history(
        {.operations = 1 + stream.below(12), .clients = 3, .validate_reads = true, .unknown_permille = 200},
        stream);
    EXPECT_EQ(in_any_order(as_jsonl(parsed(as_binary(store)))), in_any_order(as_jsonl(store)));
  }
  History odd;
  odd.initial = odd.value(std::string("\0x\n\"", 4));
  for (const model::Scalar& value :
       {model::Scalar{-0.0}, model::Scalar{1.5e300}, model::Scalar{true},
        model::Scalar{std::numeric_limits<std::int64_t>::min()}, model::Scalar{3.0}}) {
    const auto time = static_cast<std::int64_t>(odd.operations.size()) * 2;
    model::Operation it{
        .invoked = time, .returned = time + 1, .client = odd.client("a b"), .key = odd.key("k\"")};
    it.function = model::Function::kWrite;
    it.argument = odd.value(value);
    odd.operations.push_back(it);
  }
  EXPECT_EQ(as_jsonl(parsed(as_binary(odd))), as_jsonl(odd));
  EXPECT_EQ(check(parsed(as_edn(odd))).answer, Answer::kLinearizable);
}

// Nothing in a binary file is aligned, complete or true: whatever is cut off or overwritten is an error or a history.
TEST(BinaryHistory, NamesWhatIsWrongInDamagedFiles) {
  Stream stream = Seed::of_process().stream("damage");
  const History history =
      random_history({.operations = 8, .clients = 3, .values = 3, .compare_and_sets = true}, stream);
  const std::string whole = as_binary(history);
  for (std::size_t size = kBinaryMagic.size(); size < whole.size(); ++size) {
    EXPECT_NE(problem(whole.substr(0, size)), "no problem") << size;
  }
  std::size_t refused = 0;
  for (int i = 0; i < 5000; ++i) {
    std::string damaged = whole;
    damaged[stream.below(damaged.size())] = static_cast<char>(stream.below(256));
    refused += problem(damaged, HistoryFormat::kBinary) == "no problem" ? 0 : 1;
  }
  EXPECT_GT(refused, 1000U);
  EXPECT_EQ(problem(whole.substr(0, 70)),
            "text: expected " + std::to_string(whole.size()) + " bytes, as the header says, not 70");
  std::string late = whole;
  late[64 + 7] = 0x7f;
  EXPECT_EQ(problem(late), "text: event 1: expected times in order");
}

}  // namespace
}  // namespace touchstone::harness
