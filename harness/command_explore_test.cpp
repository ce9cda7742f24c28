// `touchstone explore` and `touchstone replay` of what it found, as a person or a CI job calls them.

#include <gtest/gtest.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "harness/tool_run.h"

namespace touchstone::harness {
namespace {

constexpr const char* kScenarios = TOUCHSTONE_TOP "/harness/scenarios/";

std::string last_line(std::string text) {
  text.erase(text.find_last_not_of('\n') + 1);
  return text.substr(text.find_last_of('\n') + 1);
}

class ExploreCommand : public testing::Test {
 protected:
  ~ExploreCommand() override {
    if (!file_.empty()) std::filesystem::remove(file_);
  }

  int touchstone(const std::string& arguments) {
    ToolRun run = run_shell("'" TOUCHSTONE_TOOL "' " + arguments);
    output_ = std::move(run.output);
    return run.status;
  }

  /// What follows `replay: ` in the last output, without the tool.
  std::string replay_words() const {
    const std::size_t at = output_.find("replay: ");
    if (at == std::string::npos) return "";
    const std::size_t begin = output_.find(" replay ", at) + 1;
    return output_.substr(begin, output_.find('\n', begin) - begin);
  }

  std::string scenario(const std::string& text) {
    file_ = testing::TempDir() + "command_explore." + std::to_string(::getpid()) + ".scenario";
    std::ofstream(file_) << text;
    return file_;
  }

