#pragma once
// Contracts: a process has a name, declared inputs and outputs, and a body.
//
//   auto process = store.process("camera", {.inputs = {"clock"}, .outputs = {"domain.camera_data"}},
//                                [](Context<P>& ctx) {
//                                  ctx.set("domain.camera_data", ctx.read("clock")->integer());
//                                  ctx.emit("frame", 1);
//                                });
//   ExecuteResult result = store.execute(worker, process);
//
// A body runs on a snapshot and may run several times, so it must have no effect of its own but through its
// Context. The declared outputs are the footprint: a root output is checked with all that is below it, and so
// loses merges that a granular one keeps.
//
// Thread safety: a Process is read-only after its making; a Context belongs to one body run.

#include <functional>
#include <type_traits>

#include "engine/snapshot.h"
#include "engine/writes.h"

namespace touchstone::engine {

struct Contract {
  std::vector<std::string> inputs;   ///< what the body reads; binding only with validate_reads
  std::vector<std::string> outputs;  ///< what the body may write: these paths and all below them
};

/// Thrown through a body whose attempt cannot commit any more. Not an error of the body's: execute() counts a conflict and runs it
/// again. Swallowing it changes nothing but the time lost.
struct AttemptSpoiled {};

template <Platform P>
class Context;

template <Platform P>
class Process {
 public:
  using Body = std::function<void(Context<P>&)>;

  const std::string& name() const { return name_; }

 private:
  friend class Store<P>;
  friend class Context<P>;
  template <Platform Q>
  friend class Execution;

  std::string name_;
  /// The footprint, in id order.
  std::span<Cell<P>* const> outputs() const { return std::span(outputs_).first(outputs_.size() - kNulls); }

  /// Behind the outputs, so that Context::is_output() need not look for their end.
  static constexpr std::size_t kNulls = 2;

  std::vector<Cell<P>*> inputs_;  // in id order
  std::vector<Cell<P>*> outputs_ = std::vector<Cell<P>*>(kNulls);
  Body body_;
  const Store<P>* store_ = nullptr;
};

/// Ends an execute() early from outside. Any thread may request it; it stays requested.
template <Platform P>
class StopFlag {
 public:
  void request() {
    flag_.store(1);
    P::notify_all(flag_);
  }
  bool requested() const { return flag_.load() != 0; }

 private:
  template <Platform Q>
  friend class Execution;

  typename P::template atomic<std::uint32_t> flag_{0};
};

/// The memory of one worker's attempts, used again by the next.
template <Platform P>
struct Scratch {
  std::vector<Write<P>> writes;
  std::vector<Cell<P>*> footprint;
  std::vector<Effect> effects;
};

/// What a body sees of the store: its snapshot under its own writes.
///
/// A body that reads only what its commit will validate needs no pinned snapshot: whatever would spoil its view has also spoiled its
/// commit. So the view is pinned at the first read outside the outputs, and a read that finds an output changed ends the attempt
/// early by throwing AttemptSpoiled, which bodies must let pass.
template <Platform P>
class Context {
 public:
  /// The version that the body's snapshot shows.
  Version version() {
    pin();
    return view_.version();
  }

  /// The snapshot's value with this body's own writes applied. A path that is not valid throws Error, and so does, with
  /// validate_reads, one outside inputs and outputs.
  std::optional<Value> read(std::string_view path) {
    Cell<P>* cell = store_.find_or_intern(path, needs_cells());
    if (cell == nullptr && !view_.pinned()) {
      pin();
      cell = store_.find(path);  // again: somebody may have made it before the version that is pinned now
    }
    return cell == nullptr ? std::nullopt : read_cell(cell);
  }
  std::optional<Value> read(const Key<P>& key) { return read_cell(store_.cell_of(key)); }

  /// Outside the declared outputs these throw Error (undeclared_write), and execute() refuses the whole attempt even if the
  /// body swallows that.
  void set(std::string_view path, Value value) { write(store_.intern(path), Datum<P>::of(std::move(value))); }
  void set(const Key<P>& key, Value value) { write(store_.cell_of(key), Datum<P>::of(std::move(value))); }
  void erase(std::string_view path) { write(store_.intern(path), Datum<P>()); }
  void erase(const Key<P>& key) { write(store_.cell_of(key), Datum<P>()); }

  /// The same for hot code: one number of a known type (bool, std::int64_t or double), without a Value in between. get() throws
  /// std::bad_variant_access when the path holds something else.
  template <class T>
  std::optional<T> get(const Key<P>& key);
  template <class T>
  requires std::is_arithmetic_v<T>
  [[gnu::always_inline]] void set(const Key<P>& key, T number) {
    write(store_.cell_of(key), bits_of(number));
  }

