#include "model/problem.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <tuple>
#include <unordered_set>

namespace touchstone::model {
namespace {

bool is_unknown(const Operation& operation) {
  return !operation.completed();
}

/// What the mandatory operations of one partition can notice of its cell.
struct Notice {
  std::unordered_set<std::uint64_t> values;  ///< (key, value) that some read or compare-and-set mentions
  bool everything = false;                   ///< failures, appends or versions make any change noticeable
};

std::uint64_t cell_value(const Operation& operation, ValueId value) {
  return (std::uint64_t{operation.key} << 32U) | value;
}

Notice what_is_noticed(const History& history, std::span<const OperationNumber> numbers) {
  Notice notice;
  for (const OperationNumber number : numbers) {
    const Operation& operation = history.operations[number];
    if (operation.function == Function::kRead && operation.completed()) {
      notice.values.insert(cell_value(operation, operation.observed));
    }
    if (operation.function == Function::kCas) notice.values.insert(cell_value(operation, operation.expected));
    if (operation.outcome == Outcome::kFail || operation.function == Function::kAppend ||
        operation.function == Function::kCasVersion || operation.function == Function::kCall ||
        operation.version != kNoVersion) {
      notice.everything = true;
      break;
    }
  }
  return notice;
}

/// P4.
bool can_matter(const Operation& operation, const Notice& notice) {
  if (!is_unknown(operation)) return true;
  if (operation.function == Function::kRead) return false;
  return notice.everything || notice.values.count(cell_value(operation, operation.argument)) != 0;
}

using ClassKey =
    std::tuple<KeyId, Function, Outcome, ValueId, ValueId, ValueId, std::uint64_t, std::uint64_t>;

std::size_t hash_of(const ClassKey& key) {
  std::uint64_t hash = std::get<0>(key) * 0x9e3779b97f4a7c15U;
  const auto mix = [&](std::uint64_t word) {
    hash = (hash ^ word) * 0xff51afd7ed558ccdU;
    hash ^= hash >> 32U;
  };
  mix((static_cast<std::uint64_t>(std::get<1>(key)) << 8U) | static_cast<std::uint64_t>(std::get<2>(key)));
  mix((std::uint64_t{std::get<3>(key)} << 32U) | std::get<4>(key));
  mix(std::get<5>(key));
  mix(std::get<6>(key));
  mix(std::get<7>(key));
  return hash;
}

ClassKey class_key(const Operation& it) {
  const Outcome outcome = is_unknown(it) ? Outcome::kUnknown : it.outcome;
  return {it.key, it.function, outcome, it.argument, it.expected, it.observed, it.base, it.version};
}

void assign_classes(const History& history, Problem& problem) {
  const auto key_of = [&](ClassId id) { return class_key(problem.representatives[id]); };
  const auto hash = [&](ClassId id) { return hash_of(key_of(id)); };
  const auto equal = [&](ClassId left, ClassId right) { return key_of(left) == key_of(right); };
  std::unordered_set<ClassId, decltype(hash), decltype(equal)> classes(16, hash, equal);
  for (SearchOperation& operation : problem.operations) {
    problem.representatives.push_back(operation.number);
    const auto [found, fresh] = classes.insert(problem.representatives.size() - 1);
    if (!fresh) problem.representatives.pop_back();
    operation.class_id = *found;
  }
  problem.unknown_of_class.assign(problem.representatives.size(), kNoIndex);
  for (std::uint32_t i = 0; i < problem.operations.size(); ++i) {
    SearchOperation& operation = problem.operations[i];
    if (!is_unknown(history.operations[operation.number])) continue;
    std::uint32_t& place = problem.unknown_of_class[operation.class_id];
    if (place == kNoIndex) {
      place = static_cast<std::uint32_t>(problem.unknown.size());
      problem.unknown.push_back({operation.class_id, {}});
    }
    operation.slot = static_cast<std::uint32_t>(problem.unknown[place].operations.size());
    problem.unknown[place].operations.push_back(i);
  }
}

/// P1. The operations are in the order of their invocations, so only the returns have to be sorted, and only those that are open at
/// a time.
void order_events(const History& history, Problem& problem) {
  using Return = std::pair<std::int64_t, std::uint32_t>;
  std::priority_queue<Return, std::vector<Return>, std::greater<>> open;
  auto& all = problem.operations;
  const auto returning = [&](const SearchOperation& it) {
    return !is_unknown(history.operations[it.number]);
  };
  problem.events.reserve(all.size() +
                         static_cast<std::size_t>(std::count_if(all.begin(), all.end(), returning)));
  const auto close_until = [&](std::int64_t time) {
    for (; !open.empty() && open.top().first < time; open.pop()) {
      const std::uint32_t operation = open.top().second;
      all[operation].return_event = static_cast<std::uint32_t>(problem.events.size());
      problem.events.push_back(operation * 2 + 1);
    }
  };
  for (std::uint32_t i = 0; i < all.size(); ++i) {
    const Operation& record = history.operations[all[i].number];
    close_until(record.invoked);
    problem.events.push_back(i * 2);
    if (!is_unknown(record)) open.emplace(record.returned, i);
  }
  close_until(kNever);
  while (!open.empty()) {  // returns at the end of time
    all[open.top().second].return_event = static_cast<std::uint32_t>(problem.events.size());
    problem.events.push_back(open.top().second * 2 + 1);
    open.pop();
  }
}

/// P2.
void assign_slots(Problem& problem) {
  std::vector<std::uint32_t> free;
  for (const std::uint32_t event : problem.events) {
    SearchOperation& operation = problem.operations[Problem::operation_of(event)];
    if (!operation.mandatory()) continue;
    if (Problem::is_return(event)) {
      free.push_back(operation.slot);
    } else if (free.empty()) {
      operation.slot = problem.slots++;
    } else {
      operation.slot = free.back();
      free.pop_back();
    }
  }
}

const std::string* text_of(const History& history, ValueId value) {
  return value == kNil ? nullptr : std::get_if<std::string>(&history.values.scalar(value));
}

/// The reads whose value can only be reached by extending what is there, or from one of a few overwrites.
void find_goals(const History& history, Problem& problem) {
  const auto is = [&](const SearchOperation& it, Function function) {
    return history.operations[it.number].function == function;
  };
  const auto& all = problem.operations;
  if (std::none_of(all.begin(), all.end(), [&](const auto& it) { return is(it, Function::kAppend); })) return;
  std::vector<std::uint32_t> overwrites;
  for (std::uint32_t i = 0; i < all.size(); ++i) {
    if (!is(all[i], Function::kRead) && !is(all[i], Function::kAppend)) overwrites.push_back(i);
  }
  std::uint32_t invoked = 0;
  for (const std::uint32_t event : problem.events) {
    const std::uint32_t reader = Problem::operation_of(event);
    if (!Problem::is_return(event)) ++invoked;
    if (!Problem::is_return(event) || !is(all[reader], Function::kRead)) continue;
    const Operation& read = history.operations[all[reader].number];
    const std::string* seen = text_of(history, read.observed);
    if (seen == nullptr) continue;
    Goal goal{reader, invoked, {}};
    for (const std::uint32_t source : overwrites) {
      const Operation& write = history.operations[all[source].number];
      const std::string* start = text_of(history, write.argument);
      if (write.key == read.key && (start == nullptr || seen->compare(0, start->size(), *start) == 0)) {
        goal.sources.push_back(source);
      }
    }
    problem.goals.push_back(std::move(goal));
  }
}

Problem prepare(const History& history, std::span<const OperationNumber> numbers, const Notice& notice) {
  Problem problem(history);
  problem.operations.reserve(numbers.size());
  for (const OperationNumber number : numbers) {
    if (can_matter(history.operations[number], notice))
      problem.operations.push_back({number, kNoEvent, 0, 0});
  }
  const auto by_invocation = [&](const SearchOperation& left, const SearchOperation& right) {
    return history.operations[left.number].invoked < history.operations[right.number].invoked;
  };
  if (!std::is_sorted(problem.operations.begin(), problem.operations.end(), by_invocation)) {
    std::stable_sort(problem.operations.begin(), problem.operations.end(), by_invocation);
  }
  assign_classes(history, problem);
  order_events(history, problem);
  assign_slots(problem);
  find_goals(history, problem);
  problem.stop = static_cast<std::uint32_t>(problem.events.size());
  return problem;
}

}  // namespace

Problem make_problem(const History& history, std::span<const OperationNumber> numbers) {
  return prepare(history, numbers, what_is_noticed(history, numbers));
}

Problem make_endless_problem(const History& history, std::span<const OperationNumber> numbers,
                             std::int64_t until) {
  Problem problem = prepare(history, numbers, {.values = {}, .everything = true});
  const auto time_of = [&](std::uint32_t event) {
    const Operation& it = history.operations[problem.operations[Problem::operation_of(event)].number];
    return Problem::is_return(event) ? it.returned : it.invoked;
  };
  while (problem.stop > 0 && time_of(problem.events[problem.stop - 1]) >= until) --problem.stop;
  // What a later return saw may start from an overwrite that is not invoked yet.
  const auto later = [&](const Goal& goal) {
    return problem.operations[goal.operation].return_event >= problem.stop;
  };
  problem.goals.erase(std::remove_if(problem.goals.begin(), problem.goals.end(), later), problem.goals.end());
  return problem;
}

}  // namespace touchstone::model
