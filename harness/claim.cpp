#include "harness/claim.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "harness/counted.h"
#include "harness/failure_report.h"

namespace touchstone::harness {

std::string to_text(const Tried& tried) {
  std::string text;
  const auto add = [&](std::uint64_t count, const char* what) {
    if (count == 0) return;
    text += (text.empty() ? "" : ", ") + counted(count, what);
  };
  add(tried.rounds, "round");
  add(tried.operations, "operation");
  add(tried.schedules, "schedule");
  add(tried.kills, "kill");
  return text;
}

ClaimRun::ClaimRun(std::string claim, Options options)
    : claim_(std::move(claim)),
      options_(std::move(options)),
      seed_(options_.seed.derive(claim_)),
      deadline_(Clock::now() + options_.share) {}

std::optional<std::string> ClaimRun::replayed(std::string_view option) const {
  for (const auto& candidate : options_.replaying)
    if (candidate.name == option) return candidate.value;
  return std::nullopt;
}

void ClaimRun::begin_part(const ClaimPart& part, std::chrono::nanoseconds share) {
  part_ = part.name;
  options_.replay_class = part.replay_class;
  options_.share = share;
  deadline_ = Clock::now() + share;
  seed_ = options_.seed.derive(claim_);
  if (!part_.empty()) seed_ = seed_.derive(part_);
  extra_.clear();
  left_to_another_ = false;
}

bool ClaimRun::owns(std::string_view what) const {
  return options_.shard.owns(fmt::format("{}/{}/{}", claim_, part_, what));
}

void ClaimRun::sampled(Sampled sampled) {
  const auto known = std::find_if(sampled_.begin(), sampled_.end(),
                                  [&](const Sampled& other) { return other.what == sampled.what; });
  if (known != sampled_.end()) {
    *known = std::move(sampled);
  } else {
    sampled_.push_back(std::move(sampled));
  }
}

void ClaimRun::note(const std::string& text) {
  if (std::find(notes_.begin(), notes_.end(), text) == notes_.end()) notes_.push_back(text);
}

std::uint64_t ClaimRun::first_round() const {
  const auto text = replayed("round");
  std::uint64_t round = options_.shard.index;
  if (text) std::from_chars(text->data(), text->data() + text->size(), round);
  return round;
}

bool ClaimRun::begin_round(std::uint64_t number) {
  const bool first = number == first_round();
  if (options_.rounds && !options_.is_replay) {
    if (number >= *options_.rounds) {
      if (first) leave_to_another();
      return false;
    }
  } else {
    const bool once = repeats_one_round() && options_.replay_class != ReplayClass::workload;
    if (!first && (once || !time_left())) return false;
  }
  round_ = repeats_one_round() ? first_round() : number;
  extra_.clear();
  announce();
  return true;
}

void ClaimRun::begin_single() {
  round_ = repeats_one_round() ? first_round() : 0;
  extra_.clear();
  announce();
}

void ClaimRun::end_round() {
  ++tried_.rounds;
  if (options_.progress) options_.progress(tried_);
}

void ClaimRun::on_failure_replay(std::string option, std::string value) {
  for (auto& known : extra_) {
    if (known.name == option) {
      known.value = std::move(value);
      announce();
      return;
    }
  }
  extra_.push_back({std::move(option), std::move(value)});
  announce();
}

std::vector<ReplayOption> ClaimRun::replay_options() const {
  std::vector<ReplayOption> all = {{"round", std::to_string(round_)}};
  if (!part_.empty()) all.push_back({"part", part_});
  all.insert(all.end(), extra_.begin(), extra_.end());
  if (const auto engine = replayed("engine")) all.push_back({"engine", *engine});
  return all;
}

void ClaimRun::announce() const {
  announce_replay({options_.replay_class, options_.seed, ClaimTarget{claim_}, replay_options()});
}

std::vector<ClaimPart> Claim::parts() const {
  std::vector<ClaimPart> all = {{"", technique, replay_class, weight, check, repeats}};
  all.insert(all.end(), further.begin(), further.end());
  return all;
}

unsigned Claim::total_weight() const {
  unsigned total = weight;
  for (const auto& part : further) total += part.weight;
  return total;
}

std::string Claim::techniques() const {
  std::string text = technique;
  for (const auto& part : further)
    if (text.find(part.technique) == std::string::npos) text += ", " + part.technique;
  return text;
}

void ClaimRegistry::add(Claim claim) {
  if (find(claim.name) != nullptr) throw std::logic_error("two claims are named " + claim.name);
  claims_.push_back(std::move(claim));
}

void ClaimRegistry::add_part(std::string_view claim, ClaimPart part) {
  const auto known = std::find_if(claims_.begin(), claims_.end(),
                                  [claim](const Claim& candidate) { return candidate.name == claim; });
  if (known == claims_.end()) throw std::logic_error("no claim is named " + std::string(claim));
  for (const auto& other : known->parts())
    if (other.name == part.name)
      throw std::logic_error("two parts of " + known->name + " are named \"" + part.name + "\"");
  known->further.push_back(std::move(part));
}

void ClaimRegistry::sort() {
  const auto before = [](const Claim& a, const Claim& b) {
    if (a.name[0] != b.name[0]) return a.name[0] < b.name[0];
    return a.name.size() != b.name.size() ? a.name.size() < b.name.size() : a.name < b.name;
  };
  std::stable_sort(claims_.begin(), claims_.end(), before);
}

const Claim* ClaimRegistry::find(std::string_view name) const {
  for (const auto& claim : claims_)
    if (claim.name == name) return &claim;
  return nullptr;
}

}  // namespace touchstone::harness
