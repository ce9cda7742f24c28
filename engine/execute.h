#pragma once
// execute(): runs a process until it is committed, handling Conflict and Busy by itself.
//
// Invariants, for a store with N workers (acceptance B4, B6, B10, B11):
//   E1  A conflict counts only against a worker that holds no claim; the threshold-th in a row joins the
//   queue. Busy never counts. E2  A worker with a claim runs its body only in its own turn, after the gate
//   closed and earlier commits drained, and at once:
//       so that attempt cannot conflict while its lease lasts.
//   E3  Busy resubmits the same attempt; after busy_limit closings waited out it joins the queue instead.
//   E4  So an execute() sees at most `threshold` conflicts and `threshold` + 1 body runs, plus one of each
//   for each expiry of its
//       own lease, and waits out at most busy_limit + N - 1 turns of others between two of those.
//   E5  However it ends (commit, exception, stop, deadline, attempt limit, refusal), the claim is given back
//   first. E6  Effects reach the sink after the install and after E5, on this thread, in program order, once.

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
  Execution(Store<P>& store, Worker<P>& worker, const Process<P>& process, const Limits<P>& limits)
      : store_(store), worker_(worker), process_(process), limits_(limits) {
    worker_.expiries_ = 0;
  }

  ~Execution() { worker_.give_back(); }  // E5, also when the body throws
  Execution(const Execution&) = delete;
  Execution& operator=(const Execution&) = delete;

  ExecuteResult run() {
    while (true) {
      if (auto end = ended()) return finish(std::move(*end));
      if (effort_.attempts >= limits_.attempts) return finish(AttemptsExhausted{});
      if (worker_.claimed() && !await_turn()) continue;
      if (auto outcome = attempt()) return finish(std::move(*outcome));
    }
  }

 private:
  using End = decltype(ExecuteResult::outcome);

  static constexpr Duration kStopCheck =
      std::chrono::milliseconds(10);  ///< between two looks at the stop flag

  std::optional<End> ended() const {
    if (limits_.stop != nullptr && limits_.stop->requested()) return Cancelled{};
    if (limits_.deadline != kForever && P::now() >= limits_.deadline) return DeadlineExceeded{};
    return std::nullopt;
  }

  /// Runs the body once and commits it. Nothing: try again.
  std::optional<End> attempt() {
    ++effort_.attempts;
    worker_.counters().attempts.add(1);
    View<P> view(*worker_.slot_, store_.epoch_);
    Context<P> context(store_, process_, view, worker_.scratch_);
    if (auto refused = run_body(context)) return refused;
    view.unpin();  // the commit needs the version only
    P::fault_point("execute:body_done");
    std::optional<End> end = submit(context, view);
    if (end && std::holds_alternative<Committed>(*end)) publish(std::get<Committed>(*end).version);
    return end;
  }

  std::optional<End> run_body(Context<P>& context) {
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
    if (!context.refused_) return std::nullopt;
    worker_.counters().rejected.add(1);
    return End(*context.refused_);
  }

  /// Commits an attempt, however often the gate sends it back. Nothing: run the body again.
  std::optional<End> submit(const Context<P>& context, const View<P>& view) {
    Scratch<P>& scratch = worker_.scratch_;
    if (scratch.writes.empty() && context.spoiled_ == nullptr) {
      worker_.succeeded(CommitPath::empty);
      return End(Committed{view.version(), CommitPath::empty});
    }
    if (auto refused = Resolver<P>(store_.index_).resolve(scratch.writes, scratch.puts)) {
      worker_.counters().rejected.add(1);
      return End(std::move(*refused));
    }
    const CommitRequest<P> request{view.version(), footprint(), scratch.puts};
    while (true) {
      const auto outcome = context.spoiled_ != nullptr
                               ? store_.committer_.refuse(context.spoiled_, worker_.claim_if_any())
                               : store_.committer_.attempt(request, *worker_.slot_, worker_.claim_if_any());
      switch (outcome.kind) {
        case AttemptOutcome<P>::committed:
          worker_.succeeded(outcome.path);
          return End(Committed{outcome.version, outcome.path});
        case AttemptOutcome<P>::under_scalar:
          worker_.counters().rejected.add(1);
          return End(Resolver<P>::under_scalar(outcome.below->path(), outcome.where->path()));
        case AttemptOutcome<P>::conflict:
          ++effort_.conflicts;
          after_conflict(outcome);
          return std::nullopt;
        case AttemptOutcome<P>::busy:
          worker_.counters().busy.add(1);
          if (!wait_at_gate(outcome.gate)) return ended();
      }
    }
  }

  /// The outputs, and with validate_reads what was read.
  std::span<Cell<P>* const> footprint() {
    std::vector<Cell<P>*>& reads = worker_.scratch_.footprint;
    if (reads.empty()) return process_.outputs_;
    reads.insert(reads.end(), process_.outputs_.begin(), process_.outputs_.end());
    sort_unique(reads);
    return reads;
  }

  void after_conflict(const AttemptOutcome<P>& outcome) {
    if (worker_.conflicted(outcome.where)) return;  // it has a claim now, or had one: no back-off
    const StoreOptions& options = store_.options_;
    if (!options.backoff) return;
    const Backoff backoff{options.backoff_base, options.backoff_cap};
    const Time begin = P::now();
    sleep_until(begin + backoff.draw(worker_.failures_, worker_.random_));
    account(worker_.counters().backoff_us, begin);
  }

  /// True when the same attempt may be submitted again; false when the body must run again or the limits
  /// ended it.
  bool wait_at_gate(std::uint64_t gate) {
    const Time begin = P::now();
    const bool again = await_open(gate);
    account(worker_.counters().gate_us, begin);
    return again;
  }

  bool await_open(std::uint64_t gate) {
    if (worker_.claimed()) {  // its own turn ran out while the attempt was under way
      worker_.rejoin();
      return false;
    }
    while (TicketGate<P>::closed(gate)) {
      if (store_.options_.ticket && effort_.closings_waited >= store_.options_.busy_limit) {
        worker_.counters().limit_joins.add(1);
        worker_.join();
        return false;
      }
      const auto now = store_.gate_.await_change(gate, next_check(), worker_.counters());
      if (now) {
        effort_.closings_waited += TicketGate<P>::turns(gate, *now);
        gate = *now;
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
  bool await_turn() {
    const Time begin = P::now();
    const TicketStatus status = store_.gate_.await_turn(worker_.claim_, next_check(), worker_.counters());
    if (status == TicketStatus::none) {
      worker_.rejoin();
    } else if (status == TicketStatus::holding) {
      if (const std::uint64_t turn = worker_.claim_.token.load(); turn != 0) {  // else it has run out already
        effort_.closings_waited += TicketGate<P>::turns(worker_.claim_.joined_at, turn);
        worker_.claim_.joined_at = turn;
      }
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
    effort_.waited += waited;
    counter.add(microseconds(waited));
  }

  static std::uint64_t microseconds(Duration d) { return static_cast<std::uint64_t>(d.count()) / 1000; }

  void publish(Version version) {
    for (Effect& effect : worker_.scratch_.effects) {
      effect.version = version;
      try {
        if (store_.options_.sink) store_.options_.sink(effect);
      } catch (...) {
        worker_.counters().effect_errors.add(1);
        if (!effect_error_) effect_error_ = std::current_exception();
      }
    }
  }

  ExecuteResult finish(End outcome) {
    worker_.give_back();
    effort_.expiries = worker_.expiries_;
    Counters<P>& counters = worker_.counters();
    counters.retries[std::min<std::size_t>(static_cast<std::size_t>(effort_.conflicts), kRetryBuckets - 1)]
        .add(1);
    counters.waits[log2_bucket<kWaitBuckets>(microseconds(effort_.waited))].add(1);
    return {std::move(outcome), effort_, std::move(effect_error_)};
  }

  Store<P>& store_;
  Worker<P>& worker_;
  const Process<P>& process_;
  const Limits<P>& limits_;
  Effort effort_;
  std::exception_ptr effect_error_;
};

}  // namespace touchstone::engine
