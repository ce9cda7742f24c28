#pragma once
// A claim: one promise of the source, and a function that tries to refute it for as long as it is given.
//
//   void check_strict(ClaimRun& run) {
//     run.rounds([&](Seed seed) {                                  // until the time is up; one seed each
//       ...
//       run.require(commits == 1, "{} of 10 commits succeeded, not 1", commits);
//       run.tried().operations += 10;
//     });
//   }
//   registry.add({"A1", "strict mode: one of ten commits wins", "threads", ReplayClass::workload, 1, check_strict});
//   registry.add_part("A1", {"schedules", "schedules (exhausted)", ReplayClass::exact, 0, check_every_schedule});
//
// Rules:
//   Q1  A check that returns has held; one that throws is violated; one that tried nothing is a defect of the check.
//   Q2  Everything random comes from the seed of the round, so that `--round N` in a replay line repeats that round.
//   Q3  In a replay of a workload the round is repeated until it fails or the time is up, because the interleaving is
//       not in the seed; an exact round runs once.
//   Q4  A claim may have further parts, each with a technique, a replay class and a weight of its own. They run in
//       order; the first that fails decides, and the replay line names it. A line without `--part` means the first
//       part if it says a round, else all of them.
//
// Thread safety: a ClaimRun belongs to one thread, but for require(), which any thread of the check may call and which
// then throws there.

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "harness/artifact.h"
#include "harness/figures.h"
#include "harness/replay.h"
#include "harness/seed.h"
#include "harness/shard.h"

namespace touchstone::harness {

/// How much a check has tried; what is zero is not shown.
struct Tried {
  std::uint64_t rounds = 0;
  std::uint64_t operations = 0;
  std::uint64_t schedules = 0;
  std::uint64_t kills = 0;

  friend bool operator==(const Tried&, const Tried&) = default;
};

std::string to_text(const Tried& tried);

/// What a sampler has seen of one body's schedules, and what that says of those it has not (Good and Turing).
struct Sampled {
  std::string what;
  std::uint64_t executions = 0;
  std::uint64_t classes = 0;
  std::uint64_t once = 0;  ///< classes seen once

  /// About the chance that the next execution is of a class not seen yet; of executions that several counted apart, at most that.
  double remainder() const {
    return executions == 0 ? 1.0 : static_cast<double>(once) / static_cast<double>(executions);
  }
  friend bool operator==(const Sampled&, const Sampled&) = default;
};

struct ClaimViolated : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// The check could not decide, and says why: a kernel feature is missing, a search met its budget.
struct ClaimInconclusive : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A further way of checking a claim, with what only it needs: a technique, an engine, a kernel feature.
struct ClaimPart {
  std::string name;  ///< in a replay line; the first part of a claim has none
  std::string technique;
  ReplayClass replay_class;
  unsigned weight;
  std::function<void(class ClaimRun&)> check;
  std::vector<std::string> repeats =
      {};  ///< options of its replay line beside round, part and engine: all or none
};

class ClaimRun {
 public:
  using Clock = std::chrono::steady_clock;

  struct Options {
    Seed seed{0};                              ///< of the process; the claim's own derives from it
    std::chrono::nanoseconds share{0};         ///< of the budget
    Artifact* artifact = nullptr;              ///< where to keep what explains a failure
    std::vector<ReplayOption> replaying = {};  ///< the options of the line that is replayed
    ReplayClass replay_class = ReplayClass::workload;
    bool is_replay = false;
    std::function<void(const Tried&)> progress = {};
    Shard shard = {};                          ///< of the campaign: of the rounds, and of what is done once
    std::optional<std::uint64_t> rounds = {};  ///< of all shards together, instead of a time
  };

  ClaimRun(std::string claim, Options options);

  /// Calls `round(seed)` with a seed of its own until the share is used up, but at least once. In a shard, only with the rounds that
  /// it takes.
  template <class Round>
  void rounds(Round round) {
    for (std::uint64_t number = first_round(); begin_round(number); number += options_.shard.count) {
      round(seed_.derive("round").derive(std::to_string(repeats_one_round() ? first_round() : number)));
      end_round();
    }
  }

  /// Calls `once()` a single time: for a check that time does not make better. In a campaign, in one shard.
  template <class Once>
  void once(Once check) {
    if (!owns("once")) return leave_to_another();
    begin_single();
    check(seed_.derive("round").derive("0"));
    end_round();
  }

  /// Whether this shard is the one that does what rounds do not divide, of this part: a search that ends.
  bool owns(std::string_view what) const;

