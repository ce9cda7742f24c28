// Servers that others wrote, each once: what it documents holds, also under faults, and each adapter's planted bug is named.

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>

#include "harness/tool_run.h"

namespace touchstone::harness {
namespace {

class Servers : public testing::Test {
 protected:
  Servers() : out_(testing::TempDir() + "servers." + std::to_string(::getpid())) {}
  ~Servers() override { std::filesystem::remove_all(out_); }

  /// The report of `verify`; null when the server is not here.
  nlohmann::json verify(const std::string& words) {
    const ToolRun run = run_shell("('" TOUCHSTONE_TOOL "' verify --json --out " + out_.string() +
                                  " --engine " + words + " 2>/dev/null)");
    output_ = run.output;
    if (run.status == 65) return nullptr;
    return nlohmann::json::parse(run.output, nullptr, false);
  }

  /// `some` of its claims, or with the long campaigns all of them.
  void keeps_what_it_documents(const std::string& server, const std::string& some) {
#ifdef TOUCHSTONE_SOAK
    const std::string words = server + " --budget 60s";
    EXPECT_NE(some, "");
#else
    const std::string words = server + " --budget 1s" + some;
#endif
    const auto report = verify(words);
    if (report.is_null()) GTEST_SKIP() << "expected skip: this build or machine is without " << server;
    ASSERT_TRUE(report.is_object()) << output_;
    EXPECT_FALSE(report.at("claims").empty());
    for (const auto& claim : report.at("claims")) {
      // Not every machine gives a file system or hosts of their own.
      const std::string reason = claim.at("reason");
      if (reason.find("of its own") != std::string::npos || reason.find("of their own") != std::string::npos)
        continue;
      EXPECT_EQ(claim.at("verdict"), "held") << claim;
      EXPECT_GT(claim.at("tried").at("operations"), 0) << claim;
    }
  }

  /// The one claim fails, and its reason names what is missing from the adapter.
  void shows_its_bug(const std::string& server, const std::string& claim, const char* named) {
    const auto report = verify(server + "+bugs --budget 20s --claim " + claim);
    if (report.is_null()) GTEST_SKIP() << "expected skip: this build or machine is without " << server;
    ASSERT_TRUE(report.is_object()) << output_;
    const auto& it = report.at("claims").at(0);
    const std::string reason = it.at("reason");
    if (reason.find("of their own") != std::string::npos)
      GTEST_SKIP() << "expected skip: this machine gives no network namespaces: " << reason;
    EXPECT_EQ(it.at("verdict"), "violated") << it;
    EXPECT_TRUE(std::regex_search(reason, std::regex(named))) << reason;
    EXPECT_NE(it.at("replay").get<std::string>().find("--engine " + server + "+bugs"), std::string::npos)
        << it;
  }

  /// From the directory that the run left: the same seed, faults and operations, until it fails again.
  void fails_again_from_its_directory(const std::string& claim) {
    const ToolRun again = run_shell("'" TOUCHSTONE_TOOL "' replay --budget 60s " + (out_ / claim).string());
    EXPECT_EQ(again.status, 1) << again.output;
    EXPECT_NE(again.output.find("VIOLATED"), std::string::npos) << again.output;
  }

