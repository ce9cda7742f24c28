// What becomes of a store when memory runs out at any allocation of a call: nothing is committed by halves, nothing is lost, and
// the next call works. The global operator new fails once, at the n-th allocation of the call, for every n that there is.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <string.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <optional>
#include <thread>

#include "engine/segments/fork_guard.h"
#include "engine/store.h"

namespace {

constexpr int kNever = -1;
thread_local int allocations_left = kNever;  ///< before one fails
thread_local const std::function<void()>* instead_of_failing = nullptr;
thread_local long held = 0;  ///< allocations that were not given back yet

// Before a block stands its size, and behind it what nobody may write on. What is given back holds nothing any more.
constexpr std::size_t kBehind = 64;
constexpr unsigned char kUntouched = 0xa5;

std::size_t room_before(std::size_t alignment) {
  return std::max(alignment, alignof(std::max_align_t));
}

void* allocate(std::size_t size, std::size_t alignment) {
  if (allocations_left == 0) {
    allocations_left = kNever;
    if (instead_of_failing == nullptr) throw std::bad_alloc();
    (*instead_of_failing)();
  }
  if (allocations_left > 0) --allocations_left;
  const std::size_t before = room_before(alignment);
  const std::size_t whole = (before + size + kBehind + before - 1) / before * before;
  auto* const block = static_cast<unsigned char*>(std::aligned_alloc(before, whole));
  if (block == nullptr) throw std::bad_alloc();
  unsigned char* const memory = block + before;
  std::memcpy(memory - sizeof size, &size, sizeof size);
  std::memset(memory + size, kUntouched, kBehind);
  ++held;
  return memory;
}

void give_back(void* given, std::size_t alignment = alignof(std::max_align_t)) {
  if (given == nullptr) return;
  auto* const memory = static_cast<unsigned char*>(given);
  std::size_t size = 0;
  std::memcpy(&size, memory - sizeof size, sizeof size);
  for (std::size_t i = 0; i < kBehind; ++i) {
    if (memory[size + i] != kUntouched) {
      std::fprintf(stderr, "byte %zu behind a block of %zu was written\n", i, size);
      std::abort();
    }
  }
  --held;
  ::explicit_bzero(memory, size);
  std::free(memory - room_before(alignment));
}

}  // namespace

