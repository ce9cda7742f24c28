#include "harness/history_elle.h"

#include <gtest/gtest.h>

#include "harness/parsed_history.h"
#include "model/isolation.h"

namespace touchstone::harness {
namespace {

using model::TransactionHistory;

TransactionHistory transactions(std::string_view text) {
  auto read = parse_any_history(text, "text", HistoryFormat::kAuto);
  if (const auto* bad = std::get_if<MalformedHistory>(&read)) ADD_FAILURE() << to_text(*bad);
  auto* history = std::get_if<TransactionHistory>(&read);
  if (history != nullptr) return std::move(*history);
  ADD_FAILURE() << "it is taken for another format";
  return TransactionHistory();
}

std::string wrong(std::string_view text) {
  const auto read = parse_elle_history(text, "text");
  const auto* bad = std::get_if<MalformedHistory>(&read);
  return bad != nullptr ? to_text(*bad) : "no problem";
}

std::string all_words(const TransactionHistory& history) {
  std::string text;
  for (model::TransactionNumber i = 0; i < history.transactions.size(); ++i) {
    const auto& it = history.transactions[i];
    text += std::to_string(it.invoked) + "-" +
            (it.returned != model::kNever ? std::to_string(it.returned) : "") + " " + describe(history, i) +
            "\n";
  }
  return text;
}

constexpr std::string_view kEdn =
    "; two clients\n"
    "{:index 0, :process 1, :type :invoke, :value [[:append 3 1] [:r x]]}\n"
    "{:process :nemesis, :type :info, :value nil}\n"
    "{:index 1, :process 2, :type :invoke, :f :txn, :value [[:append x 2]]}\n"
    "{:index 2, :process 1, :type :ok, :value [[:append 3 1] [:r x [2]]]}\n"
    "{:index 3, :process 2, :type :info, :error :timeout}\n";

constexpr std::string_view kExpected =
    "1-4 T0 (client 1): append 3 1, read x [2]\n"
    "3- T1 (client 2): append x 2\n";

TEST(ElleHistory, ReadsEdnWithAndWithoutAnEnclosingVector) {
  EXPECT_EQ(all_words(transactions(kEdn)), kExpected);
  EXPECT_EQ(all_words(transactions("[" + std::string(kEdn) + "]")), kExpected);
}

TEST(ElleHistory, ReadsJsonInOneArrayAndInLines) {
  const std::string lines[] = {
      R"({"index":0,"process":1,"type":"invoke","value":[["append",3,1],["r","x",null]]})",
      R"({"process":"nemesis","type":"info","value":null})",
      R"({"process": 2, "type": "invoke", "f": "txn", "value": [["append", "x", 2]]})",
      R"({"process" : 1,"type" : "ok","value":[["append",3,1],["r","x",[2]]]})",
      R"({"process":2,"type":"info","value":null})"};
  std::string together;
  std::string array;
  for (const std::string& line : lines) {
    together += line + "\n";
    array += (array.empty() ? "[" : ",\n ") + line;
  }
  EXPECT_EQ(all_words(transactions(together)), kExpected);
  EXPECT_EQ(all_words(transactions(array + "]\n")), kExpected);
}

TEST(ElleHistory, AbortedAndOpenTransactionsHaveTheirOutcome) {
  const auto history = transactions(
      "{:process 0, :type :invoke, :value [[:append x 1]]}\n{:process 0, :type :fail, :value [[:append x "
      "1]]}\n"
      "{:process 0, :type :invoke, :value [[:append x 2]]}\n");
  ASSERT_EQ(history.transactions.size(), 2U);
  EXPECT_EQ(history.transactions[0].outcome, model::Outcome::kFail);
  EXPECT_EQ(history.transactions[1].outcome, model::Outcome::kPending);
}

TEST(ElleHistory, NamesTheLineOfWhatIsWrong) {
  const std::string begin = "{:process 0, :type :invoke, :value [[:append x 1]]}\n";
  EXPECT_EQ(wrong("{:process 0, :type :invoke, :value [[:w x 1]]}"),
            "text:1: expected [:append key value] or [:r key list], not :w");
  EXPECT_EQ(wrong("{:process 0, :type :invoke, :value 7}"),
            "text:1: expected :value with a vector of operations");
  EXPECT_EQ(wrong("{:process 0, :type :invoke, :value [[:append x nil]]}"),
            "text:1: expected a number or a string to append");
  EXPECT_EQ(wrong("{:process 0, :type :invoke, :value [[:r x [1]]]}"),
            "text:1: expected nil as the result of a read that is only invoked");
  EXPECT_EQ(wrong(begin + begin), "text:2: client 0 invokes while its last transaction is still open");
  EXPECT_EQ(wrong(begin + "{:process 1, :type :ok, :value []}"),
            "text:2: client 1 completes what it did not invoke");
  EXPECT_EQ(wrong(begin + "\n{:process 0, :type :ok, :value [[:append x 2]]}"),
            "text:3: the completion's operations are not the invocation's");
  EXPECT_EQ(wrong(begin + "{:process 0, :type :done, :value [[:append x 1]]}"),
            "text:2: expected :type with :invoke, :ok, :fail or :info, not :done");
  EXPECT_EQ(wrong(begin + "{:process 0, :type"), "text:2: expected '}' before the end of the text");
}

TEST(ElleHistory, IsNoHistoryOfSingleOperations) {
  EXPECT_EQ(problem(kEdn), "text: expected a history of single operations, not of transactions");
}

}  // namespace
}  // namespace touchstone::harness
