// `touchstone reap` and `touchstone doctor` as a person or a script runs them.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "stress/chaos/segment_test.h"

namespace touchstone::chaos {
namespace {

struct Output {
  int status = -1;
  std::string text;
};

Output touchstone(const std::string& arguments) {
  Output output;
  FILE* pipe = ::popen((TOUCHSTONE_TOOL " " + arguments + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return output;
  std::array<char, 4096> buffer{};
  while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    output.text.append(buffer.data(), got);
  }
  output.status = WEXITSTATUS(::pclose(pipe));
  return output;
}

class ReapCommand : public ChaosTest {
 protected:
  void put_orphan() { put(*engine::encode_name(session(), 7, "a/b"), "12345"); }
  std::string here() const { return "--directory " + directory(); }
};

TEST_F(ReapCommand, ShowsEverySegmentWithItsVerdictAndRemovesTheDead) {
  put_orphan();
  SegmentOwner live = owner();
  ASSERT_TRUE(live.allocate("frame", engine::bytes_of("x")));
  put_orphan();  // the owner's start check removed the first
  const Output output = touchstone("reap " + here());
  EXPECT_EQ(output.status, 0) << output.text;
  for (const char* word : {"a%2Fb", "frame", "removed", "live", "the owner lock is held", "1 live, 1 dead"}) {
    EXPECT_NE(output.text.find(word), std::string::npos) << word << "\n" << output.text;
  }
  EXPECT_EQ(names().size(), 2u);
  EXPECT_EQ(why(live.audit()), "");
}

TEST_F(ReapCommand, ADryRunTouchesNothingAndJsonSaysWhatWouldGo) {
  put_orphan();
  const Output output = touchstone("reap --dry-run --json --session " + session() + " " + here());
  EXPECT_EQ(output.status, 0) << output.text;
  const auto json = nlohmann::json::parse(output.text);
  ASSERT_EQ(json.at("groups").size(), 1u);
  const auto& group = json.at("groups").at(0);
  EXPECT_EQ(group.at("session"), session());
  EXPECT_EQ(group.at("pid"), 7);
  EXPECT_EQ(group.at("verdict"), "would-remove");
  EXPECT_EQ(group.at("segments").at(0).at("key"), "a%2Fb");
  EXPECT_EQ(group.at("segments").at(0).at("bytes"), 5);
  EXPECT_EQ(names().size(), 1u);
  reap_all();
}

TEST_F(ReapCommand, ADryRunSaysWhatItWouldRemoveAndNamesThatAreNoSegmentsAreCounted) {
  put_orphan();
  put("theus:no-pid");
  const Output output = touchstone("reap --dry-run " + here());
  EXPECT_NE(output.text.find("would remove 1 segment, 5 bytes"), std::string::npos) << output.text;
  EXPECT_NE(output.text.find("1 more name begins with \"theus:\""), std::string::npos) << output.text;
  EXPECT_EQ(touchstone("reap " + here()).status, 0);
  EXPECT_EQ(names(), std::vector<std::string>{"theus:no-pid"}) << "what is no segment's name is not ours";
  remove("theus:no-pid");
}

TEST_F(ReapCommand, NamesWhatWasWrongWithItsArguments) {
  const Output no_directory = touchstone("reap --directory " + directory() + "/missing");
  EXPECT_EQ(no_directory.status, 64);
  EXPECT_NE(no_directory.text.find("/missing"), std::string::npos);
  EXPECT_EQ(touchstone("reap --session a:b " + here()).status, 64);
  EXPECT_EQ(touchstone("reap --no-such-option").status, 64);
  EXPECT_EQ(touchstone("reap --session '' " + here()).status, 64);  // of an unset variable: it would reap all
}

class DoctorCommand : public ChaosTest {};

/// The oracle is independent of the tool: this test owns segments here, so everything required is present.
TEST_F(DoctorCommand, SaysThatWhatWorksHereIsPresent) {
  SegmentOwner live = owner();
  ASSERT_TRUE(live.allocate("frame", 4096, [](auto) {}));
  const Output output = touchstone("doctor --json --directory " + directory());
  EXPECT_EQ(output.status, 0) << output.text;
  int required = 0;
  for (const auto& protection : nlohmann::json::parse(output.text)) {
    if (!protection.at("required")) continue;
    ++required;
    EXPECT_TRUE(protection.at("present")) << protection;
  }
  EXPECT_EQ(required, 5);
  EXPECT_NE(touchstone("doctor").text.find("landlock"), std::string::npos);
}

TEST_F(DoctorCommand, RefusesWhatIsNoDirectory) {
  put("file");
  for (const char* wrong : {"/missing", "/file"}) {
    const Output output = touchstone("doctor --directory " + directory() + wrong);
    EXPECT_EQ(output.status, 64);
    EXPECT_NE(output.text.find(wrong), std::string::npos) << output.text;
  }
  remove("file");
}

TEST_F(DoctorCommand, FailsWhereARequiredProtectionIsMissing) {
  const Output output = touchstone("doctor --directory /proc");
  EXPECT_EQ(output.status, 1);
  EXPECT_NE(output.text.find("O_TMPFILE          NO"), std::string::npos) << output.text;
}

}  // namespace
}  // namespace touchstone::chaos
