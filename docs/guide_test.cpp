// The guide's examples, compiled and run. Every ```cpp block of docs/guide.md is the text between two of the marks below, in the same
// order (guide_text_test.cpp compares them), so what the guide shows is what runs here.

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <numeric>

#include "engine/segments/attachment.h"
#include "engine/segments/owner.h"
#include "engine/store.h"

namespace touchstone {
namespace {

using namespace std::chrono_literals;

TEST(Guide, ASystemThatNeedsNoTuning) {
  // guide: begin
  using namespace touchstone::engine;

  Store<> store;                                   // Smart CAS, back-off and the priority ticket are on
  Worker<NativePlatform> worker = store.worker();  // one for each thread: failures and tickets belong to it

  auto count = store.process("count", {.outputs = {"counter"}}, [](Context<NativePlatform>& ctx) {
    const auto now = ctx.read("counter");
    ctx.set("counter", now ? now->integer() + 1 : 1);
  });
  ExecuteResult result = store.execute(worker, count);
  // guide: end
  EXPECT_TRUE(result.committed());
  EXPECT_EQ(store.read("counter"), Value(1));
}

TEST(Guide, GranularOutputsMergeAndRootOutputsDoNot) {
  using namespace touchstone::engine;
  Store<> store({.backoff_base = 1us});
  const auto process_camera = [](Context<NativePlatform>& ctx) { ctx.set("domain.camera_data", 1); };
  // guide: begin
  auto good =
      store.process("camera", {.outputs = {"domain.camera_data"}}, process_camera);  // only this is checked
  auto poor = store.process("camera", {.outputs = {"domain"}}, process_camera);      // everything below is
  // guide: end
  auto worker = store.worker();
  EXPECT_TRUE(store.execute(worker, good).committed());
  EXPECT_TRUE(store.execute(worker, poor).committed());
  // guide: begin
  const Version base = store.version();
  store.compare_and_swap(base, WriteSet{}.set("domain.lidar", 7));  // a neighbour commits first

  const auto granular = store.compare_and_swap(base, WriteSet{}.set("domain.camera_data", 8));
  const auto whole = store.compare_and_swap(base, WriteSet{}.set("domain", Composite{{"camera_data", 9}}));

  const bool merged =
      std::holds_alternative<Committed>(granular);  // true: the neighbour is none of its business
  const bool refused = std::holds_alternative<Conflict>(whole);  // true: it would have wiped the lidar unseen
  // guide: end
  EXPECT_TRUE(merged);
  EXPECT_TRUE(refused);
}

// guide: begin
/// Adds one to `path` by hand. False when `deadline` came first.
bool add_by_hand(engine::Store<>& store, engine::Worker<engine::NativePlatform>& worker, const char* path,
                 engine::Time deadline) {
  using namespace touchstone::engine;
  for (int retry = 1; NativePlatform::now() < deadline; ++retry) {
    if (worker.ticket() != TicketStatus::none)
      store.await_turn(worker, deadline);  // it has earned a turn of its own

    const auto snapshot = store.snapshot();  // read after the turn began: then this attempt cannot conflict
    const auto now = snapshot.read(path);
    const auto result = store.compare_and_swap(snapshot.version(),
                                               WriteSet{}.set(path, now ? now->integer() + 1 : 1), &worker);

    if (std::holds_alternative<Committed>(result)) return true;
    if (std::holds_alternative<Rejected>(result)) throw Error(std::get<Rejected>(result));
    if (const auto* busy = std::get_if<Busy>(&result)) {
      if (worker.ticket() == TicketStatus::none)
        std::this_thread::sleep_for(std::min<Duration>(busy->retry_after, 5ms));
      continue;  // somebody else's turn: not a failure of ours
    }
    if (worker.ticket() == TicketStatus::none) std::this_thread::sleep_for(1ms * (1 << std::min(retry, 5)));
  }
  worker.give_back();  // who gives up with a place in the queue leaves it
  return false;
}
// guide: end

TEST(Guide, AManualLoopRespectsBusyAndLosesNothing) {
  engine::Store<> store({.backoff_base = 100us});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      auto worker = store.worker();
      for (int i = 0; i < 25; ++i) EXPECT_TRUE(add_by_hand(store, worker, "n", engine::kForever));
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(store.read("n"), engine::Value(100));
  auto holder = store.worker({.failures = 4}), late = store.worker();
  store.compare_and_swap(0, engine::WriteSet{}.set("n", 0), &holder);
  EXPECT_FALSE(add_by_hand(store, late, "n", engine::NativePlatform::now() + 5ms)) << "the gate is shut";
}

TEST(Guide, AnExecuteEndsWhenItIsToldTo) {
  using namespace touchstone::engine;
  Store<> store;
  auto worker = store.worker();
  auto count =
      store.process("count", {.outputs = {"n"}}, [](Context<NativePlatform>& ctx) { ctx.set("n", 1); });
  // guide: begin
  StopFlag<NativePlatform> stop;  // request() from any thread
  const auto result =
      store.execute(worker, count, {.stop = &stop, .deadline = NativePlatform::now() + 2s, .attempts = 20});
  if (const auto* rejected = std::get_if<Rejected>(&result.outcome)) throw Error(*rejected);
  const bool done =
      result.committed();  // else Cancelled, DeadlineExceeded or AttemptsExhausted: nothing was written
  // guide: end
  EXPECT_TRUE(done);
}

TEST(Guide, EffectsGoOutOnceAndSnapshotsStay) {
  using namespace touchstone::engine;
  // guide: begin
  std::vector<std::string> log;
  Store<> store({.sink = [&log](const Effect& effect) { log.push_back(effect.topic); }});
  auto worker = store.worker();
  auto frame = store.process("frame", {.outputs = {"frame"}}, [](Context<NativePlatform>& ctx) {
    ctx.set("frame", 1);
    ctx.emit("frame_ready", 1);  // published once, after the commit, however often the body ran
  });
  store.execute(worker, frame);

  const auto snapshot = store.snapshot();  // version 1, for ever
  store.compare_and_swap(store.version(), WriteSet{}.set("frame", 2));
  const auto before = snapshot.read("frame")->integer();  // still 1
  // guide: end
  EXPECT_EQ(log, std::vector<std::string>{"frame_ready"});
  EXPECT_EQ(before, 1);
}

TEST(Guide, ValidatedReadsForbidWriteSkew) {
  using namespace touchstone::engine;
  // guide: begin
  Store<> store({.validate_reads = true});  // serializable: what a body read must be unchanged too
  auto worker = store.worker();
  auto leave = store.process("leave", {.inputs = {"on_call"}, .outputs = {"on_call.a"}},
                             [](Context<NativePlatform>& ctx) {
                               if (ctx.read("on_call.b")) ctx.erase("on_call.a");
                             });
  // guide: end
  store.compare_and_swap(0, WriteSet{}.set("on_call", Composite{{"a", 1}, {"b", 1}}));
  EXPECT_TRUE(store.execute(worker, leave).committed());
  EXPECT_EQ(to_text(*store.read("on_call")), "{b: 1}");
}

// The directory stands in for /dev/shm, so that the example touches nobody's segments.
TEST(Guide, MainAllocatesAndAWorkerReads) {
  using namespace touchstone::engine;
  const std::string directory = testing::TempDir() + "guide_segments";
  std::filesystem::create_directory(directory);
  {
    // guide: begin
    auto owner = SegmentOwner::open(
        {.session = "demo", .directory = directory});  // first removes what dead owners left
    if (!owner) throw std::runtime_error(describe(owner.error()));

    const std::vector<std::byte> pixels(80'000, std::byte{1});
    const auto frame =
        owner->allocate("frame", pixels);  // theus:demo:{this pid}:frame; complete or not there at all

    const pid_t child = ::fork();
    if (child == 0) {  // after a fork the child is a worker: it may read what main allocated
      const auto seen = Attachment::attach(*frame, directory);  // no copy, and the mapping is read-only
      long sum = 0;
      for (const std::byte pixel : seen->bytes()) sum += std::to_integer<long>(pixel);
      const bool may_allocate = owner->allocate("mine", pixels).has_value();  // false: worker_role
      ::_exit(sum == 80'000 && !may_allocate ? 0 : 1);
    }
    // guide: end
    ASSERT_GT(child, 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    // guide: begin
    const std::vector<std::byte> next(80'000, std::byte{2});
    const bool replaced =
        owner->replace("frame", next).has_value();  // whoever has attached the old one keeps it
    const bool freed =
        owner->free("frame").has_value();  // only its creator may; the destructor frees the rest
    // guide: end
    EXPECT_TRUE(replaced && freed);
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory));
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace touchstone
