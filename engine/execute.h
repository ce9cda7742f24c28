#pragma once
// execute(): runs a process until it is committed, handling Conflict and Busy by itself.
//
// Invariants, for a store with N workers (acceptance B4, B6, B10, B11):
//   E1  A conflict counts only against a worker that holds no claim; the threshold-th in a row joins the queue. Busy never counts.
//   E2  A worker with a claim runs its body only in its own turn, after the gate closed and earlier commits drained, and at once:
//       so that attempt cannot conflict while its lease lasts.
//   E3  Busy resubmits the same attempt; after busy_limit turns of others it joins the queue instead.
//   E4  So an execute() sees at most `threshold` conflicts and `threshold` + 1 body runs, plus one of each for each expiry of its
//       own lease, waits at the closed gate at most busy_limit times, and in the queue for the N - 1 others at most.
//   E5  However it ends (commit, exception, stop, deadline, attempt limit, refusal), the claim is given back first.
//   E6  Effects reach the sink after the install and after E5, on this thread, in program order, once.

#include "engine/backoff.h"
#include "engine/worker.h"

namespace touchstone::engine {

/// What ends an execute() early. The body is never interrupted: limits are looked at between attempts and
/// while waiting.
template <Platform P>
struct Limits {
  const StopFlag<P>* stop = nullptr;
  Time deadline = kForever;
  int attempts = INT_MAX;
};

/// Marks the calling thread as being inside a body of `store`, so that a commit from in there is refused.
template <Platform P>
class BodyFrame {
 public:
  explicit BodyFrame(const void* store) : store_(store), outer_(P::thread_slot()) { P::thread_slot() = this; }
  ~BodyFrame() { P::thread_slot() = outer_; }
  BodyFrame(const BodyFrame&) = delete;
  BodyFrame& operator=(const BodyFrame&) = delete;

  static bool inside(const void* store) {
    for (auto* frame = static_cast<BodyFrame*>(P::thread_slot()); frame != nullptr;
         frame = static_cast<BodyFrame*>(frame->outer_)) {
      if (frame->store_ == store) return true;
    }
    return false;
  }

 private:
  const void* store_;
  void* outer_;
};

template <Platform P>
class Execution {
 public:
  Execution(Store<P>& store, Worker<P>& worker, const Process<P>& process, const Limits<P>& limits,
            ExecuteResult& result)
      : store_(store), worker_(worker), process_(process), limits_(limits), result_(result) {
    worker_.expiries_ = 0;
  }

  ~Execution() { worker_.give_back(); }  // E5, also when the body throws
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  [[gnu::always_inline]] void run() {
    if (worker_.claimed()) join_for_outputs();  // it earned it by hand, perhaps for other paths
    while (!ended()) {
      if (result_.effort.attempts >= limits_.attempts) {
        result_.outcome = AttemptsExhausted{};
        break;
      }
      if (worker_.claimed() && !await_turn()) continue;
      if (attempt()) break;
    }
    finish();
  }

 private:
  static constexpr Duration kStopCheck =
      std::chrono::milliseconds(10);  ///< between two looks at the stop flag

  /// True if the limits end it; the outcome says so then.
  bool ended() {
    if (limits_.stop != nullptr && limits_.stop->requested()) {
      result_.outcome = Cancelled{};
      return true;
    }
    if (limits_.deadline != kForever && P::now() >= limits_.deadline) {
      result_.outcome = DeadlineExceeded{};
      return true;
    }
    return false;
  }

  /// Runs the body once and commits it. True if that ended the execution, with the outcome set.
  [[gnu::always_inline]] bool attempt() {
    ++result_.effort.attempts;
    worker_.counters().attempts.add(1);
    Context<P> context(store_, process_, *worker_.slot_, worker_.scratch_);
    run_body(context);
    if (context.refused_) return refuse(std::move(*context.refused_));
    context.view_.unpin();  // the commit needs the version only
    P::fault_point("execute:body_done");
    return submit(context, context.view_.version());
  }