  const std::filesystem::path out_;
  std::string output_;
};

constexpr const char* kLost = "lost update|incompatible";

TEST_F(Servers, EtcdKeepsWhatItDocuments) {
  keeps_what_it_documents("etcd", " --claim K1 --claim I2 --claim N1");
}

TEST_F(Servers, AClusterOfEtcdKeepsWhatItDocumentsAlsoWhenItsHostsAreParted) {
  keeps_what_it_documents("etcd3", " --claim N4");
}

TEST_F(Servers, RedisKeepsWhatItDocuments) {
  keeps_what_it_documents("redis",
                          " --claim K1 --claim K2 --claim I1 --claim I2 --claim N1 --claim N2 --claim N3");
}

TEST_F(Servers, PostgresKeepsWhatItDocuments) {
  keeps_what_it_documents("postgres", " --claim I1 --claim I2 --claim I3 --claim N1");
}

TEST_F(Servers, RocksdbKeepsWhatItDocuments) {
  keeps_what_it_documents("rocksdb", " --claim K1 --claim I1 --claim I2");
}

TEST_F(Servers, ATransactionOfEtcdWithoutItsCompareIsNamed) {
  shows_its_bug("etcd", "I1", kLost);
}

TEST_F(Servers, AStaleReadFromAFollowerIsNamed) {
  shows_its_bug("etcd3", "N4", "not linearizable|stale read");
  if (!IsSkipped() && !HasFailure()) fails_again_from_its_directory("N4");
}

// Danger: an answer that does not wait for the disk, or a server that stays slow. `verify` demands that calls were delayed.
TEST_F(Servers, ASlowDiskLosesNothingAndEverybodyGoesOn) {
  for (const char* server : {"etcd", "redis"}) {
    const auto report = verify(std::string(server) + " --rounds 1 --claim N5");
    if (report.is_null()) GTEST_SKIP() << "expected skip: this build or machine is without " << server;
    ASSERT_TRUE(report.is_object()) << output_;
    const auto& it = report.at("claims").at(0);
    const std::string reason = it.at("reason");
    if (reason.find("no slow disk of its own") != std::string::npos)
      GTEST_SKIP() << "expected skip: this machine delays no calls of its servers: " << reason;
    EXPECT_EQ(it.at("verdict"), "held") << server << ": " << it;
    EXPECT_NE(output_.find("were delayed"), std::string::npos) << output_;
  }
}

TEST_F(Servers, TheEtcdStoreKeepsItsContract) {
  keeps_what_it_documents("etcd-store", " --claim S3 --claim B10 --claim N1");
}

TEST_F(Servers, TheEtcdStoreKeepsItsContractAlsoWhenItsHostsAreParted) {
  keeps_what_it_documents("etcd-store3", " --claim N4");
}

TEST_F(Servers, ACallOfTheEtcdStoreThatIsRepeatedWithoutKnowingItsOutcomeIsNamed) {
  shows_its_bug("etcd-store3", "N4", "nothing explains");
  if (!IsSkipped() && !HasFailure()) fails_again_from_its_directory("N4");
}

TEST_F(Servers, TheEtcdStoreIsRefusedByNameWithoutEtcd) {
  for (const char* name : {"etcd-store", "etcd-store3"}) {
    const ToolRun run = run_shell(std::string("PATH=/nowhere '" TOUCHSTONE_TOOL "' verify --engine ") + name);
    EXPECT_EQ(run.status, 65) << run.output;
    EXPECT_NE(run.output.find("Debian package etcd-server"), std::string::npos) << run.output;
  }
}

TEST_F(Servers, AMissingWatchIsNamed) {
  shows_its_bug("redis", "I1", kLost);
}

TEST_F(Servers, AVersionColumnThatIsNotComparedIsNamed) {
  shows_its_bug("postgres", "I1", kLost);
}

TEST_F(Servers, ALostSnapshotIsNamed) {
  shows_its_bug("rocksdb", "I1", kLost);
}

TEST_F(Servers, TheTableIsWrittenBetweenTheMarksOfItsPage) {
  std::filesystem::create_directories(out_);
  const std::string page = (out_ / "page.md").string();
  const std::string engines = "'" TOUCHSTONE_TOOL "' engines --server rocksdb --rounds 1 --table ";
  EXPECT_EQ(run_shell("echo none > " + page + "; " + engines + page).status, 64);
  const ToolRun run =
      run_shell("printf 'before\\n<!-- generated: begin -->\\nold\\n<!-- generated: end -->\\nafter\\n' > " +
                page + "; " + engines + page + "; cat " + page);
  if (run.output.find("no server here") != std::string::npos)
    GTEST_SKIP() << "expected skip: this build is without rocksdb";
  EXPECT_NE(run.output.find("before\n<!-- generated: begin -->\nSeed 0x"), std::string::npos) << run.output;
  EXPECT_NE(run.output.find("| RocksDB | with a snapshot |"), std::string::npos) << run.output;
  EXPECT_NE(run.output.find("<!-- generated: end -->\nafter\n"), std::string::npos) << run.output;
  EXPECT_EQ(run.output.find("old\n"), std::string::npos) << run.output;
}

}  // namespace
}  // namespace touchstone::harness
