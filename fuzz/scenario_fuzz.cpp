// A scenario and the decisions of one execution of it, on the engine under the explorer, against the model.
//
// Danger: a promise that some interleaving of some operations breaks. The oracle is the scenario's own (harness/explore/scenario.h): the
// history has an order that the model explains, sums, bounds, tickets, and nobody waits for ever. The input is the text of a case, or any
// bytes, which are then the choices of the generator (harness/fuzzing/generate.h). It is changed by whole operations and whole decisions,
// and what is new about a schedule counts beside new code: libFuzzer takes the counters below for coverage.

#include <algorithm>
#include <cstring>

#include "fuzz/target.h"
#include "harness/fuzzing/case_runner.h"
#include "harness/fuzzing/generate.h"

namespace touchstone::fuzz {
namespace {

using namespace harness::fuzzing;

/// libFuzzer reads and clears every byte of this section at each input.
__attribute__((section("__libfuzzer_extra_counters")))
std::uint8_t g_schedules[kClasses];  // NOLINT(readability-identifier-naming)

std::optional<std::string> judge(const FuzzCase& it) {
  static thread_local CaseRunner runner;
  const CaseResult result = runner.run(it);
  // A feature's low bits say how often, as a power of four: libFuzzer makes such classes of the counts itself.
  for (const Feature feature : result.features)
    g_schedules[feature / 4] = static_cast<std::uint8_t>(1U << 2 * (feature % 4));
  if (!result.failed) return std::nullopt;
  return result.claim + ": " + result.message + "\n" + to_text(runner.concrete(it));
}

std::size_t put_text(const FuzzCase& it, std::uint8_t* data, std::size_t size, std::size_t most) {
  const std::string text = to_text(it);
  if (text.size() > most) return size;  // it stays as it was
  std::memcpy(data, text.data(), text.size());
  return text.size();
}

}  // namespace

const char* const kTarget = "scenario_fuzz";

std::optional<std::string> judge_input(std::span<const std::uint8_t> input) {
  return judge(decode(input));
}

std::optional<std::string> judge_text(const std::string& text) {
  auto parsed = parse_fuzz_case(text);
  if (const auto* error = std::get_if<harness::explore::ScenarioError>(&parsed))
    return "line " + std::to_string(error->line) + ": " + error->what;
  return judge(std::get<FuzzCase>(parsed));
}

}  // namespace touchstone::fuzz

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  using namespace touchstone::harness::fuzzing;
  touchstone::harness::Stream stream(seed);
  Draws draws(stream);
  const Swarm swarm = draw_swarm(draws);
  const bool fresh = size < 32 || draws.chance(1, 32);
  const FuzzCase it = fresh ? generate(draws, swarm) : mutate(decode({data, size}), draws, swarm);
  return touchstone::fuzz::put_text(it, data, size, most);
}

extern "C" std::size_t LLVMFuzzerCustomCrossOver(const std::uint8_t* one, std::size_t one_size,
                                                 const std::uint8_t* other, std::size_t other_size,
                                                 std::uint8_t* out, std::size_t most, unsigned seed) {
  using namespace touchstone::harness::fuzzing;
  touchstone::harness::Stream stream(seed);
  Draws draws(stream);
  return touchstone::fuzz::put_text(cross(decode({one, one_size}), decode({other, other_size}), draws), out,
                                    0, most);
}
