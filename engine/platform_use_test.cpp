// What the engine asks of its platform, seen by one that stands in between: who takes a mutex and who takes none, which streams of
// draws workers get, and who waits for a commit under way. Races show the same, but only sometimes.

#include <gtest/gtest.h>

#include <functional>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/store.h"

namespace touchstone::engine {
namespace {

using std::chrono::hours;

struct Observed : NativePlatform {
  class mutex {
   public:
    void lock() {
      if (before_next_lock) std::exchange(before_next_lock, nullptr)();
      mutex_.lock();
      ++locks;
      ++held;
    }
    void unlock() {
      --held;
      mutex_.unlock();
    }

   private:
    std::mutex mutex_;
  };

  struct random : SplitMix {
    random(std::uint64_t seed, std::uint64_t stream) : SplitMix(seed, stream) {
      drawn_from.emplace_back(seed, stream);
    }
  };

  static void fault_point(const char* name) {
    if (at_fault_point) at_fault_point(name);
  }

  // Of the calling thread:
  static inline thread_local int locks = 0;                           ///< so far
  static inline thread_local int held = 0;                            ///< now
  static inline thread_local std::function<void()> before_next_lock;  ///< what another thread does until then
  static inline thread_local std::function<void(std::string_view)> at_fault_point;
  static inline thread_local std::vector<std::pair<std::uint64_t, std::uint64_t>> drawn_from;
};

int locks_of(const std::function<void()>& call) {
  const int before = Observed::locks;
  call();
  return Observed::locks - before;
}

TEST(PlatformUse, OnlyALookUpOfAKnownPathTakesNoMutexOfTheIndex) {
  Index<Observed> index;
  EXPECT_EQ(locks_of([&] { index.intern("a.b"); }), 1);
  EXPECT_EQ(locks_of([&] { index.intern("a.b"), index.intern("a"), index.find("a.b"); }), 0);
  EXPECT_EQ(locks_of([&] { index.find("c"); }), 1) << "a miss is confirmed";
  EXPECT_EQ(locks_of([&] { EXPECT_EQ(index.size(), 2u); }), 1);
  int visited = 0;
  index.for_each([&](const Cell<Observed>&) { visited += Observed::held; });
  EXPECT_EQ(visited, 2) << "both with the mutex held";
}

// N2: while somebody waits for the mutex, another thread makes the path that it has just missed.
TEST(PlatformUse, APathThatIsMadeBetweenTwoLooksIsFoundAndNotMadeAgain) {
  Index<Observed> index;
  Cell<Observed>* made = nullptr;
  const auto make = [&](const char* path) {
    Observed::before_next_lock = [&, path] { made = index.intern(path); };
  };
  make("a.b");
  EXPECT_EQ(index.find("a.b"), std::as_const(made));
  ASSERT_NE(made, nullptr);
  make("c.d");
  EXPECT_EQ(index.intern("c.d"), std::as_const(made));
  EXPECT_EQ(index.size(), 4u);
}

TEST(PlatformUse, SlotsComeAndGoUnderTheMutexAndAreWalkedWithoutIt) {
  Slots<Observed> slots;
  Slot<Observed>* slot = nullptr;
  EXPECT_EQ(locks_of([&] { slot = slots.acquire(); }), 1);
  EXPECT_EQ(locks_of([&] { slots.release(slot); }), 1);
  int visited = 0;
  slots.for_each_free([&](const Slot<Observed>&) { visited += Observed::held; });
  EXPECT_EQ(visited, 1) << "it stays unused during the visit";
  EXPECT_EQ(locks_of([&] { slots.for_each([](const Slot<Observed>&) {}); }), 0);
}

// T4, and a claim's place is changed from two sides: its worker's, and of whoever ends its lease.
TEST(PlatformUse, TheGateTakesItsMutexForAllButACommit) {
  TicketGate<Observed> gate{StoreOptions{}};
  Counters<Observed> counters;
  Claim<Observed> claim;
  EXPECT_EQ(locks_of([&] { gate.join(claim, {}, hours(1), counters); }), 1);
  Bar<Observed> bar;
  EXPECT_EQ(locks_of([&] { bar = gate.bar({}, {}, nullptr); }), 0);
  EXPECT_TRUE(bar);
  EXPECT_EQ(locks_of([&] { gate.remaining(bar); }), 1);
  EXPECT_EQ(locks_of([&] { gate.renew(claim, 1); }), 1);
  EXPECT_EQ(locks_of([&] { gate.status(claim); }), 1);
  EXPECT_EQ(locks_of([&] { gate.expire(counters); }), 1);
  EXPECT_EQ(locks_of([&] { gate.leave(claim, counters); }), 1);
}

// Workers of one stream would draw the same jitter and meet again and again; and a seed must draw the same in every version, so the
// numbers are what they are: 1, 2, 3.
TEST(PlatformUse, EachWorkerDrawsFromTheNextStreamOrFromTheOneItAsksFor) {
  Store<Observed> store({.seed = 7});
  Observed::drawn_from.clear();
  const auto first = store.worker(), chosen = store.worker({.stream = 1}), second = store.worker(),
             far = store.worker({.stream = 99}), third = store.worker();
  EXPECT_EQ(Observed::drawn_from, (decltype(Observed::drawn_from){{7, 1}, {7, 1}, {7, 2}, {7, 99}, {7, 3}}));
}

/// Stops a commit of `path` inside, until this goes.
class StoppedCommit {
 public:
  StoppedCommit(Store<Observed>& store, const std::string& path)
      : thread_([this, &store, path] {
          Observed::at_fault_point = [this](std::string_view name) {
            if (name != "commit:locked" || stopped_.exchange(true)) return;
            while (!may_go_on_) Observed::yield();
          };
          store.compare_and_swap(store.version(), WriteSet{}.set(path, 1));
        }) {
    while (!stopped_) Observed::yield();
  }
  ~StoppedCommit() {
    if (later_.joinable()) later_.join();
    may_go_on_ = true;
    thread_.join();
  }
  bool goes_on() const { return may_go_on_; }
  void go_on_soon() {
    later_ = std::thread([this] {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      may_go_on_ = true;
    });
  }

