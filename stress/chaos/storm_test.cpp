// A storm: owners, reapers, attachers and pools of workers come and are killed at random moments, many at a time.

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include "engine/segments/worker_pool.h"
#include "harness/seed.h"
#include "stress/chaos/child.h"
#include "stress/chaos/segment_test.h"

namespace touchstone::chaos {
namespace {

using engine::bytes_of;

/// At least so many processes, and for at least so long. A sanitizer's forks are slow: there the number decides.
constexpr unsigned kProcesses = kSanitizer ? 600 : 15'000;
#ifdef TOUCHSTONE_SOAK
constexpr std::chrono::minutes kDuration{60};
#else
constexpr std::chrono::minutes kDuration{kSanitizer ? 0 : 1};
#endif
constexpr unsigned kBetweenAccounts = 200;

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

  /// A main with a pool of workers, of which some die at work. An answer that it waits for comes, or says that they did.
  std::string run_jobs_for_a_while(harness::Stream stream) const {
    engine::become_main();
    auto options = this->options();
    options.session = "storm" + std::to_string(stream.below(3));
    auto owner = SegmentOwner::open(options);
    if (!owner) return why(owner);
    const auto handle = owner->allocate("frame", bytes_of("content"));
    if (!handle) return why(handle);
    const auto length = [this](const engine::JobRequest& request) {
      if (request.inputs == "die") ::raise(SIGKILL);
      const auto seen = Attachment::attach(request.segments.at(0), directory());
      return seen && seen->verify() ? std::to_string(seen->bytes().size()) : "not seen";
    };
    auto pool = engine::WorkerPool::open(length, {.workers = 2, .attempts = 2});
    if (!pool) return why(pool);
    for (int i = 0; i < 10; ++i) {
      const bool deadly = stream.chance(1, 4);
      const auto answer = pool->run({.inputs = deadly ? "die" : "", .segments = {*handle}});
      if (deadly && answer) return "a dead worker answered " + *answer;
      if (deadly && answer.error().code != SegmentErrc::worker_died) return why(answer);
      if (!deadly && !answer) return why(answer);
      if (!deadly && *answer != "7") return "a worker answered " + *answer;
    }
    return why(owner->audit());
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
    const auto kind = stream.below(6);
    const harness::Stream own(stream.next());
    return Child::start([this, kind, own]() -> std::string {
      if (kind == 0) return reap_for_a_while();
      if (kind == 1) return attach_for_a_while();
      if (kind == 2) return run_jobs_for_a_while(own);
      return own_for_a_while(own);
    });
  }

  /// Starts anybody, kills two of three, joins the others, kills all. Returns the number of kills.
  unsigned rage(harness::Stream& stream) {
    std::vector<Child> running;
    unsigned kills = 0;
    for (unsigned round = 0; round < kBetweenAccounts && !HasFailure(); ++round) {
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
    return kills + static_cast<unsigned>(running.size());
  }
};

/// Whoever is not killed must end well: an owner that lost a live name, a reader that saw half a segment, a reaper that
/// gave up and a main whose job was lost all report it. Now and then all are killed, and then one start must find
/// everything that they left, and no process may be left, workers and nurseries included.
TEST_F(StormTest, NoLiveNameIsRemovedAndNothingIsLeft) {
  const Subreaper subreaper;
  start_bystander();
  harness::Stream stream = harness::Seed::of_process().stream("storm");
  const auto end = std::chrono::steady_clock::now() + kDuration;
  const auto goes_on = [&](unsigned started) {
    return !HasFailure() && (started < kProcesses || std::chrono::steady_clock::now() < end);
  };
  unsigned kills = 0;
  unsigned started = 0;
  for (; goes_on(started); started += kBetweenAccounts) {
    kills += rage(stream);
    Subreaper::wait_until_all_are_gone();
    account_after_kill();
  }
  std::printf("%u processes, %u killed\n", started, kills);
}

}  // namespace
}  // namespace touchstone::chaos