  /// Publishes an effect once, after this attempt's commit; never if it does not commit.
  void emit(std::string topic, Value payload) {
    scratch_.effects.push_back({std::move(topic), std::move(payload), 0});
  }

 private:
  template <Platform Q>
  friend class Execution;

  static constexpr std::uint64_t kNowhere = ~std::uint64_t{0};

  [[gnu::always_inline]] Context(Store<P>& store, const Process<P>& process, Slot<P>& slot,
                                 Scratch<P>& scratch)
      : store_(store),
        process_(process),
        view_(slot, store.epoch_),
        scratch_(scratch),
        output_(process.outputs_.data()),
        plain_above_(validates_reads() ? kNowhere : 0) {
    scratch_.writes.clear();
    scratch_.footprint.clear();
    scratch_.effects.clear();
  }

  /// A read that is validated later needs a cell, also of an absent path: else its creation would go unseen (a phantom). So
  /// does one that looks at the body's own writes.
  bool needs_cells() const { return validates_reads() || !scratch_.writes.empty(); }

  bool validates_reads() const { return store_.options_.validate_reads; }

  [[gnu::noinline]] std::optional<Value> read_cell(Cell<P>* cell) {
    const bool of_outputs = is_output(cell) || covers(process_.outputs(), cell);
    if (validates_reads()) {
      if (!of_outputs && !covers(process_.inputs_, cell)) refuse(ErrorCode::undeclared_read, "reads", cell);
      scratch_.footprint.push_back(cell);
    }
    std::optional<Value> value =
        of_outputs && !view_.pinned() && cell->is_leaf() ? read_unpinned(*cell) : read_pinned(cell);
    for (const Write<P>& write : scratch_.writes) {
      if (may_overlap(write.cell, cell)) overlay(value, cell, write);
    }
    return value;
  }

  std::optional<Value> read_unpinned(const Cell<P>& cell) {
    const Bits bits = read_bits(cell);
    bool changed = false;
    auto scalar = bits.kind == Kind::text ? view_.read_text(cell, changed) : decode<P>(bits);
    if (changed) spoil(&cell);
    if (!scalar) return std::nullopt;
    return Value(std::move(*scalar));
  }

  Bits read_bits(const Cell<P>& cell) {
    bool changed = false;
    const Bits bits = view_.read_current(cell, changed);
    if (changed) spoil(&cell);
    return bits;
  }

  template <class T>
  [[gnu::noinline]] std::optional<T> get_from_view(Cell<P>* cell) {
    const std::optional<Value> value = read_cell(cell);
    if (!value) return std::nullopt;
    return std::get<T>(value->scalar());
  }

  static bool may_overlap(const Cell<P>* a, const Cell<P>* b) {
    return a == b || !a->is_leaf() || !b->is_leaf();
  }

  std::optional<Value> read_pinned(const Cell<P>* cell) {
    pin();
    return view_.read(cell);
  }

  /// Pins the view where the outputs, which is all that can have been read so far, are unchanged.
  void pin() {
    if (view_.pinned()) return;
    const Version before = view_.version();
    view_.pin();
    for (const Cell<P>* output : process_.outputs()) check_unchanged(*output, before);
  }

  void check_unchanged(const Cell<P>& cell, Version since) {
    if (view_.changed(&cell) > since) spoil(&cell);
    for (const Cell<P>* child = cell.first_child.load(); child != nullptr; child = child->next_sibling) {
      check_unchanged(*child, since);
    }
  }

  template <class What>
  [[gnu::always_inline]] void write(Cell<P>* cell, What&& what) {
    bool plain = is_output(cell);
    if (!plain && !covers(process_.outputs(), cell)) refuse(ErrorCode::undeclared_write, "writes", cell);
    scratch_.writes.emplace_back(cell, std::forward<What>(what));
    plain =
        plain && is_plain(cell) && cell->is_leaf() && scratch_.writes.back().datum.kind() != Kind::composite;
    plain_above_ = plain ? cell->id : kNowhere;
  }

  /// True if `cell` itself is known to be declared: the output touched last, or the next one, as most bodies go through them.
  bool is_output(const Cell<P>* cell) {
    if (*output_ == cell) return true;
    if (output_[1] != cell) return false;
    ++output_;
    return true;
  }

