#include "model/automaton.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "model/cell_spec.h"

namespace touchstone::model {
namespace {

/// One register without versions: a state is a value. Values that no operation mentions as read or expected
/// are one state (U1): nothing can tell them apart.
class RegisterAutomaton : public Automaton {
 public:
  RegisterAutomaton(const History& history, const Representatives& classes, bool endless)
      : history_(history), endless_(endless) {
    for (ClassId id = 0; id < classes.size(); ++id) {
      const Operation& it = classes[id];
      if (it.function == Function::kRead) mentioned_.push_back(it.observed);
      if (it.function == Function::kCas) mentioned_.push_back(it.expected);
    }
    std::sort(mentioned_.begin(), mentioned_.end());
    mentioned_.erase(std::unique(mentioned_.begin(), mentioned_.end()), mentioned_.end());
    classes_.reserve(classes.size());
    for (ClassId id = 0; id < classes.size(); ++id) {
      const Operation& it = classes[id];
      if (it.function == Function::kRead) {
        classes_.push_back({Kind::kRead, it.observed, it.observed});
      } else if (it.function == Function::kWrite) {
        classes_.push_back({Kind::kWrite, kNil, canonical(it.argument)});
      } else if (it.outcome == Outcome::kFail) {
        classes_.push_back({Kind::kFailedCas, it.expected, kNil});
      } else {
        classes_.push_back({Kind::kCas, it.expected, canonical(it.argument)});
      }
    }
  }

  StateId initial() override { return canonical(history_.initial); }

  std::optional<Scalar> held(StateId state) const override {
    return state == kNil ? std::nullopt : std::optional(history_.values.scalar(state));
  }
  StateId holding(ValueId value) override { return canonical(value); }

  StateId step(StateId state, ClassId operation) override {
    const Class& it = classes_[operation];
    switch (it.kind) {
      case Kind::kWrite:
        return it.to;
      case Kind::kFailedCas:
        return state != it.from ? state : kIllegalState;
      default:
        return state == it.from ? it.to : kIllegalState;
    }
  }

  ClassTraits traits(ClassId operation) const override {
    const Kind kind = classes_[operation].kind;
    if (kind == Kind::kWrite) return {false, 0};
    return {kind == Kind::kRead || kind == Kind::kFailedCas, kNotBlind};
  }

  std::string describe(StateId state) const override {
    return state == kUnmentioned ? "a value that nobody reads" : history_.values.describe(state);
  }

  std::string reason(StateId state, ClassId operation) override {
    const Class& it = classes_[operation];
    const std::string value = history_.values.describe(it.from);
    if (it.kind == Kind::kWrite) return "it fits here, but then nothing fits what comes after";
    if (it.kind == Kind::kRead) return "it saw " + value + " where the value is " + describe(state);
    return std::string(it.kind == Kind::kFailedCas ? "it failed" : "it succeeded") + " expecting " + value +
           " where the value is " + describe(state);
  }

  std::size_t bytes() const override { return classes_.size() * sizeof(Class); }

 private:
  static constexpr StateId kUnmentioned = kIllegalState - 1;

  enum class Kind : std::uint8_t { kRead, kWrite, kCas, kFailedCas };

  struct Class {
    Kind kind;
    ValueId from;
    ValueId to;
  };

  ValueId canonical(ValueId value) const {
    if (endless_) return value;
    return std::binary_search(mentioned_.begin(), mentioned_.end(), value) ? value : kUnmentioned;
  }

  const History& history_;
  bool endless_;
  std::vector<Class> classes_;
  std::vector<ValueId> mentioned_;
};

/// Any specification: states and transitions are numbered as they are met, compared exactly.
template <class State, class Less>
class TableAutomaton : public Automaton {
 public:
  StateId initial() override { return intern(first_state()); }

  StateId step(StateId state, ClassId operation) override {
    const std::uint64_t key = (std::uint64_t{state} << 32U) | operation;
    const auto [known, fresh] = steps_.try_emplace(key, kIllegalState);
    if (!fresh) return known->second;
    State next = *states_[state];
    if (advance(next, operation)) return kIllegalState;
    const StateId id = intern(std::move(next));
    steps_[key] = id;
    return id;
  }

  std::string reason(StateId state, ClassId operation) override {
    State next = *states_[state];
    const auto illegal = advance(next, operation);
    return illegal ? illegal->reason : "it fits here, but then nothing fits what comes after";
  }

  std::size_t bytes() const override { return states_.size() * 256 + steps_.size() * 48; }

 protected:
  virtual State first_state() const = 0;
  virtual std::optional<Illegal> advance(State& state, ClassId operation) const = 0;

  const State& state_of(StateId id) const { return *states_[id]; }

  StateId intern(State state) {
    const auto [known, fresh] = ids_.try_emplace(std::move(state), static_cast<StateId>(states_.size()));
    if (fresh) states_.push_back(&known->first);
    return known->second;
  }

 private:
  std::map<State, StateId, Less> ids_;
  std::vector<const State*> states_;
  std::unordered_map<std::uint64_t, StateId> steps_;
};

struct SpecLess {
  bool operator()(const StoreState& a, const StoreState& b) const { return StoreSpec::compare(a, b) < 0; }
  bool operator()(const TicketState& a, const TicketState& b) const { return TicketSpec::compare(a, b) < 0; }
  bool operator()(const SegmentState& a, const SegmentState& b) const {
    return SegmentSpec::compare(a, b) < 0;
  }
};

template <class Specification>
class SpecAutomaton : public TableAutomaton<typename Specification::State, SpecLess> {
  using State = typename Specification::State;

