#include "harness/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <stdexcept>

#include "harness/isolated.h"
#include "harness/verify_json.h"
#include "harness/verify_table.h"

namespace touchstone::harness {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Runs the parts one after another, each with its share of what is left of the time.
void run_parts(const std::vector<ClaimPart>& parts, std::chrono::nanoseconds share, ClaimRun& run) {
  const auto deadline = Clock::now() + share;
  std::int64_t weight_left = 0;
  for (const auto& part : parts) weight_left += part.weight;
  for (const auto& part : parts) {
    const auto left =
        std::max<std::chrono::nanoseconds>(deadline - Clock::now(), std::chrono::nanoseconds(0));
    run.begin_part(part, part.weight == 0 ? std::chrono::nanoseconds(0) : left * part.weight / weight_left);
    weight_left -= part.weight;
    const Tried before = run.tried();
    part.check(run);
    if (run.tried() == before && !run.left_to_another()) throw ClaimInconclusive("the check tried nothing");
  }
}

/// Runs the checks here and judges how they ended.
Replayed run_check(const std::vector<ClaimPart>& parts, std::chrono::nanoseconds share, ClaimRun& run) {
  const auto ended = [&](ClaimVerdict verdict, std::string reason) {
    return Replayed{verdict, std::move(reason), run.tried(), run.notes()};
  };
  try {
    run_parts(parts, share, run);
  } catch (const ClaimInconclusive& why) {
    return ended(ClaimVerdict::inconclusive, why.what());
  } catch (const std::exception& why) {
    return ended(ClaimVerdict::violated, why.what());
  }
  return ended(run.tried() == Tried{} ? ClaimVerdict::elsewhere : ClaimVerdict::held, "");
}

/// The parts that a replay line means (Q4), as the line's class says.
std::vector<ClaimPart> parts_of(const Claim& claim, const ReplayLine& line, std::chrono::nanoseconds share) {
  const auto named = line.option("part");
  std::vector<ClaimPart> chosen;
  for (auto& part : claim.parts()) {
    const bool meant = named ? part.name == *named : part.name.empty() || !line.option("round");
    if (!meant) continue;
    if (line.option("round")) part.replay_class = line.replay_class;
    if (share.count() > 0) part.weight = std::max(part.weight, 1u);
    chosen.push_back(std::move(part));
  }
  return chosen;
}

std::string in_the_child(const Claim& claim, const VerifyOptions& options, std::chrono::nanoseconds share,
                         const std::string& engine, Artifact* artifact, Isolated& self) {
  ClaimRun::Options run_options{.seed = options.seed,
                                .share = share,
                                .artifact = artifact,
                                .replaying = {{"engine", engine}},
                                .replay_class = claim.replay_class,
                                .shard = options.shard,
                                .rounds = options.rounds};
  auto last = Clock::now();
  run_options.progress = [&](const Tried& tried) {
    if (Clock::now() - last < std::chrono::milliseconds(100)) return;
    last = Clock::now();
    self.say(to_text(tried));
  };
  ClaimRun run(claim.name, std::move(run_options));
  const Replayed ended = run_check(claim.parts(), share, run);
  Json options_json = Json::array();
  for (const auto& option : run.replay_options()) options_json.push_back({option.name, option.value});
  return dumped({{"verdict", static_cast<int>(ended.verdict)},
                 {"reason", ended.reason},
                 {"tried", json_of(ended.tried)},
                 {"notes", ended.notes},
                 {"sampled", json_of(run.all_sampled())},
                 {"figures", json_of(run.figures())},
                 {"class", static_cast<int>(run.replay_class())},
                 {"options", options_json}});
}

ClaimReport check_isolated(const Claim& claim, const VerifyOptions& options, std::chrono::nanoseconds share,
                           const std::string& engine, const std::function<void(const std::string&)>& heard) {
  ClaimReport report{.claim = claim.name,
                     .promise = claim.promise,
                     .technique = claim.techniques(),
                     .replay_class = claim.replay_class,
                     .tried = {}};
  Artifact artifact(options.out / claim.name);
  ReplayLine line{claim.replay_class, options.seed, ClaimTarget{claim.name}, {{"engine", engine}}};
  const auto begin = Clock::now();
  const auto outcome = run_isolated(
      [&](Isolated& self) {
        return in_the_child(claim, options, share, engine, options.out.empty() ? nullptr : &artifact, self);
      },
      share + options.patience, heard);
  report.seconds = seconds_since(begin);
  if (outcome.kind == Isolated::Outcome::Kind::returned) {
    const Json json = Json::parse(outcome.text);
    report.verdict = static_cast<ClaimVerdict>(json.at("verdict").get<int>());
    report.reason = json.at("reason");
    report.tried = tried_of(json.at("tried"));
    report.notes = json.at("notes").get<std::vector<std::string>>();
    report.sampled = sampled_of(json.at("sampled"));
    report.figures = figures_of(json.at("figures"));
    line.replay_class = static_cast<ReplayClass>(json.at("class").get<int>());
    line.options.clear();
    for (const auto& option : json.at("options")) line.options.push_back({option.at(0), option.at(1)});
  } else {
    report.verdict = ClaimVerdict::violated;
    report.reason = (outcome.kind == Isolated::Outcome::Kind::hung ? "hung: " : "died: ") + outcome.text;
  }
  if (report.verdict == ClaimVerdict::violated || report.verdict == ClaimVerdict::inconclusive) {
    report.replay_class = line.replay_class;
    report.replay = to_text(line, options.tool);
  }
  if (!options.out.empty() && !report.replay.empty())
    artifact.write("replay.txt", report.reason + "\nreplay: " + report.replay + "\n");
  return report;
}

std::vector<const Claim*> chosen(const ClaimRegistry& registry, const std::vector<std::string>& only) {
  std::vector<const Claim*> claims;
  for (const auto& name : only)
    if (registry.find(name) == nullptr) throw std::invalid_argument(name);
  for (const auto& claim : registry.claims())
    if (only.empty() || std::find(only.begin(), only.end(), claim.name) != only.end())
      claims.push_back(&claim);
  return claims;
}

/// The name of a claim's directory: A1, C12.
bool is_claim_name(const std::string& name) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  return name.size() > 1 && name[0] >= 'A' && name[0] <= 'Z' &&
         std::all_of(name.begin() + 1, name.end(), is_digit);
}

