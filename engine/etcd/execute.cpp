// EtcdContext, and execute(): engine/execute.h's invariants E1 to E6, with an etcd store's gate.

#include <algorithm>
#include <utility>

#include "engine/backoff.h"
#include "engine/etcd/store.h"

namespace touchstone::engine {
namespace {

bool covers(const std::vector<std::string>& declared, const std::string& path) {
  return std::any_of(declared.begin(), declared.end(), [&](const std::string& above) {
    return path == above || path.starts_with(below(above));
  });
}

}  // namespace

std::optional<Value> EtcdContext::read(const std::string& path) {
  if (auto refused = check_path(path)) throw Error(std::move(*refused));
  if (worker_.store_.options().validate_reads) {
    if (!covers(process_.contract.inputs, path) && !covers(process_.contract.outputs, path)) {
      refuse(ErrorCode::undeclared_read, "reads", path);
    }
    reads_.insert(path);
  }
  Leaves leaves;
  if (snapshot_.revision_ != 0) leaves = worker_.leaves_at(path, snapshot_.revision_);
  for (const WriteSet::Entry& write : writes_.entries()) apply(leaves, write);
  return value_at(leaves, path);
}

void EtcdContext::write(WriteSet::Entry entry) {
  if (auto refused = check_path(entry.path)) throw Error(std::move(*refused));
  if (!covers(process_.contract.outputs, entry.path))
    refuse(ErrorCode::undeclared_write, "writes", entry.path);
  if (entry.value) {
    writes_.set(std::move(entry.path), std::move(*entry.value));
  } else {
    writes_.erase(std::move(entry.path));
  }
}

void EtcdContext::refuse(ErrorCode code, const char* verb, const std::string& path) {
  refused_ =
      Rejected{code, "process " + process_.name + ' ' + verb + ' ' + path + ", which it does not declare"};
  throw Error(*refused_);
}

class EtcdExecution {
 public:
  EtcdExecution(EtcdWorker& worker, const EtcdProcess& process, const Limits<NativePlatform>& limits)
      : worker_(worker), options_(worker.store_.options()), process_(process), limits_(limits) {}
  ~EtcdExecution() { worker_.give_back(); }  // E5
  EtcdExecution(const EtcdExecution&) = delete;
  EtcdExecution& operator=(const EtcdExecution&) = delete;

  ExecuteResult run() {
    while (!ended()) {
      if (result_.effort.attempts >= limits_.attempts) {
        result_.outcome = AttemptsExhausted{};
        break;
      }
      if (worker_.claimed() && !await_turn()) continue;
      if (attempt()) break;
    }
    worker_.give_back();
    count();
    publish();
    return std::move(result_);
  }

 private:
  using Attempt = EtcdWorker::Attempt;

  static constexpr Duration kStopCheck = std::chrono::milliseconds(10);

  bool ended() {
    if (limits_.stop != nullptr && limits_.stop->requested()) {
      result_.outcome = Cancelled{};
      return true;
    }
    if (NativePlatform::now() >= limits_.deadline) {
      result_.outcome = DeadlineExceeded{};
      return true;
    }
    return false;
  }

  /// Until the next look at the limits.
  Time next_check() const {
    return limits_.stop == nullptr ? limits_.deadline
                                   : std::min(limits_.deadline, NativePlatform::now() + kStopCheck);
  }

  bool await_turn() {
    const Time begin = NativePlatform::now();
    const TicketStatus status = worker_.await_turn(next_check());
    count_turns(worker_.claim_.turns);
    account(worker_.counters_.gate_us, begin);
    return status == TicketStatus::holding;
  }

  void count_turns(std::int64_t now) {
    if (turns_ != 0 && now > turns_) result_.effort.closings_waited += static_cast<int>(now - turns_);
    if (now != 0) turns_ = now;
  }

  /// True if it ended the execution.
  bool attempt() {
    ++result_.effort.attempts;
    worker_.counters_.attempts.add(1);
    const Time begin = NativePlatform::now();
    EtcdContext context(worker_, process_);
    {
      const BodyFrame<NativePlatform> frame(&worker_.store_);
      try {
        process_.body(context);
      } catch (const Error&) {
        if (!context.refused_) throw;
      }
    }
    worker_.longest_attempt_ = std::max(worker_.longest_attempt_, NativePlatform::now() - begin);
    if (context.refused_) return end(std::move(*context.refused_));
    effects_ = std::move(context.effects_);
    if (context.writes_.empty()) {
      worker_.failures_ = 0;
      worker_.counters_.commits_empty.add(1);
      return end(Committed{context.version(), CommitPath::empty});
    }
    auto planned = plan_of(context.writes_);
    if (auto* refused = std::get_if<Rejected>(&planned)) return end(std::move(*refused));
    std::set<std::string> footprint(process_.contract.outputs.begin(), process_.contract.outputs.end());
    footprint.merge(context.reads_);
    return submit(context.snapshot_, std::get<EtcdPlan>(planned), footprint);
  }