 public:
  SpecAutomaton(Specification specification, const std::vector<Call<Specification>>& calls,
                const Representatives& classes)
      : specification_(specification), calls_(calls), classes_(classes) {}

  ClassTraits traits(ClassId operation) const override {
    const auto& call = calls_[classes_[operation].argument];
    return {Specification::observes_only(call.operation, call.response ? &*call.response : nullptr),
            kNotBlind};
  }

  std::string describe(StateId state) const override { return model::describe(this->state_of(state)); }

 protected:
  State first_state() const override { return State{}; }

  std::optional<Illegal> advance(State& state, ClassId operation) const override {
    const auto& call = calls_[classes_[operation].argument];
    return specification_.advance(state, call.operation, call.response ? &*call.response : nullptr);
  }

 private:
  Specification specification_;
  const std::vector<Call<Specification>>& calls_;
  const Representatives& classes_;
};

struct CellLess {
  bool operator()(const CellState& left, const CellState& right) const {
    auto a = left.begin();
    auto b = right.begin();
    for (; a != left.end() && b != right.end(); ++a, ++b) {
      if (a->first != b->first) return a->first < b->first;
      if (a->second.version != b->second.version) return a->second.version < b->second.version;
      const auto& x = a->second.value;
      const auto& y = b->second.value;
      if (x.has_value() != y.has_value()) return !x.has_value();
      if (!x) continue;
      if (const int order = compare(*x, *y); order != 0) return order < 0;
    }
    return a == left.end() && b != right.end();
  }
};

/// Cells with versions or appended strings, one or several of them.
class CellAutomaton : public TableAutomaton<CellState, CellLess> {
 public:
  CellAutomaton(const History& history, const Representatives& classes)
      : history_(history), spec_(history), classes_(classes), versions_(classes.any([](const Operation& it) {
          return it.version != kNoVersion || it.function == Function::kCasVersion;
        })) {}

  ClassTraits traits(ClassId operation) const override {
    const Operation& it = classes_[operation];
    if (it.function == Function::kRead || it.outcome == Outcome::kFail) return {true, kNotBlind};
    if (it.function == Function::kWrite && !versions_) return {false, it.key};
    return {};
  }

  bool may_extend_to(StateId state, ClassId observer) override {
    const Operation& it = classes_[observer];
    const auto cell = state_of(state).find(it.key);
    if (cell == state_of(state).end()) return true;
    const auto* held = cell->second.value ? std::get_if<std::string>(&*cell->second.value) : nullptr;
    const auto* seen =
        it.observed == kNil ? nullptr : std::get_if<std::string>(&history_.values.scalar(it.observed));
    if (held == nullptr || seen == nullptr) return true;
    return seen->compare(0, held->size(), *held) == 0;
  }

  std::optional<Scalar> held(StateId state) const override {
    const CellState& cells = state_of(state);
    return cells.empty() ? std::nullopt : cells.begin()->second.value;
  }
  StateId holding(ValueId value) override {
    CellState state = first_state();
    const auto scalar = value == kNil ? std::nullopt : std::optional(history_.values.scalar(value));
    if (!state.empty()) state.begin()->second.value = scalar;
    return intern(std::move(state));
  }

  std::string describe(StateId state) const override {
    std::string out;
    for (const auto& [key, cell] : state_of(state)) {
      out += (out.empty() ? "" : ", ") +
             (history_.keys.size() > 1 ? history_.keys.name(key) + ": " : std::string());
      out += model::describe(cell.value);
      if (versions_) out += " at version " + std::to_string(cell.version);
    }
    return out.empty() ? "untouched" : out;
  }

 protected:
  /// Every cell is there from the start, so that equal states are equal maps.
  CellState first_state() const override {
    CellState state;
    for (ClassId id = 0; id < classes_.size(); ++id) {
      state[classes_[id].key].value =
          history_.initial == kNil ? std::nullopt : std::optional(history_.values.scalar(history_.initial));
    }
    return state;
  }

  std::optional<Illegal> advance(CellState& state, ClassId operation) const override {
    auto illegal = spec_.advance(state, classes_[operation]);
    if (!illegal && !versions_) {
      for (auto& [key, cell] : state) cell.version = 0;  // nobody sees them: U1
    }
    return illegal;
  }

 private:
  const History& history_;
  CellSpec spec_;
  const Representatives& classes_;
  const bool versions_;
};

bool is_plain_register(const Representatives& classes) {
  return !classes.any([&](const Operation& it) {
    return it.function == Function::kAppend || it.function == Function::kCasVersion ||
           it.version != kNoVersion || it.key != classes[0].key;
  });
}

}  // namespace

std::unique_ptr<Automaton> make_automaton(const History& history, const Representatives& classes) {
  switch (history.kind) {
    case HistoryKind::kStore:
      return std::make_unique<SpecAutomaton<StoreSpec>>(StoreSpec(history.store_rules), history.store_calls,
                                                        classes);
    case HistoryKind::kTicket:
      return std::make_unique<SpecAutomaton<TicketSpec>>(TicketSpec(history.ticket_rules),
                                                         history.ticket_calls, classes);
    case HistoryKind::kSegment:
      return std::make_unique<SpecAutomaton<SegmentSpec>>(SegmentSpec(), history.segment_calls, classes);
    case HistoryKind::kCell:
      break;
  }
  if (is_plain_register(classes)) return std::make_unique<RegisterAutomaton>(history, classes, false);
  return std::make_unique<CellAutomaton>(history, classes);
}

std::unique_ptr<Automaton> make_endless_automaton(const History& history, const Representatives& classes) {
  if (is_plain_register(classes)) return std::make_unique<RegisterAutomaton>(history, classes, true);
  return std::make_unique<CellAutomaton>(history, classes);
}

}  // namespace touchstone::model
