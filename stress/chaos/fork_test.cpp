// fork() while other threads of the parent are at work in the owner: the child gets a copy of everything in whatever
// state it is, and no thread that would finish it.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "stress/chaos/child.h"
#include "stress/chaos/segment_test.h"

namespace touchstone::chaos {
namespace {

using engine::bytes_of;

class ForkTest : public ChaosTest {};

/// What the calling process has open of this test's directory, the directory itself apart.
std::string open_files_in(const std::string& directory) {
  std::string found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(entry.path(), error);
    if (target.starts_with(directory + "/")) found += target + "; ";
  }
  return found;
}

/// A thread of the parent is in the middle of an allocation: the unnamed file is open for writing, its mapping is
/// writable, the owner lock is held. The child must have none of the three, must be able to become a main of its own,
/// and the allocation must end as if nothing had happened.
TEST_F(ForkTest, DuringAnAllocationLeavesTheChildNothingWritable) {
  SegmentOwner owner = this->owner();
  std::atomic<bool> filling{false};
  std::atomic<bool> go_on{false};
  std::string filled;
  std::thread thread([&] {
    filled = why(owner.allocate("frame", 1 << 20, [&](std::span<std::byte> payload) {
      payload[0] = std::byte{1};
      filling = true;
      while (!go_on) std::this_thread::yield();
      payload[1] = std::byte{2};
    }));
  });
  while (!filling) std::this_thread::yield();
  const std::string report = report_of_child([&]() -> std::string {
    if (const std::string open = open_files_in(directory()); !open.empty()) return "inherited " + open;
    if (auto became = owner.become_main(); !became) return why(became);
    if (auto made = owner.allocate("frame", bytes_of("child")); !made) return why(made);
    return why(owner.shutdown());
  });
  go_on = true;
  thread.join();
  EXPECT_EQ(report, "");
  EXPECT_EQ(filled, "");
  EXPECT_EQ(why(owner.audit()), "");
}

/// Children are forked at random moments of allocations, replacements and frees in two threads, and end in every way.
TEST_F(ForkTest, OfABusyOwnerHarmsNeitherSide) {
  SegmentOwner owner = this->owner();
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, key = std::to_string(t)] {
      while (!stop) {
        const bool ok =
            owner.allocate(key, bytes_of("1")) && owner.replace(key, bytes_of("2")) && owner.free(key);
        failures += ok ? 0 : 1;
      }
    });
  }
  std::string wrong;
  for (int round = 0; round < 40; ++round) {
    wrong += report_of_child([&, round]() -> std::string {
      if (round % 4 == 0) return why(owner.shutdown());
      if (round % 4 == 1) ::_exit(0);
      if (round % 4 == 2) return expect_refusal(owner.allocate("0", bytes_of("x")), SegmentErrc::worker_role);
      if (auto became = owner.become_main(); !became) return why(became);
      if (auto made = owner.allocate("0", bytes_of("x")); !made) return why(made);
      return why(owner.shutdown());
    });
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, "");
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(why(owner.audit()), "");
}

TEST_F(ForkTest, AChildBecomesAMainOfItsOwnSession) {
  SegmentOwner parents = this->owner();
  ASSERT_TRUE(parents.allocate("frame", bytes_of("parent")));
  const std::string report = report_of_child([&]() -> std::string {
    engine::become_main();
    auto options = this->options();
    options.session = "child";
    auto own = SegmentOwner::open(options);
    if (!own) return why(own);
    if (own->start_report().count(engine::ReapVerdict::live) != 1) return "the parent was not seen alive";
    std::string wrong = expect_refusal(parents.allocate("other", bytes_of("x")), SegmentErrc::worker_role);
    if (auto made = own->allocate("frame", bytes_of("child")); !made) wrong += why(made);
    return wrong + why(own->shutdown());
  });
  EXPECT_EQ(report, "");
  EXPECT_EQ(why(parents.audit()), "");
}

}  // namespace
}  // namespace touchstone::chaos
