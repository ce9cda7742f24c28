#include "engine/segments/protections.h"

#include <gtest/gtest.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine/segments/test_directory.h"

namespace touchstone::engine {
namespace {

using ProtectionsTest = SegmentTest;

const Protection& named(const std::vector<Protection>& all, std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const auto& p) { return p.name == name; });
  EXPECT_NE(found, all.end()) << name;
  return *found;
}

// The engine's own tests run where all that is required is there; so what is found there is known.
TEST_F(ProtectionsTest, SayWhatEachIsForWhereItIsThere) {
  const auto found = find_protections(directory());
  const std::pair<const char*, const char*> required[] = {
      {"O_TMPFILE", "nothing half-built is ever visible"},
      {"posix_fallocate", "full memory is an error, not SIGBUS"},
      {"flock", "the kernel says who is alive"},
      {"/proc", "a complete file gets its name in one step"},
      {"MADV_DONTFORK", "children inherit no writable mapping"},
  };
  for (const auto& [name, use] : required) {
    const Protection& protection = named(found, name);
    EXPECT_TRUE(protection.required) << name;
    EXPECT_TRUE(protection.present) << name;
    EXPECT_EQ(protection.detail, use);
  }
  ASSERT_EQ(found.size(), std::size(required) + 2);
  for (std::size_t i = 0; i < std::size(required); ++i) EXPECT_EQ(found[i].name, required[i].first) << i;
}

TEST_F(ProtectionsTest, OfFileModesAndLandlockAreNotRequired) {
  const auto found = find_protections(directory());
  const Protection& modes = named(found, "file modes");
  EXPECT_FALSE(modes.required);
  EXPECT_EQ(modes.present, ::geteuid() != 0);
  EXPECT_EQ(modes.detail, ::geteuid() != 0 ? "mode 0400 keeps this user from opening a segment for writing"
                                           : "missing: root may open anything, whatever its mode");
  const Protection& landlock = named(found, "landlock");
  const int abi = landlock_abi();
  EXPECT_FALSE(landlock.required);
  EXPECT_EQ(landlock.present, abi > 0);
  const std::string version = "ABI " + std::to_string(abi) + ": ";
  EXPECT_EQ(landlock.detail, abi == 0  ? "missing: a worker's right to write is limited by file modes only"
                             : abi < 3 ? version + "does not cover truncate (3 does)"
                                       : version + "a worker can write nowhere but where it is told to");
}

TEST(Landlock, IsOfTheVersionThatTheKernelSays) {
  const long said =
      ::syscall(SYS_landlock_create_ruleset, nullptr, std::size_t{0}, LANDLOCK_CREATE_RULESET_VERSION);
  EXPECT_EQ(landlock_abi(), said < 0 ? 0 : said);
}

TEST_F(ProtectionsTest, AMissingOneSaysWhatTheSystemSaid) {
  const auto found = find_protections(directory() + "/not-there");
  const Protection& files = named(found, "O_TMPFILE");
  EXPECT_TRUE(files.required);
  EXPECT_FALSE(files.present);
  EXPECT_EQ(files.detail, "missing: No such file or directory");
  EXPECT_EQ(found.size(), 4u) << "what needs a file is not tried";
}

}  // namespace
}  // namespace touchstone::engine
