// The parts of the fuzzer that need no search: cases as text and as bytes, their changes, what is new about an execution, and which
// failures are the same.

#include "harness/fuzzing/fuzz_case.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "harness/explore/controlled_platform.h"
#include "harness/fuzzing/case_runner.h"
#include "harness/fuzzing/case_shrink.h"
#include "harness/fuzzing/corpus.h"
#include "harness/fuzzing/generate.h"

namespace touchstone::harness::fuzzing {
namespace {

constexpr const char* kCase =
    "touchstone-fuzz 1\n"
    "decisions 1:0x0000000000000007:!1.4>2,2.3>1:1:\n"
    "then pos after 40\n"
    "weak-memory\n"
    "touchstone-scenario 1\n"
    "initial n\n"
    "worker A: add n\n"
    "worker B: put a.b as=tree; look n\n"
    "check linearizable\n";

FuzzCase parsed(const std::string& text) {
  auto read = parse_fuzz_case(text);
  if (const auto* error = std::get_if<explore::ScenarioError>(&read))
    ADD_FAILURE() << text << error->line << ": " << error->what;
  return std::get<FuzzCase>(std::move(read));
}

/// A thousand cases of one seed.
template <class Each>
void each_generated(const Each& each) {
  Stream stream = Seed::of_process().stream("fuzz_case_test");
  Draws draws(stream);
  for (int i = 0; i < 1'000; ++i) {
    const Swarm swarm = draw_swarm(draws);
    each(generate(draws, swarm), draws, swarm);
  }
}

TEST(FuzzCase, IsWrittenAsItIsRead) {
  EXPECT_EQ(to_text(parsed(kCase)), kCase);
}

TEST(FuzzCase, NamesTheLineThatIsWrong) {
  struct Bad {
    std::string text;
    std::size_t line;
  };
  const std::string rest = "touchstone-scenario 1\nworker A: add n\n";
  for (const Bad& bad : {Bad{"", 1}, Bad{rest, 1}, Bad{"touchstone-fuzz 2\n" + rest, 1},
                         Bad{"touchstone-fuzz 1\n", 2}, Bad{"touchstone-fuzz 1\ndecisions 7\n" + rest, 2},
                         Bad{"touchstone-fuzz 1\n\nthen dpor after 1\n" + rest, 3},
                         Bad{"touchstone-fuzz 1\nthen pos after x\n" + rest, 2},
                         Bad{"touchstone-fuzz 1\nstrong-memory\n" + rest, 2},
                         Bad{"touchstone-fuzz 1\ntouchstone-scenario 1\nworker A: jump\n", 3}}) {
    const auto read = parse_fuzz_case(bad.text);
    ASSERT_TRUE(std::holds_alternative<explore::ScenarioError>(read)) << bad.text;
    EXPECT_EQ(std::get<explore::ScenarioError>(read).line, bad.line) << bad.text;
  }
}

TEST(FuzzCase, IsWellFormedHoweverItWasMade) {
  std::optional<FuzzCase> last;
  each_generated([&](const FuzzCase& made, Draws& draws, const Swarm& swarm) {
    const FuzzCase changed = mutate(made, draws, swarm);
    const FuzzCase both = cross(changed, last.value_or(made), draws);
    for (const FuzzCase& it : {made, changed, both}) {
      const std::string text = to_text(it);
      ASSERT_EQ(to_text(parsed(text)), text);
      ASSERT_FALSE(it.scenario.workers.empty());
    }
    last = both;
  });
}

// Danger: a mutator that hardly changes anything, or always the same part.
TEST(FuzzCase, IsChangedInEveryPartByMutation) {
  std::size_t same = 0, all = 0;
  std::set<std::string> changed;
  each_generated([&](const FuzzCase& made, Draws& draws, const Swarm& swarm) {
    const FuzzCase after = mutate(made, draws, swarm);
    ++all;
    if (to_text(after) == to_text(made)) ++same;
    if (to_text(after.scenario) != to_text(made.scenario)) changed.insert("scenario");
    if (after.scenario.workers.size() != made.scenario.workers.size()) changed.insert("workers");
    if (operations_of(after.scenario) != operations_of(made.scenario)) changed.insert("operations");
    if (after.scenario.faults.size() != made.scenario.faults.size()) changed.insert("faults");
    if (after.decisions.deviations != made.decisions.deviations) changed.insert("deviations");
    if (after.decisions.seed != made.decisions.seed) changed.insert("seed");
    if (after.tail_after != made.tail_after) changed.insert("tail");
    if (after.weak_memory != made.weak_memory) changed.insert("memory");
  });
  EXPECT_EQ(changed.size(), 8);
  EXPECT_LT(same, all / 4);
}

TEST(FuzzCase, IsWhatAnyBytesMean) {
  const std::string text = kCase;
  EXPECT_EQ(to_text(decode({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()})), text);
  EXPECT_EQ(to_text(decode({})), to_text(decode({})));
  Stream stream = Seed::of_process().stream("bytes");
  std::set<std::string> different;
  for (int i = 0; i < 200; ++i) {
    std::vector<std::uint8_t> bytes(stream.below(200));
    for (auto& byte : bytes) byte = static_cast<std::uint8_t>(stream.below(256));
    different.insert(to_text(decode(bytes)));
  }
  EXPECT_GT(different.size(), 150);
}

// The same case is the same execution, written down in full too: else nothing that the fuzzer finds could be replayed.
TEST(CaseRunner, RepeatsAnExecutionFromItsDecisions) {
  CaseRunner runner;
  int executions = 0;
  each_generated([&](const FuzzCase& made, Draws&, const Swarm&) {
    if (++executions > 300) return;
    const CaseResult first = runner.run(made);
    ASSERT_FALSE(first.failed) << first.claim << ": " << first.message << "\n" << to_text(made);
    const std::vector<Feature> features(first.features.begin(), first.features.end());
    const FuzzCase same = runner.concrete(made);
    const CaseResult second = runner.run(same);
    EXPECT_EQ(std::vector<Feature>(second.features.begin(), second.features.end()), features)
        << to_text(made);
    EXPECT_EQ(second.points, first.points);
    EXPECT_EQ(to_text(runner.concrete(same)), to_text(same));
  });
}

TEST(CaseRunner, SaysTheClaimWithoutWhatDiffers) {
  const explore::Scenario scenario = parsed(kCase).scenario;
  const auto claim = [&](explore::FailureKind kind, const char* message) {
    return claim_of({kind, 1, message}, scenario);
  };
  EXPECT_EQ(claim(explore::FailureKind::exception, "n is 3, and its additions are 14"),
            "exception: PATH is N and its additions are N");
  EXPECT_EQ(claim(explore::FailureKind::exception, "no order explains the history: whatever"),
            "exception: no order explains the history");
  EXPECT_EQ(claim(explore::FailureKind::stuck, "no thread can ever run again: A at lock"), "stuck");
}

TEST(Corpus, KeepsForEachFeatureTheSmallestCase) {
  Corpus corpus;
  FuzzCase large = parsed(kCase);
  for (int i = 0; i < 3; ++i) large.scenario.workers.push_back(large.scenario.workers[1]);
  const std::vector<Feature> one = {8}, two = {8, 16};
  EXPECT_TRUE(corpus.add(large, two));
  EXPECT_FALSE(corpus.add(large, two));
  EXPECT_TRUE(corpus.add(parsed(kCase), one));
  EXPECT_EQ(corpus.size(), 2);
  EXPECT_TRUE(corpus.add(parsed(kCase), two));  // the large one has nothing of its own any more
  EXPECT_EQ(corpus.size(), 2);
  EXPECT_EQ(corpus.features(), 2);
}

TEST(Corpus, IsTheSameOnDisk) {
  const std::filesystem::path directory = testing::TempDir() + "corpus." + std::to_string(::getpid());
  {
    Corpus corpus(directory);
    ASSERT_TRUE(corpus.add(parsed(kCase), std::vector<Feature>{8}));
    corpus.save();
  }
  const auto file = directory / file_name_of(kCase);
  std::ifstream stream(file);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(stream), {}), kCase);
  std::filesystem::remove_all(directory);
}

