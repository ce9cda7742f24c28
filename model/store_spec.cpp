#include "model/store_spec.h"

#include <algorithm>
#include <string_view>

namespace touchstone::model {
namespace {

constexpr std::size_t kLongestPath = 1024;

template <class... Cases>
struct Overload : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overload(Cases...) -> Overload<Cases...>;

/// The descendants of `path` in a map ordered by path are one range: '/' follows '.' immediately.
template <class Map>
auto descendants(Map& map, const std::string& path) {
  return std::pair{map.lower_bound(path + '.'), map.lower_bound(path + '/')};
}

/// The proper ancestors of a path, shortest first.
std::vector<std::string> ancestors(const std::string& path) {
  std::vector<std::string> out;
  for (std::size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.', dot + 1)) {
    out.push_back(path.substr(0, dot));
  }
  return out;
}

std::string below(const std::string& path, const std::string& relative) {
  return relative.empty() ? path : path + '.' + relative;
}

/// A subtree is well-formed if every leaf put under `path` has a good path (M1) and no leaf is under another
/// (M2).
std::optional<Rejection> flaw_of_write(const Write& write) {
  if (auto flaw = flaw_of(write.path)) return flaw;
  if (!write.value) return std::nullopt;
  const Subtree& value = *write.value;
  for (const auto& [relative, scalar] : value) {
    if (relative.empty() && value.size() > 1) return Rejection::kBadPath;
    if (!relative.empty() && (relative.front() == '.' || flaw_of(below(write.path, relative)))) {
      return Rejection::kBadPath;
    }
    const auto [first, last] = descendants(value, relative);
    if (first != last) return Rejection::kBadPath;
  }
  return std::nullopt;
}

void put(StoreState& state, const Write& write, std::uint64_t version) {
  const auto [first, last] = descendants(state.leaves, write.path);
  for (auto leaf = first; leaf != last; ++leaf) state.changed[leaf->first] = version;
  state.leaves.erase(first, last);
  state.leaves.erase(write.path);
  state.changed[write.path] = version;
  if (!write.value) return;
  for (const auto& [relative, scalar] : *write.value) {
    const std::string leaf = below(write.path, relative);
    state.leaves[leaf] = scalar;
    state.changed[leaf] = version;
  }
}

bool under_scalar(const StoreState& state, const std::string& path) {
  const auto above = ancestors(path);
  return std::any_of(above.begin(), above.end(), [&](const auto& it) { return state.leaves.count(it) != 0; });
}

/// True if a write of the set can matter to another's M3: one path is above another.
bool nested(const std::vector<Write>& writes) {
  for (const Write& write : writes) {
    for (const std::string& ancestor : ancestors(write.path)) {
      if (std::any_of(writes.begin(), writes.end(), [&](const Write& it) { return it.path == ancestor; }))
        return true;
    }
  }
  return false;
}

/// Applies the set as version + 1; false on M3, and the state as it was.
bool install(StoreState& state, const std::vector<Write>& writes) {
  if (nested(writes)) {
    StoreState next = state;
    ++next.version;
    for (const Write& write : writes) {
      if (under_scalar(next, write.path)) return false;
      put(next, write, next.version);
    }
    state = std::move(next);
    return true;
  }
  if (std::any_of(writes.begin(), writes.end(),
                  [&](const auto& it) { return under_scalar(state, it.path); })) {
    return false;
  }
  ++state.version;
  for (const Write& write : writes) put(state, write, state.version);
  return true;
}

/// M5's paths with stamps after `expected`, related to one footprint path.
std::vector<Conflict> conflicts_at(const StoreState& state, const std::string& path, std::uint64_t expected) {
  std::vector<Conflict> out;
  const auto consider = [&](const std::string& candidate) {
    const auto stamp = state.changed.find(candidate);
    if (stamp != state.changed.end() && stamp->second > expected) {
      out.push_back({candidate, expected, stamp->second});
    }
  };
  consider(path);
  for (const std::string& ancestor : ancestors(path)) consider(ancestor);
  const auto [first, last] = descendants(state.changed, path);
  for (auto it = first; it != last; ++it) consider(it->first);
  return out;
}

std::vector<Conflict> conflicts(const StoreState& state, const StoreRules& rules,
                                const CompareAndSwap& call) {
  if (rules.strict) {
    if (state.version == call.expected) return {};
    return {Conflict{"", call.expected, state.version}};
  }
  std::vector<Conflict> out;
  const auto add = [&](const std::string& path) {
    for (Conflict& conflict : conflicts_at(state, path, call.expected)) out.push_back(std::move(conflict));
  };
  for (const Write& write : call.writes) add(write.path);
  for (const std::string& path : call.outputs) add(path);
  if (rules.validate_reads) {
    for (const std::string& path : call.reads) add(path);
  }
  return out;
}

std::optional<Rejection> first_flaw(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (auto flaw = flaw_of(path)) return flaw;
  }
  return std::nullopt;
}

bool any_flaw(const std::vector<std::string>& paths, Rejection reason) {
  return std::any_of(paths.begin(), paths.end(), [&](const auto& path) { return flaw_of(path) == reason; });
}

bool any_flaw(const std::vector<Write>& writes, Rejection reason) {
  return std::any_of(writes.begin(), writes.end(),
                     [&](const auto& write) { return flaw_of_write(write) == reason; });
}

/// The first reason to reject the arguments themselves, whatever the state.
std::optional<Rejection> first_flaw(const CompareAndSwap& call) {
  for (const Write& write : call.writes) {
    if (auto flaw = flaw_of_write(write)) return flaw;
  }
  if (auto flaw = first_flaw(call.outputs)) return flaw;
  return first_flaw(call.reads);
}

bool has_flaw(const CompareAndSwap& call, Rejection reason) {
  return any_flaw(call.writes, reason) || any_flaw(call.outputs, reason) || any_flaw(call.reads, reason);
}

/// The writes up to the first malformed one, and of that its path if only its value is at fault. A call with several faults
/// may be answered by any of them.
std::vector<Write> well_formed_part(const std::vector<Write>& writes) {
  std::vector<Write> part;
  for (const Write& write : writes) {
    if (flaw_of(write.path)) break;
    const bool malformed = flaw_of_write(write).has_value();
    part.push_back({write.path, malformed ? std::nullopt : write.value});
    if (malformed) break;
  }
  return part;
}

Illegal because(const std::string& reason) {
  return Illegal{reason};
}

/// Why this commit cannot succeed here, or nothing and the state is the one after it.
std::optional<Illegal> commit(StoreState& state, const StoreRules& rules, const CompareAndSwap& call) {
  if (first_flaw(call)) return because("a malformed path was accepted");
  if (call.expected > state.version) {
    return because("expected version " + std::to_string(call.expected) + " is in the future of version " +
                   std::to_string(state.version));
  }
  if (call.writes.empty()) return std::nullopt;
  const auto found = conflicts(state, rules, call);
  if (!found.empty()) {
    return because("the commit should have conflicted: " + describe(StoreResponse{found.front()}));
  }
  if (!install(state, call.writes)) return because("a path below a scalar was written");
  return std::nullopt;
}

std::optional<Illegal> check_committed(StoreState& state, const StoreRules& rules, const CompareAndSwap& call,
                                       const Committed& answer) {
  const bool empty = call.writes.empty();
  const std::uint64_t version = empty ? call.expected : state.version + 1;
  if (answer.version != version) {
    return because("committed as version " + std::to_string(answer.version) + " where only " +
                   std::to_string(version) + " is possible");
  }
  const CommitPath path = empty                            ? CommitPath::kEmpty
                          : call.expected == state.version ? CommitPath::kFast
                                                           : CommitPath::kMerged;
  if (answer.path && *answer.path != path) return because("the commit took the wrong path");
  return commit(state, rules, call);
}

std::optional<Illegal> check_conflict(const StoreState& state, const StoreRules& rules,
                                      const CompareAndSwap& call, const Conflict& answer) {
  if (call.writes.empty()) return because("an empty write set never conflicts");
  if (first_flaw(call) || call.expected > state.version) return because("a bad call must be rejected");
  for (const Conflict& real : conflicts(state, rules, call)) {
    if (real.path == answer.path && real.expected == answer.expected && real.found == answer.found) {
      return std::nullopt;
    }
  }
  return because("no such conflict exists at version " + std::to_string(state.version));
}

std::optional<Illegal> check_rejected(const StoreState& state, const CompareAndSwap& call,
                                      const Rejected& answer) {
  bool real = false;
  switch (answer.reason) {
    case Rejection::kEmptyPath:
    case Rejection::kBadPath:
      real = has_flaw(call, answer.reason);
      break;
    case Rejection::kFutureVersion:
      real = call.expected > state.version;
      break;
    case Rejection::kUnderScalar: {
      StoreState scratch = state;
      real = !install(scratch, well_formed_part(call.writes));
      break;
    }
  }
  if (real) return std::nullopt;
  return because("nothing was wrong with the call");
}

std::optional<Illegal> advance_swap(StoreState& state, const StoreRules& rules, const CompareAndSwap& call,
                                    const StoreResponse* response) {
  if (response == nullptr) {
    if (call.writes.empty()) return because("an empty commit has no effect");
    return commit(state, rules, call);
  }
  return std::visit(
      Overload{
          [&](const Committed& answer) { return check_committed(state, rules, call, answer); },
          [&](const Conflict& answer) { return check_conflict(state, rules, call, answer); },
          [&](const Rejected& answer) { return check_rejected(state, call, answer); },
          [&](const Busy&) -> std::optional<Illegal> {
            if (!rules.gate_may_close) return because("the gate never closes here");
            if (call.writes.empty()) return because("an empty write set passes the gate");
            return std::nullopt;
          },
          [](const auto&) -> std::optional<Illegal> { return because("a response of another operation"); }},
      *response);
}

std::optional<Illegal> advance_execute(StoreState& state, const Execute& call,
                                       const StoreResponse* response) {
  if (response != nullptr && std::holds_alternative<GaveUp>(*response)) return std::nullopt;
  const std::vector<Write> writes = run_body(state, call);
  const CompareAndSwap swap{.expected = state.version, .writes = writes, .reads = {}, .outputs = {}};
  if (response == nullptr) return advance_swap(state, StoreRules{}, swap, nullptr);
  if (const auto* rejected = std::get_if<Rejected>(response)) return check_rejected(state, swap, *rejected);
  const auto* answer = std::get_if<Committed>(response);
  if (answer == nullptr) return because("an execute() ends committed, rejected or given up");
  return check_committed(state, StoreRules{}, swap, Committed{answer->version, std::nullopt});
}

bool same(const std::optional<Subtree>& left, const std::optional<Subtree>& right) {
  return left.has_value() == right.has_value() && (!left || model::same(*left, *right));
}

std::string describe_read(const std::optional<Subtree>& value) {
  return value ? describe(*value) : "absent";
}

std::optional<Illegal> check_value(const StoreState& state, const std::string& path,
                                   const std::optional<Subtree>& seen) {
  const auto held = read(state, path);
  if (same(held, seen)) return std::nullopt;
  return because(path + " is " + describe_read(held) + " at version " + std::to_string(state.version) +
                 ", not " + describe_read(seen));
}

std::optional<Illegal> advance_read(const StoreState& state, const std::vector<std::string>& paths,
                                    const StoreResponse& response) {
  if (const auto* rejected = std::get_if<Rejected>(&response)) {
    if (any_flaw(paths, rejected->reason)) return std::nullopt;
    return because("nothing was wrong with the path");
  }
  if (first_flaw(paths)) return because("a malformed path was read");
  if (const auto* one = std::get_if<ValueRead>(&response); one != nullptr && paths.size() == 1) {
    return check_value(state, paths.front(), one->value);
  }
  const auto* all = std::get_if<SnapshotIs>(&response);
  if (all == nullptr || all->values.size() != paths.size()) return because("a response of another operation");
  if (all->version != state.version) {
    return because("the version is " + std::to_string(state.version) + ", not " +
                   std::to_string(all->version));
  }
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (auto wrong = check_value(state, paths[i], all->values[i])) return wrong;
  }
  return std::nullopt;
}