  [[gnu::always_inline]] void run_body(Context<P>& context) {
    const BodyFrame<P> frame(&store_);
    const bool timed = worker_.failures_ > 0 || worker_.claimed();  // a first attempt need not know the time
    const Time begin = timed ? P::now() : Time{};
    try {
      process_.body_(context);
    } catch (const Error&) {
      if (!context.refused_) throw;
    } catch (const AttemptSpoiled&) {
    }
    if (timed) worker_.longest_attempt_ = std::max(worker_.longest_attempt_, P::now() - begin);
  }

  [[gnu::noinline]] bool refuse(Rejected why) {
    worker_.counters().rejected.add(1);
    result_.outcome = std::move(why);
    return true;
  }

  [[gnu::always_inline]] bool commit(Version version, CommitPath path) {
    worker_.succeeded(path);
    result_.outcome = Committed{version, path};
    if (!worker_.scratch_.effects.empty()) publish(version);
    return true;
  }

  /// Commits an attempt, however often the gate sends it back. False: run the body again.
  [[gnu::always_inline]] bool submit(const Context<P>& context, Version version) {
    Scratch<P>& scratch = worker_.scratch_;
    if (scratch.writes.empty() && context.spoiled_ == nullptr) return commit(version, CommitPath::empty);
    const bool plain = context.are_writes_plain();
    if (!plain) {
      if (auto refused = resolve(scratch.writes, store_.index_)) return refuse(std::move(*refused));
    }
    const bool all = plain && scratch.writes.size() == process_.outputs().size();
    const CommitRequest<P> request{version, all ? std::span<Cell<P>* const>{} : footprint(), scratch.writes};
    while (true) {
      const auto outcome = context.spoiled_ != nullptr
                               ? store_.committer_.refuse(context.spoiled_, request, worker_.claim_if_any())
                               : store_.committer_.attempt(request, *worker_.slot_, worker_.claim_if_any());
      if (outcome.kind == AttemptOutcome<P>::committed) [[likely]] {
        return commit(outcome.version, outcome.path);
      }
      switch (outcome.kind) {
        case AttemptOutcome<P>::committed:
        case AttemptOutcome<P>::under_scalar:
          return refuse(under_scalar(outcome.below->path(), outcome.where->path()));
        case AttemptOutcome<P>::conflict:
          ++result_.effort.conflicts;
          after_conflict(outcome);
          return false;
        case AttemptOutcome<P>::busy:
          worker_.counters().busy.add(1);
          if (!wait_at_gate(outcome.bar())) return ended();
      }
    }
  }

  /// The outputs, and with validate_reads what was read.
  [[gnu::noinline]] std::span<Cell<P>* const> footprint() {
    std::vector<Cell<P>*>& cells = worker_.scratch_.footprint;
    if (cells.empty()) return process_.outputs();
    cells.insert(cells.end(), process_.outputs().begin(), process_.outputs().end());
    sort_unique(cells);
    return cells;
  }

  /// Its turn reserves all that its commit may have to validate.
  [[gnu::noinline]] void join_for_outputs() {
    std::vector<Cell<P>*> cells(process_.outputs().begin(), process_.outputs().end());
    if (store_.options_.validate_reads) {
      cells.insert(cells.end(), process_.inputs_.begin(), process_.inputs_.end());
      sort_unique(cells);
    }
    worker_.join(cells);
  }

  [[gnu::noinline]] void after_conflict(const AttemptOutcome<P>& outcome) {
    if (worker_.conflicted(outcome.where)) return join_for_outputs();  // and no back-off
    const StoreOptions& options = store_.options_;
    if (!options.backoff) return;
    const Backoff backoff{options.backoff_base, options.backoff_cap};
    const Time begin = P::now();
    sleep_until(begin + backoff.draw(worker_.failures_, worker_.random_));
    account(worker_.counters().backoff_us, begin);
  }

  /// True when the same attempt may be submitted again; false when the body must run again or the limits
  /// ended it.
  [[gnu::noinline]] bool wait_at_gate(const Bar<P>& bar) {
    const Time begin = P::now();
    const bool again = await_open(bar);
    account(worker_.counters().gate_us, begin);
    return again;
  }