  /// What follows belongs to `part` and has `share` of the time.
  void begin_part(const ClaimPart& part, std::chrono::nanoseconds share);

  template <class... Arguments>
  void require(bool holds, fmt::format_string<Arguments...> message, Arguments&&... arguments) const {
    if (!holds) throw ClaimViolated(fmt::format(message, std::forward<Arguments>(arguments)...));
  }

  bool time_left() const { return Clock::now() < deadline_; }
  std::chrono::nanoseconds share() const { return options_.share; }
  Tried& tried() { return tried_; }
  const Tried& tried() const { return tried_; }
  const std::string& claim() const { return claim_; }

  /// Something a reader of the report should know though the claim held: what was measured, or which kernel feature was
  /// missing. Said once, however often it is called with the same text.
  void note(const std::string& text);
  const std::vector<std::string>& notes() const { return notes_; }

  /// What is known by now of the schedules of `sampled.what`: replaces what was said of it before.
  void sampled(Sampled sampled);
  const std::vector<Sampled>& all_sampled() const { return sampled_; }

  Figures& figures() { return figures_; }

  /// Another shard does all of what this part had to do since begin_part().
  bool left_to_another() const { return left_to_another_; }

  bool is_replay() const { return options_.is_replay; }
  ReplayClass replay_class() const { return options_.replay_class; }

  /// The option of the line that is replayed: a schedule, a crash point.
  std::optional<std::string> replayed(std::string_view option) const;

  /// Adds to the replay line of a failure that may come now.
  void on_failure_replay(std::string option, std::string value);

  /// What a replay line of this moment says beside claim, class and seed.
  std::vector<ReplayOption> replay_options() const;

  Artifact* artifact() const { return options_.artifact; }

 private:
  std::uint64_t first_round() const;
  bool repeats_one_round() const { return options_.is_replay && replayed("round").has_value(); }
  bool begin_round(std::uint64_t number);
  void begin_single();
  void end_round();
  void leave_to_another() { left_to_another_ = true; }
  void announce() const;

  std::string claim_;
  Options options_;
  Seed seed_;
  Clock::time_point deadline_;
  Tried tried_;
  std::uint64_t round_ = 0;
  std::string part_;
  std::vector<ReplayOption> extra_;
  std::vector<std::string> notes_;
  std::vector<Sampled> sampled_;
  Figures figures_;
  bool left_to_another_ = false;
};

struct Claim {
  std::string name;
  std::string promise;
  std::string technique;
  ReplayClass replay_class = ReplayClass::workload;
  unsigned weight = 1;  ///< of its share of the budget; 0: runs once and takes what it takes
  std::function<void(ClaimRun&)> check;
  std::vector<ClaimPart> further = {};    ///< parts (Q4)
  std::vector<std::string> repeats = {};  ///< of the first part

  /// All of them, the first one unnamed.
  std::vector<ClaimPart> parts() const;
  unsigned total_weight() const;
  std::string techniques() const;
};

/// A promise of the suite that the engine does not make, and the capability that it does not declare.
struct NotClaimed {
  std::string name;
  std::string promise;
  std::string lacks;
};

/// The claims of one engine, in the order of the report.
class ClaimRegistry {
 public:
  explicit ClaimRegistry(std::string engine) : engine_(std::move(engine)) {}

  /// A second claim of the same name is a defect: std::logic_error.
  void add(Claim claim);

  /// A further part of a claim that is there: std::logic_error otherwise, or when the claim has a part of this name.
  void add_part(std::string_view claim, ClaimPart part);

  /// Says that the promise is not checked: it is reported so, never as held.
  void add_not_claimed(NotClaimed promise) { not_claimed_.push_back(std::move(promise)); }

  /// By letter, then by number: A2 before A10.
  void sort();

  const std::string& engine() const { return engine_; }
  const std::vector<Claim>& claims() const { return claims_; }
  const std::vector<NotClaimed>& not_claimed() const { return not_claimed_; }
  const Claim* find(std::string_view name) const;

 private:
  std::string engine_;
  std::vector<Claim> claims_;
  std::vector<NotClaimed> not_claimed_;
};

/// The engine is there, and cannot be put under the suite: it does not start, or answers nonsense when it is asked what it is.
struct EngineUnusable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Fills the registry for an engine by name; defined by whoever links the tool (stress/claims). Nothing: no engine of
/// this name. Throws EngineUnusable.
std::optional<ClaimRegistry> claims_of(std::string_view engine);

}  // namespace touchstone::harness
