#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "harness/history_random.h"
#include "model/brute_force.h"
#include "model/checker.h"

namespace touchstone::harness {
namespace {

using model::Answer;
using model::CheckOptions;
using model::History;
using model::Methods;

std::string words(const History& history) {
  std::string out;
  for (const auto& it : history.operations) {
    out += "  [" + std::to_string(it.invoked) + ", " +
           (it.completed() ? std::to_string(it.returned) : std::string("never")) + "] " +
           describe(history, it) + "\n";
  }
  return out;
}

/// One of the two searches, with each reduction alone, each pair, all but one, all but two, or any set of them.
CheckOptions any_way(Stream& stream) {
  CheckOptions options;
  const bool depth_first = stream.chance(1, 2);
  options.methods = Methods{.versions = false,
                            .unique_values = false,
                            .global_versions = false,
                            .depth_first = depth_first,
                            .breadth_first = !depth_first};
  options.partition_by_key = stream.chance(3, 4);
  model::Reductions& it = options.reductions;
  const std::array<bool*, 5> reductions{&it.eager_observers, &it.lazy_burial, &it.symmetry, &it.dominance,
                                        &it.look_ahead};
  const std::uint64_t kind = stream.below(3);  // few, many, any
  for (bool* one : reductions) *one = kind == 2 ? stream.chance(1, 2) : kind == 1;
  for (std::uint64_t some = stream.below(3); some > 0; --some) {
    *reductions[stream.below(reductions.size())] = kind == 0;
  }
  return options;
}

void agree(const History& history, const model::Verdict& verdict, bool expected) {
  ASSERT_EQ(verdict.answer, expected ? Answer::kLinearizable : Answer::kNotLinearizable)
      << verdict.reason << "\n"
      << words(history);
  if (!expected) {
    ASSERT_FALSE(verdict.refutations.empty());
    ASSERT_FALSE(verdict.refutations.front().reason.empty());
    return;
  }
  const auto wrong = model::verify_witness(history, verdict.witness);
  ASSERT_FALSE(wrong.has_value()) << *wrong << "\n" << words(history);
}

void agree(const History& history, const CheckOptions& options, bool expected) {
  agree(history, model::check(history, options), expected);
}

/// Events of different operations get equal times, so that intervals touch: those operations are concurrent.
void make_times_touch(History& history) {
  for (auto& it : history.operations) {
    it.invoked /= 3;
    if (it.completed()) it.returned /= 3;
  }
}

struct Count {
  std::size_t linearizable = 0;
  std::size_t not_linearizable = 0;
};

/// The danger: a reduction that loses a linearization, or invents one. The oracle tries every order and shares only
/// the specification; witnesses are replayed. Each shape is drawn so that yes and no are both frequent.
template <class Draw>
void agree_with_brute_force(std::size_t histories, const std::string& label, const Draw& draw) {
  Stream stream = Seed::of_process().stream(label);
  Count count;
  for (std::size_t i = 0; i < histories && !::testing::Test::HasFatalFailure(); ++i) {
    History history = draw(1 + stream.below(7), 1 + stream.below(4), stream);
    if (stream.chance(1, 3)) make_times_touch(history);
    const bool expected = model::is_linearizable_by_trying_everything(history);
    ++(expected ? count.linearizable : count.not_linearizable);
    agree(history, CheckOptions{}, expected);
    CheckOptions without_witness;
    without_witness.witness = false;
    ASSERT_EQ(model::check(history, without_witness).answer == Answer::kLinearizable, expected)
        << words(history);
    agree(history, any_way(stream), expected);
  }
  EXPECT_GT(count.linearizable, histories / 20) << label;
  EXPECT_GT(count.not_linearizable, histories / 20) << label;
}

void agree_with_brute_force(HistoryShape shape, std::size_t histories, const std::string& label) {
  agree_with_brute_force(histories, label, [&](std::size_t operations, std::size_t clients, Stream& stream) {
    shape.operations = operations;
    shape.clients = clients;
    return stream.chance(1, 2) ? random_history(shape, stream) : random_crowded_history(shape, stream);
  });
}

void agree_with_brute_force(StoreHistoryShape shape, std::size_t histories, const std::string& label) {
  agree_with_brute_force(histories, label, [&](std::size_t operations, std::size_t clients, Stream& stream) {
    shape.operations = operations;
    shape.clients = clients;
    return random_store_history(shape, stream);
  });
}

#ifdef TOUCHSTONE_SOAK
constexpr std::size_t kHistories = 90'000;  // 1,125,000 in all
#else
constexpr std::size_t kHistories = 15'000;
#endif

TEST(CheckerAgainstBruteForce, RegisterWithFewValues) {
  agree_with_brute_force(HistoryShape{.values = 2, .unknown_permille = 100, .wrong_permille = 300},
                         kHistories, "few values");
}

TEST(CheckerAgainstBruteForce, RegisterWithCompareAndSet) {
  agree_with_brute_force(
      HistoryShape{.values = 3, .compare_and_sets = true, .unknown_permille = 100, .wrong_permille = 300},
      kHistories, "cas");
}

TEST(CheckerAgainstBruteForce, RegisterWithManyUnknownOutcomes) {
  agree_with_brute_force(
      HistoryShape{.values = 2, .compare_and_sets = true, .unknown_permille = 500, .wrong_permille = 500},
      kHistories, "unknown");
}

TEST(CheckerAgainstBruteForce, CompareAndSetAmongUnknownWrites) {
  agree_with_brute_force(
      HistoryShape{.values = 3, .compare_and_sets = true, .unknown_permille = 300, .wrong_permille = 100},
      kHistories, "unknown writes");
}

/// The danger: a random history once found that the write of unknown outcome was left out, because it changes nothing
/// where the cell holds 2 already. But it buries write(1), which must not come after the compare-and-set; R4 used to
/// forget that. The order: write(0), write(2), write(1), write(2) of unknown outcome, cas(2 -> 0), cas(0 -> 2).
TEST(CheckerAgainstBruteForce, WriteOfUnknownOutcomeBuriesAnotherWhereItChangesNothing) {
  History history;
  history.key("x");
  const auto value = [&](std::int64_t number) { return history.value(number); };
  const auto add = [&](std::int64_t invoked, std::int64_t returned, model::Function function,
                       std::int64_t argument, std::int64_t expected) {
    model::Operation it;
    it.invoked = invoked;
    it.returned = returned;
    it.client = history.client(std::to_string(history.operations.size()));
    it.function = function;
    it.argument = value(argument);
    if (function == model::Function::kCas) it.expected = value(expected);
    if (returned == model::kNever) it.outcome = model::Outcome::kUnknown;
    history.operations.push_back(it);
  };
  add(0, 1, model::Function::kWrite, 0, 0);
  add(0, 3, model::Function::kCas, 0, 2);
  add(2, 2, model::Function::kWrite, 2, 0);
  add(3, 4, model::Function::kWrite, 1, 0);
  add(3, model::kNever, model::Function::kWrite, 2, 0);
  add(5, 6, model::Function::kCas, 2, 0);
  ASSERT_TRUE(model::is_linearizable_by_trying_everything(history));
  agree(history, CheckOptions{}, true);
  Stream stream = Seed::of_process().stream("every way");
  for (int i = 0; i < 200; ++i) agree(history, any_way(stream), true);
}

TEST(CheckerAgainstBruteForce, UniqueValues) {
  agree_with_brute_force(HistoryShape{.values = 0, .unknown_permille = 150, .wrong_permille = 700},
                         kHistories, "unique");
}

TEST(CheckerAgainstBruteForce, AppendedStrings) {
  agree_with_brute_force(
      HistoryShape{.values = 0, .appends = true, .unknown_permille = 100, .wrong_permille = 400}, kHistories,
      "append unique");
}

TEST(CheckerAgainstBruteForce, AppendedStringsThatRepeat) {
  agree_with_brute_force(
      HistoryShape{.values = 2, .appends = true, .unknown_permille = 200, .wrong_permille = 400}, kHistories,
      "append few");
}

TEST(CheckerAgainstBruteForce, Versions) {
  agree_with_brute_force(
      HistoryShape{.values = 2, .compare_and_sets = true, .versions = true, .wrong_permille = 200},
      kHistories, "versions");
}

TEST(CheckerAgainstBruteForce, VersionsWithUnknownOutcomes) {
  agree_with_brute_force(HistoryShape{.values = 2,
                                      .compare_and_sets = true,
                                      .versions = true,
                                      .unknown_permille = 300,
                                      .wrong_permille = 200},
                         kHistories, "versions unknown");
}

TEST(CheckerAgainstBruteForce, SeveralKeys) {
  agree_with_brute_force(
      HistoryShape{
          .keys = 2, .values = 2, .compare_and_sets = true, .unknown_permille = 100, .wrong_permille = 250},
      kHistories, "keys");
  agree_with_brute_force(
      HistoryShape{.keys = 2, .values = 0, .appends = true, .unknown_permille = 100, .wrong_permille = 250},
      kHistories, "append keys");
}

TEST(CheckerAgainstBruteForce, Store) {
  agree_with_brute_force(StoreHistoryShape{.unknown_permille = 0, .wrong_permille = 150}, kHistories / 2,
                         "store");
  agree_with_brute_force(StoreHistoryShape{.unknown_permille = 300, .wrong_permille = 150}, kHistories / 2,
                         "store unknown");
}

TEST(CheckerAgainstBruteForce, StrictAndSerializableStores) {
  agree_with_brute_force(StoreHistoryShape{.strict = true, .unknown_permille = 100, .wrong_permille = 150},
                         kHistories / 4, "strict store");
  agree_with_brute_force(
      StoreHistoryShape{.validate_reads = true, .unknown_permille = 100, .wrong_permille = 150},
      kHistories / 4, "serializable store");
}

/// The danger: what only a longer history shows, where trying everything would take for ever. Two searches that share
/// no more than the step agree, with any reductions, and both agree with how the history was made: a right one has an
/// order. A budget may run out; it says so.
void agree_with_each_other(HistoryShape shape, const std::string& label) {
  Stream stream = Seed::of_process().stream("long " + label);
  std::size_t decided = 0;
  constexpr std::size_t kLong = kHistories / 75;
  for (std::size_t i = 0; i < kLong && !::testing::Test::HasFatalFailure(); ++i) {
    const bool right = stream.chance(1, 2);
    shape.operations = 20 + stream.below(41);
    shape.clients = 1 + stream.below(6);
    shape.wrong_permille = right ? 0 : 30;
    History history =
        stream.chance(1, 2) ? random_history(shape, stream) : random_crowded_history(shape, stream);
    if (stream.chance(1, 2)) make_times_touch(history);
    CheckOptions options;
    options.max_steps = 30'000;
    const model::Verdict verdict = model::check(history, options);
    if (verdict.answer == Answer::kInconclusive) continue;
    const bool expected = verdict.answer == Answer::kLinearizable;
    ASSERT_TRUE(expected || !right) << verdict.reason << "\n" << words(history);
    agree(history, verdict, expected);
    for (int way = 0; way < 3; ++way) {
      CheckOptions other = any_way(stream);
      other.max_steps = options.max_steps;
      const model::Verdict again = model::check(history, other);
      if (again.answer == Answer::kInconclusive) continue;
      ++decided;
      agree(history, again, expected);
    }
  }
  EXPECT_GT(decided, kLong) << label;
}

TEST(CheckerOnLongerHistories, SearchesAgree) {
  agree_with_each_other({.values = 2, .unknown_permille = 100}, "few values");
  agree_with_each_other({.values = 3, .compare_and_sets = true, .unknown_permille = 100}, "cas");
  agree_with_each_other({.values = 3, .compare_and_sets = true, .unknown_permille = 300}, "unknown");
  agree_with_each_other({.values = 0, .unknown_permille = 150}, "unique");
  agree_with_each_other({.values = 2, .appends = true, .unknown_permille = 100}, "append");
  agree_with_each_other({.keys = 3, .values = 2, .compare_and_sets = true, .unknown_permille = 100}, "keys");
  agree_with_each_other({.values = 2, .compare_and_sets = true, .versions = true, .unknown_permille = 100},
                        "versions");
}

}  // namespace
}  // namespace touchstone::harness
