#include "harness/fuzzing/round.h"

#include <nlohmann/json.hpp>
#include <unordered_map>

#include "harness/fuzzing/generate.h"

namespace touchstone::harness::fuzzing {

namespace {

using nlohmann::json;

/// Runs cases one after the other and gathers what the parent is told.
class Gathering {
 public:
  explicit Gathering(Corpus& corpus) : corpus_(corpus) {}

  void run(const FuzzCase& it) {
    const CaseResult result = runner_.run(it);
    ++executions_;
    schedules_.push_back(runner_.class_of_schedule());
    for (const Feature feature : result.features) ++times_seen_[feature];
    if (result.failed) {
      failed(it, result);
    } else if (corpus_.wants(size_of(it), result.features)) {
      FuzzCase same = runner_.concrete(it);
      const std::string text = to_text(same);
      if (corpus_.add(std::move(same), result.features))
        kept_.push_back({{"case", text},
                         {"features", std::vector<Feature>(result.features.begin(), result.features.end())}});
    }
  }

  void next_would_be(const FuzzCase& it) { next_ = to_text(it); }

  std::string told() const {
    std::vector<Feature> once, often;
    for (const auto& [feature, times] : times_seen_) (times == 1 ? once : often).push_back(feature);
    return json{{"executions", executions_}, {"kept", kept_}, {"failed", failed_}, {"times", times_},
                {"schedules", schedules_},   {"once", once},  {"often", often},    {"next", next_}}
        .dump(-1, ' ', false, json::error_handler_t::replace);
  }

 private:
  void failed(const FuzzCase& it, const CaseResult& result) {
    if (++times_[result.claim] != 1) return;
    failed_.push_back(
        {{"claim", result.claim}, {"execution", executions_}, {"case", to_text(runner_.concrete(it))}});
  }

  Corpus& corpus_;
  CaseRunner runner_;
  std::uint64_t executions_ = 0;
  json kept_ = json::array();
  json failed_ = json::array();
  std::map<std::string, std::uint64_t> times_;
  std::vector<std::uint64_t> schedules_;
  std::unordered_map<Feature, std::uint32_t> times_seen_;
  std::string next_;
};

FuzzCase next_case(Draws& draws, const Swarm& swarm, const Corpus& corpus) {
  if (corpus.empty() || draws.chance(1, 4)) return generate(draws, swarm);
  const FuzzCase& parent = corpus.pick(draws);
  if (!draws.chance(1, 6)) return mutate(parent, draws, swarm);
  return mutate(cross(parent, corpus.pick(draws), draws), draws, swarm);
}

FuzzCase case_of(const json& text) {
  auto parsed = parse_fuzz_case(text.get<std::string>());
  return std::get<FuzzCase>(std::move(parsed));
}

}  // namespace

std::string run_round(const RoundPlan& plan, Corpus& corpus, std::atomic<std::uint64_t>& counter) {
  constexpr std::uint64_t kLookAtTheClock = 16;
  Stream stream = plan.seed.stream("round");
  Draws draws(stream);
  const Swarm swarm = draw_swarm(draws);
  Gathering gathering(corpus);
  for (std::uint64_t i = 0; i < plan.executions; ++i) {
    if (i % kLookAtTheClock == 0 && std::chrono::steady_clock::now() >= plan.until) break;
    const FuzzCase it = next_case(draws, swarm, corpus);
    if (plan.stop_before == i) {
      gathering.next_would_be(it);
      break;
    }
    counter.store(i + 1);
    gathering.run(it);
  }
  return gathering.told();
}

std::string run_cases(const std::vector<FuzzCase>& cases, Corpus& corpus,
                      std::atomic<std::uint64_t>& counter) {
  Gathering gathering(corpus);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    counter.store(i + 1);
    gathering.run(cases[i]);
  }
  return gathering.told();
}

RoundResult parse_round(const std::string& text) {
  const json told = json::parse(text);
  RoundResult result;
  result.executions = told.at("executions");
  for (const json& it : told.at("kept"))
    result.kept.push_back({case_of(it.at("case")), it.at("features").get<std::vector<Feature>>()});
  for (const json& it : told.at("failed"))
    result.failed.push_back({case_of(it.at("case")), it.at("claim"), it.at("execution")});
  result.times = told.at("times").get<std::map<std::string, std::uint64_t>>();
  result.schedules = told.at("schedules").get<std::vector<std::uint64_t>>();
  result.once = told.at("once").get<std::vector<Feature>>();
  result.often = told.at("often").get<std::vector<Feature>>();
  if (!told.at("next").get<std::string>().empty()) result.next = case_of(told.at("next"));
  return result;
}

}  // namespace touchstone::harness::fuzzing
