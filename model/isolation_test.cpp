#include "model/isolation.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

namespace touchstone::model {
namespace {

/// "r x 1 2" reads the list [1 2], "a x 3" appends; parts are separated by "; ".
void add(TransactionHistory& history, const char* client, std::int64_t from, std::int64_t to,
         const std::string& script, Outcome outcome = Outcome::kOk) {
  TransactionBuilder transaction = history.begin(client, from);
  std::size_t at = 0;
  while (at < script.size()) {
    std::size_t end = script.find("; ", at);
    if (end == std::string::npos) end = script.size();
    const std::string part = script.substr(at, end - at);
    const std::string key = part.substr(2, 1);
    std::vector<Scalar> values;
    for (std::size_t i = 3; i < part.size(); i += 2) values.push_back(std::int64_t{part[i + 1] - '0'});
    part[0] == 'a' ? transaction.append(key, values.front()) : transaction.read_list(key, values);
    at = end + 2;
  }
  transaction.end(to, outcome);
}

struct Script {
  const char* client;
  std::int64_t from;
  std::int64_t to;
  const char* text;
  Outcome outcome = Outcome::kOk;
};

IsolationVerdict judge(std::initializer_list<Script> scripts) {
  TransactionHistory history;
  for (const Script& it : scripts) add(history, it.client, it.from, it.to, it.text, it.outcome);
  return check_isolation(history);
}

std::string titles(const IsolationVerdict& verdict) {
  std::string text;
  for (const Anomaly& it : verdict.anomalies) text += (text.empty() ? "" : ", ") + title(it);
  return text;
}

std::string strongest(const IsolationVerdict& verdict) {
  std::string text;
  for (const Level level : verdict.strongest()) text += (text.empty() ? "" : ", ") + std::string(name(level));
  return text;
}

// Each history is the shortest that shows its anomaly, with what Adya's definitions and Cerone and Gotsman's theorem say of it. The
// times overlap (all begin at 1 and end at 9) unless the anomaly is about time; the last transaction only shows the order.

TEST(Isolation, NothingIsWrongWithASerialHistory) {
  const auto verdict =
      judge({{"1", 1, 2, "r x; a x 1"}, {"2", 3, 4, "r x 1; a x 2"}, {"1", 5, 6, "r x 1 2"}});
  EXPECT_EQ(titles(verdict), "");
  EXPECT_EQ(strongest(verdict), "strict-serializable");
  for (const Level level : kLevels) EXPECT_TRUE(verdict.holds(level)) << name(level);
}

TEST(Isolation, NamesADirtyWrite) {
  const auto verdict =
      judge({{"1", 1, 9, "a x 1; a y 1"}, {"2", 1, 9, "a x 2; a y 2"}, {"3", 10, 11, "r x 1 2; r y 2 1"}});
  EXPECT_EQ(titles(verdict).find("G0 (dirty write)"), 0U) << titles(verdict);
  EXPECT_EQ(strongest(verdict), "");
}

TEST(Isolation, NamesAnAbortedRead) {
  const auto verdict = judge({{"1", 1, 9, "a x 1", Outcome::kFail}, {"2", 1, 9, "r x 1"}});
  EXPECT_EQ(titles(verdict), "G1a (aborted read)");
  EXPECT_EQ(strongest(verdict), "read-uncommitted");
}

TEST(Isolation, NamesAnIntermediateRead) {
  const auto verdict = judge({{"1", 1, 9, "a x 1; a x 2"}, {"2", 1, 9, "r x 1"}, {"3", 10, 11, "r x 1 2"}});
  EXPECT_EQ(titles(verdict).find("G1b (intermediate read)"), 0U) << titles(verdict);
  EXPECT_EQ(strongest(verdict), "read-uncommitted");
}

TEST(Isolation, NamesACircularInformationFlow) {
  const auto verdict = judge({{"1", 1, 9, "a x 1; r y 2"}, {"2", 1, 9, "a y 2; r x 1"}});
  EXPECT_EQ(titles(verdict), "G1c (circular information flow)");
  EXPECT_EQ(strongest(verdict), "read-uncommitted");
}

TEST(Isolation, NamesALostUpdate) {
  const auto verdict =
      judge({{"1", 1, 9, "r x; a x 1"}, {"2", 1, 9, "r x; a x 2"}, {"3", 10, 11, "r x 1 2"}});
  EXPECT_EQ(titles(verdict), "G-single (lost update)");
  EXPECT_EQ(strongest(verdict), "read-committed");
}

TEST(Isolation, NamesALostUpdateThatNobodyReadAnyMore) {
  const auto verdict = judge({{"1", 1, 9, "r x; a x 1"}, {"2", 1, 9, "r x; a x 2"}});
  EXPECT_NE(titles(verdict).find("lost-update"), std::string::npos) << titles(verdict);
  EXPECT_EQ(strongest(verdict), "read-committed");
}

TEST(Isolation, NamesANonRepeatableRead) {
  const auto verdict = judge({{"1", 1, 9, "r x; r x 1"}, {"2", 1, 9, "a x 1"}});
  EXPECT_EQ(titles(verdict), "G-single (non-repeatable read)");
  EXPECT_EQ(strongest(verdict), "read-committed");
}

TEST(Isolation, NamesAReadSkew) {
  const auto verdict =
      judge({{"1", 1, 9, "r x; r y 1"}, {"2", 1, 9, "a x 1; a y 1"}, {"3", 10, 11, "r x 1; r y 1"}});
  EXPECT_EQ(titles(verdict), "G-single (read skew)");
  EXPECT_EQ(strongest(verdict), "read-committed");
}

TEST(Isolation, NamesALongFork) {
  const auto verdict = judge(
      {{"1", 1, 9, "a x 1"}, {"2", 1, 9, "a y 1"}, {"3", 1, 9, "r x 1; r y"}, {"4", 1, 9, "r x; r y 1"}});
  EXPECT_EQ(titles(verdict), "G-nonadjacent (long fork)");
  EXPECT_EQ(strongest(verdict), "parallel-snapshot-isolation");
}

TEST(Isolation, NamesAWriteSkew) {
  const auto verdict =
      judge({{"1", 1, 9, "r x; r y; a x 1"}, {"2", 1, 9, "r x; r y; a y 1"}, {"3", 10, 11, "r x 1; r y 1"}});
  EXPECT_EQ(titles(verdict), "G2-item (write skew)");
  EXPECT_EQ(strongest(verdict), "strong-snapshot-isolation");
  EXPECT_EQ(verdict.anomalies.front().text,
            "G2-item (write skew)\n"
            "  T0 (client 1): read x [], read y [], append x 1\n"
            "  T1 (client 2): read x [], read y [], append y 1\n"
            "  T0 read y without 1, which T1 appended: T0 came before T1 (rw)\n"
            "  T1 read x without 1, which T0 appended: T1 came before T0 (rw)");
}

// Fekete, O'Neil and O'Neil 2004: without the reader the two writers have an order, with it none.
TEST(Isolation, NamesAReadOnlyTransactionAnomaly) {
  const auto verdict = judge({{"1", 1, 9, "r x; r y; a x 1"},
                              {"2", 1, 9, "r y; a y 1"},
                              {"3", 1, 9, "r x; r y 1"},
                              {"4", 10, 11, "r x 1; r y 1"}});
  EXPECT_EQ(titles(verdict), "G2-item (read-only transaction anomaly)");
  EXPECT_EQ(strongest(verdict), "strong-snapshot-isolation");
}

TEST(Isolation, NamesAStaleRead) {
  const auto verdict = judge({{"1", 1, 2, "a x 1"}, {"2", 3, 4, "r x"}, {"3", 5, 6, "r x 1"}});
  EXPECT_EQ(titles(verdict), "G-single-realtime (stale read)");
  EXPECT_EQ(strongest(verdict), "strong-session-serializable");
}

TEST(Isolation, NamesAStaleReadInASession) {
  const auto verdict = judge({{"1", 1, 2, "a x 1"}, {"1", 3, 4, "r x"}, {"3", 5, 6, "r x 1"}});
  EXPECT_EQ(titles(verdict), "G-single-session (stale read in a session)");
  EXPECT_EQ(strongest(verdict), "serializable");
}

TEST(Isolation, NamesWhatNeedsNoCycle) {
  EXPECT_EQ(titles(judge({{"1", 1, 9, "a x 1; r x"}})), "internal");
  EXPECT_EQ(titles(judge({{"1", 1, 9, "r x 1; a x 1"}})), "internal");
  EXPECT_EQ(titles(judge({{"1", 1, 9, "r x 7"}})), "garbage-read");
  EXPECT_EQ(titles(judge({{"1", 1, 9, "a x 1"}, {"2", 1, 9, "r x 1 1"}})), "duplicate-elements");
  EXPECT_EQ(
      titles(judge({{"1", 1, 9, "a x 1"}, {"2", 1, 9, "a x 2"}, {"3", 1, 9, "r x 1"}, {"4", 1, 9, "r x 2"}})),
      "incompatible-order");
}

TEST(Isolation, AnUnknownOutcomeCommittedIfSomebodySawIt) {
  EXPECT_EQ(strongest(judge({{"1", 1, 9, "a x 1", Outcome::kUnknown}, {"2", 1, 9, "r x 1"}})),
            "strict-serializable");
  EXPECT_EQ(strongest(judge({{"1", 1, 9, "a x 1", Outcome::kUnknown}, {"2", 1, 9, "r x"}})),
            "strict-serializable");
  // What was seen of it counts whole: its other append was there, too.
  const auto verdict = judge({{"1", 1, 9, "a x 1; a y 1", Outcome::kUnknown},
                              {"2", 2, 3, "r x 1"},
                              {"3", 4, 5, "r y"},
                              {"4", 6, 7, "r y 1"}});
  EXPECT_EQ(titles(verdict), "G-single-realtime (stale read)");
}

TEST(Isolation, AsksForValuesThatTellWhoWroteThem) {
  EXPECT_NE(judge({{"1", 1, 9, "a x 1"}, {"2", 1, 9, "a x 1"}}).inapplicable, "");
  EXPECT_EQ(judge({{"1", 1, 9, "a x 1"}, {"2", 1, 9, "a y 1"}}).inapplicable, "");
  TransactionHistory registers(Objects::kRegisters);
  TransactionBuilder transaction = registers.begin("1", 1);
  transaction.write("x", std::int64_t{1});
  transaction.end(2, Outcome::kOk);
  EXPECT_NE(check_isolation(registers).inapplicable.find("commit version"), std::string::npos);
}

// A hundred appends that nobody read, behind reads of the empty list: the edges between them go through one node in the middle.
TEST(Isolation, AppendsThatNobodyReadMakeNoCycleByThemselves) {
  TransactionHistory history;
  for (int i = 0; i < 100; ++i) {
    TransactionBuilder reader = history.begin("r" + std::to_string(i), 1);
    reader.read_list("x", {});
    reader.end(9, Outcome::kOk);
    TransactionBuilder writer = history.begin("w" + std::to_string(i), 1);
    writer.append("x", std::int64_t{i});
    writer.end(9, Outcome::kOk);
  }
  EXPECT_EQ(strongest(check_isolation(history)), "strict-serializable");
  TransactionBuilder late = history.begin("late", 10);
  late.read_list("x", {});
  late.end(11, Outcome::kOk);
  EXPECT_EQ(titles(check_isolation(history)), "G-single-realtime (stale read)");
}

}  // namespace
}  // namespace touchstone::model
