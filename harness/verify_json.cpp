#include "harness/verify_json.h"

#include <algorithm>
#include <stdexcept>

#include "harness/mutant_table.h"

namespace touchstone::harness {
namespace {

using Json = nlohmann::json;

constexpr ClaimVerdict kVerdicts[] = {ClaimVerdict::held, ClaimVerdict::violated, ClaimVerdict::inconclusive,
                                      ClaimVerdict::elsewhere};

std::string name_of(ClaimVerdict verdict) {
  return verdict == ClaimVerdict::violated ? "violated" : std::string(to_text(verdict));
}

ClaimVerdict verdict_of(const Json& json) {
  for (const ClaimVerdict verdict : kVerdicts)
    if (json == name_of(verdict)) return verdict;
  throw Json::other_error::create(501, "no verdict: " + json.dump(), &json);
}

Json json_of(const NamedCounts& named) {
  Json counts = Json::array();
  for (const auto& [name, count] : named.counts) counts.push_back({name, count});
  return {{"title", named.title}, {"counts", counts}};
}

NamedCounts named_counts_of(const Json& json) {
  NamedCounts named{json.at("title"), {}};
  for (const auto& entry : json.at("counts")) named.counts.emplace_back(entry.at(0), entry.at(1));
  return named;
}

Json json_of(const ContendedRun& run) {
  Json workers = Json::array(), windows = Json::array();
  for (const auto& it : run.workers)
    workers.push_back(
        {{"name", it.name}, {"commits", it.commits}, {"retries", it.retries}, {"waited_ms", it.waited}});
  for (const auto& it : run.windows)
    windows.push_back({{"worker", it.worker}, {"begin_ms", it.begin}, {"end_ms", it.end}});
  return {{"workers", workers}, {"windows", windows}, {"answers", json_of(run.answers)}, {"end_ms", run.end}};
}

ContendedRun contended_run_of(const Json& json) {
  ContendedRun run;
  for (const auto& it : json.at("workers"))
    run.workers.push_back({it.at("name"), it.at("commits"), it.at("retries"), it.at("waited_ms")});
  for (const auto& it : json.at("windows"))
    run.windows.push_back({it.at("worker"), it.at("begin_ms"), it.at("end_ms")});
  run.answers = named_counts_of(json.at("answers"));
  run.end = json.at("end_ms");
  return run;
}

Json mutants_json(const std::string& claim) {
  Json all = Json::array();
  for (const Mutant& mutant : mutants_behind(claim))
    all.push_back({{"number", mutant.number}, {"breaks", mutant.breaks}, {"killed_by", mutant.check}});
  return all;
}

}  // namespace

Json json_of(const Tried& tried) {
  return {{"rounds", tried.rounds},
          {"operations", tried.operations},
          {"schedules", tried.schedules},
          {"kills", tried.kills}};
}

Tried tried_of(const Json& json) {
  return {json.at("rounds"), json.at("operations"), json.at("schedules"), json.at("kills")};
}

Json json_of(const std::vector<Sampled>& sampled) {
  Json all = Json::array();
  for (const Sampled& it : sampled)
    all.push_back({{"what", it.what},
                   {"executions", it.executions},
                   {"classes", it.classes},
                   {"seen_once", it.once},
                   {"remainder", it.remainder()}});
  return all;
}

std::vector<Sampled> sampled_of(const Json& json) {
  std::vector<Sampled> all;
  for (const auto& it : json)
    all.push_back({it.at("what"), it.at("executions"), it.at("classes"), it.at("seen_once")});
  return all;
}

Json json_of(const Figures& figures) {
  Json json = Json::object();
  if (figures.contention)
    json["contention"] = {{"crowd", figures.contention->crowd},
                          {"with_ticket", json_of(figures.contention->with_ticket)},
                          {"without_ticket", json_of(figures.contention->without_ticket)}};
  for (const NamedCounts& named : figures.counts) json["counts"].push_back(json_of(named));
  return json;
}

Figures figures_of(const Json& json) {
  Figures figures;
  if (json.contains("contention")) {
    const Json& it = json.at("contention");
    figures.contention = Contention{it.at("crowd"), contended_run_of(it.at("with_ticket")),
                                    contended_run_of(it.at("without_ticket"))};
  }
  if (json.contains("counts"))
    for (const auto& it : json.at("counts")) figures.counts.push_back(named_counts_of(it));
  return figures;
}

Json json_of(const ClaimReport& claim) {
  return {{"claim", claim.claim},
          {"promise", claim.promise},
          {"technique", claim.technique},
          {"tried", json_of(claim.tried)},
          {"sampled", json_of(claim.sampled)},
          {"verdict", name_of(claim.verdict)},
          {"class", to_text(claim.replay_class)},
          {"seconds", claim.seconds},
          {"reason", claim.reason},
          {"notes", claim.notes},
          {"figures", json_of(claim.figures)},
          {"replay", claim.replay}};
}

ClaimReport claim_of(const Json& json) {
  const auto replay_class = parse_replay_class(json.at("class").get<std::string>());
  if (!replay_class) throw Json::other_error::create(501, "no class: " + json.at("class").dump(), &json);
  return {.claim = json.at("claim"),
          .promise = json.at("promise"),
          .technique = json.at("technique"),
          .replay_class = *replay_class,
          .verdict = verdict_of(json.at("verdict")),
          .tried = tried_of(json.at("tried")),
          .reason = json.at("reason"),
          .notes = json.at("notes").get<std::vector<std::string>>(),
          .replay = json.at("replay"),
          .seconds = json.at("seconds"),
          .sampled = sampled_of(json.at("sampled")),
          .figures = figures_of(json.at("figures"))};
}

std::string to_json(const VerifyReport& report) {
  Json claims = Json::array();
  for (const auto& claim : report.claims) {
    Json json = json_of(claim);
    json["seed"] = report.seed.text();
    json["mutants"] = mutants_json(claim.claim);
    claims.push_back(std::move(json));
  }
  Json not_claimed = Json::array();
  for (const auto& promise : report.not_claimed)
    not_claimed.push_back({{"claim", promise.name}, {"promise", promise.promise}, {"lacks", promise.lacks}});
  Json json = {{"engine", report.engine},
               {"seed", report.seed.text()},
               {"seconds", report.seconds},
               {"held", report.count(ClaimVerdict::held)},
               {"violated", report.count(ClaimVerdict::violated)},
               {"inconclusive", report.count(ClaimVerdict::inconclusive)},
               {"elsewhere", report.count(ClaimVerdict::elsewhere)},
               {"unfinished", report.unfinished()},
               {"not_claimed", not_claimed},
               {"claims", claims}};
  if (!report.part.empty()) json["part"] = report.part;
  return dumped(json);
}

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace touchstone::harness
