#include "harness/shard.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <optional>
#include <vector>

#include "harness/seed.h"

namespace touchstone::harness {
namespace {

constexpr const char* kCount = "TOUCHSTONE_SHARDS";

struct Refused {
  ShardError error;
};

std::uint32_t number_in(std::string_view text, const std::string& of_what) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty())
    throw Refused{{fmt::format("{} is \"{}\": expected a number", of_what, text)}};
  return number;
}

/// Looks at the variables of one environment.
class Variables {
 public:
  explicit Variables(const Environment& environment) : environment_(environment) {}

  std::optional<std::uint32_t> number(const char* name) const {
    const char* text = environment_(name);
    if (text == nullptr) return std::nullopt;
    return number_in(text, name);
  }

  std::uint32_t required(const char* name, const char* because_of) const {
    const auto value = number(name);
    if (!value)
      throw Refused{
          {fmt::format("{} says which shard this is, and nothing says of how many: set {}, or --shard i/n",
                       because_of, name)}};
    return *value;
  }

 private:
  const Environment& environment_;
};

Shard made(std::uint32_t index, std::uint32_t count, const char* source) {
  if (count == 0 || index >= count)
    throw Refused{{fmt::format("{} makes this shard {} of {}: there is none", source,
                               static_cast<std::uint64_t>(index) + 1, count)}};
  return {index, count, source};
}

std::optional<Shard> of_gtest(const Variables& variables) {
  const auto index = variables.number("GTEST_SHARD_INDEX");
  if (!index) return std::nullopt;
  return made(*index, variables.required("GTEST_TOTAL_SHARDS", "GTEST_SHARD_INDEX"), "GTEST_SHARD_INDEX");
}

std::optional<Shard> of_slurm(const Variables& variables) {
  constexpr const char* kTask = "SLURM_ARRAY_TASK_ID";
  const auto task = variables.number(kTask);
  if (!task) return std::nullopt;
  const std::uint32_t least = variables.number("SLURM_ARRAY_TASK_MIN").value_or(0);
  const std::uint32_t step = variables.number("SLURM_ARRAY_TASK_STEP").value_or(1);
  if (*task < least || step == 0 || (*task - least) % step != 0)
    throw Refused{{fmt::format("{} is {}: with a least of {} and a step of {} it is none of the array", kTask,
                               *task, least, step)}};
  return made((*task - least) / step, variables.required("SLURM_ARRAY_TASK_COUNT", kTask), kTask);
}

std::optional<Shard> of_kubernetes(const Variables& variables) {
  constexpr const char* kIndex = "JOB_COMPLETION_INDEX";
  const auto index = variables.number(kIndex);
  if (!index) return std::nullopt;
  return made(*index, variables.required(kCount, kIndex), kIndex);
}

std::optional<Shard> of_parallel(const Variables& variables) {
  const auto sequence = variables.number("PARALLEL_SEQ");
  const auto count = variables.number(kCount);
  if (!sequence || !count) return std::nullopt;  // parallel also runs what is no campaign
  return made(*sequence - 1, *count, "PARALLEL_SEQ");
}

Shard of_environment(const Variables& variables) {
  std::optional<Shard> chosen;
  for (const auto look : {of_gtest, of_slurm, of_kubernetes, of_parallel}) {
    const auto found = look(variables);
    if (!found) continue;
    if (chosen && (chosen->index != found->index || chosen->count != found->count))
      throw Refused{{fmt::format("{} says {} and {} says {}: choose with --shard i/n", chosen->source,
                                 chosen->text(), found->source, found->text())}};
    if (!chosen) chosen = found;
  }
  return chosen.value_or(Shard{});
}

Shard of_option(std::string_view option) {
  const std::size_t slash = option.find('/');
  const std::string name = fmt::format("--shard \"{}\"", option);
  if (slash == std::string_view::npos) throw Refused{{name + ": expected i/n, as 2/8"}};
  const std::uint32_t which = number_in(option.substr(0, slash), name + ": i");
  const std::uint32_t count = number_in(option.substr(slash + 1), name + ": n");
  if (which == 0 || which > count) throw Refused{{name + ": expected a shard from 1 to n, as 2/8"}};
  return {which - 1, count};
}

}  // namespace

bool Shard::owns(std::string_view name) const {
  return takes(Seed(0).derive("shard").derive(name).value());
}

std::string Shard::text() const {
  return fmt::format("{}/{}", index + 1, count);
}

std::string Shard::announced() const {
  if (whole()) return "";
  return fmt::format("shard {}{}\n", text(), source.empty() ? "" : " by " + source);
}

ChosenShard choose_shard(std::string_view option, const Environment& environment) {
  const Environment own = [](const char* name) -> const char* { return std::getenv(name); };
  try {
    if (!option.empty()) return of_option(option);
    const Environment& asked = environment ? environment : own;
    return of_environment(Variables(asked));
  } catch (const Refused& refused) {
    return refused.error;
  }
}

}  // namespace touchstone::harness