/// Only a directory that has a report is a run directory: nothing is removed from any other.
void remove_earlier_run(const std::filesystem::path& out) {
  if (!std::filesystem::exists(out / "report.json")) return;
  std::vector<std::filesystem::path> earlier;
  for (const auto& entry : std::filesystem::directory_iterator(out))
    if (entry.is_directory() && is_claim_name(entry.path().filename())) earlier.push_back(entry.path());
  for (const auto& path : earlier) std::filesystem::remove_all(path);
}

void keep(const VerifyReport& report, const std::filesystem::path& out) {
  if (out.empty()) return;
  try {
    write_report(report, out);
  } catch (const std::runtime_error& why) {
    throw CannotWriteRun(why.what());
  }
}

void begin_run_directory(const VerifyReport& report, const std::filesystem::path& out) {
  if (out.empty()) return;
  try {
    remove_earlier_run(out);
  } catch (const std::runtime_error& why) {
    throw CannotWriteRun(why.what());
  }
  keep(report, out);
}

}  // namespace

std::string_view to_text(ClaimVerdict verdict) {
  switch (verdict) {
    case ClaimVerdict::held:
      return "held";
    case ClaimVerdict::violated:
      return "VIOLATED";
    case ClaimVerdict::inconclusive:
      return "inconclusive";
    case ClaimVerdict::elsewhere:
      return "elsewhere";
  }
  return "unknown";
}

std::size_t VerifyReport::count(ClaimVerdict verdict) const {
  return static_cast<std::size_t>(std::count_if(claims.begin(), claims.end(),
                                                [&](const auto& claim) { return claim.verdict == verdict; }));
}

int VerifyReport::exit_status() const {
  if (count(ClaimVerdict::violated) > 0) return 1;
  return count(ClaimVerdict::inconclusive) > 0 ? 2 : 0;
}

