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
  EXPECT_EQ(count(text, world.reason), 1U) << text;
  EXPECT_EQ(count(text, "nothing explains"), 1U) << text;
}

TEST(Explanation, NamesTheOperationsThatContradictEachOther) {
  History history;
  const auto add = [&](const char* client, std::int64_t from, std::int64_t to, Function function,
                       std::int64_t value) {
    Operation it{.invoked = from, .returned = to, .client = history.client(client), .key = history.key("x")};
    it.function = function;
    (function == Function::kRead ? it.observed : it.argument) = history.value(value);
    history.operations.push_back(it);
  };
  add("1", 1, 2, Function::kWrite, 7);
  add("2", 3, 4, Function::kWrite, 8);
  add("1", 5, 6, Function::kRead, 7);
  add("2", 7, 8, Function::kRead, 8);
  const Verdict verdict = check(history);
  ASSERT_EQ(verdict.answer, Answer::kNotLinearizable);
  const std::string text = explain(history, verdict);
  for (const OperationNumber number : verdict.refutations.front().certificate)
    EXPECT_EQ(count(text, describe(history, history.operations[number])), 1U) << text;
}

}  // namespace
}  // namespace touchstone::model
