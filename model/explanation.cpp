#include "model/explanation.h"

namespace touchstone::model {
namespace {

constexpr std::size_t kMostWorlds = 8;

std::string words(const History& history, OperationNumber number) {
  return describe(history, history.operations[number]);
}

std::string list(const History& history, const std::vector<OperationNumber>& numbers) {
  std::string text;
  for (const OperationNumber number : numbers) text += (text.empty() ? "" : ", ") + words(history, number);
  return text;
}

void add_worlds(const History& history, const Refutation& refutation, std::string& text) {
  // One world alone is what the reason says already.
  if (refutation.worlds.size() < 2) return;
  text += "\npossible until then, and why each fails:";
  for (std::size_t i = 0; i < refutation.worlds.size() && i < kMostWorlds; ++i) {
    const World& world = refutation.worlds[i];
    text += "\n  " + world.state;
    if (!world.taken.empty()) text += " after " + list(history, world.taken);
    text += ": " + world.reason;
    if (!world.waiting.empty()) text += "; could still happen: " + list(history, world.waiting);
  }
  if (refutation.worlds.size() > kMostWorlds)
    text += "\n  and " + std::to_string(refutation.worlds.size() - kMostWorlds) + " more";
}

}  // namespace

std::string explain(const History& history, const Verdict& verdict) {
  std::string text = name(verdict.answer);
  if (!verdict.reason.empty()) text += ": " + verdict.reason;
  for (const Refutation& refutation : verdict.refutations) {
    if (refutation.reason != verdict.reason) text += "\n" + refutation.reason;
    if (refutation.certificate.empty()) {
      if (refutation.failing) text += "\nat " + words(history, *refutation.failing);
    } else {
      for (const OperationNumber number : refutation.certificate) text += "\n  " + words(history, number);
    }
    add_worlds(history, refutation, text);
  }
  return text;
}

}  // namespace touchstone::model
