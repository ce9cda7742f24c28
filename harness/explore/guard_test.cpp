// This file is compiled with -fsanitize=thread and linked without it: guard.cpp answers.

#include "harness/explore/guard.h"

#include <gtest/gtest.h>

#include <linux/futex.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <sstream>
#include <string>
#include <thread>

#include "engine/native_platform.h"
#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/explorer.h"
#include "harness/explore/plain_races.h"

namespace touchstone::harness::explore {
namespace {

using P = ControlledPlatform;

constexpr std::size_t kShown = 5;

/// "file:line" of what our own code called: the innermost place that is not in a system header.
std::string place_of(const UncontrolledOperation& operation) {
  std::string place = "?";
  for (const void* caller : operation.callers) {
    if (caller == nullptr) break;
    place = code_place(caller);
    if (!place.starts_with("/usr/")) break;
  }
  return place;
}

std::vector<UncontrolledOperation> explored(const Body& body) {
  take_uncontrolled_operations();
  const Report report = portfolio(body, {.seed = 1, .executions = 20});
  EXPECT_TRUE(report) << report;
  return take_uncontrolled_operations();
}

// An atomic, a lock or a clock that the engine takes from elsewhere than its platform is one that no schedule controls:
// explorations would miss its races and replays would not be exact, and nothing would tell. So the engine's own code is
// compiled such that each of them announces itself.
TEST(Guard, TheEngineDoesNothingThatBypassesItsPlatform) {
  const auto operations = explored([] {
    engine::Store<P> store({.backoff = false});
    const auto process =
        store.process("add", {.inputs = {"a.b"}, .outputs = {"a.b", "c"}}, [](engine::Context<P>& context) {
          const auto value = context.read("a.b");
          context.set("a.b", (value ? value->integer() : 0) + 1);
          context.set("c", "text");
        });
    const auto work = [&] {
      auto worker = store.worker({.failures = 3});
      require(store.execute(worker, process).committed(), "committed");
      static_cast<void>(store.snapshot().read("a"));
    };
    P::thread a(work);
    P::thread b(work);
    a.join();
    b.join();
    static_cast<void>(store.statistics());
  });
  for (std::size_t i = 0; i < std::min<std::size_t>(operations.size(), kShown); ++i) {
    ADD_FAILURE() << operations[i].what << " at " << place_of(operations[i]);
  }
}

// Danger: a thread that has waited sees that the other one is done, and not what it did. On this machine every load acquires, so the
// orders are looked at as the compiler passes them on.
TEST(Guard, WaitsOnRealThreadsAcquireWhatTheyWaitedFor) {
  static std::atomic<std::uint64_t> done{1};
  const auto is_done = [](std::uint64_t word) { return word == 1; };
  take_uncontrolled_operations();
  const Report report = portfolio(
      [&] {
        P::thread waiting([&] {
          engine::NativePlatform::await(done, is_done);
          engine::NativePlatform::wait_until(done, is_done, engine::kForever);
        });
        waiting.join();
      },
      {.seed = 1, .executions = 1, .determinism_checks = 0});
  EXPECT_TRUE(report) << report;
  const auto operations = take_uncontrolled_operations();
  ASSERT_EQ(operations.size(), 2);
  for (const UncontrolledOperation& operation : operations) {
    EXPECT_STREQ(operation.what, "atomic load");
    EXPECT_TRUE(operation.order == __ATOMIC_ACQUIRE || operation.order == __ATOMIC_SEQ_CST)
        << operation.order;
  }
}

struct Planted {
  const char* name;
  const char* what;
  int line;  // the bypass is there or in the next
  void (*bypass)();

  friend void PrintTo(const Planted& planted, std::ostream* out) { *out << planted.name; }
};

std::atomic<int> planted_word{0};
std::mutex planted_mutex;
std::shared_mutex planted_shared_mutex;
const std::shared_ptr<int> planted_pointer = std::make_shared<int>(0);

const Planted kPlanted[] = {
    Planted{"Atomic", "atomic fetch_add", __LINE__, [] { planted_word.fetch_add(1); }},
    Planted{"ReferenceCount", "atomic fetch_add", __LINE__, [] { const auto copy = planted_pointer; }},
    Planted{"Lock", "pthread_mutex_lock", __LINE__, [] { const std::lock_guard lock(planted_mutex); }},
    Planted{"SharedLock", "pthread_rwlock_rdlock", __LINE__,
            [] { const std::shared_lock lock(planted_shared_mutex); }},
    Planted{"Wait", "futex", __LINE__,
            [] { ::syscall(SYS_futex, &planted_word, FUTEX_WAKE, 1, nullptr, nullptr, 0); }},
    Planted{"Clock", "steady_clock::now", __LINE__,
            [] { static_cast<void>(std::chrono::steady_clock::now()); }},
    Planted{"WallClock", "system_clock::now", __LINE__,
            [] { static_cast<void>(std::chrono::system_clock::now()); }},
    Planted{"Sleep", "nanosleep", __LINE__, [] { std::this_thread::sleep_for(std::chrono::nanoseconds(1)); }},
    Planted{"Yield", "sched_yield", __LINE__, [] { std::this_thread::yield(); }},
    Planted{"Entropy", "getrandom", __LINE__,
            [] { static_cast<void>(::getrandom(&planted_word, sizeof planted_word, 0)); }},
    Planted{"Random", "random", __LINE__, [] { static_cast<void>(::random()); }}};

class PlantedBypass : public testing::TestWithParam<Planted> {};

TEST_P(PlantedBypass, IsNamedWithFileAndLine) {
  const Planted& planted = GetParam();
  const auto operations = explored([&planted] {
    P::atomic<int> word{0};
    P::thread a([&] {
      word.store(1);
      planted.bypass();
    });
    a.join();
  });
  const auto named =
      std::find_if(operations.begin(), operations.end(), [&planted](const UncontrolledOperation& operation) {
        return planted.what == std::string(operation.what);
      });
  ASSERT_NE(named, operations.end());
  const std::string place = place_of(*named);
  const std::size_t at = place.find("guard_test.cpp:");
  ASSERT_NE(at, std::string::npos) << place;
  const int line = std::stoi(place.substr(at + std::strlen("guard_test.cpp:")));
  EXPECT_TRUE(line == planted.line || line == planted.line + 1) << place;
}

INSTANTIATE_TEST_SUITE_P(Every, PlantedBypass, testing::ValuesIn(kPlanted),
                         [](const testing::TestParamInfo<Planted>& info) { return info.param.name; });

}  // namespace
}  // namespace touchstone::harness::explore
