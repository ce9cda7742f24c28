#include "harness/history_format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "harness/history_jsonl.h"
#include "harness/history_random.h"
#include "harness/parsed_history.h"
#include "model/checker.h"

namespace touchstone::harness {
namespace {

using model::Answer;
using model::History;
using model::HistoryKind;
using model::Outcome;

TEST(EtcdLog, TakesTabsSpacesAndNoise) {
  const History history = parsed(
      "2014-01-01 INFO starting jepsen\n"
      "INFO  jepsen.util - :nemesis :info :start nil\n"
      "INFO  jepsen.util - 0\t:invoke\t:write\t3\r\n"
      "INFO  jepsen.util - 1   :invoke  :cas   [3 -4]\n"
      "\n"
      "INFO  jepsen.util - 1 :fail :cas [3 -4]\n"
      "INFO  jepsen.util - 0 :info :write :timed-out\n"
      "INFO  jepsen.util - 2 :invoke :read nil\n"
      "INFO  jepsen.util - 2 :fail :read :timed-out\n"
      "INFO  jepsen.util - 4 :invoke :read nil\n"
      "INFO  jepsen.util - 4 :ok :read 3\n"
      "INFO  jepsen.util - 3 :invoke :read nil\n");
  ASSERT_EQ(history.operations.size(), 4U);
  EXPECT_EQ(history.operations[0].outcome, Outcome::kUnknown);
  EXPECT_EQ(history.operations[1].outcome, Outcome::kFail);
  EXPECT_EQ(history.operations[2].outcome, Outcome::kOk);
  EXPECT_EQ(history.operations[3].outcome, Outcome::kPending);
  EXPECT_EQ(check(history).answer, Answer::kLinearizable);
}

TEST(EtcdLog, NamesTheLineThatIsWrong) {
  const std::string invoke = "INFO  jepsen.util - 0 :invoke :cas [1 2]\n";
  EXPECT_EQ(problem(invoke + invoke), "text:2: client 0 invokes while its last operation is still open");
  EXPECT_EQ(problem("INFO  jepsen.util - 0 :ok :read 1\n"),
            "text:1: client 0 completes what it did not invoke");
  const std::string done = "INFO  jepsen.util - 0 :ok :cas [1 2]\n";
  EXPECT_EQ(problem(invoke + done + done), "text:3: client 0 completes what it did not invoke");
  EXPECT_EQ(problem("\nINFO  jepsen.util - 0 :invoke :cas [1\n"), "text:2: expected [number number], not [1");
  EXPECT_EQ(problem("INFO  jepsen.util - 0 :invoke :write\n"),
            "text:1: expected a number or nil, not nothing");
  EXPECT_EQ(problem("INFO  jepsen.util - 0 :inv"), "text:1: expected :invoke, :ok, :fail or :info, not :inv");
  EXPECT_EQ(problem(invoke + "INFO  jepsen.util - 0 :ok :cas [1 3]\n"),
            "text:2: the completion's value [1 3] is not the invocation's");
  EXPECT_EQ(problem(invoke + "INFO  jepsen.util - 0 :ok :write 1\n"),
            "text:2: the completion's function :write is not the invocation's");
}

TEST(KvLog, ReadsMapsInAnyOrderOfKeys) {
  const History history = parsed(
      "{:process 4, :type :invoke, :f :append, :key \"1\", :value \"x \\\"4\\\" y\"}\n"
      "{:type :ok :process 4 :key \"1\" :f :append :value \"x\"} ; a comment\n"
      "{:process 5, :type :invoke, :f :get, :key \"1\", :value nil}\n"
      "{:process 5, :type :ok, :f :get, :key \"1\", :value \"x \\\"4\\\" y\"}\n"
      "{:process 6, :type :invoke, :f :put, :key \"2\", :value \"z\"}\n");
  ASSERT_EQ(history.operations.size(), 3U);
  EXPECT_EQ(history.keys.size(), 2U);
  EXPECT_EQ(history.operations[2].outcome, Outcome::kPending);
  EXPECT_EQ(check(history).answer, Answer::kLinearizable);
}

TEST(KvLog, NamesTheLineThatIsWrong) {
  const std::string invoke = "{:process 4, :type :invoke, :f :get, :key \"1\", :value nil}\n";
  EXPECT_EQ(problem(invoke + "{:process 4, :type :ok, :f :get, :key \"1\", :value nil}\n"),
            "text:2: expected :value with the string read");
  EXPECT_EQ(problem(invoke + "{:process 4, :type :ok, :f :get, :key \"1\"\n"),
            "text:3: expected '}' before the end of the text");
  EXPECT_EQ(problem(invoke + invoke), "text:2: client 4 invokes while its last operation is still open");
  EXPECT_EQ(problem(invoke + "{:process 4, :type :ok, :f :put, :key \"1\", :value \"\"}\n"),
            "text:2: the completion's :f or :key is not the invocation's");
  EXPECT_EQ(problem("{:process 4, :type :invoke, :f :scan, :key \"1\", :value nil}\n"),
            "text:1: expected :f with :get, :put or :append, not :scan");
}

TEST(HistoryFormats, AnEmptyFileIsAnEmptyHistoryAndAnUnknownOneIsMalformed) {
  EXPECT_EQ(check(parsed("")).answer, Answer::kLinearizable);
  EXPECT_EQ(check(parsed(" \n\n")).answer, Answer::kLinearizable);
  EXPECT_EQ(
      problem("hello\n"),
      "text:1: expected an etcd log, a kv log, EDN, JSON lines, a binary history or Elle's transactions");
  EXPECT_EQ(parsed("only noise\n", HistoryFormat::kEtcd).operations.size(), 0U);
}

/// Equal text after a round trip means that nothing was lost: the writer names every field.
void expect_round_trip(const History& history) {
  std::ostringstream first;
  write_jsonl_history(history, first);
  const History again = parsed(first.str());
  std::ostringstream second;
  write_jsonl_history(again, second);
  EXPECT_EQ(first.str(), second.str());
  EXPECT_EQ(again.operations.size(), history.operations.size());
}

TEST(JsonLines, CellHistoriesReadBackAsTheyWere) {
  Stream stream = Seed::of_process().stream("jsonl");
  for (int i = 0; i < 50; ++i) {
    HistoryShape shape{.operations = 40, .keys = 2, .compare_and_sets = true, .unknown_permille = 200};
    shape.versions = i % 2 == 0;
    expect_round_trip(random_history(shape, stream));
    expect_round_trip(random_history({.operations = 40, .appends = true, .unknown_permille = 200}, stream));
  }
}

TEST(JsonLines, StoreHistoriesReadBackAsTheyWere) {
  using namespace model;
  History history(HistoryKind::kStore);
  history.store_rules.validate_reads = true;
  const std::string bytes("a\xff\0", 3);
  const Subtree odd{{"x." + bytes, std::numeric_limits<double>::quiet_NaN()}, {"y", true}, {"z", -0.0}};
  const CompareAndSwap swap{1, {{bytes, odd}, {"gone", std::nullopt}, {"e", Subtree{}}}, {"r"}, {"o"}};
  history.add_store("w1", 1, 2, swap, Committed{2, CommitPath::kMerged});
  history.add_store("w1", 3, 4, swap, Conflict{bytes, 1, 2});
  history.add_store("w1", 5, 6, swap, Busy{});
  history.add_store("w1", 5, 6, swap, Rejected{Rejection::kUnderScalar});
  history.add_store("w2", 7, 8, ReadPath{"a"}, ValueRead{Subtree{{"", std::int64_t{-7}}}});
  history.add_store("w2", 7, 8, ReadPath{"a"}, ValueRead{std::nullopt});
  history.add_store("w2", 7, 8, ReadVersion{}, VersionIs{3});
  history.add_store("w2", 7, 8, SnapshotRead{{"a", "b"}}, SnapshotIs{3, {odd, std::nullopt}});
  const Execute body{{AddInteger{"a", -1}, CopySubtree{"a", "b"}, MoveAmount{"a", "b", 3}, Write{"c", odd}}};
  history.add_store("w3", 9, 10, body, Committed{4, std::nullopt});
  history.add_store("w3", 9, 10, body, GaveUp{});
  history.add_store("w4", 11, 0, swap, std::nullopt);
  expect_round_trip(history);
}

TEST(JsonLines, NamesTheLineThatIsWrong) {
  const std::string header = "{\"touchstone\":\"history\",\"version\":1,\"kind\":\"cell\"}\n";
  const std::string write =
      "{\"client\":\"1\",\"call\":1,\"return\":2,\"outcome\":\"ok\",\"key\":\"x\",\"f\":\"write\"";
  EXPECT_EQ(parsed(header + write + ",\"value\":7}\n").operations.size(), 1U);
  EXPECT_EQ(problem(header + write + "}\n"), "text:2: expected a member \"value\"");
  EXPECT_EQ(problem(header + "{\"call\":3,\"return\":2,\"outcome\":\"ok\"}"),
            "text:2: expected \"return\" not to be before \"call\"");
  EXPECT_EQ(problem(header + "{\"call\":3,\"outcome\":\"maybe\"}"),
            "text:2: expected \"outcome\" to be ok, fail, unknown or pending");
  EXPECT_EQ(problem("{\"kind\":\"cell\"}"), "text:1: expected the header {\"touchstone\":\"history\",...}");
  EXPECT_NE(problem(header + write).find("text:2: expected a JSON object"), std::string::npos);
  EXPECT_EQ(problem(header + "[]"), "text:2: expected a JSON object");
}

}  // namespace
}  // namespace touchstone::harness
