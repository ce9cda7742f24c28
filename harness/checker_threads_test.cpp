// The checker on several threads and with little memory: neither makes another verdict.

#include <gtest/gtest.h>
#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <stdexcept>

#include "harness/history_random.h"
#include "model/brute_force.h"
#include "model/checker.h"
#include "model/parallel.h"

namespace {

std::atomic<std::size_t> allocated{0};
std::atomic<std::size_t> peak{0};

}  // namespace

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define TOUCHSTONE_NOT_COUNTED  // a sanitizer brings its own operator new
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define TOUCHSTONE_NOT_COUNTED
#endif
#endif

#ifndef TOUCHSTONE_NOT_COUNTED
// Counted, so that a test can tell how much memory a check takes at most.
void* operator new(std::size_t size) {
  void* place = std::malloc(size);
  if (place == nullptr) throw std::bad_alloc();
  const std::size_t now = allocated.fetch_add(malloc_usable_size(place)) + malloc_usable_size(place);
  for (std::size_t seen = peak.load(); now > seen && !peak.compare_exchange_weak(seen, now);) {
  }
  return place;
}

void operator delete(void* place) noexcept {
  if (place != nullptr) allocated.fetch_sub(malloc_usable_size(place));
  std::free(place);
}

void operator delete(void* place, std::size_t) noexcept {
  operator delete(place);
}
#endif

