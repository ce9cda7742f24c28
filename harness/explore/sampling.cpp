#include "harness/explore/sampling.h"

#include <algorithm>
#include <array>

#include "engine/native_platform.h"
#include "harness/explore/scheduler.h"

namespace touchstone::harness::explore {

namespace {

constexpr std::array<const char*, 9> kNames = {"portfolio", "random",      "pct",   "pos",    "urw",
                                               "dpor",      "source-dpor", "plain", "bounded"};
__extension__ typedef unsigned __int128 Wide;  // g++ -Wpedantic wants to be told that we know
constexpr std::uint64_t kFaultOdds = 4;

/// What all of them share: a generator seeded per execution, and what they do with choices other than
/// threads.
class Sampler : public Strategy {
 public:
  void begin(Scheduler& scheduler) override { random_ = engine::SplitMix(scheduler.seed(), 0x7363686564); }

  std::uint64_t choose(Scheduler&, Choice what, std::uint64_t arity, std::uint64_t fallback) override {
    if (what == Choice::draw) return fallback;  // it comes from the seed already
    if (what == Choice::fault) return below(kFaultOdds) == 0 ? 1 + below(arity - 1) : 0;
    return below(arity);
  }

 protected:
  /// Nearly uniform, which is enough here, and one multiplication.
  std::uint64_t below(std::uint64_t bound) {
    return static_cast<std::uint64_t>((Wide{random_.next()} * bound) >> 64);
  }
  std::uint64_t draw() { return random_.next(); }

 private:
  engine::SplitMix random_{0, 0};
};

class RandomWalk final : public Sampler {
 public:
  ThreadId pick(Scheduler& scheduler) override {
    ThreadMask mask = scheduler.enabled();
    if ((mask & (mask - 1)) == 0) return lowest(mask);
    for (std::uint64_t skip = below(static_cast<std::uint64_t>(std::popcount(mask))); skip != 0; --skip)
      mask &= mask - 1;
    return lowest(mask);
  }
};

class PriorityChangePoints final : public Sampler {
 public:
  void begin(Scheduler& scheduler) override {
    Sampler::begin(scheduler);
    for (std::uint64_t& priority : priorities_) priority = kHigh | draw() >> 1;
    const std::size_t depth = 1 + below(kDeepest);
    changes_.clear();
    for (std::size_t i = 0; i + 1 < depth; ++i) changes_.push_back(below(longest_) + 1);
    std::sort(changes_.begin(), changes_.end());
    next_change_ = 0;
    low_ = kHigh - 1;
  }

  ThreadId pick(Scheduler& scheduler) override {
    const bool due = next_change_ < changes_.size() && scheduler.points() >= changes_[next_change_];
    if (due) ++next_change_;
    if (due || scheduler.running_yielded()) priorities_[scheduler.running()] = low_--;
    ThreadMask mask = scheduler.enabled();
    ThreadId best = lowest(mask);
    for (mask &= mask - 1; mask != 0; mask &= mask - 1) {
      if (priorities_[lowest(mask)] > priorities_[best]) best = lowest(mask);
    }
    return best;
  }

  void end(Scheduler& scheduler) override { longest_ = std::max(longest_, scheduler.points()); }

 private:
  static constexpr std::uint64_t kHigh = std::uint64_t{1} << 63;
  static constexpr std::uint64_t kDeepest = 4;

  std::array<std::uint64_t, kMaxThreads> priorities_{};
  std::vector<std::uint64_t> changes_;
  std::size_t next_change_ = 0;
  std::uint64_t low_ = 0;
  std::uint64_t longest_ = 1;
};

/// What a pending operation will do to its object, as far as one can say before it runs.
Access intent(const Operation& op) {
  switch (op.kind) {
    case Kind::load:
    case Kind::await:
    case Kind::wait:
      return Access::read;
    case Kind::notify:
      return Access::notify;
    default:
      return op.object == nullptr ? Access::none : Access::write;
  }
}

class PartialOrderSampling final : public Sampler {
 public:
  void begin(Scheduler& scheduler) override {
    Sampler::begin(scheduler);
    for (std::uint64_t& priority : priorities_) priority = draw();
    seen_ = 0;
  }

