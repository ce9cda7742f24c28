// B1 and B4 to B11 on any schedule: the explorer looks at the bodies of stress/scheduled.h. What can be exhausted is exhausted in
// the first round, whatever the budget (together well under a second a claim); what can only be sampled is sampled as long as there
// is time. A failure's replay line says the body and the schedule, shrunk.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>

#include "harness/counted.h"
#include "stress/claims/claims.h"
#include "stress/scheduled.h"

namespace touchstone::stress {
namespace {

using harness::ClaimRun;
using harness::ReplayClass;
using harness::Seed;
namespace explore = harness::explore;
using harness::explore::Report;
using harness::explore::Verdict;
using Search = Scheduled::Search;

std::string_view to_text(Search search) {
  switch (search) {
    case Search::exhausted:
      return "exhausted";
    case Search::sampled:
      return "sampled";
    case Search::scripted:
      return "scripted";
  }
  return "";
}

/// A violation that names the schedule and keeps its drawing, if the exploration found one.
void judge(ClaimRun& run, const Scheduled& promise, const Report& report) {
  if (report.verdict == Verdict::passed) return;
  if (!report.failure)
    throw harness::ClaimInconclusive(
        fmt::format("{}: not exhausted after {} schedules", promise.name, report.executions));
  const auto& found = *report.failure;
  run.on_failure_replay("body", promise.name);
  run.on_failure_replay("schedule", found.schedule.text());
  if (run.artifact() != nullptr) run.artifact()->write("schedule.txt", found.columns);
  run.require(false, "{}: {}\n{}", promise.name, found.failure.message, found.columns);
}

void require_reached(const Scheduled& promise) {
  if (!promise.reached->covers(promise.wanted))
    throw harness::ClaimInconclusive(promise.name + ": no schedule reached what this is about");
}

void replay_schedule(ClaimRun& run, const std::string& name, const std::string& text) {
  const auto promises = all_scheduled_for(run.claim());
  if (std::none_of(promises.begin(), promises.end(), [&](const auto* one) { return one->name == name; }))
    throw harness::ClaimInconclusive(run.claim() + " has no schedules named " + name);
  const Scheduled& promise = scheduled(run.claim(), name);
  const auto schedule = harness::explore::Schedule::parse(text);
  if (!schedule) throw harness::ClaimInconclusive("not a schedule: " + text);
  ++run.tried().schedules;
  const Report report = explore::replay(promise.body, *schedule);
  if (run.artifact() != nullptr) run.artifact()->write("schedule.txt", report.columns);
  judge(run, promise, report);
}

/// What was looked at of each body: how many schedules, and of the sampled ones which classes.
struct Looked {
  std::uint64_t schedules = 0;
  std::shared_ptr<explore::ClassCounts> classes = std::make_shared<explore::ClassCounts>();
};
using LookedAt = std::map<std::string, Looked>;

void look_once(ClaimRun& run, const Scheduled& promise, Seed seed, LookedAt& all) {
  Looked& looked = all[promise.name];
  const bool samples = promise.search == Search::sampled;
  const Report report = look(
      promise, {.seed = seed.derive(promise.name).value(), .classes = samples ? looked.classes : nullptr});
  run.tried().schedules += report.executions;
  looked.schedules += report.executions;
  if (samples)
    run.sampled(
        {promise.name, looked.classes->executions(), looked.classes->classes(), looked.classes->once()});
  judge(run, promise, report);
  if (!samples) require_reached(promise);
}

/// "exhausted one-rival (36); sampled two-rivals (4000)"; scripts are counted together.
std::string summary(const std::vector<const Scheduled*>& promises, const LookedAt& all) {
  std::map<Search, std::string> texts;
  std::uint64_t scripts = 0;
  for (const Scheduled* promise : promises) {
    const auto looked = all.find(promise->name);
    if (looked == all.end()) continue;  // another shard does
    const std::uint64_t count = looked->second.schedules;
    if (promise->search == Search::scripted) {
      scripts += count;
      continue;
    }
    std::string& text = texts[promise->search];
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", promise->name, count);
  }
  if (scripts > 0) texts[Search::scripted] = harness::counted(scripts, "schedule");
  std::string joined;
  for (const auto& [search, text] : texts)
    joined += fmt::format("{}{} {}", joined.empty() ? "" : "; ", to_text(search), text);
  return joined;
}

void look_at_schedules(ClaimRun& run) {
  const auto name = run.replayed("body"), schedule = run.replayed("schedule");
  if (name && schedule) {
    run.once([&](Seed) { replay_schedule(run, *name, *schedule); });
    return;
  }
  const auto promises = all_scheduled_for(run.claim());
  LookedAt looked;
  const bool samples = std::any_of(promises.begin(), promises.end(),
                                   [](const auto* promise) { return promise->search == Search::sampled; });
  bool first = true;
  const auto round = [&](Seed seed) {
    for (const Scheduled* promise : promises) {
      const bool now = promise->search == Search::sampled || (first && (!samples || run.owns(promise->name)));
      if (now) look_once(run, *promise, seed, looked);
    }
    first = false;
  };
  if (samples) {
    run.rounds(round);
  } else {
    run.once(round);
  }
  for (const Scheduled* promise : promises)
    if (looked.count(promise->name) != 0) require_reached(*promise);
  if (!looked.empty()) run.note(summary(promises, looked));
}

std::string technique_of(std::string_view claim) {
  std::string ways;
  for (const Search way : {Search::exhausted, Search::sampled, Search::scripted}) {
    const auto promises = all_scheduled_for(claim);
    if (std::any_of(promises.begin(), promises.end(), [way](const auto* one) { return one->search == way; }))
      ways += fmt::format("{}{}", ways.empty() ? "" : ", ", to_text(way));
  }
  return "schedules (" + ways + ")";
}

}  // namespace

void add_schedule_claims(harness::ClaimRegistry& registry) {
  for (const char* claim : {"B1", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11"}) {
    if (registry.find(claim) == nullptr) continue;  // a planted bug is held to some of the claims
    registry.add_part(claim, {"schedules",
                              technique_of(claim),
                              ReplayClass::exact,
                              claim == std::string("B10") ? 4u : 1u,
                              look_at_schedules,
                              {"body", "schedule"}});
  }
}

}  // namespace touchstone::stress
