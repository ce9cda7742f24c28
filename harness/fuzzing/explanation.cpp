#include "harness/fuzzing/explanation.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "harness/artifact.h"
#include "harness/commands.h"
#include "harness/fuzzing/case_shrink.h"
#include "harness/fuzzing/corpus.h"

namespace touchstone::harness::fuzzing {

namespace {

using nlohmann::json;

constexpr std::uint32_t kNoCheckpoints = std::uint32_t{1} << 30;  // so far apart that there is none
constexpr std::array<explore::Algorithm, 4> kSamplers = {explore::Algorithm::random, explore::Algorithm::pct,
                                                         explore::Algorithm::pos, explore::Algorithm::urw};

/// The `number`-th way to try a case again: 0 is as it is, the others sample.
FuzzCase attempt(const FuzzCase& it, std::size_t number) {
  FuzzCase again = it;
  if (number == 0) return again;
  again.decisions = {};
  again.decisions.seed = Seed(it.decisions.seed).derive(std::to_string(number)).value();
  again.tail = kSamplers[number % kSamplers.size()];
  again.tail_after = 0;
  return again;
}

bool is_death(const std::string& claim) {
  return claim.starts_with(kDied);
}

FuzzCase parsed(const std::string& text) {
  auto read = parse_fuzz_case(text);
  return std::get<FuzzCase>(std::move(read));
}

}  // namespace

std::optional<FuzzCase> Explainer::fails_again(const FuzzCase& it, const std::string& claim) {
  progress_[0].store(0);
  const auto child = [&]() -> std::string {
    CaseRunner runner;
    for (std::size_t i = 0; i <= kSamples; ++i) {
      progress_[0].store(i + 1);
      log_[0].size.store(0);
      const FuzzCase now = attempt(it, i);
      const CaseResult result = runner.run(now, &log_[0]);
      if (result.failed && result.claim == claim) return to_text(runner.concrete(now));
    }
    return "";
  };
  const ChildEnd end = run_children({child}, progress_, kPatience).front();
  if (end.returned) return end.text.empty() ? std::nullopt : std::optional(parsed(end.text));
  if (std::string(kDied) + end.text != claim) return std::nullopt;
  FuzzCase fatal = attempt(it, progress_[0].load() - 1);
  fatal.tail_after.reset();
  const auto& decisions = log_[0].decisions;
  fatal.decisions.deviations.assign(decisions.begin(),
                                    decisions.begin() + static_cast<std::ptrdiff_t>(log_[0].size.load()));
  return fatal;
}

/// Delta debugging without an execution that could be looked at: a decision is taken out if it dies without it.
FuzzCase Explainer::shrink_decisions(FuzzCase failing, const std::string& claim) {
  for (std::size_t chunk = failing.decisions.deviations.size(); chunk != 0; chunk /= 2) {
    for (std::size_t at = 0; at < failing.decisions.deviations.size();) {
      FuzzCase fewer = failing;
      auto& all = fewer.decisions.deviations;
      const std::size_t end = std::min(at + chunk, all.size());
      all.erase(all.begin() + static_cast<std::ptrdiff_t>(at),
                all.begin() + static_cast<std::ptrdiff_t>(end));
      const auto again = fails_again(fewer, claim);
      if (again && again->decisions.deviations.size() < failing.decisions.deviations.size()) {
        failing = *again;
      } else {
        at += chunk;
      }
    }
  }
  return failing;
}

std::optional<Explained> Explainer::explain(const FuzzCase& failing, const std::string& claim) {
  const auto first = fails_again(failing, claim);
  if (!first) return std::nullopt;
  const Trial trial = [&](const FuzzCase& it) { return fails_again(it, claim); };
  Explained it{shrink_scenario(*first, trial, kMostTrials), {}};
  if (is_death(claim)) {
    it.small = shrink_decisions(std::move(it.small), claim);
    it.small.decisions.distance = kNoCheckpoints;
    it.drawn = {claim, it.small.decisions, "", "", claim};
    return it;
  }
  const auto child = [&]() -> std::string {
    CaseRunner runner;
    const FuzzCase small = runner.shrink_schedule(it.small);
    const auto drawn = runner.draw(small, claim);
    if (!drawn) return "";
    return json{
        {"case", to_text(small)}, {"signature", drawn->signature}, {"schedule", drawn->schedule.text()},
        {"trace", drawn->trace},  {"history", drawn->history},     {"message", drawn->message}}
        .dump(-1, ' ', false, json::error_handler_t::replace);
  };
  const ChildEnd end = run_children({child}, progress_, kPatience).front();
  if (!end.returned || end.text.empty()) return std::nullopt;
  const json told = json::parse(end.text);
  it.small = parsed(told.at("case"));
  it.drawn.signature = told.at("signature");
  it.drawn.schedule = *explore::Schedule::parse(told.at("schedule").get<std::string>());
  it.drawn.trace = told.at("trace");
  it.drawn.history = told.at("history");
  it.drawn.message = told.at("message");
  return it;
}

std::filesystem::path Explainer::directory_of(const std::string& signature) const {
  return out_ / ("failure-" + file_name_of(signature).substr(5, 8));
}

FuzzFailure Explainer::keep(const Explained& it) const {
  FuzzFailure failure;
  failure.signature = it.drawn.signature;
  failure.message = it.drawn.message;
  failure.directory = directory_of(failure.signature);
  ReplayLine line{ReplayClass::exact, Seed(it.drawn.schedule.seed), ClaimTarget{kExploreClaim}, {}};
  line.options.push_back({"scenario", (failure.directory / "scenario.txt").string()});
  line.options.push_back({"schedule", it.drawn.schedule.text()});
  if (it.small.weak_memory) line.options.push_back({"weak-memory", "on"});
  failure.replay = to_text(line, tool_);
  const Artifact artifact(failure.directory);
  artifact.write("scenario.txt", to_text(it.small.scenario));
  artifact.write("schedule.txt", it.drawn.schedule.text() + "\n");
  artifact.write("case.txt", to_text(it.small));
  if (!it.drawn.history.empty()) artifact.write("history.jsonl", it.drawn.history);
  if (!it.drawn.trace.empty()) artifact.write("trace.txt", it.drawn.trace);
  artifact.write("replay.txt", "replay: " + failure.replay + "\n");
  artifact.write("signature.txt",
                 failure.signature + "\n" + failure.message + "\n");  // the last: it is complete
  return failure;
}

}  // namespace touchstone::harness::fuzzing