  std::string output_;
  std::string file_;
};

TEST_F(ExploreCommand, EndsWithTheJsonLineAndTheseKeysInThisOrder) {
  ASSERT_EQ(touchstone("explore --builtin cas-3x1 --seed 5 --json"), 0) << output_;
  const auto json = nlohmann::ordered_json::parse(last_line(output_));
  std::string keys;
  for (const auto& [key, value] : json.items()) keys += key + " ";
  EXPECT_EQ(keys, "algorithm executions blocked classes points seconds verdict seed ");
  EXPECT_EQ(json.at("classes"), 48);
  EXPECT_EQ(json.at("blocked"), 0);
  EXPECT_EQ(json.at("seed"), "0x0000000000000005");
}

// The counts are those of the literature or of closed forms (dpor_test has them all, the large ones too).
TEST_F(ExploreCommand, CountsTheCanonicalPrograms) {
  const std::pair<const char*, int> known[] = {{"fetch-add-3x3", 1680},
                                               {"cas-3x2", 28032},
                                               {"mutex-3x2", 90},
                                               {"readers-7", 128},
                                               {"treiber-3", 25680},
                                               {"store-buffering", 3},
                                               {"message-passing", 2},
                                               {"iriw", 15},
                                               {"store-buffering-relaxed", 4},
                                               {"message-passing-relaxed", 3},
                                               {"peterson", 60}};
  for (const auto& [program, classes] : known) {
    ASSERT_EQ(touchstone(std::string("explore --builtin ") + program + " --json"), 0) << output_;
    EXPECT_EQ(nlohmann::json::parse(last_line(output_)).at("classes"), classes) << program;
  }
}

TEST_F(ExploreCommand, TakesEveryAlgorithmAndWeakMemory) {
  const std::string ticket = std::string(kScenarios) + "ticket.scenario";
  for (const char* algorithm :
       {"portfolio", "random", "pct", "pos", "urw", "dpor", "source-dpor", "bounded", "plain"}) {
    const int status = touchstone("explore " + ticket + " --executions 50 --json --algorithm " + algorithm);
    const auto json = nlohmann::json::parse(last_line(output_));
    EXPECT_EQ(json.at("algorithm"), algorithm);
    EXPECT_EQ(json.at("executions"), 50);
    EXPECT_EQ(status, json.at("verdict") == "passed" ? 0 : 2) << output_;  // 50 do not exhaust it
  }
  EXPECT_EQ(touchstone("explore " + ticket + " --weak-memory --executions 50"), 0) << output_;
  EXPECT_NE(output_.find("weak memory"), std::string::npos) << output_;
}

TEST_F(ExploreCommand, DrawsAFailureAndReplaysItExactlyAnyNumberOfTimes) {
  ASSERT_EQ(touchstone(std::string("explore ") + kScenarios + "starving.scenario --seed 7"), 0) << output_;
  const std::string found = output_;
  EXPECT_NE(found.find("main"), std::string::npos);
  EXPECT_NE(found.find("victim  add n  "), std::string::npos) << "no history: " << found;
  EXPECT_NE(found.find("2 conflicts"), std::string::npos);
  const std::size_t begin = found.find("     main");
  const std::string columns = found.substr(begin, found.find("\nfound in execution") - begin);
  const std::string words = replay_words();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(touchstone(words), 1) << output_;
    EXPECT_NE(output_.find(columns), std::string::npos) << output_;
  }
}

// The engine has changed, as far as a schedule can tell, when the same schedule meets another scenario under the same name.
TEST_F(ExploreCommand, RefusesToReplayWhatHasChangedAndNamesTheFirstDivergence) {
  const std::string begin =
      "touchstone-scenario 1\nengine ticket=off backoff=off\ninitial n\nmost_conflicts 0\nexpect failed\n";
  const std::string path = scenario(begin + "worker A: add n\nworker B: add n\n");
  ASSERT_EQ(touchstone("explore " + path), 0) << output_;
  const std::string words = replay_words();
  EXPECT_EQ(touchstone(words), 1) << output_;
  EXPECT_NE(output_.find("more conflicts than allowed: 1 (at most 0)"), std::string::npos) << output_;
  scenario(begin + "worker A: read n; add n\nworker B: add n\n");
  EXPECT_EQ(touchstone(words), 2) << output_;  // not 1: it does not fail again, it says nothing
  EXPECT_NE(output_.find("the schedule does not fit this program"), std::string::npos) << output_;
  EXPECT_NE(output_.find("is the first that may differ"), std::string::npos) << output_;
}

TEST_F(ExploreCommand, TracesWhatPassedAndRunsOnNativeThreads) {
  const std::string ticket = std::string(kScenarios) + "ticket.scenario";
  EXPECT_EQ(touchstone("explore " + ticket + " --executions 3 --trace"), 0) << output_;
  EXPECT_NE(output_.find("candidate  add n "), std::string::npos) << output_;
  EXPECT_EQ(touchstone("explore " + ticket + " --native --executions 20 --json"), 0) << output_;
  const auto json = nlohmann::json::parse(last_line(output_));
  EXPECT_EQ(json.at("algorithm"), "native");
  EXPECT_EQ(json.at("executions"), 20);
}

TEST_F(ExploreCommand, SaysWhatWasWrongWithItsWords) {
  EXPECT_EQ(touchstone("explore"), 64);
  EXPECT_EQ(touchstone("explore --builtin nothing"), 64);
  EXPECT_NE(output_.find("no such program: nothing"), std::string::npos) << output_;
  EXPECT_EQ(touchstone("explore --builtin cas-2x1 --algorithm best"), 64);
  EXPECT_NE(output_.find("no such algorithm: best (there are portfolio, random, "), std::string::npos)
      << output_;
  EXPECT_EQ(touchstone("explore --builtin cas-2x1 --seed 0xg"), 64);
  EXPECT_EQ(touchstone("explore " + scenario("touchstone-scenario 1\nworker A: jump n\n")), 65);
  EXPECT_NE(output_.find(file_ + ":2: no such operation: jump"), std::string::npos) << output_;
}

// Each of these was taken for a broken promise of the engine once, or was ignored.
TEST_F(ExploreCommand, RefusesAScenarioThatCannotBeRunAndNamesItsLine) {
  std::string crowd = "touchstone-scenario 1\n";
  for (int i = 1; i <= 32; ++i) crowd += "worker w" + std::to_string(i) + ": add n\n";
  const std::pair<std::string, std::string> cases[] = {
      {"touchstone-scenario 1\nengine threshold=0\nworker A: add n\n", ":2: threshold must be at least 1"},
      {"touchstone-scenario 1\nworker A: add a..b\n", ":2: the path has an empty component"},
      {"touchstone-scenario 1\ninitial n\nworker A: add n.m\n", ":3: n.m and n are parts of each other"},
      {"touchstone-scenario 1\nworker A: add n n\n", ":2: n is named twice"},
      {crowd, ":33: worker w32: more than 31 workers"}};
  for (const auto& [text, what] : cases) {
    for (const char* how : {"", " --native", " --algorithm dpor"}) {
      EXPECT_EQ(touchstone("explore " + scenario(text) + how), 65) << output_;
      EXPECT_NE(output_.find(file_ + what), std::string::npos) << output_;
    }
  }
}

TEST_F(ExploreCommand, RefusesWordsThatHaveNoMeaningTogether) {
  const std::string ticket = std::string("explore ") + kScenarios + "ticket.scenario";
  for (const char* words :
       {" --native --weak-memory", " --native --algorithm dpor", " --native --seed 1", " --native --trace",
        " --native --schedule 1:0", " --schedule 1:0 --algorithm pct", " --executions 0",
        " --executions 18446744073709551616", " --executions -1", " --seed ''", " --schedule ''"})
    EXPECT_EQ(touchstone(ticket + words), 64) << words << output_;
  EXPECT_EQ(touchstone(ticket + " --executions 5x"), 64);
  EXPECT_NE(output_.find("--executions: expected a whole number from 1 on, not \"5x\""), std::string::npos)
      << output_;
  EXPECT_EQ(touchstone(ticket + " --native --weak-memory"), 64);
  EXPECT_NE(output_.find("--weak-memory excludes --native"), std::string::npos) << output_;
  EXPECT_EQ(touchstone(ticket + " --preemptions 1"), 64);
  EXPECT_NE(output_.find("--preemptions is the bound of --algorithm bounded"), std::string::npos) << output_;
  EXPECT_EQ(touchstone(std::string("explore ") + kScenarios), 64);
  EXPECT_NE(output_.find("not a file but a directory"), std::string::npos) << output_;
  EXPECT_EQ(touchstone("explore no/such.scenario"), 64);
  EXPECT_NE(output_.find("no such file: no/such.scenario"), std::string::npos) << output_;
}

// Stacks of 100 TB: no thread can have one, on any machine.
TEST_F(ExploreCommand, SaysThatTheMachineGivesNoThreads) {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
  GTEST_SKIP()
      << "expected skip: ThreadSanitizer does not start with such a stack limit, which moves all mappings";
#endif
#endif
  const ToolRun run =
      run_shell(std::string("ulimit -s 100000000000 && '" TOUCHSTONE_TOOL "' explore --native '") +
                kScenarios + "ticket.scenario'");
  EXPECT_EQ(run.status, 71) << run.output;
  EXPECT_NE(run.output.find("touchstone explore: cannot start thread 1 of 2: "), std::string::npos)
      << run.output;
}

// A file without end: that the memory ends first is no defect of the tool (70).
TEST_F(ExploreCommand, SaysThatTheMemoryIsNotEnough) {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
  GTEST_SKIP() << "expected skip: a sanitizer does not start with so little address space";
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "expected skip: a sanitizer does not start with so little address space";
#endif
  const ToolRun run = run_shell("ulimit -v 400000 && '" TOUCHSTONE_TOOL "' explore /dev/zero");
  EXPECT_EQ(run.status, 71) << run.output;
  EXPECT_EQ(run.output, "touchstone: the memory is not enough for what is read or searched\n");
}

TEST_F(ExploreCommand, SaysOfAFailureThatIsExpectedThatItIs) {
  const std::string starving = std::string("explore ") + kScenarios + "starving.scenario";
  EXPECT_EQ(touchstone(starving), 0) << output_;
  EXPECT_EQ(output_.find("failed as expected: "), 0U) << output_;
  EXPECT_EQ(touchstone("explore " + scenario("touchstone-scenario 1\nworker A: add n\nexpect failed\n")), 1);
  EXPECT_EQ(output_.find("passed, though a failure is expected: "), 0U) << output_;
}

TEST_F(ExploreCommand, ReplayRefusesALineThatItWouldRepeatOnlyInPart) {
  ASSERT_EQ(touchstone(std::string("explore ") + kScenarios + "starving.scenario"), 0) << output_;
  const std::string words = replay_words();
  EXPECT_EQ(touchstone(words + " --round 1"), 64);
  EXPECT_NE(output_.find("\"--round\""), std::string::npos) << output_;
  EXPECT_EQ(touchstone(words + " --weak-memory off"), 64);
  EXPECT_EQ(touchstone(words + " --claim explore"), 64);
  EXPECT_NE(output_.find("given twice: \"--claim\""), std::string::npos) << output_;
  EXPECT_EQ(touchstone("replay --claim explore --class exact --seed 1 --scenario x"), 64);
  EXPECT_NE(output_.find("--schedule is missing"), std::string::npos) << output_;
  EXPECT_EQ(touchstone("replay --claim explore --class exact --seed 1 --scenario x --schedule y"), 64);
  EXPECT_NE(output_.find("not a schedule: \"y\""), std::string::npos) << output_;
}

/// The tool on a terminal, where alone there is a line of progress.
class OnATerminal {
 public:
  OnATerminal(const std::string& scenario, const char* executions) {
    child_ = ::forkpty(&terminal_, nullptr, nullptr, nullptr);
    if (child_ != 0) return;
    ::execl(TOUCHSTONE_TOOL, TOUCHSTONE_TOOL, "explore", scenario.c_str(), "--executions", executions,
            nullptr);
    ::_exit(127);
  }
  ~OnATerminal() { ::close(terminal_); }
  OnATerminal(const OnATerminal&) = delete;
  OnATerminal& operator=(const OnATerminal&) = delete;

