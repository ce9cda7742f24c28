// The replayer of a fuzz target, for every build: the kept corpus, the regressions, and a bounded number of inputs from the seed.
// TOUCHSTONE_INPUT=<hex> runs that one input instead, which is how a failure replays.

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "fuzz/target.h"
#include "harness/failure_report.h"
#include "harness/seed.h"

namespace touchstone::fuzz {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr int kSeededInputs = 3'000;

std::string hex(const Bytes& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

/// Nothing if the text is no hex.
std::optional<Bytes> unhex(const std::string& text) {
  if (text.size() % 2 != 0 || text.find_first_not_of("0123456789abcdef") != std::string::npos)
    return std::nullopt;
  Bytes bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    bytes.push_back(static_cast<std::uint8_t>(std::stoi(text.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

std::vector<std::filesystem::path> files_of(const std::string& kind) {
  std::vector<std::filesystem::path> files;
  const auto folder = std::filesystem::path(TOUCHSTONE_TOP) / "fuzz" / kind / kTarget;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::string contents(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

/// Judges one input; a failure ends the test, and its replay line has the input in it.
void accept(const Bytes& input, const std::string& whence) {
  harness::describe_replay(harness::ReplayClass::exact, {{"input", hex(input)}});
  if (const auto wrong = judge_input(input)) FAIL() << whence << ": " << *wrong;
}

TEST(Fuzz, AcceptsItsCorpus) {
  const auto files = files_of("corpus");
  ASSERT_FALSE(files.empty());
  for (const auto& file : files) {
    const std::string text = contents(file);
    accept(Bytes(text.begin(), text.end()), file.filename().string());
    if (HasFatalFailure()) return;
  }
}

TEST(Fuzz, AcceptsItsRegressions) {
  const auto files = files_of("regressions");
  ASSERT_FALSE(files.empty());
  for (const auto& file : files) {
    const auto wrong = judge_text(contents(file));
    EXPECT_FALSE(wrong) << file.filename().string() << ": " << *wrong;
  }
}

// Random bytes decode into any program, but seldom into long ones that meet; so lengths are drawn from short to long.
TEST(Fuzz, AcceptsTheSeededInputs) {
  if (const char* given = std::getenv("TOUCHSTONE_INPUT")) {
    const auto bytes = unhex(given);
    ASSERT_TRUE(bytes) << "TOUCHSTONE_INPUT is no hex: " << given;
    return accept(*bytes, "TOUCHSTONE_INPUT");
  }
  harness::Stream stream = harness::Seed::of_process().stream(std::string("fuzz/") + kTarget);
  for (int i = 0; i < kSeededInputs && !HasFatalFailure(); ++i) {
    Bytes input(stream.below(8 + stream.below(400)));
    for (auto& byte : input) byte = static_cast<std::uint8_t>(stream.below(256));
    accept(input, "input " + std::to_string(i));
  }
}

}  // namespace
}  // namespace touchstone::fuzz
