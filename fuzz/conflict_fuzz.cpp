// The store and its specification side by side: the same operations, one after the other, by several workers, compared after each.
//
// Danger: an answer, a value, a changed version or a ticket that the specification does not allow, on a sequence of operations that
// nobody thought of. No thread is involved, so the specification has one state and nearly one answer at each step, and whatever
// fails replays exactly. Kept snapshots are compared too after every operation: they must never change.

#include <array>
#include <deque>
#include <memory>
#include <set>
#include <string>

#include "fuzz/conflict_program.h"
#include "fuzz/target.h"
#include "harness/reference_engine.h"
#include "model/ticket_spec.h"

namespace touchstone::fuzz {
namespace {

using Native = engine::NativePlatform;
using Worker = engine::Worker<Native>;
using model::StoreResponse;
using model::TicketEvent;

constexpr std::size_t kMostSnapshots = 4;

engine::StoreOptions options_of(const Program& program) {
  engine::StoreOptions options;
  options.mode = program.strict ? engine::Mode::strict : engine::Mode::smart;
  options.validate_reads = program.validate_reads;
  options.ticket = program.ticket;
  options.policy = program.key_queue ? engine::Policy::key_queue : engine::Policy::ticket;
  options.backoff = false;
  options.lease_least = std::chrono::hours(1);  // so that the verdict depends on no clock
  return options;
}

/// What differs. Thrown, so that the comparisons stay flat.
struct Difference {
  std::string what;
};

void expect(bool holds, const std::string& otherwise) {
  if (!holds) throw Difference{otherwise};
}

class SideBySide {
 public:
  explicit SideBySide(const Program& program)
      : validates_reads_(program.validate_reads),
        has_ticket_(program.ticket),
        failures_(program.tired ? 4 : 0),
        spec_({.strict = program.strict,
               .validate_reads = program.validate_reads,
               .gate_may_close = program.ticket}),
        tickets_({.by_key = program.key_queue && !program.strict}),
        store_(options_of(program)) {
    for (int i = 0; i < kWorkers; ++i) hire(i);
  }

  void run(const Operation& operation) {
    switch (operation.kind) {
      case Operation::Kind::cas:
        cas(operation);
        break;
      case Operation::Kind::execute:
        execute(operation);
        break;
      case Operation::Kind::snapshot:
        if (snapshots_.size() < kMostSnapshots) snapshots_.push_back({store_.snapshot(), state_});
        break;
      case Operation::Kind::release:
        if (!snapshots_.empty()) {
          snapshots_.erase(snapshots_.begin() +
                           operation.distance % static_cast<std::ptrdiff_t>(snapshots_.size()));
        }
        break;
      case Operation::Kind::give_back:
        worker(operation).give_back();
        if (standing(operation.worker) != model::Place::kFree) ticket(operation.worker, TicketEvent::kLeft);
        break;
      case Operation::Kind::replace:
        workers_[static_cast<std::size_t>(operation.worker)].reset();
        ticket(operation.worker, TicketEvent::kLeft);
        hire(operation.worker);
        break;
      case Operation::Kind::reclaim:
        store_.reclaim();
        break;
      case Operation::Kind::read:
        read(paths()[operation.steps.front().path].second);
        break;
    }
    compare();
  }

 private:
  struct Kept {
    engine::Snapshot<Native> snapshot;
    model::StoreState state;
  };

  void hire(int id) {
    workers_[static_cast<std::size_t>(id)] =
        std::unique_ptr<Worker>(new Worker(store_.worker({.failures = failures_})));
    if (has_ticket_ && failures_ > 0)
      tickets_state_.workers[static_cast<model::WorkerId>(id)].conflicts =
          static_cast<std::uint32_t>(failures_);
  }

  Worker& worker(const Operation& operation) { return *workers_[static_cast<std::size_t>(operation.worker)]; }

  // --- the ticket's side ---

  using Paths = std::set<std::string>;

  model::Place standing(int id) const {
    return model::standing_of(tickets_state_, static_cast<model::WorkerId>(id)).place;
  }

  /// True if a turn of somebody else keeps such a commit out.
  bool shut_for(int id, const Paths& paths) const {
    return tickets_.barred_by(tickets_state_, static_cast<model::WorkerId>(id), paths).has_value();
  }

  /// True if an execute() that may write these paths would wait for somebody else: in the queue, if it is there, or at the gate.
  bool would_wait(int id, const Paths& paths) const {
    if (standing(id) == model::Place::kFree) return shut_for(id, paths);
    model::TicketState then = tickets_state_;
    const auto worker = static_cast<model::WorkerId>(id);
    tickets_.perform(then, {worker, TicketEvent::kSentBack, paths});
    return model::standing_of(then, worker).place != model::Place::kHolding;
  }