// Everything that is simpler is smaller, or has an option less; so shrinking ends, and what is left cannot be made simpler.
TEST(Shrinking, LeavesOnlyWhatIsNeeded) {
  FuzzCase failing = parsed(
      "touchstone-fuzz 1\ndecisions 1:0x0000000000000007::1:\nweak-memory\ntouchstone-scenario 1\nengine "
      "mode=strict ticket=off busy_limit=2\n"
      "initial n m\nworker A failures=2: add n m times=3 think=3ms; look a\nworker B: pause 1ms; put a "
      "as=text\nworker C: read n\n"
      "stall commit:begin 7ms times=2\ncheck linearizable\n");
  const auto needs_the_add = [](const FuzzCase& it) -> std::optional<FuzzCase> {
    for (const auto& worker : it.scenario.workers) {
      for (const auto& operation : worker.operations) {
        if (operation.kind == explore::ScenarioOperation::Kind::add && operation.times >= 2) return it;
      }
    }
    return std::nullopt;
  };
  const FuzzCase small = shrink_scenario(failing, needs_the_add, 1'000);
  EXPECT_EQ(
      to_text(small.scenario),
      "touchstone-scenario 1\nengine backoff=off base=0ms\nworker A: add m times=2\ncheck linearizable\n");
  EXPECT_FALSE(small.weak_memory);
}

}  // namespace
}  // namespace touchstone::harness::fuzzing
