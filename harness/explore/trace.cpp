#include "harness/explore/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace touchstone::harness::explore {

namespace {

constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t z = a * 0x9e3779b97f4a7c15 + b;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// Writes values; addresses become @1, @2 in order of appearance.
class ValueNames {
 public:
  std::string name(const Event& event, std::uint64_t value) {
    if (!event.pointer && !may_be_address(value)) {
      const auto as_signed = static_cast<std::int64_t>(value);
      return as_signed < 0 && as_signed > -1'000'000 ? fmt::format("{}", as_signed)
                                                     : fmt::format("{}", value);
    }
    if (value == 0) return "null";
    return fmt::format("@{}", pointers_.emplace(value, pointers_.size() + 1).first->second);
  }

 private:
  std::map<std::uint64_t, std::size_t> pointers_;
};

std::string sentence(const Scheduler& scheduler, const Event& event, ValueNames& values) {
  const std::string object = event.slot != 0 ? scheduler.describe(event.object) : "";
  const std::string before = values.name(event, event.before);
  const std::string after = values.name(event, event.after);
  switch (event.kind) {
    case Kind::load:
      return fmt::format("{} is {}{}", object, before, event.stale ? " (stale)" : "");
    case Kind::await:
      return fmt::format("awaited {}: {}{}", object, before, event.stale ? " (stale)" : "");
    case Kind::store:
      return fmt::format("{} = {}, was {}", object, after, before);
    case Kind::compare_exchange:
      if (event.access == Access::write) return fmt::format("{} cas {} -> {}", object, before, after);
      return fmt::format("{} cas found {}, not {}", object, before, values.name(event, event.expected));
    case Kind::wait:
      return event.access == Access::park ? fmt::format("parks, {} is {}", object, before)
                                          : fmt::format("waited for {}: {}", object, before);
    case Kind::lock:
    case Kind::unlock:
    case Kind::notify:
      return fmt::format("{} {}", name_of(event.kind), object);
    case Kind::try_lock:
      return fmt::format("try_lock {}{}", object, event.access == Access::write ? "" : ": held");
    case Kind::join:
      return "joined " + scheduler.thread_name(event.peer);
    case Kind::exchange:
    case Kind::fetch_add:
    case Kind::fetch_sub:
    case Kind::fetch_or:
    case Kind::fetch_and:
      return fmt::format("{} {} {} -> {}", object, name_of(event.kind), before, after);
    default:
      return name_of(event.kind);
  }
}

class Table {
 public:
  explicit Table(std::size_t columns) : widths_(columns, 0) {}

  void add(std::string mark, std::size_t column, std::string text) {
    widths_[column] = std::max(widths_[column], text.size());
    rows_.push_back({std::move(mark), column, std::move(text)});
  }

  std::string text(const std::vector<std::string>& heads) {
    std::string out = "     ";
    for (std::size_t i = 0; i < widths_.size(); ++i) {
      widths_[i] = std::max(widths_[i], heads[i].size());
      out += fmt::format("{:<{}}", heads[i], widths_[i] + 2);
    }
    trim(out);
    for (const Row& row : rows_) {
      std::size_t indent = 0;
      for (std::size_t i = 0; i < row.column; ++i) indent += widths_[i] + 2;
      out += fmt::format("{:<5}{:{}}{}\n", row.mark, "", indent, row.text);
    }
    return out;
  }

 private:
  struct Row {
    std::string mark;
    std::size_t column;
    std::string text;
  };

  static void trim(std::string& line) {
    line.erase(line.find_last_not_of(' ') + 1);
    line += '\n';
  }

  std::vector<std::size_t> widths_;
  std::vector<Row> rows_;
};

}  // namespace

std::string sentence_of(const Scheduler& scheduler, const Event& event) {
  ValueNames values;
  return sentence(scheduler, event, values);
}