std::optional<Illegal> advance_version(const StoreState& state, const StoreResponse& response) {
  const auto* answer = std::get_if<VersionIs>(&response);
  if (answer == nullptr) return because("a response of another operation");
  if (answer->version == state.version) return std::nullopt;
  return because("the version is " + std::to_string(state.version) + ", not " +
                 std::to_string(answer->version));
}

}  // namespace

std::optional<Illegal> StoreSpec::advance(State& state, const Operation& operation,
                                          const Response* response) const {
  if (const auto* call = std::get_if<CompareAndSwap>(&operation)) {
    return advance_swap(state, rules_, *call, response);
  }
  if (const auto* call = std::get_if<Execute>(&operation)) return advance_execute(state, *call, response);
  if (response == nullptr) return because("a read has no effect");
  if (const auto* call = std::get_if<ReadPath>(&operation))
    return advance_read(state, {call->path}, *response);
  if (const auto* call = std::get_if<SnapshotRead>(&operation))
    return advance_read(state, call->paths, *response);
  return advance_version(state, *response);
}

StoreResponse StoreSpec::perform(State& state, const Operation& operation) const {
  const auto read_all = [&](const std::vector<std::string>& paths, bool snapshot) -> Response {
    if (auto flaw = first_flaw(paths)) return Rejected{*flaw};
    if (!snapshot) return ValueRead{read(state, paths.front())};
    SnapshotIs answer{state.version, {}};
    for (const std::string& path : paths) answer.values.push_back(read(state, path));
    return answer;
  };
  const auto swap = [&](const StoreRules& rules, const CompareAndSwap& call) -> Response {
    if (auto flaw = first_flaw(call)) return Rejected{*flaw};
    if (call.expected > state.version) return Rejected{Rejection::kFutureVersion};
    if (call.writes.empty()) return Committed{call.expected, CommitPath::kEmpty};
    if (auto found = conflicts(state, rules, call); !found.empty()) return found.front();
    const CommitPath path = call.expected == state.version ? CommitPath::kFast : CommitPath::kMerged;
    if (!install(state, call.writes)) return Rejected{Rejection::kUnderScalar};
    return Committed{state.version, path};
  };
  return std::visit(
      Overload{[&](const ReadPath& call) { return read_all({call.path}, false); },
               [&](const SnapshotRead& call) { return read_all(call.paths, true); },
               [&](const ReadVersion&) -> Response { return VersionIs{state.version}; },
               [&](const CompareAndSwap& call) { return swap(rules_, call); },
               [&](const Execute& call) {
                 return swap(StoreRules{}, CompareAndSwap{state.version, run_body(state, call), {}, {}});
               }},
      operation);
}

