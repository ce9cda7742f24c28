// The main of every test binary: prints the seed before anything can fail, and a replay line however a test
// fails.

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "harness/failure_report.h"
#include "harness/seed.h"

namespace touchstone::harness {
namespace {

/// RapidCheck reads RC_PARAMS once, before its first property. Its own reproduce string is lost on an abort
/// and passes every other property with no case, so its seed comes from ours; all other settings stay as the
/// caller set them.
void seed_rapidcheck(Seed seed) {
  std::string parameters = "seed=" + std::to_string(seed.derive("rapidcheck").value());
  const char* given = std::getenv("RC_PARAMS");
  auto words = split_words(given == nullptr ? "" : given);
  if (auto* list = std::get_if<std::vector<std::string>>(&words)) {
    for (const auto& word : *list)
      if (word.substr(0, 5) != "seed=") parameters += " " + word;
  }
  ::setenv("RC_PARAMS", parameters.c_str(), 1);
}

/// GoogleTest's temporary directory is TMPDIR too, so that one check sees what tests leave behind.
void place_temporary_files() {
  if (const char* directory = std::getenv("TMPDIR"))
    ::setenv("TEST_TMPDIR", (std::string(directory) + "/").c_str(), 0);
}

class ReplayPrinter : public testing::EmptyTestEventListener {
 public:
  void OnTestStart(const testing::TestInfo& test) override {
    announce_replay(
        {ReplayClass::workload,
         Seed::of_process(),
         TestTarget{path_of_this_binary(), std::string(test.test_suite_name()) + "." + test.name()},
         {}});
  }

  void OnTestEnd(const testing::TestInfo& test) override {
    std::fflush(stdout);
    if (test.result()->Failed()) print_announced_replay();
    withdraw_replay();
  }
};

}  // namespace
}  // namespace touchstone::harness

int main(int argc, char** argv) {
  using namespace touchstone::harness;
  const Seed seed = Seed::of_process();
  std::printf("seed %s\n", seed.text().c_str());
  std::fflush(stdout);
  seed_rapidcheck(seed);
  place_temporary_files();
  print_replay_line_on_death();
  testing::InitGoogleTest(&argc, argv);
  testing::UnitTest::GetInstance()->listeners().Append(new ReplayPrinter);
  // Outside of any test (a global environment, a static destructor) the whole binary is what replays.
  announce_replay({ReplayClass::workload, seed, TestTarget{path_of_this_binary(), ""}, {}});
  return RUN_ALL_TESTS();
}