  template <class Outcome>
  bool end(Outcome outcome) {
    result_.outcome = std::move(outcome);
    return true;
  }

  /// The same attempt, however often the gate sends it back (E3).
  bool submit(const EtcdSnapshot& snapshot, const EtcdPlan& plan, const std::set<std::string>& footprint) {
    int turns_missed = 0;
    for (int round = 0;; ++round) {
      const Attempt attempt = worker_.submit(snapshot.version_, snapshot.revision_, plan, footprint);
      switch (attempt.kind) {
        case Attempt::Kind::committed:
          return end(Committed{attempt.version, attempt.path});
        case Attempt::Kind::under_scalar:
          return end(under_scalar(*plan.named.begin(), attempt.where));
        case Attempt::Kind::expired:
          ++result_.effort.expiries;
          worker_.lose_turn();
          return false;
        case Attempt::Kind::conflict:
          ++result_.effort.conflicts;
          after_conflict();
          return false;
        case Attempt::Kind::busy:
          if (turns_ != 0 && attempt.turns > turns_) turns_missed += static_cast<int>(attempt.turns - turns_);
          count_turns(attempt.turns);
          if (turns_missed >= options_.busy_limit) {
            worker_.join();
            worker_.counters_.limit_joins.add(1);  // as in the store of one process: it stands in the queue
            return false;
          }
          wait(round);
          if (ended()) return true;
      }
    }
  }

  void after_conflict() {
    if (worker_.conflicted()) return worker_.join();  // and no back-off (E2)
    if (!options_.backoff) return;
    const Backoff backoff{options_.backoff_base, options_.backoff_cap};
    const Time begin = NativePlatform::now();
    sleep_until(begin + backoff.draw(worker_.failures_, worker_.random_));
    account(worker_.counters_.backoff_us, begin);
  }

  void wait(int round) {
    const Time begin = NativePlatform::now();
    worker_.pause(round, next_check());
    account(worker_.counters_.gate_us, begin);
  }

  void account(NativePlatform::counter& counter, Time begin) {
    const Duration waited = NativePlatform::now() - begin;
    result_.effort.waited += waited;
    counter.add(microseconds(waited));
  }

  static std::uint64_t microseconds(Duration d) { return static_cast<std::uint64_t>(d.count()) / 1000; }

  void count() {
    const auto conflicts = static_cast<std::size_t>(result_.effort.conflicts);
    worker_.counters_.retries[std::min(conflicts, kRetryBuckets - 1)].add(1);
    worker_.counters_.waits[log2_bucket<kWaitBuckets>(microseconds(result_.effort.waited))].add(1);
    if (std::holds_alternative<Rejected>(result_.outcome)) worker_.counters_.rejected.add(1);
  }

  void sleep_until(Time until) {
    while (NativePlatform::now() < std::min(until, limits_.deadline)) {
      if (limits_.stop != nullptr && limits_.stop->requested()) return;
      NativePlatform::sleep_until(std::min(until, next_check()));
    }
  }

  /// E6: after the commit and after E5.
  void publish() {
    const auto* committed = std::get_if<Committed>(&result_.outcome);
    if (committed == nullptr || !options_.sink) return;
    for (Effect& effect : effects_) {
      effect.version = committed->version;
      try {
        options_.sink(effect);
      } catch (...) {
        worker_.counters_.effect_errors.add(1);
        if (!result_.effect_error) result_.effect_error = std::current_exception();
      }
    }
  }

  EtcdWorker& worker_;
  const StoreOptions& options_;
  const EtcdProcess& process_;
  const Limits<NativePlatform>& limits_;
  ExecuteResult result_;
  std::vector<Effect> effects_;
  std::int64_t turns_ = 0;  ///< begun when last looked at
};

ExecuteResult EtcdWorker::execute(const EtcdProcess& process, const Limits<NativePlatform>& limits) {
  if (auto refused = check_caller(process.store)) return {std::move(*refused), {}, nullptr};
  return EtcdExecution(*this, process, limits).run();
}

}  // namespace touchstone::engine
