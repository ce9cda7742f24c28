#include <gtest/gtest.h>

#include <vector>

#include "model/brute_force.h"
#include "model/checker.h"

namespace touchstone::harness {
namespace {

using model::Function;
using model::Operation;
using model::Outcome;

/// Every history of a number of operations, each from a given alphabet, in every way their intervals can lie.
/// Runs of invocations commute, so one order stands for all. So do runs of returns, but the searches go along them one
/// by one: all their orders are tried where it is affordable, with up to four operations.
template <class Visit>
class EveryHistory {
 public:
  EveryHistory(const std::vector<Operation>& alphabet, std::size_t operations, const Visit& visit)
      : alphabet_(alphabet), operations_(operations), visit_(visit) {}

  void run() { extend(0, 0); }

 private:
  static constexpr int kNothing = -1;

  /// `last_letter` and `last_return` say what the run of invocations or returns so far ended with.
  void extend(int last_letter, int last_return) {
    bool open = false;
    const int now = static_cast<int>(++time_);
    for (std::size_t i = 0; i < history_.size(); ++i) {
      if (!history_[i].completed() || history_[i].returned != model::kNever) continue;
      open = true;
      if (operations_ > 4 && static_cast<int>(i) < last_return) continue;
      history_[i].returned = now;
      extend(kNothing, static_cast<int>(i));
      history_[i].returned = model::kNever;
    }
    if (history_.size() < operations_) {
      const std::size_t first = last_letter == kNothing ? 0 : static_cast<std::size_t>(last_letter);
      for (std::size_t letter = first; letter < alphabet_.size(); ++letter) {
        history_.push_back(alphabet_[letter]);
        history_.back().invoked = now;
        history_.back().client = static_cast<model::ClientId>(history_.size() - 1);
        extend(static_cast<int>(letter), 0);
        history_.pop_back();
      }
    } else if (!open) {
      visit_(history_);
    }
    --time_;
  }