  bool await_open(Bar<P> bar) {
    if (worker_.claimed()) {  // its own turn ran out while the attempt was under way
      worker_.rejoin();
      return false;
    }
    while (TicketGate<P>::closed(bar.turn)) {
      if (store_.options_.ticket && turns_missed_ >= store_.options_.busy_limit) {
        join_for_outputs();
        worker_.counters().limit_joins.add(1);  // it stands in the queue: who sees the count comes behind it
        return false;
      }
      const auto now = store_.gate_.await_change(bar, next_check(), worker_.counters());
      if (now) {
        ++result_.effort.closings_waited;
        turns_missed_ += store_.gate_.turns(bar, *now);
        bar.turn = *now;
      } else if (ended()) {
        return false;
      }
    }
    spread_wake_ups();
    return !ended();
  }

  /// Waiters do not stampede when the gate opens (B9).
  void spread_wake_ups() {
    const auto range = static_cast<std::uint64_t>(store_.options_.backoff_base.count());
    if (range != 0) sleep_until(P::now() + Duration(static_cast<std::int64_t>(worker_.random_.below(range))));
  }

  /// True when its turn has begun and everything admitted earlier has finished (E2).
  [[gnu::noinline]] bool await_turn() {
    const Time begin = P::now();
    const TicketStatus status = store_.gate_.await_turn(worker_.claim_, next_check(), worker_.counters());
    if (status == TicketStatus::none) {
      worker_.rejoin();
    } else if (status == TicketStatus::holding) {
      result_.effort.closings_waited += std::exchange(worker_.claim_.turns_waited, 0);
      store_.drain(*worker_.slot_);
    }
    account(worker_.counters().gate_us, begin);
    return status == TicketStatus::holding;
  }

  Time next_check() const {
    return limits_.stop == nullptr ? limits_.deadline : std::min(limits_.deadline, P::now() + kStopCheck);
  }

  void sleep_until(Time until) {
    until = std::min(until, limits_.deadline);
    if (limits_.stop == nullptr) {
      P::sleep_until(until);
    } else {
      P::wait_until(
          limits_.stop->flag_, [](std::uint32_t requested) { return requested != 0; }, until);
    }
  }

  void account(typename P::counter& counter, Time begin) {
    const Duration waited = P::now() - begin;
    result_.effort.waited += waited;
    counter.add(microseconds(waited));
  }

  static std::uint64_t microseconds(Duration d) { return static_cast<std::uint64_t>(d.count()) / 1000; }

  /// E6. The sink may use this worker again, so the effects leave its scratch first.
  [[gnu::noinline]] void publish(Version version) {
    std::vector<Effect> effects = std::move(worker_.scratch_.effects);
    for (Effect& effect : effects) {
      effect.version = version;
      try {
        if (store_.options_.sink) store_.options_.sink(effect);
      } catch (...) {
        worker_.counters().effect_errors.add(1);
        if (!result_.effect_error) result_.effect_error = std::current_exception();
      }
    }
  }

  [[gnu::always_inline]] void finish() {
    worker_.give_back();
    Effort& effort = result_.effort;
    effort.expiries = worker_.expiries_;
    Counters<P>& counters = worker_.counters();
    const bool smooth = effort.conflicts == 0 && effort.waited == Duration(0);
    const auto conflicts = static_cast<std::size_t>(effort.conflicts);
    counters.retries[smooth ? 0 : std::min<std::size_t>(conflicts, kRetryBuckets - 1)].add(1);
    counters.waits[smooth ? 0 : log2_bucket<kWaitBuckets>(microseconds(effort.waited))].add(1);
  }

  Store<P>& store_;
  Worker<P>& worker_;
  const Process<P>& process_;
  const Limits<P>& limits_;
  ExecuteResult& result_;
  int turns_missed_ = 0;  ///< also those that passed in one wait, while this thread did not run
};

}  // namespace touchstone::engine