void* operator new(std::size_t size) {
  return allocate(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::align_val_t alignment) noexcept {
  give_back(memory, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory, std::size_t, std::align_val_t alignment) noexcept {
  give_back(memory, static_cast<std::size_t>(alignment));
}

namespace touchstone::engine {
namespace {

/// Calls `call` until it needs no more than the allocations it is given: 0, 1, 2, ... Returns how often it failed; `after_failure`
/// is called after each.
template <class Call, class Check>
int fail_at_every_allocation(Call call, Check after_failure) {
  for (int failures = 0;; ++failures) {
    allocations_left = failures;
    try {
      call();
      const bool all_used =
          allocations_left == kNever;  // swallowed on the way: allowed where nothing depends on it
      allocations_left = kNever;
      if (!all_used) return failures;
    } catch (const std::bad_alloc&) {
      after_failure();
    }
  }
}

std::string text(int generation) {
  return "a text that is longer than what fits into a string itself, number " + std::to_string(generation);
}

std::string path(int i) {
  return "zone.whose_paths_need_memory_when_they_are_spelt_out." + std::to_string(i);
}

WriteSet write_all(int texts, int generation) {
  WriteSet writes;
  for (int i = 0; i < texts; ++i) writes.set(path(i), text(generation));
  return writes;
}

struct Shape {
  int texts;        ///< paths that hold one
  int generations;  ///< of older values that an open snapshot each holds
  int fresh;        ///< paths that the commit makes
};

class OutOfMemory : public testing::TestWithParam<Shape> {};

// The danger: a commit has announced itself and taken its version, and then an allocation fails. It cannot go back, and going on
// needs the memory. The shapes are those that want much at that moment: more texts to retire in one commit than any batch, long
// chains of which everything may go at once because their snapshots have just closed, and both. The oracle is the snapshot before
// and after: a failed call has changed neither version nor state, and the store goes on working.
TEST_P(OutOfMemory, ACommitHappensWholeOrNotAtAll) {
  const Shape& shape = GetParam();
  Store<> store;
  std::vector<Snapshot<NativePlatform>> open;
  for (int generation = 0; generation <= shape.generations; ++generation) {
    ASSERT_TRUE(std::holds_alternative<Committed>(
        store.compare_and_swap(store.version(), write_all(shape.texts, generation))));
    if (generation < shape.generations) open.push_back(store.snapshot());
  }
  open.clear();
  const Version before = store.version();
  const auto state = store.read("zone");
  WriteSet writes = write_all(shape.texts, -1);
  for (int i = 0; i < shape.fresh; ++i) writes.set("fresh." + std::to_string(i), text(i));
  CommitResult result;
  const int failures = fail_at_every_allocation([&] { result = store.compare_and_swap(before, writes); },
                                                [&] {
                                                  ASSERT_EQ(store.version(), before);
                                                  ASSERT_EQ(store.read("zone"), state);
                                                  ASSERT_FALSE(store.read("fresh"));
                                                });
  EXPECT_GT(failures, shape.texts) << "the loop never reached the allocations of the commit";
  ASSERT_TRUE(std::holds_alternative<Committed>(result));
  EXPECT_EQ(store.version(), before + 1);
  EXPECT_EQ(store.read(path(0))->text(), text(-1));
  store.reclaim();
  store.reclaim();
  const Statistics counts = store.statistics();
  EXPECT_EQ(counts.nodes_made - counts.nodes_freed, static_cast<std::uint64_t>(shape.texts + shape.fresh))
      << "one node a text is left";
}

INSTANTIATE_TEST_SUITE_P(Shapes, OutOfMemory,
                         testing::Values(Shape{1, 0, 0}, Shape{70, 3, 0}, Shape{10, 20, 5}, Shape{70, 20, 3},
                                         Shape{200, 2, 0}, Shape{3, 60, 0}),
                         [](const auto& info) {
                           return std::to_string(info.param.texts) + "Texts" +
                                  std::to_string(info.param.generations) + "Generations" +
                                  std::to_string(info.param.fresh) + "Fresh";
                         });

// Writes are put in order in the memory that they have, and in no more: here it is full.
TEST(OutOfMemory, SortingTheWritesOfACommitWritesNothingBehindThem) {
  Store<> store;
  for (int i = 0; i < 4; ++i) store.key(path(i));
  for (const int last : {1, 3}) {
    WriteSet writes;
    for (int i = last; i >= 0; --i) writes.set(path(i), i);
    EXPECT_TRUE(std::holds_alternative<Committed>(store.compare_and_swap(store.version(), writes)));
    EXPECT_EQ(store.read(path(last)), Value(last));
  }
}

// With a snapshot open every old value is kept, so the commit needs a node for each number it replaces.
TEST(OutOfMemory, ACommitBesideAnOpenSnapshotHappensWholeOrNotAtAll) {
  Store<> store;
  WriteSet numbers, more;
  for (int i = 0; i < 100; ++i) numbers.set(path(i), i), more.set(path(i), i + 1);
  store.compare_and_swap(0, numbers);
  const auto held = store.snapshot();
  const auto state = held.read("zone");
  const int failures = fail_at_every_allocation([&] { store.compare_and_swap(1, more); },
                                                [&] { ASSERT_EQ(store.version(), 1u); });
  EXPECT_GT(failures, 10);  // what a failed call has set aside the next one finds
  EXPECT_EQ(store.version(), 2u);
  EXPECT_EQ(held.read("zone"), state);
  EXPECT_EQ(store.read(path(7))->integer(), 8);
}

// A worker at the threshold joins the queue, which needs memory too: a failure there must not leave a claim that nobody gives back,
// or the gate would stay shut to all others.
TEST(OutOfMemory, AnExecutionThatEndsByItGivesItsTicketBack) {
  Store<> store({.backoff = false, .ticket_threshold = 1});
  store.compare_and_swap(0, WriteSet{}.set("counter", 0));
  const Key<NativePlatform> counter = store.key("counter");
  int runs = 0, failures = 0;
  const auto disturbed = store.process("disturbed", {.outputs = {"counter"}}, [&](auto& context) {
    const auto seen = context.template get<std::int64_t>(counter);
    if (++runs % 2 == 1) {  // somebody else is faster: the first conflict earns the ticket
      const int left = std::exchange(allocations_left, kNever);
      std::thread([&] {
        store.compare_and_swap(store.version(), WriteSet{}.set("counter", *seen + 10));
      }).join();
      allocations_left = left;
    }
    context.set(counter, *seen + 1);
  });
  failures = fail_at_every_allocation(
      [&] {
        runs = 0;
        auto worker = store.worker();
        store.execute(worker, disturbed);
      },
      [&] {
        const Version now = store.version();
        ASSERT_TRUE(
            std::holds_alternative<Committed>(store.compare_and_swap(now, WriteSet{}.set("other", 1))))
            << "the gate is still closed";
      });
  EXPECT_GT(failures, 1);
  EXPECT_GT(store.statistics().grants, 0u);
}

// A slot is released by destructors, which must not fail.
TEST(OutOfMemory, SlotsAreGivenBackWithoutAny) {
  Slots<NativePlatform> slots;
  std::vector<Slot<NativePlatform>*> all;
  for (int i = 0; i < 9; ++i) all.push_back(slots.acquire());
  allocations_left = 0;
  for (Slot<NativePlatform>* slot : all) slots.release(slot);
  EXPECT_EQ(std::exchange(allocations_left, kNever), 0) << "none was asked for";
}

// What a failed call has made it must not keep, or each failure would cost a slot that nobody can use.
TEST(OutOfMemory, ASlotThatCannotBeAcquiredIsNotKept) {
  const auto memory_of = [](auto acquire) {
    const long before = held;
    Slots<NativePlatform> slots;
    acquire([&] { slots.acquire(); });
    return held - before;
  };
  const long once = memory_of([](auto acquire) { acquire(); });
  int failures = 0;
  const long after_failures =
      memory_of([&](auto acquire) { failures = fail_at_every_allocation(acquire, [] {}); });
  EXPECT_GT(failures, 1);
  EXPECT_EQ(after_failures, once);
}

// Old values are freed after a grace period, and noting its readers takes memory. Without it the period has not begun: a value whose
// readers were not all noted would be freed under their feet.
TEST(OutOfMemory, AGracePeriodBeginsWithAllItsReadersOrNotAtAll) {
  using P = NativePlatform;
  for (int left = 0; left < 2; ++left) {  // the list of readers grows twice
    Slots<P> slots;
    const P::atomic<std::uint64_t> open{0};
    Reclaimer<P> reclaimer(slots, open);
    Slot<P>& mine = *slots.acquire();
    Slot<P>* const readers[] = {slots.acquire(), slots.acquire()};
    mine.retired.push(new Node<P>);
    reclaimer.collect(mine);
    ASSERT_EQ(mine.waiting.size(), 1u);
    mine.retired.push(new Node<P>);
    for (Slot<P>* reader : readers) reader->reading.store(1);
    allocations_left = left;
    EXPECT_THROW(reclaimer.collect(mine), std::bad_alloc);
    EXPECT_EQ(mine.retired.size(), 1u);
    EXPECT_EQ(mine.waiting.size(), 0u) << "the first one's period was over";
    EXPECT_EQ(mine.counters.nodes_freed.load(), 1u);
    for (int look = 0; look < 2; ++look) reclaimer.collect(mine);
    EXPECT_EQ(mine.counters.nodes_freed.load(), 1u) << "still read";
    for (Slot<P>* reader : readers) reader->reading.store(2);
    for (int look = 0; look < 2; ++look) reclaimer.collect(mine);
    EXPECT_EQ(mine.counters.nodes_freed.load(), 2u);
  }
}

TEST(OutOfMemory, AChainThatCannotBeTrimmedStaysAndIsCountedAsALook) {
  using P = NativePlatform;
  Slots<P> slots;
  const P::atomic<std::uint64_t> open{1};
  Reclaimer<P> reclaimer(slots, open);
  Slot<P>& mine = *slots.acquire();
  slots.acquire()->pin.store(Pin::exact(1));
  Cell<P> root(nullptr, 0, ""), cell(&root, 1, "a");
  for (const Version now : {2, 3}) {
    Reclaimer<P>::reserve(1, mine);
    reclaimer.keep(cell, word::make(now - 1, Kind::integer), now, true, mine);
  }
  allocations_left = 0;
  reclaimer.trim(cell, 3, mine);
  EXPECT_EQ(std::exchange(allocations_left, kNever), kNever) << "it wanted some";
  EXPECT_EQ(cell.chain_length, 2u);
  EXPECT_EQ(mine.retired.size(), 0u);
  EXPECT_EQ(mine.counters.trims.load(), 1u);
  reclaimer.trim(cell, 3, mine);
  EXPECT_EQ(cell.chain_length, 1u) << "what the snapshot at 1 reads";
  EXPECT_EQ(mine.counters.trims.load(), 2u);
  delete cell.older.load();
}

// A commit takes a slot, its own or one that is free: so commits need no more of them than there are at once.
TEST(OutOfMemory, CommitsThatReplaceANumberTakeNoMemoryForGood) {
  Store<> store;
  auto worker = store.worker();
  const auto commit = [&](Worker<NativePlatform>* by) {
    store.compare_and_swap(store.version(), WriteSet{}.set("n", 1), by);
  };
  for (Worker<NativePlatform>* const by : {&worker, static_cast<Worker<NativePlatform>*>(nullptr)}) {
    commit(by);
    const long before = held;
    for (int i = 0; i < 10; ++i) commit(by);
    EXPECT_EQ(held, before);
  }
}

// Values go to chains, to lists of unlinked nodes and to spares, and texts are nodes of their own: whoever ends first, nothing is left.
TEST(OutOfMemory, AStoreGivesBackAllItsMemory) {
  const long before = held;
  {
    Store<> store;
    auto worker = store.worker();
    std::optional<Snapshot<NativePlatform>> snapshot;
    for (int generation = 0; generation < 200; ++generation) {
      if (generation == 50) snapshot.emplace(store.snapshot());
      if (generation == 120) snapshot.reset();
      WriteSet writes = write_all(3, generation);
      writes.set("number", generation).set("tree", Composite{{"t", text(generation)}, {"n", generation}});
      if (generation % 7 == 0) writes.erase(path(1));
      if (generation % 11 == 0) writes.set(path(2), generation);
      ASSERT_TRUE(
          std::holds_alternative<Committed>(store.compare_and_swap(store.version(), writes, &worker)));
      store.compare_and_swap(0, writes, &worker);  // refused: what it carried goes too
    }
    store.compare_and_swap(store.version(), WriteSet{}.set("number", text(1)).set("number.below", text(2)));
    snapshot.emplace(store.snapshot());
    for (int generation = 0; generation < 3; ++generation)
      store.compare_and_swap(store.version(), write_all(1, generation).set("last", generation));
    snapshot.reset();  // and nobody comes by the chains that were kept for it
    EXPECT_GT(held, before);
  }
  EXPECT_EQ(held, before);
}

// Interning makes room for more paths as it goes. Half a table must never be the one that later paths go into.
TEST(OutOfMemory, AnInternedPathIsFoundAgainAfterAnyFailure) {
  Store<> store;
  int next = 0;
  while (next < 200) {
    const std::string name = path(next);
    fail_at_every_allocation([&] { store.key(name); }, [&] { ASSERT_FALSE(store.read(name)); });
    ASSERT_EQ(store.key(name), store.key(name));
    ++next;
  }
  const std::uint64_t paths = 200 + 2;  // with the two above them
  EXPECT_EQ(store.statistics().paths, paths) << "what failed made no path twice";
  EXPECT_TRUE(std::holds_alternative<Committed>(store.compare_and_swap(0, write_all(200, 1))));
  EXPECT_EQ(store.statistics().paths, paths);
}

// Danger (S3): a body that keeps no snapshot open copies a text while somebody replaces it and gives its memory back. The copy allocates,
// so that is a moment at which the other one can be made to come. The oracle: what the body gets is the text of its version, whole.
TEST(Reading, ATextIsNotFreedWhileABodyCopiesIt) {
  int came = 0;
  for (int allocation = 0; came == allocation; ++allocation) {
    Store<> store({.backoff = false});
    ASSERT_TRUE(std::holds_alternative<Committed>(store.compare_and_swap(0, WriteSet{}.set("t", text(1)))));
    const std::function<void()> replace = [&] {
      ++came;
      std::thread([&] {
        store.compare_and_swap(1, WriteSet{}.set("t", text(2)));
        for (int i = 0; i < 3; ++i) store.reclaim();
      }).join();
    };
    int runs = 0;
    auto worker = store.worker();
    const auto process = store.process("p", {.outputs = {"t"}}, [&](auto& context) {
      instead_of_failing = &replace;
      if (++runs == 1) allocations_left = allocation;
      const auto seen = context.read("t");
      allocations_left = kNever;
      EXPECT_EQ(seen->text(), text(runs));
      context.set("t", 1);
    });
    EXPECT_TRUE(store.execute(worker, process).committed());
    allocations_left = kNever;
    instead_of_failing = nullptr;
    EXPECT_EQ(runs, came > allocation ? 2 : 1);
  }
  EXPECT_GT(came, 0) << "a text that long is copied into memory";
}

// A descriptor that the guard cannot make a note of would never be closed in a child: where there is no memory for the note, none is
// opened.
TEST(OutOfMemory, ADescriptorThatCannotBeNotedIsNotOpened) {
  std::vector<GuardedDescriptor> kept;
  kept.reserve(50);
  std::size_t opened = 0;
  const std::function<int()> open = [&] {
    ++opened;
    return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  };
  int failures = 0;
  for (int i = 0; i < 50; ++i)
    failures += fail_at_every_allocation([&] { kept.push_back(GuardedDescriptor::open(open)); },
                                         [&] { ASSERT_EQ(opened, kept.size()); });
  EXPECT_GT(failures, 1);
  EXPECT_EQ(opened, 50u);
}

}  // namespace
}  // namespace touchstone::engine
