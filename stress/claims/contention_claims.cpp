// B10, seen: one slow worker among five fast ones, once with the ticket and once without. Time is virtual, so the picture is the seed's and
// not the machine's: an attempt lasts as long as its body thinks, and all that a worker waits for is drawn.

#include <fmt/format.h>

#include <array>
#include <chrono>

#include "engine/store.h"
#include "harness/explore/controlled_platform.h"
#include "harness/explore/explorer.h"
#include "stress/claims/claims.h"

namespace touchstone::stress {
namespace {

using namespace touchstone::engine;  // the claims are about it
using harness::ClaimRun;
using harness::ContendedRun;
using harness::Contention;
using harness::ReplayClass;
using harness::Seed;
namespace explore = harness::explore;
using P = explore::ControlledPlatform;

constexpr std::array<const char*, 6> kNames = {"slow", "fast 1", "fast 2", "fast 3", "fast 4", "fast 5"};
constexpr std::size_t kMostTurns = 1'024;

double milliseconds(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

/// What the crowd does, told without memory of its own: an execution's memory is gone with it (explorer.h).
class Crowd {
 public:
  explicit Crowd(bool ticket) : ticket_(ticket) { run_.windows.reserve(kMostTurns); }

  void operator()() {
    efforts_ = {};
    run_.windows.clear();
    const Time begin = P::now();
    Store<P> store({.ticket = ticket_, .busy_limit = 8});
    store.compare_and_swap(0, WriteSet{}.set("hot", 0));
    std::array<P::thread, kNames.size()> threads;
    for (std::size_t id = 0; id < kNames.size(); ++id)
      threads[id] = P::thread::named(kNames[id], [&, id] { work(store, id, begin); });
    for (auto& thread : threads) thread.join();
    const std::int64_t sum = store.read("hot")->integer();
    explore::require(sum == executions(0) + 5 * executions(1), fmt::format("the sum is {}", sum));
    end_ = P::now() - begin;
    statistics_ = store.statistics();
  }

  /// After the execution.
  ContendedRun taken() const {
    ContendedRun taken = run_;
    for (std::size_t id = 0; id < kNames.size(); ++id)
      taken.workers.push_back({kNames[id], efforts_[id].commits, efforts_[id].retries, efforts_[id].waited});
    taken.answers = {"Commits by path, and attempts that did not commit",
                     {{"fast", statistics_.commits_fast},
                      {"merged", statistics_.commits_merged},
                      {"conflict", statistics_.conflicts},
                      {"busy", statistics_.busy}}};
    taken.end = milliseconds(end_);
    return taken;
  }

 private:
  struct Told {
    std::uint64_t commits = 0, retries = 0;
    double waited = 0;
  };

  static int executions(std::size_t id) { return id == 0 ? 3 : 30; }

  /// The slow one thinks for 20 ms, the fast ones for 1 to 3; the fast ones write an own path in two of three executions.
  void work(Store<P>& store, std::size_t id, Time begin) {
    auto worker = store.worker();
    const std::string own = fmt::format("own.{}", id);
    Time turn{};
    const auto body = [&](Context<P>& context, bool hot) {
      turn = worker.ticket() == TicketStatus::holding ? P::now() : Time{};
      const std::string& path = hot ? kHot : own;
      const auto n = context.read(path);
      P::sleep_until(P::now() + std::chrono::milliseconds(id == 0 ? 20 : 1 + id % 3));
      context.set(path, n ? n->integer() + 1 : 1);
    };
    const auto on_hot = store.process("hot", {.inputs = {kHot}, .outputs = {kHot}},
                                      [&](Context<P>& context) { body(context, true); });
    const auto on_own = store.process("own", {.inputs = {own}, .outputs = {own}},
                                      [&](Context<P>& context) { body(context, false); });
    for (int i = 0; i < executions(id) * (id == 0 ? 1 : 3); ++i) {
      const ExecuteResult result = store.execute(worker, i % 3 == 0 || id == 0 ? on_hot : on_own);
      const Effort& effort = result.effort;
      explore::require(result.committed(), "an execution ended without a commit");
      if (ticket_)
        explore::require(effort.conflicts <= 5 + effort.expiries,
                         fmt::format("{} conflicts in one execution", effort.conflicts));
      efforts_[id].commits += 1;
      efforts_[id].retries += static_cast<std::uint64_t>(effort.conflicts);
      efforts_[id].waited += milliseconds(effort.waited);
      if (turn != Time{} && run_.windows.size() < kMostTurns)
        run_.windows.push_back({kNames[id], milliseconds(turn - begin), milliseconds(P::now() - begin)});
      turn = {};
    }
  }

  inline static const std::string kHot = "hot";

  bool ticket_;
  std::array<Told, kNames.size()> efforts_{};
  ContendedRun run_;
  Duration end_{0};
  Statistics statistics_;
};

ContendedRun seen(ClaimRun& run, Seed seed, bool ticket) {
  Crowd crowd(ticket);
  const explore::Report report =
      explore::explore([&crowd] { crowd(); }, {.algorithm = explore::Algorithm::random,
                                               .seed = seed.value(),
                                               .executions = 1,
                                               .max_points = 10'000'000,
                                               .shrink = false,
                                               .determinism_checks = 0});
  if (report.failure)
    run.require(false, "{} the ticket: {}", ticket ? "with" : "without", report.failure->failure.message);
  ++run.tried().schedules;
  return crowd.taken();
}

void slow_among_fast(ClaimRun& run) {
  run.once([&](Seed seed) {
    run.figures().contention = Contention{
        "One worker that thinks for 20 ms, 3 times, among five that think for 1 to 3 ms, in virtual time",
        seen(run, seed, true), seen(run, seed, false)};
  });
}

}  // namespace

void add_contention_claims(harness::ClaimRegistry& registry) {
  registry.add_part("B10", {"crowd", "virtual time", ReplayClass::exact, 0, slow_among_fast});
}

}  // namespace touchstone::stress