  const std::vector<Operation>& alphabet_;
  std::size_t operations_;
  const Visit& visit_;
  std::vector<Operation> history_;
  std::int64_t time_ = 0;
};

Operation operation(Function function, model::ValueId argument, model::ValueId expected = model::kNil,
                    Outcome outcome = Outcome::kOk) {
  Operation it;
  it.function = function;
  it.outcome = outcome;
  it.expected = expected;
  (function == Function::kRead ? it.observed : it.argument) = argument;
  return it;
}

Operation at_version(Operation it, std::uint64_t version, std::uint64_t base = model::kNoVersion) {
  it.version = version;
  it.base = base;
  return it;
}

/// The danger: a corner that random histories miss. The oracle tries every order of every history there is, up to
/// so many operations, so within the alphabet nothing is left out. Every third history goes to each of the methods
/// together, the depth-first and the breadth-first search.
void agree_on_every_history(model::History& history, const std::vector<Operation>& alphabet,
                            std::size_t longest = 5) {
  std::vector<model::CheckOptions> ways(3);
  ways[1].methods = {.versions = false,
                     .unique_values = false,
                     .global_versions = false,
                     .depth_first = true,
                     .breadth_first = false};
  ways[2].methods = {.versions = false,
                     .unique_values = false,
                     .global_versions = false,
                     .depth_first = false,
                     .breadth_first = true};
  std::size_t count = 0;
  std::size_t wrong = 0;
  const auto visit = [&](const std::vector<Operation>& operations) {
    history.operations = operations;
    const bool expected = model::is_linearizable_by_trying_everything(history);
    const model::Verdict verdict = model::check(history, ways[count++ % ways.size()]);
    const bool witnessed = !expected || !model::verify_witness(history, verdict.witness);
    const auto answer = expected ? model::Answer::kLinearizable : model::Answer::kNotLinearizable;
    if (verdict.answer == answer && witnessed) return;
    if (wrong++ != 0) return;
    for (const Operation& it : operations)
      ADD_FAILURE() << describe(history, it) << " invoked at " << it.invoked;
    ADD_FAILURE() << name(verdict.answer) << " for the above: " << verdict.reason;
  };
  for (std::size_t operations = 1; operations <= longest; ++operations) {
    EveryHistory(alphabet, operations, visit).run();
  }
  EXPECT_EQ(wrong, 0U);
  EXPECT_GT(count, 20'000U);
}

model::History cells() {
  model::History history;
  history.key("x");
  for (int client = 0; client < 5; ++client) history.client(std::to_string(client));
  return history;
}

TEST(CheckerOnEveryHistory, ReadsAndWrites) {
  model::History history = cells();
  const auto one = history.value(std::int64_t{1});
  const auto two = history.value(std::int64_t{2});
  agree_on_every_history(history, {operation(Function::kWrite, one), operation(Function::kWrite, two),
                                   operation(Function::kRead, one), operation(Function::kRead, two),
                                   operation(Function::kRead, model::kNil)});
}

TEST(CheckerOnEveryHistory, CompareAndSet) {
  model::History history = cells();
  const auto one = history.value(std::int64_t{1});
  const auto two = history.value(std::int64_t{2});
  agree_on_every_history(
      history, {operation(Function::kWrite, one), operation(Function::kCas, two, one),
                operation(Function::kCas, one, two, Outcome::kFail), operation(Function::kRead, two)});
}

TEST(CheckerOnEveryHistory, UnknownOutcomes) {
  model::History history = cells();
  const auto one = history.value(std::int64_t{1});
  const auto two = history.value(std::int64_t{2});
  agree_on_every_history(history, {operation(Function::kWrite, one, model::kNil, Outcome::kUnknown),
                                   operation(Function::kCas, two, one, Outcome::kPending),
                                   operation(Function::kWrite, two), operation(Function::kRead, one),
                                   operation(Function::kRead, two), operation(Function::kRead, model::kNil)});
}

/// The danger: a write of unknown outcome that changes nothing where it is used, but overwrites another write on the way:
/// [1] write(3) [2] write(2), unknown, [3] cas(2 -> 1), all open at once on a cell that holds 2, and then 1 is seen. To
/// leave it out because it changes nothing is wrong (R4 in model/window.h).
TEST(CheckerOnEveryHistory, WritesOfUnknownOutcomeThatChangeNothing) {
  model::History history = cells();
  const auto one = history.value(std::int64_t{1});
  const auto two = history.value(std::int64_t{2});
  const auto nobody_reads_it = history.value(std::int64_t{3});
  history.initial = two;
  agree_on_every_history(history, {operation(Function::kWrite, nobody_reads_it),
                                   operation(Function::kWrite, two, model::kNil, Outcome::kUnknown),
                                   operation(Function::kCas, one, two), operation(Function::kRead, one)});
}

/// The danger: that a reduction's argument forgets one kind of operation beside another. Four operations are enough for
/// each pair of kinds and an observation of what they left; every kind is here, with a value that nobody reads.
TEST(CheckerOnEveryHistory, EveryKindOfOperationBesideEveryOther) {
  model::History history = cells();
  const auto one = history.value(std::int64_t{1});
  const auto two = history.value(std::int64_t{2});
  const auto nobody_reads_it = history.value(std::int64_t{3});
  history.initial = one;
  agree_on_every_history(
      history,
      {operation(Function::kWrite, nobody_reads_it), operation(Function::kWrite, one),
       operation(Function::kWrite, one, model::kNil, Outcome::kUnknown), operation(Function::kCas, two, one),
       operation(Function::kCas, one, two), operation(Function::kCas, two, one, Outcome::kPending),
       operation(Function::kCas, one, one), operation(Function::kRead, two),
       operation(Function::kCas, one, two, Outcome::kFail)},
      4);
}

TEST(CheckerOnEveryHistory, Appends) {
  model::History history = cells();
  history.initial = history.value(std::string());
  const auto a = history.value(std::string("a"));
  const auto b = history.value(std::string("b"));
  agree_on_every_history(history, {operation(Function::kAppend, a), operation(Function::kWrite, b),
                                   operation(Function::kRead, history.value(std::string("a"))),
                                   operation(Function::kRead, history.value(std::string("aa"))),
                                   operation(Function::kRead, history.value(std::string("ba")))});
}

TEST(CheckerOnEveryHistory, Versions) {
  model::History history = cells();
  const auto one = history.value(std::int64_t{1});
  const auto two = history.value(std::int64_t{2});
  agree_on_every_history(history, {at_version(operation(Function::kWrite, one), 1),
                                   at_version(operation(Function::kCasVersion, two), 2, 1),
                                   at_version(operation(Function::kRead, one), 1),
                                   at_version(operation(Function::kRead, two), 2)});
}

}  // namespace
}  // namespace touchstone::harness