bool StoreSpec::observes_only(const Operation& operation, const Response* response) {
  if (const auto* swap = std::get_if<CompareAndSwap>(&operation); swap != nullptr && swap->writes.empty())
    return true;
  if (!std::holds_alternative<CompareAndSwap>(operation) && !std::holds_alternative<Execute>(operation))
    return true;
  return response != nullptr && !std::holds_alternative<Committed>(*response);
}

int StoreSpec::compare(const State& left, const State& right) {
  if (left.version != right.version) return left.version < right.version ? -1 : 1;
  if (const int leaves = model::compare(left.leaves, right.leaves); leaves != 0) return leaves;
  if (left.changed == right.changed) return 0;
  return left.changed < right.changed ? -1 : 1;
}

std::optional<Rejection> flaw_of(const std::string& path) {
  if (path.empty()) return Rejection::kEmptyPath;
  if (path.size() > kLongestPath || path.front() == '.' || path.back() == '.') return Rejection::kBadPath;
  if (path.find("..") != std::string::npos) return Rejection::kBadPath;
  return std::nullopt;
}

std::optional<Subtree> read(const StoreState& state, const std::string& path) {
  if (const auto leaf = state.leaves.find(path); leaf != state.leaves.end())
    return Subtree{{"", leaf->second}};
  const auto [first, last] = descendants(state.leaves, path);
  if (first == last) return std::nullopt;
  Subtree out;
  for (auto leaf = first; leaf != last; ++leaf)
    out.emplace(leaf->first.substr(path.size() + 1), leaf->second);
  return out;
}

