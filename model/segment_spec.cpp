#include "model/segment_spec.h"

#include <algorithm>
#include <tuple>

namespace touchstone::model {
namespace {

constexpr std::size_t kLongestName = 255;

std::string encoded(const std::string& key) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const auto byte = static_cast<unsigned char>(key[i]);
    const bool escape =
        byte < 0x20 || byte == 0x7f || key[i] == '/' || key[i] == '%' || (i == 0 && key[i] == '~');
    if (!escape) {
      out += key[i];
      continue;
    }
    out += '%';
    out += kHex[byte >> 4U];
    out += kHex[byte & 15U];
  }
  return out;
}

const Process* living(const SegmentState& state, ProcessId id) {
  const auto process = state.processes.find(id);
  return process != state.processes.end() && process->second.alive ? &process->second : nullptr;
}

const Process* living_main(const SegmentState& state, ProcessId id) {
  const Process* process = living(state, id);
  return process != nullptr && process->main ? process : nullptr;
}

void remove_segments_of(SegmentState& state, ProcessId owner) {
  for (auto it = state.segments.begin(); it != state.segments.end();) {
    it = it->second.owner == owner ? state.segments.erase(it) : std::next(it);
  }
}

struct Performer {
  SegmentState& state;

  SegmentResponse operator()(const StartMain& it) const {
    if (!good_session(it.session)) return Refused{Refusal::kBadSession};
    state.processes[it.process] = Process{it.pid, it.session, true, true};
    return Done{};
  }

  SegmentResponse operator()(const Fork& it) const {  // G2: no main
    const Process* parent = living(state, it.parent);
    state.processes[it.child] = Process{it.pid, parent != nullptr ? parent->session : "", false, true};
    return Done{};
  }

  SegmentResponse operator()(const BecomeMain& it) const {
    state.processes[it.process].main = true;
    return Done{};
  }

  SegmentResponse operator()(const Allocate& it) const {
    const Process* process = living_main(state, it.process);
    if (process == nullptr) return Refused{Refusal::kNotMain};
    const auto name = segment_name(process->session, process->pid, it.key);
    if (!name) return Refused{Refusal::kBadKey};
    if (state.segments.count(*name) != 0) return Refused{Refusal::kExists};
    state.segments[*name] = Segment{it.process, 1, it.content};
    return Named{*name};
  }

  SegmentResponse operator()(const Replace& it) const {
    const Process* process = living_main(state, it.process);
    if (process == nullptr) return Refused{Refusal::kNotMain};
    const auto name = segment_name(process->session, process->pid, it.key);
    if (!name) return Refused{Refusal::kBadKey};
    const auto segment = state.segments.find(*name);
    if (segment == state.segments.end()) return Refused{Refusal::kNoSuchSegment};
    if (segment->second.owner != it.process) return Refused{Refusal::kNotCreator};
    ++segment->second.generation;
    segment->second.content = it.content;
    return Named{*name};
  }

  SegmentResponse operator()(const Free& it) const {
    const auto segment = state.segments.find(it.name);
    if (segment == state.segments.end()) return Refused{Refusal::kNoSuchSegment};
    if (segment->second.owner != it.process) return Refused{Refusal::kNotCreator};
    state.segments.erase(segment);
    return Done{};
  }

  SegmentResponse operator()(const Attach& it) const {
    const auto segment = state.segments.find(it.name);
    if (segment == state.segments.end()) return Refused{Refusal::kNoSuchSegment};
    return Attached{segment->second.generation, segment->second.content};
  }

  SegmentResponse operator()(const Shutdown& it) const {  // G4
    if (living_main(state, it.process) != nullptr) remove_segments_of(state, it.process);
    state.processes[it.process].alive = false;
    return Done{};
  }

  SegmentResponse operator()(const Kill& it) const {  // G4
    state.processes[it.process].alive = false;
    return Done{};
  }

  SegmentResponse operator()(const Reap& it) const {  // G5
    Names removed;
    for (const auto& [name, segment] : state.segments) {
      const Process& owner = state.processes.at(segment.owner);
      if (!owner.alive && (!it.session || *it.session == owner.session)) removed.names.push_back(name);
    }
    for (const std::string& name : removed.names) state.segments.erase(name);
    return removed;
  }

  SegmentResponse operator()(const List&) const {
    Names all;
    for (const auto& [name, segment] : state.segments) all.names.push_back(name);
    return all;
  }
};