  void ticket(int id, TicketEvent event, const Paths& paths = {}) {
    if (has_ticket_) tickets_.perform(tickets_state_, {static_cast<model::WorkerId>(id), event, paths});
  }

  static model::Place place_of(engine::TicketStatus status) {
    switch (status) {
      case engine::TicketStatus::holding:
        return model::Place::kHolding;
      case engine::TicketStatus::queued:
        return model::Place::kQueued;
      case engine::TicketStatus::none:
        break;
    }
    return model::Place::kFree;
  }

  // --- operations ---

  static void add_step(const Step& step, model::CompareAndSwap& call) {
    const std::string& path = paths()[step.path].second;
    if (step.kind == Step::Kind::reads) {
      call.reads.push_back(path);
    } else if (step.kind == Step::Kind::set) {
      call.writes.push_back({path, values()[step.other].second});
    } else if (step.kind == Step::Kind::erase) {
      call.writes.push_back({path, std::nullopt});
    }
  }

  /// What a commit by hand validates, to the last leaf of a composite.
  static Paths validated(const model::CompareAndSwap& call) {
    Paths all(call.reads.begin(), call.reads.end());
    for (const model::Write& write : call.writes) {
      all.insert(write.path);
      if (!write.value) continue;
      for (const auto& [below, leaf] : *write.value)
        all.insert(below.empty() ? write.path : write.path + "." + below);
    }
    return all;
  }

  void cas(const Operation& operation) {
    model::CompareAndSwap call;
    const auto back = static_cast<std::uint64_t>(std::abs(operation.distance));
    if (operation.distance < 0) {
      call.expected = state_.version + back;
    } else {
      call.expected = state_.version - std::min(state_.version, back);
    }
    for (const Step& step : operation.steps) add_step(step, call);
    if (!validates_reads_) call.reads.clear();  // by hand, reads that are given are always validated
    const auto result = store_.compare_and_swap(call.expected, harness::to_engine(call.writes),
                                                &worker(operation), call.reads);
    const StoreResponse response = harness::to_model(result);
    const Paths wanted = validated(call);
    const bool shut = shut_for(operation.worker, wanted);
    judge(call, response);
    if (std::holds_alternative<engine::Busy>(result)) {
      expect(shut, "Busy, although it is in nobody's way");
      ticket(operation.worker, TicketEvent::kSentBack, wanted);
    } else if (const auto* conflict = std::get_if<engine::Conflict>(&result)) {
      expect(!shut, "a conflict was decided behind a closed gate");
      ticket(operation.worker, TicketEvent::kConflicted, wanted);
      expect(place_of(conflict->ticket) == standing(operation.worker),
             "the conflict reports another ticket than the specification");
    } else if (std::holds_alternative<engine::Committed>(result)) {
      expect(!shut || call.writes.empty(), "a commit passed a closed gate");
      ticket(operation.worker, TicketEvent::kCommitted, wanted);
    }
  }

  static model::BodyStep body_step(const Step& step) {
    const std::string& path = paths()[step.path].second;
    switch (step.kind) {
      case Step::Kind::set:
        return model::Write{path, values()[step.other].second};
      case Step::Kind::add:
        return model::AddInteger{path, static_cast<std::int64_t>(step.other)};
      case Step::Kind::copy:
        return model::CopySubtree{path, paths()[step.other].second};
      case Step::Kind::erase:
      case Step::Kind::reads:
        break;
    }
    return model::Write{path, std::nullopt};
  }

  static void put(engine::Context<Native>& context, const std::string& path,
                  std::optional<engine::Value> value) {
    if (value) {
      context.set(path, std::move(*value));
    } else {
      context.erase(path);
    }
  }

  static void act(engine::Context<Native>& context, const model::BodyStep& step) {
    if (const auto* write = std::get_if<model::Write>(&step)) {
      put(context, write->path,
          write->value ? std::optional(harness::to_engine(*write->value)) : std::nullopt);
    } else if (const auto* copy = std::get_if<model::CopySubtree>(&step)) {
      put(context, copy->to, context.read(copy->from));
    } else if (const auto* add = std::get_if<model::AddInteger>(&step)) {
      auto sum = static_cast<std::uint64_t>(add->delta);
      if (const auto held = context.read(add->path); held && held->is_scalar()) {
        if (const auto* whole = std::get_if<std::int64_t>(&held->scalar()))
          sum += static_cast<std::uint64_t>(*whole);
      }
      context.set(add->path, static_cast<std::int64_t>(sum));
    }
  }