 private:
  std::atomic<bool> stopped_{false}, may_go_on_{false};
  std::thread thread_, later_;
};

// Danger: a thread is stopped inside its commit, perhaps for ever. A turn that begins has to wait for it; nobody else has.
TEST(PlatformUse, OnlyWhoseTurnHasBegunWaitsForACommitUnderWay) {
  StoreOptions options;
  options.policy = Policy::key_queue;
  options.ticket_threshold = 1;
  options.lease_least = hours(1);
  Store<Observed> store(options);
  store.compare_and_swap(0, WriteSet{}.set("m", 0).set("n", 0).set("other", 0));
  auto first = store.worker(), second = store.worker(), third = store.worker();
  const auto fail = [&](Worker<Observed>& worker, const char* path, const std::vector<std::string>& reads) {
    return store.compare_and_swap(0, WriteSet{}.set(path, 1), &worker, reads);
  };
  fail(first, "m", {});
  fail(second, "n", {});
  fail(second, "m", {"n"});  // which the first one has: now the second waits for both, and nobody has n
  ASSERT_EQ(second.ticket(), TicketStatus::queued);

  StoppedCommit stopped(store, "other");
  const CommitResult result = fail(third, "n", {});
  ASSERT_TRUE(std::holds_alternative<Conflict>(result));
  EXPECT_EQ(std::get<Conflict>(result).ticket, TicketStatus::queued) << "behind the second";
  EXPECT_EQ(store.await_turn(third, Observed::now()), TicketStatus::queued);
  stopped.go_on_soon();
  first.give_back();
  EXPECT_EQ(store.await_turn(second), TicketStatus::holding);
  EXPECT_TRUE(stopped.goes_on());
}

// S1. Danger: a commit passed the gate before a turn began, and changes in that turn what its holder has read.
TEST(PlatformUse, WhoseTurnBeginsWaitsForACommitUnderWay) {
  StoreOptions options;
  options.ticket_threshold = 1;
  options.lease_least = hours(1);
  Store<Observed> store(options);
  store.compare_and_swap(0, WriteSet{}.set("n", 0).set("other", 0));
  auto worker = store.worker();
  StoppedCommit stopped(store, "other");
  stopped.go_on_soon();
  const CommitResult result = store.compare_and_swap(0, WriteSet{}.set("n", 1), &worker);
  EXPECT_EQ(std::get<Conflict>(result).ticket, TicketStatus::holding);
  EXPECT_TRUE(stopped.goes_on());
}

// Danger: two users of one slot: the pin of a snapshot is overwritten by the view of a body.
TEST(PlatformUse, AWorkerKeepsItsSlotForItselfWhileItCommitsByHand) {
  Store<> store;
  auto worker = store.worker();
  store.compare_and_swap(0, WriteSet{}.set("a", 1), &worker);
  store.compare_and_swap(1, WriteSet{}.set("b", 1));
  const auto snapshot = store.snapshot(), another = store.snapshot();
  const auto process =
      store.process("p", {.inputs = {"a"}, .outputs = {"c"}}, [](Context<NativePlatform>& context) {
        EXPECT_EQ(context.read("a"), Value(1));  // pins its view
        context.set("c", 1);
      });
  EXPECT_TRUE(store.execute(worker, process).committed());
  EXPECT_EQ(store.statistics().snapshots_open, 2u);
}

}  // namespace
}  // namespace touchstone::engine