std::string process_words(ProcessId id) {
  return "process " + std::to_string(id);
}

struct OperationWords {
  std::string operator()(const StartMain& it) const {
    return process_words(it.process) + " starts as main, pid " + std::to_string(it.pid) + ", session " +
           it.session;
  }
  std::string operator()(const Fork& it) const {
    return process_words(it.parent) + " forks " + process_words(it.child) + ", pid " + std::to_string(it.pid);
  }
  std::string operator()(const BecomeMain& it) const { return process_words(it.process) + " becomes main"; }
  std::string operator()(const Allocate& it) const {
    return process_words(it.process) + " allocates " + it.key;
  }
  std::string operator()(const Replace& it) const {
    return process_words(it.process) + " replaces " + it.key;
  }
  std::string operator()(const Free& it) const { return process_words(it.process) + " frees " + it.name; }
  std::string operator()(const Attach& it) const {
    return process_words(it.process) + " attaches " + it.name;
  }
  std::string operator()(const Shutdown& it) const { return process_words(it.process) + " shuts down"; }
  std::string operator()(const Kill& it) const { return process_words(it.process) + " is killed"; }
  std::string operator()(const Reap& it) const {
    return process_words(it.process) + " reaps " + it.session.value_or("every session");
  }
  std::string operator()(const List&) const { return "list"; }
};

std::string words(Refusal reason) {
  static constexpr const char* kNames[] = {"not a main",      "not its creator", "exists",
                                           "no such segment", "bad key",         "bad session"};
  return kNames[static_cast<int>(reason)];
}

struct ResponseWords {
  std::string operator()(const Done&) const { return "done"; }
  std::string operator()(const Named& it) const { return it.name; }
  std::string operator()(const Attached& it) const {
    return "content " + std::to_string(it.content) + " of generation " + std::to_string(it.generation);
  }
  std::string operator()(const Names& it) const {
    std::string out = "[";
    for (const std::string& name : it.names) out += (out.size() > 1 ? ", " : "") + name;
    return out + "]";
  }
  std::string operator()(const Refused& it) const { return "refused: " + words(it.reason); }
};

}  // namespace

bool good_session(const std::string& session) {
  return !session.empty() && session.find_first_of(std::string(":/\0", 3)) == std::string::npos;
}

std::optional<std::string> segment_name(const std::string& session, std::uint32_t pid,
                                        const std::string& key) {
  if (key.empty() || !good_session(session)) return std::nullopt;
  std::string name = "theus:" + session + ":" + std::to_string(pid) + ":" + encoded(key);
  if (name.size() > kLongestName) return std::nullopt;
  return name;
}

SegmentResponse SegmentSpec::perform(State& state, const Operation& operation) const {
  return std::visit(Performer{state}, operation);
}

std::optional<Illegal> SegmentSpec::advance(State& state, const Operation& operation,
                                            const Response* response) const {
  State next = state;
  const Response right = perform(next, operation);
  if (response != nullptr && *response != right) {
    return Illegal{"answered " + describe(*response) + " where " + describe(right) + " is right"};
  }
  state = std::move(next);
  return std::nullopt;
}

bool SegmentSpec::observes_only(const Operation& operation, const Response* response) {
  return std::holds_alternative<Attach>(operation) || std::holds_alternative<List>(operation) ||
         (response != nullptr && std::holds_alternative<Refused>(*response));
}

int SegmentSpec::compare(const State& left, const State& right) {
  if (left == right) return 0;
  const auto key = [](const State& it) {
    std::vector<std::tuple<std::string, std::uint64_t, std::uint64_t, std::uint64_t>> flat;
    for (const auto& [id, p] : it.processes)
      flat.emplace_back(p.session, id, p.pid, (p.main ? 2U : 0U) + p.alive);
    for (const auto& [name, s] : it.segments) flat.emplace_back(name, s.owner, s.generation, s.content);
    return flat;
  };
  return key(left) < key(right) ? -1 : 1;
}

std::string describe(const SegmentOperation& operation) {
  return std::visit(OperationWords{}, operation);
}

std::string describe(const SegmentResponse& response) {
  return std::visit(ResponseWords{}, response);
}

std::string describe(const SegmentState& state) {
  std::string out = "{";
  for (const auto& [name, segment] : state.segments) {
    out += (out.size() > 1 ? ", " : "") + name + "=" + std::to_string(segment.content);
  }
  return out + "}";
}

}  // namespace touchstone::model