  /// Until it says this, or ends.
  void read_until(const std::string& what) {
    std::array<char, 4096> buffer;
    for (ssize_t n; output_.find(what) == std::string::npos &&
                    (n = ::read(terminal_, buffer.data(), buffer.size())) > 0;)
      output_.append(buffer.data(), static_cast<std::size_t>(n));
  }

  void interrupt() const { ::kill(child_, SIGINT); }

  int status() {
    read_until("what it never says");
    int status = 0;
    ::waitpid(child_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  const std::string& output() const { return output_; }

 private:
  pid_t child_ = -1;
  int terminal_ = -1;
  std::string output_;
};

TEST_F(ExploreCommand, ShowsItsProgressOnATerminal) {
  OnATerminal tool(std::string(kScenarios) + "crowd.scenario", "1000");
  EXPECT_EQ(tool.status(), 0) << tool.output();
  EXPECT_NE(tool.output().find("/s, next is new with chance "), std::string::npos) << tool.output();
}

// The danger: an hour of search, interrupted, has said nothing.
TEST_F(ExploreCommand, SaysWhatItHasFoundWhenItIsInterrupted) {
  OnATerminal tool(std::string(kScenarios) + "crowd.scenario", "1000000000000");
  tool.read_until("/s, next is new with chance ");
  tool.interrupt();
  EXPECT_EQ(tool.status(), 2) << tool.output();
  EXPECT_NE(tool.output().find("inconclusive: interrupted: sampled "), std::string::npos) << tool.output();
}

// Real threads leave no schedule: what can be repeated is the scenario, until it fails again.
TEST_F(ExploreCommand, RepeatsWhatFailedOnNativeThreadsUntilItFailsAgain) {
  const std::string file = scenario(
      "touchstone-scenario 1\nengine ticket=off\nworker slow: add n think=100ms times=2\n"
      "worker fast: add n think=1ms times=400\nmost_conflicts 0\n");
  output_ =
      run_shell("('" TOUCHSTONE_TOOL "' explore --native --executions 50 " + file + " 2>/dev/null)").output;
  const std::string line = replay_words();
  EXPECT_NE(line.find("--class workload"), std::string::npos) << line;
  EXPECT_EQ(touchstone(line), 1) << output_;
  EXPECT_NE(output_.find("it fails again"), std::string::npos) << output_;
  EXPECT_EQ(touchstone(line + " --trace"), 64) << output_;
  EXPECT_EQ(touchstone(line + " --out nowhere"), 64) << output_;
  EXPECT_EQ(touchstone(line + " --schedule 1:0x1::1:"), 64) << output_;
  EXPECT_NE(output_.find("real threads repeat nothing by this option: \"--schedule\""), std::string::npos)
      << output_;
}

// The line is pasted at the top of the repository; a name that only the other directory knows would lead nowhere there.
TEST_F(ExploreCommand, NamesAScenarioFromElsewhereByItsWholePath) {
  const std::string file = scenario(
      "touchstone-scenario 1\nengine ticket=off backoff=off\nworker A: add n\nworker B: add n\n"
      "most_conflicts 0\n");
  const std::filesystem::path path = file;
  const ToolRun run = run_shell("cd '" + path.parent_path().string() + "' && '" TOUCHSTONE_TOOL "' explore " +
                                path.filename().string());
  EXPECT_EQ(run.status, 1) << run.output;
  EXPECT_NE(run.output.find(" --scenario " + path.lexically_normal().string() + " "), std::string::npos)
      << run.output;
  const std::string gone = file + ".gone";
  const ToolRun from_nowhere = run_shell("mkdir '" + gone + "' && cd '" + gone + "' && rmdir '" + gone +
                                         "' && '" TOUCHSTONE_TOOL "' explore ../" + path.filename().string());
  EXPECT_EQ(from_nowhere.status, 1) << from_nowhere.output;
}

// A schedule that passes once the expectation is corrected is still drawn, if that is asked for.
TEST_F(ExploreCommand, ReplayDrawsAScheduleThoughItPasses) {
  const std::string text =
      "touchstone-scenario 1\nengine ticket=off backoff=off\ninitial n\nworker victim: add n\n"
      "worker rival: add n times=3\nmost_conflicts ";
  ASSERT_EQ(touchstone("explore " + scenario(text + "1\n") + " --seed 1"), 1) << output_;
  const std::string line = replay_words();
  scenario(text + "9\n");
  EXPECT_EQ(touchstone(line), 0) << output_;
  EXPECT_NE(output_.find("it does not fail again"), std::string::npos) << output_;
  EXPECT_EQ(output_.find("(commit:begin)"), std::string::npos) << output_;
  EXPECT_EQ(touchstone(line + " --trace"), 0) << output_;
  EXPECT_NE(output_.find("(commit:begin)"), std::string::npos) << output_;
}

// The danger: a CI job that keeps only the standard output has no line to repeat.
TEST_F(ExploreCommand, PrintsItsReplayLineWhereAPipeFindsIt) {
  const std::string file = scenario(
      "touchstone-scenario 1\nengine ticket=off backoff=off\ninitial n\nworker A: add n\nworker B: add n\n"
      "most_conflicts 0\n");
  const std::string tool = "'" TOUCHSTONE_TOOL "' ";
  const ToolRun run = run_shell(tool + "explore " + file + " 2>/dev/null | " + tool + "replay -");
  EXPECT_EQ(run.status, 1) << run.output;
  EXPECT_NE(run.output.find("it fails again"), std::string::npos) << run.output;
  const ToolRun json = run_shell("(" + tool + "explore --json " + file + " 2>/dev/null)");
  EXPECT_EQ(json.status, 1) << json.output;
  EXPECT_EQ(json.output.find("replay: "), std::string::npos) << "a script reads JSON: " << json.output;
}

TEST_F(ExploreCommand, ReplayKeepsWhatItRepeatedInADirectory) {
  const std::string file = scenario(
      "touchstone-scenario 1\n# kept as it is\nengine ticket=off backoff=off\ninitial n\nworker A: add n\n"
      "worker B: add n\nmost_conflicts 0\n");
  ASSERT_EQ(touchstone("explore " + file), 1) << output_;
  const std::string line = replay_words(), folder = file + ".kept";
  EXPECT_EQ(touchstone(line + " --out " + folder), 1) << output_;
  EXPECT_EQ(run_shell("cmp " + file + " " + folder + "/scenario.txt").status, 0);
  EXPECT_NE(run_shell("cat " + folder + "/trace.txt").output.find("(commit:begin)"), std::string::npos);
  EXPECT_NE(line.find(run_shell("tr -d '\\n' <" + folder + "/schedule.txt").output), std::string::npos);
  std::filesystem::remove(file);
  EXPECT_EQ(touchstone("replay " + folder), 1) << output_;
  EXPECT_EQ(touchstone(line), 64) << output_;
  EXPECT_EQ(output_, "touchstone replay: no such file: " + file + "\n");
  std::filesystem::remove_all(folder);
  EXPECT_EQ(touchstone("replay --out " + folder +
                       " --claim explore --class exact --seed 0x1 --scenario builtin:cas-2x1 --schedule "
                       "1:0x1::1:"),
            2)
      << output_;
  EXPECT_TRUE(std::filesystem::exists(folder + "/replay.txt"));
  EXPECT_EQ(touchstone("replay " + folder), 2) << output_;
  std::filesystem::remove_all(folder);
  EXPECT_EQ(touchstone("replay --out /proc/nothing --claim explore --class exact --seed 0x1 --scenario "
                       "builtin:cas-2x1 --schedule 1:0x1::1:"),
            73)
      << output_;
}

// What the failure does not need goes: a worker, an operation, a path, repetitions. What is left fails again by its own line.
TEST_F(ExploreCommand, MinimizesAScenarioThatFails) {
  const std::string file = scenario(
      "touchstone-scenario 1\n# more than it needs\nengine ticket=off backoff=off\ninitial n m\n"
      "worker victim: add n m; read m\nworker rival: add n times=6\nworker other: add m "
      "times=2\nmost_conflicts 1\n");
  ASSERT_EQ(touchstone("explore " + file + " --seed 1"), 1) << output_;
  const std::string line = replay_words(), folder = file + ".small";
  EXPECT_EQ(touchstone(line + " --minimize --out " + folder), 1) << output_;
  EXPECT_NE(output_.find("it fails again\n"), std::string::npos) << output_;
  const std::string small = run_shell("cat " + folder + "/smaller.scenario").output;
  EXPECT_EQ(small.find("other"), std::string::npos) << small;
  EXPECT_EQ(small.find("read m"), std::string::npos) << small;
  EXPECT_EQ(small.find("times=6"), std::string::npos) << small;
  EXPECT_EQ(touchstone("replay " + folder), 1) << output_;
  EXPECT_NE(output_.find("more conflicts than allowed: "), std::string::npos) << output_;
  std::filesystem::remove_all(folder);
  EXPECT_EQ(touchstone("replay --minimize --claim explore --class exact --seed 0x1 --scenario "
                       "builtin:cas-2x1 --schedule 1:0x1::1:"),
            64)
      << output_;
}

}  // namespace
}  // namespace touchstone::harness
