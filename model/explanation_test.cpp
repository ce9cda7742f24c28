#include "model/explanation.h"

#include <gtest/gtest.h>

#include <string>

namespace touchstone::model {
namespace {

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t times = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++times;
  return times;
}

Subtree leaf(std::int64_t value) {
  return {{"", value}};
}

TEST(Explanation, OfAStoreSaysTheReasonOnce) {
  History history(HistoryKind::kStore);
  history.add_store("1", 1, 2, CompareAndSwap{0, {{"x", leaf(1)}}, {}, {}}, Committed{1, {}});
  history.add_store("2", 3, 4, CompareAndSwap{0, {{"x", leaf(2)}}, {}, {}}, Committed{2, {}});
  const Verdict verdict = check(history);
  ASSERT_EQ(verdict.answer, Answer::kNotLinearizable);
  ASSERT_EQ(verdict.refutations.size(), 1U);
  const World& world = verdict.refutations.front().worlds.front();
  EXPECT_FALSE(world.reason.empty());
  EXPECT_FALSE(world.state.empty());
  const std::string text = explain(history, verdict);
  EXPECT_NE(verdict.reason.find(world.reason), std::string::npos) << verdict.reason;
  EXPECT_EQ(count(text, verdict.reason), 1U) << text;
  EXPECT_EQ(count(text, "nothing explains"), 1U) << text;
}

void add(History& history, const char* client, std::int64_t from, std::int64_t to, Function function,
         std::int64_t value) {
  Operation it{.invoked = from, .returned = to, .client = history.client(client), .key = history.key("x")};
  it.function = function;
  (function == Function::kRead ? it.observed : it.argument) = history.value(value);
  history.operations.push_back(it);
}

// The last write says nothing; and when the values were written does not matter, only that 2 was written before 1 was read.
TEST(Explanation, ShowsWhatMattersAndDrawsIt) {
  History history;
  add(history, "1", 1, 2, Function::kWrite, 1);
  add(history, "1", 3, 4, Function::kWrite, 1);
  add(history, "2", 5, 6, Function::kRead, 1);
  add(history, "1", 7, 8, Function::kWrite, 2);
  add(history, "2", 9, 10, Function::kRead, 1);
  add(history, "1", 11, 12, Function::kWrite, 3);
  const Verdict verdict = check(history);
  ASSERT_EQ(verdict.answer, Answer::kNotLinearizable);
  EXPECT_EQ(explain(history, verdict),
            "not-linearizable: nothing explains read by client 2 = 1: it saw 1 where the value is a value "
            "that nobody reads\n"
            "the first 5 operations cannot be explained; what matters of them:\n"
            "  write(1) by client 1\n"
            "  write(1) by client 1\n"
            "  write(2) by client 1\n"
            "  read by client 2 = 1\n"
            "client 1  .. write(1) --| .. write(1) --| |- write(2) --|\n"
            "client 2                                                 |- read = 1 --|  <");
}

TEST(Explanation, NamesTheOperationsThatContradictEachOther) {
  History history;
  add(history, "1", 1, 2, Function::kWrite, 7);
  add(history, "2", 3, 4, Function::kWrite, 8);
  add(history, "1", 5, 6, Function::kRead, 7);
  add(history, "2", 7, 8, Function::kRead, 8);
  const Verdict verdict = check(history);
  ASSERT_EQ(verdict.answer, Answer::kNotLinearizable);
  const std::string text = explain(history, verdict);
  for (const OperationNumber number : verdict.refutations.front().certificate)
    EXPECT_EQ(count(text, describe(history, history.operations[number])), 1U) << text;
}

}  // namespace
}  // namespace touchstone::model