  ThreadId pick(Scheduler& scheduler) override {
    const ThreadId running = scheduler.running();
    priorities_[running] = draw();
    ThreadMask mask = scheduler.enabled();
    if (scheduler.events().size() != seen_) {
      seen_ = scheduler.events().size();
      redraw_racing(scheduler, scheduler.events().back(), mask);
    }
    ThreadId best = lowest(mask);
    for (mask &= mask - 1; mask != 0; mask &= mask - 1) {
      if (priorities_[lowest(mask)] > priorities_[best]) best = lowest(mask);
    }
    return best;
  }

 private:
  void redraw_racing(const Scheduler& scheduler, const Event& last, ThreadMask mask) {
    if (last.slot == 0) return;
    for (; mask != 0; mask &= mask - 1) {
      const Operation& op = *scheduler.task(lowest(mask)).pending;
      if (op.object != nullptr && op.object->slot == last.slot && dependent(intent(op), last.access)) {
        priorities_[lowest(mask)] = draw();
      }
    }
  }

  std::array<std::uint64_t, kMaxThreads> priorities_{};
  std::size_t seen_ = 0;
};

class WeightedWalk final : public Sampler {
 public:
  ThreadId pick(Scheduler& scheduler) override {
    ThreadMask mask = scheduler.enabled();
    if ((mask & (mask - 1)) == 0) return lowest(mask);
    std::uint64_t total = 0;
    for (ThreadMask rest = mask; rest != 0; rest &= rest - 1) total += left(scheduler, lowest(rest));
    std::uint64_t at = below(total);
    for (; (mask & (mask - 1)) != 0; mask &= mask - 1) {
      const std::uint64_t weight = left(scheduler, lowest(mask));
      if (at < weight) break;
      at -= weight;
    }
    return lowest(mask);
  }

  void end(Scheduler& scheduler) override {
    for (ThreadId i = 0; i < scheduler.threads(); ++i) {
      expected_[i] = std::max<std::uint64_t>((3 * expected_[i] + scheduler.task(i).steps) / 4, 1);
    }
  }

 private:
  std::uint64_t left(const Scheduler& scheduler, ThreadId id) const {
    const std::uint64_t done = scheduler.task(id).steps;
    return expected_[id] > done ? expected_[id] - done : 1;
  }

  std::array<std::uint64_t, kMaxThreads> expected_{};
};

class Portfolio final : public Strategy {
 public:
  void begin(Scheduler& scheduler) override {
    now_ = members_[engine::SplitMix(scheduler.seed(), 0x726f74617465).below(members_.size())].get();
    now_->begin(scheduler);
  }
  ThreadId pick(Scheduler& scheduler) override { return now_->pick(scheduler); }
  std::uint64_t choose(Scheduler& scheduler, Choice what, std::uint64_t arity,
                       std::uint64_t fallback) override {
    return now_->choose(scheduler, what, arity, fallback);
  }
  void end(Scheduler& scheduler) override { now_->end(scheduler); }

 private:
  std::array<std::unique_ptr<Strategy>, 4> members_ = {
      make_sampler(Algorithm::random), make_sampler(Algorithm::pct), make_sampler(Algorithm::pos),
      make_sampler(Algorithm::urw)};
  Strategy* now_ = nullptr;
};

}  // namespace

const char* name_of(Algorithm algorithm) {
  return kNames[static_cast<std::size_t>(algorithm)];
}

std::optional<Algorithm> parse_algorithm(std::string_view name) {
  const auto* const found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Algorithm>(found - kNames.begin());
}

std::unique_ptr<Strategy> make_sampler(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::random:
      return std::make_unique<RandomWalk>();
    case Algorithm::pct:
      return std::make_unique<PriorityChangePoints>();
    case Algorithm::pos:
      return std::make_unique<PartialOrderSampling>();
    case Algorithm::urw:
      return std::make_unique<WeightedWalk>();
    default:
      return std::make_unique<Portfolio>();
  }
}

}  // namespace touchstone::harness::explore
