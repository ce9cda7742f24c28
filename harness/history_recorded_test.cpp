#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "harness/history_format.h"
#include "model/checker.h"

namespace touchstone::harness {
namespace {

namespace fs = std::filesystem;

fs::path recorded() {
  const char* given = std::getenv("TOUCHSTONE_HISTORIES");
  return given != nullptr ? fs::path(given) : fs::path(TOUCHSTONE_TOP) / ".." / "shared" / "histories";
}

#define SKIP_WITHOUT_RECORDED_HISTORIES()                                             \
  if (!fs::is_directory(recorded())) {                                                \
    GTEST_SKIP() << "expected skip: recorded histories are not beside this checkout"; \
  }                                                                                   \
  static_assert(true)

void expect_verdict(const fs::path& file, const std::string& expected,
                    const model::CheckOptions& options = {}) {
  SCOPED_TRACE(file.filename().string());
  const auto read = read_history(file.string(), HistoryFormat::kAuto);
  const auto* bad = std::get_if<MalformedHistory>(&read);
  ASSERT_EQ(bad, nullptr) << to_text(*bad);
  const auto& history = std::get<model::History>(read);
  const model::Verdict verdict = model::check(history, options);
  EXPECT_EQ(name(verdict.answer), expected) << verdict.reason;
  if (verdict.answer != model::Answer::kLinearizable) return;
  const auto wrong = model::verify_witness(history, verdict.witness);
  EXPECT_FALSE(wrong.has_value()) << *wrong;
}

model::CheckOptions only_one_search(bool depth_first) {
  model::CheckOptions options;
  options.methods = {.versions = false,
                     .unique_values = false,
                     .global_versions = false,
                     .depth_first = depth_first,
                     .breadth_first = !depth_first};
  return options;
}

/// Real clusters under faults, with up to twenty operations of unknown outcome open at once: what makes a checker
/// give up. The verdicts are those of another checker and of the people who recorded them.
TEST(RecordedHistories, EtcdLogsGetTheirExpectedVerdicts) {
  SKIP_WITHOUT_RECORDED_HISTORIES();
  std::ifstream expectations(recorded() / "etcd" / "EXPECTED");
  std::string file;
  std::string verdict;
  std::size_t checked = 0;
  while (expectations >> file >> verdict) {
    expect_verdict(recorded() / "etcd" / file, verdict);
    expect_verdict(recorded() / "etcd" / file, verdict, only_one_search(true));
    expect_verdict(recorded() / "etcd" / file, verdict, only_one_search(false));
    ++checked;
  }
  EXPECT_GE(checked, 60U);
}

TEST(RecordedHistories, KeyValueLogsGetTheVerdictsOfTheirNames) {
  SKIP_WITHOUT_RECORDED_HISTORIES();
  std::size_t checked = 0;
  for (const auto& entry : fs::directory_iterator(recorded() / "kv")) {
    const bool bad = entry.path().filename().string().find("bad") != std::string::npos;
    expect_verdict(entry.path(), bad ? "not-linearizable" : "linearizable");
    ++checked;
  }
  EXPECT_GE(checked, 4U);
}

}  // namespace
}  // namespace touchstone::harness