std::vector<Write> run_body(const StoreState& state, const Execute& execute) {
  StoreState scratch = state;
  std::vector<Write> writes;
  const auto write = [&](Write one) {
    for (const std::string& above : ancestors(one.path)) scratch.leaves.erase(above);  // M9
    put(scratch, one, scratch.version);
    writes.push_back(std::move(one));
  };
  const auto add = [&](const std::string& path, std::uint64_t delta) {
    std::uint64_t old = 0;
    if (const auto leaf = scratch.leaves.find(path); leaf != scratch.leaves.end()) {
      if (const auto* whole = std::get_if<std::int64_t>(&leaf->second))
        old = static_cast<std::uint64_t>(*whole);
    }
    write({path, Subtree{{"", static_cast<std::int64_t>(old + delta)}}});
  };
  for (const BodyStep& body_step : execute.body) {
    std::visit(Overload{[&](const AddInteger& it) { add(it.path, static_cast<std::uint64_t>(it.delta)); },
                        [&](const CopySubtree& it) {
                          write({it.to, read(scratch, it.from)});
                        },
                        [&](const MoveAmount& it) {
                          add(it.from, std::uint64_t{0} - static_cast<std::uint64_t>(it.amount));
                          add(it.to, static_cast<std::uint64_t>(it.amount));
                        },
                        [&](const Write& it) { write(it); }},
               body_step);
  }
  return writes;
}

}  // namespace touchstone::model
