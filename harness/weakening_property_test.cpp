// The heart of a refutation against brute force: it still is refuted, no change was deleted, and nothing more can go.

#include <gtest/gtest.h>

#include <algorithm>

#include "harness/history_random.h"
#include "model/brute_force.h"
#include "model/weakening.h"

namespace touchstone::harness {
namespace {

using model::Heart;
using model::History;
using model::Operation;
using model::Outcome;

bool observes(const History& history, const Operation& it) {
  if (history.kind == model::HistoryKind::kCell)
    return it.function == model::Function::kRead || it.outcome == Outcome::kFail;
  const auto& call = history.store_calls[it.argument];
  return model::StoreSpec::observes_only(call.operation, call.response ? &*call.response : nullptr);
}

std::string words(const History& history) {
  std::string out;
  for (const auto& it : history.operations)
    out += "  [" + std::to_string(it.invoked) + ", " +
           (it.completed() ? std::to_string(it.returned) : "never") + "] " + describe(history, it) + "\n";
  return out;
}

bool explained(const History& history) {
  return model::is_linearizable_by_trying_everything(history);
}

/// True if the heart explains itself once this operation is changed.
template <class Change>
bool explained_with(Heart& heart, std::size_t place, const Change& change) {
  const Operation before = heart.history.operations[place];
  const bool call = heart.history.kind == model::HistoryKind::kStore;
  auto* response = call ? &heart.history.store_calls[before.argument].response : nullptr;
  const auto answered = response != nullptr ? *response : std::nullopt;
  change(heart.history.operations[place]);
  if (response != nullptr && !heart.history.operations[place].completed()) response->reset();
  const bool yes = explained(heart.history);
  heart.history.operations[place] = before;
  if (response != nullptr) *response = answered;
  return yes;
}

void judge_minimal(Heart& heart) {
  std::int64_t first = model::kNever;
  std::int64_t last = 0;
  for (const Operation& it : heart.history.operations) {
    first = std::min(first, it.invoked);
    if (it.completed()) last = std::max(last, it.returned);
  }
  const auto forget = [&](Operation& it) {
    it.outcome = Outcome::kUnknown;
    it.returned = model::kNever;
    it.version = model::kNoVersion;
    it.invoked = first;
  };
  for (std::size_t i = 0; i < heart.history.operations.size(); ++i) {
    const Operation it = heart.history.operations[i];
    if (!heart.matters[i]) continue;
    EXPECT_TRUE(observes(heart.history, it) && heart.history.kind == model::HistoryKind::kStore
                    ? true
                    : explained_with(heart, i, forget))
        << describe(heart.history, it);
    if (it.invoked != first) {
      EXPECT_TRUE(explained_with(heart, i, [&](Operation& widened) { widened.invoked = first; }));
    }
    if (it.completed() && it.returned != last) {
      EXPECT_TRUE(explained_with(heart, i, [&](Operation& widened) { widened.returned = last; }));
    }
  }
}

void judge_heart(const History& history, const model::Refutation& refutation) {
  auto heart = model::weaken(history, refutation);
  ASSERT_TRUE(heart);
  ASSERT_TRUE(heart->minimal);
  EXPECT_FALSE(explained(heart->history)) << words(history) << "heart:\n" << words(heart->history);
  const std::int64_t until = history.operations[heart->origin[heart->failing]].returned;
  for (model::OperationNumber number = 0; number < history.operations.size(); ++number) {
    const Operation& it = history.operations[number];
    const bool elsewhere = history.kind == model::HistoryKind::kCell && it.key != refutation.key;
    if (elsewhere || it.invoked > until || observes(history, it)) continue;
    EXPECT_NE(std::find(heart->origin.begin(), heart->origin.end(), number), heart->origin.end())
        << describe(history, it) << " was deleted";
  }
  judge_minimal(*heart);
}

template <class Shape, class Draw>
void judge_hearts(const std::string& label, Shape shape, const Draw& draw) {
  Stream stream = Seed::of_process().stream(label);
  int refuted = 0;
  for (int round = 0; round < 3'000 && !::testing::Test::HasFailure(); ++round) {
    shape.operations = 2 + stream.below(6);
    shape.clients = 1 + stream.below(4);
    const History history = draw(shape, stream);
    const auto verdict = model::check(history);
    if (verdict.refutations.empty()) continue;
    ++refuted;
    judge_heart(history, verdict.refutations.front());
  }
  EXPECT_GT(refuted, 200) << label;
}

// Danger: a change that is deleted makes a read of its value look wrong that was right; or the "heart" shows operations that do not
// matter. The oracle tries every order: the heart is refuted, and each single weakening more would explain it.
TEST(Weakening, LeavesWhatIsRefutedAndNothingThatCanGo) {
  const auto cells = [](const HistoryShape& shape, Stream& stream) { return random_history(shape, stream); };
  const auto stores = [](const StoreHistoryShape& shape, Stream& stream) {
    return random_store_history(shape, stream);
  };
  judge_hearts("cells", HistoryShape{.values = 2, .unknown_permille = 100, .wrong_permille = 300}, cells);
  judge_hearts(
      "cas",
      HistoryShape{.values = 3, .compare_and_sets = true, .unknown_permille = 100, .wrong_permille = 300},
      cells);
  judge_hearts("appends",
               HistoryShape{.values = 0, .appends = true, .unknown_permille = 100, .wrong_permille = 400},
               cells);
  judge_hearts("stores", StoreHistoryShape{.unknown_permille = 100, .wrong_permille = 200}, stores);
}

}  // namespace
}  // namespace touchstone::harness