  void execute(const Operation& operation) {
    model::Execute call;
    for (const Step& step : operation.steps) call.body.push_back(body_step(step));
    const engine::Contract contract = harness::contract_of(call);
    Paths reserved(contract.outputs.begin(), contract.outputs.end());
    if (validates_reads_) reserved.insert(contract.inputs.begin(), contract.inputs.end());
    engine::StopFlag<Native> stop;
    if (would_wait(operation.worker, reserved)) stop.request();  // alone, it would wait for ever
    StoreResponse response = model::GaveUp{};
    try {
      const auto process = store_.process("body", contract, [&](engine::Context<Native>& context) {
        for (const auto& step : call.body) act(context, step);
      });
      const auto result = store_.execute(worker(operation), process, {.stop = &stop});
      response = harness::to_model(result);
      expect(result.effort.conflicts == 0 && result.effort.attempts <= 1,
             "an execute() alone had to try twice");
      const bool was_in_line = standing(operation.worker) != model::Place::kFree;
      if (result.committed()) ticket(operation.worker, TicketEvent::kCommitted);
      if (!result.committed() && was_in_line) ticket(operation.worker, TicketEvent::kLeft);
    } catch (const engine::Error& error) {
      response = harness::to_model(error.rejected());
    }
    if (!stop.requested())
      expect(!std::holds_alternative<model::GaveUp>(response), "execute() gave up unasked");
    judge(call, response);
  }

  void read(const std::string& path) {
    StoreResponse response;
    try {
      response = model::ValueRead{harness::to_model(store_.read(path))};
    } catch (const engine::Error& error) {
      response = harness::to_model(error.rejected());
    }
    judge(model::ReadPath{path}, response);
  }

  // --- comparisons ---

  void judge(const model::StoreOperation& operation, const StoreResponse& response) {
    const auto illegal = spec_.advance(state_, operation, &response);
    if (illegal) throw Difference{"answered " + model::describe(response) + ": " + illegal->reason};
  }

  void compare() {
    compare(store_.snapshot(), state_, "the state");
    for (const Kept& kept : snapshots_) compare(kept.snapshot, kept.state, "a kept snapshot");
    for (int i = 0; i < kWorkers; ++i) {
      Worker& each = *workers_[static_cast<std::size_t>(i)];
      const std::string name = "worker " + std::to_string(i);
      expect(place_of(each.ticket()) == standing(i), name + " has another ticket than the specification");
      const auto known = tickets_state_.workers.find(static_cast<model::WorkerId>(i));
      const auto failures =
          known == tickets_state_.workers.end() ? 0U : std::min(known->second.conflicts, 5U);
      if (has_ticket_)
        expect(each.failures() == static_cast<int>(failures), name + " has another count of failures");
    }
  }

  static std::string words(const std::optional<model::Subtree>& value) {
    return value ? model::describe(*value) : "absent";
  }

  static void compare(const engine::Snapshot<Native>& snapshot, const model::StoreState& state,
                      const std::string& what) {
    expect(snapshot.version() == state.version, what + " is at version " +
                                                    std::to_string(snapshot.version()) + ", not " +
                                                    std::to_string(state.version));
    for (const auto& [word, path] : paths()) {
      if (model::flaw_of(path)) continue;
      const auto held = harness::to_model(snapshot.read(path)), right = model::read(state, path);
      expect(held.has_value() == right.has_value() && (!held || model::same(*held, *right)),
             what + " has " + word + " as " + words(held) + ", not " + words(right));
      const auto stamp = state.changed.find(path);
      const std::uint64_t changed = stamp == state.changed.end() ? 0 : stamp->second;
      expect(snapshot.changed(path) == changed, what + " has " + word + " changed at version " +
                                                    std::to_string(snapshot.changed(path)) + ", not " +
                                                    std::to_string(changed));
    }
  }

  const bool validates_reads_;
  const bool has_ticket_;
  const int failures_;  ///< that a worker begins with
  const model::StoreSpec spec_;
  model::StoreState state_;
  const model::TicketSpec tickets_;
  model::TicketState tickets_state_;
  engine::Store<Native> store_;
  std::array<std::unique_ptr<Worker>, kWorkers> workers_;
  std::deque<Kept> snapshots_;
};

std::optional<std::string> judge(const Program& program) {
  SideBySide both(program);
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    try {
      both.run(program.operations[i]);
    } catch (const Difference& difference) {
      Program until = program;
      until.operations.resize(i + 1);
      return "after the last line of\n" + to_text(until) + difference.what;
    }
  }
  return std::nullopt;
}

}  // namespace

const char* const kTarget = "conflict_fuzz";

std::optional<std::string> judge_input(std::span<const std::uint8_t> input) {
  return judge(decode(input));
}

std::optional<std::string> judge_text(const std::string& text) {
  const auto parsed = parse_program(text);
  if (const auto* error = std::get_if<ParseError>(&parsed))
    return "line " + std::to_string(error->line) + ": " + error->what;
  return judge(std::get<Program>(parsed));
}

}  // namespace touchstone::fuzz
