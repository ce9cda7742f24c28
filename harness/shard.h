#pragma once
// The part of a campaign that this process does: one of `count`, which together do what one process alone would do, each of it once.
//
//   const ChosenShard chosen = choose_shard("2/8");                       // an option's text, or "": then the environment decides
//   if (const auto* wrong = std::get_if<ShardError>(&chosen)) return wrong_usage(wrong->what);
//   for (std::uint64_t n = shard.index; ; n += shard.count) run(seed.derive("round").derive(std::to_string(n)));
//   if (shard.owns("A4")) once();                                         // what is done once belongs to one of them
//
// Whatever is numbered is dealt out by number (H1), whatever has a name by its name (H2). Seeds derive from the campaign's seed and the
// number, never from the shard: so a replay line needs no shard. All shards of a campaign have one seed, which somebody must give.
//
// The environment, for a process without an option of its own (from 0 on unless said otherwise):
//   GTest       GTEST_SHARD_INDEX, GTEST_TOTAL_SHARDS
//   Slurm       SLURM_ARRAY_TASK_ID, _COUNT, _MIN and _STEP
//   Kubernetes  JOB_COMPLETION_INDEX; how many there are says TOUCHSTONE_SHARDS
//   parallel    PARALLEL_SEQ, from 1 on, if TOUCHSTONE_SHARDS says how many there are (PARALLEL_JOBSLOT comes again: it is no shard)
// Two of them at once that differ are refused. "1/1" is all of it, whatever the environment says.
//
// Values. Invariants: H1 each number is taken by exactly one shard. H2 each name is owned by exactly one shard.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>

namespace touchstone::harness {

struct Shard {
  std::uint32_t index = 0;  ///< from 0 on, below `count`
  std::uint32_t count = 1;
  std::string source = {};  ///< the variable that it came from; empty: an option, or nothing

  bool whole() const { return count == 1; }
  bool takes(std::uint64_t number) const { return number % count == index; }
  bool owns(std::string_view name) const;

  /// "2/8": counted from 1, as the option is.
  std::string text() const;

  /// The line that says which shard this is and who chose it; empty for the whole.
  std::string announced() const;
};

struct ShardError {
  std::string what;  ///< a whole sentence that names the wrong word or variable
};

using ChosenShard = std::variant<Shard, ShardError>;

/// What a variable of the environment holds, or null.
using Environment = std::function<const char*(const char*)>;

/// Without `environment`: the process's own.
ChosenShard choose_shard(std::string_view option, const Environment& environment = {});

}  // namespace touchstone::harness
