// What the explorer's weak memory shows: small programs whose results are known from the C++ memory model. Each is searched to its
// end, and the results that occur are compared with those that may: one that is missing hides bugs, one too many invents them.

#include "harness/explore/weak_memory.h"

#include <gtest/gtest.h>

#include <set>

#include "harness/explore/controlled_platform.h"
#include "harness/explore/expect.h"

namespace touchstone::harness::explore {
namespace {

using P = ControlledPlatform;
using Word = P::atomic<int>;
using Order = std::memory_order;

constexpr Order kRelaxed = std::memory_order_relaxed, kAcquire = std::memory_order_acquire,
                kRelease = std::memory_order_release, kBoth = std::memory_order_acq_rel,
                kOne = std::memory_order_seq_cst;

using Results = std::set<int>;

/// Every result that an execution of `program`, which returns it, can have. Results are below 64.
template <class Program>
Results results_of(const Program& program) {
  std::uint64_t seen = 0;
  const Body body = [&] { seen |= std::uint64_t{1} << program(); };
  const Report report = explore(body, {.algorithm = Algorithm::plain, .weak_memory = true});
  EXPECT_TRUE(report) << report;
  Results results;
  for (int i = 0; i < 64; ++i)
    if ((seen >> i & 1) != 0) results.insert(i);
  return results;
}

template <class... Bodies>
void together(Bodies... bodies) {
  std::array<P::thread, sizeof...(Bodies)> threads{P::thread(bodies)...};
  for (P::thread& thread : threads) thread.join();
}

/// Data, then a flag; who sees the flag looks at the data: 10 * flag + data.
Results passed_on(Order data_stored, Order flag_stored, Order flag_loaded, Order data_loaded) {
  return results_of([=] {
    Word data{0}, flag{0};
    int seen = 0;
    together(
        [&] {
          data.store(1, data_stored);
          flag.store(1, flag_stored);
        },
        [&] {
          seen = 10 * flag.load(flag_loaded);
          seen += data.load(data_loaded);
        });
    return seen;
  });
}

TEST(WeakMemoryModel, PassesDataOnByReleaseAndAcquireOnly) {
  const Results ordered = {0, 1, 11}, all = {0, 1, 10, 11};
  EXPECT_EQ(passed_on(kRelaxed, kRelease, kAcquire, kRelaxed), ordered);
  EXPECT_EQ(passed_on(kOne, kOne, kOne, kOne), ordered);
  EXPECT_EQ(passed_on(kRelaxed, kRelaxed, kAcquire, kRelaxed), all);
  EXPECT_EQ(passed_on(kRelaxed, kRelease, kRelaxed, kRelaxed), all);
}

// A seq_cst store does not hold back a relaxed one that follows it: stlr and then str on ARM.
TEST(WeakMemoryModel, ShowsASeqCstStoreAfterAWeakerOneThatFollowsIt) {
  EXPECT_EQ(passed_on(kOne, kRelaxed, kOne, kOne), (Results{0, 1, 10, 11}));
  EXPECT_EQ(passed_on(kOne, kRelease, kOne, kOne), (Results{0, 1, 11}));
}

/// Each raises its own and looks at the other's: the two looks as bits.
Results both_look(Order stored, Order loaded, Order others_stored) {
  return results_of([=] {
    Word x{0}, y{0};
    int first = 0, second = 0;
    together(
        [&] {
          x.store(1, stored);
          first = y.load(loaded);
        },
        [&] {
          y.store(1, others_stored);
          second = x.load(kOne);
        });
    return first + 2 * second;
  });
}

TEST(WeakMemoryModel, LetsBothMissTheOtherUnlessAllFourAreSeqCst) {
  EXPECT_EQ(both_look(kOne, kOne, kOne), (Results{1, 2, 3}));
  EXPECT_EQ(both_look(kRelease, kOne, kOne), (Results{0, 1, 2, 3}));
  EXPECT_EQ(both_look(kOne, kAcquire, kOne), (Results{0, 1, 2, 3}));
  EXPECT_EQ(both_look(kOne, kOne, kRelease), (Results{0, 1, 2, 3}));
}

// A wait for 1 in a word that another thread sets to 0: whether it ended, and whether that thread saw the waiting one come.
TEST(WeakMemoryModel, EndsAWaitByAValueThatIsOver) {
  const auto waited = [](Order stored) {
    return results_of([=] {
      Word word{1}, come{0};
      int seen = 0, ended = 0;
      together(
          [&] {
            word.store(0, stored);
            seen = come.load();
          },
          [&] {
            come.store(1);
            const auto is_one = [](int value) { return value == 1; };
            ended = P::wait_until(word, is_one, P::now()).has_value() ? 1 : 0;
          });
      return seen + 2 * ended;
    });
  };
  EXPECT_EQ(waited(kOne), (Results{0, 1, 3}));
  EXPECT_EQ(waited(kRelease), (Results{0, 1, 2, 3}));
}

/// A thread stores data, locks a word and marks it; another one sees the mark and looks at the data: as passed_on.
Results locked_between(Order locked, Order marked) {
  return results_of([=] {
    Word data{0}, word{0};
    int seen = 0;
    together(
        [&] {
          data.store(1);
          int free = 0;
          word.compare_exchange_strong(free, 1, locked);
          word.store(2, marked);
        },
        [&] {
          if (word.load() == 2) seen = 10;
          seen += data.load();
        });
    return seen;
  });
}

// What keeps a snapshot right that learns of a change by the next commit's mark (View::newest): in S, data, lock, look, look.
TEST(WeakMemoryModel, OrdersByTheLockThatAWeakerMarkFollows) {
  EXPECT_EQ(locked_between(kOne, kRelaxed), (Results{0, 1, 11}));
  EXPECT_EQ(locked_between(kBoth, kRelaxed), (Results{0, 1, 10, 11}));
}

// The same over a third thread's object: S is one order, not one for each pair.
TEST(WeakMemoryModel, OrdersBySeqCstAccessesOfOthers) {
  const auto chained = [](Order between) {
    return results_of([=] {
      Word data{0}, flag{0}, other{0};
      int seen = 0;
      together(
          [&] {
            data.store(1);
            other.fetch_add(1, between);
            flag.store(1, kRelaxed);
          },
          [&] {
            const int flagged = flag.load();
            const int third = other.load();
            if (flagged == 1 && third == 1) seen = 10;
            seen += data.load();
          });
      return seen;
    });
  };
  EXPECT_EQ(chained(kOne), (Results{0, 1, 11}));
  EXPECT_EQ(chained(kRelaxed), (Results{0, 1, 10, 11}));
}

TEST(WeakMemoryModel, KeepsAReleaseSequenceThroughReadModifyWrites) {
  const auto over = [](bool store) {
    return results_of([=] {
      Word data{0}, flag{0};
      int seen = 0;
      together(
          [&] {
            data.store(1, kRelaxed);
            flag.store(1, kRelease);
            if (store) {
              flag.store(3, kRelaxed);
            } else {
              flag.fetch_add(2, kRelaxed);
            }
          },
          [&] {
            if (flag.load(kAcquire) == 3) seen = 10;
            seen += data.load(kRelaxed);
          });
      return seen;
    });
  };
  EXPECT_EQ(over(false), (Results{0, 1, 11}));
  EXPECT_EQ(over(true), (Results{0, 1, 10, 11}));
}

}  // namespace
}  // namespace touchstone::harness::explore
