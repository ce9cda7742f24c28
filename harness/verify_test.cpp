// The report itself on trial: checks that hold, fail, die, hang, cannot decide and try nothing, each of which must be
// told apart, because a report that says "held" for a check that crashed is worse than none.

#include "harness/verify.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "harness/artifact.h"
#include "harness/isolated.h"
#include "harness/scratch.h"
#include "harness/verify_table.h"

namespace touchstone::harness {
namespace {

constexpr auto kExact = ReplayClass::exact;

ClaimRegistry every_kind() {
  ClaimRegistry registry("fake");
  registry.add({"H", "holds", "rounds", ReplayClass::workload, 1,
                [](ClaimRun& run) { run.rounds([&](Seed) { run.tried().operations += 2; }); }});
  registry.add({"V", "is violated", "rounds", kExact, 0, [](ClaimRun& run) {
                  run.rounds([&](Seed seed) { run.require(false, "drew {}", seed.stream("x").below(1000)); });
                }});
  registry.add({"D", "dies", "abort", kExact, 0, [](ClaimRun&) { std::abort(); }});
  registry.add({"E", "exits", "exit", kExact, 0, [](ClaimRun&) { std::_Exit(0); }});
  registry.add({"I", "cannot say", "none", kExact, 0,
                [](ClaimRun&) { throw ClaimInconclusive("the kernel has no such thing"); }});
  registry.add({"N", "tries nothing", "none", kExact, 0, [](ClaimRun&) {}});
  registry.add({"L", "hangs", "sleep", kExact, 0,
                [](ClaimRun&) { std::this_thread::sleep_for(std::chrono::hours(1)); }});
  return registry;
}

class Verify : public testing::Test {
 protected:
  Verify() : out_(testing::TempDir() + "verify." + std::to_string(::getpid())) {}
  ~Verify() override { std::filesystem::remove_all(out_); }

  VerifyReport run(std::vector<std::string> only) {
    VerifyOptions options;
    options.seed = Seed(7);
    options.budget = std::chrono::milliseconds(200);
    options.out = out_;
    options.only = std::move(only);
    options.tool = "bin/touchstone";
    options.patience = std::chrono::milliseconds(500);
    return verify(every_kind(), options);
  }