namespace touchstone::harness {
namespace {

using model::Answer;
using model::CheckOptions;
using model::Verdict;

TEST(ParallelWork, DoesEveryItemOnce) {
  for (const unsigned threads : {1U, 2U, 7U, 100U}) {
    std::vector<std::atomic<int>> done(1000);
    model::for_each_in_parallel(done.size(), threads, [&](std::size_t item, std::size_t thread) {
      ASSERT_LT(thread, threads);
      ++done[item];
    });
    for (const auto& times : done) ASSERT_EQ(times.load(), 1);
  }
  model::for_each_in_parallel(0, 4, [](std::size_t, std::size_t) { FAIL(); });
}

TEST(ParallelWork, RethrowsTheFailureOfTheLowestItem) {
  for (const unsigned threads : {1U, 4U}) {
    try {
      model::for_each_in_parallel(100, threads, [](std::size_t item, std::size_t) {
        if (item >= 20) throw std::runtime_error(std::to_string(item));
      });
      FAIL() << "nothing was thrown";
    } catch (const std::runtime_error& failure) {
      EXPECT_STREQ(failure.what(), "20");
    }
  }
}

void expect_same(const Verdict& one, const Verdict& other, const std::string& what) {
  SCOPED_TRACE(what);
  EXPECT_EQ(one.answer, other.answer);
  EXPECT_EQ(one.reason, other.reason);
  EXPECT_EQ(one.steps, other.steps);
  EXPECT_EQ(one.configurations, other.configurations);
  EXPECT_EQ(one.partitions, other.partitions);
  EXPECT_EQ(one.witness, other.witness);
  ASSERT_EQ(one.refutations.size(), other.refutations.size());
  for (std::size_t i = 0; i < one.refutations.size(); ++i) {
    EXPECT_EQ(one.refutations[i].key, other.refutations[i].key);
    EXPECT_EQ(one.refutations[i].method, other.refutations[i].method);
    EXPECT_EQ(one.refutations[i].failing, other.refutations[i].failing);
    EXPECT_EQ(one.refutations[i].certificate, other.refutations[i].certificate);
    EXPECT_EQ(one.refutations[i].reason, other.refutations[i].reason);
    EXPECT_EQ(one.refutations[i].worlds.size(), other.refutations[i].worlds.size());
  }
}

/// The danger: who is done first decides what is said, so that a failure is told differently when it is looked at again; or two
/// threads share what belongs to one (ThreadSanitizer would see). Histories of a length at which threads are started, each method,
/// with and without keys that are refuted.
void threads_agree(HistoryShape shape, const std::string& label) {
  Stream stream = Seed::of_process().stream("threads " + label);
  shape.operations = 24'000;
  shape.clients = 12;
  shape.keys = 40;
  for (const std::uint64_t wrong : {0, 1}) {
    shape.wrong_permille = wrong;
    const model::History history = random_history(shape, stream);
    CheckOptions options;
    options.threads = 1;
    const Verdict alone = model::check(history, options);
    EXPECT_NE(alone.answer, Answer::kInconclusive);
    if (wrong == 0) {
      EXPECT_EQ(alone.answer, Answer::kLinearizable);
      EXPECT_EQ(model::verify_witness(history, alone.witness), std::nullopt);
    }
    for (const unsigned threads : {2U, 5U, 0U}) {
      options.threads = threads;
      expect_same(model::check(history, options), alone,
                  label + " on " + std::to_string(threads) + " threads");
    }
  }
}

TEST(CheckerOnThreads, SaysTheSameOnAnyNumberOfThem) {
  threads_agree({.values = 4}, "few values");
  threads_agree({.values = 4, .compare_and_sets = true, .unknown_permille = 5}, "cas");
  threads_agree({.values = 0}, "unique values");
  threads_agree({.values = 0, .appends = true}, "appends");
  threads_agree({.values = 0, .compare_and_sets = true, .versions = true}, "versions");
}

/// The danger: a search that gives up for want of memory is taken for one that found nothing, or for one that found something.
TEST(CheckerWithLittleMemory, IsRightOrInconclusiveNeverWrong) {
  Stream stream = Seed::of_process().stream("little memory");
  int inconclusive = 0;
  int decided = 0;
  for (int i = 0; i < 2'000; ++i) {
    const HistoryShape shape{.operations = 4 + stream.below(4),
                             .clients = 2 + stream.below(4),
                             .keys = 1 + stream.below(2),
                             .values = 2,
                             .compare_and_sets = true,
                             .unknown_permille = 300,
                             .wrong_permille = 300};
    const model::History history = random_crowded_history(shape, stream);
    CheckOptions options;
    options.max_memory = stream.below(4'000);
    options.methods = {.versions = false, .unique_values = false};
    if (stream.chance(1, 2))
      (stream.chance(1, 2) ? options.methods.depth_first : options.methods.breadth_first) = false;
    const Verdict verdict = model::check(history, options);
    if (verdict.answer == Answer::kInconclusive) {
      EXPECT_NE(verdict.reason.find("memory budget"), std::string::npos) << verdict.reason;
      ++inconclusive;
      continue;
    }
    ++decided;
    ASSERT_EQ(verdict.answer == Answer::kLinearizable, model::is_linearizable_by_trying_everything(history));
  }
  EXPECT_GT(inconclusive, 20);
  EXPECT_GT(decided, 200);
}

/// The danger: a limit that is not kept, so that the machine runs out of memory instead of the budget. Several keys, each too hard: many
/// compare-and-sets of unknown outcome, and a read of what nobody wrote at the end, so that every way is tried.
TEST(CheckerWithLittleMemory, TakesNoMoreThanItMayOverAllKeys) {
  Stream stream = Seed::of_process().stream("hard keys");
  model::History history = random_history({.operations = 3'000,
                                           .clients = 12,
                                           .keys = 6,
                                           .values = 6,
                                           .compare_and_sets = true,
                                           .unknown_permille = 250},
                                          stream);
  std::int64_t last = 0;
  for (const auto& it : history.operations)
    last = std::max({last, it.invoked, it.completed() ? it.returned : it.invoked});
  for (model::KeyId key = 0; key < history.keys.size(); ++key) {
    model::Operation read{
        .invoked = last + 1, .returned = last + 2, .client = history.client("last"), .key = key};
    read.observed = history.value(std::int64_t{1'000'000});
    history.operations.push_back(read);
  }
  for (const std::size_t megabytes : {1, 8}) {
    CheckOptions options;
    options.max_memory = megabytes << 20U;
    options.budget = std::chrono::seconds(1);
    options.witness = false;
    options.methods = {.versions = false, .unique_values = false};
    options.threads = 2;
    const std::size_t before = allocated.load();
    peak.store(before);  // nothing is counted under a sanitizer
    const Verdict verdict = model::check(history, options);
    EXPECT_NE(verdict.answer, Answer::kLinearizable);
#ifndef TOUCHSTONE_NOT_COUNTED
    const std::size_t taken = peak.load() - before;
    // Beside the budget: 80 bytes an operation, and a step's worth of each of the twelve searches.
    EXPECT_LT(taken, options.max_memory + history.operations.size() * 80 + (std::size_t{12} << 15U))
        << megabytes;
    EXPECT_GT(taken, options.max_memory / 50) << "the history was too easy to show anything";
#endif
  }
}

}  // namespace
}  // namespace touchstone::harness