  /// True if no earlier write has to do with this output, and nobody need know that it is read: only outputs were written that are
  /// leaves, in id order. None of them is below it (W5), and none above: a cell above an output had children before the body began.
  bool is_plain(const Cell<P>* output) const { return output->id > plain_above_; }

  /// True if the writes are in id order, of outputs, of leaves, and none of a composite.
  bool are_writes_plain() const { return plain_above_ != kNowhere; }

  /// True if `cell` or an ancestor of it is declared.
  [[gnu::noinline]] static bool covers(std::span<Cell<P>* const> declared, const Cell<P>* cell) {
    for (; cell->parent != nullptr; cell = cell->parent) {
      if (std::binary_search(declared.begin(), declared.end(), cell, kById)) return true;
    }
    return false;
  }

  [[noreturn, gnu::cold]] void spoil(const Cell<P>* cell) {
    spoiled_ = cell;
    throw AttemptSpoiled{};
  }

  [[noreturn, gnu::cold]] void refuse(ErrorCode code, const char* verb, const Cell<P>* cell) {
    refused_ = Rejected{
        code, "process " + process_.name_ + ' ' + verb + ' ' + cell->path() + ", which it does not declare"};
    throw Error(*refused_);
  }

  /// Applies one of the body's writes to a value read at `cell`.
  static void overlay(std::optional<Value>& value, const Cell<P>* cell, const Write<P>& write) {
    if (write.cell == cell) {
      value = write.datum.value();
    } else if (is_ancestor(write.cell, cell)) {
      const auto whole = write.datum.value();
      value = whole ? part(*whole, write.cell, cell) : std::nullopt;
    } else if (is_ancestor(cell, write.cell)) {
      value = with_part(std::move(value), names_between(cell, write.cell), 0, write.datum.value());
    }
    prune(value);
  }

  /// An empty composite has no leaves: it reads as nothing, at any depth.
  static void prune(std::optional<Value>& value) {
    if (!value || value->is_scalar()) return;
    Composite& parts = value->composite();
    for (auto part = parts.begin(); part != parts.end();) {
      std::optional<Value> pruned = std::move(part->second);
      prune(pruned);
      if (pruned) part->second = std::move(*pruned);
      part = pruned ? std::next(part) : parts.erase(part);
    }
    if (parts.empty()) value.reset();
  }

  /// The names that lead from `above` down to `cell`.
  static std::vector<std::string> names_between(const Cell<P>* above, const Cell<P>* cell) {
    std::vector<std::string> names;
    for (; cell != above; cell = cell->parent) names.push_back(cell->name);
    std::reverse(names.begin(), names.end());
    return names;
  }

  static std::optional<Value> part(const Value& whole, const Cell<P>* above, const Cell<P>* cell) {
    const Value* value = &whole;
    for (const std::string& name : names_between(above, cell)) {
      if (value->is_scalar()) return std::nullopt;
      const auto found = value->composite().find(name);
      if (found == value->composite().end()) return std::nullopt;
      value = &found->second;
    }
    return *value;
  }

  static std::optional<Value> with_part(std::optional<Value> whole, const std::vector<std::string>& names,
                                        std::size_t depth, const std::optional<Value>& put) {
    if (depth == names.size()) return put;
    Composite parts;
    if (whole && !whole->is_scalar()) parts = std::move(whole->composite());
    std::optional<Value> below;
    if (const auto found = parts.find(names[depth]); found != parts.end()) below = std::move(found->second);
    below = with_part(std::move(below), names, depth + 1, put);
    const bool absent = !below || (!below->is_scalar() && below->composite().empty());
    if (absent) {
      parts.erase(names[depth]);
    } else {
      parts.insert_or_assign(names[depth], std::move(*below));
    }
    return Value(std::move(parts));
  }

  Store<P>& store_;
  const Process<P>& process_;
  View<P> view_;
  Scratch<P>& scratch_;
  Cell<P>* const* output_;            ///< where is_output() looks
  std::uint64_t plain_above_;         ///< id: see is_plain()
  const Cell<P>* spoiled_ = nullptr;  ///< what had changed when a read gave up
  std::optional<Rejected> refused_;
};

template <Platform P>
template <class T>
std::optional<T> Context<P>::get(const Key<P>& key) {
  Cell<P>* cell = store_.cell_of(key);
  std::uint64_t bits = 0;
  if (is_output(cell) && is_plain(cell) && view_.read_at_once(*cell, kKindOf<T>, bits))
    return number_of<T>(bits);
  return get_from_view<T>(cell);
}

}  // namespace touchstone::engine