VerifyReport verify(const ClaimRegistry& registry, const VerifyOptions& options,
                    const std::function<void(const ClaimReport&)>& finished) {
  const auto claims = chosen(registry, options.only);
  VerifyReport report{.engine = registry.engine(), .seed = options.seed, .claims = {}};
  report.planned = claims.size();
  if (options.only.empty()) report.not_claimed = registry.not_claimed();
  if (!options.shard.whole()) report.part = "shard " + options.shard.text();
  begin_run_directory(report, options.out);
  if (options.started) options.started();
  const auto begin = Clock::now();
  const auto deadline = begin + options.budget;
  std::int64_t weight_left = 0;
  for (const auto* claim : claims) weight_left += claim->total_weight();
  for (std::size_t i = 0; i < claims.size(); ++i) {
    const Claim& claim = *claims[i];
    const auto left =
        std::max<std::chrono::nanoseconds>(deadline - Clock::now(), std::chrono::nanoseconds(0));
    const std::int64_t weight = claim.total_weight();
    const auto share = weight == 0 ? std::chrono::nanoseconds(0) : left * weight / weight_left;
    weight_left -= weight;
    if (options.progress) options.progress(claim, i, claims.size(), "");
    report.claims.push_back(
        check_isolated(claim, options, share, registry.engine(), [&](const std::string& said) {
          if (options.progress) options.progress(claim, i, claims.size(), said);
        }));
    report.seconds = seconds_since(begin);
    keep(report, options.out);
    if (finished) finished(report.claims.back());
  }
  return report;
}

std::optional<ReplayError> refused_of(const Claim& claim, const ReplayLine& line) {
  const auto parts = parts_of(claim, line, {});
  if (parts.empty())
    return ReplayError{"claim " + claim.name + " has no part of this name",
                       std::string(*line.option("part"))};
  for (const char* name : {"round", "crash-point"}) {
    const auto text = line.option(name);
    std::uint32_t number = 0;
    if (!text) continue;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
    if (error != std::errc{} || end != text->data() + text->size())
      return ReplayError{fmt::format("--{} is a number from 0 on", name), std::string(*text)};
  }
  std::set<std::string> read = {"round", "part", "engine"};
  for (const ClaimPart& part : parts) {
    read.insert(part.repeats.begin(), part.repeats.end());
    const auto given = [&](const std::string& name) { return line.option(name).has_value(); };
    if (std::none_of(part.repeats.begin(), part.repeats.end(), given)) continue;
    const auto missing = std::find_if_not(part.repeats.begin(), part.repeats.end(), given);
    if (missing != part.repeats.end())
      return ReplayError{"the line is not complete without --" + *missing, ""};
  }
  for (const auto& option : line.options)
    if (!read.count(option.name))
      return ReplayError{"claim " + claim.name + " repeats nothing by this option", "--" + option.name};
  return std::nullopt;
}

Replayed replay(const Claim& claim, const ReplayLine& line, std::chrono::nanoseconds share,
                Artifact* artifact) {
  if (const auto refused = refused_of(claim, line))
    throw std::invalid_argument(refused->what + " " + refused->word);
  ClaimRun run(claim.name, {.seed = line.seed,
                            .share = share,
                            .artifact = artifact,
                            .replaying = line.options,
                            .replay_class = line.replay_class,
                            .is_replay = true});
  Replayed ended = run_check(parts_of(claim, line, share), share, run);
  const Tried& tried = ended.tried;
  if (line.option("schedule") && ended.verdict == ClaimVerdict::held && tried.schedules == 0)
    return {ClaimVerdict::inconclusive,
            "nothing was repeated: the claim knows nothing of what the line names",
            tried,
            {}};
  if (line.option("operation") && ended.verdict == ClaimVerdict::held && tried.operations == 0)
    return {ClaimVerdict::inconclusive, "nothing was repeated: the claim has no such operation", tried, {}};
  return ended;
}

void write_report(const VerifyReport& report, const std::filesystem::path& out) {
  const Artifact artifact(out);
  artifact.write("report.json", to_json(report) + "\n");
  std::string table = table_head();
  for (const auto& claim : report.claims) table += table_row(claim, report.seed);
  artifact.write("report.txt", table + table_foot(report));
}

}  // namespace touchstone::harness
