#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "harness/tool_run.h"

namespace touchstone::harness {
namespace {

namespace fs = std::filesystem;

ToolRun run(const std::string& arguments) {
  return run_shell(std::string(TOUCHSTONE_TOOL) + " " + arguments);
}

class ConvertCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "touchstone-convert-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    good_ = file("good.log", "INFO  jepsen.util - 0 :invoke :write 1\nINFO  jepsen.util - 0 :ok :write 1\n");
  }

  void TearDown() override { fs::remove_all(folder_); }

  std::string file(const std::string& name, const std::string& text) const {
    const fs::path path = folder_ / name;
    std::ofstream(path) << text;
    return path.string();
  }

  fs::path folder_;
  std::string good_;
};

// The verdict must survive every hop.
TEST_F(ConvertCommand, WritesEveryFormatThatCheckReads) {
  const std::string first = (folder_ / "1.tsh").string();
  const std::string second = (folder_ / "2.edn").string();
  const std::string third = (folder_ / "3.jsonl").string();
  EXPECT_EQ(run("convert " + good_ + " " + first).status, 0);
  EXPECT_EQ(run("convert " + first + " " + second).status, 0);
  EXPECT_EQ(run("convert " + second + " " + third).status, 0);
  const ToolRun checked = run("check " + first + " " + second + " " + third);
  EXPECT_EQ(checked.status, 0) << checked.output;
  const ToolRun piped = run("convert " + third + " - --to binary | " + TOUCHSTONE_TOOL + " check -");
  EXPECT_NE(piped.output.find("-: linearizable (1 operation,"), std::string::npos) << piped.output;
}

TEST_F(ConvertCommand, SaysWhyItCannot) {
  const std::string out = (folder_ / "out.edn").string();
  const ToolRun nameless = run("convert " + good_ + " " + (folder_ / "out").string());
  EXPECT_EQ(nameless.status, 64);
  EXPECT_NE(nameless.output.find("--to jsonl, edn or binary is needed"), std::string::npos)
      << nameless.output;
  const std::string store =
      file("store.jsonl",
           "{\"touchstone\":\"history\",\"version\":1,\"kind\":\"store\"}\n"
           "{\"client\":\"1\",\"call\":1,\"return\":2,\"outcome\":\"ok\",\"f\":\"version\","
           "\"result\":{\"version\":0}}\n");
  const ToolRun refused = run("convert " + store + " " + out);
  EXPECT_EQ(refused.status, 65);
  EXPECT_NE(refused.output.find("an EDN history is of registers, not of a store"), std::string::npos)
      << refused.output;
  EXPECT_FALSE(fs::exists(out));
  EXPECT_EQ(run("convert " + good_ + " " + (folder_ / "nowhere" / "x.edn").string()).status, 73);
  EXPECT_EQ(run("convert " + file("broken.log", "INFO  jepsen.util - 1 :ok :read 1\n") + " " + out).status,
            65);
}

}  // namespace
}  // namespace touchstone::harness
