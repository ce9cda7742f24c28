// A storm: owners, reapers and attachers come and are killed at random moments, many at a time.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "harness/seed.h"
#include "stress/chaos/child.h"
#include "stress/chaos/segment_test.h"

namespace touchstone::chaos {
namespace {

using engine::bytes_of;

#ifdef TOUCHSTONE_SOAK
constexpr unsigned kRounds = 900'000;
#else
constexpr unsigned kRounds = 400;
#endif

class StormTest : public ChaosTest {
 protected:
  /// Random operations of an owner, each followed by the question whether anybody touched what is its own. Sessions are
  /// few, so that owners meet the remains of others and each other's reapers.
  std::string own_for_a_while(harness::Stream stream) const {
    engine::become_main();
    auto options = this->options();
    options.session = "storm" + std::to_string(stream.below(3));
    auto owner = SegmentOwner::open(options);
    if (!owner) return why(owner);
    for (int i = 0; i < 30; ++i) {
      const std::string key = std::to_string(stream.below(4));
      switch (stream.below(4)) {
        case 0:
          (void)owner->allocate(key, bytes_of(key));
          break;
        case 1:
          (void)owner->allocate(key, 5000, [](auto) {});
          break;
        case 2:
          (void)owner->replace(key, bytes_of("replaced"));
          break;
        default:
          (void)owner->free(key);
          break;
      }
      if (auto whole = owner->audit(); !whole) return why(whole);
    }
    if (stream.chance(1, 2)) ::_exit(0);  // without a shutdown
    return why(owner->shutdown());
  }

  std::string reap_for_a_while() const {
    for (int i = 0; i < 5; ++i) {
      const auto report = reap_all();
      if (report.error || report.count(engine::ReapVerdict::failed) != 0) return "a reaper failed";
    }
    return "";
  }

  std::string attach_for_a_while() const {
    for (int i = 0; i < 10; ++i) {
      for (const std::string& name : names()) {
        if (engine::parse_name(name)->is_reserved()) continue;
        const auto seen = Attachment::attach(name, directory());
        if (!seen && seen.error().code != SegmentErrc::not_found) return why(seen);
        if (seen && !seen->verify()) return name + " was seen half-built";
      }
    }
    return "";
  }

  Child start_anybody(harness::Stream& stream) {
    const auto kind = stream.below(5);
    const harness::Stream own(stream.next());
    return Child::start([this, kind, own]() -> std::string {
      if (kind == 0) return reap_for_a_while();
      if (kind == 1) return attach_for_a_while();
      return own_for_a_while(own);
    });
  }
};

/// Whoever is not killed must end well: an owner that lost a live name, a reader that saw half a segment and a reaper
/// that gave up all report it. Afterwards one start must find everything that the killed ones left.
TEST_F(StormTest, NoLiveNameIsRemovedAndNothingIsLeft) {
  start_bystander();
  harness::Stream stream = harness::Seed::of_process().stream("storm");
  std::vector<Child> running;
  unsigned kills = 0;
  for (unsigned round = 0; round < kRounds && !HasFailure(); ++round) {
    running.push_back(start_anybody(stream));
    if (running.size() < 6) continue;
    std::swap(running[stream.below(running.size())], running.back());
    Child chosen = std::move(running.back());
    running.pop_back();
    if (stream.chance(2, 3)) {
      chosen.kill();
      ++kills;
    } else {
      EXPECT_EQ(chosen.join(), "");
    }
  }
  for (Child& child : running) child.kill();
  running.clear();
  account_after_kill();
  std::printf("%u processes, %u killed\n", kRounds, kills);
}

}  // namespace
}  // namespace touchstone::chaos
