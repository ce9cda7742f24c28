#include <gtest/gtest.h>

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

/// Every way to check: all methods together, each alone, and the general ones without each reduction.
std::vector<CheckOptions> every_way() {
  std::vector<CheckOptions> ways(1);
  const auto only = [](bool versions, bool unique, bool depth, bool breadth) {
    CheckOptions options;
    options.methods = Methods{.versions = versions,
                              .unique_values = unique,
                              .global_versions = false,
                              .depth_first = depth,
                              .breadth_first = breadth};
    return options;
  };
  ways.push_back(only(false, false, true, false));
  ways.push_back(only(false, false, false, true));
  for (int reduction = 0; reduction < 6; ++reduction) {
    for (const bool depth : {false, true}) {
      CheckOptions options = only(false, false, depth, !depth);
      if (reduction == 0) options.reductions.eager_observers = false;
      if (reduction == 1) options.reductions.lazy_burial = false;
      if (reduction == 2) options.reductions.symmetry = false;
      if (reduction == 3) options.reductions.dominance = false;
      if (reduction == 4) options.reductions.look_ahead = false;
      if (reduction == 5) options.partition_by_key = false;
      ways.push_back(options);
    }
  }
  return ways;
}

void agree(const History& history, const CheckOptions& options, bool expected) {
  const model::Verdict verdict = model::check(history, options);
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
  static const std::vector<CheckOptions> ways = every_way();
  Stream stream = Seed::of_process().stream(label);
  Count count;
  for (std::size_t i = 0; i < histories && !::testing::Test::HasFatalFailure(); ++i) {
    History history = draw(1 + stream.below(7), 1 + stream.below(4), stream);
    if (stream.chance(1, 3)) make_times_touch(history);
    const bool expected = model::is_linearizable_by_trying_everything(history);
    ++(expected ? count.linearizable : count.not_linearizable);
    agree(history, ways.front(), expected);
    CheckOptions without_witness;
    without_witness.witness = false;
    ASSERT_EQ(model::check(history, without_witness).answer == Answer::kLinearizable, expected)
        << words(history);
    agree(history, ways[1 + stream.below(ways.size() - 1)], expected);
  }
  EXPECT_GT(count.linearizable, histories / 20) << label;
  EXPECT_GT(count.not_linearizable, histories / 20) << label;
}

void agree_with_brute_force(HistoryShape shape, std::size_t histories, const std::string& label) {
  agree_with_brute_force(histories, label, [&](std::size_t operations, std::size_t clients, Stream& stream) {
    shape.operations = operations;
    shape.clients = clients;
    return random_history(shape, stream);
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
constexpr std::size_t kHistories = 90'000;  // 1,035,000 in all
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

}  // namespace
}  // namespace touchstone::harness
