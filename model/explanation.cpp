#include "model/explanation.h"

#include <algorithm>

#include "model/drawing.h"
#include "model/weakening.h"

namespace touchstone::model {
namespace {

constexpr std::size_t kMostWorlds = 8;
constexpr std::size_t kMostListed = 4;
constexpr std::size_t kMostDrawn = 24;
constexpr std::size_t kMostExplained = 3;

std::string words(const History& history, OperationNumber number) {
  return describe(history, history.operations[number]);
}

/// The first few, without what stands behind all of them: that nobody knows their outcome.
std::string list(const History& history, const std::vector<OperationNumber>& numbers) {
  static const std::string kUnknown = " (outcome unknown)";
  std::string text;
  for (std::size_t i = 0; i < numbers.size() && i < kMostListed; ++i) {
    std::string one = words(history, numbers[i]);
    if (const std::size_t at = one.find(kUnknown); at != std::string::npos) one.erase(at, kUnknown.size());
    text += (i == 0 ? "" : ", ") + one;
  }
  return numbers.size() > kMostListed
             ? text + " and " + std::to_string(numbers.size() - kMostListed) + " more"
             : text;
}

void add_line(std::string& text, const std::string& line) {
  text += (text.empty() ? "" : "\n") + line;
}

void add_drawing(const History& history, const std::vector<Look>& looks, std::string& text) {
  if (looks.size() > kMostDrawn) return;
  std::string drawing = draw(history, looks);
  if (drawing.empty()) return;
  drawing.pop_back();
  add_line(text, drawing);
}

/// Of `history`, in which the worlds' numbers are. Of worlds with the same state that fail for the same reason, the first. One world
/// alone is what the reason says already.
void add_worlds(const History& history, const std::vector<World>& worlds, std::string& text) {
  std::vector<std::string> lines;
  std::vector<std::string> seen;
  for (const World& world : worlds) {
    const std::string what = world.state + ": " + world.reason;
    if (std::find(seen.begin(), seen.end(), what) != seen.end()) continue;
    seen.push_back(what);
    std::string line = "  " + what;
    if (!world.taken.empty()) line += "; after " + list(history, world.taken);
    if (!world.waiting.empty()) line += "; could still happen: " + list(history, world.waiting);
    lines.push_back(line);
  }
  if (worlds.size() < 2) return;
  add_line(text, "possible until then, and why each fails:");
  for (std::size_t i = 0; i < lines.size() && i < kMostWorlds; ++i) add_line(text, lines[i]);
  if (lines.size() > kMostWorlds)
    add_line(text, "  and " + std::to_string(lines.size() - kMostWorlds) + " more");
}

/// What the breadth-first search says of the heart: all that was possible until its last return.
std::vector<World> worlds_of(const Heart& heart) {
  CheckOptions options;
  options.witness = false;
  options.max_steps = 100'000;
  options.methods = {
      .versions = false, .unique_values = false, .global_versions = false, .depth_first = false};
  options.reductions.look_ahead = false;  // it would give up before the operation that fails
  const Verdict verdict = check(heart.history, options);
  return verdict.refutations.empty() ? std::vector<World>() : verdict.refutations.front().worlds;
}

std::string count_words(std::size_t count, const char* one, const char* many) {
  return std::to_string(count) + " " + (count == 1 ? one : many);
}

void add_heart(const History& history, const Heart& heart, std::string& text) {
  add_line(text, "the first " + count_words(heart.prefix, "operation cannot", "operations cannot") +
                     " be explained; what matters of them" + (heart.minimal ? "" : " (it could be less)") +
                     ":");
  std::vector<Look> looks;
  std::vector<OperationNumber> free;
  for (OperationNumber i = 0; i < heart.origin.size(); ++i) {
    if (!heart.matters[i]) {
      free.push_back(heart.origin[i]);
      continue;
    }
    const bool forgotten = heart.history.operations[i].returned == kNever;
    looks.push_back(
        {heart.origin[i], heart.widened_begin[i], heart.widened_end[i] || forgotten, i == heart.failing});
  }
  for (const Look& look : looks) add_line(text, "  " + words(history, look.operation));
  if (!free.empty())
    add_line(text, "whenever the other " + count_words(free.size(), "change", "changes") +
                       " happened, if at all: " + list(history, free));
  add_drawing(history, looks, text);
  add_worlds(heart.history, worlds_of(heart), text);
}

std::string one_refutation(const History& history, const Refutation& refutation) {
  std::string text;
  if (!refutation.certificate.empty()) {
    std::vector<Look> looks;
    for (const OperationNumber number : refutation.certificate) {
      add_line(text, "  " + words(history, number));
      looks.push_back({number, false, false, number == refutation.failing});
    }
    add_drawing(history, looks, text);
    return text;
  }
  if (const auto heart = weaken(history, refutation)) {
    add_heart(history, *heart, text);
  } else {
    if (refutation.failing) add_line(text, "at " + words(history, *refutation.failing));
    add_worlds(history, refutation.worlds, text);
  }
  return text;
}

}  // namespace

std::string explain_more(const History& history, const Verdict& verdict) {
  std::string text;
  for (std::size_t i = 0; i < verdict.refutations.size() && i < kMostExplained; ++i) {
    const Refutation& refutation = verdict.refutations[i];
    if (refutation.reason != verdict.reason) add_line(text, refutation.reason);
    if (const std::string more = one_refutation(history, refutation); !more.empty()) add_line(text, more);
  }
  if (verdict.refutations.size() > kMostExplained)
    add_line(text, "and " + std::to_string(verdict.refutations.size() - kMostExplained) + " more keys");
  return text;
}

std::string explain(const History& history, const Verdict& verdict) {
  std::string text = name(verdict.answer);
  if (!verdict.reason.empty()) text += ": " + verdict.reason;
  const std::string more = explain_more(history, verdict);
  return more.empty() ? text : text + "\n" + more;
}

}  // namespace touchstone::model