  std::string file(const std::string& name) {
    std::ifstream in(out_ / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  std::filesystem::path out_;
};

TEST_F(Verify, TellsEveryEndApart) {
  const auto report = run({});
  ASSERT_EQ(report.claims.size(), 7u);
  EXPECT_EQ(report.claims[0].verdict, ClaimVerdict::held);
  EXPECT_GT(report.claims[0].tried.rounds, 1u);
  EXPECT_EQ(report.claims[0].tried.operations, 2 * report.claims[0].tried.rounds);
  EXPECT_EQ(report.claims[1].verdict, ClaimVerdict::violated);
  EXPECT_EQ(report.claims[2].verdict, ClaimVerdict::violated);
  EXPECT_EQ(report.claims[2].reason, "died: signal 6 (Aborted)");
  EXPECT_EQ(report.claims[3].verdict, ClaimVerdict::violated) << "an exit without an answer is no success";
  EXPECT_EQ(report.claims[4].verdict, ClaimVerdict::inconclusive);
  EXPECT_EQ(report.claims[5].verdict, ClaimVerdict::inconclusive);
  EXPECT_EQ(report.claims[6].reason, "hung: no end in sight");
  EXPECT_EQ(report.exit_status(), 1);
}

// The danger: a run that was killed leaves its scratch directory for ever, or a new run takes away one that is in use. Who
// lives is decided by the lock, so the directory of this living process stays and the other one goes.
TEST(Scratch, RemovesWhatAKilledRunLeftAndKeepsWhatIsInUse) {
  const std::string abandoned =
      std::string("/dev/shm/") + kScratchPrefix + "dead." + std::to_string(::getpid());
  std::filesystem::create_directories(abandoned + "/inside");
  const Scratch in_use;
  ASSERT_FALSE(in_use.path().empty());
  EXPECT_FALSE(std::filesystem::exists(abandoned));
  const Scratch later;
  EXPECT_TRUE(std::filesystem::exists(in_use.path()));
  EXPECT_NE(later.path(), in_use.path());
}

// The danger: run as root, `--junit /dev/null` would replace the machine's /dev/null by a file. A link stands for the device here.
TEST(Artifact, WritesIntoWhatIsNoFileInPlaceOfReplacingIt) {
  const std::filesystem::path folder = testing::TempDir() + "artifact." + std::to_string(::getpid());
  const Artifact artifact(folder);
  artifact.write("plain.txt", "first");
  std::filesystem::create_symlink("plain.txt", folder / "link");
  std::filesystem::create_symlink("/dev/full", folder / "full");
  std::filesystem::create_directory(folder / "directory");
  artifact.write("link", "second");
  EXPECT_THROW(artifact.write("full", "lost"), std::runtime_error);
  EXPECT_THROW(artifact.write("directory", "lost"), std::runtime_error);
  std::ifstream in(folder / "plain.txt");
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "second");
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "full"));
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    EXPECT_NE(entry.path().extension(), ".partial") << entry.path();
  std::filesystem::remove_all(folder);
}

TEST_F(Verify, ExitsByTheWorstVerdict) {
  EXPECT_EQ(run({"H"}).exit_status(), 0);
  EXPECT_EQ(run({"H", "I"}).exit_status(), 2);
  EXPECT_EQ(run({"H", "I", "V"}).exit_status(), 1);
}

TEST_F(Verify, ReplaysTheRoundThatFailedAndFailsAgain) {
  const auto report = run({"V"});
  const auto parsed = parse_replay_line(report.claims[0].replay);
  ASSERT_TRUE(std::holds_alternative<ReplayLine>(parsed)) << report.claims[0].replay;
  const auto& line = std::get<ReplayLine>(parsed);
  EXPECT_EQ(line.seed, Seed(7));
  EXPECT_EQ(line.option("round"), "0");
  EXPECT_EQ(line.option("engine"), "fake");
  const auto registry = every_kind();
  const auto again = replay(*registry.find("V"), line, std::chrono::seconds(0), nullptr);
  EXPECT_EQ(again.verdict, ClaimVerdict::violated);
  EXPECT_EQ(again.reason, report.claims[0].reason);
}

TEST_F(Verify, ReplaysALaterRoundWithItsOwnSeed) {
  std::vector<std::uint64_t> draws;
  const Claim claim{"X", "", "", kExact, 1, [&](ClaimRun& run) {
                      run.rounds([&](Seed seed) {
                        draws.push_back(seed.value());
                        run.require(draws.size() != 4, "the fourth");
                      });
                    }};
  const ReplayLine all{kExact, Seed(9), ClaimTarget{"X"}, {}};
  EXPECT_EQ(replay(claim, all, std::chrono::hours(1), nullptr).verdict, ClaimVerdict::violated);
  ASSERT_EQ(draws.size(), 4u);
  const auto fourth = draws.back();
  draws.clear();
  const ReplayLine one{kExact, Seed(9), ClaimTarget{"X"}, {{"round", "3"}}};
  replay(claim, one, std::chrono::hours(1), nullptr);
  EXPECT_EQ(draws, std::vector<std::uint64_t>{fourth});
}

/// Two parts, of which the second fails in its first round.
ClaimRegistry in_two_parts(std::vector<std::string>& ran) {
  ClaimRegistry registry("fake");
  registry.add({"P", "has parts", "steps", kExact, 0, [&ran](ClaimRun& run) {
                  run.once([&](Seed seed) {
                    ran.push_back("first " + seed.text());
                    ++run.tried().operations;
                    run.note("a kernel feature is missing");
                  });
                }});
  registry.add_part("P", {"threads", "threads", ReplayClass::workload, 1, [&ran](ClaimRun& run) {
                            run.rounds([&](Seed seed) {
                              ran.push_back("second " + seed.text());
                              run.require(false, "lost");
                            });
                          }});
  return registry;
}

TEST_F(Verify, NamesThePartThatFailedAndReplaysOnlyThat) {
  std::vector<std::string> ran;
  const auto registry = in_two_parts(ran);
  VerifyOptions options;
  options.seed = Seed(7);
  options.budget = std::chrono::milliseconds(200);
  options.out = out_;
  const auto report = verify(registry, options).claims.at(0);
  EXPECT_EQ(report.technique, "steps, threads");
  EXPECT_EQ(report.verdict, ClaimVerdict::violated);
  EXPECT_EQ(report.replay_class, ReplayClass::workload) << "the failing part's";
  EXPECT_EQ(report.notes, std::vector<std::string>{"a kernel feature is missing"});
  EXPECT_NE(table_row(report, Seed(7)).find("\n      note: a kernel feature is missing\n"),
            std::string::npos);
  const auto line = std::get<ReplayLine>(parse_replay_line(report.replay));
  EXPECT_EQ(line.option("part"), "threads");
  ran.clear();
  EXPECT_EQ(replay(registry.claims().at(0), line, std::chrono::seconds(0), nullptr).reason, report.reason);
  ASSERT_EQ(ran.size(), 1u);
  EXPECT_EQ(ran[0].substr(0, 6), "second");
}

TEST_F(Verify, ReplaysTheFirstPartByItsRoundAndAllOfThemWithoutOne) {
  std::vector<std::string> ran;
  const auto registry = in_two_parts(ran);
  const auto replay_with = [&](std::vector<ReplayOption> options) {
    ran.clear();
    return replay(registry.claims().at(0), {kExact, Seed(7), ClaimTarget{"P"}, std::move(options)},
                  std::chrono::seconds(0), nullptr)
        .verdict;
  };
  EXPECT_EQ(replay_with({{"round", "0"}}), ClaimVerdict::held);
  EXPECT_EQ(ran.size(), 1u);
  EXPECT_EQ(replay_with({}), ClaimVerdict::violated);
  EXPECT_EQ(ran.size(), 2u);
  EXPECT_THROW(replay_with({{"part", "none"}}), std::invalid_argument);
}

TEST_F(Verify, RefusesAPartWithoutAClaimAndAPartTwice) {
  std::vector<std::string> ran;
  auto registry = in_two_parts(ran);
  EXPECT_THROW(registry.add_part("Q", {"x", "", kExact, 0, {}}), std::logic_error);
  EXPECT_THROW(registry.add_part("P", {"threads", "", kExact, 0, {}}), std::logic_error);
  EXPECT_THROW(registry.add_part("P", {"", "", kExact, 0, {}}), std::logic_error);
}

TEST_F(Verify, RefusesAClaimThatIsNone) {
  EXPECT_THROW(run({"H", "Z"}), std::invalid_argument);
  auto registry = every_kind();
  EXPECT_THROW(registry.add({"H", "", "", kExact, 1, {}}), std::logic_error);
}

TEST_F(Verify, WritesTheRunDirectory) {
  const auto report = run({"H", "V"});
  const auto json = nlohmann::json::parse(file("report.json"));
  EXPECT_EQ(json.at("violated"), 1);
  EXPECT_EQ(json.at("claims").at(1).at("verdict"), "violated");
  EXPECT_EQ(json.at("claims").at(1).at("seed"), "0x0000000000000007");
  EXPECT_NE(file("report.txt").find("replay: " + report.claims[1].replay), std::string::npos);
  EXPECT_NE(file("V/replay.txt").find(report.claims[1].replay), std::string::npos);
}

TEST(VerifyTable, ShowsTheReasonAndTheReplayLineUnderAViolation) {
  ClaimReport claim;
  claim.claim = "A1";
  claim.promise = "one wins";
  claim.verdict = ClaimVerdict::violated;
  claim.tried.rounds = 1;
  claim.reason = "two won\nboth";
  claim.replay = "touchstone replay --claim A1";
  const std::string row = table_row(claim, Seed(1));
  EXPECT_NE(row.find("1 round "), std::string::npos) << row;
  EXPECT_NE(row.find("VIOLATED"), std::string::npos) << row;
  EXPECT_NE(row.find("workload     0x0000000000000001\n      one wins ("), std::string::npos) << row;
  EXPECT_NE(row.find("\n      two won\n      both\n      replay: touchstone replay --claim A1\n"),
            std::string::npos)
      << row;
}

// The danger: a person presses Ctrl-C while a claim has segments, and they stay for ever: nobody owns a directory whose
// maker is gone. The child only waits, so nothing but the signal can end the caller.
TEST(Isolated, TakesTheScratchDirectoryAwayWhenASignalEndsTheCaller) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t caller = ::fork();
  if (caller == 0) {
    run_isolated(
        [&](Isolated&) -> std::string {
          const std::string path = std::getenv(kScratchVariable);
          std::filesystem::create_directory(path + "/left");
          if (::write(pipe[1], path.c_str(), path.size() + 1) < 0) ::_exit(4);
          while (true) ::pause();
        },
        std::chrono::minutes(1), [](const std::string&) {});
    ::_exit(3);
  }
  std::array<char, 256> path{};
  ASSERT_GT(::read(pipe[0], path.data(), path.size() - 1), 0);
  ASSERT_TRUE(std::filesystem::exists(std::filesystem::path(path.data()) / "left"));
  ASSERT_EQ(::kill(caller, SIGTERM), 0);
  int status = 0;
  ASSERT_EQ(::waitpid(caller, &status, 0), caller);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM) << status;
  EXPECT_FALSE(std::filesystem::exists(path.data())) << path.data();
  for (int end : pipe) ::close(end);
}

}  // namespace
}  // namespace touchstone::harness