std::string draw_columns(const Scheduler& scheduler) {
  Table table(scheduler.threads());
  ValueNames values;
  const std::vector<Event>& events = scheduler.events();
  const std::vector<Note>& notes = scheduler.notes();
  const std::optional<Lasso>& lasso = scheduler.lasso();
  const std::size_t shown = lasso ? lasso->begin + lasso->period : scheduler.decided_events();
  std::size_t note = 0;
  std::vector<std::uint32_t> steps(scheduler.threads(), 0);
  for (std::size_t i = 0; i <= shown; ++i) {
    for (; note < notes.size() && notes[note].event <= i; ++note) {
      table.add("", notes[note].thread, "(" + notes[note].text + ")");
    }
    if (i == shown) break;
    const Event& event = events[i];
    if (lasso && i == lasso->begin) table.add("for ever:", 0, "");
    if (i != 0 && event.epoch != events[i - 1].epoch) table.add("time", event.thread, "...");
    const bool switched = i != 0 && events[i - 1].thread != event.thread;
    bool preempted = false;
    if (switched) {
      const ThreadId left = events[i - 1].thread;
      for (const Deviation& d : scheduler.deviations()) {
        preempted = preempted || (d.preemption && d.thread == left && d.step == steps[left]);
      }
    }
    ++steps[event.thread];
    table.add(preempted ? "*" : "", event.thread, sentence(scheduler, event, values));
  }
  std::vector<std::string> heads;
  for (ThreadId id = 0; id < scheduler.threads(); ++id) heads.push_back(scheduler.thread_name(id));
  return table.text(heads);
}

std::uint64_t TraceHasher::hash(const Scheduler& scheduler) {
  const std::vector<Event>& events = scheduler.events();
  objects_.assign(1, {});
  threads_.assign(kMaxThreads, 0);
  for (std::size_t i = 0; i < scheduler.decided_events(); ++i) {
    const Event& event = events[i];
    std::uint64_t& thread = threads_[event.thread];
    thread =
        mix(thread, (static_cast<std::uint64_t>(event.kind) << 8) | static_cast<std::uint64_t>(event.access));
    if (event.slot == 0) {
      thread = mix(thread, event.peer);  // of a join
      continue;
    }
    if (objects_.size() <= event.slot) objects_.resize(event.slot + 1);
    ObjectHash& object = objects_[event.slot];
    const std::uint64_t start = mix(thread, event.object);
    switch (event.access) {
      case Access::read:
        thread = mix(start, object.write);
        object.reads += mix(thread, 1);
        break;
      case Access::write:
        thread = mix(mix(start, object.write), object.reads);
        object.write = thread;
        object.reads = 0;
        break;
      case Access::park:
        thread = mix(mix(start, object.write), object.notify);
        object.reads += mix(thread, 1);
        object.parks += mix(thread, 2);
        break;
      case Access::notify:
        thread = mix(mix(start, object.notify), object.parks);
        object.notify = thread;
        object.parks = 0;
        break;
      case Access::none:
        break;
    }
  }
  std::uint64_t total = 0;
  for (ThreadId id = 0; id < scheduler.threads(); ++id) total = mix(total, threads_[id]);
  return total;
}

std::uint64_t TraceHasher::graph_hash(const Scheduler& scheduler) {
  stores_.clear();
  threads_.assign(kMaxThreads, 0);
  for (std::size_t i = 0; i < scheduler.decided_events(); ++i) {
    const Event& event = scheduler.events()[i];
    std::uint64_t& thread = threads_[event.thread];
    thread =
        mix(thread, (static_cast<std::uint64_t>(event.kind) << 8) | static_cast<std::uint64_t>(event.access));
    if (event.slot == 0) continue;
    if (stores_.size() <= event.slot) stores_.resize(event.slot + 1);
    std::vector<std::uint64_t>& stores = stores_[event.slot];
    if (stores.empty()) stores.push_back(event.object);  // the initial value
    const bool chooses = event.kind == Kind::load || event.kind == Kind::await;
    const bool ended_stale = event.kind == Kind::wait && event.stale;
    thread = mix(thread, chooses ? stores[event.expected] : ended_stale ? event.before : stores.back());
    if (event.access == Access::write) stores.push_back(thread);
  }
  std::uint64_t total = 0;
  for (ThreadId id = 0; id < scheduler.threads(); ++id) total = mix(total, threads_[id]);
  return total;
}

}  // namespace touchstone::harness::explore
